"""Every compliance checkpoint of a project: where a regulated action is decided, and the rule behind it.

Made from the Blueprint alone, so that the list is the one the platform decides by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from clew.access.review.words import any_in_words, in_words
from clew.audit.signatures import MEANINGS
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity, EntityClass, Transition
from clew.metadata.policies import DO
from clew.records.decisions.places import Places


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One place where a regulated action is allowed or refused.

    `kind`: grant, state, guard, reason, signature, frozen, regulated, rule, separation. `rule` is what is asked, as
    written, `words` the same as a person reads it; `at` is file:line:column; `roles` are the roles the policies let
    through (for a grant).
    """

    entity: str
    action: str
    kind: str
    rule: str
    at: str
    label: Bilingual
    roles: tuple[str, ...] = ()
    words: Bilingual = Bilingual()


def checkpoints(blueprint: Blueprint, only: str | None = None) -> list[Checkpoint]:
    """All of them, by entity and action; `only` narrows to one entity."""
    entities = [each for each in blueprint.entities.values() if only in (None, each.name)]
    found = [each for entity in entities for each in _of_entity(blueprint, entity)]
    return [*found, *_separations(blueprint, only)]


def _of_entity(blueprint: Blueprint, entity: Entity) -> Iterator[Checkpoint]:
    if entity.part_of is None and not entity.derived:
        for move in entity.transitions.values():
            yield from _of_move(blueprint, entity, move)
        if not entity.postings:
            yield _grant(blueprint, entity, "void", Bilingual("作废", "void"))
            yield _need(entity, "void", Bilingual("作废须说明原因", "voiding takes a reason"))
        if "corrects" in entity.fields and not entity.postings:
            yield _grant(blueprint, entity, "correct", Bilingual("更正", "correct"))
            yield _need(entity, "correct", Bilingual("更正须说明原因", "correcting takes a reason"))
        if entity.frozen_from is not None or entity.cls is EntityClass.RECORD:
            since = entity.frozen_from or "created"
            label = Bilingual("冻结后不可修改", "cannot be changed once frozen")
            words = _states(entity, [since], Bilingual("自状态{}起", "from state {} on"))
            yield Checkpoint(
                entity.name, "update", "frozen", f"state from {since}", str(entity.place), label, (), words
            )
    for field in entity.fields.values():
        if field.regulated:
            zh, en = field.label.to("zh"), field.label.to("en")
            label = Bilingual(f"{zh}:变更须说明原因", f"{en}: a change takes a reason")
            yield Checkpoint(entity.name, "update", "regulated", field.name, str(field.place), label, (), label)
    for rule in entity.rules:
        if not rule.warn:
            words = in_words(blueprint, rule.condition)
            yield Checkpoint(entity.name, "write", "rule", rule.condition.source, str(rule.place), rule.say, (), words)


def _of_move(blueprint: Blueprint, entity: Entity, move: Transition) -> Iterator[Checkpoint]:
    action, at = f"transition:{move.name}", str(move.place)
    yield _grant(blueprint, entity, DO + move.name, move.label, action)
    words = _states(entity, move.sources, Bilingual("须为{}", "must be {}"))
    yield Checkpoint(entity.name, action, "state", f"from {', '.join(move.sources)}", at, move.label, (), words)
    if move.when is not None:
        words, said = in_words(blueprint, move.when), move.say or move.label
        yield Checkpoint(entity.name, action, "guard", move.when.source, at, said, (), words)
    if move.reason:
        label = Bilingual("须说明原因", "takes a reason")
        yield Checkpoint(entity.name, action, "reason", "reason: required", at, label)
    if move.sign is not None:
        roles = tuple(
            name
            for name, role in (blueprint.policies.roles if blueprint.policies else {}).items()
            if move.sign in role.signs
        )
        label = Bilingual(f"电子签名:{move.sign}", f"electronic signature: {move.sign}")
        meaning = MEANINGS.get(move.sign, Bilingual(move.sign, move.sign))
        words = Bilingual(f"含义“{meaning.zh}”", f"meaning “{meaning.en}”")
        yield Checkpoint(entity.name, action, "signature", f"sign: {move.sign}", at, label, roles, words)


def _grant(
    blueprint: Blueprint, entity: Entity, question: str, label: Bilingual, action: str | None = None
) -> Checkpoint:
    roles = tuple(blueprint.policies.roles) if blueprint.policies else ()
    rules: list[dict[str, Any]] = Places(blueprint).of("grant", question, entity, roles)
    allowed = [each for each in rules if each["effect"] == "allow"]
    texts = sorted({each["rule"] for each in rules})
    places = sorted({each["at"] for each in rules})
    holders = tuple(sorted({each["role"] for each in allowed}))
    at = " ".join(places) if places else "-"
    words = _granted(blueprint, entity, question)
    return Checkpoint(entity.name, action or question, "grant", " | ".join(texts) or "-", at, label, holders, words)


def _granted(blueprint: Blueprint, entity: Entity, question: str) -> Bilingual:
    """Under which conditions some role lets through."""
    grants = (role.may.get(entity.name) for role in (blueprint.policies.roles.values() if blueprint.policies else ()))
    clauses = [clause for each in grants if each is not None for clause in each.actions.get(question, ())]
    return any_in_words(blueprint, [each.condition for each in clauses])


def _states(entity: Entity, names: Iterable[str], said: Bilingual) -> Bilingual:
    labels = [entity.states[name].label if name in entity.states else Bilingual(name, name) for name in names]
    zh = "、".join(f"“{each.to('zh')}”" for each in labels)
    en = ", ".join(f"“{each.to('en')}”" for each in labels)
    return Bilingual(said.zh.format(zh), said.en.format(en))


def _need(entity: Entity, action: str, label: Bilingual) -> Checkpoint:
    return Checkpoint(entity.name, action, "reason", "reason: required", str(entity.place), label)


def _separations(blueprint: Blueprint, only: str | None) -> Iterator[Checkpoint]:
    for each in (blueprint.policies.separations if blueprint.policies else {}).values():
        label = each.label or Bilingual(each.name, each.name)
        if each.groups and only is None:
            groups = " ≠ ".join("|".join(sorted(group)) for group in each.groups)
            yield Checkpoint("-", "assign", "separation", groups, str(each.place), label)
        for duty in each.duties:
            if only in (None, duty.entity):
                for action in sorted(duty.actions):
                    rule = f"{each.name}: {duty.name}"
                    yield Checkpoint(duty.entity, action, "separation", rule, str(duty.place), label)
