"""The oracle at what else shows records: tasks and cases, subscriptions, files. No leak and no wrong denial, on both
databases; 3,000 checks in the full tier."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from access_oracle import PEOPLE, POLICIES, Oracle, a_person, policed, wire
from process_world import FixedStaff
from read_world import MOMENTS, Row, context, permit_all, pour, uid, world
from starlette.requests import Request
from test_access_oracle import KINDS, Scene, a_field, answered, api, refused_alike

from clew.api.exchange import Caller, Question
from clew.kernel.context import Person
from clew.kernel.errors import NotFound
from clew.kernel.ids import uuid7
from clew.metadata import naming
from clew.process.engine import Processes
from clew.process.participant import ProcessParticipant
from clew.records.commands import Call, Commands
from clew.records.outbox import Event
from clew.records.query.run import prepare
from clew.storage import process_tables
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier
from clew.web.files import Files

pytestmark = pytest.mark.anyio

WORKFLOW = """\
workflow: lot_check
label: {zh: 批次检查, en: Lot check}
for: lot
owner: overseer
starts: [{person: [planner]}]
steps:
  look: {label: {zh: 查看, en: Look}, who: inspector, within: 4 h}
  agree: {label: {zh: 同意, en: Agree}, who: partner, within: 4 h}
  done: {label: {zh: 完成, en: Done}, end: done}
"""
MORE = """\
---
role: overseer
label: {zh: 督办, en: Overseer}
may:
  site: {read: always}
  lot: {read: "qty > 90.0"}
---
role: warden
label: {zh: 流程督察, en: Warden}
may:
  site: {read: always}
  lot: {processes: {lot_check: {oversee: always}}}
"""
OVERSEERS = (
    a_person(90, overseer=None), a_person(91, overseer=None, partner=None), a_person(92, warden=None)
)  # fmt: skip
OVERSEEING = frozenset({"overseer", "warden"})
EVERYBODY = (*PEOPLE, *OVERSEERS)
BY_ROLE = {role: tuple(each.id for each in PEOPLE if role in each.roles) for role in ("inspector", "partner")}
STARTER, ACTOR = PEOPLE[1], PEOPLE[0]


@dataclass
class Work:
    """The scene with cases at work, files in records, and a door for files."""

    scene: Scene
    processes: Processes
    files: Files
    cases: dict[str, tuple[UUID, bool]] = field(default_factory=dict)
    """Instance → the lot it is about, and whether somebody looked already."""

    def caller(self, person: Person) -> Caller:
        who = context(person)
        return Caller(who, self.scene.deciding(who))


@pytest.fixture
async def work(database: TestDatabase) -> AsyncIterator[Work]:
    opened = await database.open()
    blueprint = policed(POLICIES + MORE, **{"workflows/w.yaml": WORKFLOW})
    tables = await pour(opened, blueprint, world(7))
    participant = ProcessParticipant(blueprint.workflows)
    commands = Commands(opened, blueprint, tables, release="1", participants=(participant,))
    processes = Processes(opened, blueprint, commands, FixedStaff(dict(BY_ROLE)), "1", {})
    participant.engine = processes
    scene = Scene(opened, tables, blueprint, processes)
    made = Work(scene, processes, Files(Door(scene)))
    await begun(made)
    await evidenced(scene)
    yield made
    await opened.close()


async def begun(made: Work) -> None:
    """A case about every second lot; in every third of them somebody has looked."""
    everything = permit_all(made.scene.blueprint)
    lots = [each for each in made.scene.world.rows("lot", None) if each["voided_at"] is None][::2]
    for at, lot in enumerate(lots):
        done = await made.processes.start(Call(context(STARTER), everything), "lot_check", lot["id"])
        if at % 3 == 0:
            task = await task_of(made, done.process)
            await made.processes.decide(Call(context(ACTOR), everything), task, "done")
        made.cases[str(done.process)] = (lot["id"], at % 3 == 0)


async def task_of(made: Work, process: UUID) -> UUID:
    task = process_tables.task.c
    async with made.scene.database.read() as connection:
        found: UUID = await connection.fetch_value(
            sa.select(task.id).where(task.process == process, task.status == "open")
        )
    return found


async def evidenced(scene: Scene) -> None:
    """Every nonconformance has a picture of its own."""
    table = scene.tables.current("nonconformance")
    async with scene.database.write() as connection:
        for id, versions in scene.world.versions["nonconformance"].items():
            name = f"{id.int % 1000}.png"
            pictures = [{"sha256": f"{id.int % 1000:064x}", "name": name, "size": 8, "type": "image/png"}]
            await connection.execute(sa.update(table).where(table.c.id == id).values(evidence=pictures))
            versions[-1][2]["evidence"] = pictures


class Door:
    """What the door for files asks of the house."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.person = scene, PEOPLE[0]
        runtime = SimpleNamespace(blueprint=scene.blueprint, read=self._read)
        self.host = SimpleNamespace(current=runtime, database=scene.database, blobs=SimpleNamespace(read=self._content))

    def request_id(self, headers: Any) -> str:
        return "req-1"

    async def caller(self, runtime: Any, scope: Any, headers: Any, request_id: str, *, fresh: bool) -> Caller:
        who = context(self.person)
        return Caller(who, self.scene.deciding(who))

    async def _content(self, sha256: str) -> AsyncIterator[bytes]:
        yield b"\x89PNG\r\n\x1a\n"

    async def _read(self, plan: Any, caller: Caller, args: Any) -> str:
        scene = self.scene
        prepared = prepare(plan, scene.blueprint, scene.tables, caller.decision, scene.database.dialect)
        async with scene.database.read() as connection:
            return await prepared.fetch(connection, dict(args), caller.context, await connection.now())


