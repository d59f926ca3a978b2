"""Mermaid: swimlanes of one process, and the map of all of them."""

from __future__ import annotations

from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Flow, Step, StepKind, Workflow
from clew.process.drawing.graph import END, PLATFORM, PLATFORM_LABEL, START, arrows, events, hands, lane, lanes

_SHAPES: dict[StepKind, tuple[str, str]] = {
    StepKind.DECISION: ("{", "}"),
    StepKind.ACTION: ("[[", "]]"),
    StepKind.WAIT: ("([", "])"),
    StepKind.CALL: ("[/", "/]"),
    StepKind.END: ("((", "))"),
}


def swimlanes(workflow: Workflow, locale: Locale) -> str:
    """One process as a flow chart with a lane for everybody who acts."""
    lines = ["flowchart LR", f"  %% {workflow.name}"]
    _flow(workflow.flow, "", locale, lines, "  ")
    return "\n".join(lines) + "\n"


def overview(blueprint: Blueprint, locale: Locale) -> str:
    """All processes, what each begins with, and where one hands over to another."""
    lines = ["flowchart LR"]
    for name, workflow in blueprint.workflows.items():
        lines.append(f'  {name}["{_text(workflow.label.to(locale))}"]')
        for event in events(workflow):
            key = event.replace(".", "__")
            lines.append(f'  {key}(["{event}"]) -.-> {name}')
    lines += [f'  {each.source} -->|"{_text(each.how)}"| {each.target}' for each in hands(blueprint)]
    return "\n".join(lines) + "\n"


def _flow(flow: Flow, prefix: str, locale: Locale, lines: list[str], indent: str) -> None:
    def key(name: str) -> str:
        return prefix + name

    for at, who in enumerate(lanes(flow)):
        label = PLATFORM_LABEL.to(locale) if who == PLATFORM else who
        lines.append(f'{indent}subgraph {prefix}lane{at} ["{_text(label)}"]')
        for step in flow.steps.values():
            if lane(step) == who:
                _step(step, key(step.name), locale, lines, indent + "  ")
        lines.append(f"{indent}end")
    lines.append(f"{indent}{key(START)}(( )) --> {key(flow.first.name)}")
    for each in arrows(flow):
        if each.source == START or (each.target == END and flow.steps[each.source].kind is StepKind.END):
            continue
        if each.target == END:
            lines.append(f"{indent}{key(each.source)} --> {key(END)}((( )))")
        else:
            said = f'|"{_text(each.when)}"|' if each.when else ""
            lines.append(f"{indent}{key(each.source)} -->{said} {key(each.target)}")


def _step(step: Step, key: str, locale: Locale, lines: list[str], indent: str) -> None:
    if step.kind.nested:
        lines.append(f'{indent}subgraph {key} ["{_text(step.label.to(locale))}"]')
        for branch, flow in step.flows.items():
            _flow(flow, f"{key}_{branch}_", locale, lines, indent + "  ")
        lines.append(f"{indent}end")
        return
    opening, closing = _SHAPES.get(step.kind, ("[", "]"))
    more = [f"{step.limit.amount} {step.limit.unit}"] if step.limit is not None else []
    more += ["✍"] if step.sign is not None else []
    text = _text(step.label.to(locale)) + (f"<br/>{' · '.join(more)}" if more else "")
    lines.append(f'{indent}{key}{opening}"{text}"{closing}')


def _text(text: str) -> str:
    """Text that Mermaid shows as it is."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
