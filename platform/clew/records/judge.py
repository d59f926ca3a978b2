"""Decides conditions and computes values over one record: in memory when it reads only its own row, else in SQL.

SQL sees the record as the transaction has written it; both answer the same (a property test of `expressions` holds
them together). Where only memory can decide (codes of the trade, patterns) but other records are read
too, the database says its part first. What cannot be decided counts as not allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import Grant
from clew.expressions.functions import SQL
from clew.expressions.interpret import evaluate, holds
from clew.expressions.parting import Parted, parted
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Checked
from clew.kernel.context import Person
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.values import AnyRef, Money
from clew.storage.engine import Connection
from clew.storage.expressions import NotInSql, Rows, condition_sql, value_sql

if TYPE_CHECKING:
    from clew.records.engine import Engine

Facts = Mapping[str, Any]
_SCOPED = ("sites", "families")
_holds = partial(holds, on_error=False)


class Judge:
    """Judges for one person at one moment, on one connection."""

    def __init__(
        self,
        engine: Engine,
        connection: Connection,
        person: Person,
        now: datetime,
        today: date,
        held: Callable[[str, UUID], Facts | None] = lambda entity, record: None,
    ) -> None:
        """`held` tells what a row holds that nobody else can change until the transaction ends."""
        self._held = held
        self._engine, self._connection, self._person, self._now, self._today = engine, connection, person, now, today
        self.person_args: Mapping[str, Any] = {
            "user.id": person.id,
            "user.login": person.login,
            "user.name": person.name,
            "user.roles": list(person.roles),
            "user.sites": list(person.sites),
            "user.site": person.site,
            "user.department": person.department,
            "user.employee": person.employee,
            "user.families": list(person.families),
            **{f"user.{fact}@{role}": list(person.fact(f"{fact}@{role}")) for role in person.roles for fact in _SCOPED},
            "user.party": person.party,
            "now": now,
            "today": today,
        }

    async def granted(self, grant: Grant, entity: Entity, record: Facts) -> bool:
        """Whether a conditional grant holds on a stored record."""
        if grant.always:
            return True
        if not grant.allowed:
            return False
        answers = await self.conditions(grant.conditions, entity, record)
        return any(answers)

    async def holds(self, condition: Checked, entity: Entity, record: Facts, old: Facts | None = None) -> bool:
        return (await self.conditions((condition,), entity, record, old))[0]

    async def conditions(
        self, conditions: Sequence[Checked], entity: Entity, record: Facts, old: Facts | None = None
    ) -> list[bool]:
        """Each condition's truth. Those that need other rows are asked in one statement; the record must be stored."""
        answers = [self.decide(each, entity, record, old) for each in conditions]
        mixed = [at for at, each in enumerate(conditions) if answers[at] is None and SQL not in each.runs_in]
        if mixed:
            try:
                said = await self._others([conditions[at] for at in mixed], entity, record, old)
            except Undecidable:  # the record is not stored
                return [bool(answer) for answer in answers]
            for at, each in zip(mixed, said, strict=True):
                answers[at] = self.holds_with(conditions[at], entity, record, old, each)
        asked = [each for each, answer in zip(conditions, answers, strict=True) if answer is None]
        if asked:
            found = iter(await self._ask(asked, entity, record, old))
            return [next(found) if answer is None else answer for answer in answers]
        return [bool(answer) for answer in answers]

    def decide(self, condition: Checked, entity: Entity, record: Facts, old: Facts | None = None) -> bool | None:
        """The truth of a condition over its own row and rows of the unit that it refers to; None if it needs more."""
        if in_memory(condition, entity):
            return self._run(_holds, condition, record, old) is True
        whole = self._with_held(condition, entity, record) if old is None else None
        return None if whole is None else self._run(_holds, condition, whole, None) is True

    def _with_held(self, expression: Checked, entity: Entity, record: Facts) -> Facts | None:
        """The record with the records that the expression follows its references to, where the unit holds them all."""
        ways = _references(expression, self._engine.blueprint.entities, entity)
        if ways is None:
            return None
        whole = dict(record)
        for name in ways:
            field, at = entity.fields[name], record.get(name)
            if at is None:
                continue
            row = self._held(field.target, at)
            if row is None:
                return None
            whole[name] = facts(row)
        return whole

    async def value(self, expression: Checked, entity: Entity, record: Facts, old: Facts | None = None) -> Any:
        """An expression's value; raises Undecidable. One that reads other rows needs the record stored."""
        if in_memory(expression, entity):
            return self.value_in_memory(expression, record, old)
        if SQL not in expression.runs_in:
            said = await self._others((expression,), entity, record, old)
            return self._run(evaluate, parts(expression, entity).rest, record, old, asked=said[0])
        return (await self.values((expression,), entity, record, old))[0]

    def value_in_memory(self, expression: Checked, record: Facts, old: Facts | None = None) -> Any:
        return self._run(evaluate, expression, record, old)

    async def values(
        self, expressions: Sequence[Checked], entity: Entity, record: Facts, old: Facts | None = None
    ) -> list[Any]:
        """Values computed by the database over the stored record."""
        if all(in_memory(each, entity) for each in expressions):
            return [self.value_in_memory(each, record, old) for each in expressions]
        key = ("values", entity.name, tuple(id(each) for each in expressions))
        statement = self._engine.remember(key, lambda: self._select(value_sql, expressions, entity), tuple(expressions))
        row = await self._connection.fetch_one(statement, self.arguments(entity, record, old))
        if row is None:
            raise Undecidable(why="the record is not stored")
        return list(row)

    async def _others(
        self, expressions: Sequence[Checked], entity: Entity, record: Facts, old: Facts | None
    ) -> list[Facts]:
        """What the database says to its part of each expression, all in one statement."""
        asked = [parts(each, entity).asked for each in expressions]
        flat = tuple(part for each in asked for _, part in each)
        values = iter(await self.values(flat, entity, record, old) if flat else ())
        return [{name: next(values) for name, _ in each} for each in asked]

    def holds_with(self, condition: Checked, entity: Entity, record: Facts, old: Facts | None, asked: Facts) -> bool:
        """The truth of a condition, with what the database said to its part of it."""
        return self._run(_holds, parts(condition, entity).rest, record, old, asked=asked) is True

    def _run(self, run: Any, expression: Checked, record: Facts, old: Facts | None, **more: Any) -> Any:
        before = facts(old) if old is not None else None
        return run(expression, facts(record), now=self._now, today=self._today, old=before, person=self._person, **more)

    async def _ask(self, conditions: Sequence[Checked], entity: Entity, record: Facts, old: Facts | None) -> list[bool]:
        key = ("conditions", entity.name, tuple(id(each) for each in conditions))
        statement = self._engine.remember(
            key, lambda: self._select(condition_sql, conditions, entity), tuple(conditions)
        )
        row = await self._connection.fetch_one(statement, self.arguments(entity, record, old))
        return [bool(each) for each in row] if row is not None else [False] * len(conditions)

    def _select(self, translate: Any, expressions: Sequence[Checked], entity: Entity) -> sa.Select[Any]:
        tables = self._engine.tables
        this = tables.current(entity.name).alias("this")
        rows = Rows(tables, self._engine.blueprint, entity.name, this, tables.dialect, None)
        columns = [translate(each, rows).label(f"c{at}") for at, each in enumerate(expressions)]
        return sa.select(*columns).select_from(this).where(this.c.id == sa.bindparam("this_id", type_=this.c.id.type))

    def arguments(self, entity: Entity, record: Facts, old: Facts | None) -> dict[str, Any]:
        """What a statement over a record needs besides the moment it is asked of."""
        args = {**self.person_args, "this_id": record["id"]}
        known = facts(old) if old is not None else dict.fromkeys(record)
        args.update((f"old.{name}", value) for name, value in known.items())
        for name in self._engine.statements.of(entity.name).shape.polymorphic:
            at = None if old is None else old.get(name)
            args[f"old.{name}_entity"] = None if at is None else at.entity
        return args


