"""An expression gives the same answer in memory, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.integration import expression_world as world

from clew.expressions.builtin import BUILTIN
from clew.expressions.check import check
from clew.expressions.functions import SQL
from clew.expressions.interpret import evaluate, holds
from clew.expressions.problems import ExpressionError, Undecidable
from clew.expressions.tree import Call, Checked, walk
from clew.storage.dialects import compile_statement
from clew.storage.expressions import NotInSql, Rows, condition_sql, value_sql
from clew.storage.types import Instant
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

LOTS = world.facts()
SCHEMA = world.schema()

CASES = """
number == 'L-001'
note == null
note != 'ok'
note == number
note < 'z'
number < '批'
number in ['L-001', '批号一']
note in ['不合格', '']
note in []
grade == 'A'
grade != 'A'
!(grade == 'A')
flag
!flag
flag == true
flag == null || !flag && ok
qty * 2 > 3
qty + pieces
qty * qty
qty * qty > 0 || true
qty * qty > 0 && false
price == null || price * 3 > 0.1
price != null && qty / price > 2
qty / pieces
10 / pieces
pieces % 5
pieces * pieces * pieces
count == null || count + count > 0
coalesce(count, 0) + 1
coalesce(rate, 0.0) * qty
coalesce(rate, 1.5) * coalesce(price, 0.25)
coalesce(price, rate)
price > qty
rate < price
price == 2.5
qty == 1
rate == price
ok ? qty : coalesce(price, 0.0)
ok ? null : qty
(ok ? null : qty / pieces) == null
(ok ? null : qty / pieces) > 1
coalesce(flag, pieces / 0 > 1)
-qty < pieces
-pieces
round(qty, 0)
round(qty, 2)
round(coalesce(rate, 0.0), 1)
round(pieces, 0)
floor(qty)
ceil(qty)
integer(qty)
abs(qty)
abs(coalesce(count, 0))
decimal(pieces) / 3
text(qty)
text(pieces) + '/' + text(made_on)
min(qty, pieces)
max(coalesce(price, 0.0), qty)
min(number, 'a')
max(made_on, today)
min(made_on, today)
min(made_at, now)
max(made_at, now)
max(number, 'a')
min(coalesce(took, duration('PT1S')), duration('PT2S'))
max(coalesce(took, duration('PT1S')), duration('PT2S'))
number + '-' + item.name
size(number)
size(item.name) + size(number)
lower(item.name)
upper(number)
trim(item.name) == 'pad'
number.substring(1, 3)
number.substring(-1, 2)
number.substring(3, 1)
number.substring(0, pieces)
number.substring(pieces * coalesce(count, 1), 2).substring(8, -1)
note.startsWith('L')
number.startsWith('')
number.endsWith('c"\\\\\\\\')
number.endsWith('')
note.contains('合')
number.contains(coalesce(note, 'x'))
!note.contains('合')
exp_on > made_on
exp_on == null || days(made_on, exp_on) > 30
days(made_on, today)
addDays(made_on, pieces)
addDays(made_on, 30)
addDays(made_on, -400)
addDays(made_at, pieces)
addDays(made_at, -1)
addDays(made_at, coalesce(count, 0))
date(made_at)
days(date(made_at), today)
addMonths(made_on, 1)
addMonths(made_on, -25)
addMonths(made_on, pieces)
year(made_on) * 100 + month(made_on)
day(made_on)
made_on == date('2026-01-31')
made_at < now
tested_at == null || tested_at - made_at > duration('PT1H')
made_at + duration('PT8H')
made_at - duration('PT0.000001S')
now - made_at
took == null || made_at + took > now
took == null || took + took > duration('PT1S')
coalesce(took, duration('PT0S')) - duration('PT5S')
made_at == datetime('2026-03-01T08:30:00Z')
item.name == '螺钉'
item.maker == null
item.maker.maker.name == '螺钉'
item.maker.name
item.maker.note == null
item.maker != null && item.maker.name + '!' == '螺钉!'
item.weight == null || item.weight * qty > 0
item == item.maker
subject == null
subject.id == id
subject.created_at == created_at
parents.exists(p, p.qty > qty)
parents.exists(p, p.qty / p.pieces > 0)
parents.all(p, p.qty / p.pieces > 0)
parents.all(p, p.item == item)
parents.all(p, p.note == null)
parents.exists_one(p, p.ok)
parents.exists_one(p, p.qty / p.pieces > 0)
parents.count(p, p.ok)
parents.count(p, p.qty / p.pieces > 0)
parents.sum(p, p.qty)
parents.sum(p, p.qty * p.pieces)
parents.sum(p, p.pieces)
parents.sum(p, coalesce(p.took, duration('PT0S')))
parents.min(p, p.exp_on)
parents.max(p, p.number)
parents.min(p, p.price)
parents.max(p, p.made_at)
size(parents)
size(children.filter(c, c.ok))
children.filter(c, c.note != null).exists(c, c.note == 'ok')
children.exists(c, c.parents.exists(p, p.id == id && p.number == number))
parents.exists(a, parents.exists(b, a.qty > b.qty))
parents.all(a, parents.all(a, a.ok) || a.ok)
item.lots.exists(l, l.number == number && l.id != id)
item.lots.sum(l, l.pieces)
item.made.exists(i, i.name != null)
item.maker.lots.exists(l, l.ok)
item in parents.map(p, p.item)
qty in parents.map(p, p.pieces)
parents.exists(p, p.was('released'))
was('released')
was('held') && !was('open')
!was('released') != flag
!ok != flag
flag == !(note == null)
parents.all(p, p.ok) != flag
!(parents.exists(p, p.ok) == flag) == flag
entered('released')
entered('released') != null && entered('released') < now
subject in item.lots
'A' in marks
grade in marks
size(marks)
size(['a', 'b'])
data.color == null
data == null
data.size.w != null
text(data.color)
text(data.color) == 'red'
text(data.size.w)
decide('pieces_and_grade', 'level', pieces, grade)
decide('pieces_and_grade', 'say', pieces, grade)
decide('pieces_and_grade', 'level', pieces * 2, grade) * qty > 3
decide('days', 'late', made_on, exp_on)
decide('days', 'until', made_on, exp_on) > made_on
!decide('days', 'late', made_on, null) || ok
decide('notes', note, ok)
decide('notes', 'points', item.note, ok) > 10
decide('quantity', qty)
decide('quantity', 'score', qty) == 7.0
decide('strongest', 'verdict', ok, qty)
decide('strongest', 'verdict', ok, qty) == 'scrap'
parents.exists(p, decide('strongest', p.ok, p.qty) == 'hold')
item.id in user.sites
item in user.sites
number in user.roles
'质量' in user.roles
size(user.roles)
item == user.site
user.department == null
item.maker == user.department
item.maker != user.department
user.employee == item.maker || ok
user.name == '王芳'
old == null
old.qty != qty
old.number == number
old.price == price
old.note == null || old.note != note
old.item == item
old.item.name == item.name
old.item.lots.exists(l, l.ok)
""".strip().splitlines()


class Both:
    """One world on each engine, and one event loop for both."""

    def __init__(self, make: Any) -> None:
        self.runner = asyncio.Runner()
        self.worlds: dict[str, world.World] = {}
        for dialect in ("sqlite", "postgresql"):
            database: TestDatabase = make(dialect)
            self.worlds[dialect] = self.runner.run(self._world(database))

    async def _world(self, database: TestDatabase) -> world.World:
        return await world.World.make(await database.open())

    def compare(self, source: str, old: dict[str, Any] | None = None) -> None:
        """Fails when memory and either engine disagree on any lot."""
        checked = check(source, SCHEMA, "lot")
        assert "sql" in checked.runs_in, source
        expected = [in_memory(checked, lot, old) for lot in LOTS]
        for dialect, place in self.worlds.items():
            found = self.runner.run(place.ask(checked, old))
            for lot, wanted, got in zip(LOTS, expected, found, strict=True):
                assert got == wanted, f"{dialect}: {source} on lot {lot['number']!r}: {got}, in memory {wanted}"


def in_memory(checked: Any, lot: Any, old: Any) -> tuple[Any, bool, bool, bool]:
    around: dict[str, Any] = {"now": world.NOW, "today": world.TODAY, "person": world.PERSON, "old": old}
    try:
        value = evaluate(checked, lot, **around)
    except Undecidable:
        value = None
    if isinstance(value, dict):
        value = value["id"]
    if checked.type.base != "boolean":
        return value, False, False, False
    no, yes = (holds(checked, lot, on_error=answer, **around) for answer in (False, True))
    return value, no, yes, no


@pytest.fixture
def both(new_database: Any) -> Iterator[Both]:
    found = Both(new_database)
    yield found
    for place in found.worlds.values():
        found.runner.run(place.database.close())
    found.runner.close()


def test_every_construct_agrees(both: Both) -> None:
    failures = []
    for source in CASES:
        for old in (None, LOTS[4]) if "old" in source else (None,):
            try:
                both.compare(source, old)
            except Exception as error:
                failures.append(f"{source}: {type(error).__name__}: {str(error)[:300]}")
    assert not failures, "\n".join(failures)


# Random typed expressions. A generator writes source text for a wanted type; most of it passes the checker, and what
# does not (a missing null guard) is left out.

INTEGERS = [
    "pieces",
    "size(number)",
    "0",
    "7",
    "-3",
    "999999999999999999",
    "year(made_on)",
    "size(parents)",
    "coalesce(count, 1)",
]
DECIMALS = ["qty", "coalesce(price, 0.5)", "coalesce(rate, 2.25)", "0.1", "12.50", "99999999.99", "-0.000000005"]
TEXTS = [
    "number",
    "coalesce(note, '')",
    "item.name",
    "'不合格'",
    "'L-001'",
    "''",
    "user.name",
    "item.maker.name",
    "text(data.color)",
]
DATES = ["made_on", "today", "coalesce(exp_on, today)", "date('2024-02-29')", "exp_on", "date('9999-12-31')"]
MOMENTS = ["made_at", "now", "tested_at", "datetime('2026-01-31T00:00:00.000001Z')", "entered('held')"]
SPANS = ["duration('PT8H')", "coalesce(took, duration('PT1S'))", "took", "duration('PT0.000001S')"]
FLAGS = [
    "ok",
    "flag",
    "true",
    "false",
    "was('released')",
    "grade == 'A'",
    "'A' in marks",
    "item.id in user.sites",
    "note == null",
]
CHOICES = {
    "compare": ["<", "<=", ">", ">=", "==", "!="],
    "same": ["==", "!="],
    "nullable": ["price", "rate", "count", "item.weight", "null"],
}
LEAVES = {
    "integer": INTEGERS, "decimal": DECIMALS, "text": TEXTS, "date": DATES,
    "moment": MOMENTS, "span": SPANS, "truth": FLAGS,
}  # fmt: skip
GROWN: dict[str, list[str]] = {
    "integer": [
        "{integer} + {integer}", "{integer} - {integer}", "{integer} * {integer}", "{integer} % {integer}",
        "-({integer})", "integer({decimal})", "floor({decimal})", "ceil({decimal})", "size({text})",
        "days({date}, {date})", "({truth} ? {integer} : {integer})", "min({integer}, {integer})", "abs({integer})",
        "parents.sum(p, {integer})", "item.lots.count(l, {truth})", "parents.sum(p, p.pieces * {integer})",
        "coalesce(count, {integer})",
    ],
    "decimal": [
        "{decimal} + {decimal}", "{decimal} - {integer}", "{decimal} * {decimal}", "{decimal} / {decimal}",
        "{integer} / {integer}", "round({decimal}, 2)", "abs({decimal})", "max({decimal}, {integer})",
        "({truth} ? {decimal} : {integer})", "children.sum(c, {decimal})", "coalesce(price, {decimal})",
        "coalesce({nullable}, {nullable}, {decimal})", "parents.sum(p, p.qty / {integer})",
    ],
    "text": [
        "{text} + {text}", "lower({text})", "upper({text})", "trim({text})", "text({decimal})", "text({date})",
        "({text}).substring({integer}, {integer})", "({truth} ? {text} : {text})", "min({text}, {text})",
        "coalesce(note, {text})",
    ],
    "date": [
        "addDays({date}, {integer})", "addMonths({date}, {integer})", "({truth} ? {date} : {date})",
        "max({date}, {date})",
    ],
    "moment": ["{moment} + {span}", "{moment} - {span}", "({truth} ? {moment} : null)"],
    "span": ["{moment} - {moment}", "{span} + {span}", "{span} - {span}"],
    "truth": [
        "({truth} && {truth})", "({truth} || {truth})", "!({truth})", "{integer} {compare} {decimal}",
        "{decimal} {compare} {decimal}", "{nullable} {compare} {decimal}", "{nullable} {same} {nullable}",
        "{text} {compare} {text}", "{date} {compare} {date}", "{moment} {compare} {moment}", "{span} {compare} {span}",
        "{truth} {same} {truth}", "note {same} {text}", "({text}).contains({text})", "({text}).startsWith({text})",
        "note.endsWith({text})", "{text} in [{text}, {text}]", "{decimal} in [{integer}, {decimal}]",
        "parents.exists(p, {truth})", "parents.exists(p, p.qty {compare} {decimal})", "children.all(c, {truth})",
        "parents.all(p, p.note {same} {text} || {truth})", "item.lots.exists_one(l, l.qty {compare} {decimal})",
        "({truth} ? {truth} : {truth})", "({truth} ? null : {decimal}) {same} {nullable}",
        "{integer} in parents.map(p, p.pieces)", "coalesce(flag, {truth})", "item.maker {same} user.site",
        "parents.exists(p, p.parents.exists(q, q.qty {compare} p.qty && {truth}))",
    ],
}  # fmt: skip
GUARDED = {"EXPR_NULL_GUARD", "EXPR_NUMBER", "EXPR_OPERANDS", "EXPR_TOO_DEEP", "EXPR_ARGUMENTS"}
LITERALS = {"date(text)", "datetime(text)", "duration(text)"}
NO_SHRINK = (Phase.explicit, Phase.generate)
_HOLE = re.compile(r"\{(\w+)\}")


@st.composite
def sources(draw: st.DrawFn) -> str:
    """The text of an expression of any type."""

    def fill(kind: str, depth: int) -> str:
        if kind in CHOICES:
            return draw(st.sampled_from(CHOICES[kind]))
        grown = depth > 0 and draw(st.integers(0, 3)) > 0
        template = draw(st.sampled_from(GROWN[kind] if grown else LEAVES[kind]))
        text = _HOLE.sub(lambda hole: fill(hole[1], depth - 1), template)
        return f"({text})" if grown else text

    return fill(draw(st.sampled_from(["truth", "truth", "truth", "decimal", "integer", "text", "date", "moment"])), 3)


def accepted(source: str) -> Checked | None:
    """The expression, or None when a null guard is missing or it grew too deep: nothing else may be wrong with it."""
    try:
        return check(source, SCHEMA, "lot")
    except ExpressionError as error:
        unexpected = {each.code for each in error.problems} - GUARDED
    if unexpected:
        raise AssertionError(f"{source}: {unexpected}")
    return None


def test_the_constructs_cover_every_function_that_runs_in_sql() -> None:
    covered = {
        node.overload for source in CASES for node in walk(check(source, SCHEMA, "lot").root) if isinstance(node, Call)
    }
    promised = {each.id for each in BUILTIN.by_id.values() if SQL in each.runs_in and each.id not in LITERALS}
    assert promised - covered == set()


def test_random_expressions_agree(both: Both, tier: Tier) -> None:
    compared: Counter[bool] = Counter()

    @settings(max_examples=tier.count(150, 5000), database=None, derandomize=not tier.full, phases=NO_SHRINK)
    @given(sources())
    def run(source: str) -> None:
        checked = accepted(source)
        if checked is None:
            return
        compared["sql" in checked.runs_in] += 1
        if "sql" in checked.runs_in:
            both.compare(source)

    run()
    assert compared[True] > compared[False]


def nested(chance: random.Random) -> list[str]:
    """Every construct in every place of every other that takes its kind: what stands beside is drawn."""
    found = []

    def leaf(hole: re.Match[str]) -> str:
        return chance.choice(CHOICES.get(hole[1]) or LEAVES[hole[1]])

    for outer in (each for kind in GROWN.values() for each in kind):
        for place in _HOLE.finditer(outer):
            for inner in GROWN.get(place[1], ()):
                before, after = outer[: place.start()], outer[place.end() :]
                found.append("".join((_HOLE.sub(leaf, before), f"({_HOLE.sub(leaf, inner)})", _HOLE.sub(leaf, after))))
    return found


def test_every_construct_agrees_within_every_other(both: Both, tier: Tier) -> None:
    chance = random.Random(7)
    some = [each for _ in range(tier.count(1, 4)) for each in nested(chance)]
    compared = 0
    for source in some if tier.full else chance.sample(some, 250):
        checked = accepted(source)
        if checked is not None and "sql" in checked.runs_in:
            both.compare(source)
            compared += 1
    assert compared > len(some) / (2 if tier.full else 30)


def test_sql_does_not_explode(both: Both) -> None:
    """Each operator adds to the statement once, however deep."""
    chains = [
        "made_at" + " + duration('PT1S')" * 10,
        "qty" + " * qty" * 10,
        "1" + " / pieces" * 10,
        "abs(" * 10 + "pieces - 1" + ")" * 10,
        "addDays(" * 10 + "made_on" + ", 1)" * 10,
        "addMonths(" * 10 + "made_on" + ", 1)" * 10,
        "number.substring(0, size(" * 5 + "number" + "))" * 5,
        "min(" * 10 + "pieces" + ", 1)" * 10,
        "number" + " + number" * 10,
        "parents.exists(a, a.parents.exists(b, b.parents.exists(c, c.ok)))",
    ]
    for source in chains:
        for place in both.worlds.values():
            rows, lot = place.rows()
            statement = sa.select(value_sql(check(source, SCHEMA, "lot"), rows)).select_from(lot)
            assert len(compile_statement(statement, place.database.dialect).sql) < 20_000, source
        both.compare(source)


def test_what_only_memory_can_do_is_refused(both: Both) -> None:
    rows, _ = both.worlds["sqlite"].rows()
    elsewhere = ["number.matches('^L')", "gtin(number)", "parents.map(p, p.number)", "old.parents.exists(p, p.ok)"]
    for source in (*elsewhere, "1" + " + 1" * 20):
        with pytest.raises(NotInSql):
            condition_sql(check(source, SCHEMA, "lot"), rows)


def test_as_of_reads_every_table_at_that_moment(both: Both) -> None:
    """Lot 4 was held on the first day, released on the second; today it is held again."""
    for place in both.worlds.values():
        history = place.tables.history("lot").alias("t0")
        moment = world.BIRTH + timedelta(days=1, hours=1)
        as_of = sa.literal(moment, Instant())
        rows = Rows(place.tables, place.tables.blueprint, "lot", history, place.database.dialect, as_of)
        shown = [history.c.id == world.uid(2, 4), *rows.interval(history)]
        asked = [value_sql(check(each, SCHEMA, "lot"), rows) for each in ("state", "was('held')", "was('open')")]
        statement = sa.select(*asked).select_from(history).where(*shown)

        async def run(place: world.World = place, statement: Any = statement) -> Any:
            async with place.database.read() as connection:
                return await connection.fetch(statement, {})

        assert [list(row) for row in both.runner.run(run())] == [["released", True, False]]


def test_masks_and_visibility_reach_every_value_and_row(both: Both) -> None:
    for place in both.worlds.values():
        rows, lot = place.rows(
            mask=lambda entity, at, name, value: sa.null() if (entity, name) == ("item", "name") else value,
            visible=lambda entity, at: [at.c.ok.is_(sa.true())] if entity == "lot" else [],
        )
        sources = ("item.name == null", "parents.exists(p, !p.ok)", "size(parents) <= 2")
        columns = [value_sql(check(each, SCHEMA, "lot"), rows) for each in sources]
        statement = sa.select(*columns).select_from(lot)

        async def run(place: world.World = place, statement: Any = statement) -> Any:
            async with place.database.read() as connection:
                return await connection.fetch(statement, {})

        assert {tuple(row) for row in both.runner.run(run())} == {(True, False, True)}
