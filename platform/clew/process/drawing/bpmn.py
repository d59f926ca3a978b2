"""BPMN 2.0: a process as other tools read it, with lanes and diagrams.

Branches and for-each steps become sub-processes; what BPMN has no word for (votes, quorums, effects on records) stands
in the documentation of its task. A step whose flow ends leads to an end event. Each sub-process has a diagram of its
own, which tools open from its box.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only written, never read
from collections.abc import Iterable
from dataclasses import dataclass, field

from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Flow, Step, StepKind, Workflow
from clew.process.checkpoints import clauses_of
from clew.process.drawing.graph import END, START, Arrow, arrows, lane, lanes
from clew.process.drawing.layout import Box, Node, Point, Way, lay_out
from clew.process.drawing.text import folded, wide
from clew.process.drawing.words import Words

MODEL = "http://www.omg.org/spec/BPMN/20100524/MODEL"
DI = "http://www.omg.org/spec/BPMN/20100524/DI"
DC = "http://www.omg.org/spec/DD/20100524/DC"
DD = "http://www.omg.org/spec/DD/20100524/DI"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
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
_SMALL, _GATE, _TASK, _ROOM, _TEXT = 36, 50, (150, 64), 140, 11
_LEFT, _NAMES = 160, 30


@dataclass(slots=True)
class _Scope:
    """What one diagram shows: the process (`element` empty), or the inside of a sub-process."""

    element: str = ""
    nodes: list[Node] = field(default_factory=list)
    ways: list[tuple[str, Way, str]] = field(default_factory=list)
    """The id of each arrow, the arrow, and what it says."""


def export(blueprint: Blueprint, workflow: Workflow, locale: Locale) -> str:
    """The BPMN 2.0 XML of one process."""
    for prefix, uri in (("bpmn", MODEL), ("bpmndi", DI), ("dc", DC), ("di", DD), ("xsi", XSI)):
        ET.register_namespace(prefix, uri)
    return _Export(workflow, Words(blueprint, locale)).text()


class _Export:
    def __init__(self, workflow: Workflow, words: Words) -> None:
        self._workflow, self._words = workflow, words
        self._scopes: list[_Scope] = []
        self._lane_names: dict[str, str] = {}
        self._lane_of = {step.path: lane(step) for step in workflow.flow.steps.values()}

    def text(self) -> str:
        name, label = self._workflow.name, self._words.of(self._workflow.label) or self._workflow.name
        root = ET.Element(_b("definitions"), {"id": f"definitions_{name}", "targetNamespace": "urn:clew:process"})
        collaboration = ET.SubElement(root, _b("collaboration"), {"id": "collaboration"})
        ET.SubElement(collaboration, _b("participant"), {"id": "pool", "name": label, "processRef": name})
        process = ET.SubElement(root, _b("process"), {"id": name, "name": label, "isExecutable": "false"})
        self._lanes(process)
        self._content(process, self._workflow.flow, "", "")
        for at, scope in enumerate(self._scopes):
            self._diagram(root, scope, at)
        ET.indent(root)
        return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"

    def _lanes(self, process: ET.Element) -> None:
        """The lanes; where it begins and ends stands in the lane of the step beside."""
        flow = self._workflow.flow
        ends = [each.source for each in arrows(flow) if each.target == END and not _ends_there(flow, each)]
        beside = {START: lane(flow.first)} | ({END: lane(flow.steps[ends[-1]])} if ends else {})
        lane_set = ET.SubElement(process, _b("laneSet"), {"id": "lanes"})
        for at, who in enumerate(lanes(flow)):
            inside = [step for step in flow.steps.values() if lane(step) == who]
            name = self._lane_names[who] = " ".join(self._words.lane(inside[0], self._workflow))
            found = ET.SubElement(lane_set, _b("lane"), {"id": f"lane_{at}", "name": name})
            for key in (*(step.name for step in inside), *(key for key, whose in beside.items() if whose == who)):
                ET.SubElement(found, _b("flowNodeRef")).text = f"s_{key}"
        self._lane_of |= beside

    def _content(self, parent: ET.Element, flow: Flow, prefix: str, element: str) -> None:
        """The steps of a flow with a start event, end events and the arrows between."""
        scope = _Scope(element)
        self._scopes.append(scope)

        def key(name: str) -> str:
            return f"{prefix}s_{name}"

        def seen(name: str, width: int, height: int) -> None:
            scope.nodes.append(Node(key(name), "" if element else self._lane_of[name], width, height))

        ET.SubElement(parent, _b("startEvent"), {"id": key(START)})
        seen(START, _SMALL, _SMALL)
        for step in flow.steps.values():
            self._step(parent, step, key(step.name))
            seen(step.name, *_size(step.kind))
        following = [each for each in arrows(flow) if not _ends_there(flow, each)]
        if any(each.target == END for each in following):
            ET.SubElement(parent, _b("endEvent"), {"id": key(END)})
            seen(END, _SMALL, _SMALL)
        for at, each in enumerate(following):
            name = f"{prefix}f_{at}"
            given = {"id": name, "sourceRef": key(each.source), "targetRef": key(each.target)}
            said = self._words.way(flow.steps[each.source], each.when) if each.source != START else ""
            shown = "".join(folded(said, _ROOM, 1, _TEXT))
            if said:
                given["name"] = shown
            arrow = ET.SubElement(parent, _b("sequenceFlow"), given)
            if each.source != START and flow.steps[each.source].kind is StepKind.DECISION and each.when:
                ET.SubElement(
                    arrow, _b("conditionExpression"), {f"{{{XSI}}}type": "bpmn:tFormalExpression"}
                ).text = said
            scope.ways.append((name, Way(given["sourceRef"], given["targetRef"], _ROOM + 8 if said else 0), shown))

    def _step(self, parent: ET.Element, step: Step, key: str) -> None:
        label = self._words.of(step.label) or step.name
        element = ET.SubElement(parent, _b(_ELEMENTS[step.kind]), {"id": key, "name": label})
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
            ET.SubElement(element, _b("multiInstanceLoopCharacteristics"), {"isSequential": "false"})
            self._content(element, step.flows["each"], f"{key}_", key)
        elif step.kind is StepKind.PARALLEL:
            self._side_by_side(element, step, key)

    def _side_by_side(self, parent: ET.Element, step: Step, key: str) -> None:
        """Fork, a sub-process for each branch, join."""
        scope = _Scope(key)
        self._scopes.append(scope)
        join = "parallelGateway" if step.needed is None else "complexGateway"
        for kind, name, size in (("startEvent", "begin", _SMALL), ("parallelGateway", "fork", _GATE)):
            ET.SubElement(parent, _b(kind), {"id": f"{key}_{name}"})
            scope.nodes.append(Node(f"{key}_{name}", "", size, size))
        ways = [("begin", "fork"), ("join", "end")]
        for branch, flow in step.flows.items():
            label = self._words.of(flow.first.label) or branch
            inner = ET.SubElement(parent, _b("subProcess"), {"id": f"{key}_b_{branch}", "name": label})
            scope.nodes.append(Node(f"{key}_b_{branch}", "", *_TASK))
            self._content(inner, flow, f"{key}_{branch}_", f"{key}_b_{branch}")
            ways += [("fork", f"b_{branch}"), (f"b_{branch}", "join")]
        ET.SubElement(parent, _b(join), {"id": f"{key}_join", "name": "" if step.needed is None else str(step.needed)})
        ET.SubElement(parent, _b("endEvent"), {"id": f"{key}_end"})
        scope.nodes += [Node(f"{key}_join", "", _GATE, _GATE), Node(f"{key}_end", "", _SMALL, _SMALL)]
        for at, (source, target) in enumerate(ways):
            given = {"id": f"{key}_w_{at}", "sourceRef": f"{key}_{source}", "targetRef": f"{key}_{target}"}
            ET.SubElement(parent, _b("sequenceFlow"), given)
            scope.ways.append((given["id"], Way(given["sourceRef"], given["targetRef"]), ""))

    def _diagram(self, root: ET.Element, scope: _Scope, at: int) -> None:
        whole = not scope.element
        about = "collaboration" if whole else scope.element
        diagram = ET.SubElement(root, f"{{{DI}}}BPMNDiagram", {"id": f"diagram_{at}"})
        plane = ET.SubElement(diagram, f"{{{DI}}}BPMNPlane", {"id": f"plane_{at}", "bpmnElement": about})
        ways = [way for _, way, _ in scope.ways]
        rooms = {key: round(wide(name)) // 2 + _SMALL for key, name in self._lane_names.items()}
        page = lay_out(scope.nodes, ways, left=_LEFT, top=_SMALL, lane_room=rooms)
        if whole:
            top, right = _SMALL, page.width + _SMALL - _LEFT + _NAMES
            _shape(plane, "pool", (_LEFT - _NAMES, top, right, page.bottom - top), isHorizontal="true")
            for number, who in enumerate(lanes(self._workflow.flow)):
                y, tall = page.lanes[who]
                _shape(plane, f"lane_{number}", (_LEFT, y, right - _NAMES, tall), isHorizontal="true")
        for key, box in page.boxes.items():
            node = next(each for each in scope.nodes if each.key == key)
            # A box grows with the arrows that leave it; an event or gateway keeps its size.
            height = node.height if node.height in (_SMALL, _GATE) else box.height
            _shape(plane, key, (box.x, box.middle - height // 2, box.width, height))
        for (key, way, said), points in zip(scope.ways, page.ways, strict=True):
            edge = ET.SubElement(plane, f"{{{DI}}}BPMNEdge", {"id": f"{key}_di", "bpmnElement": key})
            for x, y in _from(page.boxes[way.source], points):
                ET.SubElement(edge, f"{{{DD}}}waypoint", {"x": str(x), "y": str(y)})
            if said:
                label = ET.SubElement(edge, f"{{{DI}}}BPMNLabel")
                _bounds(label, (points[0][0] + 4, points[0][1] - 14, round(wide(said, _TEXT)) + 4, 14))


def _b(name: str) -> str:
    return f"{{{MODEL}}}{name}"


def _ends_there(flow: Flow, arrow: Arrow) -> bool:
    return arrow.target == END and flow.steps[arrow.source].kind is StepKind.END


def _from(box: Box, points: tuple[Point, ...]) -> tuple[Point, ...]:
    """The corners of an arrow; from a gateway, whose side is one point, it begins at that point."""
    (x, y), *_ = points
    return points if box.width != _GATE or y == box.middle else ((x, box.middle), *points)


def _size(kind: StepKind) -> tuple[int, int]:
    small = {StepKind.DECISION: _GATE, StepKind.WAIT: _SMALL, StepKind.END: _SMALL}.get(kind)
    return _TASK if small is None else (small, small)


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
    if step.checkpoint is not None:
        yield f"checkpoint: {clauses_of(step)} (before {', '.join(step.checkpoint.before)})"
    for moment, state in step.states.items():
        yield f"state {moment}: {state}"


def _shape(plane: ET.Element, key: str, box: tuple[int, int, int, int], **more: str) -> None:
    shape = ET.SubElement(plane, f"{{{DI}}}BPMNShape", {"id": f"{key}_di", "bpmnElement": key, **more})
    _bounds(shape, box)


def _bounds(parent: ET.Element, box: tuple[int, int, int, int]) -> None:
    x, y, width, height = box
    given = {"x": str(x), "y": str(y), "width": str(width), "height": str(height)}
    ET.SubElement(parent, f"{{{DC}}}Bounds", given)
