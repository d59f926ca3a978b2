"""What a printed record shows, read through `records.query` for its reader: fields, lines, signatures.

Rows, conditions and masks are those of every other read. A reference is shown by its business key as far as the reader
may see it; what they may not see is not on the page at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from clew.kernel.errors import NotFound
from clew.metadata.blueprint import TEXTUAL, Entity, Field, FieldKind
from clew.records.engine import Engine
from clew.records.query import plan as p
from clew.records.query.run import prepare
from clew.records.signing.answers import SigningAnswers
from clew.records.signing.verify import Verifier
from clew.records.source import Source

_DEEPEST = 3
"""A key may be made of references whose keys are made of references."""
_SIGNED = (
    "printedName", "role", "meaning", "signedAt", "localTime", "timeZone", "reason", "validFor", "current", "verified",
    "erasedAt", "id",
)  # fmt: skip
_UNSAID = frozenset({"id", "row_version", "created_at", "created_by", "updated_at", "updated_by", "thread_id"})
"""Said at the head of the page, or of no use on paper."""
UNIT = "__unit"
"""Behind a field's name: the key of its unit among the values."""
_KEPT = ("created_at", "updated_at")


@dataclass(frozen=True, slots=True)
class Table:
    """Lines of a record: the shown fields of each, in its order."""

    of: Field
    fields: tuple[Field, ...]
    rows: tuple[Mapping[str, Any], ...]


@dataclass(slots=True)
class Printed:
    """One record as its reader sees it. `values` are in wire form; a reference is a list of the parts of its key."""

    entity: Entity
    id: UUID
    row_version: int | None
    key: str
    fields: tuple[Field, ...]
    values: Mapping[str, Any]
    tables: list[Table] = field(default_factory=list)
    signatures: list[Mapping[str, Any]] = field(default_factory=list)
    created_at: str | None = None
    updated_at: str | None = None


async def read(source: Source, entity_name: str, record_id: UUID) -> Printed:
    """Read a record for printing. Raises NotFound when there is none that the reader may see, whatever the reason."""
    entity = source.blueprint.entities.get(entity_name)
    if entity is None or not source.decision.on(entity_name).read.allowed or entity.part_of is not None:
        raise NotFound(what=entity_name)
    reader = _Reader(source)
    found = await reader.fetch(entity, record_id)
    if found is None:
        raise NotFound(what=f"{entity_name} {record_id}")
    fields = tuple(reader.shown(entity))
    page = Printed(
        entity,
        record_id,
        found.get("row_version"),
        "/".join(parts_of(found.get("key"))) or str(record_id),
        tuple(each for each in fields if each.kind is not FieldKind.LINES),
        found,
        created_at=found.get("created_at"),
        updated_at=found.get("updated_at"),
    )
    for each in fields:
        if each.kind is FieldKind.LINES:
            line = source.blueprint.entities[each.target]
            page.tables.append(Table(each, tuple(reader.shown(line)), tuple(found[each.name]["nodes"])))
    page.signatures = list((found.get("signatures") or {}).get("nodes") or ())
    return page


