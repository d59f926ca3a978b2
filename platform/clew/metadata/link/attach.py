"""Everything in an entity that is an expression or refers to states and fields, attached to the half-linked entity."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from clew.expressions.tree import Checked
from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.blueprint import Entity, Field, FieldKind, RecordRule, Transition
from clew.metadata.link.active import named_sites, switched_on
from clew.metadata.link.constraints import acyclics, indexes, no_overlaps, uniques
from clew.metadata.link.drafts import EntityDraft, FieldDraft
from clew.metadata.link.expressions import TITLE, Expressions
from clew.metadata.link.postings import postings
from clew.metadata.link.project import Linking
from clew.metadata.link.titles import default_title
from clew.metadata.naming import human
from clew.metadata.source import find
from clew.metadata.spec.words import text_of


def attach(linking: Linking, expressions: Expressions, draft: EntityDraft) -> Entity:
    """The complete entity."""
    entity = linking.entities[draft.name]
    fields = {
        name: _field(linking, expressions, draft.name, field, draft.fields.get(name))
        for name, field in entity.fields.items()
    }
    spec = draft.spec
    title = None
    if spec.title is not None:
        title = expressions.check(spec.title, find(draft.node, "title"), entity.name, TITLE, "title")
    else:
        source = default_title(linking.entities, entity)
        if source:
            title = expressions.check(source, draft.node, entity.name, TITLE, "title")
    return replace(
        entity,
        fields=MappingProxyType(fields),
        title=title,
        transitions=MappingProxyType(_transitions(linking, expressions, draft, entity)),
        rules=_rules(linking, expressions, draft),
        uniques=uniques(linking, expressions, draft, entity),
        no_overlaps=no_overlaps(linking, expressions, draft, entity),
        acyclics=acyclics(linking, expressions, draft, entity),
        indexes=indexes(linking, draft, entity),
        postings=postings(linking, expressions, draft),
    )


def _field(linking: Linking, expressions: Expressions, entity: str, field: Field, draft: FieldDraft | None) -> Field:
    if draft is None and field.name == "legal_hold":
        where = linking.drafts[entity].node
        return replace(field, default=expressions.value(False, where, entity, field, "retention"))
    if draft is None:
        return field
    changes: dict[str, Any] = {}
    path = f"fields.{field.name}"
    computed = getattr(draft.spec, "computed", None)
    if computed is not None:
        changes["computed"] = expressions.value(computed, find(draft.node, "is"), entity, field, f"{path}.is")
    default = getattr(draft.spec, "default", None)
    if default is not None:
        changes["default"] = expressions.value(default, find(draft.node, "default"), entity, field, f"{path}.default")
    changes["required_when"] = _joined(expressions, entity, draft, "required_when", "||", entity)
    if field.kind in (FieldKind.MANY, FieldKind.LINES):
        changes["keep_when"] = _joined(expressions, entity, draft, "keep_when", "||", entity)
    if field.targets and field.kind in (FieldKind.REF, FieldKind.MANY):
        changes["where"] = _joined(expressions, field.target, draft, "where", "&&", entity)
    return replace(field, **{name: value for name, value in changes.items() if value is not None})


def _joined(
    expressions: Expressions, of: str, draft: FieldDraft, key: str, operator: str, entity: str
) -> Checked | None:
    """The field's own condition, joined with those of overlays."""
    given = [
        (getattr(draft.spec, key, None), draft.node),
        *((getattr(spec, key), node) for spec, node in draft.tightened),
    ]
    parts = [(text, find(node, key)) for text, node in given if text is not None]
    far = key == "where"
    found = [expressions.condition(text, node, of, f"fields.{draft.name}.{key}", database=far) for text, node in parts]
    if len(parts) < 2 or None in found:
        return found[0] if found else None
    whole = f" {operator} ".join(f"({text})" for text, _ in parts)
    return expressions.condition(whole, parts[0][1], of, f"fields.{draft.name}.{key}")