# ── what the oracle says of cases ─────────────────────────────────────────────────────────────────────────────────


def asked(person: Person, looked: bool) -> bool:
    """Whether the open step of a case asks them."""
    return person.id in BY_ROLE["partner" if looked else "inspector"]


def in_it(person: Person, looked: bool) -> bool:
    return person.id == STARTER.id or (looked and person.id == ACTOR.id) or asked(person, looked)


def shown(oracle: Oracle, lot: UUID) -> bool:
    """Who sees the record sees its cases; so does who oversees them, whatever they see."""
    row = oracle.find("lot", lot)
    return bool(OVERSEEING & set(oracle.person.roles)) or (row is not None and oracle.sees("lot", row))


def has_processes(oracle: Oracle) -> bool:
    """Whether processes have a name at all: who knows nothing of lots hears of none, unless they oversee them."""
    return oracle.knows("lot") or "warden" in oracle.person.roles


# ── the ways ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def my_tasks(work: Work, oracle: Oracle, chance: random.Random) -> None:
    if not has_processes(oracle):
        await refused_alike(work.scene, oracle, "{ § { id } }", "myTasks")
        return
    found = (await answered(work.scene, oracle, "{ myTasks(first: 100) { process recordId } }"))["myTasks"]
    wanted = {(case, str(lot)) for case, (lot, looked) in work.cases.items() if asked(oracle.person, looked)}
    assert {(each["process"], each["recordId"]) for each in found} == wanted, oracle.person.roles


async def one_case(work: Work, oracle: Oracle, chance: random.Random) -> None:
    if not has_processes(oracle):
        await refused_alike(work.scene, oracle, '{ §(id: "0") { id } }', "processInstance")
        return
    case, (lot, looked) = chance.choice(sorted(work.cases.items()))
    inner = "recordId tasks { step fields form } timeline { what }"
    document = f"query($id: ID!) {{ processInstance(id: $id) {{ {inner} }} }}"
    found = (await answered(work.scene, oracle, document, id=case))["processInstance"]
    may = in_it(oracle.person, looked) or shown(oracle, lot)
    assert (found is not None) == may, (oracle.person.roles, case)
    assert found is None or found["recordId"] == str(lot)
    if found is not None and not oracle.knows("lot"):
        assert all(each["fields"] == [] and each["form"] is None for each in found["tasks"]), "nothing of the record"
    if not may:
        missing = await answered(work.scene, oracle, document, id=str(uid(77, 1)))
        assert missing == {"processInstance": None}


async def of_record(work: Work, oracle: Oracle, chance: random.Random) -> None:
    if not has_processes(oracle):
        return
    lot = chance.choice(work.scene.world.rows("lot", None))["id"]
    document = "query($id: ID!) { processesOf(record: $id) { id } nextActors(record: $id) { process } }"
    found = await answered(work.scene, oracle, document, id=str(lot))
    cases = {case: looked for case, (about, looked) in work.cases.items() if about == lot}
    assert {each["id"] for each in found["processesOf"]} == {each for each in cases if shown(oracle, lot)}
    waiting = {case for case, looked in cases.items() if in_it(oracle.person, looked) or shown(oracle, lot)}
    assert {each["process"] for each in found["nextActors"]} == waiting, (oracle.person.roles, lot)


async def overseen(work: Work, oracle: Oracle, chance: random.Random) -> None:
    if not has_processes(oracle):
        return
    found = await answered(work.scene, oracle, '{ overseenProcesses(workflow: "lot_check", first: 100) { id } }')
    wanted = set(work.cases) if OVERSEEING & set(oracle.person.roles) else set()
    assert {each["id"] for each in found["overseenProcesses"]} == wanted, oracle.person.roles


async def somebody_elses(work: Work, oracle: Oracle, chance: random.Random) -> None:
    """Who is not asked takes no task, and is told the same of one that is there as of one that is not."""
    case, (lot, looked) = chance.choice(sorted(work.cases.items()))
    if asked(oracle.person, looked) or not has_processes(oracle):
        return
    task = await task_of(work, UUID(case))
    document = "mutation($id: ID!) { claimTask(task: $id) { process { id } } }"
    theirs, missing = [await work.scene.ask(oracle, document, id=str(each)) for each in (task, uid(77, 2))]
    assert theirs["data"] is None or theirs["data"]["claimTask"] is None
    if not (in_it(oracle.person, looked) or shown(oracle, lot)):
        assert words(theirs) == words(missing), (oracle.person.roles, case)


