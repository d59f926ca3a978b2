"""Entities as they are being linked: the declared ones, those that lines and per-site values generate, overlays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from clew.kernel.diagnostics import Findings, Place, nearest
from clew.metadata import rules
from clew.metadata.documents import Document
from clew.metadata.source import AnyNode, find, place_of
from clew.metadata.spec.entity import (
    AcyclicSpec,
    EntitySpec,
    NoOverlapSpec,
    OverlaySpec,
    PostingSpec,
    RuleSpec,
    UniqueSpec,
)
from clew.metadata.spec.field import FieldSpec, LinesSpec, TightenedField
from clew.metadata.spec.words import Label

T = TypeVar("T", covariant=True)


@dataclass(slots=True)
class FieldDraft:
    """A declared field and where it stands."""

    name: str
    spec: FieldSpec
    node: AnyNode
    key_place: Place
    tightened: list[tuple[TightenedField, AnyNode]] = field(default_factory=list)

    def at(self, *path: str | int, key: bool = False) -> Place:
        return place_of(self.node, *path, key=key)


@dataclass(slots=True)
class Sourced(Generic[T]):
    """A part of an entity, the node it was read from and its YAML path; its overlay's node when it came from one."""

    spec: T
    node: AnyNode
    path: str

    def at(self, *path: str | int) -> Place:
        return place_of(self.node, *path)

    def at_node(self, *path: str | int) -> AnyNode:
        return find(self.node, *path)


@dataclass(slots=True)
class EntityDraft:
    """An entity while it is being linked."""

    name: str
    spec: EntitySpec
    node: AnyNode
    place: Place
    fields: dict[str, FieldDraft] = field(default_factory=dict)
    part_field: str | None = None
    generated_by: str = ""
    """For inline lines and per-site values: the field of the owner."""
    label: Label | None = None
    uniques: list[Sourced[UniqueSpec]] = field(default_factory=list)
    no_overlaps: list[Sourced[NoOverlapSpec]] = field(default_factory=list)
    acyclics: list[Sourced[AcyclicSpec]] = field(default_factory=list)
    indexes: list[Sourced[tuple[str, ...]]] = field(default_factory=list)
    rules: list[Sourced[RuleSpec]] = field(default_factory=list)
    posts: list[Sourced[PostingSpec]] = field(default_factory=list)

    def at(self, *path: str | int, key: bool = False) -> Place:
        if self.generated_by:
            return self.place
        return place_of(self.node, *path, key=key)


def collect(documents: Iterable[Document], findings: Findings) -> dict[str, EntityDraft]:
    """All entities by name, declared and generated, with overlays applied in the order given."""
    drafts: dict[str, EntityDraft] = {}
    overlays: list[Document] = []
    for document in documents:
        if isinstance(document.spec, OverlaySpec):
            overlays.append(document)
            continue
        spec = document.spec
        assert isinstance(spec, EntitySpec)
        draft = EntityDraft(spec.entity, spec, document.node, document.place, label=spec.label)
        _fields(draft, spec.fields, find(document.node, "fields"), findings)
        _constraints(draft, spec, document.node)
        if _add(drafts, draft, findings):
            for generated in _generated(draft, findings):
                _add(drafts, generated, findings)
    for document in overlays:
        _overlay(drafts, document, findings)
    return drafts


def _add(drafts: dict[str, EntityDraft], draft: EntityDraft, findings: Findings) -> bool:
    earlier = drafts.get(draft.name)
    if earlier is not None:
        findings.add(
            rules.DUPLICATE_NAME, draft.place, kind="entities", kind_zh="实体", name=draft.name, related=[earlier.place]
        )
        return False
    drafts[draft.name] = draft
    return True


def _fields(draft: EntityDraft, specs: Mapping[str, FieldSpec], node: AnyNode, findings: Findings) -> None:
    for name, spec in specs.items():
        draft.fields[name] = FieldDraft(name, spec, find(node, name), place_of(node, name, key=True))


