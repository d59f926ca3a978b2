"""The values a fill gives: as SQL over the row where the database can work them out, otherwise computed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from clew.expressions.functions import SQL
from clew.expressions.interpret import compile_memory
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Base, Checked, Type
from clew.metadata.blueprint import Blueprint
from clew.storage.change.convert import Here, convert
from clew.storage.errors import TextFormsMissing
from clew.storage.expressions import Rows, stored_sql
from clew.storage.formula import Sql
from clew.storage.layout import column_type
from clew.storage.tables import Tables

_BASES: Mapping[str, Base] = {
    "text": Base.TEXT,
    "integer": Base.INTEGER,
    "boolean": Base.BOOLEAN,
    "date": Base.DATE,
    "datetime": Base.DATETIME,
    "duration": Base.DURATION,
}


@dataclass(frozen=True, slots=True)
class TextForms:
    """What is stored beside a text: its sort key and its search grams (`records.search` has both)."""

    sort_key: Callable[[str], str]
    grams: Callable[[str], Iterable[str]]


Evaluate = Callable[[Mapping[str, Any], datetime], Any]
"""(facts of a row, now) → the value; None leaves the row as it is."""


def value_sql(work: Mapping[str, Any], tables: Tables, blueprint: Blueprint) -> Sql | None:
    """The value as SQL over the entity's own rows (`tables.current`); None when only memory can tell.

    Two moments may be bound: `now` and `today`.
    """
    form: str = work["form"]
    if work["mode"] == "constant":
        return sa.literal(convert(work["value"], "text", form, Here.of(blueprint)), column_type(form))
    if work["mode"] != "expression":
        return None
    default, wanted = _default(work, blueprint), _type(form)
    if SQL not in default.runs_in or wanted is None or not _fits(default.type, wanted):
        return None
    entity: str = work["entity"]
    return stored_sql(default, Rows(tables, blueprint, entity, tables.current(entity), tables.dialect), wanted)


def evaluator(work: Mapping[str, Any], blueprint: Blueprint, texts: TextForms | None) -> Evaluate:
    """The value of one row, worked out in memory."""
    form: str = work["form"]
    if work["mode"] == "convert":
        if "points_at" in work:  # a reference that may point at several entities from now on
            return lambda _facts, _at: work["points_at"]
        was, here = work["sources"]["from"][1], Here.of(blueprint)
        return lambda facts, _at: converted(facts["from"], was, form, here)
    if work["mode"] == "expression":
        program = compile_memory(_default(work, blueprint))
        return lambda facts, at: _decided(lambda: program.run(facts, now=at, today=today_at(blueprint, at)))
    if texts is None:
        raise TextFormsMissing(object=f"{work['entity']}.{work['field']}")
    if work["mode"] == "sort":
        return lambda facts, _at: texts.sort_key(facts["from"])
    return lambda facts, _at: sorted(texts.grams(facts["from"]))


def today_at(blueprint: Blueprint, at: datetime) -> date:
    """The day it is at a moment where the project is: what `today` means to whoever writes a record."""
    return at.astimezone(ZoneInfo(blueprint.project.time_zone)).date()


def _default(work: Mapping[str, Any], blueprint: Blueprint) -> Checked:
    default = blueprint.entities[work["entity"]].fields[work["field"]].default
    assert default is not None
    return default


def _type(form: str) -> Type | None:
    name, _, scale = form.partition(":")
    if name in ("exact", "money"):
        return Type(Base.DECIMAL, scale=int(scale))
    base = _BASES.get(name)
    return None if base is None else Type(base)


def _fits(given: Type, wanted: Type) -> bool:
    """Whether the value is stored as it comes, or only gets more decimal places."""
    if wanted.base is Base.DECIMAL:
        return given.numeric and given.scale <= wanted.scale
    return given.base is wanted.base


def converted(value: Any, was: str, form: str, here: Here) -> Any:
    """The value in its new form; None when it has no equal there."""
    try:
        return convert(value, was, form, here)
    except ValueError:
        return None


def _decided(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except Undecidable:
        return None
