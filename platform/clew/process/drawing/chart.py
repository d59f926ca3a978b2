"""What is on one page: a process with the steps of its branches in the lanes of those who do them, or all processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from clew.kernel.text import Bilingual
from clew.metadata.processes import Flow, Step, StepKind, Workflow
from clew.process.drawing.graph import END, PLATFORM, START, arrows, handed, hands, lane
from clew.process.drawing.words import PLATFORM_LABEL, Words

Shape = Literal["start", "task", "action", "decision", "wait", "call", "fork", "join", "end"]
_SHAPES: dict[StepKind, Shape] = {
    StepKind.TASK: "task",
    StepKind.APPROVAL: "task",
    StepKind.ACTION: "action",
    StepKind.DECISION: "decision",
    StepKind.WAIT: "wait",
    StepKind.CALL: "call",
    StepKind.END: "end",
    StepKind.PARALLEL: "fork",
    StepKind.EACH: "fork",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One box. `notes`: small lines below what it is called; `more`: what is told when pointed at."""

    key: str
    lane: str
    shape: Shape
    label: str = ""
    notes: tuple[str, ...] = ()
    more: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    source: str
    target: str
    says: tuple[str, ...] = ()


@dataclass(slots=True)
class Chart:
    """`lanes`: the lines of each one's name."""

    title: str
    about: tuple[str, ...] = ()
    items: dict[str, Item] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    lanes: dict[str, tuple[str, ...]] = field(default_factory=dict)


def of_process(workflow: Workflow, words: Words) -> Chart:
    """One process: a lane for everybody who acts, those inside branches too."""
    return _Process(workflow, words).chart


def of_all(words: Words) -> Chart:
    """Every process in the lane of whoever answers for it, and what each hands over to others."""
    flows = words.blueprint.workflows
    title = words.of(words.blueprint.project.label) or words.blueprint.project.name
    title = words.of(Bilingual(f"{title}:全部流程", f"{title}: all processes"))
    chart = Chart(title)
    for name, workflow in flows.items():
        owner = workflow.owner or PLATFORM
        chart.lanes.setdefault(owner, (words.role(owner) if workflow.owner else words.of(PLATFORM_LABEL),))
        begins = tuple(dict.fromkeys(f"▷ {words.begins(start)}" for start in workflow.starts if not start.roles))
        chart.items[name] = Item(name, owner, "call", words.of(workflow.label) or name, begins, words.of(workflow.help))
    for alert in words.blueprint.alerts.values():
        if alert.start in flows:
            item = chart.items[alert.start]
            notes = (*item.notes, f"▷ {words.of(alert.label) or alert.name}")
            chart.items[alert.start] = replace(item, notes=notes)
    said: dict[tuple[str, str], list[str]] = {}
    for each in hands(words.blueprint):
        if each.target in flows:
            said.setdefault((each.source, each.target), []).append(words.hand(each.how))
    chart.links = [Link(source, target, tuple(how)) for (source, target), how in said.items()]
    return chart


