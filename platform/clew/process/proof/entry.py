"""What the machine asks at the beginning of a step, with every answer there can be to it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from types import MappingProxyType
from typing import Any

from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Step, StepKind, Workflow
from clew.process.proof.cast import Cast
from clew.process.proof.knowledge import Known, possible
from clew.process.proof.world import World
from clew.process.state import Subject, Token
from clew.process.words import Facts

ELEMENTS = (0, 1, 2)
"""How many records a for-each is tried with."""


def entry_facts(cast: Cast, world: World, token: Token, step: Step) -> Iterator[tuple[Facts, World, list[str]]]:
    """Every answer to what the machine asks at the beginning of a step, and what was assumed for it."""
    known, actors = world.of(token.subject), world.actors()
    variants: list[tuple[Known, dict[str, Any], list[str]]] = [(known, {}, [])]

    def ask(name: str, checked: Any, when: bool | None = None) -> None:
        nonlocal variants
        found = []
        for at, answers, said in variants:
            either = possible(checked, at)
            for truth, after in either:
                if when is not None and truth is not when and len(either) > 1:
                    continue
                new = [_said(checked, truth)] if len(either) > 1 else []
                found.append((after, {**answers, name: truth}, [*said, *new]))
        variants = found

    if step.entry is not None:
        ask("entry", step.entry.when, True)
    approval = step.approval
    if approval is not None:
        for post, when in approval.also:
            ask(f"also:{post}", when)
        if approval.all_when is not None:
            ask("all", approval.all_when)
    for index, branch in enumerate(step.branches):
        if branch.when is not None:
            decided = [each for each in variants if any(each[1].get(f"way:{i}") for i in range(index))]
            variants = [each for each in variants if each not in decided]
            ask(f"way:{index}", branch.when)
            variants += decided
    people: dict[str, tuple[str, ...]] = {}
    if approval is not None:
        posts = (*approval.posts, *(post for post, _ in approval.also))
        people = {post: cast.holders(post) for post in posts}
    elif step.who is not None:
        people = {"": cast.asked(step.who, world.state.starter, actors)}
    counts: tuple[int | None, ...] = (None,)
    if approval is not None and approval.enough_of is not None:
        counts = tuple(range(1, len(approval.posts) + 1))
    elements = ELEMENTS if step.kind is StepKind.EACH else (0,)
    for (after, answers, said), enough, many in product(variants, counts, elements):
        target = step.flows["each"].entity if step.kind is StepKind.EACH else ""
        facts = Facts(
            entry=answers.get("entry", True),
            people=MappingProxyType(people),
            also=frozenset(post for post, _ in approval.also if answers.get(f"also:{post}"))
            if approval is not None
            else frozenset(),
            all_agree=answers.get("all", False),
            enough=enough,
            conditions=tuple(
                each.when is None or answers.get(f"way:{index}", False) for index, each in enumerate(step.branches)
            ),
            elements=tuple(Subject(target, f"{token.subject.id}.{step.each}.{number + 1}") for number in range(many)),
        )
        told = [*said, f"{many} × {step.each}"] if step.kind is StepKind.EACH else said
        yield facts, world.knowing(token.subject, after), told


def read_fields(blueprint: Blueprint, workflow: Workflow) -> frozenset[str]:
    """Every field of its records that a condition of the process, or of a transition it makes, reads."""
    found = {"state"}
    conditions: list[Any] = []
    for flow, step in workflow.walk():
        conditions += [each.when for each in (step.entry, step.exit) if each is not None]
        conditions += [each.when for each in step.branches]
        if step.approval is not None:
            conditions += [step.approval.all_when, *(when for _, when in step.approval.also)]
        actions = [*step.actions, *(each for found in step.effects.values() for each in found)]
        conditions += [each.when for each in actions]
        conditions += [each.when for each in blueprint.entities[flow.entity].transitions.values()]
    for each in conditions:
        if each is not None:
            found |= {path[0] for path in each.reads}
    return frozenset(found)


def _said(checked: Any, truth: bool) -> str:
    text = " ".join(checked.source.split())
    return text if truth else f"!({text})"
