"""Processes through GraphQL: my tasks, acting on them, the timeline, and nothing for who has no part in it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.process_world import Works, small_works, works
from tests.integration.test_process_ncr import open_ncr

from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.api.inputs import Inputs
from clew.api.mutations import Mutations
from clew.api.processes import ProcessFeature
from clew.api.view import READ_FEATURES
from clew.kernel.clock import SystemClock
from clew.kernel.ids import uuid7
from clew.process import inbox
from clew.process.inbox import Order
from clew.storage import identity_tables, process_tables, system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

MINE = "{ myTasks { id step label outcomes sign fields post dueAt recordId } }"
CANCEL = "mutation($p: ID!, $r: String!) { cancelProcess(process: $p, reason: $r) { replayed } }"
DECIDE = """mutation($task: ID!, $outcome: String!, $input: JSON, $comment: String) {
  decideTask(task: $task, outcome: $outcome, input: $input, comment: $comment) {
    process { id status at outcome tasks { step status } } replayed } }"""


class Door:
    """The API over the pack's plant, for whoever logs in."""

    def __init__(self, made: Works, further: tuple[Any, ...] = ()) -> None:
        self.made, self.further = made, further
        commands = made.plant.commands
        features = (*READ_FEATURES, Inputs(), Mutations(commands), ProcessFeature(made.processes), *further)
        plant = made.plant
        self.engine = GraphQLEngine(plant.blueprint, plant.tables, plant.database, SystemClock(), features=features)

    async def ask(self, login: str, document: str, **variables: Any) -> dict[str, Any]:
        call = self.made.call(login)
        answer = await self.engine.execute(Question(document, variables=variables), Caller(call.context, call.decision))
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def do(self, login: str, document: str, **variables: Any) -> Any:
        found = await self.ask(login, document, **variables)
        assert "errors" not in found, found
        [payload] = found["data"].values()
        return payload

    async def code(self, login: str, document: str, **variables: Any) -> str:
        found = await self.ask(login, document, **variables)
        code: str = found["errors"][0]["extensions"]["code"]
        return code

    async def decide(self, login: str, outcome: str = "done", given: Any = None, comment: str = "") -> Any:
        (task,) = await self.do(login, MINE)
        answer = await self.do(login, DECIDE, task=task["id"], outcome=outcome, input=given, comment=comment)
        return answer["process"]


@pytest.fixture
async def door(database: TestDatabase) -> Door:
    return Door(await works(database))


async def test_a_nonconformance_through_the_api(door: Door) -> None:
    ncr = await open_ncr(door.made)
    (task,) = await door.do("ann", MINE)
    assert (task["step"], task["label"], task["recordId"]) == ("contain", "Contain", str(ncr))
    assert task["fields"] == ["containment", "evidence", "qty", "workOrder"]
    assert task["dueAt"] is not None
    await door.decide("ann", given={"containment": "隔离区"})
    await door.decide("cid", given={"rootCause": "夹具磨损", "riskLookedUp": True})
    (vote,) = await door.do("dan", MINE)
    assert (vote["sign"], vote["post"]) == ("approval", "qa_manager")
    assert {"rework", "scrap", "send_back"} <= set(vote["outcomes"])
    await door.decide("eve", "scrap")
    seen = await door.decide("dan", "scrap")
    assert seen["at"] == ["board"], "what was released once is not decided on without regulatory affairs"
    seen = await door.decide("gus", "scrap")
    assert seen["at"] == ["scrap"]
    await door.decide("hal", "approve")
    (instance,) = await door.do(
        "gus", "query($r: ID!) { processesOf(record: $r) { status timeline { what step outcome actor } } }", r=str(ncr)
    )
    assert [each["step"] for each in instance["timeline"] if each["what"] == "decide"] == [
        "contain",
        "investigate",
        *["board"] * 3,
        "scrap",
    ]


async def test_a_document_may_mix_records_and_tasks(door: Door) -> None:
    await open_ncr(door.made)
    found = await door.ask("ann", "{ __typename nonconformances { totalCount } t: myTasks { __typename step } }")
    assert found["data"]["nonconformances"] == {"totalCount": 2}
    assert found["data"]["t"] == [{"__typename": "ProcessTask", "step": "contain"}]
    skipped = await door.ask(
        "ann", "query($y: Boolean!) { myTasks @include(if: $y) { id } lots { totalCount } }", y=False
    )
    assert set(skipped["data"]) == {"lots"}


