"""BPMN 2.0: a process as other tools read it, with lanes and a diagram.

Branches and for-each steps become sub-processes; what BPMN has no word for (votes, quorums, effects on records) stands
in the documentation of its task. A step whose flow ends leads to an end event.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only written, never read
from collections.abc import Iterable

from clew.kernel.text import Locale
from clew.metadata.processes import Flow, Step, StepKind, Workflow
from clew.process.drawing.graph import END, PLATFORM, PLATFORM_LABEL, START, arrows, lane, lanes
from clew.process.drawing.svg import GAP, HEIGHT, LANE, MARGIN, TITLE, WIDTH, positions

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DD = "http://www.omg.org/spec/DD/20100524/DI"
_ELEMENTS: dict[StepKind, str] = {
    StepKind.TASK: "userTask",
    StepKind.APPROVAL: "userTask",
    StepKind.ACTION: "serviceTask",
    StepKind.DECISION: "exclusiveGateway",
    StepKind.PARALLEL: "subProcess",
    StepKind.EACH: "subProcess",
    StepKind.WAIT: "intermediateCatchEvent",
    StepKind.CALL: "callActivity",
    StepKind.END: "endEvent",
}
_SMALL = 36


def export(workflow: Workflow, locale: Locale) -> str:
    """The BPMN 2.0 XML of one process."""
    for prefix, uri in (("bpmn", MODEL), ("bpmndi", DI), ("dc", DC), ("di", DD)):
        ET.register_namespace(prefix, uri)
    root = ET.Element(_b("definitions"), {"id": f"definitions_{workflow.name}", "targetNamespace": "urn:clew:process"})
    collaboration = ET.SubElement(root, _b("collaboration"), {"id": "collaboration"})
    label = workflow.label.to(locale)
    ET.SubElement(collaboration, _b("participant"), {"id": "pool", "name": label, "processRef": workflow.name})
    process = ET.SubElement(root, _b("process"), {"id": workflow.name, "name": label, "isExecutable": "false"})
    _lanes(process, workflow.flow, locale)
    flows = _content(process, workflow.flow, "", locale)
    _diagram(root, workflow.flow, flows)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _b(name: str) -> str:
    return f"{{{MODEL}}}{name}"


def _lanes(process: ET.Element, flow: Flow, locale: Locale) -> None:
    lane_set = ET.SubElement(process, _b("laneSet"), {"id": "lanes"})
    for at, who in enumerate(lanes(flow)):
        name = PLATFORM_LABEL.to(locale) if who == PLATFORM else who
        found = ET.SubElement(lane_set, _b("lane"), {"id": f"lane_{at}", "name": name})
        for step in flow.steps.values():
            if lane(step) == who:
                ET.SubElement(found, _b("flowNodeRef")).text = f"s_{step.name}"


def _content(parent: ET.Element, flow: Flow, prefix: str, locale: Locale) -> list[tuple[str, str, str]]:
    """The steps of a flow with a start event, end events and the arrows between; (id, source, target) of each arrow."""

    def key(name: str) -> str:
        return f"{prefix}s_{name}"

    ET.SubElement(parent, _b("startEvent"), {"id": key(START)})
    for step in flow.steps.values():
        _step(parent, step, key(step.name), locale)
    found: list[tuple[str, str, str]] = []
    following = [each for each in arrows(flow) if not _ends_there(flow, each.source, each.target)]
    if any(each.target == END for each in following):
        ET.SubElement(parent, _b("endEvent"), {"id": key(END)})
    for at, each in enumerate(following):
        name = f"{prefix}f_{at}"
        given = {"id": name, "sourceRef": key(each.source), "targetRef": key(each.target)}
        if each.when:
            given["name"] = each.when
        ET.SubElement(parent, _b("sequenceFlow"), given)
        found.append((name, given["sourceRef"], given["targetRef"]))
    return found


def _ends_there(flow: Flow, source: str, target: str) -> bool:
    return target == END and flow.steps[source].kind is StepKind.END


def _step(parent: ET.Element, step: Step, key: str, locale: Locale) -> None:
    element = ET.SubElement(parent, _b(_ELEMENTS[step.kind]), {"id": key, "name": step.label.to(locale)})
    said = list(_said(step))
    if said:
        ET.SubElement(element, _b("documentation")).text = "\n".join(said)
    if step.kind is StepKind.CALL:
        element.set("calledElement", step.call)
    elif step.kind is StepKind.WAIT and step.wait is not None:
        timed = step.wait.limit is not None or step.wait.until is not None
        name = "timerEventDefinition" if timed and not step.wait.entity else "messageEventDefinition"
        ET.SubElement(element, _b(name), {"id": f"{key}_event"})
    elif step.kind is StepKind.EACH:
        _content(element, step.flows["each"], f"{key}_", locale)
        ET.SubElement(element, _b("multiInstanceLoopCharacteristics"), {"isSequential": "false"})
    elif step.kind is StepKind.PARALLEL:
        _side_by_side(element, step, key, locale)


def _side_by_side(parent: ET.Element, step: Step, key: str, locale: Locale) -> None:
    """Fork, a sub-process for each branch, join."""
    join = "parallelGateway" if step.needed is None else "complexGateway"
    ET.SubElement(parent, _b("startEvent"), {"id": f"{key}_begin"})
    ET.SubElement(parent, _b("parallelGateway"), {"id": f"{key}_fork"})
    ET.SubElement(parent, _b(join), {"id": f"{key}_join", "name": "" if step.needed is None else str(step.needed)})
    ET.SubElement(parent, _b("endEvent"), {"id": f"{key}_end"})
    ways = [("begin", "fork"), ("join", "end")]
    for branch, flow in step.flows.items():
        inner = ET.SubElement(parent, _b("subProcess"), {"id": f"{key}_b_{branch}", "name": branch})
        _content(inner, flow, f"{key}_{branch}_", locale)
        ways += [("fork", f"b_{branch}"), (f"b_{branch}", "join")]
    for at, (source, target) in enumerate(ways):
        given = {"id": f"{key}_w_{at}", "sourceRef": f"{key}_{source}", "targetRef": f"{key}_{target}"}
        ET.SubElement(parent, _b("sequenceFlow"), given)


def _said(step: Step) -> Iterable[str]:
    """What BPMN has no element for."""
    if step.approval is not None:
        yield f"{step.approval.mode}: {', '.join(step.approval.posts)}"
        if step.approval.enough is not None or step.approval.share is not None:
            yield f"enough: {step.approval.enough or f'{step.approval.share}%'}"
    if step.limit is not None:
        yield f"within: {step.limit.amount} {step.limit.unit}"
    if step.sign is not None:
        yield f"sign: {step.sign}"
    for moment, state in step.states.items():
        yield f"state {moment}: {state}"


# ── the diagram ───────────────────────────────────────────────────────────────────────────────────────────────────


def _diagram(root: ET.Element, flow: Flow, flows: list[tuple[str, str, str]]) -> None:
    diagram = ET.SubElement(root, f"{{{DI}}}BPMNDiagram", {"id": "diagram"})
    plane = ET.SubElement(diagram, f"{{{DI}}}BPMNPlane", {"id": "plane", "bpmnElement": "collaboration"})
    places = positions(flow)
    right = max(x for x, _ in places.values()) + WIDTH + 2 * GAP
    boxes: dict[str, tuple[int, int, int, int]] = {
        f"s_{name}": _box(flow.steps[name], *place) for name, place in places.items()
    }
    first = boxes[f"s_{flow.first.name}"]
    boxes[f"s_{START}"] = (first[0] - GAP, first[1] + first[3] // 2 - _SMALL // 2, _SMALL, _SMALL)
    last_name = list(flow.steps)[-1]
    last = boxes[f"s_{last_name}"]
    if any(target == f"s_{END}" for _, _, target in flows):
        boxes[f"s_{END}"] = (last[0] + last[2] + GAP // 2, last[1] + last[3] // 2 - _SMALL // 2, _SMALL, _SMALL)
    rows = lanes(flow)
    _shape(plane, "pool", (0, TITLE, right, len(rows) * LANE), isHorizontal="true")
    for at in range(len(rows)):
        _shape(plane, f"lane_{at}", (30, TITLE + at * LANE, right - 30, LANE), isHorizontal="true")
    for key, box in boxes.items():
        _shape(plane, key, box)
    for key, source, target in flows:
        edge = ET.SubElement(plane, f"{{{DI}}}BPMNEdge", {"id": f"{key}_di", "bpmnElement": key})
        for x, y in _way(boxes[source], boxes[target]):
            ET.SubElement(edge, f"{{{DD}}}waypoint", {"x": str(x), "y": str(y)})


def _box(step: Step, x: int, y: int) -> tuple[int, int, int, int]:
    small = {StepKind.DECISION: 50, StepKind.WAIT: _SMALL, StepKind.END: _SMALL}.get(step.kind)
    if small is None:
        return x, y, WIDTH, HEIGHT
    return x + (WIDTH - small) // 2, y + (HEIGHT - small) // 2, small, small


def _shape(plane: ET.Element, key: str, box: tuple[int, int, int, int], **more: str) -> None:
    shape = ET.SubElement(plane, f"{{{DI}}}BPMNShape", {"id": f"{key}_di", "bpmnElement": key, **more})
    x, y, width, height = box
    given = {"x": str(x), "y": str(y), "width": str(width), "height": str(height)}
    ET.SubElement(shape, f"{{{DC}}}Bounds", given)


def _way(source: tuple[int, int, int, int], target: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    x1, y1 = source[0] + source[2], source[1] + source[3] // 2
    x2, y2 = target[0], target[1] + target[3] // 2
    if x2 > x1:
        turn = x2 - GAP // 2
        return [(x1, y1), (turn, y1), (turn, y2), (x2, y2)]
    below = source[1] + source[3] + 12
    middle, there = source[0] + source[2] // 2, target[0] + target[2] // 2
    return [(middle, source[1] + source[3]), (middle, below), (there, below), (there, target[1] + target[3])]


assert MARGIN > _SMALL + GAP, "the start event stands left of the first step"
