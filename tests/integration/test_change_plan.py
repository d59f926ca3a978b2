"""Plans: bound to one database in one state, in real numbers, refused when stale, drifted or contradicted by data."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from clew.kernel.ids import uuid7
from clew.metadata.blueprint import Blueprint, Field
from clew.metadata.load import load_sources
from clew.storage import nodes, releases
from clew.storage.change import Plan, TextForms, abandon, apply, install, plan, resume
from clew.storage.engine import Database
from clew.storage.errors import (
    ChangeRunning,
    ConsentMissing,
    Drift,
    IntegrityFault,
    NodesBehind,
    NoRelease,
    PlanBlocked,
    PlanStale,
)
from clew.storage.releases import stored_blueprint
from clew.storage.tables import Tables
from clew.testing.blueprints import Shelf, blueprint, entity, field, unique
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
AT = datetime(2026, 1, 1, tzinfo=UTC)


def lots(*fields: Field, **options: Any) -> Blueprint:
    return blueprint(entity("lot", fields, **options))


async def start(database: TestDatabase, project: Blueprint, *rows: dict[str, Any]) -> Database:
    db = await database.open()
    release = await install(db, project)
    await add(db, project, release, *rows)
    return db


async def add(db: Database, project: Blueprint, release: releases.Release, *rows: dict[str, Any]) -> None:
    table = Tables(project, release.catalog, db.dialect).current("lot")
    async with db.write() as connection:
        for row in rows:
            every = {"id": uuid7(), "row_version": 1, "created_at": AT, "updated_at": AT} | row
            await connection.execute(sa.insert(table).values(**every))


async def values(db: Database, project: Blueprint, *keys: str) -> list[tuple[Any, ...]]:
    release = await releases.current(db)
    table = Tables(project, release.catalog, db.dialect).current("lot")
    async with db.read() as connection:
        query = sa.select(*(table.c[key] for key in keys)).order_by(table.c.id)
        return [tuple(row) for row in await connection.fetch(query)]


async def test_stale_plans_are_refused(database: TestDatabase) -> None:
    one, two, three = lots(field("a")), lots(field("a"), field("b")), lots(field("a"), field("c"))
    shelf = Shelf(one, two, three)
    db = await start(database, one)
    to_two, to_three = await plan(db, two, load=shelf), await plan(db, three, load=shelf)
    await apply(db, to_two, load=shelf)
    with pytest.raises(PlanStale) as refusal:
        await apply(db, to_three, load=shelf)
    assert "release 1" in refusal.value.message("en")
    assert "发布 2" in refusal.value.message("zh")
    assert (await releases.current(db)).number == 2
    again = await apply(db, to_two, load=shelf)
    assert again.number == 2, "applying what is applied already changes nothing"


async def test_a_plan_is_for_one_database(database: TestDatabase, new_database: Callable[[str], TestDatabase]) -> None:
    one, two = lots(field("a")), lots(field("a"), field("b"))
    shelf = Shelf(one, two)
    db, other = await start(database, one), await start(new_database(database.dialect), one)
    made = await plan(db, two, load=shelf)
    with pytest.raises(PlanStale):
        await apply(other, made, load=shelf)
    read = Plan.from_json(json.loads(json.dumps(made.to_json())))
    assert read == made
    assert (await apply(db, read, load=shelf)).number == 2


async def test_drift_is_named(database: TestDatabase) -> None:
    one, two = lots(field("a"), field("b")), lots(field("a"), field("b"), field("c"))
    shelf = Shelf(one, two)
    db = await start(database, one)
    async with db.migrate() as connection:
        await connection.run_sql("ALTER TABLE lot DROP COLUMN b")
    with pytest.raises(Drift, match=r"column lot\.b is gone"):
        await plan(db, two, load=shelf)


async def test_duplicates_block_a_new_unique(database: TestDatabase) -> None:
    one = lots(field("a"), field("b"))
    two = lots(field("a"), field("b"), uniques=(unique("a", "b"),))
    shelf = Shelf(one, two)
    db = await start(database, one, {"a": "x", "b": "y"}, {"a": "x", "b": "y"}, {"a": "x"}, {"a": "x"})
    made = await plan(db, two, load=shelf)
    assert made.blocked
    assert "1 groups of duplicates" in made.text("en")
    with pytest.raises(PlanBlocked):
        await apply(db, made, load=shelf, consents=frozenset(made.needs))
    assert (await releases.current(db)).number == 1
    assert await values(db, one, "a", "b") == [("x", "y"), ("x", "y"), ("x", None), ("x", None)]


async def test_conversion_counts_what_is_lost_and_keeps_it_aside(database: TestDatabase) -> None:
    one, two = lots(field("size")), lots(field("size", "decimal", scale=2))
    shelf = Shelf(one, two)
    db = await start(database, one, {"size": "1.5"}, {"size": "12"}, {"size": "about 3"}, {})
    made = await plan(db, two, load=shelf)
    assert made.needs == ("convert:lot.size",)
    assert "3 values converted; 1 of them cannot be" in made.text("en")
    await nodes.beat(db, "old", 1)
    with pytest.raises(NodesBehind):
        await apply(db, made, load=shelf, consents=frozenset(made.needs))
    assert (await releases.current(db)).number == 1, "the old node would go on writing the old column"
    await nodes.leave(db, "old")
    await resume(db, load=shelf)
    assert await values(db, two, "size") == [(Decimal("1.50"),), (Decimal("12.00"),), (None,), (None,)]
    async with db.read() as connection:
        kept = await connection.fetch(sa.text("SELECT size FROM lot ORDER BY id"))
    assert [row[0] for row in kept] == ["1.5", "12", "about 3", None]


async def test_a_changed_json_schema_counts_the_values_that_no_longer_fit(database: TestDatabase) -> None:
    def sized(version: int, *, largest: int) -> Blueprint:
        schema = {"type": "object", "properties": {"size": {"type": "integer", "maximum": largest}}}
        return lots(field("facts", "json", schema=schema, schema_version=version))

    one, wider, narrower = sized(1, largest=10), sized(2, largest=20), sized(2, largest=5)
    db = await start(database, one, {"facts": {"size": 3}}, {"facts": {"size": 7}}, {})
    made = await plan(db, wider, load=Shelf(one, wider))
    assert made.needs == ()
    assert "JSON Schema version 1 → 2" in made.text("en")
    made = await plan(db, narrower, load=Shelf(one, narrower))
    assert made.needs == ("narrow:lot.facts",)
    assert "1 existing value outside the new limits" in made.text("en")
    silent = await plan(db, sized(1, largest=5), load=Shelf(one))
    assert "under the same version 1: raise it" in silent.text("en")


def graded(states: str, codes: str) -> Blueprint:
    found = load_sources({
        "clew.yaml": "project: sample\n",
        "models/lot.yaml": f"""
