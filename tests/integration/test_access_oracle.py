"""Role × entity × path × operator by brute force: no leak and no wrong denial, on both databases.

10,000 checks in the full tier. Each check is one question by one person, whose answer a hand-written oracle knows.
"""

from __future__ import annotations

import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from access_oracle import PEOPLE, Oracle, policed, wire
from read_world import MOMENTS, Row, context, pour, uid, world

from clew.access.deciding import Deciding
from clew.api.engine import GraphQLEngine, Options
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.kernel.context import Person
from clew.kernel.errors import ClewError
from clew.metadata import naming
from clew.metadata.blueprint import Blueprint
from clew.process.engine import Processes
from clew.records.commands import Commands
from clew.records.exporting import export_file
from clew.records.feed import Feed
from clew.records.source import Source
from clew.runtime import api_features
from clew.storage import system
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

FIELDS = {
    "lot": ("number", "state", "qty", "supplier_lot", "exp_on"),
    "supplier": ("number", "name", "contact", "note", "state"),
    "nonconformance": ("number", "severity", "state", "closed_on"),
    "serial_unit": ("serial",),
    "item": ("item_no", "name", "sterile"),
    "site": ("code",),
}
KINDS = {"lot": 4, "supplier": 3, "nonconformance": 6, "serial_unit": 5, "item": 2, "site": 1}
FORWARD = (
    ("lot", "supplier", "supplier"),
    ("lot", "item", "item"),
    ("lot", "site", "site"),
    ("serial_unit", "lot", "lot"),
    ("nonconformance", "site", "site"),
)
BACK = (
    ("supplier", "lots", "lot", "supplier"),
    ("item", "lots", "lot", "item"),
    ("lot", "serial_units", "serial_unit", "lot"),
    ("lot", "nonconformances", "nonconformance", "lots"),
)
ENTITIES = tuple(FIELDS)
AUDITED = ("lot", "nonconformance")
"""Entities whose versions stand in the trail."""


class Scene:
    """The policed world on a database, and everybody in it."""

    def __init__(
        self, database: Any, tables: Any, blueprint: Blueprint | None = None, processes: Processes | None = None
    ) -> None:
        self.database, self.tables, self.blueprint = database, tables, blueprint or policed()
        self.deciding = Deciding(self.blueprint, uid(99, 1))
        self.world = world(7)
        self.feed = Feed(database, SystemClock())
        commands = Commands(database, self.blueprint, tables, release="1")
        features = api_features(commands, self.feed, database, processes=processes)
        self.engine = GraphQLEngine(self.blueprint, tables, database, SystemClock(), None, features)
        self.plain = GraphQLEngine(self.blueprint, tables, database, SystemClock(), Options.production(), features)
        """Without suggestions."""

    async def leaves(self) -> None:
        """What the write path would have told the trail of every version."""
        async with self.database.write() as connection:
            for entity in AUDITED:
                for id, versions in self.world.versions[entity].items():
                    for at, (start, _, row) in enumerate(versions):
                        was = versions[at - 1][2] if at else {}
                        fields = {
                            name: {"c": "c", "s": "s", "o": wire(was.get(name)), "n": wire(row[name])}
                            for name in FIELDS[entity]
                        }
                        values = {
                            "leaf_id": uid(80 + KINDS[entity], 10 * id.int % 10_000 + at), "at": start,
                            "action": "update" if at else "create", "entity": entity, "record_id": id,
                            "row_version": row["row_version"], "actor": row["updated_by"], "header": "{}",
                            "fields": json.dumps(fields), "digest": "d" * 64,
                        }  # fmt: skip
                        await connection.execute(sa.insert(system.leaf), values)

    async def ask(self, oracle: Oracle, document: str, **variables: Any) -> dict[str, Any]:
        who = context(oracle.person)
        moment = oracle.as_of.isoformat() if oracle.as_of else None
        question = Question(document, None, {"t": moment, **variables})
        found: dict[str, Any] = json.loads((await self.engine.execute(question, Caller(who, self.deciding(who)))).body)
        return found


@pytest.fixture
async def scene(database: TestDatabase) -> AsyncIterator[Scene]:
    opened = await database.open()
    made = Scene(opened, await pour(opened, policed(), world(7)))
    await made.leaves()
    yield made
    await opened.close()


Path_ = Callable[[Scene, Oracle, random.Random], Awaitable[None]]


def api(name: str) -> str:
    return naming.field_name(name)


def many(entity: str) -> str:
    return naming.list_query(naming.plural(entity))


