"""Which open tasks may ask other people, now that records say something else of them or of whom to ask; and which steps
that have found nobody may find somebody.

Found by the records that lead there, with as many questions as there are steps that ask by records, however many tasks
are open. More may be found than change: each instance looks for itself when its tasks are offered anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.ids import id_of
from clew.metadata.blueprint import FieldKind
from clew.metadata.processes import Who, Workflow
from clew.process import store
from clew.process.errors import DefinitionGone
from clew.process.store import one_of
from clew.records.unit import Unit
from clew.storage import identity_tables, process_tables

if TYPE_CHECKING:
    from clew.process.engine import Processes

_account, _assignment = identity_tables.account, identity_tables.assignment
_p, _t, _c, _u = (
    process_tables.process,
    process_tables.task,
    process_tables.task_candidate,
    process_tables.process_unasked,
)

Among = Callable[[Any], sa.ColumnElement[bool]]
"""Whether a column has one of some ids."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A step of some definition that asks by what records say."""

    workflow: str
    path: str
    entity: str
    who: Who


async def definitions_in_use(engine: Processes, unit: Unit) -> list[Workflow]:
    """Those of the release, and those that instances still go on by."""
    found = {each.digest: each for each in engine.blueprint.workflows.values()}
    for digest, _ in await store.definitions_in_use(unit.connection):
        with suppress(DefinitionGone):  # then none of its tasks can be done either
            found[digest] = await engine.definitions.of(unit.connection, digest)
    return list(found.values())


def asking(workflows: Iterable[Workflow]) -> Iterator[Asking]:
    """The steps that ask by what records say."""
    for workflow in workflows:
        for flow, step in workflow.walk():
            if step.who is not None and step.who.by_records:
                yield Asking(workflow.name, step.path, flow.entity, step.who)


