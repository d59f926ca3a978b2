"""The matrix: each role × entity × action × field, allowed, allowed under a condition said in words, or denied.

It is read off the verdicts that the decisions themselves are made of, so it cannot say anything else than they do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from clew.access.connectors import connectors_named
from clew.access.judgement import Judgement, Verdict
from clew.access.lines import Line
from clew.access.review.processes import (
    WHEN_ASKED,
    asked_of,
    askings,
    process_asked,
    process_of,
    process_words,
    step_question,
    step_words,
)
from clew.access.review.words import ALWAYS, in_words
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.policies import CONNECTOR, CONNECTOR_ACTIONS, DO
from clew.metadata.spec.permissions import ACTIONS

Effect = Literal["allow", "conditional", "deny"]
AT_SITES = Bilingual("限任命的场所", "at the sites of the assignment")
OF_FAMILIES = Bilingual("限任命的产品族", "of the product families of the assignment")
NEVER = Bilingual("从不", "never")
ACTION_WORDS = {
    "read": Bilingual("查看", "read"),
    "create": Bilingual("新建", "create"),
    "update": Bilingual("修改", "update"),
    "void": Bilingual("作废", "void"),
    "correct": Bilingual("更正", "correct"),
    "export": Bilingual("导出", "export"),
    "audit": Bilingual("查看历史与审计", "history and trail"),
    "see": Bilingual("显示", "show"),
}
CONNECTOR_WORDS = {
    "read": Bilingual("查看连接器", "see the connector"),
    "run": Bilingual("运行连接器", "run the connector"),
    "administer": Bilingual("管理连接器", "administer the connector"),
}
FIELD_VERBS = {"see": "read", "update": "update", "create": "create", "correct": "correct"}
"""What may be asked about a field, and the action on records it goes with."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One answer. `action` is one of ACTIONS, `do:<transition>`, `process:<workflow>:<action>` or
    `step:<workflow>:<step>`; with a `field`, `see`, `update`, `create` or `correct` of that field in records on which
    the role may do so at all."""

    role: str
    entity: str
    action: str
    field: str
    label: Bilingual
    """What people call the action, and the field."""
    effect: Effect
    when: Bilingual
    places: tuple[Place, ...]
    """The policy lines that decide it."""
    through: tuple[str, ...]
    """Roles whose lines these are: the role itself, or what it inherits from."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a cell is about."""

    role: str
    entity: str
    action: str
    field: str
    label: Bilingual


def matrix(
    judgement: Judgement, roles: Sequence[str], entities: Sequence[str], *, fields: bool = False
) -> Iterator[Cell]:
    """All cells of these roles and entities, in the order given; `connector:<name>` stands for a connector."""
    for role in roles:
        for name in entities:
            if name.startswith(CONNECTOR):
                yield from connector_cells(judgement, role, name.removeprefix(CONNECTOR))
                continue
            entity = judgement.blueprint.entities[name]
            for action in asked_of(judgement.blueprint, entity):
                yield cell(judgement, role, name, action)
            yield from step_cells(judgement, role, entity)
            if fields:
                yield from field_cells(judgement, role, entity)


def cell(judgement: Judgement, role: str, entity: str, action: str) -> Cell:
    """What one role may do with records of an entity."""
    verdict = judgement.verdict(role, entity, action)
    effect, when = _said(judgement, verdict, _alternatives(judgement, verdict.allows))
    label = action_words(judgement.blueprint, judgement.blueprint.entities[entity], action)
    return _cell(Asked(role, entity, action, "", label), effect, when, verdict)


def connector_cells(judgement: Judgement, role: str, connector: str) -> Iterator[Cell]:
    """What one role may do with a connector; `*` is every one that no role names."""
    for action in CONNECTOR_ACTIONS:
        verdict = judgement.connector(role, connector, action)
        allowed = bool(verdict.allows) and not verdict.denies
        effect: Effect = "allow" if allowed else "deny"
        asked = Asked(role, CONNECTOR + connector, action, "", CONNECTOR_WORDS[action])
        yield _cell(asked, effect, ALWAYS if allowed else NEVER, verdict)


def connectors_in(judgement: Judgement) -> list[str]:
    """What the matrix has of connectors, when roles say anything of them."""
    said = any(role.connectors for role in judgement.policies.roles.values())
    return [CONNECTOR + name for name in connectors_named(judgement.policies)] if said else []


def step_cells(judgement: Judgement, role: str, entity: Entity) -> Iterator[Cell]:
    """The steps of processes about an entity: which of them ask the role. Being asked is all it takes to decide, so no
    policy line stands behind it but the step itself."""
    for asking in askings(judgement.blueprint, entity):
        if asking.role != role:
            continue
        when = joined([WHEN_ASKED, *([asking.when] if asking.when else [])], Bilingual(",且", ", and "))
        action = step_question(asking.workflow.name, asking.step.path)
        yield Cell(role, entity.name, action, "", step_words(asking), "conditional", when, (asking.place,), (role,))


