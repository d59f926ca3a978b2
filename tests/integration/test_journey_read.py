"""One read through all layers, on both engines, equal to the oracle: any filter, order, page, moment and role."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_oracle import Oracle
from read_world import AUDITOR, INSPECTOR, MOMENTS, NOBODY, World, context, decision_of, mini, pour, world

from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.kernel.context import Person
from clew.kernel.scalars import instant_text
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

DOCUMENT = """
query Lots($where: LotWhere, $order: [LotOrder!], $first: Int, $last: Int, $after: Cursor, $before: Cursor,
           $asOf: DateTime) {
  lots(where: $where, orderBy: $order, first: $first, last: $last, after: $after, before: $before, asOf: $asOf) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { ...shown } }
  }
}
fragment shown on Lot {
  number qty state expOn
  supplier { name }
  site { code }
  nonconformances(orderBy: {number: ASC}) {
    nodes { number severity subject { __typename ... on Lot { number qty } ... on SerialUnit { serial } } }
  }
}
"""
ROLES: list[tuple[str, Person]] = [("inspector", INSPECTOR), ("auditor", AUDITOR), ("inspector", NOBODY)]


class Reader:
    """The engine over one poured world, used from synchronous property tests."""

    def __init__(self, database: TestDatabase, seed: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.world: World = world(seed)
        self.blueprint = mini()
        self.database = self.loop.run_until_complete(database.open())
        tables = self.loop.run_until_complete(pour(self.database, self.blueprint, self.world))
        self.engine = GraphQLEngine(self.blueprint, tables, self.database, SystemClock())
        self.decisions = {role: decision_of(self.blueprint, role) for role in ("inspector", "auditor")}

    def ask(self, document: str, role: str, person: Person, **variables: Any) -> dict[str, Any]:
        caller = Caller(context(person), self.decisions[role])
        answer = self.loop.run_until_complete(self.engine.execute(Question(document, None, variables), caller))
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def close(self) -> None:
        self.loop.run_until_complete(self.database.close())
        self.loop.close()


@pytest.fixture
def reader(database: TestDatabase) -> Iterator[Reader]:
    made = Reader(database, 7)
    yield made
    made.close()


DECIMALS = st.integers(0, 1_000_000).map(lambda n: f"{n / 10000:.4f}")
TEXTS = st.sampled_from(["上", "安泰", "Beta", '"', "\\", "菌", "", "x"])
STATES = st.sampled_from(["quarantine", "released", "rejected"])


def _ops(values: st.SearchStrategy[Any], *names: str) -> st.SearchStrategy[Any]:
    choices = [st.fixed_dictionaries({name: values}) for name in names]
    lists = [st.fixed_dictionaries({name: st.lists(values, max_size=3)}) for name in ("in", "notIn")]
    return st.one_of(*choices, *lists, st.fixed_dictionaries({"isNull": st.booleans()}))


SEVERITIES = st.sampled_from(["minor", "major", "critical"])
INNER = st.one_of(st.just({}), st.fixed_dictionaries({"severity": _ops(SEVERITIES, "eq", "ne")}))
ATOMS = st.one_of(
    st.fixed_dictionaries({"qty": _ops(DECIMALS, "eq", "ne", "lt", "lte", "gt", "gte")}),
    st.fixed_dictionaries({"expOn": _ops(st.sampled_from(["2026-05-01", "2027-01-31"]), "eq", "ne", "lt", "gte")}),
    st.fixed_dictionaries({"state": _ops(STATES, "eq", "ne")}),
    st.fixed_dictionaries(
        {"supplier": st.fixed_dictionaries({"name": _ops(TEXTS, "eq", "ne", "startsWith", "endsWith", "contains")})}
    ),
    st.fixed_dictionaries({"supplier": st.fixed_dictionaries({"isNull": st.booleans()})}),
    st.sampled_from(["some", "every", "none"]).flatmap(
        lambda quantifier: st.fixed_dictionaries({"nonconformances": st.fixed_dictionaries({quantifier: INNER})})
    ),
)
WHERES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"and": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
        st.tuples(inner, inner).map(lambda two: two[0] | two[1]),
    ),
    max_leaves=5,
)
DIRECTIONS = st.sampled_from(["ASC", "DESC"])
ORDERS = st.lists(
    st.one_of(
        st.sampled_from(["qty", "expOn", "state", "number"]).flatmap(
            lambda name: st.fixed_dictionaries({name: DIRECTIONS})
        ),
        st.fixed_dictionaries({"supplier": st.fixed_dictionaries({"name": DIRECTIONS})}),
    ),
    max_size=3,
)
AS_OF = st.sampled_from([None, *(moment for moment in MOMENTS)])


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "role": draw(st.sampled_from(ROLES)),
        "where": draw(st.one_of(st.none(), WHERES)),
        "order": draw(ORDERS),
        "as_of": draw(AS_OF),
        "size": draw(st.integers(1, 9)),
        "backward": draw(st.booleans()),
    }


def expected(reader: Reader, asked: dict[str, Any]) -> tuple[Oracle, list[Any]]:
    role, person = asked["role"]
    oracle = Oracle(reader.world, role, person, asked["as_of"])
    lots = [lot for lot in oracle.listed("lot") if oracle.holds(lot, asked["where"] or {})]
    return oracle, oracle.ordered(lots, asked["order"])


def walk(reader: Reader, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Every page one after the other, forward or backward."""
    role, person = asked["role"]
    size, cursor = ("last", "before") if asked["backward"] else ("first", "after")
    more, edge = ("hasPreviousPage", "startCursor") if asked["backward"] else ("hasNextPage", "endCursor")
    back = "hasNextPage" if asked["backward"] else "hasPreviousPage"
    variables: dict[str, Any] = {"where": asked["where"], "order": asked["order"], size: asked["size"]}
    if asked["as_of"]:
        variables["asOf"] = instant_text(asked["as_of"])
    pages: list[dict[str, Any]] = []
    while True:
        answer = reader.ask(DOCUMENT, role, person, **variables)
        assert "errors" not in answer, answer
        page = answer["data"]["lots"]
        assert page["pageInfo"][back] is bool(pages)
        assert len(page["edges"]) <= asked["size"]
        pages.append(page)
        if not page["pageInfo"][more]:
            return pages
        variables[cursor] = page["pageInfo"][edge]