async def refused_alike(scene: Scene, oracle: Oracle, document: str, name: str) -> None:
    """What is not there for the caller answers as a misspelt name does, but for the name (threat 16)."""
    wrong = name[:-2] + "Qx"
    engine, scene.engine = scene.engine, scene.plain
    try:
        hidden, missing = [await scene.ask(oracle, document.replace("§", each)) for each in (name, wrong)]
    finally:
        scene.engine = engine
    assert "data" not in hidden or hidden["data"] is None, (oracle.person.roles, document, name, hidden)
    assert json.dumps(hidden).replace(name, "§") == json.dumps(missing).replace(wrong, "§"), document
    # While developing a suggestion depends on the spelling; it is of names that are there.
    suggested = json.dumps(await scene.ask(oracle, document.replace("§", name)))
    assert not any(f"'{name}'" in each for each in re.findall(r"Did you mean [^?]*", suggested))


async def answered(scene: Scene, oracle: Oracle, document: str, **variables: Any) -> Any:
    found = await scene.ask(oracle, document, **variables)
    assert "errors" not in found, (oracle.person.roles, document, found)
    return found["data"]


def a_field(oracle: Oracle, chance: random.Random, entity: str = "") -> tuple[str, str]:
    entity = entity or chance.choice(ENTITIES)
    return entity, chance.choice(FIELDS[entity])


async def known(scene: Scene, oracle: Oracle, entity: str, name: str, document: str) -> bool:
    """False when the entity or field is not there for the person, after seeing that it answers so."""
    if not oracle.knows(entity):
        root = "query($t: DateTime) { §(asOf: $t) { totalCount } }"
        await refused_alike(scene, oracle, root, many(entity))
        return False
    if not oracle.exists(entity, name):
        await refused_alike(scene, oracle, document, api(name))
        return False
    return True


# ── the ways ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def by_id(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, name = a_field(oracle, chance)
    row = chance.choice(scene.world.rows(entity, oracle.as_of) or [None])
    id = str(row["id"]) if row and chance.random() < 0.9 else str(uid(KINDS[entity], 900))
    root = naming.one_query(entity)
    document = f"query($t: DateTime, $id: ID!) {{ {root}(id: $id, asOf: $t) {{ id § }} }}"
    if not await known(scene, oracle, entity, name, document.replace("$id: ID!", f'$id: ID = "{id}"')):
        return
    found = await answered(scene, oracle, document.replace("§", api(name)), id=id)
    seen = row is not None and str(row["id"]) == id and oracle.sees(entity, row)
    assert found[root] == ({"id": id, api(name): wire(oracle.value(entity, row, name))} if seen else None)


