"""Ordering, keyset pagination and cursors.

A page is found by comparing the ordered values of rows with those in the cursor, so it stays right while rows are
added and removed. Missing values sort as the largest (PostgreSQL's own order), on both engines. The id is always the
last term, which makes the order total.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.records.query.json_text import Sql, joined, or_null, piece, render
from clew.records.query.plan import Bound, Order
from clew.records.query.predicates import inner_text
from clew.records.query.relations import relate, single
from clew.records.query.scope import NotVisible, Scope, select_from
from clew.records.query.values import bound, type_of
from clew.storage.dialects import JsonString
from clew.storage.types import Text


@dataclass(frozen=True, slots=True)
class Term:
    """One ordering term compiled: its value on the row, how it is compared and how it is written into a cursor."""

    value: Sql
    type: TypeEngine[object]
    field: Field
    text: bool
    nullable: bool
    descending: bool

    def ordered(self, *, reverse: bool = False) -> Sql:
        descending = self.descending != reverse
        term = self.value.desc() if descending else self.value.asc()
        if not self.nullable:
            return term
        return term.nulls_first() if descending else term.nulls_last()


def terms(scope: Scope, order: tuple[Order, ...]) -> list[Term]:
    """The terms asked for and the id."""
    found = [_term(scope, each) for each in order]
    own = scope.entity.fields["id"]
    down = found[-1].descending if found else False
    found.append(Term(scope.rows.c.id, type_of(own), own, False, False, down))
    return found


def order_field(entity: Entity, name: str) -> bool:
    """Whether a field can be ordered by."""
    known = entity.fields.get(name)
    return known is not None and known.kind not in _UNORDERED


_UNORDERED = frozenset(
    {FieldKind.JSON, FieldKind.FILES, FieldKind.CHOICES, FieldKind.MANY, FieldKind.LINES, FieldKind.REF, FieldKind.ANY}
)


def _term(scope: Scope, order: Order) -> Term:
    holder, links = scope, []
    for step in order.path[:-1]:
        if not single(holder, step):
            raise NotVisible(name=step, what=holder.entity.name)
        holder, conditions = relate(holder, step)
        links.append((holder, conditions))
    name = order.path[-1]
    known = holder.field(name)
    if not order_field(holder.entity, name):
        raise NotVisible(name=name, what=holder.entity.name)
    pinyin = known.sort == "pinyin" and not order.part
    if known.kind is FieldKind.TRANSLATED:
        text = inner_text(holder.raw(name), order.part or "en", scope.build.dialect)
        value = holder.masked(name, text)
    else:
        value = holder.column(name, "sort" if pinyin else order.part)
    for target, conditions in reversed(links):
        value = select_from(target, [value], conditions).scalar_subquery()
    nullable = bool(links) or not _never_null(holder, known)
    textual = pinyin or known.kind is FieldKind.TRANSLATED or order.part == "currency"
    type_ = Text() if textual else type_of(known)
    return Term(value, type_, known, textual, nullable, order.descending)


def _never_null(scope: Scope, known: Field) -> bool:
    return known.name in ("id", "row_version", "created_at") and scope.mask(known.name) is None


def beyond(order: list[Term], cursor: Bound, *, before: bool = False) -> Sql:
    """Rows strictly after the cursor in the given order (or strictly before it). Never NULL."""
    values = [bound(value, term.type) for value, term in zip(cursor.values, order, strict=True)]
    ups = [term.descending == before for term in order]
    if not any(term.nullable for term in order) and len(set(ups)) == 1:
        left, right = sa.tuple_(*(term.value for term in order)), sa.tuple_(*values)
        return left > right if ups[0] else left < right
    found: list[Sql] = []
    equal: list[Sql] = []
    for term, value, missing, up in zip(order, values, cursor.nulls, ups, strict=True):
        step = _farther(term, value, missing, up)
        if step is not None:
            found.append(sa.and_(*equal, step))
        equal.append(term.value.is_(None) if missing else term.value == value)
    return sa.func.coalesce(sa.or_(sa.false(), *found), sa.false(), type_=sa.Boolean())


def _farther(term: Term, value: Sql, missing: bool, up: bool) -> Sql | None:
    """`term` sorts after `value`, with a missing value as the largest; None when nothing can."""
    if missing:
        return None if up else term.value.is_not(None)
    step: Sql = term.value > value if up else term.value < value
    return sa.or_(step, term.value.is_(None)) if up and term.nullable else step


def cursor_text(order: list[Term], digest: str, scope: Scope) -> Sql:
    """The row's cursor: hexadecimal of `["<digest>",value…,"<id>"]`. It says nothing that its caller cannot read."""
    parts: list[Sql] = [piece(f'["{digest}"')]
    for term in order:
        parts.append(piece(","))
        shown = render_term(term, scope)
        parts.append(or_null(shown) if term.nullable else shown)
    parts.append(piece("]"))
    return hexadecimal(joined(parts), scope)


def render_term(term: Term, scope: Scope) -> Sql:
    if term.text:
        return JsonString(term.value)
    return render(term.value, term.field, scope.build.dialect)


def hexadecimal(text: Sql, scope: Scope) -> Sql:
    if scope.build.dialect == "postgresql":
        data = sa.func.convert_to(text, piece("UTF8"))
        return sa.func.encode(data, piece("hex"), type_=sa.Text())
    return sa.func.lower(sa.func.hex(text), type_=sa.Text())
