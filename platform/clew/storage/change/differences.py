"""What changed between two Blueprints, in the analyst's words. Pure: no database is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from clew.kernel.text import Bilingual, counted
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind, Origin
from clew.storage.layout import converted, earlier_entity, earlier_field, later_entity, slots_of

Sign = Literal["+", "~", "-"]
ChangeKind = Literal[
    "entity_added",
    "entity_dropped",
    "entity_renamed",
    "field_added",
    "field_dropped",
    "field_renamed",
    "field_converted",
    "field_required",
    "field_optional",
    "field_narrowed",
    "unique_added",
    "unique_dropped",
    "codes_removed",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `entity` and `field` are names in the new release (in the old one for something dropped)."""

    sign: Sign
    kind: ChangeKind
    object: str
    text: Bilingual
    entity: str = ""
    field: str = ""
    was: str = ""
    """The earlier field or entity name, where there was one."""
    needs: str = ""
    """The consent it needs whatever the data look like: `drop:lot.grade`."""
    fields: tuple[str, ...] = ()
    """The fields that are unique together."""


def diff(old: Blueprint | None, new: Blueprint) -> tuple[Change, ...]:
    """Every difference that touches stored data, in a stable order."""
    return tuple(_Differ(old, new).all())


class _Differ:
    def __init__(self, old: Blueprint | None, new: Blueprint) -> None:
        self._old, self._new = old, new

    def all(self) -> Iterator[Change]:
        old, new = self._old, self._new
        kept: set[str] = set()
        for entity in new.entities.values():
            was = earlier_entity(entity, old, new) if old else None
            if was is None:
                count = sum(each.origin is not Origin.ENVELOPE for each in entity.fields.values())
                text = Bilingual(f"新实体,{count} 个字段", f"new entity with {counted(count, 'field')}")
                yield Change("+", "entity_added", entity.name, text, entity.name)
                continue
            kept.add(was.name)
            if was.name != entity.name:
                text = Bilingual(f"由 {was.name} 改名,数据保留", f"renamed from {was.name}; its data stay")
                yield Change("~", "entity_renamed", entity.name, text, entity.name, was=was.name)
            yield from self._entity(was, entity)
        for name in old.entities if old else ():
            if name not in kept:
                text = Bilingual("实体被移除,其表另行保留", "entity removed; its tables are kept aside")
                yield Change("-", "entity_dropped", name, text, name, was=name, needs=f"drop:{name}")
        if old:
            yield from self._codes(old)

    def _entity(self, was: Entity, now: Entity) -> Iterator[Change]:
        kept: set[str] = set()
        for field in now.fields.values():
            before = earlier_field(field, was, now)
            if before is None:
                if field.stored or field.kind is FieldKind.MANY:
                    yield self._added(now, field)
                continue
            kept.add(before.name)
            yield from self._field(now, before, field)
        for before in was.fields.values():
            if before.name not in kept and (before.stored or before.kind is FieldKind.MANY):
                yield self._dropped(now, before)
        yield from self._uniques(was, now)
        gone = [name for name in was.states if name not in now.states]
        if gone:
            listed = ", ".join(gone)
            text = Bilingual(f"状态被移除:{listed}", f"states removed: {listed}")
            place = f"{now.name}.state"
            yield Change("~", "field_narrowed", place, text, now.name, "state", "state", f"narrow:{place}")

    def _added(self, entity: Entity, field: Field) -> Change:
        text = Bilingual(f"新字段({field.kind})", f"new field ({field.kind})")
        if field.required:
            text = Bilingual(f"新必填字段({field.kind})", f"new required field ({field.kind})")
        return Change("+", "field_added", f"{entity.name}.{field.name}", text, entity.name, field.name)

    def _dropped(self, entity: Entity, field: Field) -> Change:
        place = f"{entity.name}.{field.name}"
        text = Bilingual("字段被移除,其列另行保留", "field removed; its column is kept aside")
        return Change("-", "field_dropped", place, text, entity.name, field.name, field.name, f"drop:{place}")

    def _field(self, entity: Entity, was: Field, now: Field) -> Iterator[Change]:
        place = f"{entity.name}.{now.name}"

        def change(kind: ChangeKind, zh: str, en: str, needs: str = "") -> Change:
            return Change("~", kind, place, Bilingual(zh, en), entity.name, now.name, was.name, needs)

        if was.name != now.name:
            yield change("field_renamed", f"由 {was.name} 改名,数据保留", f"renamed from {was.name}; its data stay")
        if was.stored != now.stored or (now.kind is FieldKind.MANY) != (was.kind is FieldKind.MANY):
            if was.stored or was.kind is FieldKind.MANY:
                yield change(
                    "field_dropped",
                    "不再存储,旧值另行保留",
                    "no longer stored; old values are kept aside",
                    f"drop:{place}",
                )
            if now.stored or now.kind is FieldKind.MANY:
                yield self._added(entity, now)
            return
        if now.kind is FieldKind.MANY and later_entity(was.target, self._known(), self._new) != now.target:
            yield change(
                "field_dropped",
                f"由指向 {was.target} 改为指向 {now.target},旧的关联另行保留",
                f"points at {now.target} instead of {was.target}; its old pairs are kept aside",
                f"drop:{place}",
            )
        elif now.stored and converted(was, now, self._known(), self._new):
            is_zh, is_en = f"类型由 {was.kind} 变为 {now.kind}", f"type {was.kind} becomes {now.kind}"
            if was.kind is now.kind is FieldKind.REF:
                is_zh = f"由指向 {was.target} 改为指向 {now.target}"
                is_en = f"points at {now.target} instead of {was.target}"
            needs = "" if _lossless(was, now) else f"convert:{place}"
            yield change("field_converted", f"{is_zh},旧列另行保留", f"{is_en}; the old column is kept aside", needs)
        if now.required and not was.required:
            yield change("field_required", "变为必填", "becomes required")
        if was.required and not now.required:
            yield change("field_optional", "变为可选", "becomes optional")
        for zh, en in (*_narrowings(was, now), *self._fewer_targets(was, now), *self._other_codes(was, now)):
            yield change("field_narrowed", zh, en, f"narrow:{place}")

    def _fewer_targets(self, was: Field, now: Field) -> Iterator[tuple[str, str]]:
        if was.kind is now.kind is FieldKind.ANY:
            gone = [each for each in was.targets if later_entity(each, self._known(), self._new) not in now.targets]
            if gone:
                yield f"不再可指向 {', '.join(gone)}", f"can no longer point at {', '.join(gone)}"

    def _other_codes(self, was: Field, now: Field) -> Iterator[tuple[str, str]]:
        """Another code list takes nothing away when it has all codes of the one before."""
        if now.kind not in (FieldKind.CHOICE, FieldKind.CHOICES) or not now.code_list or was.code_list == now.code_list:
            return
        before = self._known().code_lists.get(was.code_list or "")
        after = self._new.code_lists.get(now.code_list)
        if before is None or after is None or not before.codes.keys() <= after.codes.keys():
            lists = f"{was.code_list or '-'} → {now.code_list}"
            yield f"代码表 {lists}", f"code list {lists}"

    def _uniques(self, was: Entity, now: Entity) -> Iterator[Change]:
        renamed = {
            earlier.name: field.name for field in now.fields.values() if (earlier := earlier_field(field, was, now))
        }
        # Other values than before, in another form, may be equal now: what was unique is to be looked at again.
        other = {each.name for each in now.fields.values() if self._other_values(was, now, each)}
        before = {(tuple(renamed.get(name, name) for name in names), how) for names, how in unique_sets(was)}
        after = set(unique_sets(now))
        for names, how in sorted(after):
            if (names, how) not in before or other & set(names):
                place = f"{now.name}({', '.join(names)})"
                text = Bilingual(f"必须唯一{how.zh}", f"must be unique{how.en}")
                yield Change("+", "unique_added", place, text, now.name, fields=names)
        for names, how in sorted(before - after):
            place = f"{now.name}({', '.join(names)})"
            text = Bilingual(f"不再要求唯一{how.zh}", f"need no longer be unique{how.en}")
            yield Change("-", "unique_dropped", place, text, now.name)

    def _other_values(self, was: Entity, now: Entity, field: Field) -> bool:
        before = earlier_field(field, was, now)
        stored = before is not None and before.stored and field.stored
        return stored and before is not None and converted(before, field, self._known(), self._new)

    def _known(self) -> Blueprint:
        assert self._old is not None
        return self._old

    def _codes(self, old: Blueprint) -> Iterator[Change]:
        for name, codes in old.code_lists.items():
            now = self._new.code_lists.get(name)
            if now is None:
                continue
            for code in codes.codes:
                if code not in now.codes:
                    place = f"{name}.{code}"
                    text = Bilingual("代码被移除", "code removed")
                    yield Change("-", "codes_removed", place, text, was=code, needs=f"narrow:{place}")