@dataclass(frozen=True, slots=True)
class Affected:
    """Finds instances, in one unit."""

    unit: Unit
    steps: Sequence[Asking]

    async def everything(self) -> set[UUID]:
        """Every instance that asks by records."""
        return await self._processes(each for step in self.steps for each in _standing(step))

    async def by_fields(self, entity: str, record: UUID, fields: Collection[str]) -> set[UUID]:
        """Those whose expressions, or ways to a manager, read one of these fields of a record."""
        among: Among = partial(_one_of, (record,))
        managed = [
            self._leading(start, way[:at], among)
            for start, way in self._manager_ways()
            for at in self._read_at(start, way, entity, fields)
        ]
        found = []
        for step in self.steps:
            for path in step.who.reads:
                for at in self._read_at(step.entity, path, entity, fields):
                    found += _standing(step, self._leading(step.entity, path[:at], among))
            found += self._managing(step, managed)
        return await self._processes(found)

    async def by_training(self, person: UUID, course: UUID) -> set[UUID]:
        """Those that ask, or could ask, this person for this course."""
        account = await self._account_of(person)
        if account is None:
            return set()
        found, held = [], await self._roles(account)
        for step in self.steps:
            if step.who.qualified_for is None:
                continue
            offered = sa.exists().where(_c.c.task == _t.c.id, _c.c.person == account)
            for path in step.who.qualified_for.reads:
                courses = self._leading(step.entity, path, partial(_one_of, (course,)))
                for table, query in ((_t, _tasks(step, courses)), (_u, _unasked(step, courses))):
                    could: list[sa.ColumnElement[bool]] = [sa.true() if step.who.named else sa.false()]
                    could += [_at(sites, table) for role, sites in held if role in step.who.roles]
                    could += [_t.c.assignee == account, offered] if table is _t else []
                    found.append(query.where(sa.or_(*could)))
        return await self._processes(found)

    async def by_positions(self, codes: Collection[str]) -> set[UUID]:
        """Those that ask whoever is in one of these positions."""
        asking_them = [step for step in self.steps if {*codes} & {*step.who.positions}]
        return await self._processes(each for step in asking_them for each in _standing(step))

    async def of_person(self, account: UUID) -> set[UUID]:
        """Those that the records would have ask this person now, but for roles."""
        employee = await self.unit.connection.fetch_value(
            sa.select(_account.c.employee).where(_account.c.id == account)
        )
        mine: Among = partial(_one_of, (account,) if employee is None else (account, employee))
        managed = [self._leading(start, way, mine) for start, way in self._manager_ways()]
        held, found = await self._positions(employee), list[sa.Select[Any]]()
        for step in self.steps:
            paths = step.who.person.reads if step.who.person is not None else ()
            for path in paths:
                found += _standing(step, self._leading(step.entity, path, mine))
            found += self._managing(step, managed)
            found += _standing(step) if held & {*step.who.positions} else []
        return await self._processes(found)

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _processes(self, queries: Iterable[sa.Select[Any]]) -> set[UUID]:
        return {row[0] for query in queries for row in await self.unit.connection.fetch(query)}

    def _manager_ways(self) -> list[tuple[str, tuple[str, ...]]]:
        declared = self.unit.engine.blueprint.project.identity
        people = declared.people if declared is not None else None
        return [(people.entity, tuple(way.split("."))) for way in people.manager] if people is not None else []

    def _managing(self, step: Asking, managed: Iterable[Among | None]) -> list[sa.Select[Any]]:
        """Where a step stands that asks for the manager of one of these people."""
        paths = step.who.manager_of.reads if step.who.manager_of is not None else ()
        return [
            query
            for path in paths
            for each in managed
            for query in _standing(step, None if each is None else self._leading(step.entity, path, each))
        ]

    def _stations(self, start: str, way: Sequence[str]) -> list[tuple[str, str]]:
        """Entity and field of each step of a way, as far as plain references lead."""
        found, entities = list[tuple[str, str]](), self.unit.engine.blueprint.entities
        for name in way:
            if name not in self.unit.engine.tables.current(start).c:
                break
            found.append((start, name))
            field = entities[start].fields.get(name)
            if field is None or field.kind is not FieldKind.REF:
                break
            start = field.target
        return found

    def _read_at(self, start: str, way: Sequence[str], entity: str, fields: Collection[str]) -> list[int]:
        """Where a way reads one of these fields of an entity."""
        return [at for at, (of, name) in enumerate(self._stations(start, way)) if of == entity and name in fields]

    def _leading(self, start: str, way: Sequence[str], among: Among) -> Among | None:
        """The records of an entity whose way leads to one of these; None, for all, where no plain references lead."""
        stations = self._stations(start, way)
        if len(stations) < len(way):
            return None
        for entity, name in reversed(stations):
            table = self.unit.engine.tables.current(entity).alias()
            among = partial(_within, sa.select(table.c.id).where(among(table.c[name])))
        return among

    async def _account_of(self, employee: UUID) -> UUID | None:
        query = sa.select(_account.c.id).where(_account.c.employee == employee)
        found: UUID | None = await self.unit.connection.fetch_value(query)
        return found

    async def _roles(self, account: UUID) -> list[tuple[str, Sequence[str] | None]]:
        """The roles somebody holds now, each with its sites."""
        query = sa.select(_assignment.c.role, _assignment.c.sites).where(
            _assignment.c.account == account,
            _assignment.c.state == "active",
            _assignment.c.valid_from <= self.unit.at,
            sa.or_(_assignment.c.valid_to.is_(None), _assignment.c.valid_to > self.unit.at),
        )
        return [(role, sites) for role, sites in await self.unit.connection.fetch(query)]

    async def _positions(self, employee: UUID | None) -> set[str]:
        """The positions in which the records name somebody, whenever."""
        declared = self.unit.engine.blueprint.project.identity
        positions = declared.positions if declared is not None else None
        if positions is None or employee is None:
            return set()
        lines, owners = (self.unit.engine.tables.current(each) for each in (positions.lines, positions.entity))
        query = sa.select(owners.c[positions.code]).select_from(lines.join(owners, lines.c.owner == owners.c.id))
        return {row[0] for row in await self.unit.connection.fetch(query.where(lines.c[positions.person] == employee))}


def _standing(step: Asking, records: Among | None = None) -> list[sa.Select[Any]]:
    """The live instances that stand at a step: that ask somebody, or have found nobody to ask."""
    return [_tasks(step, records), _unasked(step, records)]


def _unasked(step: Asking, records: Among | None = None) -> sa.Select[Any]:
    """The live instances at a step for which nobody was found to ask, of these records or of all."""
    query = sa.select(_u.c.process).where(_u.c.workflow == step.workflow, _u.c.step == step.path)
    return query if records is None else query.where(records(_u.c.record_id))


def _tasks(step: Asking, records: Among | None = None) -> sa.Select[Any]:
    """The live instances with open tasks of a step, of these records or of all."""
    query = sa.select(_t.c.process).distinct().join(_p, _p.c.id == _t.c.process)
    query = query.where(
        _p.c.status.in_(store.LIVE), _p.c.workflow == step.workflow, _t.c.status.in_(store.OPEN), _t.c.step == step.path
    )
    return query if records is None else query.where(records(_t.c.record_id))


def _one_of(ids: Sequence[UUID], column: Any) -> sa.ColumnElement[bool]:
    return one_of(column, ids)


def _within(found: sa.Select[Any], column: Any) -> sa.ColumnElement[bool]:
    within: sa.ColumnElement[bool] = column.in_(found)
    return within


def _at(sites: Sequence[str] | None, table: sa.Table) -> sa.ColumnElement[bool]:
    """Whether a role held at these sites counts for a task, or for a step that found nobody."""
    if sites is None:
        return sa.true()
    return sa.or_(table.c.site.is_(None), one_of(table.c.site, [id_of(each) for each in sites]))