async def test_who_has_no_part_finds_nothing(door: Door) -> None:
    await open_ncr(door.made)
    (task,) = await door.do("ann", MINE)
    assert await door.do("hal", MINE) == []
    given = {"task": task["id"], "outcome": "done", "input": {"containment": "x"}}
    assert await door.code("hal", DECIDE, **given) == "NO_SUCH_PROCESS"
    missing = {**given, "task": "0190c000-0000-7000-8000-00000000ffff"}
    assert await door.code("hal", DECIDE, **missing) == "NO_SUCH_PROCESS", "as for a task that does not exist"
    claim = "mutation($t: ID!) { claimTask(task: $t) { replayed } }"
    assert await door.code("hal", claim, t=task["id"]) == "NO_SUCH_PROCESS"
    assert await door.code("ann", DECIDE, task=task["id"], outcome="maybe") == "UNKNOWN_OUTCOME"
    assert await door.code("ann", DECIDE, **{**given, "input": {"rootCause": "x"}}) == "OUTPUT_NOT_ASKED"
    assert await door.code("ann", DECIDE, **{**given, "input": 3}) == "BAD_INPUT"
    for comment in ("长" * 4_001, "a\u202eb", "\u200b"):
        assert await door.code("ann", DECIDE, **given, comment=comment) == "BAD_INPUT", comment[:5]


async def account_of(door: Door, login: str, kind: str, state: str) -> None:
    """Their account is of this kind, in this state; made when there is none."""
    table, person = identity_tables.account, door.made.people[login]

    async def make(connection: Connection) -> None:
        now = {"kind": kind, "state": state}
        if await connection.execute(sa.update(table).where(table.c.id == person.id).values(**now)):
            return
        row = {"id": person.id, "login": login, "name": login, "kind": kind, "state": state, "epoch": 1, "facts": {}}
        await connection.execute(sa.insert(table).values(**row, created_at=await connection.now()))

    await door.made.plant.database.run_write(make)


async def test_claims_copies_notices_and_the_whole_process(door: Door) -> None:
    await open_ncr(door.made)
    (task,) = await door.do("ann", MINE)
    claim = "mutation($t: ID!) { claimTask(task: $t) { process { tasks { assignee } } } }"
    claimed = await door.do("ann", claim, t=task["id"])
    assert claimed["process"]["tasks"] == [{"assignee": str(door.made.people["ann"].id)}]
    assert await door.do("bob", MINE) == []
    release = "mutation($t: ID!) { releaseTask(task: $t) { replayed } }"
    await door.do("ann", release, t=task["id"])
    assert len(await door.do("bob", MINE)) == 1
    instance = (await door.made.instances())[0]["id"]
    copy = "mutation($p: ID!, $people: [ID!]!) { copyProcess(process: $p, people: $people) { replayed } }"
    gus = str(door.made.people["gus"].id)
    assert await door.code("ann", copy, p=str(instance), people=[gus]) == "NOT_TO_BE_SHOWN", "nobody who can come in"
    for kind, state in (("service", "active"), ("external", "active"), ("person", "disabled"), ("person", "active")):
        await account_of(door, "gus", kind, state)
        if (kind, state) != ("person", "active"):
            assert await door.code("ann", copy, p=str(instance), people=[gus]) == "NOT_TO_BE_SHOWN"
    assert await door.code("ann", copy, p=str(instance), people=[]) == "BAD_INPUT"
    await door.do("ann", copy, p=str(instance), people=[gus, gus])
    (notice,) = await door.do("gus", "{ notices(unread: true) { id about process } }")
    assert (notice["about"], notice["process"]) == ("copy", str(instance))
    assert [each["kind"] for each in await door.do("gus", "{ myTasks(copied: true) { kind } }")] == ["copy"]
    assert await door.do("gus", "{ myTasks(copied: false) { kind } }") == []
    about = "query($p: ID!) { processInstance(id: $p) { records { entity recordId } } }"
    records = (await door.do("ann", about, p=str(instance)))["records"]
    holds = (await door.made.plant.current("inventory_hold")).values()
    (hold,) = [each for each in holds if str(each["cause_id"]) == task["recordId"]]
    assert records == [
        {"entity": "nonconformance", "recordId": task["recordId"]},
        {"entity": "inventory_hold", "recordId": str(hold["id"])},
    ], "what it has made is its own as well"
    of = "query($r: ID!) { processesOf(record: $r) { id } }"
    for record in (task["recordId"], str(hold["id"])):
        assert [each["id"] for each in await door.do("ann", of, r=record)] == [str(instance)]
    assert await door.do("gus", "mutation($i: ID!) { readNotice(id: $i) }", i=notice["id"]) is True
    assert await door.do("gus", "{ notices(unread: true) { id } }") == []
    for reason in ("", " \u3000", "\u200b", "长" * 4_001):
        refused = await door.code("dan", CANCEL, p=str(instance), r=reason)
        assert refused in ("REASON_REQUIRED", "BAD_INPUT"), reason[:5]
    suspend = 'mutation($p: ID!) { suspendProcess(process: $p, reason: "待供应商") { process { status } } }'
    assert (await door.do("dan", suspend, p=str(instance)))["process"]["status"] == "suspended"
    assert await door.code("ann", DECIDE, task=task["id"], outcome="done") == "PROCESS_SUSPENDED"
    resume = "mutation($p: ID!) { resumeProcess(process: $p) { process { status } } }"
    assert (await door.do("dan", resume, p=str(instance)))["process"]["status"] == "running"
    cancel = (
        'mutation($p: ID!) { cancelProcess(process: $p, reason: "误报") { process { status tasks { kind status } } } }'
    )
    ended = (await door.do("dan", cancel, p=str(instance)))["process"]
    assert ended["status"] == "cancelled"
    assert [each["status"] for each in ended["tasks"] if each["kind"] == "task"] == ["closed"]


