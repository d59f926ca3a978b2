"""What must never reach a patient is refused on every way there is: by hand, generic, upsert, bulk, import, process.

A finished lot with everything in order is released (the control); each hazard alone keeps a lot like it from being
decided for, and one that was decided for already from being released, used or shipped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.integration.pack_world import BORN, LATER, TODAY, AnyRef, Plant, World, pack_plant
from tests.integration.test_pack_rules import created, move, refused, refused_move
from tests.integration.uploaded_file import A_FILE
from tests.integration.write_journey import context

from clew.kernel.errors import ClewError
from clew.records import verbs
from clew.records.errors import Frozen, GuardFailed, RuleBroken
from clew.records.loading import Loader
from clew.records.unit import Unit
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
CHECKED = [{"item": "批记录、检验、标签", "ok": True}]


@pytest.fixture
async def plant(database: TestDatabase) -> AsyncIterator[Plant]:
    made = await pack_plant(database)
    await furnish(made, market)
    yield made
    await made.database.close()


async def furnish(plant: Plant, room: Callable[[World], object]) -> None:
    async def fill(connection: Connection) -> None:
        loader = Loader(connection, plant.tables, context(), "release")
        await loader.begin()
        room(World(loader, plant.ids))
        await loader.finish()

    await plant.database.run_write(fill)


def market(world: World) -> None:
    ids = world.ids
    world.add(
        "registration", "registration", number="R1", authority="NMPA", kind="NMPA_reg", items=[ids["pump"]],
        holder=ids["legal"], issued_on=BORN.date(), expires_on=LATER, file=(dict(A_FILE),), state="active",
    )  # fmt: skip
    world.add(
        "udi", "udi_device", issuer="GS1", di="06901234567892", item=ids["pump"], package_level="unit", market="CN",
        db_status="published", published_at=BORN, pi_flags=("lot",), state="published",
    )  # fmt: skip


def finished(world: World, name: str, *, component: str = "good", record: str = "accepted", **lot: Any) -> UUID:
    """A lot that was made, inspected and released by production: nothing is missing but its market release."""
    ids = world.ids
    site = ids["site"]
    work = world.add(
        f"{name}:order", "work_order", site=site, number=f"WO-{name}", item=ids["pump"], bom=ids["bom"],
        routing=ids["routing"], qty=Decimal(10), state="completed",
    )  # fmt: skip
    given = {
        "state": "quarantine",
        "source": "production",
        "work_order": work,
        "mfg_on": TODAY,
        "exp_on": TODAY + timedelta(days=365),
        **lot,
    }
    made = world.lot(name, item=ids["pump"], **given)
    execution = world.add(
        f"{name}:run", "operation_execution", site=site, number=f"OE-{name}", work_order=work, lot=made,
        operation=ids["operation"], operator=ids["li"], state="done", started_at=BORN, ended_at=BORN,
    )  # fmt: skip
    world.add(
        f"{name}:used", "material_consumption", site=site, number=f"MC-{name}", execution=execution, work_order=work,
        component_lot=ids[component], qty=Decimal(1), bom_line=ids["bom_line"], consumed_by=ids["li"],
        consumed_at=BORN, state="posted",
    )  # fmt: skip
    inspected(world, name, made)
    if record:
        dhr = {"site": site, "number": f"DHR-{name}", "item": ids["pump"], "work_order": work, "state": record}
        ids[f"{name}:dhr"] = world.add(f"{name}:dhr", "edhr", lot=made, **dhr)
        world.add(f"{name}:section", "edhr_sections", owner=ids[f"{name}:dhr"], name="工序", complete=True)
    decided(world, f"{name}:production", made, kind="production")
    return made


def inspected(world: World, name: str, lot: UUID) -> None:
    world.add(
        f"{name}:test", "inspection_lot", site=world.ids["site"], number=f"IL-{name}", lot=lot, plan=world.ids["plan"],
        lot_size=10, n=1, ac=0, re=1, nonconforming=0, judgement="accept", judged_by=world.ids["li"], state="closed",
    )  # fmt: skip


def decided(world: World, name: str, lot: UUID, **values: Any) -> UUID:
    """A release that somebody has decided already."""
    found = world.add(
        name, "release_decision", site=world.ids["site"], number=f"RD-{name}", lot=lot, outcome="release",
        decided_by=world.ids["zhao"], decided_at=BORN, state="decided", **values,
    )  # fmt: skip
    world.add(f"{name}:check", "release_decision_checklist", owner=found, item="IQC", ok=True)
    return found


async def asked(plant: Plant, lot: str, **values: Any) -> UUID:
    """A release decision of a lot, filled in and waiting for its signature."""
    given = {"lot": plant.ids[lot], "outcome": "release", "checklist": CHECKED, "decided_by": plant.ids["zhao"]}
    given |= {"kind": "market", "market": "CN"} if "kind" not in values else {}
    return await created(plant, "release_decision", site=plant.ids["site"], **given, **values)


async def not_decided(plant: Plant, decision: UUID, rule: str) -> None:
    with pytest.raises(RuleBroken) as error:
        await move(plant, "release_decision", decision, "decide")
    assert error.value.params["rule"] == rule


async def not_released(plant: Plant, lot: UUID) -> None:
    """Whoever tries, and whichever way: the lot stays what it is."""
    before = (await plant.current("lot"))[lot]
    commands, call, version = plant.commands, plant.why("test"), before["row_version"]
    forced: tuple[Mapping[str, Any], ...] = ({"state": "released"}, {"quality_status": "released"})
    key = {"item": before["item"], "lot_no": before["lot_no"]}

    async def by_process(unit: Unit) -> None:
        await verbs.transition(unit, "lot", lot, "release", None)

    ways: list[Awaitable[Any]] = [
        commands.transition(call, "lot", lot, "release", version),
        commands.transition(replace(call, foreign=True), "lot", lot, "release", version),
        commands.run(call, by_process, elevated=True),
    ]
    for values in forced:
        ways += [
            commands.update(call, "lot", lot, version, values),
            commands.update(replace(call, foreign=True), "lot", lot, version, values),
            commands.upsert(call, "lot", {**key, **values}),
            commands.upsert(replace(call, foreign=True), "lot", {**key, **values}),
            commands.create(replace(call, foreign=True), "lot", {**key, "lot_no": "NEW", **values}),
        ]
    for way in ways:
        with pytest.raises(ClewError):
            await way
    rows = [{"id": lot, "row_version": version, "input": each} for each in forced]
    assert len((await commands.bulk(call, "lot", rows, verb="update", mode="good")).failed) == len(rows)
    after = (await plant.current("lot"))[lot]
    assert (after["state"], after["row_version"]) == (before["state"], version)


async def test_a_sound_lot_is_released_and_each_hazard_alone_keeps_it_back(plant: Plant) -> None:
    ids = plant.ids
    site = ids["site"]
    supplier_lot = {"item": ids["steel"], "source": "purchase", "supplier": ids["supplier"]}

    def room(world: World) -> None:
        for name, state in (("recalled", "recalled"), ("withheld", "released"), ("rejected", "rejected")):
            world.lot(name, state=state, supplier_lot=name, **supplier_lot)
        world.add(
            "withheld:hold", "inventory_hold", site=site, number="HD-W", lot=ids["withheld"], because="待查",
            cause=AnyRef("nonconformance", ids["ncr"]), placed_at=BORN,
        )  # fmt: skip
        for name in ("sound", "doubted", "early", "later"):
            finished(world, name)
        for component in ("recalled", "withheld", "rejected", "held"):
            finished(world, f"of-{component}", component=component)
        finished(world, "unwritten", record="")
        finished(world, "unread", record="compiled")
        finished(world, "old", mfg_on=TODAY - timedelta(days=400), exp_on=TODAY - timedelta(days=35))

    await furnish(plant, room)
    sound = await asked(plant, "sound")
    await refused_move(plant, "lot", ids["sound"], "release", GuardFailed)
    await not_released(plant, ids["sound"])  # production released it, nobody released it to the market
    await move(plant, "release_decision", sound, "decide")
    await move(plant, "lot", ids["sound"], "release")

    other_kind = await asked(plant, "early", kind="incoming")
    await not_decided(plant, other_kind, "kind_fits_source")

    # A nonconformance that is open, with no hold of its own: before the decision, and after it.
    about = {"item": ids["pump"], "source": "IPQC", "description": "划伤", "defect": ids["defect"], "severity": "minor"}
    waiting, late = await asked(plant, "doubted"), await asked(plant, "later")
    await move(plant, "release_decision", late, "decide")
    ncr = await created(plant, "nonconformance", site=site, lots=[ids["doubted"]], **about)
    await plant.commands.update(plant.why("another"), "nonconformance", ncr, 1, {"lots": {"add": [ids["later"]]}})
    await not_decided(plant, waiting, "no_open_nonconformance")
    await not_released(plant, ids["later"])

    for component in ("recalled", "withheld", "rejected", "held"):
        await not_decided(plant, await asked(plant, f"of-{component}"), "components_sound")
        await not_released(plant, ids[f"of-{component}"])
    for name in ("unwritten", "unread"):
        await not_decided(plant, await asked(plant, name), "record_accepted")
        await not_released(plant, ids[name])

    # A split of a lot whose record is missing has none either.
    parents = [{"lot": ids["unwritten"], "qty": "1"}]
    dates = {"mfg_on": TODAY, "exp_on": TODAY + timedelta(days=365)}
    split = await created(plant, "lot", site=site, item=ids["pump"], source="split", parents=parents, **dates)
    ids["split"] = split
    await furnish(plant, lambda world: inspected(world, "split", split))
    await furnish(plant, lambda world: decided(world, "split:production", split, kind="production"))
    await not_decided(plant, await asked(plant, "split"), "record_accepted")
    await not_released(plant, split)

    # What has expired is not released, under conditions neither.
    under = {"outcome": "conditional", "conditions": "试用", "kind": "market", "market": "EU"}
    under |= {"lot": ids["old"], "checklist": CHECKED, "decided_by": ids["zhao"]}
    await move(plant, "release_decision", await created(plant, "release_decision", site=site, **under), "decide")
    limits = {"conditional_qty": "1", "conditional_until": str(LATER)}
    await plant.commands.update(plant.why("x"), "lot", ids["old"], 1, limits)
    await refused_move(plant, "lot", ids["old"], "release_conditionally", GuardFailed)
    await move(plant, "release_decision", await asked(plant, "old"), "decide")
    await not_released(plant, ids["old"])


async def test_what_an_unqualified_supplier_sent_is_not_released(plant: Plant) -> None:
    ids = plant.ids
    site = ids["site"]

    def room(world: World) -> None:
        papers = {"kind": "material", "risk_class": "B"}
        for name, state in (("candidate", "candidate"), ("other", "approved"), ("gone", "approved")):
            world.add(name, "supplier", supplier_no=f"S-{name}", name=name, state=state, **papers)
        past = TODAY - timedelta(days=3)
        for name, item, until in (("candidate", "steel", LATER), ("other", "pump", LATER), ("gone", "steel", past)):
            world.add(
                f"{name}:leave", "supplier_approval", site=site, number=f"SA-{name}", supplier=ids[name],
                item=ids[item], basis="audit", valid_to=until, state="active",
            )  # fmt: skip
        for name in ("candidate", "other", "gone", "supplier", "dropped"):
            by = ids["supplier" if name == "dropped" else name]
            lot = world.lot(
                f"from-{name}", item=ids["steel"], source="purchase", supplier=by, supplier_lot=name, state="quarantine"
            )
            inspected(world, f"from-{name}", lot)

    await furnish(plant, room)
    for name in ("candidate", "other", "gone"):
        await not_decided(plant, await asked(plant, f"from-{name}", kind="incoming"), "source_approved")
        await not_released(plant, ids[f"from-{name}"])
    await move(plant, "release_decision", await asked(plant, "from-supplier", kind="incoming"), "decide")
    await move(plant, "lot", ids["from-supplier"], "release")
    # Decided for while the supplier was approved for it, and not released before that was withdrawn.
    await move(plant, "release_decision", await asked(plant, "from-dropped", kind="incoming"), "decide")
    await move(plant, "supplier_approval", ids["approval"], "withdraw")
    await not_released(plant, ids["from-dropped"])


async def test_units_lots_and_places_on_hold_do_not_leave(plant: Plant) -> None:
    """A unit under hold, a unit of a lot under hold, a lot under an open nonconformance, a place under hold."""
    ids = plant.ids
    site = ids["site"]

    def room(world: World) -> None:
        world.add(
            "robot", "item", item_no="IT-ROBOT", name="机器人", type="finished", make_buy="make", base_uom=ids["pcs"],
            trace_level="serial", state="active",
        )  # fmt: skip
        world.add(
            "di", "udi_device", issuer="HIBCC", di="+A1", item=ids["robot"], package_level="unit", market="CN",
            db_status="published", published_at=BORN, pi_flags=("serial",), state="published",
        )  # fmt: skip
        lot = world.lot("robots", item=ids["robot"], source="production", work_order=ids["work"], state="released")
        decided(world, "robots:cn", lot, kind="market", market="CN")
        for name, state in (("one", "released"), ("two", "released"), ("raw", "wip"), ("alone", "wip")):
            of = None if name == "alone" else lot
            world.add(name, "serial_unit", site=site, di=ids["di"], serial=name, item=ids["robot"], lot=of, state=state)
        cause = {"site": site, "cause": AnyRef("nonconformance", ids["ncr"]), "because": "待查", "placed_at": BORN}
        for name in ("two", "raw"):
            world.add(f"{name}:hold", "inventory_hold", number=f"HD-{name}", serial=ids[name], **cause)
        world.add("store:hold", "inventory_hold", number="HD-S", location=ids["store"], **cause)
        world.add("shelf", "location", site=site, code="SHELF", type="finished")
        for unit in ("one", "two"):
            for place in ("store", "shelf"):
                world.add(
                    f"{unit}@{place}", "inventory_balance", site=site, location=ids[place], item=ids["robot"],
                    serial=ids[unit], quality_status="released", on_hand=Decimal(1), reserved=Decimal(0),
                )  # fmt: skip
        world.add(
            "licence", "registration", number="R2", authority="NMPA", kind="NMPA_reg", items=[ids["robot"]],
            holder=ids["legal"], issued_on=BORN.date(), expires_on=LATER, file=(dict(A_FILE),), state="active",
        )  # fmt: skip
        world.add(
            "us", "registration", number="R3", authority="FDA", kind="FDA_510k", items=[ids["robot"]],
            holder=ids["legal"], issued_on=BORN.date(), expires_on=LATER, file=(dict(A_FILE),), state="active",
        )  # fmt: skip
        for market, customer in (("CN", ids["customer"]), ("US", ids["customer"])):
            world.add(
                f"order:{market}", "sales_order", site=site, number=f"SO-{market}", customer=customer, market=market,
                ordered_on=BORN.date(), state="allocated",
            )  # fmt: skip

    await furnish(plant, room)
    for unit in ("raw", "alone"):  # under hold; and without a lot and without a record of its own
        await refused_move(plant, "serial_unit", ids[unit], "release", GuardFailed)
    await refused_move(plant, "serial_unit", ids["two"], "ship", GuardFailed)

    def leaves(unit: str, place: str) -> dict[str, Any]:
        return {
            "site": site, "type": "ship", "item": ids["robot"], "serial": ids[unit], "qty": "1",
            "from_location": ids[place], "from_status": "released", "performed_by": ids["li"],
        }  # fmt: skip

    await refused(plant, "inventory_movement", "lot_usable", **leaves("two", "shelf"))
    await refused(plant, "inventory_movement", "lot_usable", **leaves("one", "store"))
    # Without a shipment that has left nothing leaves the books, nor is a unit with anybody.
    await refused(plant, "inventory_movement", "shipped_by_a_shipment", **leaves("one", "shelf"))
    await refused_move(plant, "serial_unit", ids["one"], "ship", GuardFailed)

    async def packed(market: str, unit: str) -> UUID:
        line = {"line": 1, "item": ids["robot"], "lot": ids["robots"], "serial": ids[unit], "qty": "1"}
        return await created(plant, "shipment", site=site, sales_order=ids[f"order:{market}"], lines=[line])

    await refused_move(plant, "shipment", await packed("CN", "two"), "pack", RuleBroken)
    parcel, abroad = await packed("CN", "one"), await packed("US", "one")
    for each in (parcel, abroad):
        await move(plant, "shipment", each, "pack")
        await refused_move(plant, "shipment", each, "ship", GuardFailed)
        right = dict.fromkeys(("lot_ok", "label_ok", "package_ok", "papers_ok"), True)
        check = [{"lot": ids["robots"], "qty": "1", **right}]
        note = await created(
            plant, "delivery_review", site=site, shipment=each, reviewer=ids["zhao"], result="pass", checks=check
        )
        await move(plant, "delivery_review", note, "review")
    # Released to one market is not released to another, registered or not.
    with pytest.raises(RuleBroken) as error:
        await move(plant, "shipment", abroad, "ship")
    assert error.value.params["rule"] == "released_for_market"

    # Another lot put in after the review was not reviewed.
    made = {"item": ids["robot"], "source": "production", "work_order": ids["work"], "state": "released"}
    await furnish(plant, lambda world: world.lot("swapped", **made))
    (line,) = [each for each in (await plant.current("shipment_line")).values() if each["owner"] == parcel]
    for lot, serial, ships in (("swapped", None, False), ("swapped", ids["one"], False), ("robots", ids["one"], True)):
        change = {"lines": {"update": [{"id": line["id"], "lot": ids[lot], "serial": serial}]}}
        version = (await plant.current("shipment"))[parcel]["row_version"]
        repack = plant.commands.update(plant.why("repack"), "shipment", parcel, version, change)
        if ships:
            await repack
            continue
        with pytest.raises(RuleBroken):  # a unit of one lot does not leave as one of another
            await repack

    # A nonconformance while it waits on the dock, its lots named after the hold was placed.
    about = {"item": ids["robot"], "source": "OQC", "description": "松动", "defect": ids["defect"], "severity": "minor"}
    ncr = await created(plant, "nonconformance", site=site, lots=[ids["robots"]], **about)
    with pytest.raises(RuleBroken) as error:
        await move(plant, "shipment", parcel, "ship")
    assert error.value.params["rule"] == "released_lots_only"
    await move(plant, "nonconformance", ncr, "annul")
    # Its lot is blocked, with no hold: the unit is not shipped as one of a sound lot.
    await move(plant, "lot", ids["robots"], "block")
    with pytest.raises(RuleBroken):
        await move(plant, "shipment", parcel, "ship")
    await refused_move(plant, "serial_unit", ids["one"], "ship", GuardFailed)
    await move(plant, "lot", ids["robots"], "unblock")
    await move(plant, "release_decision", ids["robots:cn"], "withdraw")
    again = {"kind": "market", "market": "CN", "blocks": 1}
    await furnish(plant, lambda world: decided(world, "robots:again", ids["robots"], **again))
    await move(plant, "lot", ids["robots"], "release")
    await move(plant, "shipment", parcel, "ship")
    await move(plant, "serial_unit", ids["one"], "ship")
    await move(plant, "serial_unit", ids["one"], "return")
    await move(plant, "serial_unit", ids["one"], "rerelease")
    by = {"lot": ids["robots"], "doc": AnyRef("shipment", parcel)}
    await furnish(
        plant,
        lambda world: world.add(
            "one@shelf:lot", "inventory_balance", site=site, location=ids["shelf"], item=ids["robot"],
            lot=ids["robots"], serial=ids["one"], quality_status="released", on_hand=Decimal(2), reserved=Decimal(0),
        ),
    )  # fmt: skip
    await created(plant, "inventory_movement", **{**leaves("one", "shelf"), **by})
    await refused(plant, "inventory_movement", "no_more_than_shipped", **{**leaves("one", "shelf"), **by})


async def test_what_was_measured_decides_what_is_accepted(plant: Plant) -> None:
    """A reading out of its limits is not accepted by writing down that there was none, nor by measuring one piece
    twice, nor by taking the reading back; and what was judged, signed and decided stays."""
    ids = plant.ids
    site = {"site": ids["site"]}
    test = await created(plant, "inspection_lot", **site, lot=ids["new"], plan=ids["plan"], lot_size=9, n=2)
    await move(plant, "inspection_lot", test, "start")
    reading = {**site, "inspection_lot": test, "characteristic": ids["diameter"], "inspector": ids["li"]}
    bad = await created(plant, "inspection_result", **reading, sample=1, value="5.20")
    judged = {"judgement": "accept", "judged_by": ids["li"]}

    async def judge(rule: str) -> None:
        version = (await plant.current("inspection_lot"))[test]["row_version"]
        with pytest.raises(RuleBroken) as error:
            await plant.commands.update(plant.why("tested"), "inspection_lot", test, version, judged)
        assert error.value.params["rule"] == rule

    await judge("accept_by_readings")
    await move(plant, "inspection_result", bad, "supersede")
    mended = {"kind": "correction", "explanation": "读错"}
    version = (await plant.current("inspection_lot"))[test]["row_version"]
    await plant.commands.update(plant.why("tested"), "inspection_lot", test, version, judged)
    await created(plant, "inspection_result", **reading, sample=2, value="5.00")
    await created(plant, "inspection_result", **reading, sample=2, value="5.00", version=2, **mended)
    await refused_move(plant, "inspection_lot", test, "judge", GuardFailed)  # two readings, of one piece
    await created(plant, "inspection_result", **reading, sample=1, value="5.01", version=2, **mended)
    await move(plant, "inspection_lot", test, "judge")
    judged = {"judgement": "reject"}
    await judge("judgement_stands")

    decision = await asked(plant, "new", kind="incoming", conditions="无")
    await move(plant, "release_decision", decision, "decide")
    with pytest.raises(Frozen):
        await plant.commands.update(plant.why("x"), "release_decision", decision, 2, {"outcome": "reject"})
    with pytest.raises(RuleBroken) as error:
        await plant.commands.update(plant.why("longer"), "lot", ids["new"], 1, {"exp_on": str(LATER)})
    assert error.value.params["rule"] == "dates_stand_once_decided"


async def test_what_the_board_decided_is_not_changed_afterwards(plant: Plant) -> None:
    ids = plant.ids

    def room(world: World) -> None:
        world.add(
            "board", "nonconformance", site=ids["site"], number="NCR-B", source="IQC", found_at=BORN,
            item=ids["steel"], lots=[ids["good"]], description="划伤", defect=ids["defect"], severity="critical",
            containment="隔离", root_cause="夹具", disposition="rework", rework_instruction=ids["label"],
            rework_effect="无", state="executing",
        )  # fmt: skip

    await furnish(plant, room)
    for change in ({"severity": "minor"}, {"disposition": "regrade"}):
        with pytest.raises(RuleBroken) as error:
            await plant.commands.update(plant.why("x"), "nonconformance", ids["board"], 1, change)
        assert error.value.params["rule"] == "disposition_stands"
    await plant.commands.update(plant.why("rework failed"), "nonconformance", ids["board"], 1, {"disposition": "scrap"})


async def test_a_record_that_was_compiled_stays_whole(plant: Plant) -> None:
    await furnish(plant, lambda world: finished(world, "whole", record="compiled"))
    dhr, section = plant.ids["whole:dhr"], plant.ids["whole:section"]
    for change in ({"update": [{"id": section, "complete": False}]}, {"remove": [section]}):
        with pytest.raises(RuleBroken) as error:
            await plant.commands.update(plant.why("x"), "edhr", dhr, 1, {"sections": change})
        assert error.value.params["rule"] == "whole_when_reviewed"
