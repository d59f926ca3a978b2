"""What a change means for the data that are there: real numbers, counted in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from clew.expressions.pattern import whole
from clew.kernel.text import Bilingual, counted
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.metadata.json_schema import validator
from clew.storage.change.convert import Here
from clew.storage.change.differences import Change
from clew.storage.change.duplicates import Duplicates, wanted_indexes
from clew.storage.change.side import Side
from clew.storage.change.steps import Step, computable_default, constant_default
from clew.storage.change.values import converted
from clew.storage.engine import Connection
from clew.storage.layout import earlier_entity, inherited, later_entity, slots_of
from clew.storage.tables import Tables

PAGE = 5000


@dataclass(frozen=True, slots=True)
class Consequence:
    """A change with what it does to the rows that exist. `blocked`: the data contradict it and no consent helps."""

    change: Change
    counts: dict[str, int] = field(default_factory=dict)
    text: Bilingual = Bilingual()
    needs: str = ""
    blocked: bool = False


async def survey(
    connection: Connection, changes: Sequence[Change], old: Side | None, new: Side, steps: tuple[Step, ...] = ()
) -> list[Consequence]:
    """The consequences of `changes`, in their order; `steps` carry them out."""
    if old is None:
        return [Consequence(each) for each in changes]
    surveyor = _Surveyor(connection, old, new, steps)
    return [await surveyor.of(each) for each in changes]


class _Surveyor:
    def __init__(self, connection: Connection, old: Side, new: Side, steps: tuple[Step, ...]) -> None:
        self._connection, self._old, self._new, self._steps = connection, old, new, steps
        self._tables = Tables(old.blueprint, old.catalog, connection.dialect)
        self._rows: dict[str, int] = {}

    async def of(self, change: Change) -> Consequence:
        handler = getattr(self, f"_{change.kind}", None)
        if handler is None:
            return Consequence(change, needs=change.needs)
        found: Consequence = await handler(change)
        return found

    # -- one method per kind of change

    async def _entity_dropped(self, change: Change) -> Consequence:
        rows = await self._count(change.was)
        return _counted(change, rows=rows, zh=f"{rows} 行另行保留", en=f"{counted(rows, 'row')} kept aside")

    async def _field_dropped(self, change: Change) -> Consequence:
        was = self._was(change)
        before = was.fields[change.was]
        if before.kind is FieldKind.MANY:
            link = self._tables.link(was.name, before.name)
            values = await self._connection.fetch_value(sa.select(sa.func.count()).select_from(link))
        else:
            column = self._tables.current(was.name).c[slots_of(before)[0].key]
            values = await self._connection.fetch_value(sa.select(sa.func.count(column)))
        return _counted(change, values=values, zh=f"{values} 个值另行保留", en=f"{counted(values, 'value')} kept aside")

    async def _field_added(self, change: Change) -> Consequence:
        now = self._new.blueprint.entities[change.entity].fields[change.field]
        rows = await self._count(self._was(change).name)
        return self._required(change, now, rows, rows)

    async def _field_required(self, change: Change) -> Consequence:
        was = self._was(change)
        now = self._new.blueprint.entities[change.entity].fields[change.field]
        slots = slots_of(was.fields[change.was])
        if not slots:
            return Consequence(change)
        column = self._tables.current(was.name).c[slots[0].key]
        nulls = await self._connection.fetch_value(sa.select(sa.func.count()).where(column.is_(None)))
        if now.required and now.stored and slots[0].form != slots_of(now)[0].form:
            _, lost = await self._conversion(was, change, now)
            if lost:
                return _lacking(change, await self._count(was.name), nulls + lost)
        return self._required(change, now, nulls, await self._count(was.name))

    def _required(self, change: Change, now: Field, nulls: int, rows: int) -> Consequence:
        if not now.required or not now.stored:
            return Consequence(change, {"rows": rows})
        if nulls == 0:
            return _counted(change, rows=rows, nulls=0, zh="没有空值", en="no row lacks it")
        constant = constant_default(now)
        entity = self._new.blueprint.entities[change.entity]
        if constant is None and computable_default(now, entity) and now.default is not None:
            constant = now.default.source
        if constant is not None:
            return _counted(
                change,
                rows=rows,
                nulls=nulls,
                zh=f"{nulls} 行将填入 {constant}",
                en=f"{counted(nulls, 'row')} will be filled with {constant}",
            )
        return _lacking(change, rows, nulls)

    async def _field_converted(self, change: Change) -> Consequence:
        was = self._was(change)
        rows, lost = await self._conversion(
            was, change, self._new.blueprint.entities[change.entity].fields[change.field]
        )
        zh, en = f"{rows} 个值转换", f"{counted(rows, 'value')} converted"
        needs = change.needs
        if lost:
            zh, en = f"{zh},其中 {lost} 个无法转换、将置空", f"{en}; {lost} of them cannot be and become empty"
            needs = f"convert:{change.object}"
        return Consequence(change, {"values": rows, "lost": lost}, Bilingual(zh, en), needs)

    async def _conversion(self, was: Entity, change: Change, now: Field) -> tuple[int, int]:
        """How many values are converted, and how many of them cannot be."""
        lost = rows = 0
        before, new_slot = was.fields[change.was], slots_of(now)[0]
        source = inherited(before, now, self._old.blueprint, self._new.blueprint).get(new_slot.key)
        async for (value,) in self._values(was.name, [slots_of(before)[0].key]):
            rows += 1
            lost += source is None or not self._converts(value, source.form, new_slot.form)
        return rows, lost

    async def _field_narrowed(self, change: Change) -> Consequence:
        was = self._was(change)
        entity = self._new.blueprint.entities[change.entity]
        now, before = entity.fields.get(change.field), was.fields.get(change.was)
        if now is None or before is None or not before.stored:
            return Consequence(change, needs=change.needs)
        outside = 0
        slot, then = slots_of(before)[0], slots_of(now)[0]
        async for (value,) in self._values(was.name, [slot.key]):
            if slot.form != then.form and now.kind is not FieldKind.ANY:
                value = converted(value, slot.form, then.form, self._here)
            outside += value is not None and self._outside(value, now, entity)
        if now.kind is FieldKind.JSON and not outside:  # a schema that all values fit takes nothing away
            return Consequence(change, {"outside": 0}, Bilingual("现有值都符合", "every existing value fits"))
        return _counted(
            change,
            outside=outside,
            zh=f"{outside} 个现有值超出新限制",
            en=f"{counted(outside, 'existing value')} outside the new limits",
        )

    async def _unique_added(self, change: Change) -> Consequence:
        entity = self._new.blueprint.entities[change.entity]
        present = frozenset(self._old.catalog.entities[self._was(change).name].columns.values())
        looked = Duplicates(self._connection, self._new, entity, present, self._steps)
        found = 0
        for index in wanted_indexes(self._new, self._connection.dialect, entity, change.fields):
            found += await looked.groups(index)
        if not found:
            return _counted(change, duplicates=0, zh="没有重复值", en="no duplicates")
        text = Bilingual(f"{found} 组重复值,请先清理", f"{found} groups of duplicates: mend them first")
        return Consequence(change, {"duplicates": found}, text, blocked=True)

    async def _codes_removed(self, change: Change) -> Consequence:
        code_list, uses = change.object.rpartition(".")[0], 0
        for entity in self._old.blueprint.entities.values():
            for each in entity.fields.values():
                if each.stored and each.kind is FieldKind.CHOICES and each.code_list == code_list:
                    async for (value,) in self._values(entity.name, [each.name]):
                        uses += change.was in value
                if each.stored and each.kind is FieldKind.CHOICE and each.code_list == code_list:
                    column = self._tables.current(entity.name).c[each.name]
                    uses += await self._connection.fetch_value(
                        sa.select(sa.func.count()).where(column == sa.bindparam("code")), {"code": change.was}
                    )
        return _counted(change, uses=uses, zh=f"{uses} 行正在使用", en=f"used by {counted(uses, 'row')}")

    # -- values

    @cached_property
    def _here(self) -> Here:
        return Here.of(self._new.blueprint)

    def _converts(self, value: Any, was: str, form: str) -> bool:
        return form == "entity" or converted(value, was, form, self._here) is not None

    def _outside(self, value: Any, now: Field, entity: Entity) -> bool:
        if now.kind is FieldKind.ANY:
            return later_entity(value, self._old.blueprint, self._new.blueprint) not in now.targets
        if now.code_list is not None:
            known = self._new.blueprint.code_lists.get(now.code_list)
            codes = known.codes if known else {}
            return any(each not in codes for each in (value if isinstance(value, list) else [value]))
        return _outside(value, now, entity)

    # -- reading

    def _was(self, change: Change) -> Entity:
        now = self._new.blueprint.entities.get(change.entity)
        was = earlier_entity(now, self._old.blueprint, self._new.blueprint) if now else None
        return was or self._old.blueprint.entities[change.entity]

    async def _count(self, entity: str) -> int:
        if entity not in self._rows:
            table = self._tables.current(entity)
            self._rows[entity] = await self._connection.fetch_value(sa.select(sa.func.count()).select_from(table))
        return self._rows[entity]

    async def _values(self, entity: str, keys: list[str]) -> AsyncIterator[tuple[Any, ...]]:
        """The non-null values of some columns, page by page."""
        table = self._tables.current(entity)
        columns = [table.c[key] for key in keys]
        first = sa.select(table.c.id, *columns).where(columns[0].is_not(None)).order_by(table.c.id).limit(PAGE)
        after = first.where(table.c.id > sa.bindparam("after"))
        rows = await self._connection.fetch(first)
        while rows:
            for row in rows:
                yield tuple(row[1:])
            rows = await self._connection.fetch(after, {"after": rows[-1][0]}) if len(rows) == PAGE else []


def _lacking(change: Change, rows: int, nulls: int) -> Consequence:
    """Rows that a new demand leaves without a value."""
    zh = f"{nulls} 行没有值,且无可用于已有行的默认值,在补齐之前为空"
    en = f"{counted(nulls, 'row')} without it, and no default that fits old rows; empty until somebody fills it"
    return Consequence(change, {"rows": rows, "nulls": nulls}, Bilingual(zh, en), f"require:{change.object}")


def _counted(change: Change, *, zh: str, en: str, **counts: int) -> Consequence:
    return Consequence(change, counts, Bilingual(zh, en), change.needs)


def _outside(value: Any, now: Field, entity: Entity) -> bool:
    if now.name == "state" and entity.states:
        return value not in entity.states
    if now.schema is not None:
        return not validator(now.schema).is_valid(value)
    if isinstance(value, dict) and now.kind is FieldKind.TRANSLATED:
        return any(_outside(each, now, entity) for each in value.values() if each is not None)
    if isinstance(value, str):
        if now.max_length is not None and len(value) > now.max_length:
            return True
        if now.min_length is not None and len(value) < now.min_length:
            return True
        return bool(now.pattern and not whole(now.pattern).search(value))
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        if now.kind is FieldKind.INTEGER and not now.big and not -(2**31) <= value < 2**31:
            return True
        return (now.min is not None and value < now.min) or (now.max is not None and value > now.max)
    if isinstance(value, list):
        return (now.max is not None and len(value) > now.max) or (now.min is not None and len(value) < now.min)
    return False