def _constraints(draft: EntityDraft, spec: EntitySpec | OverlaySpec, node: AnyNode) -> None:
    def sourced(key: str, index: int) -> tuple[AnyNode, str]:
        return find(node, key, index), f"{key}.{index}"

    draft.uniques += [Sourced(each, *sourced("unique", at)) for at, each in enumerate(spec.unique)]
    draft.no_overlaps += [Sourced(each, *sourced("no_overlap", at)) for at, each in enumerate(spec.no_overlap)]
    draft.acyclics += [Sourced(each, *sourced("acyclic", at)) for at, each in enumerate(spec.acyclic)]
    draft.indexes += [Sourced(each, *sourced("index", at)) for at, each in enumerate(spec.index)]
    draft.rules += [Sourced(each, *sourced("rules", at)) for at, each in enumerate(spec.rules)]
    draft.posts += [Sourced(each, *sourced("posts", at)) for at, each in enumerate(spec.posts)]


def _generated(owner: EntityDraft, findings: Findings) -> list[EntityDraft]:
    """The line entities that inline lines and per-site values stand for."""
    made: list[EntityDraft] = []
    for name, each in owner.fields.items():
        if not isinstance(each.spec, LinesSpec) or each.spec.fields is None:
            continue
        labels = {"label": each.spec.label, "help": each.spec.help}
        spec = _line_spec(owner, f"{owner.name}_{name}", _earlier(owner, name, *each.spec.renamed_from), **labels)
        draft = EntityDraft(
            spec.entity, spec, each.node, each.key_place, part_field=name, generated_by=name, label=each.spec.label
        )
        _fields(draft, each.spec.fields, find(each.node, "fields"), findings)
        for inner in draft.fields.values():
            if isinstance(inner.spec, LinesSpec):
                findings.add(rules.LINES_NESTED, inner.key_place)
        made.append(draft)
    if owner.spec.per_site:
        made.append(_per_site(owner, findings))
    return made


def _line_spec(owner: EntityDraft, name: str, earlier: tuple[str, ...], **more: Any) -> EntitySpec:
    """A generated line entity: of its owner's class, system and steward."""
    traits: dict[str, Any] = {"part_of": owner.name, "class": owner.spec.class_, "system": owner.spec.system}
    return EntitySpec(entity=name, steward=owner.spec.steward, renamed_from=earlier, **traits, **more)


def _earlier(owner: EntityDraft, *names: str) -> tuple[str, ...]:
    """What lines were called when their owner, or their field, had another name."""
    every = [f"{each}_{name}" for each in (owner.name, *owner.spec.renamed_from) for name in names]
    return tuple(every[1:])


def _per_site(owner: EntityDraft, findings: Findings) -> EntityDraft:
    spec = _line_spec(owner, f"{owner.name}_per_site", _earlier(owner, "per_site"), key=("owner", "site"))
    place = owner.at("per_site", key=True)
    draft = EntityDraft(
        spec.entity, spec, owner.node, place, part_field="per_site", generated_by="per_site", label=owner.label
    )
    _fields(draft, owner.spec.per_site, find(owner.node, "per_site"), findings)
    lines = LinesSpec(type="lines", of=spec.entity, label=Label(zh="按工厂", en="Per site"))
    if "per_site" in owner.fields:
        findings.add(
            rules.DUPLICATE_NAME,
            owner.fields["per_site"].key_place,
            kind="fields",
            kind_zh="字段",
            name="per_site",
            related=[place],
        )
    owner.fields["per_site"] = FieldDraft("per_site", lines, find(owner.node, "per_site"), place)
    return draft


def _overlay(drafts: dict[str, EntityDraft], document: Document, findings: Findings) -> None:
    spec = document.spec
    assert isinstance(spec, OverlaySpec)
    draft = drafts.get(spec.entity)
    if draft is None:
        findings.add(rules.UNKNOWN_ENTITY, document.place, name=spec.entity, nearest=nearest(spec.entity, drafts))
        return
    node = find(document.node, "fields")
    for name, each in spec.fields.items():
        known = draft.fields.get(name)
        if isinstance(each, TightenedField):
            if known is None:
                findings.add(
                    rules.UNKNOWN_FIELD,
                    place_of(node, name, key=True),
                    path=f"fields.{name}",
                    name=name,
                    entity=draft.name,
                    nearest=nearest(name, draft.fields),
                )
            else:
                known.tightened.append((each, find(node, name)))
        elif known is not None:
            findings.add(
                rules.OVERLAY_LOOSENS,
                place_of(node, name, key=True),
                related=[known.key_place],
                reason=f"the field {name} exists already; leave out its type to tighten it",
                reason_zh=f"字段 {name} 已存在;如要收紧请不要写 type",
            )
        else:
            draft.fields[name] = FieldDraft(name, each, find(node, name), place_of(node, name, key=True))
    _constraints(draft, spec, document.node)
