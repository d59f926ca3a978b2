"""A workflow as a graph: who does what, what follows what, and where each stands on the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clew.metadata.blueprint import Blueprint, FieldKind
from clew.metadata.processes import ANY, DONE, Flow, Step, StepKind, Who, Workflow

PLATFORM = "platform"
"""The lane of what the platform does by itself."""
START, END = "__start", "__end"
LATE, ERROR = "late", "error"


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
            found.append(Arrow(step.name, step.when_late, LATE))
        if step.on_error is not None:
            found.append(Arrow(step.name, step.on_error, ERROR))
    return tuple(dict.fromkeys(found))


def hands(blueprint: Blueprint) -> tuple[Hand, ...]:
    """Every hand-over between processes of a project."""
    found = (
        Hand(name, target, how)
        for name, workflow in blueprint.workflows.items()
        for _, target, how in handed(blueprint, workflow)
    )
    return tuple(dict.fromkeys(found))


def handed(blueprint: Blueprint, workflow: Workflow) -> Iterator[tuple[str, str, str]]:
    """The path of a step (empty: the beginning), the process it hands over to, and how."""
    begins: dict[tuple[str, str], list[str]] = {}
    for name, other in blueprint.workflows.items():
        for start in other.starts:
            if start.entity and name not in begins.setdefault((start.entity, start.verb), []):
                begins[start.entity, start.verb].append(name)
    doings = [("", (*workflow.at_start, *workflow.on_cancel))]
    for flow, step in workflow.walk():
        if step.call:
            yield step.path, step.call, "call"
        effects = [each for moment in step.effects.values() for each in moment]
        doings.append((step.path, (*step.actions, *effects)))
        own = blueprint.entities.get(flow.entity)
        made = {each.name for each in own.transitions.values() if each.target in step.states.values()} if own else set()
        fields = [own.fields[name] for name in step.must_outputs if name in own.fields] if own is not None else []
        given = {each.targets[0] for each in fields if each.kind is FieldKind.REF}
        for entity in sorted(given):  # somebody names what they made for it
            for target in begins.get((entity, "create"), []):
                yield step.path, target, f"{entity}.create"
        for verb in sorted(made):
            for target in begins.get((flow.entity, verb), []):
                if target != workflow.name:
                    yield step.path, target, f"{flow.entity}.{verb}"
    for path, actions in doings:
        for action in actions:
            if action.kind == "start":
                yield path, action.workflow, "start"
            elif action.kind == "run":
                for what in sorted(blueprint.project.actions[action.run].makes or ()):
                    entity, _, verb = what.partition(".")
                    for target in begins.get((entity, verb or "create"), []):
                        yield path, target, f"{entity}.{verb or 'create'}"
            elif action.kind in ("create", "move"):
                verb = "create" if action.kind == "create" else action.transition
                for target in begins.get((action.entity, verb), []):
                    yield path, target, f"{action.entity}.{verb}"


def events(workflow: Workflow) -> tuple[tuple[str, str], ...]:
    """What a process begins with: entity and verb."""
    return tuple((each.entity, each.verb) for each in workflow.starts if each.entity)
