"""Plan conditions as SQL, every value masked and every related record checked as in the selection."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa

from clew.metadata.blueprint import FieldKind
from clew.records.query.json_text import Sql, as_text
from clew.records.query.plan import And, Compare, Const, Granted, Holds, Not, Or, Predicate, Search, Through, Value
from clew.records.query.relations import relate
from clew.records.query.scope import FALSE, TRUE, Scope, select_from
from clew.records.query.search import matches
from clew.records.query.values import bound, listed, type_of
from clew.storage.dialects import AnyOf
from clew.storage.engine import DialectName
from clew.storage.formula import is_code, written_out

Operator = Callable[[Sql, Sql, DialectName], Sql]


def condition(scope: Scope, predicate: Predicate) -> Sql:
    """The predicate over the scope's row. May be NULL where false is meant; `Not` makes it total."""
    if isinstance(predicate, Compare):
        return _compare(scope, predicate)
    if isinstance(predicate, And):
        return sa.and_(TRUE, *(condition(scope, each) for each in predicate.items))
    if isinstance(predicate, Or):
        return sa.or_(FALSE, *(condition(scope, each) for each in predicate.items))
    if isinstance(predicate, Not):
        return untrue(condition(scope, predicate.item))
    if isinstance(predicate, Through):
        return _through(scope, predicate)
    if isinstance(predicate, Search):
        return matches(scope, predicate)
    if isinstance(predicate, Granted):
        return sa.and_(TRUE, *scope.granted(getattr(scope.access, predicate.action)))
    assert isinstance(predicate, Holds)
    return scope.holds_as_seen(predicate.condition)


def untrue(value: Sql) -> Sql:
    """False or missing."""
    return sa.not_(sa.func.coalesce(value, FALSE, type_=sa.Boolean()))


def unvoided(scope: Scope) -> list[Sql]:
    return [scope.rows.c.voided_at.is_(None)] if "voided_at" in scope.entity.fields else []


def _through(scope: Scope, predicate: Through) -> Sql:
    if (held := _held(scope, predicate)) is not None:
        return held
    target, conditions = relate(scope, predicate.relation, predicate.entity)
    if predicate.quantifier != "one":
        conditions += unvoided(target)
    if predicate.where is not None:
        inner = condition(target, predicate.where)
        conditions.append(untrue(inner) if predicate.quantifier == "every" else inner)
    elif predicate.quantifier == "every":
        return TRUE
    found = sa.exists(select_from(target, [sa.literal_column("1")], conditions))
    return sa.not_(found) if predicate.quantifier in ("every", "none") else found


def _held(scope: Scope, predicate: Through) -> Sql | None:
    """The condition asked of the reference itself, where only the id at its other end is in question.

    That holds while every record there may be read: a foreign key says that it exists. None where one has to look.
    """
    known = scope.entity.fields.get(predicate.relation)
    if known is None or known.kind is not FieldKind.REF or scope.as_of is not None or not scope.sees(known.name):
        return None
    asked = () if predicate.where is None else _only_ids(predicate.where)
    if asked is None or not scope.build.decision.on(known.target).read.always:
        return None
    column, mask = scope.rows.c[known.name], scope.mask(known.name)
    type_ = type_of(known, "")
    tests = [
        column == bound(each.value, type_) if each.op == "eq" else AnyOf(column, listed(each.value, type_))
        for each in asked
    ]
    return sa.and_(*([] if mask is None else [mask]), *(tests or [column.is_not(None)]))


def _only_ids(where: Predicate) -> tuple[Compare, ...] | None:
    """The comparisons of a condition that asks for nothing but certain ids."""
    if isinstance(where, Compare):
        return (where,) if where.field == "id" and where.op in ("eq", "in") else None
    if not isinstance(where, And):
        return None
    parts = [_only_ids(each) for each in where.items]
    return None if any(each is None for each in parts) else tuple(each for part in parts for each in part or ())


