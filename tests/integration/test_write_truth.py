"""What a write leaves behind says what it did: its leaf, its versions, its numbers, the decisions against it, the copy
that corrects it, and what was signed before the project changed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from clew.audit.sealing import log
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.records import commands, numbers, verbs
from clew.records.decisions import stored
from clew.records.decisions.replay import Replayer
from clew.records.errors import Duplicate, RuleBroken
from clew.records.reconcile import reconcile
from clew.records.survey import violations
from clew.records.unit import Unit
from clew.runtime import TEXTS, stored_blueprint
from clew.storage import system
from clew.storage.change import apply
from clew.storage.change import plan as plan_change
from clew.storage.change.reflect import reflect
from clew.storage.ddl import Ddl
from clew.storage.engine import Database
from clew.storage.schema import current_shape
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from signing_world import Office, office
from write_journey import Plant, a_lot, mini, plant

pytestmark = pytest.mark.anyio
STEPS = "  steps: {type: lines, fields: {what: {type: text}, lots: {type: many, of: lot}%s}}\n  taken_at:"
QTY = "  qty:          {type: decimal, scale: 4, min: 0"
DATA = "  data: {type: json, schema: {type: object}}\n" + QTY
UNITS = (
    "  weight: {type: decimal, scale: 4}\n  most: {type: decimal, scale: 2}\n"
    'unique:\n  - {fields: [lot], while: "weight > 5"}\n  - {fields: [most], while: "weight == most"}\n'
)


def mini_with(*edits: tuple[str, str]) -> Blueprint:
    """The mini project with texts of its files replaced."""
    sources = dict(mini().sources)
    for was, now in edits:
        [file] = [name for name, text in sources.items() if was in text]
        sources[file] = sources[file].replace(was, now, 1)
    loaded = load_sources(sources)
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


@pytest.fixture
async def shop(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    blueprint = mini_with(
        (QTY, DATA),
        ("  taken_at:", STEPS % ""),
        ("unique:\n  - {fields: [serial]", UNITS + "  - {fields: [serial]"),
    )
    yield await plant(opened, blueprint=blueprint)
    await opened.close()


async def lots(shop: Plant, count: int, **given: Any) -> list[UUID]:
    return [(await shop.commands.create(shop.call, "lot", a_lot(shop, **given))).id for _ in range(count)]


async def told(shop: Plant, record_id: UUID, row_version: int) -> dict[str, Any]:
    """What the one leaf of a version says."""
    leaves = await shop.rows(system.leaf)
    [leaf] = [each for each in leaves if (each["record_id"], each["row_version"]) == (record_id, row_version)]
    return {name: each["n"] for name, each in json.loads(leaf["fields"]).items()}


async def differences(shop: Plant) -> list[str]:
    await log.seal_all(shop.database)
    return [each.text().en async for each in reconcile(shop.database, shop.tables)]


async def test_a_list_that_is_changed_twice_is_told_whole(shop: Plant) -> None:
    """Links and lines of one record, written several times by one transaction, are one leaf."""
    a, b, c, d = await lots(shop, 4)
    await shop.commands.update(shop.why("x"), "lot", a, 1, {"parents": [d]})
    given = {"site": shop.ids["SHA"], "lot": a, "reading": "1", "steps": [{"what": "first"}]}
    record = (await shop.commands.create(shop.call, "test_record", given)).id

    async def work(unit: Unit) -> list[UUID]:
        for change in ({"add": [b]}, {"remove": [b, d]}, {"add": [b, c]}):
            await verbs.update(unit, "lot", a, None, {"parents": change})
        for change in ({"add": [{"what": "second"}]}, {"add": [{"what": "third"}]}):
            await verbs.update(unit, "test_record", record, None, {"steps": change})
        line = unit.engine.tables.current("test_record_steps")
        rows = await unit.connection.fetch(sa.select(line.c.id, line.c.what))
        at = {what: row_id for row_id, what in rows}
        gone = {
            "update": [{"id": at["first"], "what": "1"}, {"id": at["second"], "what": "2"}],
            "remove": [at["third"]],
        }
        await verbs.update(unit, "test_record", record, None, {"steps": gone})
        return [at["first"], at["second"]]

    first, second = await shop.commands.run(shop.why("x"), work)
    assert (await told(shop, a, 3))["parents"] == {"added": sorted(map(str, (b, c))), "removed": [str(d)]}
    assert (await told(shop, record, 2))["steps"] == {"added": [str(second)], "changed": [str(first)]}
    assert await differences(shop) == []


async def test_json_that_python_takes_for_equal_is_a_change(shop: Plant) -> None:
    [lot] = await lots(shop, 1, data={"sterile": 1, "list": [{"x": 0}]})
    for row_version, data in enumerate(
        ({"sterile": True, "list": [{"x": 0}]}, {"sterile": True, "list": [{"x": False}]}), 2
    ):
        await shop.commands.update(shop.why("x"), "lot", lot, row_version - 1, {"data": data})
        found = (await shop.current("lot"))[lot]["data"]
        assert json.dumps(found, sort_keys=True) == json.dumps(data, sort_keys=True)


async def test_a_correction_keeps_what_lines_are_linked_to(shop: Plant) -> None:
    a, b = await lots(shop, 2)
    given = {
        "site": shop.ids["SHA"],
        "lot": a,
        "reading": "1",
        "steps": [{"what": "mix", "lots": [a, b]}, {"what": "fill"}],
    }
    record = (await shop.commands.create(shop.call, "test_record", given)).id
    await shop.commands.transition(shop.call, "test_record", record, "close", 1)
    await shop.commands.correct(shop.why("misread"), "test_record", record, 2, {"reading": "2"})
    table, line = shop.tables.link("test_record_steps", "lots"), shop.tables.current("test_record_steps")
    lines = {each["id"]: each["what"] for each in await shop.rows(line)}
    linked = sorted((lines[each["owner"]], each["target"]) for each in await shop.rows(table))
    assert linked == sorted([("mix", a), ("mix", b)] * 2)


async def test_a_line_is_known_by_its_key_however_that_is_written(database: TestDatabase) -> None:
    """As a decimal with fewer places, as a letter with its accent apart, as an id in capitals."""
    line = """entity: mix_step
