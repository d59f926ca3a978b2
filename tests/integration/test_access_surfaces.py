"""Surfaces that are easily forgotten: errors of commands, references, subscriptions, trail, cached statements."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from access_oracle import PEOPLE, Oracle
from read_world import MINI, SITES, Row, context, pour, uid, world

from clew.access.deciding import Deciding
from clew.access.decision import permit_all
from clew.access.loading import load_bundle
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.kernel.context import Person, Scope
from clew.metadata.load import load_folder
from clew.records.commands import Call, Commands
from clew.records.errors import Duplicate
from clew.records.feed import Feed
from clew.runtime import api_features
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

WRITER = """\
---
role: clerk
label: {zh: 文员, en: Clerk}
sites: own
may:
  lot: {read: always, update: "state == 'quarantine'", void: always, do: always, hide: [supplier_lot], create: always}
  supplier: {read: "state == 'active'", update: always}
  item: {read: always}
  site: {read: always}
  nonconformance: {read: always, create: always, update: always}
---
role: keeper
label: {zh: 管理员, en: Keeper}
may:
  item: {read: "item_no == 'I-0'", create: always, update: always}
  serial_unit: {read: "serial == 'none'", create: always, hide: [lot]}
"""
KEEPER = Person(uid(90, 2), "keeper", "Keeper", ("keeper",))
CLERK = Person(
    uid(90, 1), "clerk", "Clerk", ("clerk",), (SITES[0],), SITES[0], scopes={"clerk": Scope((SITES[0],), None)}
)


class House:
    """The policed world with everything that writes and tells."""

    def __init__(self, database: Any, tables: Any, blueprint: Any) -> None:
        self.database, self.tables, self.blueprint = database, tables, blueprint
        self.deciding = Deciding(blueprint, uid(99, 1))
        self.world = world(7)
        self.commands = Commands(database, blueprint, tables, release="1")
        self.feed = Feed(database, SystemClock(), poll=0.02)
        features = api_features(self.commands, self.feed, database)
        self.engine = GraphQLEngine(blueprint, tables, database, SystemClock(), None, features)

    def caller(self, person: Person) -> Caller:
        who = context(person)
        return Caller(who, self.deciding(who))

    async def ask(self, person: Person, document: str, **variables: Any) -> dict[str, Any]:
        question = Question(document, None, variables)
        found: dict[str, Any] = json.loads((await self.engine.execute(question, self.caller(person))).body)
        return found

    def operator(self) -> Call:
        return Call(context(Person(uid(99, 1), "op", "Op")), permit_all(self.blueprint), "because")


@pytest.fixture
async def house(database: TestDatabase) -> AsyncIterator[House]:
    mini = load_folder(MINI).blueprint
    assert mini is not None
    from access_oracle import POLICIES

    blueprint = load_bundle({**mini.sources, "permissions/p.yaml": POLICIES + WRITER}).blueprint
    assert blueprint is not None
    opened = await database.open()
    yield House(opened, await pour(opened, blueprint, world(7)), blueprint)
    await opened.close()


def rows(house: House, entity: str, **wanted: Any) -> list[Row]:
    found = [row for row in house.world.rows(entity, None) if row["voided_at"] is None]
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


COMMANDS = (
    'mutation {{ updateLot(id: "{id}", rowVersion: 1, input: {{expOn: "2030-01-01"}}, reason: "r") {{ __typename }} }}',
    'mutation {{ voidLot(id: "{id}", rowVersion: 1, reason: "r") {{ __typename }} }}',
    'mutation {{ rejectLot(id: "{id}", rowVersion: 1, reason: "r") {{ __typename }} }}',
    '{{ lot(id: "{id}") {{ number }} }}',
    '{{ node(id: "{id}") {{ id }} }}',
    "mutation {{ createNonconformance(input: {{severity: minor, lots: [],"
    ' subject: {{lot: "{id}"}}}}) {{ __typename }} }}',
    'mutation {{ createNonconformance(input: {{severity: minor, lots: ["{id}"],'
    ' subject: {{lot: "{seen}"}}}}) {{ __typename }} }}',
)


async def test_error_timing_uniform(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat 21: what is hidden answers word for word as what is not there, after as many statements."""
    counted: list[str] = []
    async with house.database.write() as connection:
        kind = type(connection)
    for name in ("fetch", "fetch_one", "fetch_value", "fetch_text", "execute", "run_many"):
        original = getattr(kind, name, None)
        if original is None:
            continue

        def watch(original: Any) -> Any:
            async def run(self: Any, *args: Any, **more: Any) -> Any:
                counted.append(original.__name__)
                return await original(self, *args, **more)

            return run

        monkeypatch.setattr(kind, name, watch(original))
    hidden = rows(house, "lot", site=SITES[1])
    seen = rows(house, "lot", site=SITES[0])[0]["id"]
    assert hidden
    for document in COMMANDS:
        told = []
        for id in (hidden[0]["id"], uid(4, 901), hidden[1]["id"], uid(4, 902)):
            counted.clear()
            answer = await house.ask(CLERK, document.format(id=id, seen=seen))
            told.append((json.dumps(answer).replace(str(id), "§"), len(counted)))
        # The first question compiles; from then on both take the same way.
        assert told[0][0] == told[1][0] == told[2][0] == told[3][0], document
        assert told[2][1] == told[3][1], document
        assert "GRAPHQL_INVALID" not in told[0][0], told[0]
        assert "errors" in told[0][0] or "null" in told[0][0]


