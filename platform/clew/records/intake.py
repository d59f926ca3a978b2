"""An input becomes values, links and lines, or is refused: no key passes that the caller may not write (threat 20)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from clew.access.decision import EntityAccess, Grant
from clew.kernel.diagnostics import nearest
from clew.kernel.errors import Forbidden
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind, Origin
from clew.records.errors import UnknownInput
from clew.records.values import Path, as_id, coerce, wrong_type

_FOREIGN = frozenset({"source_system", "external_id"})
"""Where a record of another system comes from: given by imports and connectors only."""


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What happens to a `many` field: the whole new set, or what comes and goes."""

    whole: frozenset[UUID] | None = None
    add: frozenset[UUID] = frozenset()
    remove: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class LineInput:
    """One line as given, at its path; `id` names an existing line."""

    id: UUID | None
    values: Mapping[str, Any]
    path: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class LineChange:
    """What happens to a `lines` field. `whole` means these are all lines; the others go."""

    whole: bool
    put: tuple[LineInput, ...] = ()
    remove: frozenset[UUID] = frozenset()
    copied: bool = False
    """The lines are those of the record that is corrected, so nobody is asked whether their values may be given."""


@dataclass(frozen=True, slots=True)
class Intake:
    """An input, understood. `values` are canonical."""

    values: dict[str, Any] = field(default_factory=dict)
    links: dict[str, LinkChange] = field(default_factory=dict)
    lines: dict[str, LineChange] = field(default_factory=dict)


def field_grants(access: EntityAccess, intake: Intake, verb: str) -> tuple[Grant, ...]:
    """The conditional permissions of the fields given; each must hold before the change and after it."""
    names = (*intake.values, *intake.links, *intake.lines)
    return tuple({id(each): each for name in names if not (each := access.fields[name].giving(verb)).always}.values())


def writable(entity: Entity, name: str, *, creating: bool, foreign: bool) -> bool:
    """Whether a caller may ever give this field. `foreign` inputs come from another system, with its numbers."""
    known = entity.fields.get(name)
    if known is None or known.computed is not None:
        return False
    if known.kind is FieldKind.NUMBER:
        return foreign and creating
    if entity.part_of and name == "owner":
        return False
    if known.origin is Origin.DECLARED or known.kind in (FieldKind.LINES, FieldKind.MANY):
        return True
    if name == "site":
        return creating
    if name == "legal_hold":
        return not creating
    return foreign and name in _FOREIGN


class Reader:
    """Reads inputs for one caller."""

    def __init__(self, blueprint: Blueprint, today: date, *, foreign: bool = False) -> None:
        """`foreign`: the input comes from another system and may give the business keys we would otherwise make."""
        self._blueprint, self._today, self._foreign = blueprint, today, foreign

    def read(
        self,
        entity: Entity,
        access: EntityAccess,
        given: Mapping[str, Any],
        path: Path,
        *,
        creating: bool,
        verb: str = "",
    ) -> Intake:
        """Raises the first refusal, in the order of the input. `verb` is what is done to the record, or to the owner
        of the line: `create`, `update` or `correct`; when left out, what `creating` says."""
        verb = verb or ("create" if creating else "update")
        if not isinstance(given, Mapping):
            raise UnknownInput(path=path, field=str(path[-1]) if path else "input", nearest="")
        intake = Intake()
        for name, value in given.items():
            known = self._field(entity, access, name, path, creating=creating, verb=verb)
            at = (*path, name)
            if known.kind is FieldKind.MANY:
                intake.links[name] = self._links(known, value, at)
            elif known.kind is FieldKind.LINES:
                intake.lines[name] = self._lines(known, value, at)
            else:
                intake.values[name] = coerce(known, value, at, self._blueprint, self._today)
        return intake

    def _field(
        self, entity: Entity, access: EntityAccess, name: str, path: Path, *, creating: bool, verb: str
    ) -> Field:
        known = entity.fields.get(name)
        allowed = known is not None and writable(entity, name, creating=creating, foreign=self._foreign)
        seen = access.fields.get(name)
        if known is None or not allowed or seen is None or not (seen.read.allowed or seen.giving(verb).allowed):
            near = self._near(entity, access, name, verb)
            raise UnknownInput(path=[*path, str(name)], field=str(name)[:60], nearest=near)
        if not seen.giving(verb).allowed:
            raise Forbidden(
                path=[*path, name],
                action=Bilingual("填写", "write"),
                what=Bilingual(f"字段 {known.label.to('zh')}", f"field {known.label.to('en')}"),
            )
        return known

    def _near(self, entity: Entity, access: EntityAccess, name: object, verb: str) -> Bilingual:
        visible = [
            each
            for each in entity.fields
            if writable(entity, each, creating=True, foreign=False)
            and (known := access.fields.get(each)) is not None
            and known.giving(verb).allowed
        ]
        near = nearest(str(name)[:60], visible)
        return Bilingual(f"是否想写 {near}?", f" Did you mean {near}?") if near else Bilingual()

    def _links(self, known: Field, value: Any, path: Path) -> LinkChange:
        if value is None:
            return LinkChange(whole=frozenset())
        if isinstance(value, Mapping):
            if not set(value) <= {"add", "remove"}:
                raise wrong_type(known, path, "标识列表或 {add, remove}", "a list of ids, or {add, remove}")
            return LinkChange(
                add=self._ids(known, value.get("add") or (), [*path, "add"]),
                remove=self._ids(known, value.get("remove") or (), [*path, "remove"]),
            )
        return LinkChange(whole=self._ids(known, value, path))

    def _ids(self, known: Field, value: Any, path: Path) -> frozenset[UUID]:
        if not isinstance(value, list | tuple | set | frozenset):
            raise wrong_type(known, path, "标识列表", "a list of ids")
        return frozenset(as_id(known, each, [*path, at]) for at, each in enumerate(value))

    def _lines(self, known: Field, value: Any, path: Path) -> LineChange:
        if value is None:
            return LineChange(whole=True)
        if isinstance(value, Mapping):
            if not set(value) <= {"add", "update", "remove"}:
                raise wrong_type(
                    known, path, "行列表或 {add, update, remove}", "a list of lines, or {add, update, remove}"
                )
            added = self._line_inputs(known, value.get("add") or (), [*path, "add"], with_id=False)
            updated = self._line_inputs(known, value.get("update") or (), [*path, "update"], with_id=True)
            gone = self._ids(known, value.get("remove") or (), [*path, "remove"])
            return LineChange(whole=False, put=(*added, *updated), remove=gone)
        return LineChange(whole=True, put=self._line_inputs(known, value, path, with_id=None))

    def _line_inputs(self, known: Field, value: Any, path: Path, *, with_id: bool | None) -> tuple[LineInput, ...]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            raise wrong_type(known, path, "行列表", "a list of lines")
        lines = []
        for at, each in enumerate(value):
            here = (*path, at)
            if not isinstance(each, Mapping):
                raise wrong_type(known, here, "一行", "a line")
            if (with_id is False and "id" in each) or (with_id and "id" not in each):
                raise UnknownInput(path=[*here, "id"], field="id", nearest="")
            line_id = as_id(known, each["id"], [*here, "id"]) if each.get("id") is not None else None
            lines.append(LineInput(line_id, {key: item for key, item in each.items() if key != "id"}, here))
        return tuple(lines)
