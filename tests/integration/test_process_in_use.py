"""`active: {sites, from}` on processes: begun at its sites and from its day, nowhere else; what has begun goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.integration.process_world import Works, at_work, small_works
from tests.unit.process.play import PROJECT

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.process import words
from clew.process.calendar_starts import CalendarStarts
from clew.process.errors import NotInUse
from clew.storage import system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

MODELS = """
entity: site
key: code
fields:
  code: {type: text, required: true, unique: true}
"""
FILES = {
    "models/a.yaml": PROJECT["models/a.yaml"].replace("entity: case\n", "entity: case\nscope: site\n"),
    "models/b.yaml": MODELS,
}
STEPS = "  look: {who: clerk, output: [title]}\n"


async def works(database: TestDatabase, head: str, steps: str = STEPS, **files: str) -> Works:
    more = {f"workflows/{name}.yaml": text for name, text in files.items()}
    made = await small_works(await database.open(), steps, head, {"clerk": ["ann"], "boss": ["bo"]}, {**FILES, **more})
    for code in ("SHA", "SUZ"):
        made.plant.ids[code] = (await made.plant.commands.create(made.call("ann"), "site", {"code": code})).id
    return made


async def a_case(made: Works, site: str) -> UUID:
    return (await made.plant.commands.create(made.call("ann"), "case", {"site": made.plant.ids[site]})).id


async def passed_over(made: Works) -> list[tuple[str, UUID]]:
    rows = await made.plant.rows(system.leaf)
    return [(each["entity"], each["record_id"]) for each in rows if each["action"] == "process:not_started"]


async def day(made: Works, ahead: int) -> str:
    async with made.plant.database.read() as connection:
        return str((await connection.now()).date() + timedelta(days=ahead))


async def test_a_person_begins_it_only_where_it_is_in_use_and_what_has_begun_goes_on(database: TestDatabase) -> None:
    made = await works(database, "active: {sites: [SHA], from: 2026-01-01}\n")
    here, there = await a_case(made, "SHA"), await a_case(made, "SUZ")
    process = (await made.processes.start(made.call("ann"), "handling", here)).process
    with pytest.raises(NotInUse) as refused:
        await made.processes.start(made.call("ann"), "handling", there)
    assert refused.value.message("en") == (
        "Handling is not in use for this record. It is in use at SHA from 2026-01-01."
    )
    assert "启用范围:场所 SHA,自 2026-01-01 起" in refused.value.message("zh")
    assert len(await made.instances()) == 1

    # It is switched off where it runs: no other definition, nobody is asked anew, and no other begins.
    ahead = await day(made, 2)
    off = at_work(made.plant, again(made, "active: {sites: [SUZ]}\n"), ())
    off.staff, off.people = made.staff, made.people
    off.processes.staff = made.staff
    assert off.processes.blueprint.workflows["handling"].digest == made.processes.blueprint.workflows["handling"].digest
    assert off.processes.blueprint.digest != made.processes.blueprint.digest, "and yet it is another release"
    await off.decide("ann", given={"title": "seen"})
    assert [(each["id"], each["status"]) for each in await off.instances()] == [(process, "ended")]
    with pytest.raises(NotInUse):
        await off.processes.start(off.call("ann"), "handling", here)
    await off.processes.start(off.call("ann"), "handling", there)
    later = at_work(made.plant, again(made, f"active: {{from: {ahead}}}\n"), ())
    later.people = made.people
    with pytest.raises(NotInUse, match=f"in use from {ahead}"):
        await later.processes.start(later.call("ann"), "handling", here)


def again(made: Works, head: str) -> Blueprint:
    """The same project with another `active`."""
    sources = dict(made.processes.blueprint.sources)
    before = next(line for line in sources["workflows/w.yaml"].splitlines() if line.startswith("active:"))
    sources["workflows/w.yaml"] = sources["workflows/w.yaml"].replace(f"{before}\n", head)
    found = load_sources(sources).blueprint
    assert found is not None
    return found


async def test_events_and_the_calendar_pass_over_other_sites_and_the_trail_says_so(database: TestDatabase) -> None:
    head = (
        "active: {sites: [SHA]}\n"
        "starts:\n"
        '  - {event: case.create, when: "title == null"}\n'
        "  - {calendar: {every: week, by: '5', each: site, create: {site: each, title: \"'weekly'\"}}}\n"
    )
    made = await works(database, head)
    here, there = await a_case(made, "SHA"), await a_case(made, "SUZ")
    assert [each["record_id"] for each in await made.instances()] == [here]
    assert await passed_over(made) == [("case", there)]
    (leaf,) = [each for each in await made.plant.rows(system.leaf) if each["action"] == "process:not_started"]
    said = {name: each["n"] for name, each in json.loads(leaf["fields"]).items()}
    assert said == {"workflow": "handling", "by": "event", "sites": "SHA"}

    starts, monday = CalendarStarts(made.processes), datetime(2026, 3, 2, 9, tzinfo=UTC)
    await starts.look(monday)
    assert await starts.look(monday + timedelta(days=7)) == 1
    assert await starts.look(monday + timedelta(days=7)) == 0, "what was passed over is passed over once"
    cases = await made.plant.rows(made.plant.tables.current("case"))
    assert [each["site"] for each in cases if each["title"] == "weekly"] == [made.plant.ids["SHA"]]
    assert (await passed_over(made))[1:] == [("site", made.plant.ids["SUZ"])]


INNER = """\
workflow: inner
for: case
owner: boss
active: {sites: [SHA]}
steps:
  check: {who: clerk, output: [title]}
