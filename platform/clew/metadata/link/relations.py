"""Lines and their owners; ways back; and the walk along a path of fields."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from clew.kernel.text import Bilingual
from clew.metadata import naming, rules
from clew.metadata.blueprint import Entity, Field, FieldKind, Inverse, Origin
from clew.metadata.link.drafts import EntityDraft
from clew.metadata.link.project import Linking
from clew.metadata.spec.field import LinesSpec, ManySpec, RefSpec
from clew.metadata.spec.words import text_of


def link_lines(linking: Linking) -> None:
    """Say for each line entity which field of its owner lists it."""
    for owner in linking.drafts.values():
        for name, field in owner.fields.items():
            if not isinstance(field.spec, LinesSpec) or (field.spec.of is None and field.spec.fields is None):
                continue
            line = linking.drafts.get(field.spec.of or f"{owner.name}_{name}")
            if line is None:
                continue
            if line.spec.part_of is None:
                linking.findings.add(rules.NOT_A_LINE, field.at("of"), name=line.name, owner=owner.name)
            elif line.spec.part_of != owner.name:
                linking.findings.add(
                    rules.LINE_OWNER, field.at("of"), line=line.name, part_of=line.spec.part_of, owner=owner.name
                )
            elif line.part_field not in (None, name):
                linking.findings.add(
                    rules.LINE_LISTED_TWICE,
                    field.key_place,
                    line=line.name,
                    related=[owner.fields[line.part_field or name].key_place],
                )
            else:
                line.part_field = name
    for line in linking.drafts.values():
        _check_line(linking, line)


def _check_line(linking: Linking, line: EntityDraft) -> None:
    owner = line.spec.part_of
    if owner is None or not linking.known_entity(owner, line.at("part_of"), "part_of"):
        return
    if line.part_field is None and owner not in linking.holes:
        linking.findings.add(
            rules.LINE_UNLISTED, line.at("part_of"), owner=owner, line=line.name, plural=naming.plural(line.name)
        )
    for key in ("states", "transitions", "number", "moved_by", "frozen_from", "per_site", "retention", "thread"):
        if getattr(line.spec, key):
            linking.findings.add(rules.NOT_FOR_LINES, line.at(key, key=True), key=key)
    if line.spec.scope == "site":
        linking.findings.add(rules.NOT_FOR_LINES, line.at("scope", key=True), key="scope: site")


def link_inverses(linking: Linking) -> None:
    """Ways back: explicit names first, then the plural of the source, then with `_as_<field>`."""
    taken: dict[str, dict[str, str]] = {
        name: {field: f"{name}.{field}" for field in entity.fields} for name, entity in linking.entities.items()
    }
    found: dict[str, dict[str, Inverse]] = {name: {} for name in linking.entities}
    waiting: list[tuple[Entity, Field]] = []
    names: dict[tuple[str, str], str] = {}
    for entity in linking.entities.values():
        for field in entity.fields.values():
            if field.origin is not Origin.DECLARED or field.kind not in (FieldKind.REF, FieldKind.MANY):
                continue
            if not field.targets or field.target not in found or (field.name == "owner" and entity.part_of):
                continue
            spec = linking.drafts[entity.name].fields[field.name].spec
            assert isinstance(spec, RefSpec | ManySpec)
            if spec.inverse == "none":
                continue
            if spec.inverse is None:
                waiting.append((entity, field))
            else:
                _add_inverse(linking, entity, field, spec.inverse, taken, found, names)
    for entity, field in waiting:
        name = entity.plural
        if name in taken[field.target]:
            name = f"{name}_as_{field.name}"
        _add_inverse(linking, entity, field, name, taken, found, names)
    for name, entity in linking.entities.items():
        fields = {
            each.name: replace(each, inverse=names.get((name, each.name)))
            if each.kind in (FieldKind.REF, FieldKind.MANY)
            else each
            for each in entity.fields.values()
        }
        linking.entities[name] = replace(
            entity, fields=MappingProxyType(fields), inverses=MappingProxyType(found[name])
        )


def _add_inverse(
    linking: Linking,
    entity: Entity,
    field: Field,
    name: str,
    taken: dict[str, dict[str, str]],
    found: dict[str, dict[str, Inverse]],
    names: dict[tuple[str, str], str],
) -> None:
    target = field.target
    draft = linking.drafts[entity.name].fields[field.name]
    if name in taken[target] or name in naming.RESERVED_MEMBERS or name in naming.ALWAYS_RESERVED:
        linking.findings.add(
            rules.INVERSE_TAKEN, draft.at("inverse", key=True), path=f"fields.{field.name}", name=name, target=target
        )
        return
    taken[target][name] = f"{entity.name}.{field.name}"
    single = field.kind is FieldKind.REF and field.unique
    label = linking.label(f"entity.{target}.field.{name}", Bilingual(), _back_label(entity, field, name))
    found[target][name] = Inverse(name, label, entity.name, field.name, single)
    names[(entity.name, field.name)] = name


def _back_label(entity: Entity, field: Field, name: str) -> Bilingual:
    """The source entity's label; with the field's when there are several ways back."""
    if name.endswith(f"_as_{field.name}"):
        return Bilingual(
            f"{entity.label.to('zh')}({field.label.to('zh')})", f"{entity.label.to('en')} ({field.label.to('en')})"
        )
    return entity.label


def line_owner_label(linking: Linking, owner: str) -> Bilingual:
    """What the `owner` of a line is called: its owner's name."""
    draft = linking.drafts.get(owner)
    return (text_of(draft.label) if draft else Bilingual()) or Bilingual("", naming.human(owner))
