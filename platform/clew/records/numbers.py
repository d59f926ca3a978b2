"""Business keys made by coding rules.

A counter belongs to a rule and to everything before the sequence (site, year …). Gap-free numbers are counted inside
the transaction that uses them, so they serialise their writers. Others come in blocks from a short transaction of
their own; a block ends with the process, which is where gaps come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import CodingRule, Entity, Field, FieldKind, Segment
from clew.records.errors import Missing, OutOfBounds
from clew.storage import system
from clew.storage.engine import Connection, Database, DialectName

if TYPE_CHECKING:
    from clew.records.unit import Unit

FIRST_BLOCK, LARGEST_BLOCK = 8, 512
_t = system.counter


class Restart(Exception):
    """Inside the write path: the transaction must begin again after something was prepared outside it."""


class NumbersNeeded(Restart):
    """A block of this counter has to be fetched first. `used`: how many of its numbers the transaction had by then."""

    def __init__(self, rule: str, scope: str, used: int) -> None:
        self.rule, self.scope, self.used = rule, scope, used
        super().__init__(rule, scope)


class NumberTaken(Restart):
    """Somebody gave one of our numbers by hand; it is left out. Which of several that were made nobody has said."""


@dataclass(slots=True)
class _Block:
    free: list[int] = field(default_factory=list)
    """Descending, so that the smallest is popped from the end."""
    size: int = FIRST_BLOCK


@dataclass(frozen=True, slots=True)
class Taken:
    """A number in use by a transaction that has not committed yet."""

    rule: str
    scope: str
    value: int


class Numbers:
    """The counters of one process."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, str], _Block] = {}
        self._kept: dict[tuple[str, Any, str], str] = {}

    async def make(
        self, unit: Unit, entity: Entity, known: Field, record: Mapping[str, Any]
    ) -> tuple[str, Taken | None]:
        """The next number of a field, and what to give back should the transaction fail."""
        rule = unit.engine.blueprint.coding_rules[known.coding_rule or ""]
        scope, width = await self.scope(unit, entity, known, rule, record)
        while True:
            value, taken = await self._next(unit, rule, scope)
            number = f"{scope}{value:0{width}d}"
            # Rarely asked: only after a number of ours was refused because somebody had given it by hand.
            if not (unit.careful and await _in_use(unit, entity, known, number)):
                return number, taken

    async def _next(self, unit: Unit, rule: CodingRule, scope: str) -> tuple[int, Taken | None]:
        if rule.gap_free:
            row = await unit.connection.fetch_one(_count(unit.connection.dialect), _by(rule.name, scope, 1))
            assert row is not None
            return int(row[0]), None
        block = self._blocks.get((rule.name, scope))
        if not block or not block.free:
            used = sum((each.rule, each.scope) == (rule.name, scope) for each in unit.taken)
            raise NumbersNeeded(rule.name, scope, used)
        value = block.free.pop()
        return value, Taken(rule.name, scope, value)

    async def scope(
        self, unit: Unit, entity: Entity, known: Field, rule: CodingRule, record: Mapping[str, Any]
    ) -> tuple[str, int]:
        """Everything before the sequence, and the sequence's width."""
        parts: list[str] = []
        width = 0
        for segment in rule.segments:
            if segment.kind == "seq":
                width = segment.width
            elif segment.kind == "literal":
                parts.append(segment.text)
            elif segment.kind == "date":
                parts.append(_date_part(segment, unit.local_now))
            else:
                parts.append(await self._part(unit, entity, known, segment.text.split("."), record))
        return "".join(parts), width

    async def _part(self, unit: Unit, entity: Entity, known: Field, path: list[str], record: Mapping[str, Any]) -> str:
        value, here = record.get(path[0]), entity.fields[path[0]]
        for at, name in enumerate(path[1:], 1):
            if value is None:
                break
            target = unit.engine.blueprint.entities[here.target]
            here = target.fields[name]
            value = await self._member(unit, target, here, value, last=at == len(path) - 1)
        if value is None:
            label = entity.fields[path[0]].label
            raise Missing(path=[path[0]], field=label)
        text = str(value)
        if here.kind is FieldKind.DECIMAL or len(text) > 60:
            bound = Bilingual("能用于编号", "fit to be part of a number")
            raise OutOfBounds(path=[known.name], field=here.label, bound=bound)
        return text

    async def _member(self, unit: Unit, target: Entity, known: Field, of: Any, *, last: bool) -> Any:
        key = (target.name, of, known.name)
        if key in self._kept:
            return self._kept[key]
        table = unit.engine.tables.current(target.name)
        statement = unit.engine.remember(
            ("member", target.name, known.name),
            lambda: sa.select(table.c[known.name]).where(table.c.id == sa.bindparam("of_id", type_=table.c.id.type)),
        )
        value = await unit.connection.fetch_value(statement, {"of_id": of})
        if last and known.immutable and value is not None and len(self._kept) < 10_000:
            self._kept[key] = value
        return value

    def add_block(self, rule: str, scope: str, last: int, count: int) -> None:
        block = self._blocks.setdefault((rule, scope), _Block())
        block.free[:0] = range(last, last - count, -1)
        block.free.sort(reverse=True)
        block.size = min(block.size * 2, LARGEST_BLOCK)

    async def fetch_block(self, database: Database, rule: str, scope: str, used: int = 0) -> None:
        """Take a block in a transaction of its own. Busy counters get larger blocks; whoever has `used` many already
        gets as many again, because each block makes them begin anew."""
        size = max(used, self._blocks.setdefault((rule, scope), _Block()).size)

        async def work(connection: Connection) -> int:
            row = await connection.fetch_one(_count(connection.dialect), _by(rule, scope, size))
            assert row is not None
            return int(row[0])

        self.add_block(rule, scope, await database.run_write(work), size)

    def give_back(self, taken: Iterable[Taken]) -> None:
        """The transaction certainly failed: its numbers are the next ones again."""
        blocks: dict[tuple[str, str], _Block] = {}
        for each in taken:
            block = blocks[each.rule, each.scope] = self._blocks.setdefault((each.rule, each.scope), _Block())
            block.free.append(each.value)
        for block in blocks.values():
            block.free.sort(reverse=True)

    async def note_given(self, unit: Unit, entity: Entity, known: Field, record: Mapping[str, Any]) -> None:
        """An import gave a number of its own: the counter is raised so that it does not come again."""
        rule = unit.engine.blueprint.coding_rules[known.coding_rule or ""]
        scope, _ = await self.scope(unit, entity, known, rule, record)
        given = str(record[known.name])
        tail = given[len(scope) :]
        if given.startswith(scope) and re.fullmatch(r"[0-9]{1,15}", tail):
            await unit.connection.fetch_value(_raise_to(unit.connection.dialect), _by(rule.name, scope, int(tail)))
            block = self._blocks.get((rule.name, scope))
            if block:
                block.free = [each for each in block.free if each != int(tail)]