class _Reader:
    """Builds the plan of a page and runs it."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._entities = source.blueprint.entities

    async def fetch(self, entity: Entity, record_id: UUID) -> dict[str, Any] | None:
        source = self._source
        verifier = Verifier(Engine(source.blueprint, source.tables, ""), source.blobs)
        plan = p.Plan((p.RecordRoot("record", entity.name, (("id", p.Slot("id")),), tuple(self._items(entity))),))
        prepared = prepare(
            plan,
            source.blueprint,
            source.tables,
            source.decision,
            source.database.dialect,
            session=source.context.session is not None,
            after=SigningAnswers(verifier).complete,
        )
        async with source.database.read() as connection:
            text = await prepared.fetch(connection, {"id": record_id}, source.context, source.now)
        found: dict[str, Any] | None = json.loads(text)["record"]
        return found

    def shown(self, entity: Entity) -> Iterator[Field]:
        """The fields of an entity that are printed for this reader."""
        access = self._source.decision.on(entity.name)
        for each in entity.fields.values():
            if each.name in _UNSAID or each.name == "owner" or not access.sees(each.name):
                continue
            if each.kind in (FieldKind.REF, FieldKind.MANY, FieldKind.LINES) and not self._reads(each.target):
                continue
            if each.kind is FieldKind.LINES and (each.computed is not None or entity.part_of is not None):
                continue
            if each.kind is FieldKind.ANY and not any(self._reads(name) for name in each.targets):
                continue
            yield each

    def _reads(self, entity: str) -> bool:
        return self._source.decision.on(entity).read.allowed

    def _items(self, entity: Entity) -> Iterator[p.Item]:
        access = self._source.decision.on(entity.name)
        for name in ("row_version", *_KEPT):
            if name in entity.fields and access.sees(name):
                yield p.Leaf(name, name)
        for each in self.shown(entity):
            yield self._item(each)
            if each.unit is not None and (unit := self._unit(entity, each.unit.split("."), each.name + UNIT)):
                yield unit
        if entity.part_of is None:
            yield p.Nested("key", "id", tuple(self._key(entity)))
            if entity.states:
                members = tuple(p.VersionItem(name, name) for name in _SIGNED)
                nodes = p.VersionItem("nodes", "nodes", members=members)
                yield p.Signatures("signatures", (nodes,), p.WHOLE.size)

    def _item(self, known: Field) -> p.Item:
        match known.kind:
            case FieldKind.REF:
                return p.One(known.name, known.name, tuple(self._key(self._entities[known.target])))
            case FieldKind.MANY:
                nodes = p.Nodes("nodes", tuple(self._key(self._entities[known.target])))
                return p.Many(known.name, known.name, p.Listing(known.target, (nodes,), p.WHOLE))
            case FieldKind.LINES:
                line = self._entities[known.target]
                nodes = p.Nodes("nodes", tuple(self._items(line)))
                return p.Many(known.name, known.name, p.Listing(line.name, (nodes,), p.WHOLE))
            case FieldKind.ANY:
                names = [name for name in known.targets if self._reads(name)]
                branches = [p.Branch(name, tuple(self._key(self._entities[name]))) for name in names]
                return p.OneOf(known.name, known.name, tuple(branches))
            case FieldKind.FILES:
                return p.Elements(known.name, known.name, (("name", "name"), ("sha256", "sha256")))
            case FieldKind.MONEY:
                parts = (p.Leaf("amount", known.name, "amount"), p.Leaf("currency", known.name, "currency"))
                return p.Nested(known.name, known.name, parts)
            case FieldKind.TRANSLATED:
                return p.Leaf(known.name, known.name, self._source.context.locale)
        return p.Leaf(known.name, known.name)

    def _unit(self, entity: Entity, path: Sequence[str], key: str) -> p.Item | None:
        """The unit that a path over references leads to; None for a plain code and for what the reader does not see."""
        known = entity.fields.get(path[0])
        if known is None or not self._source.decision.on(entity.name).sees(known.name):
            return None
        if known.kind is not FieldKind.REF:
            return p.Leaf(key, known.name) if len(path) == 1 and known.kind in TEXTUAL else None
        if not self._reads(known.target):
            return None
        target = self._entities[known.target]
        if len(path) == 1:
            return p.One(key, known.name, tuple(self._key(target)))
        inner = self._unit(target, path[1:], "k0")
        return p.One(key, known.name, (inner,)) if inner is not None else None

    def _key(self, entity: Entity, depth: int = _DEEPEST) -> Iterator[p.Item]:
        """What names a record to people, as far as the reader sees it; its id where nothing does."""
        access, parts = self._source.decision.on(entity.name), list[p.Item]()
        names = entity.key or (("number",) if "number" in entity.fields else ())
        for at, name in enumerate(names):
            known = entity.fields[name]
            if not access.sees(name):
                continue
            if known.kind is FieldKind.REF:
                if depth and self._reads(known.target):
                    parts.append(p.One(f"k{at}", name, tuple(self._key(self._entities[known.target], depth - 1))))
            elif known.kind is FieldKind.TRANSLATED:
                parts.append(p.Leaf(f"k{at}", name, self._source.context.locale))
            elif known.kind not in (FieldKind.MANY, FieldKind.ANY, FieldKind.MONEY, FieldKind.LINES):
                parts.append(p.Leaf(f"k{at}", name))
        yield from parts or [p.Leaf("k0", "id")]


def parts_of(found: Any) -> list[str]:
    """The parts of a key, flat."""
    if isinstance(found, Mapping):
        return [text for each in found.values() for text in parts_of(each)]
    return [] if found is None else [str(found)]
