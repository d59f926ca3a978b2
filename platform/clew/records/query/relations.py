"""Ways from one record to others: references, links, lines, and all of them backwards.

A link is only followed when the caller may see the field that makes it, on the side that holds it; the record at the
other end must be readable by itself. Both hold at every edge (threat 18).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from clew.metadata.blueprint import Field, FieldKind
from clew.records.query.json_text import Sql
from clew.records.query.scope import NotVisible, Scope

TO_ONE = frozenset({FieldKind.REF, FieldKind.ANY})


def single(scope: Scope, relation: str) -> bool:
    """True when the relation leads to at most one record."""
    known = scope.entity.fields.get(relation)
    if known is not None:
        return known.kind in TO_ONE
    inverse = scope.entity.inverses.get(relation)
    return inverse is not None and inverse.single


def relate(scope: Scope, relation: str, entity: str | None = None) -> tuple[Scope, list[Sql]]:
    """The scope at the other end and everything that must hold there: the link, visibility of the link, row rules.

    `entity` picks the branch of an `any` field.
    """
    if not scope.sees(relation):
        raise NotVisible(name=relation, what=scope.entity.name)
    known = scope.entity.fields.get(relation)
    if known is not None:
        target = scope.open(entity or known.target)
        links = _forward(scope, target, known)
        mask = scope.mask(relation)
    else:
        inverse = scope.entity.inverses.get(relation)
        if inverse is None:
            raise NotVisible(name=relation, what=scope.entity.name)
        target = scope.open(inverse.source)
        links = _backward(scope, target, target.field(inverse.field))
        mask = scope.mask(relation)
        there = target.mask(inverse.field)
        links += [] if there is None else [there]
    return target, [*links, *([] if mask is None else [mask]), *target.conditions()]


def _forward(scope: Scope, target: Scope, known: Field) -> list[Sql]:
    here, there = scope.rows.c, target.rows.c
    if known.kind is FieldKind.REF:
        return [there.id == here[known.name]]
    if known.kind is FieldKind.ANY:
        return [here[known.name + "_entity"] == target.entity.name, there.id == here[known.name + "_id"]]
    if known.kind is FieldKind.LINES:
        owner = target.mask("owner")
        return [there.owner == here.id, *([] if owner is None else [owner])]
    if known.kind is FieldKind.MANY:
        return [there.id.in_(_linked(scope, scope.entity.name, known.name, "owner", here.id, "target"))]
    raise NotVisible(name=known.name, what=scope.entity.name)


def _backward(scope: Scope, target: Scope, known: Field) -> list[Sql]:
    here, there = scope.rows.c, target.rows.c
    if known.kind is FieldKind.REF:
        return [there[known.name] == here.id]
    if known.kind is FieldKind.ANY:
        return [there[known.name + "_entity"] == scope.entity.name, there[known.name + "_id"] == here.id]
    return [there.id.in_(_linked(scope, target.entity.name, known.name, "target", here.id, "owner"))]


def _linked(scope: Scope, entity: str, field: str, end: str, of: Any, other: str) -> Any:
    """Ids at one end of the links of a `many` field whose other end is `of`, at the scope's moment."""
    tables = scope.build.tables
    table = tables.link(entity, field) if scope.as_of is None else tables.link_history(entity, field)
    link = scope.build.alias(table)
    return (
        sa.select(link.c[other])
        .select_from(link)
        .where(link.c[end] == of, *scope.interval(link))
        .correlate_except(link)
    )