@pytest.mark.timeout(3600)
def test_every_read_equals_the_oracle(reader: Reader, tier: Tier) -> None:
    @settings(
        max_examples=tier.count(60, 1500),
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(questions())
    def check(asked: dict[str, Any]) -> None:
        oracle, lots = expected(reader, asked)
        pages = walk(reader, asked)
        assert all(page["totalCount"] == len(lots) for page in pages)
        if asked["backward"]:
            pages = pages[::-1]
        got = [edge["node"] for page in pages for edge in page["edges"]]
        assert got == [oracle.lot_json(lot) for lot in lots]

    check()


@pytest.mark.timeout(3600)
def test_sqlite_pg_agree(new_database: Any, tier: Tier) -> None:
    readers = [Reader(new_database(dialect), 11) for dialect in ("sqlite", "postgresql")]

    @settings(
        max_examples=tier.count(30, 1000), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(questions())
    def check(asked: dict[str, Any]) -> None:
        role, person = asked["role"]
        variables = {"where": asked["where"], "order": asked["order"], "first": asked["size"]}
        if asked["as_of"]:
            variables["asOf"] = instant_text(asked["as_of"])
        bodies = {
            reader.loop.run_until_complete(
                reader.engine.execute(
                    Question(DOCUMENT, None, variables), Caller(context(person), reader.decisions[role])
                )
            ).body
            for reader in readers
        }
        assert len(bodies) == 1

    try:
        check()
    finally:
        for reader in readers:
            reader.close()
