"""Many at once on one process, and definitions that change while instances live, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from tests.integration.outcomes import outcome
from tests.integration.process_world import Works, small_works
from tests.unit.process.play import PROJECT

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.process.definitions import require_borne
from clew.process.engine import Processes
from clew.process.errors import ProcessesWouldBreak
from clew.process.participant import ProcessParticipant
from clew.storage import process_tables, releases, system
from clew.storage.change import apply, plan
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

GROUP = "  fill: {who: clerk, outcomes: {ok: {}, bad: {against: true}}, then: {bad: fill}}\n"
BOARD = """\
  vote: {countersign: {posts: [p0, p1, p2, p3, p4], enough: 3}, then: {approve: good, reject: bad}}
  good: {end: good}
  bad: {end: bad}
"""


async def test_one_winner(database: TestDatabase, tier: Tier) -> None:
    """Threat 34: of many who decide one task at once exactly one does, with one line and one leaf."""
    many, rounds = tier.count(8, 50), tier.count(4, 200)
    people = tuple(f"p{each}" for each in range(many))
    made = await small_works(await database.open(), GROUP, people={"clerk": people})
    for _ in range(rounds):
        await made.a_case("p0")
        (task,) = await made.tasks()
        answers = await asyncio.gather(
            *(outcome(made.processes.decide(made.call(each), task["id"], "ok")) for each in people)
        )
        assert answers.count("done") == 1
        assert set(answers) <= {"done", "PROCESS_ENDED", "TASK_GONE"}
    assert [each[0] for each in await made.log()].count("decide") == rounds
    leaves = [each for each in await made.plant.rows(system.leaf) if each["action"] == "process:act"]
    assert len(leaves) == rounds
    assert {each["status"] for each in await made.instances()} == {"ended"}


async def test_a_board_voting_at_once_counts_every_vote_once(database: TestDatabase, tier: Tier) -> None:
    people = {f"p{each}": (f"v{each}",) for each in range(5)}
    made = await small_works(await database.open(), BOARD, people=people)
    for at in range(tier.count(4, 100)):
        process = await made.a_case("v0")
        votes = ["approve" if (at + each) % 3 else "reject" for each in range(5)]
        mine = {each["post"]: each["id"] for each in await made.tasks() if each["process"] == process}
        await asyncio.gather(
            *(outcome(made.processes.decide(made.call(f"v{each}"), mine[f"p{each}"], votes[each])) for each in range(5))
        )
        instance = next(each for each in await made.instances() if each["id"] == process)
        cast = [each for each in await made.plant.rows(process_tables.task) if each["process"] == process]
        done = [each["outcome"] for each in cast if each["status"] == "done"]
        assert instance["outcome"] in ("good", "bad")
        assert done.count("approve" if instance["outcome"] == "good" else "reject") == 3, "the third vote decides"


async def test_definition_change_in_flight(database: TestDatabase) -> None:
    """Threat 40: an instance goes on by the definition it began with; a new one follows the new."""
    opened = await database.open()
    people = {"clerk": ("ann",), "boss": ("hal",)}
    made = await small_works(opened, "  fill: {who: clerk}\n  look: {who: boss}\n", people=people)
    first = await made.a_case("ann")
    later = released(made, "  fill: {who: clerk}\n")
    await made.a_case("ann")
    tasks = await later.tasks("ann")
    old = next(each for each in tasks if each["process"] == first)
    new = next(each for each in tasks if each["process"] != first)
    await later.processes.decide(later.call("ann"), old["id"], "done")
    await later.processes.decide(later.call("ann"), new["id"], "done")
    states = {each["id"]: each["status"] for each in await later.instances()}
    assert states[first] == "running", "it still has the step that is gone from the new definition"
    assert sorted(states.values()) == ["ended", "running"]
    await later.decide("hal")
    assert {each["status"] for each in await later.instances()} == {"ended"}
    assert len(await later.plant.rows(process_tables.process_definition)) == 2


def released(made: Works, steps: str) -> Works:
    """The same database under a newer release of the project."""
    text = f"workflow: handling\nfor: case\nowner: boss\nsteps:\n{steps}"
    blueprint = load_sources({**PROJECT, "workflows/w.yaml": text}).blueprint
    assert blueprint is not None
    participant = ProcessParticipant(blueprint.workflows)
    made.processes = Processes(made.plant.database, blueprint, made.plant.commands, made.staff, "2")
    participant.engine = made.processes
    return made


async def test_a_release_that_no_longer_bears_an_instance_says_so(database: TestDatabase) -> None:
    opened = await database.open()
    made = await small_works(opened, "  fill: {who: clerk, output: [title]}\n", people={"clerk": ("ann",)})
    await made.a_case("ann")
    smaller = {**PROJECT, "models/a.yaml": PROJECT["models/a.yaml"].replace("  title: {type: text}\n", "")}
    blueprint = load_sources({**smaller, "workflows/w.yaml": "workflow: handling\nfor: case\nsteps:\n  a: {end: x}\n"})
    assert blueprint.blueprint is not None
    made.processes = Processes(made.plant.database, blueprint.blueprint, made.plant.commands, made.staff, "2")
    assert await outcome(made.decide("ann")) == "DEFINITION_GONE"
    assert (await made.instances())[0]["status"] == "running"


async def test_a_release_that_would_break_an_instance_is_not_applied(database: TestDatabase) -> None:
    """Threat 40: every definition that lives is linked against the new release before anything is touched."""
    opened = await database.open()
    made = await small_works(opened, "  fill: {who: clerk, output: [title]}\n", people={"clerk": ("ann",)})
    await made.a_case("ann")
    without = PROJECT["models/a.yaml"].replace("  title: {type: text}\n", "")
    other = "workflow: handling\nfor: case\nsteps:\n  a: {end: x}\n"
    gone = {**PROJECT, "models/a.yaml": without, "workflows/w.yaml": other}

    async def release(sources: dict[str, str]) -> int:
        def load(texts: Mapping[str, str]) -> Blueprint:
            found = load_sources(texts).blueprint
            assert found is not None
            return found

        made_plan = await plan(opened, load(sources), load=load)
        needs = frozenset(made_plan.needs)
        return (await apply(opened, made_plan, load=load, consents=needs, objecting=require_borne)).number

    with pytest.raises(ProcessesWouldBreak) as found:
        await release(gone)
    assert "handling (1 running): workflows/w.yaml" in found.value.message("en")
    assert "title" in found.value.message("zh")
    async with opened.read() as connection:
        now = await releases.current_in(connection)
    assert now is not None
    assert now.number == 1, "nothing was touched"
    assert await release({**gone, "models/a.yaml": PROJECT["models/a.yaml"]}) == 2, "it need not offer it any more"
    await made.decide("ann")
    assert await release(gone) == 3, "once it has ended nothing needs the field"
