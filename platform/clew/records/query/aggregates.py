"""Counts, sums and groups over a list: of the rows and values the caller may see, like everything else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records.query.items import aggregated, record_json
from clew.records.query.json_text import (
    Sql,
    as_text,
    constant,
    duration,
    joined,
    json_object,
    or_null,
    piece,
    quoted,
    render,
)
from clew.records.query.plan import Aggregate, Fixed, GroupKey, Groups, Measure, MeasureItem, Measures, Period
from clew.records.query.scope import NotVisible, Scope, period_label, select_from
from clew.records.query.values import size_of, type_of
from clew.storage.engine import DialectName
from clew.storage.sqlite_functions import HALF
from clew.storage.types import Day

AVERAGE_DIGITS = 4
"""Decimal places an average has beyond those of its field."""

ADDABLE = frozenset({FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.MONEY, FieldKind.DURATION})
AVERAGED = frozenset({FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.MONEY})
COMPARABLE = ADDABLE | {
    FieldKind.DATE,
    FieldKind.DATETIME,
    FieldKind.TEXT,
    FieldKind.NUMBER,
    FieldKind.CHOICE,
}
GROUPABLE = (COMPARABLE - {FieldKind.MONEY}) | {FieldKind.BOOLEAN, FieldKind.REF, FieldKind.ANY}
PERIODIC = frozenset({FieldKind.DATE, FieldKind.DATETIME})
COUNTABLE = GROUPABLE | {FieldKind.MONEY, FieldKind.ID}
_ALLOWED = {"min": COMPARABLE, "max": COMPARABLE, "sum": ADDABLE, "avg": AVERAGED, "count_distinct": COUNTABLE}


def measurable(entity: Entity, function: str, name: str) -> bool:
    """Whether a function can be applied to a field."""
    known = entity.fields.get(name)
    return known is not None and known.kind in _ALLOWED[function]


class _Inputs:
    """The columns an aggregation works on, selected once with their masks on."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.columns: list[Any] = []

    def add(self, value: Sql, name: str | None = None) -> str:
        label = name or f"m{len(self.columns)}"
        self.columns.append(value.label(label))
        return label

    def base(self, conditions: list[Sql]) -> Any:
        columns = self.columns or [sa.literal_column("1").label("m0")]
        return select_from(self.scope, columns, conditions).subquery(f"t{next(self.scope.build.numbers)}")


def aggregate_json(scope: Scope, conditions: list[Sql], item: Aggregate) -> Sql:
    """The whole list in one object."""
    inputs = _Inputs(scope)
    labels = _declare(inputs, item.items)
    base = inputs.base(conditions)
    statement = sa.select(_measures_json(scope, item.items, labels, base)).select_from(base).correlate_except(base)
    found: Sql = statement.scalar_subquery()
    return found


def groups_json(scope: Scope, conditions: list[Sql], item: Groups) -> Sql:
    """One object per distinct key, in the key's order, missing values last."""
    inputs = _Inputs(scope)
    measures = [each for each in item.items if not isinstance(each, GroupKey)]
    labels = _declare(inputs, measures)
    keys = [label for each in item.by for label in _key_columns(inputs, each)]
    base = inputs.base(conditions)
    values = [_one_measure(scope, each, labels, base).label(f"v{at}") for at, each in enumerate(measures)]
    grouped = (
        sa.select(*(base.c[key] for key in keys), *values)
        .select_from(base)
        .group_by(*(base.c[key] for key in keys))
        .order_by(*(base.c[key].asc().nulls_last() for key in keys))
        .limit(size_of(item.size))
        .correlate_except(base)
        .subquery(f"t{next(scope.build.numbers)}")
    )
    within = replace(scope, rows=grouped, version=True, bare=True)
    members: list[tuple[str, str | Sql]] = []
    for each in item.items:
        if isinstance(each, GroupKey):
            members.append((each.key, record_json(within, each.items)))
        else:
            members.append((each.key, grouped.c[f"v{measures.index(each)}"]))
    listed = sa.func.coalesce(aggregated(json_object(members), scope.build.dialect), piece(""), type_=sa.Text())
    text = joined([piece("["), listed, piece("]")])
    found: Sql = sa.select(text).select_from(grouped).correlate_except(grouped).scalar_subquery()
    return found


def _key_columns(inputs: _Inputs, by: str | Period) -> list[str]:
    scope = inputs.scope
    if isinstance(by, Period):
        return [inputs.add(_period(scope, by), period_label(by.field, by.unit))]
    name = by
    known = scope.field(name)
    if known.kind not in GROUPABLE:
        raise NotVisible(name=name, what=scope.entity.name)
    if known.kind is FieldKind.ANY:
        return [
            inputs.add(scope.column(name, "entity"), name + "_entity"),
            inputs.add(scope.column(name), name + "_id"),
        ]
    return [inputs.add(scope.column(name), name)]


