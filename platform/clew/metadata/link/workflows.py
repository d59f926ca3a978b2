"""Workflows of a project; and one that instances are pinned to, linked again from its stored text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from clew.kernel.canonical import digest_of_wire
from clew.kernel.diagnostics import Diagnostic, Findings
from clew.kernel.text import Bilingual
from clew.metadata import naming, rules, rules_process
from clew.metadata.blueprint import Blueprint
from clew.metadata.compile import meaning
from clew.metadata.documents import Document, read
from clew.metadata.kinds import DEFAULT_KINDS
from clew.metadata.link.actions import Actions, Names
from clew.metadata.link.active import named_sites, switched_on
from clew.metadata.link.decisions import link_decisions
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.forms import link_forms
from clew.metadata.link.phrases import phrases
from clew.metadata.link.project import Linking
from clew.metadata.link.schedules import link_schedule
from clew.metadata.link.step_kinds import event_of
from clew.metadata.link.steps import Steps
from clew.metadata.processes import DONE, SEPARATOR, Active, Flow, Start, StepKind, Workflow
from clew.metadata.schema import BlueprintSchema
from clew.metadata.source import AnyNode, find
from clew.metadata.spec.words import text_of
from clew.metadata.spec.workflow import StepSpec, WorkflowSpec


def link_workflows(linking: Linking) -> None:
    """Every workflow of the project, by name."""
    documents = linking.documents.get("workflow", ())
    about = {each.spec.workflow: each.spec.for_ for each in documents if isinstance(each.spec, WorkflowSpec)}
    expressions = Expressions(linking, BlueprintSchema(linking.entities, linking.code_lists, linking.decisions))
    for document in documents:
        earlier = linking.workflows.get(document.name)
        if earlier is not None:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="workflows",
                kind_zh="流程",
                name=document.name,
                related=[earlier.place],
            )
            continue
        found = _workflow(linking, expressions, Names(about), document)
        if found is not None:
            linking.workflows[found.name] = found
    _called_elsewhere(linking)


PINNED = ("decision", "form")
"""What an instance keeps beside its own definition: the tables it asks and the forms of its steps."""
PINNED_KINDS = DEFAULT_KINDS.with_kinds(
    *(replace(DEFAULT_KINDS.all[kind], folders=(*DEFAULT_KINDS.all[kind].folders, "workflows")) for kind in PINNED)
)
"""All of it is kept as one text."""


def pinned_text(file: str, blueprint: Blueprint) -> str:
    """What an instance is pinned to: the workflow's file, with every decision table and form that is named there."""
    found = [blueprint.sources[file]]
    files = {file}
    for _ in range(2):  # a form may ask a table
        kept = [(each.name, each.place.file) for each in blueprint.decisions.values()]
        kept += [(each.name, each.place.file) for each in blueprint.forms.values()]
        for name, place in kept:
            if place not in files and any(re.search(rf"\b{name}\b", text) for text in found):
                files.add(place)
                found.append(blueprint.sources[place])
    return "\n---\n".join(found)


def link_again(name: str, file: str, text: str, blueprint: Blueprint) -> tuple[Workflow | None, tuple[Diagnostic, ...]]:
    """A stored workflow against a Blueprint. None, with what is wrong, when the Blueprint no longer bears it."""
    findings = Findings()
    result = read(file, text, PINNED_KINDS)
    findings.extend(result.diagnostics)
    kept = {kind: tuple(each for each in result.documents if each.kind == kind) for kind in PINNED}
    linking = Linking(kept, findings, set())
    linking.entities, linking.code_lists = dict(blueprint.entities), dict(blueprint.code_lists)
    link_decisions(linking)
    linking.decisions = {**blueprint.decisions, **linking.decisions}
    linking.policies, linking.calendars = blueprint.policies, dict(blueprint.calendars)
    linking.project = blueprint.project
    about = {each.name: each.entity for each in blueprint.workflows.values()}
    document = next((each for each in result.documents if each.kind == "workflow" and each.name == name), None)
    if document is None:
        return None, findings.sorted()
    assert isinstance(document.spec, WorkflowSpec)
    about.setdefault(name, document.spec.for_)
    schema = BlueprintSchema(linking.entities, linking.code_lists, linking.decisions)
    expressions = Expressions(linking, schema)
    link_forms(linking, expressions)
    linking.forms = {**blueprint.forms, **linking.forms}
    found = _workflow(linking, expressions, Names(about), document)
    return (None if findings.failed else found), findings.sorted()