async def test_what_stopped_a_process_is_tried_again_for_a_reason(database: TestDatabase) -> None:
    steps = "  make: {do: [{create: part, with: {code: \"'x'\"}}], retries: 0}\n  fill: {who: clerk}\n"
    made = await small_works(await database.open(), steps, people={"clerk": ("ann",), "boss": ("hal",)})
    door, call = Door(made), made.call("ann")
    taken = await made.plant.commands.create(call, "part", {"code": "x"})
    process = await made.a_case("ann")
    ((incident,),) = [each["state"]["incidents"] for each in await made.instances()]
    await made.plant.commands.update(call, "part", taken.id, taken.row_version, {"code": "y"})
    retry = """mutation($p: ID!, $i: Int!, $r: String!) {
      retryIncident(process: $p, incident: $i, reason: $r) { process { timeline { what comment } } } }"""
    for blank in ("", " \u3000", "\ufe0f"):
        assert await door.code("hal", retry, p=str(process), i=incident["id"], r=blank) == "REASON_REQUIRED"
    done = await door.do("hal", retry, p=str(process), i=incident["id"], r="the code is free")
    assert "the code is free" in [each["comment"] for each in done["process"]["timeline"]]
    headers = [json.loads(each["header"]) for each in await made.plant.rows(system.leaf)]
    told = [each["reason"] for each in headers if each["action"] == "process:act"]
    assert told == ["the code is free"], "the trail says why, where it says why of everything"


async def test_my_tasks_that_are_late(door: Door) -> None:
    await open_ncr(door.made)
    late, mine = "{ myTasks(overdue: true) { id } }", "{ myTasks { id dueAt } }"
    assert await door.do("ann", late) == []
    (first,) = await door.do("ann", mine)
    past = datetime(2026, 1, 5, tzinfo=UTC)
    await door.made.update(process_tables.task, due_at=past)
    assert [each["id"] for each in await door.do("ann", late)] == [first["id"]]


PAGE = """query($first: Int, $after: Cursor, $last: Int, $before: Cursor, $order: TaskOrder) {
  myTasksConnection(first: $first, after: $after, last: $last, before: $before, orderBy: $order) {
    edges { cursor node { id dueAt } } nodes { id }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }"""