async def _in_use(unit: Unit, entity: Entity, known: Field, number: str) -> bool:
    column = unit.engine.tables.current(entity.name).c[known.name]
    return await unit.connection.fetch_one(sa.select(sa.literal(1)).where(column == number).limit(1)) is not None


def _by(rule: str, scope: str, step: int) -> dict[str, Any]:
    return {"rule": rule, "scope": scope, "step": step}


def _date_part(segment: Segment, now: datetime) -> str:
    return now.strftime({"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d"}[segment.text])


def _upsert(dialect: DialectName, greatest: bool) -> Any:
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(_t).values(
        rule=sa.bindparam("rule", type_=_t.c.rule.type),
        scope=sa.bindparam("scope", type_=_t.c.scope.type),
        value=sa.bindparam("step", type_=_t.c.value.type),
    )
    step = statement.excluded.value
    larger = sa.case((_t.c.value > step, _t.c.value), else_=step)
    return statement.on_conflict_do_update(
        index_elements=[_t.c.rule, _t.c.scope], set_={"value": larger if greatest else _t.c.value + step}
    ).returning(_t.c.value)


_COUNT = {dialect: _upsert(dialect, False) for dialect in ("postgresql", "sqlite")}
_RAISE = {dialect: _upsert(dialect, True) for dialect in ("postgresql", "sqlite")}


def _count(dialect: DialectName) -> Any:
    return _COUNT[dialect]


def _raise_to(dialect: DialectName) -> Any:
    return _RAISE[dialect]