def _workflow(linking: Linking, expressions: Expressions, names: Names, document: Document) -> Workflow | None:
    spec = document.spec
    assert isinstance(spec, WorkflowSpec)
    if spec.for_ not in linking.entities:
        linking.unknown(rules.UNKNOWN_ENTITY, document.at("for"), spec.for_, linking.entities, "for")
        return None
    actions = Actions(linking, expressions, names)
    steps = Steps(linking, actions, spec.workflow)
    flow = steps.flow(spec.steps, find(document.node, "steps"), spec.for_, "", ())
    if not flow.steps:
        if linking.findings.failed:
            return None
        linking.findings.add(rules.MISSING_KEY, document.place, path="steps", key="steps")
        return None
    if spec.owner is not None:
        actions.role(spec.owner, find(document.node, "owner"), "owner")
    starts = []
    for at, each in enumerate(spec.starts):
        node = find(document.node, "starts", at)
        for role in each.person:
            actions.role(role, find(node, "person"), f"starts.{at}")
        entity, verb = event_of(linking, each.event, find(node, "event"), f"starts.{at}.event")
        if entity and entity != spec.for_:
            linking.findings.add(
                rules.BAD_VALUE,
                find(node, "event").place,
                path=f"starts.{at}.event",
                value=each.event,
                reason=f"the process is about {spec.for_}",
                reason_zh=f"该流程针对 {spec.for_}",
            )
        when = expressions.condition(each.when, find(node, "when"), spec.for_, f"starts.{at}.when")
        schedule = link_schedule(
            linking, actions, each.calendar, find(node, "calendar"), spec.for_, f"starts.{at}.calendar"
        )
        starts.append(Start(each.person, entity, verb, when, schedule))
    label = linking.label(f"workflow.{spec.workflow}", text_of(spec.label), Bilingual("", naming.human(spec.workflow)))
    found = Workflow(
        spec.workflow,
        label,
        document.place,
        spec.for_,
        flow,
        "",
        text_of(spec.help),
        spec.sop,
        spec.owner or "",
        tuple(starts),
        actions.link(spec.at_start, find(document.node, "at_start"), spec.for_, "at_start"),
        phrases(linking, spec.phrases, find(document.node, "phrases"), "phrases"),
        on_cancel=actions.link(spec.on_cancel, find(document.node, "on_cancel"), spec.for_, "on_cancel"),
    )
    if spec.sop:
        _complete(linking, spec.steps, find(document.node, "steps"), "steps")
    _all_reached(linking, found)
    _before(linking, found)
    _circles(linking, found)
    return replace(
        found.addressed(digest_of_wire(meaning(found))), active=_active(linking, expressions, spec, document)
    )


def _active(linking: Linking, expressions: Expressions, spec: WorkflowSpec, document: Document) -> Active | None:
    if spec.active is None:
        return None
    node = find(document.node, "active")
    named_sites(linking, spec.active, node)
    text = switched_on(linking, linking.entities[spec.for_], spec.active, node.place, "active")
    when = expressions.condition(text, node, spec.for_, "active") if text else None
    return None if when is None else Active(when, spec.active.sites, spec.active.from_ or "")


def _complete(linking: Linking, steps: Mapping[str, StepSpec], node: AnyNode, path: str) -> None:
    """Of what implements a controlled document every step that people do states five things. A comment that is
    demanded is an output too, and so is a signature."""
    for name, step in steps.items():
        for branch, inner in step.parallel.items():
            _complete(linking, inner, find(node, name, "parallel", branch), f"{path}.{name}.{branch}")
        _complete(linking, step.steps, find(node, name, "steps"), f"{path}.{name}")
        if step.who is None and step.countersign is None and step.any_sign is None and step.one_by_one is None:
            continue
        said = bool(step.outcomes) and all(each and each.comment == "required" for each in step.outcomes.values())
        limited = step.within or step.within_minutes
        stated = {
            "input": step.input,
            "output": step.output or said or step.sign,
            "owner": step.owner,
            "within": limited or step.legal,
            "alert": step.alert or (step.legal is not None and bool(step.legal.alert) and not limited),
        }
        missing = ", ".join(key for key, value in stated.items() if not value)
        if missing:
            at, place = f"{path}.{name}", find(node, name).place
            linking.findings.add(rules_process.STEP_INCOMPLETE, place, path=at, name=name, missing=missing)


