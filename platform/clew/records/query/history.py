"""Versions and audit leaves of a record, for callers who may read its trail.

Whether the trail is there is asked of the record as it stands. Which versions are there is asked of each version by
itself: today's policy over the values it had. A version that is hidden is not listed at all, neither who made it nor
when, and no leaf that tells of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from clew.kernel.scalars import FAR_FUTURE
from clew.records.query.items import aggregated, record_json
from clew.records.query.json_text import (
    Sql,
    any_name,
    as_text,
    constant,
    instant,
    joined,
    json_object,
    or_null,
    piece,
    quoted,
)
from clew.records.query.plan import Trail, VersionItem, Versions
from clew.records.query.scope import NotVisible, Scope
from clew.records.query.values import size_of
from clew.storage import system
from clew.storage.called import Called, Names, during, words
from clew.storage.dialects import JsonString
from clew.storage.types import Instant, Text

_HEADER = frozenset({"action", "reason", "channel", "release"})


def versions_json(scope: Scope, item: Versions) -> Sql:
    """The versions, newest first. Each shows the record and all it refers to as they were when it began."""
    granted = _may_audit(scope)
    build = scope.build
    rows = build.alias(build.tables.history(scope.entity.name))
    version = _version(scope, rows)
    members = [(each.key, _version_member(version, rows, each)) for each in item.items]
    begun = [] if scope.as_of is None else [rows.c.tx_from <= scope.as_of]
    page = (
        sa.select(json_object(members).label("j"))
        .select_from(rows)
        .where(rows.c.id == scope.rows.c.id, *begun, *granted, *version.conditions())
        .order_by(rows.c.tx_from.desc())
        .limit(size_of(item.size))
        .correlate_except(rows)
        .subquery(f"t{next(build.numbers)}")
    )
    return _listed(page, scope)


def _version(scope: Scope, rows: Any) -> Scope:
    """One version, chosen by `rows`, with all it refers to as it was when the version began."""
    return replace(scope, rows=rows, as_of=rows.c.tx_from, version=True)


def version_seen(scope: Scope, leaf: Any) -> list[Sql]:
    """That the caller sees the version a leaf made; of an event that made none, the version that stood then."""
    rows = scope.build.alias(scope.build.tables.history(scope.entity.name))
    seen = _version(scope, rows).conditions()
    if not seen:
        return []
    then = sa.and_(leaf.c.row_version == 0, rows.c.tx_from <= leaf.c.at, leaf.c.at < rows.c.tx_to)
    about: Any = sa.select(sa.literal_column("1")).select_from(rows)
    about = about.where(rows.c.id == leaf.c.record_id, sa.or_(rows.c.row_version == leaf.c.row_version, then), *seen)
    return [sa.exists(about.correlate_except(rows))]


def _version_member(scope: Scope, rows: Any, item: VersionItem) -> str | Sql:
    dialect = scope.build.dialect
    if item.what == "text":
        return constant(item.text)
    if item.what == "record":
        return record_json(scope, item.items)
    if item.what == "tx_from":
        return quoted(instant(rows.c.tx_from, dialect))
    if item.what == "tx_to":
        ended = rows.c.tx_to < sa.bindparam(None, FAR_FUTURE, type_=Instant(), unique=True)
        return or_null(sa.case((ended, quoted(instant(rows.c.tx_to, dialect)))))
    if item.what == "row_version":
        return as_text(rows.c.row_version)
    if item.what == "by":
        return or_null(quoted(as_text(rows.c.updated_by)))
    leaf = scope.build.alias(system.leaf)
    found = (
        sa.select(_leaf_text(scope, leaf, item.what))
        .select_from(leaf)
        .where(
            leaf.c.record_id == rows.c.id,
            leaf.c.row_version == rows.c.row_version,
            any_name(leaf.c.entity, entity_words(scope)),
        )
        .limit(sa.literal_column("1"))
        .correlate_except(leaf)
    )
    return or_null(found.scalar_subquery())


def trail_json(scope: Scope, item: Trail) -> Sql:
    """The audit leaves, newest first; each names the changed fields the caller may see, with old and new value."""
    granted = _may_audit(scope)
    leaf = scope.build.alias(system.leaf)
    members = [(each.key, _leaf_member(scope, leaf, each)) for each in item.items]
    known = [] if scope.as_of is None else [leaf.c.at <= scope.as_of]
    page = (
        sa.select(json_object(members).label("j"))
        .select_from(leaf)
        .where(leaf.c.record_id == scope.rows.c.id, any_name(leaf.c.entity, entity_words(scope)), *known, *granted)
        .where(*version_seen(scope, leaf))
        .order_by(leaf.c.at.desc(), leaf.c.row_version.desc(), leaf.c.leaf_id.desc())
        .limit(size_of(item.size))
        .correlate_except(leaf)
        .subquery(f"t{next(scope.build.numbers)}")
    )
    return _listed(page, scope)


def _leaf_member(scope: Scope, leaf: Any, item: VersionItem) -> str | Sql:
    if item.what == "text":
        return constant(item.text)
    if item.what == "at":
        return quoted(instant(leaf.c.at, scope.build.dialect))
    if item.what == "row_version":
        return as_text(leaf.c.row_version)
    if item.what == "id":
        return quoted(as_text(leaf.c.leaf_id))
    if item.what == "digest":
        return quoted(leaf.c.digest)
    if item.what == "by":
        return or_null(quoted(as_text(leaf.c.actor)))
    if item.what == "changes":
        return changes_json(scope, leaf, item)
    return or_null(_leaf_text(scope, leaf, item.what))


def _leaf_text(scope: Scope, leaf: Any, what: str) -> Sql:
    """A text of the leaf's header as JSON; missing ones are NULL or the word null."""
    if what not in _HEADER:
        raise NotVisible(name=what, what=scope.entity.name)
    if what == "action":
        return quoted(leaf.c.action)
    if scope.build.dialect == "postgresql":
        header = sa.cast(leaf.c.header, sa.dialects.postgresql.JSONB())
        text = sa.func.jsonb_extract_path_text(header, sa.literal_column(f"'{what}'"), type_=Text())
        return JsonString(text)
    return JsonString(sa.func.json_extract(leaf.c.header, sa.literal_column(f"'$.{what}'")))