entity: lot
label: {{zh: 批次, en: Lot}}
key: [a]
fields:
  a: {{type: text, required: true}}
  grade: {{type: choice, of: grade}}
states: [{states}]
transitions:
  finish: {{from: [{states.partition(",")[0]}], to: {states.rpartition(", ")[2]}, label: {{zh: 完成, en: Finish}}}}
---
code_list: grade
label: {{zh: 等级, en: Grade}}
values: {{{codes}}}
""",
    })  # fmt: skip
    assert found.blueprint is not None, [str(each) for each in found.diagnostics]
    return found.blueprint


async def test_a_state_or_code_in_use_is_not_taken_away_without_a_word(database: TestDatabase) -> None:
    x, y = "x: {zh: 甲, en: X}", "y: {zh: 乙, en: Y}"
    one, two = graded("open, held, done", f"{x}, {y}"), graded("open, done", x)
    by = {name: uuid7() for name in ("created_by", "updated_by", "thread_id")}
    rows = [{"a": f"L{at}", "state": state, "grade": code} for at, (state, code) in enumerate(
        [("open", "x"), ("held", "y"), ("held", "y"), ("held", None), ("done", "y")])]  # fmt: skip
    db = await start(database, one, *(by | row for row in rows))
    made = await plan(db, two, load=stored_blueprint)
    assert set(made.needs) == {"narrow:lot.state", "narrow:lot_state.held", "narrow:grade.y"}
    assert "states removed: held" in made.text("en")
    assert "3 existing values outside the new limits" in made.text("en")
    assert "used by 3 rows" in made.text("en")
    assert "3 行正在使用" in made.text("zh")
    for consent in made.needs:
        with pytest.raises(ConsentMissing):
            await apply(db, made, load=stored_blueprint, consents=frozenset({consent}))
    await apply(db, made, load=stored_blueprint, consents=frozenset(made.needs))
    kept = await values(db, two, "a", "state", "grade")
    assert sorted(kept, key=str) == [tuple(row.values()) for row in rows], "what stood there is not changed"


async def test_required_without_default_needs_consent_and_tightens_later(database: TestDatabase) -> None:
    one, two = lots(field("a"), field("b")), lots(field("a", required=True), field("b"))
    shelf = Shelf(one, two)
    db = await start(database, one, {"a": "x"}, {"b": "no a"})
    made = await plan(db, two, load=shelf)
    assert made.needs == ("require:lot.a",)
    with pytest.raises(ConsentMissing):
        await apply(db, made, load=shelf)
    release = await apply(db, made, load=shelf, consents=frozenset(made.needs))
    assert release.state == "live"
    too_early = await plan(db, one, load=shelf)
    assert not too_early.settled
    assert "still being completed" in too_early.text("en")
    table = Tables(two, release.catalog, db.dialect).current("lot")
    async with db.write() as connection:
        await connection.execute(sa.update(table).where(table.c.a.is_(None)).values(a="filled"))
    settled = await resume(db, load=shelf)
    assert settled is not None
    assert settled.state == "settled"
    with pytest.raises(PlanStale):
        await apply(db, too_early, load=shelf)
    assert (await plan(db, one, load=shelf)).settled
    with pytest.raises(IntegrityFault) as refusal:
        await add(db, two, release, {"b": "again no a"})
    assert (refusal.value.kind, refusal.value.columns) == ("required", ("a",))


async def test_rollback_is_a_new_release_that_finds_its_data(database: TestDatabase) -> None:
    one = lots(field("a", required=True), field("b"))
    two = lots(field("c"), field("b", required=True))
    shelf = Shelf(one, two)
    db = await start(database, one, {"a": "kept", "b": "y"})
    made = await plan(db, two, load=shelf)
    assert made.needs == ("drop:lot.a",)
    second = await apply(db, made, load=shelf, consents=frozenset(made.needs))
    await add(db, two, second, {"b": "z", "c": "new"})
    first = await releases.numbered(db, 1)
    back = await plan(db, shelf(first.sources), load=shelf)
    assert set(back.needs) == {"drop:lot.c", "require:lot.a"}, "a name that comes back comes back empty"
    third = await apply(db, back, load=shelf, consents=frozenset(back.needs))
    assert (third.number, third.blueprint_digest) == (3, first.blueprint_digest)
    assert await values(db, one, "a", "b") == [(None, "y"), (None, "z")]
    async with db.read() as connection:
        kept = await connection.fetch(sa.text("SELECT a, c FROM lot ORDER BY id"))
    assert [tuple(row) for row in kept] == [("kept", None), (None, "new")], "nothing was thrown away"
    assert [each.number for each in await releases.listed(db)] == [3, 2, 1]


async def test_dropped_entity_is_set_aside_whole(database: TestDatabase) -> None:
    one = blueprint(entity("lot", [field("a"), field("parts", "many", targets=("part",))]), entity("part", []))
    two = blueprint(entity("part", []))
    shelf = Shelf(one, two)
    db = await start(database, one, {"a": "kept"})
    made = await plan(db, two, load=shelf)
    assert made.needs == ("drop:lot",)
    assert "1 row kept aside" in made.text("en")
    await apply(db, made, load=shelf, consents=frozenset(made.needs))
    async with db.read() as connection:
        assert await connection.fetch_value(sa.text("SELECT a FROM zz_2_lot")) == "kept"
    again = await plan(db, one, load=shelf)
    await apply(db, again, load=shelf)
    assert await values(db, one, "a") == []


async def test_unfinished_change_bars_another_until_resumed_or_abandoned(database: TestDatabase) -> None:
    one, two, three = lots(field("a")), lots(field("a"), field("b", unique=True)), lots(field("a"), field("c"))
    shelf = Shelf(one, two, three)
    db = await start(database, one)

    def crash(label: str) -> None:
        if label.endswith("committed"):
            raise RuntimeError(label)

    made = await plan(db, two, load=shelf)
    with pytest.raises(RuntimeError):
        await apply(db, made, load=shelf, on_step=crash)
    other = await plan(db, three, load=shelf)
    with pytest.raises(ChangeRunning):
        await apply(db, other, load=shelf)
    assert await abandon(db)
    assert not await abandon(db)
    fresh = await plan(db, three, load=shelf)
    assert (await apply(db, fresh, load=shelf)).number == 3
    to_two = await plan(db, two, load=shelf)
    assert (await apply(db, to_two, load=shelf, consents=frozenset(to_two.needs))).number == 4


async def test_sort_keys_and_grams_are_filled(database: TestDatabase) -> None:
    one, two = lots(field("a")), lots(field("a", sort="pinyin", search=True))
    shelf = Shelf(one, two)
    db = await start(database, one, {"a": "乙"}, {"a": "甲"}, {})
    forms = TextForms(sort_key=lambda text: f"key {text}", grams=lambda text: {f"={each}" for each in text})
    release = await apply(db, await plan(db, two, load=shelf), load=shelf, texts=forms)
    assert await values(db, two, "a__sort") == [("key 乙",), ("key 甲",), (None,)]
    grams = Tables(two, release.catalog, db.dialect).grams("lot")
    async with db.read() as connection:
        found = await connection.fetch(sa.select(grams.c.gram, grams.c.field).order_by(grams.c.gram))
    assert [tuple(row) for row in found] == [("=乙", "a"), ("=甲", "a")]


async def test_nothing_applied_is_said(database: TestDatabase) -> None:
    db = await database.open()
    assert await releases.listed(db) == []
    assert await resume(db) is None
    with pytest.raises(NoRelease):
        await releases.current(db)


async def test_same_project_changes_nothing(database: TestDatabase) -> None:
    one = lots(field("a", required=True, unique=True), field("b", "ref", targets=("lot",)))
    db = await start(database, one)
    made = await plan(db, one, load=Shelf(one))
    assert made.empty
    assert [step.kind for step in made.steps] == ["swap"]
    assert made.text("zh") == "没有变化。\n"
    assert "swap" in made.sql(AT, Shelf(one))
