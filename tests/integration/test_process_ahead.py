"""What a decision reads ahead is what asking one by one would have found, and it is not asked for again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.integration.process_world import Works, small_works
from tests.integration.test_process_staff import add

from clew.kernel.errors import ClewError
from clew.kernel.ids import uuid7
from clew.process import loading
from clew.process.ahead import Ahead, Place, ahead
from clew.process.holders import holders
from clew.records.unit import Unit
from clew.storage import identity_tables
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

FILES = {
    "models/b.yaml": """\
entity: job
number: "J-{seq:4}"
fields:
  tool: {type: ref, of: tool}
  spare: {type: ref, of: tool}
  price: {type: money}
  about: {type: any, of: [tool]}
states: {open: {en: Open}, done: {en: Done}}
transitions:
  finish: {from: open, to: done}
""",
    "models/t.yaml": """\
entity: tool
key: code
fields:
  code: {type: text, required: true}
states: {free: {en: Free}, worn: {en: Worn}}
transitions:
  wear: {from: free, to: worn}
""",
    "workflows/j.yaml": """\
workflow: doing
for: job
starts: [{person: [clerk]}]
steps:
  work:
    who: clerk
    outcomes: {kept: {label: {en: Kept}}, worn: {label: {en: Worn}}}
    effects:
      worn:
        - {move: wear, of: tool}
        - {move: wear, of: spare, when: "price != null"}
    then: {kept: look, worn: agree}
  agree: {countersign: {posts: [boss, owner]}, then: {approve: look, reject: look}}
  look: {who: clerk}
""",
}


async def works(database: TestDatabase) -> Works:
    made = await small_works(
        await database.open(), "  fill: {who: clerk}\n", people={"clerk": ("ann",), "boss": ("bob",)}, files=FILES
    )
    made.staff.roles["owner"] = (made.people["bob"].id,)
    return made


async def a_job(made: Works, values: Mapping[str, Any]) -> UUID:
    job = await made.plant.commands.create(made.call("ann"), "job", values)
    return (await made.processes.start(made.call("ann"), "doing", job.id)).process


async def test_what_an_outcome_is_bound_to_ask_for(database: TestDatabase) -> None:
    """Conditional effects are no certainty, and another outcome asks for something else."""
    made = await works(database)
    workflow, entity = made.processes.blueprint.workflows["doing"], made.processes.blueprint.entities["job"]
    assert ahead(workflow, "work", "worn", entity) == Ahead(entity, ("tool",), ("boss", "owner"))
    assert ahead(workflow, "work", "kept", entity) == Ahead(entity, (), ("clerk",))
    assert ahead(workflow, "look", "done", entity) == Ahead(entity, (), ())
    assert ahead(workflow, "agree", "approve", entity) == Ahead(entity, (), ()), "a vote is not the end yet"
    with pytest.raises(KeyError):
        ahead(workflow, "gone", "done", entity)


async def test_the_same_as_one_by_one(database: TestDatabase) -> None:
    made = await works(database)
    tools = [(await made.plant.commands.create(made.call("ann"), "tool", {"code": f"T{each}"})).id for each in range(2)]
    price = {"amount": "2.50", "currency": "CNY"}
    given: list[dict[str, Any]] = [
        {},
        {"tool": tools[0], "price": price, "about": {"entity": "tool", "id": tools[1]}},
        {"spare": tools[1]},
        {"tool": tools[1], "spare": tools[1]},
    ]
    account, elsewhere = uuid7(), uuid7()

    async def hire(connection: Connection) -> None:
        at = await connection.now() - timedelta(days=1)
        for number, role in ((account, "boss"), (elsewhere, "boss"), (elsewhere, "owner")):
            if role == "boss":
                await add(connection, identity_tables.account, id=number, login=str(number), name="x")
            sites = [str(tools[0])] if number == elsewhere else None
            await add(
                connection, identity_tables.assignment, id=uuid7(), account=number, requested_by=number, role=role,
                sites=sites, valid_from=at,
            )  # fmt: skip

    await made.plant.database.run_write(hire)
    entity = made.processes.blueprint.entities["job"]
    for values in given:
        process = await a_job(made, values)
        looked = Ahead(entity, ("tool", "spare"), ("boss", "owner"))

        (task,) = [each["id"] for each in await made.tasks("ann") if each["process"] == process]

        async def compare(unit: Unit, process: UUID = process, task: UUID = task, looked: Ahead = looked) -> None:
            for elsewhere in (Place(uuid7(), "doing", "work", "job"), Place(task, "doing", "look", "job")):
                assert await loading.load_task(unit, elsewhere, looked) is None
            found = await loading.load_task(unit, Place(task, "doing", "work", "job"), looked)
            assert found is not None
            instance, number, stands = found
            assert instance.state.tasks[number].step == "work"
            plain = Unit(unit.engine, unit.connection, unit.context, unit.decision, unit.at)
            assert (instance, stands) == await loading.load_for(plain, process)
            known = unit.found.get(loading.ROLES)
            assert (known is not None) is (unit.connection.dialect == "postgresql")
            record = await plain.lock(entity, instance.record_id)
            assert record is not None
            assert await unit.lock(entity, instance.record_id) == record
            for name in ("tool", "spare"):
                if record[name] is not None:
                    tool = unit.entity("tool")
                    assert await unit.lock(tool, record[name]) == await plain.lock(tool, record[name])
            for roles in (("boss",), ("owner",), ("boss", "owner")):
                for site in (None, tools[0], tools[1]):
                    asked = await holders(unit.connection, roles, site, unit.at)
                    assert await holders(unit.connection, roles, site, unit.at, known or {}) == asked
                    assert asked or roles == ("owner",)

        await made.plant.commands.run(made.call("ann"), compare)


async def test_it_is_not_asked_for_again(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL a decision is two questions where its step is known: what it needs, and what it changes."""
    made = await works(database)
    if made.plant.database.dialect != "postgresql":
        return
    from clew.storage.postgres_engine import PostgresConnection

    tool = (await made.plant.commands.create(made.call("ann"), "tool", {"code": "T"})).id
    process = await a_job(made, {"tool": tool})
    (task,) = await made.tasks("ann")
    asked: list[str] = []
    before = PostgresConnection.fetch_text

    async def counted(self: PostgresConnection, compiled: Any, args: Any = None) -> Any:
        asked.append(compiled.sql)
        return await before(self, compiled, args or {})

    monkeypatch.setattr(PostgresConnection, "fetch_text", counted)
    place = Place(task["id"], "doing", "work", "job", seen=False)
    done = await made.processes.decide(made.call("ann"), place, "worn")
    assert (done.process, done.status) == (process, "running")
    assert len(asked) == 2, asked


async def test_of_a_task_that_is_not_theirs_nobody_learns(database: TestDatabase) -> None:
    made = await works(database)
    made.hire("eve", "owner")
    await a_job(made, {})
    (task,) = await made.tasks("ann")
    refusals = {True: "NOT_YOUR_TASK", False: "NO_SUCH_PROCESS"}
    for seen, code in refusals.items():
        with pytest.raises(ClewError) as refusal:
            await made.processes.decide(made.call("eve"), Place(task["id"], "doing", "work", "job", seen), "worn")
        assert refusal.value.code == code