def changes_json(scope: Scope, leaf: Any, item: VersionItem) -> Sql:
    """Changed fields of one leaf: each value only if the caller may see it on the version that held it."""
    dialect = scope.build.dialect
    name = f"t{next(scope.build.numbers)}"
    if dialect == "postgresql":
        entries = sa.cast(leaf.c.fields, sa.dialects.postgresql.JSONB())
        each = sa.func.jsonb_each(entries).table_valued("key", "value", joins_implicitly=True).alias(name)

        def read(member: str) -> Sql:
            return as_text(sa.func.jsonb_extract_path(each.c.value, sa.literal_column(f"'{member}'")))
    else:
        each = sa.func.json_each(leaf.c.fields).table_valued("key", "value", joins_implicitly=True).alias(name)

        def read(member: str) -> Sql:
            return each.c.value.op("->")(sa.literal_column(f"'$.{member}'"))

    shown = {"o": _shown_field(scope, leaf, each.c.key, -1), "n": _shown_field(scope, leaf, each.c.key, 0)}
    values: dict[str, Sql] = {"field": JsonString(_todays_name(scope, leaf, each.c.key))}
    for member, name_ in (("o", "old"), ("n", "new")):
        values[name_] = sa.case((shown[member], read(member)))
    members: list[tuple[str, str | Sql]] = [
        (one.key, constant(one.text) if one.what == "text" else or_null(values[one.what])) for one in item.members
    ]
    rows = (
        sa.select(json_object(members).label("j"))
        .select_from(each)
        .where(sa.or_(*shown.values()))
        .order_by(each.c.key)
        .limit(sa.literal_column("1000"))
        .correlate_except(each)
        .subquery(f"t{next(scope.build.numbers)}")
    )
    return _listed(rows, scope)