def _compare(scope: Scope, predicate: Compare) -> Sql:
    known = scope.field(predicate.field)
    op, value = predicate.op, predicate.value
    mask = scope.mask(predicate.field)
    if op == "is_null":
        assert isinstance(value, Const)
        missing = scope.column(predicate.field, _stored_part(predicate.part)).is_(None)
        return missing if value.value else sa.not_(missing)
    if op in ("ne", "not_in"):
        return untrue(_compare(scope, Compare(predicate.field, _POSITIVE[op], value, predicate.part)))
    column = scope.raw(predicate.field, _stored_part(predicate.part))
    if known.kind is FieldKind.TRANSLATED and predicate.part:
        column = inner_text(column, predicate.part, scope.build.dialect)
    type_ = type_of(known, predicate.part)
    codes = _codes(value) if known.kind is FieldKind.CHOICE and op in ("eq", "in") else ()
    if codes:
        test: Sql = column.in_([written_out(each) for each in codes])
    elif op == "in":
        test = AnyOf(sa.type_coerce(column, type_), listed(value, type_))
    elif op == "has":
        test = _has(column, bound(value, type_), scope.build.dialect)
    else:
        test = OPERATORS[op](column, bound(value, type_), scope.build.dialect)
    # `mask AND test`, not `CASE`: every operator here is false on a missing value, and this form can use an index.
    return test if mask is None else sa.and_(mask, test)


def _codes(value: Value) -> tuple[str, ...]:
    """The codes a constant names; none when it is no constant or anything else."""
    if not isinstance(value, Const):
        return ()
    named = value.value if isinstance(value.value, list | tuple) else (value.value,)
    return tuple(named) if all(is_code(each) for each in named) else ()


_POSITIVE = {"ne": "eq", "not_in": "in"}


def _stored_part(part: str) -> str:
    return part if part in ("currency", "entity") else ""


def inner_text(column: Sql, member: str, dialect: DialectName) -> Sql:
    """A text member of a stored JSON object."""
    if dialect == "postgresql":
        return sa.collate(sa.func.jsonb_extract_path_text(column, sa.literal_column(f"'{member}'")), "C")
    return sa.func.json_extract(column, sa.literal_column(f"'$.{member}'"), type_=sa.Text())


def _has(column: Sql, value: Sql, dialect: DialectName) -> Sql:
    if dialect == "postgresql":
        return sa.func.jsonb_exists(column, value, type_=sa.Boolean())
    each = sa.func.json_each(column).table_valued("value")
    return sa.exists(sa.select(sa.literal_column("1")).select_from(each).where(each.c.value == value))


def _starts(column: Sql, value: Sql, dialect: DialectName) -> Sql:
    if dialect == "postgresql":
        return sa.func.starts_with(column, value, type_=sa.Boolean())
    return sa.func.substr(column, 1, sa.func.length(value)) == value


def _ends(column: Sql, value: Sql, dialect: DialectName) -> Sql:
    size = sa.func.length(value)
    if dialect == "postgresql":
        return sa.func.right(column, size) == value
    return sa.case((size == 0, column.is_not(None)), else_=sa.func.substr(column, -size) == value)


def _contains(column: Sql, value: Sql, dialect: DialectName) -> Sql:
    find = sa.func.strpos if dialect == "postgresql" else sa.func.instr
    return find(column, value, type_=sa.Integer()) > 0


def _folded(plain: Operator) -> Operator:
    """The operator with the case of ASCII letters ignored; both engines leave other letters alone in C collation."""

    def fold(value: Sql, dialect: DialectName) -> Sql:
        text = sa.collate(as_text(value), "C") if dialect == "postgresql" else value
        return sa.func.lower(text, type_=sa.Text())

    return lambda column, value, dialect: plain(fold(column, dialect), fold(value, dialect), dialect)


def _equal(column: Sql, value: Sql, dialect: DialectName) -> Sql:
    return column == value


OPERATORS: Mapping[str, Operator] = {
    "eq": _equal,
    "lt": lambda column, value, dialect: column < value,
    "le": lambda column, value, dialect: column <= value,
    "gt": lambda column, value, dialect: column > value,
    "ge": lambda column, value, dialect: column >= value,
    "starts_with": _starts,
    "ends_with": _ends,
    "contains": _contains,
    "eq_fold": _folded(_equal),
    "starts_with_fold": _folded(_starts),
    "contains_fold": _folded(_contains),
}