label: {zh: x, en: x}
class: transaction
part_of: test_record
key: [owner, name, at, lot]
fields:
  name: {type: text, required: true}
  at: {type: decimal, scale: 4, required: true}
  lot: {type: ref, of: lot, required: true}
  note: {type: text}
---
entity: test_record
"""
    field = "  steps: {type: lines, of: mix_step}\n  taken_at:"
    shop = await plant(
        await database.open(), blueprint=mini_with(("entity: test_record\n", line), ("  taken_at:", field))
    )
    [lot] = await lots(shop, 1)
    step = {"name": "caf\u00e9", "at": "1.5000", "lot": str(lot)}
    given = {"site": shop.ids["SHA"], "lot": lot, "reading": "1", "steps": [step]}
    record = (await shop.commands.create(shop.call, "test_record", given)).id
    before = await shop.current("mix_step")
    same = {"name": "cafe\u0301", "at": "1.5", "lot": str(lot).upper(), "note": "hot"}
    await shop.commands.update(shop.why("x"), "test_record", record, 1, {"steps": [same]})
    after = await shop.current("mix_step")
    assert after.keys() == before.keys()
    assert [each["note"] for each in after.values()] == ["hot"]


@pytest.mark.parametrize("together", [True, False])
async def test_a_version_begins_after_the_one_that_no_command_began(shop: Plant, together: bool) -> None:
    """A change of the model made a version a moment ago, by a clock that was ahead of ours since."""
    [lot] = await lots(shop, 1)
    history = shop.tables.history("lot")

    async def ahead(connection: Any) -> None:
        later = await connection.now() + timedelta(seconds=5)
        await connection.execute(sa.update(history).where(history.c.id == lot).values(tx_from=later))

    await shop.database.run_write(ahead)

    async def work(unit: Unit) -> None:
        await verbs.update(unit, "lot", lot, None, {"qty": "20"})

    if together:
        await shop.commands.run(shop.why("x"), work)
    else:
        await shop.commands.update(shop.why("x"), "lot", lot, 1, {"qty": "20"})
    first, last = await shop.history("lot", lot)
    assert (first["row_version"], last["row_version"]) == (1, 2)
    assert first["tx_from"] < first["tx_to"] == last["tx_from"]


async def test_numbers_that_were_given_by_hand_are_left_out(shop: Plant) -> None:
    """Several at once, of which nobody says which was taken; and a counter without gaps, which would say the same for
    ever."""
    await shop.commands.create(shop.call, "supplier", {"name": "a"})
    elsewhere = await plant(shop.database, blueprint=shop.blueprint, fresh=False)
    given = {"name": "b", "number": "SUP00002"}
    await elsewhere.commands.create(elsewhere.why("migration", foreign=True), "supplier", given)

    async def work(unit: Unit) -> None:
        for name in "cd":
            await verbs.create(unit, "supplier", {"name": name})

    await shop.commands.run(shop.call, work)
    found = sorted(each["number"] for each in (await shop.current("supplier")).values())
    assert found == ["SUP00001", "SUP00002", "SUP00003", "SUP00004"]

    [lot] = await lots(shop, 1)
    table = shop.tables.current("lot")
    first = (await shop.current("lot"))[lot]["number"]
    following = [f"{first[:-1]}{int(first[-1]) + step}" for step in (1, 2)]

    async def give(connection: Any) -> None:
        """As if it had been given for the year that has begun since."""
        await connection.execute(sa.update(table).where(table.c.id == lot).values(number=following[0]))

    await shop.database.run_write(give)
    [other] = await lots(shop, 1)
    assert (await shop.current("lot"))[other]["number"] == following[1]


async def test_many_rows_need_few_blocks_of_numbers(shop: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block that has to be fetched begins the whole of it anew: so they grow with what it has used."""
    monkeypatch.setattr(numbers, "LARGEST_BLOCK", 16)
    monkeypatch.setattr(commands, "_RESTARTS", 10)
    outcome = await shop.commands.bulk(shop.call, "supplier", [{"name": f"S {at}"} for at in range(300)])
    assert outcome.failed == ()
    found = sorted(each["number"] for each in (await shop.current("supplier")).values())
    assert found == [f"SUP{at:05d}" for at in range(1, 301)]