def words(answer: dict[str, Any]) -> Any:
    return [(each["message"], each["extensions"]["code"]) for each in answer["errors"]]


async def why_blocked(work: Work, oracle: Oracle, chance: random.Random) -> None:
    if not has_processes(oracle):
        return
    row = chance.choice(work.scene.world.rows("lot", None))
    document = """query($id: ID!) { whyBlocked(entity: "lot", record: $id) {
      transition blockers { process records { entity id } } actions { entity recordId } } }"""
    found, missing = [await work.scene.ask(oracle, document, id=str(each)) for each in (row["id"], uid(77, 3))]
    if not oracle.knows("lot") or not oracle.sees("lot", row):
        assert json.dumps(found) == json.dumps(missing), (oracle.person.roles, row["id"])
        return
    for way in found["data"]["whyBlocked"]:
        told = [each for blocker in way["blockers"] for each in blocker["records"]]
        told += [{"entity": each["entity"], "id": each["recordId"]} for each in way["actions"] if each["recordId"]]
        for each in told:
            record = oracle.find(each["entity"], UUID(each["id"]))
            assert record is not None
            assert oracle.sees(each["entity"], record), (oracle.person.roles, each)


async def listening(work: Work, oracle: Oracle, chance: random.Random) -> None:
    """Of many changes a listener hears of those records that they see, each as they see it."""
    scene = work.scene
    entity, name = a_field(oracle, chance)
    root = naming.one_query(entity) + "Changed"
    if not (oracle.knows(entity) and oracle.exists(entity, name)):
        return
    document = f"subscription {{ {root} {{ id rowVersion record {{ id {api(name)} }} }} }}"
    heard: list[dict[str, Any]] = []

    async def listen() -> None:
        stream = scene.engine.stream(Question(document, None, {}), work.caller(oracle.person))
        async for answer in stream:
            heard.append(json.loads(answer.body)["data"][root])

    task = asyncio.create_task(listen())
    while not scene.feed.listeners:
        assert not task.done(), task
        await asyncio.sleep(0.001)
    [listener] = scene.feed.listeners
    rows = chance.sample(scene.world.rows(entity, None), 3)
    # What comes last is of no record: when it is taken, all before it is told.
    for row in (*rows, *({"id": uid(KINDS[entity], 900 + at), "row_version": 1} for at in range(2))):
        listener.offer(happened(entity, row))
    await drained(listener)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    wanted = [
        {
            "id": str(row["id"]),
            "rowVersion": row["row_version"],
            "record": {"id": str(row["id"]), api(name): wire(oracle.value(entity, row, name))},
        }
        for row in rows
        if oracle.sees(entity, row)
    ]
    assert heard == wanted, (oracle.person.roles, entity, name)


async def drained(listener: Any) -> None:
    """Until everything was taken; a queue has no event for that."""
    while not listener._events.empty():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def happened(entity: str, row: Row) -> Event:
    return Event(uuid7(), MOMENTS[3], f"{entity}.update", entity, row["id"], row["row_version"], None, 0, "{}")


async def downloaded(work: Work, oracle: Oracle, chance: random.Random) -> None:
    """A file comes to who sees the field of the record that names it, and through no other record."""
    row, other = chance.sample(work.scene.world.rows("nonconformance", None), 2)
    named = row if chance.random() < 0.7 else other
    sha256 = row["evidence"][0]["sha256"]
    may = named is row and oracle.knows("nonconformance") and oracle.shown("nonconformance", row, "evidence")
    query = f"entity=nonconformance&id={named['id']}&field=evidence"
    scope = {"type": "http", "method": "GET", "path": "/files", "query_string": query.encode(), "headers": []}
    work.files._entrance.person = oracle.person
    request = Request({**scope, "path_params": {"sha256": sha256}})
    if not may:
        with pytest.raises(NotFound):
            await work.files.download(request)
        return
    answer = await work.files.download(request)
    assert row["evidence"][0]["name"] in answer.headers["content-disposition"]


Way = Callable[[Work, Oracle, random.Random], Awaitable[None]]
WAYS: tuple[Way, ...] = (
    my_tasks, one_case, one_case, of_record, of_record, overseen, somebody_elses, why_blocked, listening, listening,
    downloaded, downloaded,
)  # fmt: skip


@pytest.mark.timeout(3600)
async def test_every_path_of_work(work: Work, tier: Tier) -> None:
    """Threat 18: cases, subscriptions and files show what the records behind them show, and nothing else."""
    chance = random.Random(19)
    walked: Counter[str] = Counter()
    for _ in range(tier.count(200, 3_000)):
        way = chance.choice(WAYS)
        walked[way.__name__] += 1
        await way(work, Oracle(work.scene.world, chance.choice(EVERYBODY)), chance)
    assert len(walked) == len(set(WAYS))
