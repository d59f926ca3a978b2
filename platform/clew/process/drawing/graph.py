"""A workflow as a graph: who does what, what follows what, and where each stands on the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import ANY, DONE, Flow, Step, StepKind, Who, Workflow

PLATFORM = "platform"
"""The lane of what the platform does by itself."""
PLATFORM_LABEL = Bilingual("平台", "Platform")
START, END = "__start", "__end"


@dataclass(frozen=True, slots=True)
class Arrow:
    """From step to step; `when` says after which outcome or condition."""

    source: str
    target: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Hand:
    """One process hands over to another: it starts it, runs it, or makes what it begins with."""

    source: str
    target: str
    how: str


def lane(step: Step) -> str:
    """Who does a step, as one name."""
    if step.approval is not None:
        return " + ".join((*step.approval.posts, *(post for post, _ in step.approval.also)))
    if step.who is not None:
        return " / ".join(_named(step.who)) or PLATFORM
    return PLATFORM


def _named(who: Who) -> list[str]:
    found = [*who.roles, *who.positions]
    found += [f"= {who.actor_of}"] if who.actor_of else []
    found += ["starter"] if who.starter else []
    found += [who.person.source] if who.person is not None else []
    found += [f"manager({who.manager_of.source})"] if who.manager_of is not None else []
    return found


def lanes(flow: Flow) -> tuple[str, ...]:
    """The lanes of a flow, in the order they are come to."""
    return tuple(dict.fromkeys(lane(each) for each in flow.steps.values()))


def arrows(flow: Flow) -> tuple[Arrow, ...]:
    """What follows what. A step whose flow ends there leads to END."""
    found: list[Arrow] = [Arrow(START, flow.first.name)]
    for step in flow.steps.values():
        if step.kind is StepKind.END:
            found.append(Arrow(step.name, END))
            continue
        if step.kind is StepKind.DECISION:
            for branch in step.branches:
                found.append(Arrow(step.name, branch.to, branch.when.source if branch.when is not None else ""))
            continue
        for outcome, target in step.next.items():
            found.append(Arrow(step.name, target, "" if outcome in (ANY, DONE) else outcome))
        open_ends = [each for each in step.outcomes if each not in step.next]
        if ANY not in step.next and (not step.outcomes or open_ends):
            said = "" if len(open_ends) == len(step.outcomes) else ", ".join(open_ends)
            found.append(Arrow(step.name, step.follows or END, said))
        if step.when_late is not None:
            found.append(Arrow(step.name, step.when_late, "late"))
        if step.on_error is not None:
            found.append(Arrow(step.name, step.on_error, "error"))
    return tuple(dict.fromkeys(found))


def columns(flow: Flow) -> Mapping[str, int]:
    """How far right each step stands: one further than the first that leads to it, in the order written."""
    found: dict[str, int] = {flow.first.name: 0}
    following = arrows(flow)
    for name in flow.steps:
        at = found.setdefault(name, max(found.values()) + 1)
        for each in following:
            if each.source == name and each.target in flow.steps and each.target not in found:
                found[each.target] = at + 1
    return found


def hands(blueprint: Blueprint) -> tuple[Hand, ...]:
    """Every hand-over between processes of a project."""
    begins = {
        (start.entity, start.verb): name
        for name, workflow in blueprint.workflows.items()
        for start in workflow.starts
        if start.entity
    }
    found: list[Hand] = []
    for name, workflow in blueprint.workflows.items():
        actions = list(workflow.at_start)
        for _, step in workflow.walk():
            actions += [*step.actions, *(each for effects in step.effects.values() for each in effects)]
            if step.call:
                found.append(Hand(name, step.call, "call"))
        for action in actions:
            if action.kind == "start":
                found.append(Hand(name, action.workflow, "start"))
            elif action.kind in ("create", "move"):
                verb = "create" if action.kind == "create" else action.transition
                target = begins.get((action.entity, verb))
                if target is not None:
                    found.append(Hand(name, target, f"{action.entity}.{verb}"))
    return tuple(dict.fromkeys(found))


def events(workflow: Workflow) -> tuple[str, ...]:
    """What a process begins with."""
    return tuple(f"{each.entity}.{each.verb}" for each in workflow.starts if each.entity)
