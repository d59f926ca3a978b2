"""Which records would break a new uniqueness: looked for in the values they will have once the change is made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clew.expressions.interpret import compile_memory
from clew.expressions.problems import Undecidable
from clew.metadata.blueprint import Entity, Unique
from clew.storage.change.side import Side
from clew.storage.change.steps import Step
from clew.storage.change.values import Evaluate, evaluator
from clew.storage.engine import Connection
from clew.storage.layout import column_type, entity_slots
from clew.storage.partial import condition_sql
from clew.storage.schema import IndexShape, current_shape

PAGE = 5000
_LOWER = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
"""What both engines make small, and no other letter."""

Row = Mapping[str, Any]
Part = Callable[[Row], Any]


def wanted_indexes(side: Side, dialect: Any, entity: Entity, fields: tuple[str, ...]) -> list[IndexShape]:
    """The unique indexes that serve uniqueness of these fields."""
    shape = current_shape(side.blueprint, side.catalog, dialect, entity.name)
    names = {", ".join(fields)} | ({"key"} if fields == entity.key else set())
    return [each for each in shape.indexes if each.unique and each.of in names]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Looks through one table. `present`: its columns now; `steps`: the change that is planned."""

    connection: Connection
    side: Side
    entity: Entity
    present: frozenset[str]
    steps: tuple[Step, ...]

    async def groups(self, index: IndexShape) -> int:
        """How many values several records would share."""
        fills = {each.work["target"]: each.work for each in self.steps if self._fills(each)}
        if any(name not in self.present and name not in fills for name in index.columns):
            return 0  # nobody has a value there yet
        if not fills.keys() & set(index.columns) and self._answerable(index, fills):
            return await self._in_the_database(index)
        return await self._in_memory(index, fills)

    def _fills(self, step: Step) -> bool:
        modes = ("constant", "expression", "convert")
        return step.kind == "fill" and step.work["entity"] == self.entity.name and step.work["mode"] in modes

    def _answerable(self, index: IndexShape, fills: Mapping[str, Any]) -> bool:
        """Whether the index' condition reads only what the database has already."""
        read = self._read(index)
        return read <= self.present and not read & fills.keys()

    def _condition(self, index: IndexShape) -> Unique | None:
        """The constraint behind an index with a condition."""
        if index.where is None:
            return None
        return next(
            each
            for each in self.entity.uniques
            if each.while_ is not None and ", ".join(each.fields) == index.of and self._is(index, each)
        )

    def _is(self, index: IndexShape, unique: Unique) -> bool:
        assert unique.while_ is not None
        columns = self.side.catalog.entities[self.entity.name].columns
        return condition_sql(unique.while_, columns, self.connection.dialect) == index.where

    def _read(self, index: IndexShape) -> frozenset[str]:
        """The columns the condition reads."""
        unique = self._condition(index)
        if unique is None or unique.while_ is None:
            return frozenset()
        columns = self.side.catalog.entities[self.entity.name].columns
        return frozenset(columns[path[0]] for path in unique.while_.reads if path[0] in columns)

    async def _in_the_database(self, index: IndexShape) -> int:
        columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in index.columns]
        grouped = [
            sa.func.lower(column) if part.startswith("lower(") else column
            for part, column in zip(index.parts, columns, strict=True)
        ]
        query = sa.select(sa.func.count().label("n")).select_from(sa.table(index.table, *columns))
        query = query.where(*(column.is_not(None) for column in columns))
        if index.where:
            query = query.where(sa.text(index.where))
        found = query.group_by(*grouped).having(sa.func.count() > 1).subquery()
        return int(await self.connection.fetch_value(sa.select(sa.func.count()).select_from(found)) or 0)

    async def _in_memory(self, index: IndexShape, fills: Mapping[str, Mapping[str, Any]]) -> int:
        at = await self.connection.now()
        forms = {self._column(slot.key): slot.form for slot in entity_slots(self.entity)}
        parts = [self._part(part, forms, fills, at) for part in index.parts]
        condition = self._holds(index, fills, at)
        read = {name: forms[name] for name in {*index.columns, *self._read(index)} & self.present if name in forms}
        for work in fills.values():
            read.update((name, form) for name, form in work["sources"].values())
        # Digests, not the values: a few bytes for each record.
        seen: set[int] = set()
        twice: set[int] = set()
        async for row in self._rows(index.table, read):
            if not condition(row):
                continue
            values = [part(row) for part in parts]
            if None in values:
                continue
            mark = hash(tuple(values))
            (twice if mark in seen else seen).add(mark)
        return len(twice)

    def _column(self, key: str) -> str:
        return self.side.catalog.entities[self.entity.name].columns[key]

    def _part(self, part: str, forms: Mapping[str, str], fills: Mapping[str, Mapping[str, Any]], at: datetime) -> Part:
        lower, name = part.startswith("lower("), part.removeprefix("lower(").removesuffix(")")
        value = self._value(name, fills.get(name), at)
        return (lambda row: None if (found := value(row)) is None else found.translate(_LOWER)) if lower else value

    def _value(self, name: str, work: Mapping[str, Any] | None, at: datetime) -> Part:
        """What a column will hold: what it holds, or what the change fills in."""
        if work is None:
            return lambda row: row.get(name)
        compute = _computed(work, self.side)
        sources = {fact: column for fact, (column, _) in work["sources"].items()}

        def filled(row: Row) -> Any:
            if row.get(name) is not None:
                return row[name]
            facts = {fact: row[column] for fact, column in sources.items()}
            if "from" in facts and facts["from"] is None:
                return None
            return compute({"id": row["id"], **facts}, at)

        return filled

    def _holds(self, index: IndexShape, fills: Mapping[str, Mapping[str, Any]], at: datetime) -> Callable[[Row], bool]:
        unique = self._condition(index)
        if unique is None or unique.while_ is None:
            return lambda _row: True
        program = compile_memory(unique.while_)
        columns = self.side.catalog.entities[self.entity.name].columns
        names: Iterable[str] = {path[0] for path in unique.while_.reads}
        facts = {name: self._value(columns[name], fills.get(columns[name]), at) for name in names if name in columns}

        def holds(row: Row) -> bool:
            try:
                return program.run({name: value(row) for name, value in facts.items()}, now=at) is True
            except Undecidable:
                return False

        return holds

    async def _rows(self, table: str, read: Mapping[str, str]) -> AsyncIterator[Row]:
        key = self._column("id")
        columns: list[sa.ColumnClause[Any]] = [
            sa.column(name, column_type(form)) for name, form in {key: "id", **read}.items()
        ]
        first = sa.select(*columns).select_from(sa.table(table, *columns)).order_by(columns[0]).limit(PAGE)
        after = first.where(columns[0] > sa.bindparam("after", type_=columns[0].type))
        rows = await self.connection.fetch(first)
        while rows:
            for row in rows:
                named = dict(zip((each.name for each in columns), row, strict=True))
                yield {**named, "id": row[0]}
            rows = await self.connection.fetch(after, {"after": rows[-1][0]}) if len(rows) == PAGE else []


def _computed(work: Mapping[str, Any], side: Side) -> Evaluate:
    if work["mode"] == "constant":
        return lambda _facts, _at: work["value"]
    return evaluator(work, side.blueprint, None)