async def test_refusals_at_once_are_all_kept(shop: Plant) -> None:
    empty = await lots(shop, 8, qty="0")

    async def refused(lot: UUID) -> None:
        with pytest.raises(ClewError) as error:
            await shop.commands.transition(shop.call, "lot", lot, "release", 1)
        assert error.value.code == "GUARD"

    await asyncio.gather(*map(refused, empty))
    assert sorted(each["record_id"] for each in await shop.rows(system.decision)) == sorted(empty)
    assert shop.commands.refusals.waiting == 0


async def test_what_is_unique_while_numbers_compare_is_so_on_every_database(shop: Plant) -> None:
    """The condition of a partial index: numbers of different decimal places, and two that are missing."""
    [lot] = await lots(shop, 1)
    number = iter(range(100))

    async def unit(**given: Any) -> str:
        serial = f"S{next(number)}"
        try:
            await shop.commands.create(shop.call, "serial_unit", {"lot": lot, "serial": serial, **given})
        except Duplicate as refused:
            return ", ".join(refused.params["names"])
        return "made"

    light = [await unit(weight=weight) for weight in ("4.9", "5", "0.5")]
    heavy = [await unit(weight=weight) for weight in ("5.0001", "6")]
    assert (light, heavy) == (["made"] * 3, ["made", "lot"])
    assert [await unit(weight="1.5", most="1.5"), await unit(weight="1.5", most="150"), await unit()] == ["made"] * 3
    assert await unit(weight="1.50", most="1.50") == "most"


RULES = 'states: [open, closed]\ntransitions:\n  close: {from: open, to: closed, when: "actions'


@pytest.mark.parametrize(
    "rule", ["old == null || old.subject.row_version < 2", "old == null || old.subject == subject || size(lots) > 1"]
)
async def test_a_rule_knows_what_a_reference_to_one_of_several_kinds_pointed_at(
    database: TestDatabase, rule: str
) -> None:
    said = f'rules:\n  - {{require: "{rule}", say: {{zh: x, en: x}}}}\n{RULES}'
    shop = await plant(await database.open(), blueprint=mini_with((RULES, said)))
    a, b = await lots(shop, 2)
    severity = min(shop.blueprint.code_lists["severity"].codes)
    given = {"site": shop.ids["SHA"], "severity": severity, "subject": {"entity": "lot", "id": a}, "lots": [a]}
    record = (await shop.commands.create(shop.call, "nonconformance", given)).id
    await shop.commands.update(shop.why("x"), "nonconformance", record, 1, {"closed_on": "2030-01-01"})
    await shop.commands.update(shop.why("x"), "lot", a, 1, {"qty": "2"})
    with pytest.raises(RuleBroken):
        await shop.commands.update(shop.why("x"), "nonconformance", record, 2, {"subject": {"entity": "lot", "id": b}})
    async with shop.database.read() as connection:
        args = {**dict.fromkeys(("user.id", "user.login")), "now": await connection.now()}
        broken = [each.rule for each in await violations(connection, shop.tables, args)]
    assert len(broken) == ("row_version" in rule)