async def test_my_tasks_page_by_page(door: Door) -> None:
    """In every order and both directions: each task once, whatever comes between; also those done for others."""
    plant, (ann, bob) = door.made.plant, (door.made.people[each].id for each in ("ann", "bob"))
    chance, begin = random.Random(3), datetime(2026, 1, 5, tzinfo=UTC)
    await open_ncr(door.made)
    (like,) = await plant.rows(process_tables.task)
    known: dict[UUID, tuple[datetime, datetime]] = {}
    rows = []
    for number in range(40):
        due = chance.choice((None, begin + timedelta(hours=chance.randrange(6))))
        row = {"id": uuid7(), "number": number + 100, "due_at": due}
        rows.append({**like, **row, "opened_at": begin + timedelta(minutes=chance.randrange(9)), "assignee": None})
        known[row["id"]] = (due or datetime.max.replace(tzinfo=UTC), rows[-1]["opened_at"])
    lent = {each["id"]: str(bob) for each in rows[30:]}

    async def put(connection: Connection) -> None:
        await connection.execute(sa.delete(process_tables.task_candidate))
        await connection.execute_many(sa.insert(process_tables.task), rows)
        offers = [{"task": each["id"], "person": ann if at < 30 else bob} for at, each in enumerate(rows)]
        await connection.execute_many(sa.insert(process_tables.task_candidate), offers)

    await plant.database.run_write(put)
    orders: dict[Order, Any] = {
        "due": lambda each: (*known[each], each),
        "oldest": lambda each: (known[each][1], each),
        "newest": lambda each: (known[each][1], each),
    }
    for order, key in orders.items():
        mine = sorted((each["id"] for each in rows[:30]), key=key, reverse=order == "newest")
        for size in (1, 7, 30):
            for backward in (False, True):
                found, place = [], None
                while len(found) < 30:
                    asked = {"last": size, "before": place} if backward else {"first": size, "after": place}
                    page = await door.do("ann", PAGE, order=order.upper(), **asked)
                    ids = [UUID(each["node"]["id"]) for each in page["edges"]]
                    assert [UUID(each["id"]) for each in page["nodes"]] == ids
                    found = ids + found if backward else found + ids
                    info = page["pageInfo"]
                    assert info["hasPreviousPage"] is (len(found) < 30 if backward else len(found) > len(ids))
                    assert info["hasNextPage"] is (len(found) > len(ids) if backward else len(found) < 30)
                    place = info["startCursor"] if backward else info["endCursor"]
                    assert page["totalCount"] == 30
                assert found == mine, (order, size, backward)
        asked = inbox.Asked(50, order=order)
        async with plant.database.read() as connection:
            page = await inbox.page(connection, ann, lent, asked)
            assert await inbox.count(connection, ann, lent, asked) == 40
        assert [UUID(each["id"]) for each in page.tasks] == sorted(known, key=key, reverse=order == "newest")
        assert {UUID(each["id"]) for each in page.tasks if each["behalf"]} == lent.keys()
    cursor = (await door.do("ann", PAGE, first=1))["pageInfo"]["endCursor"]
    assert await door.code("ann", PAGE, order="NEWEST", after=cursor) == "BAD_CURSOR"
    assert await door.code("ann", PAGE, after="00") == "BAD_CURSOR"
    assert await door.code("ann", PAGE, first=501) == "BAD_PAGE"
    assert await door.code("ann", PAGE, first=1, last=1) == "BAD_INPUT"
    short = [each["id"] for each in await door.do("ann", "{ myTasks(first: 7) { id } }")]
    assert short == [each["id"] for each in (await door.do("ann", PAGE, first=7))["nodes"]]


async def test_each_step_has_a_mutation_of_its_own(door: Door) -> None:
    """With the step's outcomes as an enum and its fields as an input; other tasks are not decided by it."""
    await open_ncr(door.made)
    (task,) = await door.do("ann", MINE)
    contain = """mutation($task: ID!, $text: String) {
      nonconformanceHandlingContain(task: $task, outcome: done, input: {containment: $text}) { process { at } } }"""
    wrong = "mutation($task: ID!) { nonconformanceHandlingClose(task: $task, outcome: done) { replayed } }"
    assert await door.code("ann", wrong, task=task["id"]) == "NO_SUCH_PROCESS"
    assert (await door.do("ann", contain, task=task["id"], text="隔离区"))["process"]["at"] == ["investigate"]
    (task,) = await door.do("cid", MINE)
    unknown = "mutation($task: ID!) { nonconformanceHandlingInvestigate(task: $task, outcome: maybe) { replayed } }"
    assert await door.code("cid", unknown, task=task["id"]) == "GRAPHQL_INVALID"
    other = """mutation($task: ID!) {
      nonconformanceHandlingInvestigate(task: $task, outcome: done, input: {containment: "x"}) { replayed } }"""
    assert await door.code("cid", other, task=task["id"]) == "GRAPHQL_INVALID"


async def test_a_process_is_started_by_its_own_mutation(door: Door) -> None:
    ncr = str(door.made.plant.ids["ncr"])
    start = "mutation($r: ID!, $k: String) { startNonconformanceHandling(record: $r, idempotencyKey: $k) { replayed } }"
    assert await door.do("ann", start, r=ncr, k="s1") == {"replayed": False}
    assert await door.do("ann", start, r=ncr, k="s1") == {"replayed": True}
    assert await door.code("ann", start, r=ncr, k="s2") == "ALREADY_RUNNING"
    generic = 'mutation($r: ID!) { startProcess(workflow: "nothing", record: $r) { replayed } }'
    assert await door.code("ann", generic, r=ncr) == "NO_SUCH_PROCESS"


async def test_the_whole_schema_holds_together(door: Door) -> None:
    """Introspection meets every type there is."""
    call = door.made.call("ann")
    schema = door.engine.views.view(call.decision, "zh").sdl()
    assert "enum NonconformanceHandlingBoardOutcome" in schema
    assert "input NonconformanceHandlingBoardInput" in schema