def field_cells(judgement: Judgement, role: str, entity: Entity) -> Iterator[Cell]:
    """Fields and ways back, each verb of them. Nothing where the role may not do it to the record at all."""
    for verb, action in FIELD_VERBS.items():
        rows = judgement.verdict(role, entity.name, action)
        if not rows.allows and entity.part_of is None:
            continue
        for field in (*entity.fields, *entity.inverses):
            question = judgement.asked(entity.name).question(verb, field)
            verdict = judgement.verdict(role, entity.name, question)
            if not verdict.allows and not rows.allows:
                continue
            plain = {(each.role, each.clauses[0].place) for each in verdict.allows if not each.masked}
            granting = {(each.role, each.clauses[0].place) for each in rows.allows}
            if granting and granting <= plain:
                said = [ALWAYS]
            elif granting <= {(each.role, each.clauses[0].place) for each in verdict.allows} and len(granting) == 1:
                said = [line_words(judgement, each, skip=1, reach=False) for each in verdict.allows]
            else:
                said = _alternatives(judgement, verdict.allows)
            effect, when = _said(judgement, verdict, said)
            asked = Asked(role, entity.name, verb, field, field_words(entity, verb, field))
            yield _cell(asked, effect, when, verdict)


def line_words(judgement: Judgement, line: Line, *, skip: int = 0, reach: bool = True) -> Bilingual:
    """When a policy line applies. `skip` leaves out clauses that hold already; `reach` says site and family too."""
    return _all_of(_phrases(judgement, line, skip=skip, reach=reach))


def _phrases(judgement: Judgement, line: Line, *, skip: int = 0, reach: bool = True) -> list[Bilingual]:
    """What has to hold for a line to apply, each said by itself; nothing where it always does."""
    said = [in_words(judgement.blueprint, each.condition) for each in line.clauses[skip:] if each.condition is not None]
    known = judgement.policies.reach.get(line.entity)
    if reach and known is not None:
        said += [AT_SITES] if line.own_sites and known.site is not None else []
        said += [OF_FAMILIES] if line.own_families and known.family is not None else []
    return list(dict.fromkeys(said))


def _all_of(phrases: Sequence[Bilingual]) -> Bilingual:
    return joined(phrases, Bilingual(",且", ", and ")) if phrases else ALWAYS


def _alternatives(judgement: Judgement, lines: Iterable[Line]) -> list[Bilingual]:
    """When any of the lines applies. An alternative that asks for all another asks for, and more, adds nothing."""
    found = list(dict.fromkeys(tuple(_phrases(judgement, each)) for each in lines))
    return [_all_of(each) for each in found if not any(set(other) < set(each) for other in found)]


def action_words(blueprint: Blueprint, entity: Entity, action: str) -> Bilingual:
    """What people call an action: its own word, the transition's label, or the process with what is done to it."""
    process = process_of(action)
    if process is not None:
        return process_words(blueprint, *process)
    if action.startswith(DO):
        known = entity.transitions.get(action.removeprefix(DO))
        return known.label if known is not None and known.label else Bilingual(action, action)
    return ACTION_WORDS.get(action, Bilingual(action, action))


def field_words(entity: Entity, verb: str, field: str) -> Bilingual:
    """What people call a verb on a field: `update “Price”`."""
    known = entity.fields.get(field) or entity.inverses.get(field)
    name = known.label if known is not None and known.label else Bilingual(field, field)
    said = ACTION_WORDS[verb]
    return Bilingual(f"{said.to('zh')}“{name.to('zh')}”", f"{said.to('en')} “{name.to('en')}”")


def joined(said: Iterable[Bilingual], by: Bilingual) -> Bilingual:
    """Distinct phrases put together."""
    found = list(dict.fromkeys(said))
    return Bilingual(by.zh.join(each.zh for each in found), by.en.join(each.en for each in found))


def asked_action(blueprint: Blueprint, entity: Entity, given: str) -> str | None:
    """`release`, `do:release`, `read` or `handling.start`: the question meant; None when there is no such action."""
    if given in ACTIONS:
        return given
    name = given.removeprefix(DO)
    return DO + name if name in entity.transitions else process_asked(blueprint, entity, given)


def _said(judgement: Judgement, verdict: Verdict, said: Sequence[Bilingual]) -> tuple[Effect, Bilingual]:
    if not verdict.allows:
        return "deny", NEVER
    forbids = [line_words(judgement, each) for each in verdict.denies]
    if ALWAYS in forbids:
        return "deny", NEVER
    when = ALWAYS if ALWAYS in said else joined(said, Bilingual(";或", "; or "))
    if forbids:
        but = joined(forbids, Bilingual(";或", "; or "))
        when = Bilingual(f"{when.zh},但以下情况除外:{but.zh}", f"{when.en}, but not where {but.en}")
    return ("allow" if when == ALWAYS else "conditional"), when


def _cell(asked: Asked, effect: Effect, when: Bilingual, verdict: Verdict) -> Cell:
    lines = (*verdict.allows, *verdict.denies)
    places = tuple(dict.fromkeys(each.place for each in lines))
    through = tuple(dict.fromkeys(each.role for each in lines))
    return Cell(asked.role, asked.entity, asked.action, asked.field, asked.label, effect, when, places, through)