def _before(linking: Linking, workflow: Workflow) -> None:
    """A checkpoint stands before outcomes that the process can have."""
    known = _ends(workflow.flow)
    for _, step in workflow.walk():
        for outcome in step.checkpoint.before if step.checkpoint is not None else ():
            if outcome not in known:
                where = f"steps.{step.path.replace(SEPARATOR, '.')}.checkpoint.before"
                linking.unknown(rules_process.UNKNOWN_END, step.place, outcome, known, where)


def _ends(flow: Flow) -> list[str]:
    """The outcomes a process can come to."""
    found = [step.outcome for step in flow.steps.values() if step.kind is StepKind.END]
    for step in flow.steps.values():
        if step.kind not in (StepKind.END, StepKind.DECISION):
            found += [each for each in step.outcomes or (DONE,) if step.target(each) is None]
    return list(dict.fromkeys(found))


def _called_elsewhere(linking: Linking) -> None:
    """A process that is in use where one that it runs as a part is not would stop there."""
    for workflow in linking.workflows.values():
        for _, step in workflow.walk():
            called = linking.workflows.get(step.call)
            if called is not None and called.active is not None and not _within(workflow.active, called.active):
                linking.findings.add(
                    rules_process.CALL_NOT_IN_USE, step.place, path=f"steps.{step.path}.call", name=called.name
                )


def _within(one: Active | None, other: Active) -> bool:
    """Whether one is in use nowhere and never where the other is not."""
    sites = one.sites if one is not None else ()
    since = one.since if one is not None else ""
    return (not other.sites or (bool(sites) and set(sites) <= set(other.sites))) and since >= other.since


def _flows(flow: Flow) -> Iterable[Flow]:
    yield flow
    for step in flow.steps.values():
        for inner in step.flows.values():
            yield from _flows(inner)


def ways(flow: Flow) -> Mapping[str, frozenset[str]]:
    """Step → the steps of the same flow that may directly follow it."""
    found: dict[str, frozenset[str]] = {}
    for step in flow.steps.values():
        targets: set[str | None] = {step.when_late, step.on_error}
        if step.kind is StepKind.DECISION:
            targets |= {each.to for each in step.branches}
        elif step.kind is not StepKind.END:
            named = set(step.next.values())
            covered = bool(step.outcomes) and set(step.outcomes) <= set(step.next)
            targets |= named
            if not covered and "any" not in step.next:
                targets.add(step.follows)
        found[step.name] = frozenset(each for each in targets if each is not None and each in flow.steps)
    return MappingProxyType(found)


def reached(name: str, after: Mapping[str, Iterable[str]]) -> set[str]:
    """A step and all that can be come to from it; `after` such as `ways` gives."""
    seen, waiting = {name}, [name]
    while waiting:
        for each in after[waiting.pop()]:
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return seen


def _all_reached(linking: Linking, workflow: Workflow) -> None:
    """Every step can be come to from the first of its flow."""
    for flow in _flows(workflow.flow):
        if not flow.steps:
            continue
        seen = reached(flow.first.name, ways(flow))
        for name, step in flow.steps.items():
            if name not in seen:
                linking.findings.add(rules_process.STEP_UNREACHED, step.place, path=f"steps.{step.path}", name=name)


def _circles(linking: Linking, workflow: Workflow) -> None:
    """A circle in which nobody is asked and nothing waited for would run for ever."""
    quick = (StepKind.ACTION, StepKind.DECISION)
    for flow in _flows(workflow.flow):
        after = {name: [to for to in found if flow.steps[to].kind in quick] for name, found in ways(flow).items()}
        for start in flow.steps.values():
            if start.kind not in quick:
                continue
            seen: set[str] = set()
            waiting = list(after[start.name])
            while waiting:
                name = waiting.pop()
                if name == start.name:
                    circle = " → ".join([start.name, *sorted(seen - {start.name}), start.name])
                    linking.findings.add(
                        rules_process.STEP_CIRCLE, start.place, path=f"steps.{start.path}", circle=circle
                    )
                    break
                if name not in seen:
                    seen.add(name)
                    waiting.extend(after[name])