async def test_secondary_surfaces(house: House) -> None:
    """Threat 22: subscriptions, trail and answers of commands obey the same decision as reads."""
    people = [person for person in (*PEOPLE, CLERK) if house.deciding(context(person)).on("lot").read.allowed]
    heard: dict[int, list[Any]] = {at: [] for at in range(len(people))}

    async def follow(at: int) -> None:
        question = Question("subscription { lotChanged { id action record { number state } } }", None, {})
        async for text in house.engine.stream(question, house.caller(people[at])):
            heard[at].append(json.loads(text if isinstance(text, str | bytes) else text.body)["data"]["lotChanged"])

    tasks = [asyncio.create_task(follow(at)) for at in range(len(people))]
    for _ in range(500):
        if len(house.feed.listeners) == len(people):
            break
        await asyncio.sleep(0.02)
    assert len(house.feed.listeners) == len(people)
    touched = []
    fit = [row for row in rows(house, "lot") if row["supplier"] is None or row["supplier_lot"] is not None]
    for row in fit[:12]:
        outcome = await house.commands.update(
            house.operator(), "lot", row["id"], row["row_version"], {"exp_on": "2031-01-01", "mfg_on": "2030-01-01"}
        )
        assert outcome.row_version == row["row_version"] + 1
        touched.append(row)
    oracles = [Oracle(house.world, person) if person is not CLERK else None for person in people]

    def wanted(at: int) -> list[str]:
        oracle = oracles[at]
        if oracle is None:
            return [str(row["id"]) for row in touched if row["site"] == SITES[0]]
        return [str(row["id"]) for row in touched if oracle.sees("lot", row)]

    for _ in range(500):
        if all(len(heard[at]) >= len(wanted(at)) for at in heard):
            break
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for at in heard:
        assert [each["id"] for each in heard[at]] == wanted(at), people[at].roles
    assert any(wanted(at) != wanted(0) for at in heard)


async def test_the_trail_shows_changes_of_visible_fields_only(house: House) -> None:
    inspector = PEOPLE[0]
    (row, *_) = rows(house, "lot", site=SITES[0])
    given = {"supplier_lot": "ZZ9", "exp_on": "2031-01-01", "mfg_on": "2030-01-01", "supplier": None}
    await house.commands.update(house.operator(), "lot", row["id"], row["row_version"], given)
    document = f'{{ lot(id: "{row["id"]}") {{ audit {{ changes {{ field old new }} }} }} }}'
    for person in (inspector, PEOPLE[3]):
        if not Oracle(house.world, person).sees("lot", row):
            continue
        answer = await house.ask(person, document)
        fields = {each["field"] for each in answer["data"]["lot"]["audit"][0]["changes"]}
        hidden = {"supplier"} if person is inspector else set()
        assert not fields & hidden
        assert "exp_on" in fields or "expOn" in fields


async def test_an_upsert_or_reference_does_not_tell_what_is_hidden(house: House) -> None:
    """The key of a hidden record, and its id as a reference, answer as ones that nobody has."""
    hidden = next(row for row in rows(house, "supplier") if row["state"] == "draft")
    lot = rows(house, "lot", site=SITES[0], state="quarantine")[0]
    document = (
        'mutation {{ updateLot(id: "{lot}", rowVersion: {version}, reason: "r",'
        ' input: {{supplier: "{id}"}}) {{ __typename }} }}'
    )
    answers = [
        json.dumps(await house.ask(CLERK, document.format(lot=lot["id"], version=lot["row_version"], id=id)))
        for id in (hidden["id"], uid(3, 901))
    ]
    assert answers[0] == answers[1]
    assert "REFERENCE" in answers[0], answers[0]


async def test_a_key_that_is_taken_does_not_tell_by_whom(house: House) -> None:
    """The key of a hidden record is refused word for word as that of one that is seen, by every command."""
    item = 'mutation {{ {verb}Item(input: {{itemNo: "{key}", name: "x"}}) {{ __typename }} }}'
    for verb in ("create", "upsert"):
        told = []
        for key in ("I-1", "I-2") if verb == "upsert" else ("I-0", "I-1"):
            answer = json.dumps(await house.ask(KEEPER, item.format(verb=verb, key=key)))
            told.append(answer.replace(key, "§"))
        assert told[0] == told[1]
        assert "DUPLICATE" in told[0], told[0]
    mine = rows(house, "item", item_no="I-0")[0]
    change = 'mutation($id: ID!) { updateItem(id: $id, rowVersion: 1, input: {itemNo: "I-1"}) { __typename } }'
    answer = json.dumps(await house.ask(KEEPER, change, id=str(mine["id"])))
    assert "DUPLICATE" in answer
    assert str(rows(house, "item", item_no="I-1")[0]["id"]) not in answer
    # Of a key of several fields only those are named that the person sees.
    unit = rows(house, "serial_unit")[0]
    call = Call(context(KEEPER), house.deciding(context(KEEPER)), "r", foreign=True)
    with pytest.raises(Duplicate) as refused:
        await house.commands.upsert(call, "serial_unit", {"lot": unit["lot"], "serial": unit["serial"]})
    assert refused.value.params["names"] == ["serial"]


async def test_one_cached_statement_serves_many_people_rightly(house: House) -> None:
    """People with the same grants share a decision and its statements, never each other's sites."""
    document = "{ lots(first: 100) { nodes { id } } }"
    for _ in range(2):
        for site in SITES:
            who = Person(
                uid(91, 1), "x", "X", ("inspector",), (site,), None, scopes={"inspector": Scope((site,), None)}
            )
            found = await house.ask(who, document)
            wanted = {str(row["id"]) for row in rows(house, "lot", site=site)}
            assert {each["id"] for each in found["data"]["lots"]["nodes"]} == wanted
