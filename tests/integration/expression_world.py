"""A small world with awkward values, once as facts in memory and once as rows in a database, for comparing the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.tree import Checked
from clew.kernel.context import Person
from clew.kernel.scalars import FAR_FUTURE
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Code, CodeList, Inverse, State
from clew.metadata.load import load_sources
from clew.metadata.schema import BlueprintSchema
from clew.storage.change import install
from clew.storage.engine import Database
from clew.storage.expressions import Rows, condition_sql, decided_sql, value_sql
from clew.storage.tables import Tables
from clew.testing.blueprints import LABEL, PLACE, blueprint, entity, field

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
TODAY = date(2026, 3, 1)
BIRTH = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 2, 1, 12, tzinfo=UTC)


def uid(kind: int, at: int) -> UUID:
    return UUID(int=(0x0190 << 112) | (7 << 76) | (2 << 62) | (kind << 32) | at)


PERSON = Person(uid(9, 1), "wang", "王芳", ("qc", "质量"), (uid(1, 0), uid(1, 2)), site=uid(1, 1), department=None)


def _states() -> Mapping[str, State]:
    return MappingProxyType({name: State(name, LABEL, PLACE) for name in ("open", "held", "released")})


def project() -> Blueprint:
    item = entity(
        "item",
        [
            field("name", required=True),
            field("note"),
            field("weight", "decimal", scale=3),
            field("maker", "ref", targets=("item",), inverse="made"),
        ],
        inverses=MappingProxyType(
            {
                "lots": Inverse("lots", LABEL, "lot", "item"),
                "made": Inverse("made", LABEL, "item", "maker"),
                "lots_as_subject": Inverse("lots_as_subject", LABEL, "lot", "subject"),
            }
        ),
    )
    lot = entity(
        "lot",
        [
            field("number", required=True),
            field("note"),
            field("state", "choice", code_list="state", required=True),
            field("grade", "choice", code_list="grade"),
            field("item", "ref", targets=("item",), required=True, inverse="lots"),
            field("subject", "any", targets=("lot", "item")),
            field("parents", "many", targets=("lot",), inverse="children"),
            field("qty", "decimal", scale=4, required=True),
            field("price", "money", scale=2),
            field("rate", "decimal", scale=9),
            field("pieces", "integer", required=True),
            field("count", "integer", big=True),
            field("ok", "boolean", required=True),
            field("flag", "boolean"),
            field("made_on", "date", required=True),
            field("exp_on", "date"),
            field("made_at", "datetime", required=True),
            field("tested_at", "datetime"),
            field("took", "duration"),
            field("marks", "choices", code_list="grade"),
            field("data", "json"),
        ],
        inverses=MappingProxyType(
            {
                "children": Inverse("children", LABEL, "lot", "parents"),
                "lots_as_subject": Inverse("lots_as_subject", LABEL, "lot", "subject"),
            }
        ),
        states=_states(),
    )
    made = blueprint(item, lot)
    return replace(made, code_lists=MappingProxyType({"grade": _codes("A", "B"), "state": _codes(*_states())}))


def _codes(*values: str) -> CodeList:
    codes = {each: Code(each, Bilingual(each, each)) for each in values}
    return CodeList("codes", LABEL, MappingProxyType(codes), PLACE)


def _envelope(id_: UUID, voided: bool = False) -> dict[str, Any]:
    return {
        "id": id_,
        "row_version": 1,
        "created_at": BIRTH,
        "updated_at": BIRTH,
        "voided_at": LATER if voided else None,
    }


ITEMS: list[dict[str, Any]] = [
    {"name": "螺钉", "note": None, "weight": Decimal("0.125"), "maker": None},
    {"name": "Screw µ ÄÖ", "note": "不锈钢 INOX", "weight": None, "maker": 0},
    {"name": "  pad \u3000", "note": "", "weight": Decimal("-2.500"), "maker": 1},
]

_TEXTS = ["L-001", "批号一", "", "ﬁnal É", "a%_b'c\"\\", "𠀀 rare", "L-001/批号", "Zz", "zz", "L 9"]
_NOTES = [None, "不合格", "", "ok", None, "L-001"]
_QTY = ["0", "1.0000", "-2.5000", "99999999999999.9999", "-99999999999999.9999", "0.0001", "3.3333", "7.5000"]
_PRICE = [None, "0.05", "19.99", "9999999999999999.99", "-0.05", "2.50"]
_RATE = ["0.000000001", None, "0.500000000", "999999999.999999999", "-1.500000000"]
_DAYS = [date(2026, 1, 31), date(2024, 2, 29), date(1, 1, 1), date(9999, 12, 31), date(2026, 3, 1), date(2025, 12, 31)]
_MOMENTS = [
    datetime(2026, 1, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    NOW,
]
_TOOK = [None, timedelta(hours=8), timedelta(microseconds=-1), timedelta(days=90000, microseconds=7), timedelta()]
_DATA = [None, {"color": "红", "size": {"w": "12"}}, {"color": None}, {"color": 5}, {"color": "red", "size": "big"}]
COUNT = 12


def _of(values: list[Any], at: int) -> Any:
    return values[at % len(values)]


def _exact(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _lot(at: int) -> dict[str, Any]:
    return {
        "number": _of(_TEXTS, at),
        "note": _of(_NOTES, at),
        "state": _of(["open", "held", "released"], at),
        "grade": _of([None, "A", "B", "A"], at),
        "item": at % 3,
        "subject": _of([None, ("lot", 1), ("item", 2), ("lot", 4), ("item", 0)], at),
        "qty": _exact(_of(_QTY, at)),
        "price": _exact(_of(_PRICE, at)),
        "rate": _exact(_of(_RATE, at)),
        "pieces": _of([0, 1, -7, 2**31 - 1, 12], at),
        "count": _of([None, 10**17, -(10**18) + 1, 3, 9 * 10**18], at),
        "ok": at % 2 == 0,
        "flag": _of([None, True, False], at),
        "made_on": _of(_DAYS, at),
        "exp_on": _of([None, *_DAYS], at),
        "made_at": _of(_MOMENTS, at),
        "tested_at": _of([None, *_MOMENTS[::-1]], at),
        "took": _of(_TOOK, at),
        "marks": _of([None, ["A"], [], ["A", "B"]], at),
        "data": _of(_DATA, at),
    }


PARENTS = {2: [0, 1], 3: [2], 5: [2, 3, 4], 7: [6], 8: [8], 9: [0, 5, 7, 10], 11: [10]}
VOID = {7, 10}
WAS = {0: ["released"], 4: ["held", "released"], 5: ["open"]}
"""Earlier states, before the present one."""


def facts() -> list[dict[str, Any]]:
    """Every lot as facts in memory: related records nested, void ones left out of lists."""
    items = [{**_envelope(uid(1, at)), **each} for at, each in enumerate(ITEMS)]
    lots = [{**_envelope(uid(2, at), at in VOID), **_lot(at)} for at in range(COUNT)]
    for each in items:
        each["maker"] = None if each["maker"] is None else items[each["maker"]]
    for at, each in enumerate(lots):
        each["item"] = items[each["item"]]
        if each["subject"]:
            kind, target = each["subject"]
            each["subject"] = (lots if kind == "lot" else items)[target]
        each["parents"] = [lots[parent] for parent in PARENTS.get(at, []) if parent not in VOID]
        each["@entered"] = {}
        for day, state in enumerate(_past(at)):
            each["@entered"].setdefault(state, BIRTH + timedelta(days=day))
    alive = [each for at, each in enumerate(lots) if at not in VOID]
    for each in (*items, *lots):
        each["lots_as_subject"] = [lot for lot in alive if lot["subject"] is each]
    for each in items:
        each["lots"] = [lot for lot in alive if lot["item"] is each]
        each["made"] = [other for other in items if other["maker"] is each]
        each["@entered"] = {}
    for at, each in enumerate(lots):
        each["children"] = [lots[child] for child in PARENTS if at in PARENTS[child] and child not in VOID]
    return lots


def _past(at: int) -> list[str]:
    return [*WAS.get(at, []), str(_lot(at)["state"])]


def _row(values: dict[str, Any], kind: int, at: int) -> dict[str, Any]:
    row = {**_envelope(uid(kind, at), kind == 2 and at in VOID), **values}
    if kind == 1:
        row["maker"] = None if values["maker"] is None else uid(1, values["maker"])
        return row
    subject = row.pop("subject")
    row["item"] = uid(1, values["item"])
    row["subject_entity"] = subject and subject[0]
    row["subject_id"] = subject and uid(1 if subject[0] == "item" else 2, subject[1])
    row["price_currency"] = None if row["price"] is None else "CNY"
    return row


class World:
    """The rows in one database."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self.database, self.tables = database, tables

    @classmethod
    async def make(cls, database: Database) -> World:
        release = await install(database, project())
        world = cls(database, Tables(project(), release.catalog, database.dialect))
        await world._fill()
        return world

    async def _fill(self) -> None:
        tables = self.tables
        async with self.database.write() as connection:
            for at, item in enumerate(ITEMS):
                await connection.execute(sa.insert(tables.current("item")).values(_row(item, 1, at)))
            for at in range(COUNT):
                row = _row(_lot(at), 2, at)
                await connection.execute(sa.insert(tables.current("lot")).values(row))
                past = _past(at)
                for day, state in enumerate(past):
                    start, end = BIRTH + timedelta(days=day), BIRTH + timedelta(days=day + 1)
                    version = {**row, "state": state, "row_version": day + 1, "tx_from": start}
                    version["tx_to"] = FAR_FUTURE if day == len(past) - 1 else end
                    await connection.execute(sa.insert(tables.history("lot")).values(version))
            for child, parents in PARENTS.items():
                for parent in parents:
                    pair = {"owner": uid(2, child), "target": uid(2, parent)}
                    await connection.execute(sa.insert(tables.link("lot", "parents")).values(pair))

    def rows(self, **options: Any) -> tuple[Rows, Any]:
        lot = self.tables.current("lot").alias("t0")
        return Rows(self.tables, self.tables.blueprint, "lot", lot, self.database.dialect, **options), lot

    async def ask(self, checked: Checked, old: dict[str, Any] | None = None) -> list[tuple[Any, bool, bool, bool]]:
        """For each lot: the value (decided_sql twice for conditions), and whether WHERE takes the row."""
        rows, lot = self.rows()
        truth = checked.type.base == "boolean"
        columns = [value_sql(checked, rows)]
        if truth:
            columns += [decided_sql(checked, rows, on_error=False), decided_sql(checked, rows, on_error=True)]
        args = binds(old)
        async with self.database.read() as connection:
            found = await connection.fetch(sa.select(*columns).select_from(lot).order_by(lot.c.id), args)
            taken: set[Any] = set()
            if truth:
                query = sa.select(lot.c.id).where(condition_sql(checked, rows))
                taken = {row[0] for row in await connection.fetch(query, args)}
        if not truth:
            return [(row[0], False, False, False) for row in found]
        return [(row[0], row[1], row[2], uid(2, at) in taken) for at, row in enumerate(found)]