def in_memory(expression: Checked, entity: Entity) -> bool:
    """Whether the record's own stored fields decide the expression."""
    known = expression.memo.get("own_row")
    if known is None:
        known = "memory" in expression.runs_in and all(
            len(path) == 1 and (field := entity.fields.get(path[0])) is not None and field.stored
            for path in expression.reads
        )
        known = expression.memo["own_row"] = known and not _old_relations(expression)
    return bool(known)


def _references(expression: Checked, entities: Mapping[str, Entity], entity: Entity) -> tuple[str, ...] | None:
    """The references that an expression follows, if all it reads are stored fields of the record and of records that
    these point at; else None."""
    known: tuple[str, ...] | None = expression.memo.get("references")
    if known is None:
        known = _followed(expression, entities, entity) if "memory" in expression.runs_in else ()
        expression.memo["references"] = known
    return known or None


def _followed(expression: Checked, entities: Mapping[str, Entity], entity: Entity) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for path in expression.reads:
        field = entity.fields.get(path[0])
        if field is None or not field.stored or len(path) > 2:
            return ()
        if len(path) == 2:
            far = entities[field.target].fields.get(path[1]) if field.kind is FieldKind.REF else None
            if far is None or not far.stored:
                return ()
            names[path[0]] = None
    return tuple(names)


def parts(expression: Checked, entity: Entity) -> Parted:
    """What the database is asked and what memory decides. Raises NotInSql where it cannot be parted."""
    known: Parted | None = expression.memo.get("parted")
    if known is None:
        known = parted(expression, lambda name: (field := entity.fields.get(name)) is not None and field.stored)
        if known is None:
            raise NotInSql(source=expression.source)
        expression.memo["parted"] = known
    return known


def _old_relations(expression: Checked) -> bool:
    return any(path[0] == "@old" for path in expression.reads)


def facts(record: Facts) -> Facts:
    """A record as expressions see it: money is its amount, a reference its id."""
    if _PAIRS.isdisjoint(map(type, record.values())):
        return record  # as most are, and every rule and guard of a write comes by here
    return {name: _fact(value) for name, value in record.items()}


_PAIRS = frozenset({Money, AnyRef})


def _fact(value: Any) -> Any:
    if isinstance(value, Money):
        return value.amount
    return value.id if isinstance(value, AnyRef) else value
