"""Uniqueness, ranges that must not overlap, relations that must not come back, indexes."""

from __future__ import annotations

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.metadata import rules
from clew.metadata.blueprint import Acyclic, Entity, FieldKind, NoOverlap, Unique
from clew.metadata.link.drafts import EntityDraft, Sourced
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.source import find

_NOT_COLUMNS = frozenset({FieldKind.FILES, FieldKind.JSON, FieldKind.TRANSLATED, FieldKind.CHOICES})


def _column(linking: Linking, entity: Entity, name: str, place: Place, path: str) -> bool:
    """True when the field is a stored single value of the row itself; otherwise a finding."""
    field = entity.fields.get(name)
    if field is None:
        linking.unknown(rules.UNKNOWN_FIELD, place, name, entity.fields, path, entity=entity.name)
        return False
    if not field.stored or field.kind in _NOT_COLUMNS:
        linking.findings.add(
            rules.BAD_FIELD_USE,
            place,
            path=path,
            name=name,
            reason="a stored single value is needed",
            reason_zh="须为存储的单值字段",
        )
        return False
    return True


def _columns(linking: Linking, entity: Entity, each: Sourced[object], names: tuple[str, ...], key: str) -> bool:
    node = find(each.node, key) if key else each.node
    results = [_column(linking, entity, name, find(node, index).place, each.path) for index, name in enumerate(names)]
    return all(results)


def _while(expressions: Expressions, entity: Entity, each: Sourced[object], text: str | None) -> Checked | None:
    """A condition over the row's own stored columns: it becomes part of an index."""
    node = each.at_node("while")
    checked = expressions.condition(text, node, entity.name, f"{each.path}.while", database=True)
    if checked is None:
        return None
    for path in sorted(checked.reads):
        field = entity.fields.get(path[0])
        if len(path) > 1 or field is None or not field.stored:
            expressions.linking.findings.add(rules.NOT_SAME_ROW, node.place, path=each.path, read=".".join(path))
            return None
    for use in sorted(checked.uses):
        expressions.linking.findings.add(rules.NOT_SAME_ROW, node.place, path=each.path, read=use)
        return None
    return checked


MOST_TOGETHER = 16
"""Fields of one uniqueness: an index of PostgreSQL has 32 columns, and some fields have two."""


def uniques(linking: Linking, expressions: Expressions, draft: EntityDraft, entity: Entity) -> tuple[Unique, ...]:
    """The declared ones, `unique: true` on fields, and the business key."""
    found: list[Unique] = []
    for each in draft.uniques:
        spec = each.spec
        key = "fields" if find(each.node, "fields") is not each.node else ""
        if not _columns(linking, entity, each, spec.fields, key):
            continue
        if len(spec.fields) > MOST_TOGETHER:
            linking.findings.add(
                rules.BAD_VALUE,
                each.node.place,
                path=each.path,
                value=", ".join(spec.fields)[:60],
                reason=f"at most {MOST_TOGETHER} fields are unique together",
                reason_zh=f"最多 {MOST_TOGETHER} 个字段一起唯一",
            )
            continue
        suffix = "_while" if spec.while_ else ""
        name = f"{'_'.join(spec.fields)}{suffix}"
        if any(other.name == name for other in found):
            name = f"{name}_{len(found) + 1}"
        found.append(
            Unique(name, spec.fields, each.node.place, _while(expressions, entity, each, spec.while_), spec.ignore_case)
        )
    declared = {unique.fields for unique in found if unique.while_ is None}
    for field in entity.fields.values():
        if field.unique and (field.name,) not in declared:
            found.append(Unique(field.name, (field.name,), field.place))
            declared.add((field.name,))
    if entity.key and entity.key not in declared and not any(set(each) <= set(entity.key) for each in declared):
        found.append(Unique("key", entity.key, draft.at("key")))
    return tuple(found)


def no_overlaps(
    linking: Linking, expressions: Expressions, draft: EntityDraft, entity: Entity
) -> tuple[NoOverlap, ...]:
    found: list[NoOverlap] = []
    for each in draft.no_overlaps:
        spec = each.spec
        good = _columns(linking, entity, each, spec.range, "range")
        good &= _columns(linking, entity, each, spec.per, "per")
        if not good:
            continue
        start, end = (entity.fields[name].kind for name in spec.range)
        if start is not end or start not in (FieldKind.DATE, FieldKind.DATETIME):
            linking.findings.add(rules.RANGE_TYPES, each.at("range"), path=each.path)
            continue
        found.append(
            NoOverlap(
                spec.range[0], spec.range[1], spec.per, each.node.place, _while(expressions, entity, each, spec.while_)
            )
        )
    return tuple(found)


def acyclics(linking: Linking, expressions: Expressions, draft: EntityDraft, entity: Entity) -> tuple[Acyclic, ...]:
    """Both ends of an edge are records of one entity; without `from`, the record itself is the beginning."""
    found: list[Acyclic] = []
    for each in draft.acyclics:
        spec = each.spec
        begins = entity.name if spec.from_ is None else _end(linking, entity, spec.from_, each.at("from"), each.path)
        ends = _end(linking, entity, spec.to, each.at("to"), each.path)
        if begins is None or ends is None:
            continue
        if begins != ends:
            linking.findings.add(
                rules.ACYCLIC_TARGET, each.at("to"), path=each.path, name=spec.to, found=ends, expected=begins
            )
            continue
        while_ = expressions.condition(
            spec.while_, each.at_node("while"), entity.name, f"{each.path}.while", database=True
        )
        found.append(Acyclic(spec.from_ or "id", spec.to, each.node.place, while_))
    return tuple(found)


def _end(linking: Linking, entity: Entity, path: str, place: Place, where: str) -> str | None:
    """The entity that a path of references ends at."""
    field = linking.walk(entity.name, path, place, where)
    if field is None:
        return None
    if field.kind not in (FieldKind.REF, FieldKind.MANY) or not field.targets:
        if field.kind is not FieldKind.REF:
            linking.findings.add(
                rules.BAD_FIELD_USE,
                place,
                path=where,
                name=path,
                reason="it is not a reference",
                reason_zh="它不是引用",
            )
        return None
    return field.target


def indexes(linking: Linking, draft: EntityDraft, entity: Entity) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(each.spec for each in draft.indexes if _columns(linking, entity, each, each.spec, "")))