class _Process:
    def __init__(self, workflow: Workflow, words: Words) -> None:
        self._workflow, self._words = workflow, words
        blueprint = words.blueprint
        self._handed: dict[str, list[str]] = {}
        for path, target, how in handed(blueprint, workflow):
            other = blueprint.workflows.get(target)
            if other is not None and how != "call":
                self._handed.setdefault(path, []).append(words.of(other.label) or target)
        self.chart = Chart(words.of(workflow.label) or workflow.name, tuple(self._about()))
        first = workflow.flow.first
        self._put(Item(START, self._lane(first, ""), "start"))
        self._flow(workflow.flow, START, END, self._lane(first, ""))

    def _about(self) -> Iterator[str]:
        words, workflow = self._words, self._workflow
        begins = "; ".join(dict.fromkeys(words.begins(start) for start in workflow.starts))
        zh = words.locale == "zh"
        if begins:
            yield ("始于:" if zh else "Begins: ") + begins
        known = words.blueprint.entities.get(workflow.entity)
        told = [words.of(known.label) or known.name] if known is not None else []
        told += [workflow.sop] if workflow.sop else []
        told += [words.role(workflow.owner)] if workflow.owner else []
        yield ("关于:" if zh else "About: ") + " · ".join(told)

    def _put(self, item: Item) -> None:
        self.chart.items[item.key] = item

    def _lane(self, step: Step, before: str) -> str:
        """Who does it. Whoever came before has the end: that needs nobody."""
        if step.kind is StepKind.END and before:
            return before
        name = lane(step)
        if name not in self.chart.lanes:
            self.chart.lanes[name] = self._words.lane(step, self._workflow)
        return name

    def _flow(self, flow: Flow, begin: str, end: str, before: str) -> None:
        """The steps of a flow between two boxes that are there."""
        said: dict[tuple[str, str], list[str]] = {}
        enters, leaves = dict[str, str](), dict[str, str]()
        came_from = {each.target: each.source for each in reversed(arrows(flow)) if each.source != START}
        for step in flow.steps.values():
            if step.kind is StepKind.END and end != END:
                enters[step.name] = end  # the end of a branch is where its branches join
                continue
            source = flow.steps.get(came_from.get(step.name, ""))
            enters[step.name], leaves[step.name] = self._step(
                step, self._lane(source, before) if source is not None else before
            )
        for each in arrows(flow):
            source_key = begin if each.source == START else leaves.get(each.source, "")
            target = end if each.target == END else enters[each.target]
            if not source_key or (each.target == END and flow.steps[each.source].kind is StepKind.END):
                continue
            if target == END and END not in self.chart.items:
                self._put(Item(END, self._lane(flow.steps[each.source], before), "end"))
            says = said.setdefault((source_key, target), [])
            if each.source != START:
                says.append(self._words.way(flow.steps[each.source], each.when))
        self.chart.links += [Link(source, target, tuple(says)) for (source, target), says in said.items()]

    def _step(self, step: Step, before: str) -> tuple[str, str]:
        """The boxes of a step: the one that is come to, and the one that leads on."""
        words, key = self._words, step.path
        label = words.of(step.label) or step.name
        whose = self._lane(step, before)
        more = "\n".join(filter(None, (words.of(step.help), *self._fields(step))))
        if not step.kind.nested:
            notes = [words.notes(step)] if words.notes(step) else []
            if step.kind is StepKind.CALL:
                called = words.blueprint.workflows.get(step.call)
                notes.append("⇄ " + (words.of(called.label) if called is not None else step.call))
            notes += [f"⇒ {each}" for each in dict.fromkeys(self._handed.get(step.path, ()))]
            self._put(Item(key, whose, _SHAPES[step.kind], label, tuple(notes), more))
            return key, key
        # A step with others inside stands where the platform divides the work, and where it comes together again.
        self._put(Item(key, whose, "fork", label, (words.kind(step),), more))
        joined = f"{key}/"
        for flow in step.flows.values():
            self._flow(flow, key, joined, whose)
        self._put(Item(joined, whose, "join"))
        return key, joined

    def _fields(self, step: Step) -> Iterator[str]:
        """What it reads and fills in, and the states it leads to."""
        known = self._words.blueprint.entities.get(self._workflow.entity)
        zh = self._words.locale == "zh"

        def named(names: tuple[str, ...]) -> str:
            found = [known.fields[each] if known is not None and each in known.fields else None for each in names]
            told = [self._words.of(each.label) if each else name for each, name in zip(found, names, strict=True)]
            return ("、" if zh else ", ").join(told)

        if step.inputs:
            yield ("依据:" if zh else "From: ") + named(step.inputs)
        if step.outputs:
            yield ("填写:" if zh else "Fills in: ") + named(step.outputs)
        for moment, state in step.states.items():
            label = self._words.of(known.states[state].label) if known is not None and state in known.states else state
            yield f"{self._words.outcome(step, moment)} → {label}"
