"""A plan, a Blueprint, a Decision and a dialect become one SQL statement that answers with JSON text."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from clew.access.decision import Decision
from clew.identity import sessions
from clew.metadata.blueprint import Blueprint
from clew.records.query.items import record_json
from clew.records.query.json_text import Sql, constant, json_object, or_null
from clew.records.query.listing import Source, connection_json
from clew.records.query.plan import ListRoot, NodeRoot, Plan, RecordRoot, Root, Value
from clew.records.query.predicates import inner_text
from clew.records.query.scope import Build, Scope, select_from
from clew.records.query.values import bound, type_of
from clew.storage.dialects import compile_statement
from clew.storage.engine import Compiled, DialectName
from clew.storage.tables import Tables
from clew.storage.types import Id, Instant, Integer, Text

SESSION = "session.id"
"""Bind names of the session check: digest of the token, the epoch the caller's facts were read at, and the moment."""
EPOCH = "session.epoch"
NOW = "now"
_ARGUMENTS = 50


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled plan. Its one row is (JSON text,) or, with the session check, (JSON text, whether it still holds)."""

    compiled: Compiled
    checks_session: bool

    @property
    def sql(self) -> str:
        return self.compiled.sql


def compile_plan(
    plan: Plan, blueprint: Blueprint, tables: Tables, decision: Decision, dialect: DialectName, *, session: bool = False
) -> Statement:
    """One statement for everything the plan reads. Raises NotVisible for a name the caller may not see."""
    build = Build(blueprint, tables, decision, dialect)
    columns: list[Sql] = [json_object([(root.key, root_json(build, root)) for root in plan.roots]).label("json")]
    if session:
        columns.append(_session_holds().label("session"))
    return Statement(compile_statement(sa.select(*columns), dialect), session)


def root_json(build: Build, root: Root) -> str | Sql:
    """One root as JSON text."""
    if isinstance(root, RecordRoot):
        return _record(build, root)
    if isinstance(root, ListRoot):
        scope = _anchor(build, root.listing.entity, root.as_of)
        return connection_json(Source(scope, None, root.listing))
    if isinstance(root, NodeRoot):
        found = [_by_id(build, branch.entity, root, branch.items) for branch in root.branches]
        return or_null(_first(found)) if found else "null"
    return constant(root.text)


def _first(found: list[Sql]) -> Sql:
    """The first that is there; nested, because SQLite takes at most 100 arguments and a project may have more kinds."""
    while len(found) > 1:
        found = [_either(found[at : at + _ARGUMENTS]) for at in range(0, len(found), _ARGUMENTS)]
    return found[0]


def _either(some: list[Sql]) -> Sql:
    return sa.func.coalesce(*some, type_=sa.Text()) if len(some) > 1 else some[0]


def _anchor(build: Build, entity: str, as_of: Value | None) -> Scope:
    return Scope.over(build, entity, _moment(as_of))


def _moment(as_of: Value | None) -> Sql | None:
    return None if as_of is None else bound(as_of, Instant())


def _record(build: Build, root: RecordRoot) -> Sql:
    scope = _anchor(build, root.entity, root.as_of)
    conditions = scope.conditions()
    for name, value in root.by:
        known = scope.field(name)
        mask = scope.mask(name)
        conditions += [] if mask is None else [mask]
        column = scope.raw(name)
        if known.kind == "translated":
            column = inner_text(column, "en", build.dialect)
        conditions.append(column == bound(value, type_of(known)))
    statement = select_from(scope, [record_json(scope, root.items)], conditions)
    return or_null(statement.limit(sa.literal_column("1")).scalar_subquery())


def _by_id(build: Build, entity: str, root: NodeRoot, items: tuple[object, ...]) -> Sql:
    scope = _anchor(build, entity, root.as_of)
    conditions = [*scope.conditions(), scope.rows.c.id == bound(root.id, Id())]
    found: Sql = select_from(scope, [record_json(scope, items)], conditions).scalar_subquery()  # type: ignore[arg-type]
    return found


def _session_holds() -> Sql:
    """The caller's session is still the one the facts were read from."""
    return sessions.holds(
        sa.bindparam(SESSION, type_=Text()), sa.bindparam(EPOCH, type_=Integer()), sa.bindparam(NOW, type_=Instant())
    )
