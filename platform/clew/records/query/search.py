"""Full-text search over grams: only fields the caller may see take part, row by row."""

from __future__ import annotations

import sqlalchemy as sa

from clew.records.query.json_text import Sql
from clew.records.query.plan import Search
from clew.records.query.scope import FALSE, Scope, select_from
from clew.records.query.values import bound, listed
from clew.storage.dialects import AnyOf
from clew.storage.types import Integer, Text


def matches(scope: Scope, search: Search) -> Sql:
    """The record holds all grams of one alternative in one field shown to the caller.

    Grams are kept for the present only; a search `asOf` finds records by what they say today, and therefore only those
    that the caller may see today.
    """
    if scope.as_of is not None:
        today = Scope.over(scope.build, scope.entity.name)
        found_today = [*today.conditions(), matches(today, search)]
        shown: Sql = scope.rows.c.id.in_(select_from(today, [today.rows.c.id], found_today))
        return shown
    open_fields: list[str] = []
    found: list[Sql] = []
    for field in scope.entity.searchable:
        if not scope.sees(field.name):
            continue
        mask = scope.mask(field.name)
        if mask is None:
            open_fields.append(field.name)
        else:
            found += [sa.and_(mask, each) for each in _in_fields(scope, search, [field.name])]
    if open_fields:
        found += _in_fields(scope, search, open_fields)
    return sa.or_(FALSE, *found)


def _in_fields(scope: Scope, search: Search, fields: list[str]) -> list[Sql]:
    found: list[Sql] = []
    tables = scope.build.tables
    for grams, size in search.alternatives:
        table = scope.build.alias(tables.grams(scope.entity.name))
        names: list[Sql] = [sa.literal_column(f"'{tables.gram_field(scope.entity.name, name)}'") for name in fields]
        hits = (
            sa.select(table.c.id)
            .select_from(table)
            .where(AnyOf(table.c.gram, listed(grams, Text())), sa.or_(*(table.c.field == name for name in names)))
            .group_by(table.c.id, table.c.field)
            .having(sa.func.count() == bound(size, Integer()))
            .correlate_except(table)
        )
        found.append(scope.rows.c.id.in_(hits))
    return found