def _transitions(
    linking: Linking, expressions: Expressions, draft: EntityDraft, entity: Entity
) -> dict[str, Transition]:
    spec = draft.spec
    for key in ("transitions", "moved_by", "frozen_from"):
        if getattr(spec, key) and not spec.states:
            linking.findings.add(rules.NO_STATES, draft.at(key, key=True), path=key, key=key)
            return {}
    if spec.frozen_from is not None:
        _state(linking, draft, entity, spec.frozen_from, "frozen_from")
    found: dict[str, Transition] = {}
    for name, move in spec.transitions.items():
        node = find(draft.node, "transitions", name)
        path = f"transitions.{name}"
        for index, source in enumerate(move.sources):
            _state(linking, draft, entity, source, "transitions", name, "from", index)
        _state(linking, draft, entity, move.to, "transitions", name, "to")
        sets: list[tuple[str, Checked]] = []
        for target, given in move.sets.items():
            field = entity.fields.get(target)
            place = draft.at("transitions", name, "sets", target, key=True)
            if field is None:
                linking.unknown(rules.UNKNOWN_FIELD, place, target, entity.fields, f"{path}.sets", entity=entity.name)
            elif target == "state" or not field.stored or field.origin == "envelope":
                linking.findings.add(
                    rules.BAD_FIELD_USE,
                    place,
                    path=f"{path}.sets",
                    name=target,
                    reason="a transition cannot set it",
                    reason_zh="迁移不能设置该字段",
                )
            else:
                checked = expressions.value(
                    given,
                    find(node, "sets", target),
                    entity.name,
                    field,
                    f"{path}.sets.{target}",
                    must=field.required,
                    old=True,
                )
                if checked:
                    sets.append((target, checked))
        found[name] = Transition(
            name=name,
            label=linking.label(
                f"entity.{entity.name}.transition.{name}", text_of(move.label), Bilingual("", human(name))
            ),
            sources=move.sources,
            target=move.to,
            place=draft.at("transitions", name, key=True),
            when=expressions.condition(move.when, find(node, "when"), entity.name, f"{path}.when", old=True),
            say=linking.label(f"entity.{entity.name}.transition.{name}.say", text_of(move.say)),
            sign=move.sign,
            reason=move.reason == "required",
            moved_by=move.moved_by or spec.moved_by,
            sets=tuple(sets),
            protects=move.protects,
        )
    if all(state in entity.states for move in found.values() for state in (*move.sources, move.target)):
        _reachable(linking, draft, entity, found)
    return found


def _state(linking: Linking, draft: EntityDraft, entity: Entity, name: str, *path: str | int) -> None:
    if name not in entity.states:
        linking.unknown(
            rules.UNKNOWN_STATE, draft.at(*path), name, entity.states, ".".join(map(str, path)), entity=entity.name
        )


def _reachable(linking: Linking, draft: EntityDraft, entity: Entity, moves: dict[str, Transition]) -> None:
    """Warn of states that no way leads to, unless nothing is declared (a process may move them all)."""
    if not moves:
        return
    reached = {entity.initial}
    growing = True
    while growing:
        more = {move.target for move in moves.values() if reached & set(move.sources)} - reached
        reached |= more
        growing = bool(more)
    for name, state in entity.states.items():
        if name not in reached:
            linking.findings.add(rules.STATE_UNREACHABLE, state.place, path="states", name=name)


def _rules(linking: Linking, expressions: Expressions, draft: EntityDraft) -> tuple[RecordRule, ...]:
    found: list[RecordRule] = []
    names: dict[str, RecordRule] = {}
    for index, each in enumerate(draft.rules):
        spec = each.spec
        name = spec.name or f"rule_{index + 1}"
        place = each.node.place
        if (spec.require is None) == (spec.forbid is None):
            linking.findings.add(rules.MISSING_KEY, place, path=each.path, key="require / forbid")
            continue
        if name in names:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                each.at("name"),
                path=each.path,
                kind="rules",
                kind_zh="规则",
                name=name,
                related=[names[name].place],
            )
        entity = linking.entities[draft.name]
        for at, field in enumerate(spec.fields):
            if field not in entity.fields:
                linking.unknown(
                    rules.UNKNOWN_FIELD,
                    each.at("fields", at),
                    field,
                    entity.fields,
                    f"{each.path}.fields",
                    entity=draft.name,
                )
        key = "require" if spec.require is not None else "forbid"
        text = spec.require if spec.require is not None else spec.forbid
        condition = expressions.condition(text, each.at_node(key), draft.name, f"{each.path}.{key}", old=True)
        if condition is None:
            continue
        whole = f"!({spec.forbid})" if spec.forbid is not None else spec.require or ""
        if spec.active is not None:
            named_sites(linking, spec.active, each.at_node("active"))
            switched = switched_on(linking, entity, spec.active, each.at("active"), each.path)
            whole = f"!({switched}) || ({whole})" if switched else whole
        if whole != text:
            condition = expressions.condition(whole, each.at_node(key), draft.name, each.path, old=True) or condition
        rule = RecordRule(
            name,
            condition,
            linking.label(f"entity.{draft.name}.rule.{name}", text_of(spec.say)),
            place,
            spec.warn,
            spec.fields,
            spec.openly,
        )
        names[name] = rule
        found.append(rule)
    return tuple(found)
