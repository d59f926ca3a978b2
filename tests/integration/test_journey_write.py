"""One write through all layers: rule, lock, history, a participant, audit leaf, outbox; on both engines."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from clew.audit.leaf import entries_of, verify_leaf
from clew.kernel.errors import BadInput, ClewError, Conflict, NotFound
from clew.kernel.ids import uuid7
from clew.kernel.scalars import FAR_FUTURE
from clew.kernel.text import Bilingual
from clew.records import outbox, verbs
from clew.records.errors import (
    AlreadyCorrected,
    BackwardRange,
    Cycle,
    DerivedOnly,
    Duplicate,
    Frozen,
    GuardFailed,
    KeyReused,
    Missing,
    OnLegalHold,
    Overlap,
    ReasonRequired,
    RuleBroken,
    SignatureRequired,
    Stale,
    UnknownInput,
    Voided,
    WrongState,
)
from clew.records.participants import Change
from clew.records.unit import Unit
from clew.storage import system
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, Quiet, a_lot, plant

pytestmark = pytest.mark.anyio


@pytest.fixture
async def mini(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened)
    await opened.close()


class Genealogy(Quiet):
    """Notes every lot on its item, derives a supplier lot, refuses lots of 13."""

    name = "genealogy"

    def wants(self, entity: Any) -> bool:
        return bool(entity.name == "lot")

    async def derive(self, change: Change, unit: Unit) -> Mapping[str, Any]:
        return {"supplier_lot": "derived"} if change.old is None else {}

    async def check(self, change: Change, unit: Unit) -> None:
        if change.new is not None and change.new["qty"] == 13:
            raise BadInput(what=Bilingual("十三不行", "not thirteen"))

    async def effect(self, change: Change, unit: Unit) -> None:
        if change.verb == "create" and change.new is not None:
            item = await unit.lock(unit.entity("item"), change.new["item"])
            assert item is not None
            await verbs.update(unit, "item", item["id"], None, {"produced_total": item["produced_total"] + 1})


async def test_one_write_through_all_layers(database: TestDatabase) -> None:
    opened = await database.open()
    mini = await plant(opened, participants=[Genealogy()])
    made = await mini.commands.create(mini.call, "lot", a_lot(mini, exp_on="2030-01-01"))
    changed = await mini.commands.update(mini.why("recount"), "lot", made.id, 1, {"qty": "8.5"})
    assert (made.row_version, changed.row_version) == (1, 2)

    row = (await mini.current("lot"))[made.id]
    assert row["qty"] == Decimal("8.5000")
    assert row["state"] == "quarantine"
    assert row["supplier_lot"] == "derived"
    assert row["number"].startswith("SHA")
    assert row["number"].endswith("0001")
    item = (await mini.current("item"))[mini.ids["RAW-1"]]
    assert (item["produced_total"], item["row_version"]) == (1, 2)

    first, second = await mini.history("lot", made.id)
    assert (first["row_version"], second["row_version"]) == (1, 2)
    assert first["tx_to"] == second["tx_from"] > first["tx_from"]
    assert second["tx_to"] == FAR_FUTURE
    assert {key: second[key] for key in row} == row

    leaves = {each["row_version"]: each for each in await mini.rows(system.leaf) if each["record_id"] == made.id}
    assert sorted(leaves) == [1, 2]
    assert all(verify_leaf(each["header"], each["fields"], each["digest"]) == () for each in leaves.values())
    assert leaves[2]["at"] == second["tx_from"]
    header = json.loads(leaves[2]["header"])
    assert (header["reason"], header["action"], header["actor"]) == (
        "recount",
        "update",
        str(mini.call.context.person.id),
    )
    qty = entries_of(leaves[2]["fields"])["qty"]
    assert (qty.old, qty.new) == ("10.0000", "8.5000")
    pending = {each["leaf_id"] for each in await mini.rows(system.leaf_pending)}
    assert pending == {each["leaf_id"] for each in await mini.rows(system.leaf)}

    async with opened.read() as connection:
        events = await outbox.read_batch(connection, range(outbox.LANES))
        mine = [each for each in events if each.record_id == made.id]
    assert [each.type for each in mine] == ["clew.lot.create", "clew.lot.update"]
    assert mine[1].data["subject"] == str(made.id)
    assert mine[1].data["data"]["changed"] == ["qty"]
    assert mine[0].site == mini.ids["SHA"]
    assert len({each.lane for each in mine}) == 1
    await outbox_is_drained(mini)

    with pytest.raises(BadInput, match="thirteen"):
        await mini.commands.update(mini.why("x"), "lot", made.id, 2, {"qty": "13"})
    assert len(await mini.history("lot", made.id)) == 2


async def outbox_is_drained(mini: Plant) -> None:
    async with mini.database.write() as connection:
        await outbox.delivered(connection, await outbox.read_batch(connection, range(outbox.LANES), 1000))
    assert await mini.rows(system.outbox_pending) == []
    assert await mini.rows(system.outbox) != []


@pytest.mark.parametrize(
    ("given", "error", "path"),
    [
        ({"qty": "-1"}, BadInput, ("input", "qty")),
        ({"qty": None}, Missing, ("input", "qty")),
        ({"qty": "1.00001"}, BadInput, ("input", "qty")),
        ({"qty": "NaN"}, BadInput, ("input", "qty")),
        ({"exp_on": "2020-01-01"}, RuleBroken, ("input", "exp_on")),
        ({"item": str(uuid7())}, BadInput, ("input", "item")),
        ({"item": "RAW-1"}, BadInput, ("input", "item")),
        ({"supplier_lot": " x"}, BadInput, ("input", "supplier_lot")),
        ({"supplier_lot": "a\u202eb"}, BadInput, ("input", "supplier_lot")),
        ({"parents": ["x"]}, BadInput, ("input", "parents", 0)),
        ({"parents": [str(uuid7())]}, BadInput, ("input", "parents")),
        ({"number": "MINE-1"}, BadInput, ("input", "number")),
        ({"expired": True}, BadInput, ("input", "expired")),
    ],
)
async def test_refused_inputs_name_their_place_and_write_nothing(
    mini: Plant, given: dict[str, Any], error: type[ClewError], path: tuple[str | int, ...]
) -> None:
    before = len(await mini.rows(system.leaf))
    with pytest.raises(error) as refused:
        await mini.commands.create(mini.call, "lot", a_lot(mini, **given))
    assert refused.value.path == path
    assert refused.value.message("zh") != refused.value.message("en")
    assert await mini.current("lot") == {}
    assert await mini.rows(mini.tables.history("lot")) == []
    assert len(await mini.rows(system.leaf)) == before


async def test_lost_update(mini: Plant) -> None:
    made = await mini.commands.create(mini.call, "lot", a_lot(mini))
    await mini.commands.update(mini.why("one"), "lot", made.id, 1, {"qty": "1"})
    with pytest.raises(Stale) as refused:
        await mini.commands.update(mini.why("two"), "lot", made.id, 1, {"qty": "2"})
    assert refused.value.status == 409
    assert refused.value.params["current"] == 2
    assert (await mini.current("lot"))[made.id]["qty"] == 1


async def test_one_winner(mini: Plant, tier: Any) -> None:
    made = await mini.commands.create(mini.call, "lot", a_lot(mini))
    rivals = tier.count(12, 50)

    async def approve(at: int) -> str:
        try:
            await mini.commands.update(mini.why(f"rival {at}"), "lot", made.id, 1, {"qty": str(at + 100)})
        except ClewError as error:
            return error.code
        return "won"

    answers = await asyncio.gather(*(approve(at) for at in range(rivals)))
    assert sorted(answers) == ["CONFLICT"] * (rivals - 1) + ["won"]
    assert [each["row_version"] for each in await mini.history("lot", made.id)] == [1, 2]
    assert sum(each["record_id"] == made.id for each in await mini.rows(system.leaf)) == 2


async def test_lines_are_written_with_their_owner(mini: Plant) -> None:
    part = (await mini.commands.create(mini.call, "item", {"item_no": "RAW-2", "name": "针"})).id
    line = {"position": 1, "component": part, "qty": "2"}
    given = {"item_no": "FIN-1", "name": "成品", "kind": "finished", "shelf_life_days": 30, "boms": [line]}
    made = await mini.commands.create(mini.call, "item", given)
    (first,) = (await mini.current("bom_line")).values()
    assert (first["owner"], first["row_version"], first["qty"]) == (made.id, 1, 2)

    changes = {"boms": {"add": [{**line, "position": 2}], "update": [{"id": first["id"], "qty": "3"}]}}
    changed = await mini.commands.update(mini.call, "item", made.id, 1, changes)
    assert changed.row_version == 2
    lines = {each["position"]: each for each in (await mini.current("bom_line")).values()}
    assert (lines[1]["qty"], lines[1]["row_version"], lines[2]["row_version"]) == (3, 2, 1)

    whole = {"boms": [{"position": 2, "component": part, "qty": "9"}]}
    await mini.commands.update(mini.call, "item", made.id, 2, whole)
    (kept,) = (await mini.current("bom_line")).values()
    assert (kept["id"], kept["qty"], kept["row_version"]) == (lines[2]["id"], 9, 2)
    removed = await mini.history("bom_line", first["id"])
    assert [each["row_version"] for each in removed] == [1, 2]
    assert removed[-1]["tx_to"] < FAR_FUTURE
    versions = sorted(each["row_version"] for each in await mini.rows(system.leaf) if each["record_id"] == first["id"])
    assert versions == [1, 2, 3]

    with pytest.raises(BadInput) as refused:
        await mini.commands.update(mini.call, "item", made.id, 3, {"boms": {"add": [{**line, "qty": "0"}]}})
    assert refused.value.path == ("input", "boms", "add", 0, "qty")
    with pytest.raises(Duplicate) as twice:
        await mini.commands.update(mini.call, "item", made.id, 3, {"boms": {"add": [{**line, "position": 2}]}})
    assert "position" in twice.value.params["names"]
    with pytest.raises(Cycle):
        await mini.commands.update(mini.call, "item", part, 1, {"boms": [{**line, "component": made.id}]})
    assert (await mini.current("item"))[made.id]["row_version"] == 3


async def test_links_keep_their_history(mini: Plant) -> None:
    one, two, three = [(await mini.commands.create(mini.call, "lot", a_lot(mini))).id for _ in range(3)]
    await mini.commands.update(mini.call, "lot", three, 1, {"parents": [one]})
    await mini.commands.update(mini.call, "lot", three, 2, {"parents": {"add": [two], "remove": [one]}})
    assert [row["target"] for row in await mini.rows(mini.tables.link("lot", "parents"))] == [two]
    versions = await mini.history("lot", three)
    past = await mini.rows(mini.tables.link_history("lot", "parents"))

    def as_of(version: dict[str, Any]) -> set[UUID]:
        at = version["tx_from"]
        return {row["target"] for row in past if row["tx_from"] <= at < row["tx_to"]}

    assert [as_of(version) for version in versions] == [set(), {one}, {two}]


async def test_transitions(mini: Plant) -> None:
    lot = await mini.commands.create(mini.call, "lot", a_lot(mini, qty="0"))
    with pytest.raises(GuardFailed, match="without quantity"):
        await mini.commands.transition(mini.call, "lot", lot.id, "release", 1)
    await mini.commands.update(mini.why("found"), "lot", lot.id, 1, {"qty": "1"})
    released = await mini.commands.transition(mini.call, "lot", lot.id, "release", 2)
    assert released.row_version == 3
    with pytest.raises(WrongState):
        await mini.commands.transition(mini.call, "lot", lot.id, "release", 3)
    with pytest.raises(ReasonRequired):
        await mini.commands.transition(mini.call, "lot", lot.id, "reject", 3)
    with pytest.raises(NotFound):
        await mini.commands.transition(mini.call, "lot", lot.id, "no_such_move", 3)
    leaves = [each["action"] for each in await mini.rows(system.leaf) if each["record_id"] == lot.id]
    assert sorted(leaves) == ["create", *["decide.refuse"] * 3, "transition:release", "update"]

    given = {"site": mini.ids["SHA"], "severity": "minor", "subject": {"entity": "lot", "id": lot.id}, "lots": [lot.id]}
    open_action = {**given, "actions": [{"what": "sort", "due": "2026-12-24"}]}
    report = await mini.commands.create(mini.call, "nonconformance", open_action)
    with pytest.raises(GuardFailed):
        await mini.commands.transition(mini.call, "nonconformance", report.id, "close", 1)
    (action,) = (await mini.current("nonconformance_actions")).values()
    done = {"actions": {"update": [{"id": action["id"], "done": True}]}}
    await mini.commands.update(mini.call, "nonconformance", report.id, 1, done)
    await mini.commands.transition(mini.call, "nonconformance", report.id, "close", 2)
    closed = (await mini.current("nonconformance"))[report.id]
    assert (closed["state"], closed["closed_on"]) == (
        "closed",
        closed["updated_at"].astimezone(mini.commands.engine.zone).date(),
    )


async def test_a_signature_is_never_skipped(database: TestDatabase) -> None:
    mini = await plant(await database.open())
    mini.commands.engine.signer = None
    lot = await mini.commands.create(mini.call, "lot", a_lot(mini))
    with pytest.raises(SignatureRequired):
        await mini.commands.transition(mini.call, "lot", lot.id, "release", 1)
    assert (await mini.current("lot"))[lot.id]["state"] == "quarantine"


async def test_reasons_and_voiding(mini: Plant) -> None:
    lot = await mini.commands.create(mini.call, "lot", a_lot(mini))
    with pytest.raises(ReasonRequired) as refused:
        await mini.commands.update(mini.call, "lot", lot.id, 1, {"qty": "11"})
    assert refused.value.path == ("reason",)
    with pytest.raises(ReasonRequired):
        await mini.commands.void(mini.call, "lot", lot.id, 1)
    await mini.commands.void(mini.why("entered twice"), "lot", lot.id, 1)
    row = (await mini.current("lot"))[lot.id]
    assert (row["void_reason"], row["row_version"]) == ("entered twice", 2)
    with pytest.raises(Voided):
        await mini.commands.update(mini.why("late"), "lot", lot.id, 2, {"qty": "1"})
    with pytest.raises(BadInput):
        await mini.commands.create(mini.call, "serial_unit", {"lot": lot.id, "serial": "S1"})


async def test_frozen_records_are_corrected_by_a_new_one(mini: Plant) -> None:
    lot = await mini.commands.create(mini.call, "lot", a_lot(mini))
    given = {"site": mini.ids["SHA"], "lot": lot.id, "reading": "1.25"}
    record = await mini.commands.create(mini.call, "test_record", given)
    await mini.commands.update(mini.call, "test_record", record.id, 1, {"reading": "1.5"})
    await mini.commands.transition(mini.call, "test_record", record.id, "close", 2)
    with pytest.raises(Frozen):
        await mini.commands.update(mini.call, "test_record", record.id, 3, {"reading": "2"})
    with pytest.raises(ReasonRequired):
        await mini.commands.correct(mini.call, "test_record", record.id, 3, {"reading": "2"})
    corrected = await mini.commands.correct(mini.why("misread"), "test_record", record.id, 3, {"reading": "2"})
    rows = await mini.current("test_record")
    new, old = rows[corrected.id], rows[record.id]
    assert (new["corrects"], new["reading"], new["lot"], new["state"]) == (record.id, 2, lot.id, "open")
    assert (new["thread_id"], old["reading"], old["row_version"]) == (record.id, Decimal("1.5"), 3)
    with pytest.raises(AlreadyCorrected):
        await mini.commands.correct(mini.why("again"), "test_record", record.id, 3, {"reading": "3"})


async def test_what_is_on_legal_hold_is_not_voided(mini: Plant) -> None:
    """Domain F3: a legal hold overrides retention. It is put on and lifted with a reason, also on a frozen record."""
    lot = await mini.commands.create(mini.call, "lot", a_lot(mini))
    assert (await mini.current("lot"))[lot.id]["legal_hold"] is False
    with pytest.raises(UnknownInput):
        await mini.commands.create(mini.call, "lot", {**a_lot(mini), "legal_hold": True})
    with pytest.raises(ReasonRequired):
        await mini.commands.update(mini.call, "lot", lot.id, 1, {"legal_hold": True})
    await mini.commands.update(mini.why("case 12"), "lot", lot.id, 1, {"legal_hold": True})
    with pytest.raises(OnLegalHold):
        await mini.commands.void(mini.why("entered twice"), "lot", lot.id, 2)
    await mini.commands.update(mini.why("case 12 closed"), "lot", lot.id, 2, {"legal_hold": False})
    await mini.commands.void(mini.why("entered twice"), "lot", lot.id, 3)

    given = {"site": mini.ids["SHA"], "lot": (await mini.commands.create(mini.call, "lot", a_lot(mini))).id}
    record = await mini.commands.create(mini.call, "test_record", {**given, "reading": "1.25"})
    await mini.commands.transition(mini.call, "test_record", record.id, "close", 1)
    changes = {"legal_hold": True, "reading": "2"}
    with pytest.raises(Frozen):
        await mini.commands.update(mini.why("case 13"), "test_record", record.id, 2, changes)
    await mini.commands.update(mini.why("case 13"), "test_record", record.id, 2, {"legal_hold": True})
    corrected = await mini.commands.correct(mini.why("misread"), "test_record", record.id, 3, {"reading": "2"})
    held = await mini.current("test_record")
    assert (held[record.id]["legal_hold"], held[corrected.id]["legal_hold"]) == (True, True)
    assert held[record.id]["reading"] == Decimal("1.25")


async def test_a_range_does_not_end_before_it_begins(mini: Plant) -> None:
    supplier = await mini.commands.create(mini.call, "supplier", {"name": "Acme"})
    approval = {"site": mini.ids["SHA"], "supplier": supplier.id, "item": mini.ids["RAW-1"]}
    given = {**approval, "valid_from": "2026-05-02", "valid_to": "2026-05-01"}
    with pytest.raises(BackwardRange) as refused:
        await mini.commands.create(mini.call, "supplier_approval", given)
    assert refused.value.path == ("input", "valid_to")
    await mini.commands.create(mini.call, "supplier_approval", {**given, "valid_to": "2026-05-02"})


async def test_balances_come_from_postings_only(mini: Plant) -> None:
    given = {"site": mini.ids["SHA"], "item": mini.ids["RAW-1"]}
    with pytest.raises(DerivedOnly):
        await mini.commands.create(mini.call, "balance", {**given, "on_hand": "1"})
    for qty in ("7", "-3"):
        await mini.commands.create(mini.call, "movement", {**given, "qty": qty})
    (balance,) = (await mini.current("balance")).values()
    assert (balance["on_hand"], balance["row_version"]) == (4, 2)
    with pytest.raises(BadInput):
        await mini.commands.create(mini.call, "movement", {**given, "qty": "-5"})
    assert len(await mini.current("movement")) == 2
    (first, *_) = (await mini.current("movement")).keys()
    with pytest.raises(Conflict):
        await mini.commands.void(mini.why("oops"), "movement", first, 1)
    report = await mini.commands.bulk(mini.call, "movement", [{**given, "qty": "1"} for _ in range(5)])
    assert report.committed
    (balance,) = (await mini.current("balance")).values()
    assert (balance["on_hand"], balance["row_version"]) == (9, 3)
    assert len(await mini.history("balance", balance["id"])) == 3


async def test_ranges_of_active_records_do_not_overlap(mini: Plant) -> None:
    supplier = await mini.commands.create(mini.call, "supplier", {"name": "王记"})
    given = {"site": mini.ids["SHA"], "supplier": supplier.id, "item": mini.ids["RAW-1"]}
    one = await mini.commands.create(
        mini.call, "supplier_approval", {**given, "valid_from": "2026-01-01", "valid_to": "2026-06-30"}
    )
    two = await mini.commands.create(mini.call, "supplier_approval", {**given, "valid_from": "2026-06-30"})
    await mini.commands.transition(mini.call, "supplier_approval", one.id, "approve", 1)
    with pytest.raises(Overlap):
        await mini.commands.transition(mini.call, "supplier_approval", two.id, "approve", 1)
    await mini.commands.update(mini.call, "supplier_approval", two.id, 1, {"valid_from": "2026-07-01"})
    await mini.commands.transition(mini.call, "supplier_approval", two.id, "approve", 2)
    assert {each["state"] for each in (await mini.current("supplier_approval")).values()} == {"active"}


async def test_an_idempotency_key_answers_twice_and_acts_once(mini: Plant) -> None:
    call = mini.why("because", idempotency_key="k1")
    answers = await asyncio.gather(*(mini.commands.create(call, "lot", a_lot(mini)) for _ in range(6)))
    assert len({answer.id for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert len(await mini.current("lot")) == 1
    with pytest.raises(KeyReused):
        await mini.commands.create(call, "lot", a_lot(mini, qty="11"))
    with pytest.raises(ClewError):
        await mini.commands.create(mini.why("x", idempotency_key="k2"), "lot", a_lot(mini, qty="-1"))
    assert (await mini.commands.create(mini.why("x", idempotency_key="k2"), "lot", a_lot(mini))).replayed is False


async def test_upsert_by_key(mini: Plant) -> None:
    given = {"item_no": "RAW-9", "name": "管"}
    one = await mini.commands.upsert(mini.call, "item", given)
    two = await mini.commands.upsert(mini.call, "item", {**given, "name": "管子"})
    three = await mini.commands.upsert(mini.call, "item", {**given, "name": "管子"})
    assert (one.created, two.created, three.row_version) == (True, False, 2)
    assert one.id == two.id == three.id


@pytest.mark.parametrize("mode", ["all", "good", "dry"])
async def test_bulk_reports_every_row(mini: Plant, mode: Any) -> None:
    rows = [a_lot(mini, qty=qty) for qty in ("1", "-1", "2", "x", "3")]
    report = await mini.commands.bulk(mini.call, "lot", rows, mode=mode)
    assert [each.error.code if each.error else None for each in report.rows] == [
        None, "VALUE_BOUNDS", None, "VALUE_TYPE", None,
    ]  # fmt: skip
    assert report.rows[1].error is not None
    assert report.rows[1].error.path == ("inputs", 1, "qty")
    assert report.committed is (mode == "good")
    assert len(await mini.current("lot")) == (3 if mode == "good" else 0)
    numbers = sorted(each["number"][-4:] for each in (await mini.current("lot")).values())
    assert numbers == (["0001", "0002", "0003"] if mode == "good" else [])


async def test_numbers_without_gaps_and_beside_imported_ones(mini: Plant) -> None:
    for name in ("a", "b", "c"):
        await mini.commands.create(mini.call, "supplier", {"name": name})
    foreign = mini.why("migration", foreign=True)
    await mini.commands.create(foreign, "supplier", {"name": "d", "number": "SUP00005"})
    for name in ("e", "f"):
        await mini.commands.create(mini.call, "supplier", {"name": name})
    numbers = {each["name"]: each["number"] for each in (await mini.current("supplier")).values()}
    assert numbers == {
        "a": "SUP00001", "b": "SUP00002", "c": "SUP00003", "d": "SUP00005", "e": "SUP00004", "f": "SUP00006",
    }  # fmt: skip


async def test_time_never_runs_backwards_for_a_record(database: TestDatabase) -> None:
    from clew.testing import ManualClock

    clock = ManualClock()
    mini = await plant(await database.open(clock=clock))
    lot = await mini.commands.create(mini.call, "lot", a_lot(mini))
    clock.advance(timedelta(hours=-5))
    for version in range(1, 4):
        await mini.commands.update(mini.why("x"), "lot", lot.id, version, {"qty": str(version)})
    times = [each["tx_from"] for each in await mini.history("lot", lot.id)]
    assert times == sorted(set(times))


async def test_two_writes_of_one_record_in_one_transaction_are_one_version(mini: Plant) -> None:
    async def work(unit: Unit) -> UUID:
        lot = await verbs.create(unit, "lot", a_lot(mini))
        await verbs.update(unit, "lot", lot["id"], 1, {"qty": "3"})
        await verbs.transition(unit, "lot", lot["id"], "release", 1)
        return lot["id"]  # type: ignore[no-any-return]

    record_id = await mini.commands.run(mini.why("in one go"), work)
    (only,) = await mini.history("lot", record_id)
    assert (only["row_version"], only["qty"], only["state"]) == (1, 3, "released")
    (leaf,) = [each for each in await mini.rows(system.leaf) if each["record_id"] == record_id]
    assert (leaf["action"], entries_of(leaf["fields"])["qty"].new) == ("create", "3.0000")
    events = [each["type"] for each in await mini.rows(system.outbox) if each["record_id"] == record_id]
    assert sorted(events) == ["clew.lot.create", "clew.lot.release", "clew.lot.update"]