@dataclass(frozen=True, slots=True, order=True)
class UniqueHow:
    """Which records must differ, and in what sense."""

    while_: str = ""
    ignore_case: bool = False

    @property
    def zh(self) -> str:
        return ("(不分大小写)" if self.ignore_case else "") + (f",当 {self.while_}" if self.while_ else "")

    @property
    def en(self) -> str:
        return (" whatever the case" if self.ignore_case else "") + (f" while {self.while_}" if self.while_ else "")


def unique_sets(entity: Entity) -> Iterator[tuple[tuple[str, ...], UniqueHow]]:
    """What must be unique: fields, and how."""
    for field in entity.fields.values():
        if field.unique and field.stored:
            yield (field.name,), UniqueHow()
    for unique in entity.uniques:
        yield unique.fields, UniqueHow(unique.while_.source if unique.while_ else "", unique.ignore_case)
    if entity.key:
        yield entity.key, UniqueHow()


def _lossless(was: Field, now: Field) -> bool:
    """True when every value has an equal in the new form."""
    if was.kind is FieldKind.REF and now.kind is FieldKind.ANY:
        return was.target in now.targets
    before, after = slots_of(was)[0].form, slots_of(now)[0].form
    parts = len(slots_of(was)) - len(slots_of(now)) - bool(was.sort) + bool(now.sort)
    return parts == 0 and _widens(before, after)