async def by_node(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, name = a_field(oracle, chance)
    row = chance.choice(scene.world.rows(entity, None))
    now = Oracle(scene.world, oracle.person)
    if not oracle.knows(entity) or not oracle.exists(entity, name):
        return
    document = f"query($id: ID!) {{ node(id: $id) {{ id ... on {naming.type_name(entity)} {{ {api(name)} }} }} }}"
    found = await answered(scene, now, document, id=str(row["id"]))
    seen = {"id": str(row["id"]), api(name): wire(now.value(entity, row, name))} if now.sees(entity, row) else None
    assert found["node"] == seen


async def in_list(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, name = a_field(oracle, chance)
    document = f"query($t: DateTime) {{ x: {many(entity)}(asOf: $t, first: 100) {{ totalCount nodes {{ id § }} }} }}"
    if not await known(scene, oracle, entity, name, document):
        return
    found = (await answered(scene, oracle, document.replace("§", api(name))))["x"]
    rows = oracle.listed(entity)
    assert found["totalCount"] == len(rows)
    assert {each["id"]: each[api(name)] for each in found["nodes"]} == {
        str(row["id"]): wire(oracle.value(entity, row, name)) for row in rows
    }


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, given: value == given,
    "ne": lambda value, given: value != given,
    "in": lambda value, given: value in given,
    "notIn": lambda value, given: value not in given,
    "lt": lambda value, given: value is not None and value < given,
    "gte": lambda value, given: value is not None and value >= given,
    "isNull": lambda value, given: (value is None) is given,
}


async def filtered(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, name = a_field(oracle, chance)
    if name == "sterile":
        return
    values = [row[name] for row in scene.world.rows(entity, oracle.as_of) if row[name] is not None]
    given = chance.choice(values) if values else None
    ordered = name in ("qty", "exp_on", "number", "serial", "item_no", "code")
    op = chance.choice([each for each in OPERATORS if ordered or each not in ("lt", "gte")])
    if op != "isNull" and given is None:
        return
    argument: Any = [given] if op in ("in", "notIn") else chance.random() < 0.5 if op == "isNull" else given
    on_wire = [wire(each) for each in argument] if isinstance(argument, list) else wire(argument)
    document = f"query($t: DateTime) {{ x: {many(entity)}(asOf: $t, where: {{§: {{isNull: true}}}}) {{ totalCount }} }}"
    if not await known(scene, oracle, entity, name, document):
        return
    type_ = naming.type_name(entity)
    asked = f"""query($t: DateTime, $w: {type_}Where) {{
      x: {many(entity)}(asOf: $t, first: 100, where: $w) {{ nodes {{ id }} totalCount }} }}"""
    found = (await answered(scene, oracle, asked, w={api(name): {op: on_wire}}))["x"]
    wanted = {
        str(row["id"]) for row in oracle.listed(entity) if OPERATORS[op](oracle.value(entity, row, name), argument)
    }
    assert {each["id"] for each in found["nodes"]} == wanted, (oracle.person.roles, entity, name, op, argument)
    assert found["totalCount"] == len(wanted)


def in_order(oracle: Oracle, entity: str, name: str) -> list[str]:
    rows = oracle.listed(entity)
    keyed = [(oracle.value(entity, row, name), row["id"].hex, str(row["id"])) for row in rows]
    return [
        id
        for _, _, id in sorted(
            keyed, key=lambda each: (each[0] is None, each[0] if each[0] is not None else 0, each[1])
        )
    ]


SORTABLE = {"lot": ("qty", "exp_on", "number"), "nonconformance": ("number",), "supplier": ("number", "contact")}


async def ordered(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity = chance.choice(tuple(SORTABLE))
    name = chance.choice(SORTABLE[entity])
    document = (
        f"query($t: DateTime) {{ x: {many(entity)}(asOf: $t, first: 100, orderBy: [{{§: ASC}}]) {{ nodes {{ id }} }} }}"
    )
    if not await known(scene, oracle, entity, name, document):
        return
    found = (await answered(scene, oracle, document.replace("§", api(name))))["x"]
    assert [each["id"] for each in found["nodes"]] == in_order(oracle, entity, name)


async def paged(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity = chance.choice(tuple(SORTABLE))
    name = chance.choice(SORTABLE[entity])
    if not oracle.knows(entity) or not oracle.exists(entity, name):
        return
    document = f"""query($t: DateTime, $c: Cursor) {{ x: {many(entity)}(asOf: $t, first: 4, after: $c,
      orderBy: [{{{api(name)}: ASC}}]) {{ nodes {{ id }} pageInfo {{ hasNextPage endCursor }} }} }}"""
    ids: list[str] = []
    cursor = None
    for _ in range(12):
        page = (await answered(scene, oracle, document, c=cursor))["x"]
        ids += [each["id"] for each in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert ids == in_order(oracle, entity, name)


async def forward(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, relation, target = chance.choice(FORWARD)
    name = chance.choice(FIELDS[target])
    if not oracle.knows(entity):
        return
    document = f"query($t: DateTime) {{ x: {many(entity)}(asOf: $t, first: 100) {{ nodes {{ id § {{ id }} }} }} }}"
    if not oracle.exists(entity, relation) or not oracle.knows(target):
        await refused_alike(scene, oracle, document, api(relation))
        return
    inner = f"""query($t: DateTime) {{
      x: {many(entity)}(asOf: $t, first: 100) {{ nodes {{ id r: {api(relation)} {{ id § }} }} }} }}"""
    if not oracle.exists(target, name):
        await refused_alike(scene, oracle, inner, api(name))
        return
    found = (await answered(scene, oracle, inner.replace("§", api(name))))["x"]["nodes"]
    wanted = {}
    for row in oracle.listed(entity):
        other = oracle.one(entity, row, relation, target)
        wanted[str(row["id"])] = other and {"id": str(other["id"]), api(name): wire(oracle.value(target, other, name))}
    assert {each["id"]: each["r"] for each in found} == wanted, (oracle.person.roles, entity, relation)


async def backward(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, relation, source, forward_ = chance.choice(BACK)
    name = chance.choice(FIELDS[source])
    if not oracle.knows(entity):
        return
    document = (
        f"query($t: DateTime) {{ x: {many(entity)}(asOf: $t, first: 100) {{ nodes {{ id § {{ totalCount }} }} }} }}"
    )
    there = oracle.exists(entity, relation) and oracle.knows(source) and oracle.exists(source, forward_)
    if not there:
        await refused_alike(scene, oracle, document, api(relation))
        return
    if not oracle.exists(source, name):
        return
    inner = f"""query($t: DateTime) {{ x: {many(entity)}(asOf: $t, first: 100) {{ nodes {{ id
      r: {api(relation)}(first: 100) {{ totalCount nodes {{ id {api(name)} }} }} }} }} }}"""
    found = {each["id"]: each["r"] for each in (await answered(scene, oracle, inner))["x"]["nodes"]}
    for row in oracle.listed(entity):
        rows = oracle.back(entity, row, relation, source, forward_)
        got = found[str(row["id"])]
        assert got["totalCount"] == len(rows), (oracle.person.roles, entity, relation)
        assert {each["id"]: each[api(name)] for each in got["nodes"]} == {
            str(each["id"]): wire(oracle.value(source, each, name)) for each in rows
        }


async def through(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    """A condition on related records: nothing is learnt of what is not seen."""
    entity, relation, source, forward_ = chance.choice(BACK)
    name = chance.choice([each for each in FIELDS[source] if each not in ("sterile",)])
    given = chance.choice([row[name] for row in scene.world.rows(source, None)])
    if not (oracle.knows(entity) and oracle.knows(source)) or given is None:
        return
    if not (oracle.exists(entity, relation) and oracle.exists(source, forward_) and oracle.exists(source, name)):
        return
    quantifier = chance.choice(("some", "none"))
    where = {api(relation): {quantifier: {api(name): {"eq": wire(given)}}}}
    type_ = naming.type_name(entity)
    document = f"""query($t: DateTime, $w: {type_}Where) {{
      x: {many(entity)}(asOf: $t, first: 100, where: $w) {{ nodes {{ id }} }} }}"""
    found = (await answered(scene, oracle, document, w=where))["x"]["nodes"]
    wanted = set()
    for row in oracle.listed(entity):
        related = oracle.back(entity, row, relation, source, forward_)
        some = any(oracle.value(source, each, name) == given for each in related)
        if some == (quantifier == "some"):
            wanted.add(str(row["id"]))
    assert {each["id"] for each in found} == wanted, (oracle.person.roles, where)


async def aggregated(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, name = chance.choice((("lot", "qty"), ("lot", "exp_on"), ("nonconformance", "closed_on")))
    document = (
        f"query($t: DateTime) {{ x: {many(entity)}(asOf: $t) {{ aggregate {{ count min {{ § }} max {{ § }} }} }} }}"
    )
    if not await known(scene, oracle, entity, name, document):
        return
    found = (await answered(scene, oracle, document.replace("§", api(name))))["x"]["aggregate"]
    rows = oracle.listed(entity)
    values = [value for row in rows if (value := oracle.value(entity, row, name)) is not None]
    assert found == {
        "count": len(rows),
        "min": {api(name): wire(min(values)) if values else None},
        "max": {api(name): wire(max(values)) if values else None},
    }, (oracle.person.roles, entity, name)
    if name == "qty":
        total = await answered(scene, oracle, "query($t: DateTime) { lots(asOf: $t) { aggregate { sum { qty } } } }")
        assert total["lots"]["aggregate"]["sum"]["qty"] == (wire(sum(values)) if values else None)


async def grouped(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    entity, name = chance.choice(
        (("lot", "state"), ("lot", "supplier_lot"), ("nonconformance", "severity"), ("supplier", "name"))
    )
    document = f"query($t: DateTime) {{ x: {many(entity)}(asOf: $t) {{ groups(by: [§]) {{ count key {{ v: § }} }} }} }}"
    if not await known(scene, oracle, entity, name, document):
        return
    found = (await answered(scene, oracle, document.replace("§", api(name))))["x"]["groups"]
    wanted = Counter(wire(oracle.value(entity, row, name)) for row in oracle.listed(entity))
    assert {each["key"]["v"]: each["count"] for each in found} == dict(wanted), (oracle.person.roles, entity, name)


async def searched(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    text = chance.choice(("A1", "b2", "上海", "安泰"))
    entity, name = ("lot", "supplier_lot") if text.isascii() else ("supplier", "name")
    now = Oracle(scene.world, oracle.person)
    if not oracle.knows(entity):
        return
    document = f"query($q: String) {{ x: {many(entity)}(search: $q, first: 100) {{ totalCount nodes {{ id }} }} }}"
    searchable = [each.name for each in scene.blueprint.entities[entity].searchable if oracle.exists(entity, each.name)]
    if not searchable:
        return
    found = (await answered(scene, now, document, q=text))["x"]

    def hit(row: Row) -> bool:
        return any(text in (now.value(entity, row, each) or "") for each in searchable)

    wanted = {str(row["id"]) for row in now.listed(entity) if hit(row)}
    assert {each["id"] for each in found["nodes"]} == wanted, (oracle.person.roles, text, name)
    assert found["totalCount"] == len(wanted)


async def through_time(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    """History: only for whom the trail is open, each version with what may be seen of it."""
    entity, name = a_field(oracle, chance, chance.choice(("lot", "nonconformance")))
    now = Oracle(scene.world, oracle.person)
    row = chance.choice(scene.world.rows(entity, None))
    if not oracle.knows(entity) or not oracle.exists(entity, name):
        return
    root = naming.one_query(entity)
    if not oracle.may_at_all("audit", entity):
        document = f'{{ {root}(id: "{row["id"]}") {{ § {{ rowVersion }} }} }}'
        await refused_alike(scene, now, document, "history")
        await refused_alike(scene, now, document, "audit")
        return
    document = (
        f"query($id: ID!) {{ {root}(id: $id) {{ history(first: 20) {{ rowVersion record {{ {api(name)} }} }} }} }}"
    )
    found = (await answered(scene, now, document, id=str(row["id"])))[root]
    if not now.sees(entity, row):
        assert found is None
        return
    if not now.may("audit", entity, row):
        assert found == {"history": []}
        return
    wanted = []
    for start, _, version in reversed(scene.world.versions[entity][row["id"]]):
        then = Oracle(scene.world, oracle.person, start)
        if then.sees(entity, version):
            seen = {api(name): wire(then.value(entity, version, name))}
            wanted.append({"rowVersion": version["row_version"], "record": seen})
    assert found["history"] == wanted, (oracle.person.roles, entity, name)


def told(scene: Scene, oracle: Oracle, entity: str, row: Row) -> list[dict[str, Any]]:
    """The entries of a record's trail that the person may read, newest first, with what changed as they may see it."""
    if not oracle.may("audit", entity, row):
        return []
    found = []
    versions = scene.world.versions[entity][row["id"]]
    for at, (start, _, version) in enumerate(versions):
        then = Oracle(scene.world, oracle.person, start)
        if not then.sees(entity, version):
            continue
        was = versions[at - 1][2] if at else {}
        before = Oracle(scene.world, oracle.person, versions[at - 1][0])
        changes = []
        for name in sorted(FIELDS[entity]):
            old_shown = bool(was) and before.sees(entity, was) and before.shown(entity, was, name)
            new_shown = then.shown(entity, version, name)
            if old_shown or new_shown:
                old, new = wire(was[name]) if old_shown else None, wire(version[name]) if new_shown else None
                changes.append({"field": name, "old": old, "new": new})
        found.append({"recordId": str(row["id"]), "rowVersion": version["row_version"], "changes": changes})
    return found[::-1]


async def trailed(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    """The trail, of one record and as one list."""
    now = Oracle(scene.world, oracle.person)
    if not any(now.may_at_all("audit", entity) for entity in FIELDS):
        await refused_alike(scene, now, "{ § { totalCount } }", "auditTrail")
        return
    entity = chance.choice(AUDITED)
    row = chance.choice(scene.world.rows(entity, None))
    what = "rowVersion changes { field old new }"
    whole = f"""query($id: ID, $e: String) {{ auditTrail(where: {{recordId: $id, entity: $e}}, first: 100) {{
        totalCount nodes {{ recordId {what} }} }} }}"""
    given: dict[str, Any] = {"id": str(row["id"])} if chance.random() < 0.5 else {"e": entity}
    listed = (await answered(scene, now, whole, **given))["auditTrail"]
    rows = [row] if "id" in given else scene.world.rows(entity, None)
    wanted = [entry for each in rows for entry in told(scene, now, entity, each)]

    def order(entry: dict[str, Any]) -> tuple[str, int]:
        return entry["recordId"], entry["rowVersion"]

    assert sorted(listed["nodes"], key=order) == sorted(wanted, key=order), (oracle.person.roles, entity)
    assert listed["totalCount"] == len(wanted)
    if now.may_at_all("audit", entity):
        root = naming.one_query(entity)
        document = f"query($id: ID!) {{ {root}(id: $id) {{ audit(first: 20) {{ {what} }} }} }}"
        found = (await answered(scene, now, document, id=str(row["id"])))[root]
        entries = told(scene, now, entity, row)
        mine = [{"rowVersion": each["rowVersion"], "changes": each["changes"]} for each in entries]
        assert found == ({"audit": mine} if now.sees(entity, row) else None), (oracle.person.roles, entity)


async def borrowed(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    """A cursor that somebody else was given shows nobody more than their own, and tells no value hidden from its
    maker."""
    entity = chance.choice(tuple(SORTABLE))
    name = chance.choice(SORTABLE[entity])
    lender = Oracle(scene.world, chance.choice(PEOPLE), oracle.as_of)
    if not all(each.knows(entity) and each.exists(entity, name) for each in (oracle, lender)):
        return
    document = f"""query($t: DateTime, $c: Cursor) {{ x: {many(entity)}(asOf: $t, first: 3, after: $c,
      orderBy: [{{{api(name)}: ASC}}]) {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}"""
    page = (await answered(scene, lender, document))["x"]
    if not page["nodes"]:
        return
    row = lender.find(entity, UUID(page["nodes"][-1]["id"]))
    assert row is not None
    if not lender.shown(entity, row, name) and row[name] is not None:
        secret = json.dumps(wire(row[name]), ensure_ascii=False).strip('"')
        assert secret not in bytes.fromhex(page["pageInfo"]["endCursor"]).decode(), (lender.person.roles, entity, name)
    shown = (await answered(scene, oracle, document, c=page["pageInfo"]["endCursor"]))["x"]["nodes"]
    ids, whole = [each["id"] for each in shown], in_order(oracle, entity, name)
    assert [each for each in whole if each in ids] == ids, (oracle.person.roles, entity, name)


async def exported(scene: Scene, oracle: Oracle, chance: random.Random) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await leaving(scene, oracle.person, chance.choice(("lot", "serial_unit", "supplier")), Path(folder) / "x.jsonl")


PATHS: tuple[Path_, ...] = (
    by_id, by_node, in_list, filtered, filtered, ordered, paged, forward, forward, backward, backward, through,
    aggregated, grouped, searched, through_time, trailed, trailed, borrowed, exported,
)  # fmt: skip


@pytest.mark.timeout(3600)
async def test_every_path(scene: Scene, tier: Tier) -> None:
    """Threat 18: the row rule and the mask hold at every edge, whichever way a record is reached."""
    chance = random.Random(18)
    walked: Counter[str] = Counter()
    for _ in range(tier.count(600, 10_000)):
        oracle = Oracle(scene.world, chance.choice(PEOPLE), chance.choice((None, None, *MOMENTS[1:3])))
        path = chance.choice(PATHS)
        walked[path.__name__] += 1
        await path(scene, oracle, chance)
    assert len(walked) == len(set(PATHS))


async def test_exports_are_what_is_seen_and_may_leave(scene: Scene, tmp_path: Path) -> None:
    for at, person in enumerate(PEOPLE):
        for entity in ("lot", "serial_unit", "supplier"):
            await leaving(scene, person, entity, tmp_path / f"{at}-{entity}.jsonl")


def written(file: Path) -> list[dict[str, Any]] | None:
    """The records in a file; None when there is none."""
    if not file.exists():
        return None
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


async def leaving(scene: Scene, person: Person, entity: str, file: Path) -> None:
    """What a person's export of an entity holds."""
    oracle, who = Oracle(scene.world, person), context(person)
    source = Source(scene.database, scene.blueprint, scene.tables, scene.deciding(who), who, SystemClock().now())
    if not oracle.may_at_all("export", entity):
        with pytest.raises(ClewError) as refused:
            await export_file(source, entity, file, "jsonl")
        assert refused.value.code == ("FORBIDDEN" if oracle.knows(entity) else "NOT_FOUND")
        assert written(file) is None
        return
    await export_file(source, entity, file, "jsonl")
    rows = written(file) or []
    wanted = {str(row["id"]): row for row in oracle.listed(entity) if oracle.may("export", entity, row)}
    assert {each["id"] for each in rows} == set(wanted), (person.roles, entity)
    for each in rows:
        for name in FIELDS[entity]:
            assert (name in each) is oracle.exists(entity, name), (person.roles, entity, name)
            if name in each:
                assert (each[name] or None) == wire(oracle.value(entity, wanted[each["id"]], name))
