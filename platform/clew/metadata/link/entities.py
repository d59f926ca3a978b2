"""Drafts to entities without expressions: envelope, traits, fields, states. Expressions come once all are known."""

from __future__ import annotations

from types import MappingProxyType

from clew.kernel.text import Bilingual
from clew.metadata import naming, rules
from clew.metadata.blueprint import Entity, EntityClass, Field, FieldKind, Retention, State
from clew.metadata.link.drafts import EntityDraft, FieldDraft
from clew.metadata.link.envelope import (
    corrects_field,
    envelope,
    legal_hold_field,
    number_field,
    owner_field,
    site_field,
    state_field,
    trait_names,
)
from clew.metadata.link.fields import build_field
from clew.metadata.link.project import Linking
from clew.metadata.link.relations import line_owner_label
from clew.metadata.link.tighten import tightened
from clew.metadata.spec.entity import NumberRule
from clew.metadata.spec.field import RefSpec
from clew.metadata.spec.words import text_of


def link_entities(linking: Linking) -> None:
    """Fill `linking.entities`, in the order of the drafts."""
    for draft in linking.drafts.values():
        linking.entities[draft.name] = _entity(linking, draft)


MOST_FIELDS = 500
"""Fields of an entity: a table of PostgreSQL has 1,600 columns over its whole life, and what is removed stays in it."""


def _entity(linking: Linking, draft: EntityDraft) -> Entity:
    spec = draft.spec
    label = linking.label(f"entity.{draft.name}", _label(linking, draft), Bilingual("", naming.human(draft.name)))
    if draft.name in naming.RESERVED_TYPES:
        linking.findings.add(
            rules.RESERVED_NAME,
            draft.place,
            name=draft.name,
            reason="It is a type of the API.",
            reason_zh="它是接口自身的类型名。",
        )
    fields = _all_fields(linking, draft)
    if len(fields) > MOST_FIELDS:
        linking.findings.add(
            rules.BAD_VALUE,
            draft.at("fields", key=True),
            path="fields",
            value=draft.name,
            reason=f"an entity has at most {MOST_FIELDS} fields, and this one has {len(fields)}",
            reason_zh=f"一个实体最多 {MOST_FIELDS} 个字段,此处有 {len(fields)} 个",
        )
    states = {}
    if spec.states:
        codes = linking.code_lists[f"{draft.name}_state"].codes
        for index, name in enumerate(spec.states):
            step = name if isinstance(spec.states, dict) else index
            states[name] = State(name, codes[name].label if name in codes else Bilingual(), draft.at("states", step))
    retention = spec.retention
    return Entity(
        name=draft.name,
        label=label,
        place=draft.place,
        cls=EntityClass(spec.class_),
        fields=MappingProxyType(fields),
        plural=_plural(draft),
        help=linking.label(f"entity.{draft.name}.help", text_of(spec.help)),
        system=spec.system,
        steward=spec.steward or "",
        part_of=spec.part_of,
        part_field=draft.part_field,
        key=_key(linking, draft, fields),
        site_scoped=spec.scope == "site",
        frozen_from=spec.frozen_from,
        states=MappingProxyType(states),
        initial=next(iter(spec.states), None),
        moved_by=spec.moved_by,
        retention=Retention(
            None if retention.years == "forever" else int(retention.years), retention.after, retention.basis
        )
        if retention
        else None,
        derived=spec.derived,
        thread=spec.thread,
        renamed_from=spec.renamed_from,
    )


def _plural(draft: EntityDraft) -> str:
    """The plural; generated line entities are named after a field that is a plural already."""
    if draft.generated_by == "per_site":
        return f"{naming.plural(draft.spec.part_of or '')}_per_site"
    if draft.generated_by:
        return f"{draft.name}_lines"
    return draft.spec.plural or naming.plural(draft.name)