"""


async def test_a_process_within_another_is_an_incident_where_it_is_not_in_use(database: TestDatabase) -> None:
    steps = "  tell: {do: [{start: inner}]}\n  ask: {call: {workflow: inner}}\n"
    made = await works(database, "", steps, inner=INNER)
    case = await a_case(made, "SUZ")
    process = (await made.processes.start(made.call("ann"), "handling", case)).process
    assert [(each["workflow"]) for each in await made.instances()] == ["handling"]
    assert ("not_started", "", "inner") in await made.log()
    assert await passed_over(made) == [("case", case)]
    (incident,) = await incidents(made)
    assert (incident["kind"], incident["detail"]) == ("not_in_use", "ask: inner")

    sources = dict(made.processes.blueprint.sources)
    sources["workflows/inner.yaml"] = INNER.replace("[SHA]", "[SHA, SUZ]")
    blueprint = load_sources(sources).blueprint
    assert blueprint is not None
    on = at_work(made.plant, blueprint, ())
    on.people, on.processes.staff = made.people, made.staff
    await on.give("bo", process, lambda actor, at: words.RetryIncident(incident["id"], actor, at, "mended"), ["retry"])
    assert sorted(each["workflow"] for each in await on.instances()) == ["handling", "inner"]
    await on.decide("ann", given={"title": "seen"})
    assert {each["status"] for each in await on.instances()} == {"ended"}


async def incidents(made: Works) -> list[dict[str, Any]]:
    (row,) = await made.instances()
    found = row["state"]["incidents"]
    return list(found.values()) if isinstance(found, dict) else list(found)


def test_what_is_wrong_with_it_is_told_where_it_is_written() -> None:
    head = "workflow: outer\nfor: case\nowner: boss\n"
    outer = f"{head}steps:\n  ask: {{call: {{workflow: inner}}}}\n"

    def found(**changes: str) -> list[str]:
        loaded = load_sources({**PROJECT, **FILES, "workflows/i.yaml": INNER, "workflows/o.yaml": outer, **changes})
        codes = {"CALL_NOT_IN_USE", "ACTIVE_EMPTY", "ACTIVE_NO_SITE", "BAD_DATE", "date_type"}
        return [each.code for each in loaded.diagnostics if each.code in codes]

    assert found() == ["CALL_NOT_IN_USE"]
    within = outer.replace("steps:", "active: {sites: SHA, from: 2026-05-01}\nsteps:")
    assert found(**{"workflows/o.yaml": within}) == []
    wider = outer.replace("steps:", "active: {sites: [SHA, SUZ]}\nsteps:")
    assert found(**{"workflows/o.yaml": wider}) == ["CALL_NOT_IN_USE"]
    empty = INNER.replace("{sites: [SHA]}", "{}")
    assert found(**{"workflows/i.yaml": empty})[:1] == ["ACTIVE_EMPTY"]
    assert found(**{"models/a.yaml": PROJECT["models/a.yaml"]})[:1] == ["ACTIVE_NO_SITE"]
