"""Every kind of value comes back as it went in, and both engines answer alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.kernel.ids import uuid7
from clew.storage.change import install
from clew.storage.dialects import POSTGRESQL, JsonString, compile_statement, connected
from clew.storage.engine import Database
from clew.storage.tables import Tables
from clew.storage.types import Text
from clew.testing.blueprints import blueprint, entity, field
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

PROJECT = blueprint(
    entity(
        "sample",
        [
            field("plain"),
            field("long", "long_text"),
            field("whole", "integer", big=True),
            field("none", "decimal", scale=0),
            field("four", "decimal", scale=4),
            field("nine", "decimal", scale=9),
            field("price", "money", scale=2),
            field("yes", "boolean"),
            field("day", "date"),
            field("moment", "datetime"),
            field("span", "duration"),
            field("names", "translated"),
            field("codes", "choices"),
            field("data", "json"),
            field("what", "any", targets=("sample",)),
        ],
    )
)
EXTREMES: list[dict[str, Any]] = [
    {
        "plain": "",
        "whole": -(2**63),
        "none": Decimal("-999999999999999999"),
        "four": Decimal("99999999999999.9999"),
        "nine": Decimal("-999999999.999999999"),
        "price": Decimal("0.01"),
        "price_currency": "CNY",
        "yes": False,
        "day": date.min,
        "moment": datetime(1, 1, 1, tzinfo=UTC),
        "span": timedelta(microseconds=-1),
        "names": {"zh": "不合格品"},
        "codes": [],
        "data": {},
    },
    {
        "plain": "𠮷野家 'quoted\" \\ 100% 🙂 \t",
        "long": "长" * 20_000,
        "whole": 2**63 - 1,
        "none": Decimal("0"),
        "four": Decimal("-0.0001"),
        "nine": Decimal("0.000000001"),
        "yes": True,
        "day": date.max,
        "moment": datetime.max.replace(tzinfo=UTC),
        "span": timedelta(days=36_500, microseconds=1),
        "codes": ["a", "b"],
        "data": {"n": [1, -2, None, True, "文"], "big": 2**70, "exact": Decimal("0.1")},
        "what_entity": "sample",
        "what_id": uuid7(),
    },
]


def _text() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40)


def _exact(scale: int) -> st.SearchStrategy[Decimal]:
    return st.integers(-(10**18) + 1, 10**18 - 1).map(lambda n: Decimal(n).scaleb(-scale))


_ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8))])
_ROWS = st.fixed_dictionaries(
    {},
    optional={
        "plain": _text(),
        "whole": st.integers(-(2**63), 2**63 - 1),
        "none": _exact(0),
        "four": _exact(4),
        "nine": _exact(9),
        "yes": st.booleans(),
        "day": st.dates(),
        "moment": st.datetimes(timezones=_ZONES, min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001
        "span": st.timedeltas(timedelta(days=-40_000), timedelta(days=40_000)),
        "data": st.recursive(
            st.none() | st.booleans() | st.integers(), lambda each: st.lists(each) | st.dictionaries(_text(), each)
        ),
    },
)


async def _opened(case: TestDatabase) -> tuple[Database, sa.Table]:
    database = await case.open()
    release = await install(database, PROJECT)
    return database, Tables(PROJECT, release.catalog, database.dialect).current("sample")


async def _store(database: Database, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    async with database.write() as connection:
        for row in rows:
            every = {"id": uuid7(), "row_version": 1, "created_at": at, "updated_at": at} | row
            await connection.execute(sa.insert(table).values(**every))


async def _fetch(database: Database, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
    async with database.read() as connection:
        return [tuple(row) for row in await connection.fetch(statement)]


@pytest.mark.anyio
async def test_extremes_come_back_exactly(database: TestDatabase) -> None:
    db, table = await _opened(database)
    await _store(db, table, EXTREMES)
    keys = sorted({key for row in EXTREMES for key in row})
    found = await _fetch(db, sa.select(*(table.c[key] for key in keys)).order_by(table.c.id))
    assert found == [tuple(row.get(key) for key in keys) for row in EXTREMES]
    for row in found:
        by_key = dict(zip(keys, row, strict=True))
        assert str(by_key["four"]) in ("99999999999999.9999", "-0.0001"), "the scale is kept"
        assert by_key["moment"].utcoffset() == timedelta()


@pytest.mark.anyio
async def test_what_does_not_fit_is_refused_before_the_database(database: TestDatabase) -> None:
    db, table = await _opened(database)
    for key, value in [
        ("four", Decimal("0.00001")),
        ("four", Decimal("999999999999999")),
        ("nine", Decimal("NaN")),
        ("moment", datetime(2026, 1, 1)),  # noqa: DTZ001
        ("what_id", "not an id"),
    ]:
        with pytest.raises(ValueError, match=r"."):
            await _store(db, table, [{key: value}])
    assert await _fetch(db, sa.select(sa.func.count()).select_from(table)) == [(0,)]


def test_sqlite_pg_agree(new_database: Callable[[str], TestDatabase], tier: Tier) -> None:
    """The same rows and questions, the same answers: order, comparison, sums, nulls."""

    async def answers(case: TestDatabase, rows: list[dict[str, Any]]) -> list[Any]:
        db, table = await _opened(case)
        await _store(db, table, rows)
        c = table.c
        questions: list[sa.Select[Any]] = [
            *(sa.select(c[key]).order_by(c[key].asc().nulls_last(), c.id) for key in _KEYS),
            *(sa.select(c[key]).order_by(c[key].desc().nulls_first(), c.id) for key in _KEYS),
            sa.select(sa.func.count()).where(c.plain > "M"),
            sa.select(sa.func.count()).where(c.plain.like("%a%")),
            sa.select(sa.func.count()).where(c.four >= Decimal("0")),
            sa.select(sa.func.count()).where(c.moment < datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=8)))),
            sa.select(sa.func.min(c.day), sa.func.max(c.moment), sa.func.max(c.span), sa.func.min(c.four)),
            sa.select(c.yes, sa.func.count()).group_by(c.yes).order_by(c.yes.asc().nulls_last()),
        ]
        found = [await _fetch(db, question) for question in questions]
        await db.close()
        return found

    @settings(max_examples=tier.count(6, 200))
    @given(st.lists(_ROWS, max_size=12))
    def agree(rows: list[dict[str, Any]]) -> None:
        one = asyncio.run(answers(new_database("sqlite"), rows))
        other = asyncio.run(answers(new_database("postgresql"), rows))
        assert one == other

    agree()


_KEYS = ("plain", "whole", "none", "four", "nine", "yes", "day", "moment", "span")


@pytest.mark.anyio
async def test_sqlite_pg_agree_whatever_the_database_collates_by(new_database: Callable[[str], TestDatabase]) -> None:
    """Every text column compares by code point of its own accord, as SQLite does: a server may be set up otherwise."""
    case = new_database("postgresql")
    db, _ = await _opened(case)
    query = """SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_collation o ON o.oid = a.attcollation
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND o.collname <> 'C'"""
    async with db.read() as connection:
        loose = [row[0] for row in await connection.fetch(sa.text(query))]
    await db.close()
    assert loose == []


@pytest.mark.parametrize("server", [None, 16, 17])
def test_a_text_is_the_same_json_on_every_server(
    database: TestDatabase, server: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["", '"', "\\", "\\u0041", "".join(map(chr, range(1, 160))), "𠮷野家 🙂\u2028\ufeff", "长" * 20_000]

    async def main() -> None:
        store = await database.open()
        monkeypatch.setattr(POSTGRESQL, "oldest", server)
        statement = compile_statement(sa.select(JsonString(sa.bindparam("text", type_=Text()))), database.dialect)
        if database.dialect == "postgresql":
            assert ("JSON_SCALAR" if server == 17 else "to_json") in statement.sql
        async with store.read() as connection:
            for text in texts:
                shown = await connection.fetch_value(statement, {"text": text})
                assert json.loads(shown) == text
                assert shown.isascii() == text.isascii(), "only what must be escaped is"
            assert await connection.fetch_value(statement, {"text": None}) in (None, "null")

    asyncio.run(main())


def test_statements_suit_the_oldest_server_a_process_has_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(POSTGRESQL, "oldest", None)
    for version, oldest in ((18, 18), (16, 16), (17, 16)):
        connected(version)
        assert POSTGRESQL.oldest == oldest