def _label(linking: Linking, draft: EntityDraft) -> Bilingual:
    """Its own label. Generated lines are called like the owner and the field, `Item – per site`."""
    own = text_of(draft.label)
    if not draft.generated_by:
        return own
    owner = linking.drafts[draft.spec.part_of or ""]
    whose = text_of(owner.label) or Bilingual("", naming.human(owner.name))
    what = Bilingual("按工厂", "per site") if draft.generated_by == "per_site" else own
    what = what or Bilingual("", naming.human(draft.generated_by))
    return Bilingual(f"{whose.to('zh')}·{what.to('zh')}", f"{whose.to('en')} – {what.to('en')}")


def _all_fields(linking: Linking, draft: EntityDraft) -> dict[str, Field]:
    spec, place = draft.spec, draft.place
    fields = {field.name: field for field in envelope(place)}
    if spec.part_of is not None:
        fields["owner"] = owner_field(spec.part_of, line_owner_label(linking, spec.part_of), place)
    sited = spec.scope == "site" or draft.generated_by == "per_site"
    if sited and linking.known_entity("site", draft.at("scope"), "scope"):
        fields["site"] = site_field(place)
    if spec.number is not None:
        rule = spec.number.rule if isinstance(spec.number, NumberRule) else f"{draft.name}_number"
        fields["number"] = number_field(rule, draft.at("number", key=True))
    taken = trait_names(spec) | ({"site"} if draft.generated_by == "per_site" else frozenset())
    for name, each in draft.fields.items():
        if _declarable(linking, draft, each, taken):
            field = build_field(linking, draft, each)
            fields[name] = tightened(linking, field, each) if each.tightened else field
    if spec.states:
        fields["state"] = state_field(f"{draft.name}_state", draft.at("states", key=True))
    if "corrects" in taken:
        fields["corrects"] = corrects_field(draft.name, place)
    if spec.retention is not None:
        fields["legal_hold"] = legal_hold_field(draft.at("retention", key=True))
    return fields


def _declarable(linking: Linking, draft: EntityDraft, field: FieldDraft, taken: frozenset[str]) -> bool:
    """False, with a finding, for a name that the platform gives. A line may repeat its `owner` reference."""
    name = field.name
    if name == "owner" and draft.spec.part_of is not None:
        if isinstance(field.spec, RefSpec) and field.spec.of == draft.spec.part_of:
            return False
        linking.findings.add(
            rules.RESERVED_NAME,
            field.key_place,
            path=f"fields.{name}",
            name=name,
            reason="It is the reference of a line to its owner.",
            reason_zh="它是明细对主记录的引用。",
        )
        return False
    if name in naming.ALWAYS_RESERVED or name in taken:
        linking.findings.add(
            rules.RESERVED_NAME,
            field.key_place,
            path=f"fields.{name}",
            name=name,
            reason="Every record has it already; do not declare it.",
            reason_zh="每条记录已自带该字段,请勿声明。",
        )
        return False
    if name in naming.RESERVED_MEMBERS:
        linking.findings.add(
            rules.RESERVED_NAME,
            field.key_place,
            path=f"fields.{name}",
            name=name,
            reason="It means something else in expressions or in the API.",
            reason_zh="它在表达式或接口中另有含义。",
        )
        return False
    return True


def _key(linking: Linking, draft: EntityDraft, fields: dict[str, Field]) -> tuple[str, ...]:
    """The business key. Every part must be a stored single value."""
    key = draft.spec.key or (("number",) if "number" in fields else ())
    if not key and draft.spec.part_of is None:
        linking.findings.add(rules.NO_KEY, draft.place, entity=draft.name)
    for index, name in enumerate(draft.spec.key):
        field = fields.get(name)
        if field is None:
            linking.unknown(rules.UNKNOWN_FIELD, draft.at("key", index), name, fields, "key", entity=draft.name)
        elif not field.stored or field.kind in (
            FieldKind.FILES,
            FieldKind.JSON,
            FieldKind.TRANSLATED,
            FieldKind.CHOICES,
        ):
            linking.findings.add(
                rules.BAD_FIELD_USE,
                draft.at("key", index),
                path="key",
                name=name,
                reason="a key needs stored single values",
                reason_zh="主键须为存储的单值字段",
            )
    return tuple(name for name in key if name in fields)