@pytest.mark.parametrize("name", ["expired", "parents.exists(p, p.qty > 0)", "children.exists(p, p.qty > 0)"])
def test_what_the_record_before_a_change_does_not_hold_is_refused(name: str) -> None:
    sources = dict(mini().sources)
    was, now = (
        'rules:\n  - require: "exp_on ==',
        f'rules:\n  - require: "old == null || old.{name}"\n    say: {{zh: x, en: x}}\n  - require: "exp_on ==',
    )
    [file] = [each for each, text in sources.items() if was in text]
    sources[file] = sources[file].replace(was, now)
    codes = {each.rule.code for each in load_sources(sources).diagnostics}
    assert codes == {"CONDITION_NOT_IN_SQL"}


async def test_an_index_whose_condition_was_written_in_other_words_is_made_anew(database: TestDatabase) -> None:
    opened = await database.open()
    shop = await plant(opened)
    shape = current_shape(shop.blueprint, shop.tables.catalog, opened.dialect, "supplier_approval")
    [index] = [each for each in shape.indexes if each.where]
    before = replace(index, name=index.name[:-8] + "0123abcd", where="state = 'active'")
    ddl = Ddl(opened.dialect)
    async with opened.migrate() as connection:
        await connection.run_sql(ddl.drop_index(index.name))
        await connection.run_sql(ddl.create_index(before))
    await moved_to(opened, mini_with(("label: {zh: 供应商准入", "label: {zh: 供应商批准")))
    async with opened.read() as connection:
        names = (await reflect(connection)).indexes
    assert index.name in names
    assert before.name not in names


async def moved_to(opened: Database, new: Blueprint) -> None:
    release = await plan_change(opened, new, load=stored_blueprint)
    await apply(opened, release, load=stored_blueprint, texts=TEXTS, consents=frozenset(release.needs))


async def test_signatures_and_decisions_outlive_values_given_by_a_release(database: TestDatabase) -> None:
    """A release gives a record and its lines values they had not. What was signed before still holds, what is signed
    after holds too, and decisions are replayed on what stood when they were taken."""
    opened = await database.open()
    made = await office(opened, blueprint=mini_with(("  taken_at:", STEPS % "")))

    async def record(of: Office) -> UUID:
        given = {
            "site": made.plant.ids["SHA"],
            "lot": signed,
            "reading": "1",
            "steps": [{"what": "mix", "lots": [signed]}],
        }
        return (await of.plant.commands.create(of.plant.call, "test_record", given)).id

    async def close(of: Office, record_id: UUID) -> None:
        signing = await of.signing(record_id, 1, meaning="verification", entity="test_record")
        await of.plant.commands.transition(of.call(signing=signing), "test_record", record_id, "close", 1)

    signed, later = await made.lot(), await made.lot()
    before, after = await record(made), await record(made)
    await made.release(signed)
    await close(made, before)
    assert await made.problems() == []

    filled = "exp_on:       {type: date, required: true, default: date('2030-01-01')}"
    grade = ", grade: {type: text, required: true, default: \"'A'\"}"
    new = mini_with(
        ("exp_on:       {type: date}", filled),
        ('when: "qty > 0"', 'when: "qty > 0 && exp_on != null"'),
        ("  taken_at:", STEPS % grade),
    )
    await moved_to(opened, new)
    now = await office(opened, blueprint=new, fresh=False)
    assert await now.problems() == [], "what was signed before"
    await now.release(later)
    await close(now, after)
    assert await now.problems() == [], "what is signed now"

    async def nobody(*_: Any) -> None:
        return None

    replayer = Replayer(now.plant.commands.engine, lambda _: lambda _: now.plant.decision, nobody)
    async with opened.read() as connection:
        for row in await now.plant.rows(system.decision):
            replay = await replayer.replay(connection, await stored.one(connection, row["decision_id"]))
            assert replay.faithful, (row["entity"], replay.unfaithful)