def _period(scope: Scope, by: Period) -> Sql:
    known = scope.field(by.field)
    if known.kind not in PERIODIC or known.computed is not None:
        raise NotVisible(name=by.field, what=scope.entity.name)
    value, zone = scope.column(by.field), piece(scope.build.blueprint.project.time_zone)
    if scope.build.dialect == "sqlite":
        return sa.func.clew_period(value, piece(by.unit), zone, type_=Day())
    if known.kind is FieldKind.DATETIME:
        value = sa.func.timezone(zone, value)
    else:
        value = sa.cast(value, sa.DateTime())
    return sa.cast(sa.func.date_trunc(piece(by.unit), value), sa.Date())


def _declare(inputs: _Inputs, items: tuple[MeasureItem, ...] | list[MeasureItem]) -> dict[tuple[str, str], str]:
    """Select the input of every measure once; which label carries which field."""
    labels: dict[tuple[str, str], str] = {}
    for item in items:
        inner = item.items if isinstance(item, Measures) else (item,)
        for each in inner:
            if not isinstance(each, Measure) or not each.field or (each.field, each.part) in labels:
                continue
            known = inputs.scope.field(each.field)
            if known.kind not in _ALLOWED[each.function]:
                raise NotVisible(name=each.field, what=inputs.scope.entity.name)
            labels[each.field, each.part] = inputs.add(inputs.scope.column(each.field, each.part))
            if known.kind is FieldKind.MONEY and (each.field, "currency") not in labels:
                labels[each.field, "currency"] = inputs.add(inputs.scope.column(each.field, "currency"))
    return labels


def _measures_json(scope: Scope, items: tuple[MeasureItem, ...], labels: dict[tuple[str, str], str], base: Any) -> Sql:
    return json_object([(item.key, _one_measure(scope, item, labels, base)) for item in items])


def _one_measure(scope: Scope, item: MeasureItem, labels: dict[tuple[str, str], str], base: Any) -> Sql:
    if isinstance(item, Fixed):
        return piece(constant(item.text))
    if isinstance(item, Measures):
        return _measures_json(scope, item.items, labels, base)
    if not item.field:
        return as_text(sa.func.count())
    known = scope.entity.fields[item.field]
    value = sa.type_coerce(base.c[labels[item.field, item.part]], type_of(known, item.part))
    found = _measured(item.function, value, known, scope.build.dialect)
    if known.kind is FieldKind.MONEY and not item.part and item.function != "count_distinct":
        # Amounts in several currencies have no sum, and none of them is the largest.
        currencies = sa.func.count(sa.distinct(base.c[labels[item.field, "currency"]]))
        found = sa.case((currencies <= 1, found))
    return or_null(found)


def _measured(function: str, value: Sql, known: Field, dialect: DialectName) -> Sql:
    if function == "count_distinct":
        return as_text(sa.func.count(sa.distinct(value)))
    if function == "min":
        return render(sa.func.min(value, type_=value.type), known, dialect)
    if function == "max":
        return render(sa.func.max(value, type_=value.type), known, dialect)
    if function == "avg":
        return quoted(_average(value, known, dialect))
    if dialect == "sqlite":
        if known.kind is FieldKind.DURATION:
            return quoted(sa.func.clew_total_duration(*_halves(value), type_=sa.Text()))
        return quoted(sa.func.clew_total(*_halves(value), known.scale, type_=sa.Text()))
    total = sa.func.sum(value, type_=value.type)
    if known.kind is FieldKind.INTEGER:
        return quoted(as_text(total))
    if known.kind is FieldKind.DURATION:
        return quoted(duration(total, dialect, large=True))
    return render(total, known, dialect)


def _halves(value: Sql) -> tuple[Sql, Sql]:
    """The sums of the high and of the low digits (SQLite): a sum of its own would leave 64 bits."""
    digits = sa.literal_column(str(HALF), sa.Integer())
    whole = sa.type_coerce(value, sa.Integer())
    return sa.func.sum(whole.op("/")(digits)), sa.func.sum(whole.op("%")(digits))


def _average(value: Sql, known: Field, dialect: DialectName) -> Sql:
    """The exact mean, rounded half away from zero, as decimal text."""
    scale = known.scale + AVERAGE_DIGITS
    if dialect == "postgresql":
        exact = sa.cast(sa.func.sum(value), sa.Numeric(60, 30))
        return as_text(sa.func.round(exact / sa.func.count(value), scale))
    return sa.func.clew_mean(*_halves(value), sa.func.count(value), known.scale, scale, type_=sa.Text())
