"""Values through a change: every kind of field into every other, what nodes of the earlier release write meanwhile, and
what will have to be unique."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.change_case import Node, constant
from tests.integration.test_change_plan import AT, lots, start, values

from clew.expressions.tree import Base, Binary, Checked, Literal, Member, Name, Span, Type
from clew.kernel.ids import uuid7
from clew.metadata.blueprint import Blueprint, Field
from clew.records.search import grams, sort_key
from clew.storage import nodes, releases
from clew.storage.change import Plan, TextForms, apply, install, plan, resume
from clew.storage.change.reflect import reflect
from clew.storage.ddl import Ddl
from clew.storage.engine import Database
from clew.storage.errors import NodesBehind
from clew.storage.schema import schema_of
from clew.storage.tables import Tables
from clew.testing.blueprints import Shelf, blueprint, entity, field, unique
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
FORMS = TextForms(sort_key, grams)


def kind(name: str, **options: Any) -> dict[str, Any]:
    return {"kind": name, **options}


CODES = {"code_list": "severity"}
SIZES: list[tuple[str, dict[str, Any], dict[str, Any], Any, Any, str]] = [
    ("a", kind("text"), kind("translated"), "abc", {"en": "abc"}, "convert"),
    ("b", kind("translated"), kind("text"), {"zh": "甲", "en": "first"}, "first", "convert"),
    ("c", kind("translated"), kind("text"), {"zh": "甲"}, "甲", "convert"),
    ("d", kind("choice", **CODES), kind("choices", **CODES), "high", ["high"], ""),
    ("e", kind("choices", **CODES), kind("choice", **CODES), ["high"], "high", ""),
    ("f", kind("choices", **CODES), kind("choice", **CODES), ["high", "low"], None, "convert"),
    ("g", kind("text"), kind("choice", **CODES), "unheard of", "unheard of", "narrow"),
    ("h", kind("json"), kind("files"), {"x": 1}, None, "convert"),
    ("i", kind("json"), kind("translated"), {"x": 1}, None, "convert"),
    ("j", kind("json"), kind("translated"), {"zh": "甲"}, {"zh": "甲"}, "convert"),
    ("k", kind("decimal", scale=2), kind("json"), Decimal("7.25"), "7.25", ""),
    ("l", kind("decimal", scale=2), kind("money", scale=2), Decimal("7.25"), None, "convert"),
    ("m", kind("datetime"), kind("date"), datetime(2026, 1, 1, 20, tzinfo=UTC), date(2026, 1, 1), "convert"),
    ("n", kind("text"), kind("integer"), "1_000", None, "convert"),
    ("o", kind("translated"), kind("translated", max_length=2), {"zh": "甲乙丙"}, {"zh": "甲乙丙"}, "narrow"),
]


async def test_a_value_becomes_its_equal_or_is_told_of(database: TestDatabase) -> None:
    """No value ever turns up in a field whose kind knows no such value."""
    one = lots(*(field(name, **was) for name, was, *_ in SIZES), field("money", "money", scale=2))
    two = lots(*(field(name, **now) for name, _, now, *_ in SIZES), field("money", "decimal", scale=2))
    sums = {"money": Decimal("1.50"), "money_currency": "EUR"}
    db = await start(database, one, {name: value for name, _, _, value, _, _ in SIZES} | sums)
    made = await applied(db, one, two)
    assert set(made.needs) == {f"{need}:lot.{name}" for name, *_, need in SIZES if need} | {"convert:lot.money"}
    names = [name for name, *_ in SIZES]
    assert dict(zip(names, (await values(db, two, *names))[0], strict=True)) == {
        name: wanted for name, _, _, _, wanted, _ in SIZES
    }
    assert await values(db, two, "money") == [(Decimal("1.50"),)]


async def test_what_cannot_be_converted_is_lacking_where_it_is_required(database: TestDatabase) -> None:
    one = lots(field("a"))
    two = lots(field("a", "integer", required=True))
    db = await start(database, one, {"a": "7"}, {"a": "many"}, {"a": None})
    made = await plan(db, two, load=Shelf(one, two))
    assert set(made.needs) == {"convert:lot.a", "require:lot.a"}
    lacking = {each.change.object: each.counts for each in made.consequences if each.change.kind == "field_required"}
    assert lacking == {"lot.a": {"rows": 3, "nulls": 2}}


async def test_a_reference_to_another_entity_takes_nothing_over(database: TestDatabase) -> None:
    def project(of: Field, many: str) -> Blueprint:
        others = [entity(name, [field("name")]) for name in ("item", "party")]
        return blueprint(entity("lot", [of, field("with", "many", targets=(many,))]), *others)

    one = project(field("of", "ref", targets=("item",)), "item")
    two = project(field("of", "ref", targets=("party",)), "party")
    three = project(field("of", "any", targets=("item", "party")), "party")
    db = await database.open()
    release = await install(db, one)
    item, lot, row = uuid7(), uuid7(), {"row_version": 1, "created_at": AT, "updated_at": AT}
    tables = Tables(one, release.catalog, db.dialect)
    async with db.write() as connection:
        await connection.execute(sa.insert(tables.current("item")).values(id=item, **row))
        await connection.execute(sa.insert(tables.current("lot")).values(id=lot, of=item, **row))
        await connection.execute(sa.insert(tables.link("lot", "with")).values(owner=lot, target=item))
    assert (await plan(db, two, load=Shelf(one, two))).needs == ("convert:lot.of", "drop:lot.with")
    # To one of several entities it goes on pointing where it did.
    made = await applied(db, one, three)
    assert made.needs == ("drop:lot.with",)
    assert await values(db, three, "of_entity", "of_id") == [("item", item)]
    # Back to one entity, and that is another: nothing, and no foreign key that remembers the first.
    made = await applied(db, three, two)
    assert made.needs == ("convert:lot.of",)
    assert await values(db, two, "of") == [(None,)]
    party = uuid7()
    tables = Tables(two, (await releases.current(db)).catalog, db.dialect)
    async with db.write() as connection:
        await connection.execute(sa.insert(tables.current("party")).values(id=party, **row))
        await connection.execute(sa.insert(tables.current("lot")).values(id=uuid7(), of=party, **row))


async def test_what_an_old_node_writes_during_a_conversion_is_converted(database: TestDatabase) -> None:
    one, two = lots(field("size")), lots(field("size", "integer"))
    shelf = Shelf(one, two)
    db = await start(database, one)
    old, first = Node.of(db, one, (await releases.current(db)).catalog), uuid7()
    await old.create({"id": first, "size": "1"})
    await nodes.beat(db, "old", 1)
    made = await plan(db, two, load=shelf)
    with pytest.raises(NodesBehind):
        await apply(db, made, load=shelf, consents=frozenset(made.needs))
    await old.update(first, {"size": "5"})
    await old.create({"id": uuid7(), "size": "7"})
    await nodes.leave(db, "old")
    release = await resume(db, load=shelf)
    assert release is not None
    assert await values(db, two, "size") == [(5,), (7,)]
    now = Node.of(db, two, release.catalog)
    async with db.read() as connection:
        assert await now.lots_of("size", as_of=await connection.now()) == [(5,), (7,)]


async def test_what_an_old_node_writes_is_found_and_sorted(database: TestDatabase) -> None:
    """Also when another release comes before that node has gone."""
    one, two = lots(field("a")), lots(field("a", sort="pinyin", search=True))
    three = lots(field("a", sort="pinyin", search=True), field("note"))
    shelf = Shelf(one, two, three)
    db = await start(database, one)
    old, first = Node.of(db, one, (await releases.current(db)).catalog), uuid7()
    await old.create({"id": first, "a": "甲"})
    await nodes.beat(db, "old", 1)
    await apply(db, await plan(db, two, load=shelf), load=shelf, texts=FORMS)
    await old.update(first, {"a": "乙"})
    await old.create({"id": uuid7(), "a": "丙"})
    await apply(db, await plan(db, three, load=shelf), load=shelf, texts=FORMS)
    await nodes.leave(db, "old")
    release = await resume(db, load=shelf, texts=FORMS)
    assert release is not None
    assert (release.number, release.state) == (3, "settled")
    assert await values(db, three, "a__sort") == [(sort_key("乙"),), (sort_key("丙"),)]
    table = Tables(three, release.catalog, db.dialect).grams("lot")
    async with db.read() as connection:
        found = await connection.fetch(sa.select(table.c.gram).where(table.c.id == first))
    assert {row[0] for row in found} == grams("乙")


def beginning(text: str) -> Checked:
    kind, here = Type(Base.TEXT), Span(0, 1)
    root = Binary(
        "==",
        Member(Name("this", Type(Base.RECORD), here), "b", kind, here),
        Literal(text, kind, here),
        Type(Base.BOOLEAN),
        here,
    )
    reads = frozenset({("b",)})
    return Checked(f"b == '{text}'", root, "lot", reads, frozenset(), frozenset({"memory"}))


UNIQUES: dict[str, tuple[Blueprint, Blueprint, list[dict[str, Any]]]] = {
    "condition goes": (
        lots(field("a"), field("b"), uniques=(unique("a", while_=beginning("x")),)),
        lots(field("a"), field("b"), uniques=(unique("a"),)),
        [{"a": "1", "b": "y"}, {"a": "1", "b": "z"}],
    ),
    "condition changes": (
        lots(field("a"), field("b"), uniques=(unique("a", while_=beginning("x")),)),
        lots(field("a"), field("b"), uniques=(unique("a", while_=beginning("y")),)),
        [{"a": "1", "b": "y"}, {"a": "1", "b": "y"}],
    ),
    "condition of a new field": (
        lots(field("a")),
        lots(
            field("a"),
            field("b", required=True, default=constant("x")),
            uniques=(unique("a", while_=beginning("x")),),
        ),
        [{"a": "1"}, {"a": "1"}],
    ),
    "whatever the case": (
        lots(field("a"), uniques=(unique("a"),)),
        lots(field("a"), uniques=(unique("a", ignore_case=True),)),
        [{"a": "x"}, {"a": "X"}],
    ),
    "one default for all": (
        lots(field("a")),
        lots(field("a"), field("code", required=True, unique=True, default=constant("A"))),
        [{"a": "1"}, {"a": "2"}],
    ),
    "equal in another form": (
        lots(field("a", unique=True)),
        lots(field("a", "integer", unique=True)),
        [{"a": "01"}, {"a": "1"}],
    ),
}


@pytest.mark.parametrize("case", UNIQUES)
async def test_duplicates_to_come_are_told_before(database: TestDatabase, case: str) -> None:
    one, two, rows = UNIQUES[case]
    db = await start(database, one, *rows)
    made = await plan(db, two, load=Shelf(one, two))
    assert [each.counts["duplicates"] for each in made.blocked] == [1], made.text("en")
    # With one of them gone it can be done, and holds from then on.
    table = Tables(one, (await releases.current(db)).catalog, db.dialect).current("lot")
    async with db.write() as connection:
        last = sa.select(sa.func.max(sa.cast(table.c.id, sa.Text))).scalar_subquery()
        await connection.execute(sa.delete(table).where(sa.cast(table.c.id, sa.Text) == last))
    await applied(db, one, two)
    async with db.read() as connection:
        assert await plan(db, two, load=Shelf(two)) is not None, "the indexes are those of the release"


async def test_a_condition_under_its_earlier_name_is_made_anew(database: TestDatabase) -> None:
    """An earlier version of the platform named an index without its condition, and kept one whose condition changed."""
    one = lots(field("a"), field("b"), uniques=(unique("a", while_=beginning("x")),))
    two = lots(field("a"), field("b"), field("c"), uniques=(unique("a", while_=beginning("x")),))
    db = await start(database, one, {"a": "1", "b": "x"}, {"a": "1", "b": "y"})
    catalog = (await releases.current(db)).catalog
    shape = schema_of(one, catalog, db.dialect)[Tables(one, catalog, db.dialect).current("lot").name]
    (index,) = (each for each in shape.indexes if each.where)
    assert index.once
    assert index.once != index.name
    async with db.migrate() as connection:
        await connection.run_sql(Ddl(db.dialect).drop_index(index.name))
        await connection.run_sql(Ddl(db.dialect).create_index(replace(index, name=index.once, where="b = 'z'")))
    await applied(db, one, two)
    async with db.read() as connection:
        found = await reflect(connection)
    assert index.name in found.indexes
    assert index.once not in found.indexes
    assert [each.kind for each in (await plan(db, two, load=Shelf(two))).steps] == ["swap"], (
        "nothing else is left to do"
    )


@pytest.mark.parametrize("scoped", [False, True])
async def test_the_index_on_states_of_an_earlier_version_goes(database: TestDatabase, scoped: bool) -> None:
    """Every entity had one once; each transition then wrote into every index of its table."""
    one, two = lots(field("state"), field("site")), lots(field("state"), field("site"), field("c"))
    db = await start(database, one, {"state": "open", "site": "s"})
    name = "ix_lot__site_state_id" if scoped else "ix_lot__state_id"
    async with db.migrate() as connection:
        await connection.run_sql(f"CREATE INDEX {name} ON lot ({'site, ' if scoped else ''}state, id)")
        await connection.run_sql("CREATE INDEX of_somebody_else ON lot (state)")
    await applied(db, one, two)
    async with db.read() as connection:
        found = await reflect(connection)
    assert name not in found.indexes
    assert "of_somebody_else" in found.indexes
    assert [each.kind for each in (await plan(db, two, load=Shelf(two))).steps] == ["swap"]


async def applied(db: Database, one: Blueprint, two: Blueprint) -> Plan:
    shelf = Shelf(one, two)
    made = await plan(db, two, load=shelf)
    await apply(db, made, load=shelf, consents=frozenset(made.needs), texts=FORMS)
    return made