def _shown_field(scope: Scope, leaf: Any, key: Sql, step: int) -> Sql:
    """Whether the caller sees a field on the version this leaf made (step 0) or ended (-1).

    A value that was hidden while it was there stays hidden, whatever the record shows today.
    """
    names = [name for name in scope.entity.fields if scope.sees(name)]
    rows = scope.build.alias(scope.build.tables.history(scope.entity.name))
    version = _version(scope, rows)
    seen = version.conditions()
    masks = {name: version.mask(name) for name in names}
    if not seen and all(mask is None for mask in masks.values()):
        return _one_of_these(scope, leaf, key, names)
    shown = [_one_of_these(scope, leaf, key, [name for name in names if masks[name] is None])]
    shown += [
        sa.and_(_one_of_these(scope, leaf, key, [name]), mask) for name, mask in masks.items() if mask is not None
    ]
    held: Any = (
        sa.select(sa.literal_column("1"))
        .select_from(rows)
        .where(rows.c.id == leaf.c.record_id, rows.c.row_version == leaf.c.row_version + step)
        .where(*seen, sa.or_(sa.false(), *shown))
        .correlate_except(rows)
    )
    return sa.exists(held)


def called_so(column: Sql, at: Sql, names: Iterable[Called]) -> Sql:
    """Whether a text is one of these names and was written while it was one."""
    together: dict[tuple[int, int | None], list[Called]] = {}
    for each in names:
        together.setdefault((each.after, each.until), []).append(each)
    found = [
        sa.and_(any_name(column, words(same)), *during(at, same[0]))
        if same[0] != Called(same[0].name)
        else any_name(column, words(same))
        for same in together.values()
    ]
    return sa.or_(*found) if found else sa.false()


def entity_words(scope: Scope) -> tuple[str, ...]:
    """What the trail calls records of the scope's entity. Ids are never given twice, so of a record each is its own."""
    names = scope.build.tables.catalog.entities[scope.entity.name]
    return words(names.entity_called(scope.entity, scope.build.blueprint.entities))


def _names_of(scope: Scope, name: str) -> Names:
    """What a field was called when."""
    entity = scope.entity
    return scope.build.tables.catalog.entities[entity.name].field_called(entity.fields[name], entity.fields)


def _todays_name(scope: Scope, leaf: Any, key: Sql) -> Sql:
    """What a field of a leaf is called today."""
    before = [(was, name) for name in scope.entity.fields for was in _names_of(scope, name) if was.name != name]
    word = sa.type_coerce(key, Text())
    if not before:
        return word
    cases: list[Any] = [(called_so(key, leaf.c.at, [was]), sa.literal_column(f"'{name}'")) for was, name in before]
    return sa.type_coerce(sa.case(*cases, else_=word), Text())


def _one_of_these(scope: Scope, leaf: Any, key: Sql, names: Iterable[str]) -> Sql:
    return called_so(key, leaf.c.at, [known for name in names for known in _names_of(scope, name)])


def _listed(page: Any, scope: Scope) -> Sql:
    """The texts in column `j` as a JSON list."""
    texts = sa.func.coalesce(aggregated(page.c.j, scope.build.dialect), piece(""), type_=sa.Text())
    text = joined([piece("["), texts, piece("]")])
    found: Sql = sa.select(text).select_from(page).correlate_except(page).scalar_subquery()
    return found


def _may_audit(scope: Scope) -> list[Sql]:
    """The conditions of the audit grant on this record; without any grant the trail does not exist."""
    grant = scope.access.audit
    if not grant.allowed:
        raise NotVisible(name="history", what=scope.entity.name)
    return scope.granted(grant)
