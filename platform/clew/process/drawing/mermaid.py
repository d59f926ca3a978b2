"""Mermaid: swimlanes of one process, and the map of all of them."""

from __future__ import annotations

from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Flow, Step, StepKind, Workflow
from clew.process.drawing.graph import END, START, arrows, events, hands, lane, lanes
from clew.process.drawing.words import Words

_SHAPES: dict[StepKind, tuple[str, str]] = {
    StepKind.DECISION: ("{", "}"),
    StepKind.ACTION: ("[[", "]]"),
    StepKind.WAIT: ("([", "])"),
    StepKind.CALL: ("[/", "/]"),
    StepKind.END: ("((", "))"),
}


def swimlanes(blueprint: Blueprint, workflow: Workflow, locale: Locale) -> str:
    """One process as a flow chart with a lane for everybody who acts."""
    return _Process(workflow, Words(blueprint, locale)).text()


def overview(blueprint: Blueprint, locale: Locale) -> str:
    """All processes, what each begins with, and where one hands over to another."""
    words = Words(blueprint, locale)
    lines = ["flowchart LR"]
    for name, workflow in blueprint.workflows.items():
        lines.append(f'  {name}["{_text(words.of(workflow.label) or name)}"]')
        for entity, verb in events(workflow):
            lines.append(f'  {entity}__{verb}(["{_text(words.event(entity, verb))}"]) -.-> {name}')
    lines += [f'  {each.source} -->|"{_text(words.hand(each.how))}"| {each.target}' for each in hands(blueprint)]
    return "\n".join(lines) + "\n"


class _Process:
    def __init__(self, workflow: Workflow, words: Words) -> None:
        self._workflow, self._words = workflow, words
        self._lines = ["flowchart LR", f"  %% {workflow.name}"]

    def text(self) -> str:
        self._flow(self._workflow.flow, "", "  ")
        return "\n".join(self._lines) + "\n"

    def _flow(self, flow: Flow, prefix: str, indent: str) -> None:
        def key(name: str) -> str:
            return prefix + name

        lines = self._lines
        for at, who in enumerate(lanes(flow)):
            steps = [step for step in flow.steps.values() if lane(step) == who]
            label = _text(" ".join(self._words.lane(steps[0], self._workflow)))
            lines.append(f'{indent}subgraph {prefix}lane{at} ["{label}"]')
            for step in steps:
                self._step(step, key(step.name), indent + "  ")
            lines.append(f"{indent}end")
        lines.append(f"{indent}{key(START)}(( )) --> {key(flow.first.name)}")
        for each in arrows(flow):
            if each.source == START or (each.target == END and flow.steps[each.source].kind is StepKind.END):
                continue
            if each.target == END:
                lines.append(f"{indent}{key(each.source)} --> {key(END)}((( )))")
            else:
                said = self._words.way(flow.steps[each.source], each.when)
                shown = f'|"{_text(said)}"|' if said else ""
                lines.append(f"{indent}{key(each.source)} -->{shown} {key(each.target)}")

    def _step(self, step: Step, key: str, indent: str) -> None:
        label = _text(self._words.of(step.label) or step.name)
        if step.kind.nested:
            self._lines.append(f'{indent}subgraph {key} ["{label}"]')
            for branch, flow in step.flows.items():
                self._flow(flow, f"{key}_{branch}_", indent + "  ")
            self._lines.append(f"{indent}end")
            return
        opening, closing = _SHAPES.get(step.kind, ("[", "]"))
        notes = self._words.notes(step)
        text = label + (f"<br/>{_text(notes)}" if notes else "")
        self._lines.append(f'{indent}{key}{opening}"{text}"{closing}')


def _text(text: str) -> str:
    """Text that Mermaid shows as it is."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
