"""Rules of the shipped pack, asked through the write path: what a wrong entry is told, on both engines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.pack_world import BORN, TODAY, Plant, pack_plant
from tests.integration.uploaded_file import A_FILE

from clew.expressions.functions import SQL
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import FieldKind
from clew.records.errors import (
    Duplicate,
    GuardFailed,
    OutOfBounds,
    ReasonRequired,
    RuleBroken,
    Unchangeable,
    WrongState,
)
from clew.records.judge import in_memory, parts
from clew.records.survey import Violation, violations
from clew.records.unit import Unit
from clew.storage.expressions import Rows, value_sql
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
async def plant(database: TestDatabase) -> AsyncIterator[Plant]:
    made = await pack_plant(database)
    yield made
    await made.database.close()


async def refused(plant: Plant, entity: str, rule: str, **given: Any) -> None:
    """Creating it breaks exactly this rule."""
    with pytest.raises(RuleBroken) as error:
        await plant.commands.create(plant.call, entity, given)
    assert error.value.params["rule"] == rule
    says = {each.name: each.say for each in plant.blueprint.entities[entity].rules}
    assert error.value.message("en").startswith(says[rule].en)


async def created(plant: Plant, entity: str, **given: Any) -> UUID:
    outcome = await plant.commands.create(plant.call, entity, given)
    return outcome.id


async def move(plant: Plant, entity: str, record: UUID, name: str) -> None:
    version = (await plant.current(entity))[record]["row_version"]
    await plant.commands.transition(plant.why("test"), entity, record, name, version)


async def refused_move(plant: Plant, entity: str, record: UUID, name: str, error: type[ClewError]) -> None:
    with pytest.raises(error):
        await move(plant, entity, record, name)


def raw_lot(plant: Plant, **changes: Any) -> dict[str, Any]:
    ids = plant.ids
    return {
        "site": ids["site"], "item": ids["steel"], "source": "purchase", "supplier": ids["supplier"],
        "supplier_lot": "H-9", **changes,
    }  # fmt: skip


def pump_lot(plant: Plant, **changes: Any) -> dict[str, Any]:
    ids = plant.ids
    return {"site": ids["site"], "item": ids["pump"], "source": "production", "work_order": ids["work"], **changes}


async def test_lot_numbers_dates_and_states(plant: Plant) -> None:
    for number in ("LOT 26", "LOT#26", "批号26"):
        await refused(plant, "lot", "lot_characters", **raw_lot(plant, lot_no=number))
    with pytest.raises(ClewError):
        await created(plant, "lot", **raw_lot(plant, lot_no="LOT-0123456789-ABCDE"[:20] + "F"))
    good = await created(plant, "lot", **raw_lot(plant, lot_no="LOT-0123456789-ABCDE"))
    with pytest.raises(Duplicate):
        await created(plant, "lot", **raw_lot(plant, lot_no="lot-0123456789-abcde"))

    made = {"mfg_on": "2026-01-05"}
    await refused(plant, "lot", "expiry_after_manufacture", **raw_lot(plant, **made, exp_on="2026-01-05"))
    await refused(plant, "lot", "expiry_follows_shelf_life", **pump_lot(plant, **made, exp_on="2027-01-07"))
    for expiry in ("2027-01-04", "2027-01-05", "2027-01-06"):
        await created(plant, "lot", **pump_lot(plant, **made, exp_on=expiry))
    await refused(plant, "lot", "parents_when_derived", **raw_lot(plant, source="split"))
    parents = [{"lot": plant.ids["made"], "qty": "1"}]
    await refused(plant, "lot", "split_and_merge_keep_item", **raw_lot(plant, source="split", parents=parents))

    with pytest.raises(GuardFailed):
        await move(plant, "lot", good, "release")
    with pytest.raises(ReasonRequired):
        await plant.commands.transition(plant.call, "lot", plant.ids["good"], "block", 1)
    with pytest.raises(ReasonRequired):  # blanks say nothing
        await plant.commands.transition(plant.why(" \t"), "lot", plant.ids["good"], "block", 1)
    await move(plant, "lot", plant.ids["good"], "block")
    assert (await plant.current("lot"))[plant.ids["good"]]["state"] == "blocked"


async def test_what_arrives_stays_within_the_order(plant: Plant) -> None:
    ids = plant.ids
    receipt = {"site": ids["site"], "po_line": ids["po_line"], "received_by": ids["li"], "supplier_lot": "H-1"}
    await refused(plant, "goods_receipt", "within_open_quantity", **receipt, qty="105.0001")
    first = await created(plant, "goods_receipt", **receipt, qty="60")
    await refused(plant, "goods_receipt", "within_open_quantity", **receipt, qty="45.0001")
    await created(plant, "goods_receipt", **receipt, qty="45")
    await refused(plant, "goods_receipt", "within_open_quantity", **receipt, qty="0.0001")
    await move(plant, "goods_receipt", first, "reject")
    await move(plant, "goods_receipt", first, "return")
    await refused(plant, "goods_receipt", "lot_of_ordered_item", **receipt, qty="60", lot=ids["made"])
    await created(plant, "goods_receipt", **receipt, qty="60", lot=ids["new"])


async def test_only_usable_lots_are_consumed(plant: Plant) -> None:
    ids = plant.ids

    def take(lot: str, qty: str = "1", **changes: Any) -> dict[str, Any]:
        return {
            "site": ids["site"], "execution": ids["execution"], "work_order": ids["work"], "component_lot": ids[lot],
            "qty": qty, "bom_line": ids["bom_line"], "consumed_by": ids["li"], **changes,
        }  # fmt: skip

    for lot in ("blocked", "held", "new", "stale"):
        await refused(plant, "material_consumption", "lot_usable", **take(lot))
    await refused(plant, "material_consumption", "on_bom_or_approved", **take("good", bom_line=None))
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    await refused(plant, "material_consumption", "not_in_future", **take("good", consumed_at=ahead))
    within = await plant.commands.create(plant.call, "material_consumption", take("good", "21"))
    assert within.warnings == ()
    more = await plant.commands.create(plant.call, "material_consumption", take("good", "0.000001"))
    assert [each.rule for each in more.warnings] == ["quantity_within_bom"]
    await move(plant, "material_consumption", within.id, "reverse")
    again = await plant.commands.create(plant.call, "material_consumption", take("good", "20"))
    assert again.warnings == ()


async def test_balances_follow_movements_and_never_go_negative(plant: Plant) -> None:
    ids = plant.ids

    def moving(kind: str, qty: str, **changes: Any) -> dict[str, Any]:
        return {
            "site": ids["site"], "type": kind, "item": ids["steel"], "lot": ids["good"], "qty": qty,
            "performed_by": ids["li"], **changes,
        }  # fmt: skip

    async def balances() -> dict[tuple[UUID, str], tuple[Decimal, Decimal]]:
        rows = (await plant.current("inventory_balance")).values()
        return {(each["location"], each["quality_status"]): (each["on_hand"], each["reserved"]) for each in rows}

    arrive = {"to_location": ids["raw"], "to_status": "released"}
    leave = {"from_location": ids["raw"], "from_status": "released"}
    await created(plant, "inventory_movement", **moving("receipt", "10", **arrive))
    issue = await created(plant, "inventory_movement", **moving("issue", "4", **leave))
    assert await balances() == {(ids["raw"], "released"): (Decimal("6.0000"), Decimal("0.0000"))}
    with pytest.raises(OutOfBounds):
        await created(plant, "inventory_movement", **moving("issue", "6.0001", **leave))

    await created(plant, "inventory_movement", **moving("reserve", "5", **leave))
    with pytest.raises(RuleBroken):
        await created(plant, "inventory_movement", **moving("issue", "2", **leave))
    await created(plant, "inventory_movement", **moving("issue", "5", from_reservation=True, **leave))
    assert await balances() == {(ids["raw"], "released"): (Decimal("1.0000"), Decimal("0.0000"))}

    await created(
        plant, "inventory_movement", **moving("transfer", "1", **leave, to_location=ids["store"], to_status="released")
    )
    elsewhere = {"from_location": ids["store"], "from_status": "released"}
    await created(
        plant, "inventory_movement", **moving("block", "1", **elsewhere, to_location=ids["store"], to_status="blocked")
    )
    found = await balances()
    assert found[(ids["store"], "blocked")] == (Decimal("1.0000"), Decimal("0.0000"))
    assert sum(on_hand for on_hand, _ in found.values()) == 1

    back = moving("issue", "4", **arrive, reverses=issue)
    await refused(plant, "inventory_movement", "reversal_mirrors", **{**back, "qty": "3"})
    await created(plant, "inventory_movement", **back)
    with pytest.raises(Duplicate):
        await created(plant, "inventory_movement", **back)
    assert (await balances())[(ids["raw"], "released")] == (Decimal("4.0000"), Decimal("0.0000"))

    await refused(plant, "inventory_movement", "direction_fits_type", **moving("issue", "1", **arrive))
    await refused(plant, "inventory_movement", "lot_usable", **{**moving("issue", "1", **leave), "lot": ids["held"]})
    await refused(plant, "inventory_movement", "scrap_by_two", **moving("scrap", "1", **leave, reason=ids["defect"]))
    await refused(
        plant, "inventory_movement", "lot_given_when_traced", **{**moving("receipt", "1", **arrive), "lot": None}
    )


async def test_rivals_cannot_take_the_same_stock(plant: Plant, tier: Any) -> None:
    """Many people draw on ten pieces at once: ten of them get one each, the rest are refused."""
    ids = plant.ids
    common = {
        "site": ids["site"], "item": ids["steel"], "lot": ids["good"], "performed_by": ids["li"],
    }  # fmt: skip
    await created(
        plant, "inventory_movement", **common, type="receipt", qty="10", to_location=ids["raw"], to_status="released"
    )

    async def draw() -> bool:
        try:
            await created(
                plant, "inventory_movement", **common, type="issue", qty="1", from_location=ids["raw"],
                from_status="released",
            )  # fmt: skip
        except OutOfBounds:
            return False
        return True

    answers = await asyncio.gather(*(draw() for _ in range(tier.count(14, 200))))
    assert sum(answers) == 10
    assert [each["on_hand"] for each in (await plant.current("inventory_balance")).values()] == [Decimal("0.0000")]


F7: list[tuple[str, str, dict[str, Any], str]] = [
    ("CN", "death", {}, "2026-10-08"),
    ("CN", "serious_injury", {}, "2026-10-21"),
    ("CN", "potential", {}, "2026-10-21"),
    ("CN", "serious_injury", {"abroad": True}, "2026-10-31"),
    ("EU", "public_threat", {}, "2026-10-03"),
    ("EU", "death", {}, "2026-10-11"),
    ("EU", "serious_injury", {"unanticipated": True}, "2026-10-11"),
    ("EU", "serious_injury", {}, "2026-10-16"),
    ("US", "death", {}, "2026-10-31"),
    ("US", "malfunction", {}, "2026-10-31"),
    ("US", "remedial_5day", {}, "2026-10-08"),
    ("US", "serious_injury", {"reporter": "user_facility"}, "2026-10-15"),
]
"""Aware on 2026-10-01, a Thursday before a week of public holidays that no safety clock may wait for."""


async def test_adverse_events_are_due_by_the_law_of_their_market(plant: Plant) -> None:
    entity = plant.blueprint.entities["adverse_event"]
    table = plant.tables.current("adverse_event").alias("this")
    rows = Rows(plant.tables, plant.blueprint, entity.name, table, plant.tables.dialect, None)
    due = {name: entity.fields[name].computed for name in ("due_on", "due_at")}
    columns = [value_sql(each, rows).label(name) for name, each in due.items() if each is not None]

    async def dates(record: UUID) -> tuple[date, datetime]:
        async with plant.database.read() as connection:
            found = await connection.fetch_one(sa.select(*columns).where(table.c.id == record))
        assert found is not None
        return found[0], found[1]

    aware = datetime(2026, 10, 1, 1, 30, tzinfo=UTC)
    common = {"site": plant.ids["site"], "aware_at": "2026-10-01T01:30:00Z", "aware_on": "2026-10-01"}
    for market, category, more, due_on in F7:
        record = await created(plant, "adverse_event", **common, market=market, category=category, **more)
        day, moment = await dates(record)
        assert (market, category, day) == (market, category, date.fromisoformat(due_on))
        assert moment == aware + (day - aware.date())
    group = await created(plant, "adverse_event", **common, market="CN", category="group")
    assert (await dates(group))[1] == aware + timedelta(hours=12)
    for weekday, offset in ((2, 7), (3, 6), (4, 5), (5, 7)):
        on = f"2026-10-{weekday:02d}"
        record = await created(
            plant, "adverse_event", site=plant.ids["site"], aware_at=f"{on}T12:00:00Z", aware_on=on, market="US",
            category="remedial_5day",
        )  # fmt: skip
        assert (await dates(record))[0] == date.fromisoformat(on) + timedelta(days=offset)
    await refused(
        plant, "adverse_event", "aware_day_fits_time", **{**common, "aware_on": "2026-10-03"}, market="CN",
        category="death",
    )  # fmt: skip


V1 = "0109521234000013112603011729022810LOT2603A\x1d21SN000123"
"""Domain F9."""


async def test_a_udi_is_that_of_its_device_lot_and_unit(plant: Plant) -> None:
    ids = plant.ids
    item = plant.tables.current("item")
    async with plant.database.write() as connection:
        numbered = {"shelf_life": 1095, "trace_level": "serial"}
        await connection.execute(sa.update(item).where(item.c.id == ids["pump"]).values(**numbered))
    lot = pump_lot(plant, lot_no="LOT2603A", mfg_on="2026-03-01", exp_on="2029-02-28")
    ids["batch"] = await created(plant, "lot", **lot)
    ids["di"] = await created(
        plant, "udi_device", issuer="GS1", di="09521234000013", item=ids["pump"], package_level="unit", market="CN",
        pi_flags=["lot", "exp"],
    )  # fmt: skip
    unit = {"site": ids["site"], "di": ids["di"], "item": ids["pump"], "lot": ids["batch"], "serial": "SN000123"}

    async def told(text: str, rule: str, why: str = "", entity: str = "serial_unit", **given: Any) -> None:
        with pytest.raises(RuleBroken) as error:
            await plant.commands.create(plant.call, entity, {**(given or unit), "udi_full": text})
        assert (error.value.params["rule"], error.value.path) == (rule, ("input", "udi_full"))
        assert why in error.value.message("en")
        assert error.value.message("en") != error.value.message("zh")

    gtin = "(01)09521234000013"
    await told("(01)09521234000012(21)SN000123", "udi_is_right", "is 2, expected 3")
    await told(f"{gtin}(17)290229(21)SN000123", "udi_is_right", "month 02 of that year has no day 29")
    await told(f"{gtin}(17)281301(21)SN000123", "udi_is_right", "no month 13")
    await told(f"{gtin}(10)LOT-0123456789-ABCDEFG(21)SN000123", "udi_is_right", "1-20 characters, not 22")
    await told(f"{gtin}(10)LOT 26#1(21)SN000123", "udi_is_right", "“ ” is not in GS1 character set 82")
    await told("(21)SN000123", "udi_is_right", "(21) serial: it needs (01)")
    await told(f"{gtin}(21)SN000123(37)2", "udi_is_right", "cannot stand with (37)")
    await told("(01)19521234000010(21)SN000123", "udi_names_its_di")
    await told(f"{gtin}(21)SN000124", "udi_names_its_serial")
    await told(f"{gtin}(10)LOT2603B(21)SN000123", "udi_names_its_lot")
    await told(f"{gtin}(17)290200(10)LOT2603A(11)260302(21)SN000123", "udi_names_its_manufacture")
    await told(f"{gtin}(17)290300(10)LOT2603A(21)SN000123", "udi_names_its_expiry")
    await told(f"{gtin}(10)LOT2603A(21)SN000123", "udi_holds_what_its_di_promises")
    made = await created(plant, "serial_unit", **unit, udi_full=V1)
    assert (await plant.current("serial_unit"))[made]["udi_full"] == V1.replace("\x1d", "␝")

    job = {
        "site": ids["site"], "template": ids["label"], "item": ids["pump"], "lot": ids["batch"], "printed": 1,
        "di": ids["di"],
    }  # fmt: skip
    await told(V1.replace("\x1d", ""), "udi_names_its_lot", entity="label_job", **job)
    await created(plant, "label_job", **job, udi_full=V1)
    with pytest.raises(RuleBroken) as error:
        await plant.commands.create(plant.call, "label_job", {**job, "di": None, "udi_full": V1})
    assert error.value.params["rule"] == "gs1_udi_has_its_di"


async def test_labels_must_balance(plant: Plant) -> None:
    ids = plant.ids
    job = {
        "site": ids["site"], "template": ids["label"], "item": ids["pump"], "lot": ids["made"], "udi_full": "+H1",
        "printed": 100,
    }  # fmt: skip
    await refused(plant, "label_job", "no_more_than_printed", **job, used=99, destroyed=2)
    checks = {f"{each}_ok": "pass" for each in ("udi", "expiry", "storage", "handling", "processing")}
    made = await created(plant, "label_job", **job, used=97, destroyed=2)
    with pytest.raises(GuardFailed):
        await move(plant, "label_job", made, "inspect")
    await plant.commands.update(plant.call, "label_job", made, 1, {**checks, "checked_by": ids["zhao"]})
    await move(plant, "label_job", made, "inspect")
    with pytest.raises(GuardFailed):
        await move(plant, "label_job", made, "reconcile")
    version = (await plant.current("label_job"))[made]["row_version"]
    with pytest.raises(ReasonRequired):
        await plant.commands.update(plant.call, "label_job", made, version, {"destroyed": 3})
    await plant.commands.update(plant.why("one more found"), "label_job", made, version, {"destroyed": 3})
    await move(plant, "label_job", made, "reconcile")
    assert (await plant.current("label_job"))[made]["state"] == "reconciled"


async def test_critical_nonconformances_and_complaints(plant: Plant) -> None:
    ids = plant.ids
    ncr = {
        "site": ids["site"], "source": "IQC", "item": ids["steel"], "lots": [ids["good"]], "description": "划伤",
        "defect": ids["defect"], "severity": "critical",
    }  # fmt: skip
    as_is = {
        "disposition": "use_as_is", "justification": "-", "concession_qty": "1", "concession_until": str(TODAY),
        "qty": "1",
    }  # fmt: skip
    await refused(plant, "nonconformance", "critical_not_as_is", **ncr, **as_is)
    await created(plant, "nonconformance", **{**ncr, **as_is, "severity": "minor"})
    await refused(
        plant, "nonconformance", "concession_within_quantity", **{**ncr, **as_is, "severity": "minor", "qty": "0.5"}
    )
    await refused(plant, "nonconformance", "lots_of_item", **{**ncr, "lots": [ids["made"]]})
    complaint = {"site": ids["site"], "device_name": "输液泵", "complainant_name": "王", "description": "漏液"}
    late = (datetime.now(UTC) + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    await refused(plant, "complaint", "aware_before_registered", **complaint, aware_at=late)
    made = await created(plant, "complaint", **complaint, aware_at=BORN.isoformat().replace("+00:00", "Z"))
    with pytest.raises(GuardFailed):
        await move(plant, "complaint", made, "triage")


async def test_no_clock_of_the_law_starts_where_it_cannot(plant: Plant) -> None:
    """What happened, was known, found, received, asked, decided or begun lies in the past, and not in another age."""
    ids, now, call = plant.ids, datetime.now(UTC), plant.call
    site, day = {"site": ids["site"]}, timedelta(days=1)
    known = now - timedelta(hours=5)
    complaint = {**site, "device_name": "输液泵", "complainant_name": "王", "description": "漏液", "aware_at": known}
    event = {**site, "market": "US", "category": "malfunction", "aware_at": known, "aware_on": known.date()}
    action = {"subject": "召回", "measures": ["warn"], "markets": ["US"], "hazard": "?", "lots": [ids["good"]]}
    ncr = {**site, "source": "IQC", "item": ids["steel"], "lots": [ids["good"]], "description": "划伤",
           "defect": ids["defect"], "severity": "minor"}  # fmt: skip
    receipt = {**site, "po_line": ids["po_line"], "received_by": ids["li"], "supplier_lot": "H-7", "qty": "1"}
    deviation = {**site, "object": {"entity": "lot", "id": ids["good"]}, "description": "过热"}
    filing = {"subject": "发补", "market": "CN", "trigger": {"entity": "item", "id": ids["pump"]}, "due": TODAY}
    first, ahead, old = datetime(1, 1, 2, tzinfo=UTC), now + timedelta(days=300), now - timedelta(days=51 * 366)
    of_moments = (
        ("complaint", complaint, "aware_at", "aware_is_plausible", (first, old)),
        ("adverse_event", event, "aware_at", "aware_is_plausible", (first, old)),
        ("adverse_event", event, "aware_at", "aware_not_in_future", (ahead,)),
        ("field_action", action, "decided_at", "decided_is_plausible", (first, old, ahead)),
        ("field_action", action, "started_at", "started_is_plausible", (first, old, ahead)),
        ("nonconformance", ncr, "found_at", "found_is_plausible", (first, old, ahead)),
        ("deviation", deviation, "occurred_at", "occurred_is_plausible", (first, old, ahead)),
        ("goods_receipt", receipt, "received_at", "received_is_plausible", (first, old, ahead)),
    )
    for entity, given, field, rule, impossible in of_moments:
        for each in impossible:
            with_day = {"aware_on": each.date()} if entity == "adverse_event" else {}
            await refused(plant, entity, rule, **{**given, field: each, **with_day})
        await created(plant, entity, **{**given, field: known})
    await created(plant, "deviation", **deviation, planned=True, occurred_at=ahead)
    of_days = (
        ("complaint", complaint, "received_on", "received_is_plausible", (first, old, ahead)),
        ("complaint", complaint, "occurred_on", "occurred_is_plausible", (first, old, known + 3 * day)),
        ("field_action", action, "decided_on", "decided_is_plausible", (first, old, ahead)),
        (
            "field_action",
            {**action, "started_at": known},
            "started_on",
            "started_is_plausible",
            (first, known - 5 * day),
        ),
    )
    for entity, given, field, rule, impossible in of_days:
        for each in impossible:
            await refused(plant, entity, rule, **{**given, field: each.date()})
        await created(plant, entity, **{**given, field: known.date()})
    for each in (first, old, ahead):
        asked = {"question": "?", "asked_on": each.date(), "due": ahead.date() + day}
        await refused(plant, "filing_task", "asked_is_plausible", **filing, authority_qa=[asked])
    await created(plant, "filing_task", **filing, authority_qa=[{**asked, "asked_on": TODAY}])

    # What was written down before there was such a rule is still worked on, and put right.
    made = await created(plant, "complaint", **complaint)
    table = plant.tables.current("complaint")
    async with plant.database.write() as connection:
        await connection.execute(sa.update(table).where(table.c.id == made).values(aware_at=first))
    done = await plant.commands.update(call, "complaint", made, 1, {"description": "漏液一处"})
    with pytest.raises(RuleBroken):
        await plant.commands.update(plant.why("wrong"), "complaint", made, done.row_version, {"aware_at": old})
    await plant.commands.update(plant.why("a typing error"), "complaint", made, done.row_version, {"aware_at": known})


async def test_every_rule_and_guard_of_the_pack_can_be_decided(plant: Plant) -> None:
    """What the memory cannot decide alone is one statement that the database takes, for every entity of the pack."""
    nobody = UUID(int=0)

    async def ask(unit: Unit) -> int:
        asked = 0
        for entity in plant.blueprint.entities.values():
            # References to what is not there: without any, memory would decide some of them alone.
            stored = [each for each in entity.fields.values() if each.stored]
            record = {each.name: nobody if each.kind is FieldKind.REF else None for each in stored} | {"id": nobody}
            guards = [each.when for each in entity.transitions.values() if each.when is not None]
            needed = [each.required_when for each in entity.fields.values() if each.required_when is not None]
            conditions = [*(rule.condition for rule in entity.rules), *guards, *needed]
            for condition in conditions:
                alone = in_memory(condition, entity) or (
                    SQL not in condition.runs_in and not parts(condition, entity).asked
                )
                if not alone:
                    assert await unit.judge.holds(condition, entity, record) is False, condition.source
                    asked += 1
        return asked

    assert await plant.commands.run(plant.call, ask) > 150


TAKEN_AS_GIVEN = {"bom", "document_revision", "inspection_plan", "item", "routing", "site", "supplier"}
"""Master data that the plant has without the change orders and papers that brought it there."""


async def test_the_plant_of_these_tests_breaks_no_rule_itself(plant: Plant) -> None:
    async def look(unit: Unit) -> list[Violation]:
        return await violations(unit.connection, plant.tables, unit.judge.person_args)

    found = await plant.commands.run(plant.call, look)
    assert {each.entity for each in found} <= TAKEN_AS_GIVEN


async def test_an_incoming_lot_from_receipt_to_use(plant: Plant) -> None:
    """Received, tested with a reading that is never re-typed, certified, decided, released, consumed."""
    ids, call = plant.ids, plant.call
    site = {"site": ids["site"]}
    lot = await created(plant, "lot", **raw_lot(plant, supplier_lot="H-77"))
    receipt = await created(
        plant, "goods_receipt", **site, po_line=ids["po_line"], received_by=ids["li"], supplier_lot="H-77", qty="50",
        lot=lot, licence_checked=True, label_checked=True,
    )  # fmt: skip
    await move(plant, "goods_receipt", receipt, "quarantine")

    test = await created(plant, "inspection_lot", **site, lot=lot, plan=ids["plan"], lot_size=50, n=1)
    await refused_move(plant, "inspection_lot", test, "judge", WrongState)
    await move(plant, "inspection_lot", test, "start")
    reading = {**site, "inspection_lot": test, "characteristic": ids["diameter"], "sample": 1, "inspector": ids["li"]}
    await refused(plant, "inspection_result", "within_plan", **{**reading, "sample": 2}, value="5.00")
    await refused(plant, "inspection_result", "decimals_as_plan", **reading, value="5.001")
    bad = await created(plant, "inspection_result", **reading, value="5.20")
    with pytest.raises(Unchangeable):
        await plant.commands.update(plant.why("typing"), "inspection_result", bad, 1, {"value": "5.00"})
    with pytest.raises(Duplicate):
        await created(plant, "inspection_result", **reading, value="5.00")
    again = {
        **reading, "value": "5.00", "version": 2, "kind": "retest", "retest_of": bad, "retest_rule": ids["label"],
        "explanation": "gauge dropped", "retest_approved_by": ids["li"],
    }  # fmt: skip
    await refused(plant, "inspection_result", "retest_of_failed_reading", **again)
    await created(plant, "inspection_result", **{**again, "retest_approved_by": ids["zhao"]})
    values = {"judgement": "accept", "judged_by": ids["li"]}
    await plant.commands.update(plant.why("tested"), "inspection_lot", test, 2, values)
    await move(plant, "inspection_lot", test, "judge")

    decision = {
        **site, "lot": lot, "kind": "incoming", "outcome": "release", "checklist": [{"item": "IQC", "ok": True}],
    }  # fmt: skip
    decided = await created(plant, "release_decision", **decision, decided_by=ids["zhao"])
    await refused_move(plant, "release_decision", decided, "decide", RuleBroken)
    file = dict(A_FILE)
    certificate = {
        **site, "supplier": ids["supplier"], "cert_no": "M1", "lot": lot, "po_line": ids["po_line"], "file": [file],
        "sha256": "0" * 64, "verified_by": ids["zhao"],
    }  # fmt: skip
    weak = await created(plant, "material_certificate", **certificate, kind="en10204_2_2")
    await refused_move(plant, "material_certificate", weak, "verify", GuardFailed)
    good = await created(plant, "material_certificate", **{**certificate, "cert_no": "M2"}, kind="en10204_3_1")
    await move(plant, "material_certificate", good, "verify")
    await refused_move(plant, "lot", lot, "release", GuardFailed)
    await move(plant, "release_decision", decided, "decide")
    second = await created(plant, "release_decision", **decision, decided_by=ids["zhao"])
    await refused_move(plant, "release_decision", second, "decide", Duplicate)
    with pytest.raises(RuleBroken):
        await plant.commands.create(call, "release_decision", {**decision, "decided_by": ids["li"]})
    await move(plant, "lot", lot, "release")
    await created(
        plant, "material_consumption", **site, execution=ids["execution"], work_order=ids["work"], component_lot=lot,
        qty="1", bom_line=ids["bom_line"], consumed_by=ids["li"],
    )  # fmt: skip