def _widens(before: str, after: str) -> bool:
    if before == after and before != "id":
        return True
    if after == "text":
        return before not in ("json:translated", "id")
    if after == "json:choices":
        return before == "text"
    if after == "json":
        return True
    if after.startswith("exact:"):
        # 18 digits in all: more decimal places leave fewer before the point, so only the count of values can tell.
        return before.startswith("exact:") and int(after[6:]) > int(before[6:])
    return False


def _text(schema: Mapping[str, Any] | None) -> str:
    return json.dumps(schema, sort_keys=True, default=dict)


def _narrowings(was: Field, now: Field) -> Iterator[tuple[str, str]]:
    if (now.max_length or 0) and (was.max_length is None or now.max_length < was.max_length):
        yield (
            f"最大长度 {was.max_length or '不限'} → {now.max_length}",
            (f"maximum length {was.max_length or 'unlimited'} → {now.max_length}"),
        )
    if (now.min_length or 0) > (was.min_length or 0):
        yield f"最小长度 → {now.min_length}", f"minimum length → {now.min_length}"
    if now.min is not None and (was.min is None or now.min > was.min):
        yield f"最小值 → {now.min}", f"minimum → {now.min}"
    if now.max is not None and (was.max is None or now.max < was.max):
        yield f"最大值 → {now.max}", f"maximum → {now.max}"
    if now.pattern and now.pattern != was.pattern:
        yield f"格式 → {now.pattern}", f"pattern → {now.pattern}"
    if now.kind is FieldKind.JSON and _text(was.schema) != _text(now.schema):
        if now.schema_version > was.schema_version:
            versions = f"{was.schema_version} → {now.schema_version}"
            yield f"JSON Schema 版本 {versions}", f"JSON Schema version {versions}"
        else:
            version = now.schema_version
            yield (
                f"JSON Schema 有变化,版本仍为 {version},请递增",
                (f"JSON Schema changed under the same version {version}: raise it"),
            )
    if was.big and not now.big:
        yield "整数缩为 32 位", "integer shrinks to 32 bits"