def binds(old: dict[str, Any] | None = None) -> dict[str, Any]:
    """Values for every bind a translated expression may have."""
    names = ("id", "login", "name", "roles", "sites", "site", "department", "employee")
    args = {f"user.{name}": getattr(PERSON, name) for name in names}
    args |= {"user.roles": list(PERSON.roles), "user.sites": list(PERSON.sites), "now": NOW, "today": TODAY}
    for name in ("id", "number", "note", "state", "qty", "price", "pieces", "exp_on", "flag", "item"):
        value = (old or {}).get(name)
        args[f"old.{name}"] = value["id"] if isinstance(value, dict) else value
    return args


TABLES = """
decision: pieces_and_grade
inputs:
  pieces: {type: integer}
  grade: {type: choice, of: [A, B], optional: true}
outputs:
  level: {type: decimal, scale: 2}
  say: {type: text}
rows:
  - ["< 0", any, 0.25, "neg''ative"]
  - [0..3, A, 1.5, "few {A}"]
  - ["(3..1000]", A, 20, "many 100%"]
  - [">= 0", B, 3.75, of B]
  - ["> 1000", A, 4, lots]
  - [">= 0", "null", 5, none]
---
decision: days
inputs:
  made_on: {type: date}
  exp_on: {type: date, optional: true}
outputs: {late: {type: boolean}, until: {type: date}}
hit: first
rows:
  - [any, "null", false, 9999-12-31]
  - ["< 2026-01-01", "<= 2026-12-31", true, 2026-01-31]
  - ["not(2026-02-01)", any, true, 2026-02-28]
default: [false, 2030-01-01]
---
decision: notes
inputs:
  note: {type: text, optional: true}
  ok: {type: boolean}
outputs: {points: {type: integer}}
hit: collect
together: sum
rows:
  - [ok, any, 1]
  - ["not('ok', '不合格')", true, 10]
  - ["null", any, 100]
  - [any, false, 1000]
---
decision: quantity
inputs:
  qty: {type: decimal, scale: 4, min: 0.0001, max: 100}
outputs: {score: {type: decimal, scale: 1}}
hit: collect
together: max
rows:
  - ["> 0.5", 1.5]
  - ["2.5, 3..90", 7]
---
decision: strongest
inputs:
  ok: {type: boolean}
  qty: {type: decimal, scale: 4}
outputs: {verdict: {type: choice, of: [keep, hold, scrap]}}
hit: priority
priority: [scrap, hold, keep]
rows:
  - [any, any, keep]
  - [false, any, hold]
  - [any, "< 2", scrap]
"""
"""One table of each kind."""


def schema() -> BlueprintSchema:
    loaded = load_sources({"clew.yaml": "project: tables\n", "rules/t.yaml": TABLES})
    assert loaded.blueprint is not None, [f"{each.place} {each.message('en')}" for each in loaded.diagnostics]
    made = project()
    return BlueprintSchema(made.entities, made.code_lists, loaded.blueprint.decisions)
