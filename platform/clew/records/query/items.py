"""What comes out of a record: plan items as members of a JSON object."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from clew.metadata.blueprint import Field, FieldKind
from clew.records.query.json_text import (
    Sql,
    as_text,
    constant,
    joined,
    json_object,
    or_null,
    piece,
    quoted,
    render,
)
from clew.records.query.plan import (
    PERIODS,
    Branch,
    Elements,
    Fixed,
    Item,
    Leaf,
    Many,
    Nested,
    One,
    OneOf,
    Signable,
    Signatures,
    Trail,
    Versions,
)
from clew.records.query.predicates import inner_text
from clew.records.query.relations import relate, single
from clew.records.query.scope import NotVisible, Scope, period_label, select_from
from clew.storage.dialects import JsonString


def record_json(scope: Scope, items: Sequence[Item]) -> Sql:
    """One row as a JSON object. Never null."""
    return json_object([(item.key, _member(scope, item)) for item in items])


def _member(scope: Scope, item: Item) -> str | Sql:
    if isinstance(item, Fixed):
        return constant(item.text)
    if isinstance(item, Leaf):
        return leaf_json(scope, item.field, item.part)
    if isinstance(item, Nested):
        return _nested(scope, item)
    if isinstance(item, Elements):
        return _elements(scope, item)
    if isinstance(item, One):
        return _one(scope, item)
    if isinstance(item, OneOf):
        return _one_of(scope, item)
    from clew.records.query import history, listing, signatures

    if isinstance(item, Many):
        return listing.related_json(scope, item)
    if isinstance(item, Versions):
        return history.versions_json(scope, item)
    if isinstance(item, Signatures):
        return signatures.signatures_json(scope, item)
    if isinstance(item, Signable):
        return signatures.signable_json(scope, item)
    assert isinstance(item, Trail)
    return history.trail_json(scope, item)


def leaf_json(scope: Scope, name: str, part: str = "") -> Sql:
    """A field's value as JSON text, `null` when missing or masked on this row."""
    known = scope.field(name)
    if name == "id" or (name == "row_version" and scope.mask(name) is None):
        return render(scope.raw(name), known, scope.build.dialect)
    return or_null(scope.masked(name, _shown(scope, known, part)))


def _shown(scope: Scope, known: Field, part: str) -> Sql:
    dialect = scope.build.dialect
    if part in PERIODS:
        return quoted(as_text(scope.rows.c[period_label(known.name, part)]))
    if part == "currency":
        return quoted(scope.raw(known.name, "currency"))
    if known.kind is FieldKind.TRANSLATED and part:
        return JsonString(inner_text(scope.raw(known.name), part, dialect))
    return render(scope.raw(known.name), known, dialect)


def _nested(scope: Scope, item: Nested) -> Sql:
    inner = record_json(scope, item.items)
    present = scope.column(item.field).is_not(None)
    return sa.case((present, inner), else_=piece("null"))


def _elements(scope: Scope, item: Elements) -> Sql:
    """Objects out of a stored JSON list, each with the members asked for."""
    column, dialect = scope.column(item.field), scope.build.dialect
    if dialect == "postgresql":
        each = sa.func.jsonb_array_elements(column).table_valued("value", joins_implicitly=True).alias(_name(scope))
        value = each.c.value

        def read(member: str) -> Sql:
            return sa.func.jsonb_extract_path(value, sa.literal_column(f"'{member}'")).cast(sa.Text())
    else:
        each = sa.func.json_each(column).table_valued("value", joins_implicitly=True).alias(_name(scope))
        value = each.c.value

        def read(member: str) -> Sql:
            return value.op("->")(sa.literal_column(f"'$.{member}'"))

    members = [(key, constant(what[1:]) if what.startswith("=") else or_null(read(what))) for key, what in item.members]
    rows = sa.select(aggregated(json_object(members), dialect)).select_from(each).correlate_except(each)
    listed = joined([piece("["), sa.func.coalesce(rows.scalar_subquery(), piece(""), type_=sa.Text()), piece("]")])
    return sa.case((column.is_not(None), listed), else_=piece("null"))


def _name(scope: Scope) -> str:
    return f"t{next(scope.build.numbers)}"


def aggregated(text: Sql, dialect: str) -> Sql:
    """The rows' texts separated by commas, in the order in which the rows come."""
    collect = sa.func.string_agg if dialect == "postgresql" else sa.func.group_concat
    return collect(text, piece(","), type_=sa.Text())


def _one(scope: Scope, item: One) -> Sql:
    if not single(scope, item.relation):
        raise NotVisible(name=item.relation, what=scope.entity.name)
    target, conditions = relate(scope, item.relation)
    return or_null(select_from(target, [record_json(target, item.items)], conditions).scalar_subquery())


def _one_of(scope: Scope, item: OneOf) -> Sql:
    """The record behind an `any` field: one subselect per entity, tried by the stored entity name."""
    scope.field(item.relation)
    entity = scope.rows.c[item.relation + "_entity"]
    choices = [(entity == branch.entity, _branch(scope, item.relation, branch)) for branch in item.branches]
    return or_null(sa.case(*choices)) if choices else piece("null")


def _branch(scope: Scope, relation: str, branch: Branch) -> Sql:
    target, conditions = relate(scope, relation, branch.entity)
    found: Sql = select_from(target, [record_json(target, branch.items)], conditions).scalar_subquery()
    return found
