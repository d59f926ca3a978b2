"""Pictures of processes: nothing is left out, nothing leads nowhere, and what is drawn can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest
from tests.unit.process.play import PROJECT

from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder, load_sources
from clew.process.drawing import bpmn, mermaid, svg
from clew.process.drawing.chart import Chart, of_all, of_process
from clew.process.drawing.graph import END, START, Hand, arrows, handed, hands
from clew.process.drawing.layout import Node, Page, Point, Way, columns, lay_out
from clew.process.drawing.text import folded, wide
from clew.process.drawing.words import Words

ROOT = Path(__file__).parents[3]
EVERYTHING = """\
  fill: {who: clerk, within: 4 wh, when_late: rescue, label: {en: "Fill <in> & \\"go\\""}}
  ask: {one_by_one: {posts: [head, law], enough: 1}, sign: approval, then: {approve: which, reject: fill}}
  which: {decide: [{when: serious, then: both}, {then: each_part}]}
  both:
    parallel: {a: {one: {who: clerk}}, b: {two: {who: law}, three: {wait: {for: 2 wd}}}}
    wait_for: any
  each_part: {for_each: parts, steps: {look: {who: clerk}}}
  act: {do: [{set: {serious: true}}], on_error: rescue}
  hear: {wait: {event: case.check}}
  inner: {call: {workflow: handling}, then: {any: over}}
  rescue: {who: head}
  over: {end: done}
"""
LOCALES: tuple[Locale, ...] = ("zh", "en")
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"


@pytest.fixture(scope="module")
def pack() -> Blueprint:
    found = load_folder(ROOT).blueprint
    assert found is not None
    return found


@pytest.fixture(scope="module")
def small() -> Blueprint:
    text = f"workflow: handling\nfor: case\nsteps:\n{EVERYTHING}"
    found = load_sources({**PROJECT, "workflows/w.yaml": text}).blueprint
    assert found is not None
    return found


def test_every_step_is_drawn_and_every_arrow_leads_somewhere(pack: Blueprint, small: Blueprint) -> None:
    for project in (small, pack):
        for each in project.workflows.values():
            names = {START, END, *each.flow.steps}
            assert all(arrow.source in names and arrow.target in names for arrow in arrows(each.flow))
            assert {arrow.target for arrow in arrows(each.flow)} >= set(each.flow.steps), "each step is come to"
            for locale in LOCALES:
                text = mermaid.swimlanes(project, each, locale)
                picture = ET.fromstring(svg.swimlanes(project, each, locale))
                said = {title.text for title in picture.iter("{http://www.w3.org/2000/svg}title")}
                for flow, step in each.walk():
                    assert step.name in text
                    label = step.label.to(locale) or step.name
                    assert flow is not each.flow or any((title or "").startswith(label) for title in said)


def test_the_lanes_are_named_as_people_speak(pack: Blueprint) -> None:
    drawn = svg.swimlanes(pack, pack.workflows["change_evaluation"], "zh")
    assert "变更协调员" in drawn
    assert "change_coordinator" not in drawn
    assert "不同意" in drawn
    assert "24 工时" in drawn
    assert "研发评估" in drawn, "what is done inside a branch stands in the lane of who does it"
    exported = ET.fromstring(bpmn.export(pack, pack.workflows["change_evaluation"], "en"))
    assert "Change coordinator" in {lane.get("name") for lane in exported.iter(f"{BPMN}lane")}


def test_nothing_is_drawn_over_anything_else(pack: Blueprint, small: Blueprint) -> None:
    """Boxes stand apart, arrows pass no box, and only arrows to one target run together."""
    for project in (small, pack):
        words = Words(project, "zh")
        for chart in (of_all(words), *(of_process(each, words) for each in project.workflows.values())):
            apart(chart, laid_out(chart))


def laid_out(chart: Chart) -> Page:
    nodes = [Node(key, item.lane, 160, 50 if item.label else 26) for key, item in chart.items.items()]
    return lay_out(nodes, [Way(each.source, each.target, 40) for each in chart.links], left=150, top=40)


def apart(chart: Chart, page: Page) -> None:
    boxes = list(page.boxes.values())
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            assert (
                one.x + one.width < other.x
                or other.x + other.width < one.x
                or (one.y + one.height < other.y or other.y + other.height < one.y)
            ), (chart.title, one, other)
    lines: dict[str, list[tuple[Point, Point]]] = {}
    for link, points in zip(chart.links, page.ways, strict=True):
        assert points[0][0] == page.boxes[link.source].x + page.boxes[link.source].width
        assert points[-1] == (page.boxes[link.target].x, page.boxes[link.target].middle)
        pieces = list(pairwise(points))
        for (x1, y1), (x2, y2) in pieces:
            low, high, top, bottom = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
            for box in boxes:
                beside = high <= box.x or box.x + box.width <= low
                assert beside or bottom < box.y or box.y + box.height < top, (chart.title, link, box)
        lines.setdefault(link.target, []).extend(pieces)
    for target, pieces in lines.items():
        for other, others in lines.items():
            assert target >= other or not any(shared(one, two) for one in pieces for two in others), (target, other)


def shared(one: tuple[Point, Point], two: tuple[Point, Point]) -> bool:
    """Two lines lie on one another, not only across."""
    for along, across in ((0, 1), (1, 0)):
        if len({each[across] for each in (*one, *two)}) == 1:
            (low, high), (start, end) = sorted(each[along] for each in one), sorted(each[along] for each in two)
            if low < end and start < high:
                return True
    return False


def test_what_leads_back_takes_nothing_further_right() -> None:
    assert columns("abcd", [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "a")]) == {
        "a": 0, "b": 1, "c": 2, "d": 3,
    }  # fmt: skip


def test_lines_end_between_words_and_beside_characters() -> None:
    assert folded("Approve the whole change", 80, 3) == ["Approve the", "whole", "change"]
    assert folded("紧急变更的追认与冻结", 60, 2) == ["紧急变更的", "追认与冻结"]
    assert folded("紧急变更的追认与冻结", 60, 1) == ["紧急变更…"]
    assert all(wide(line) <= 40 for line in folded("incomprehensibilities", 40, 9))


def test_a_label_stays_a_label(small: Blueprint) -> None:
    text = mermaid.swimlanes(small, small.workflows["handling"], "en")
    assert "Fill &lt;in&gt; &amp; &quot;go&quot;" in text
    assert text.count("subgraph ") == sum(line.strip() == "end" for line in text.splitlines())


def test_bpmn_refers_to_nothing_that_is_not_there(pack: Blueprint, small: Blueprint) -> None:
    """Every arrow has both ends, every node its arrows by BPMN's rules, every shape its element."""
    for project, each in ((of, each) for of in (small, pack) for each in of.workflows.values()):
        root = ET.fromstring(bpmn.export(project, each, "en"))
        ids = [found.get("id") for found in root.iter() if found.get("id")]
        assert len(ids) == len(set(ids)), "an id is given once"
        for flow in root.iter(f"{BPMN}sequenceFlow"):
            assert {flow.get("sourceRef"), flow.get("targetRef")} <= set(ids)
        drawn = {shape.get("bpmnElement") for shape in root.iter() if shape.get("bpmnElement")}
        assert drawn <= set(ids)
        process = root.find(f"{BPMN}process")
        assert process is not None
        flows = {found.get("id") for found in process.iter(f"{BPMN}sequenceFlow")}
        ends = {found.get(end) for found in process.iter(f"{BPMN}sequenceFlow") for end in ("sourceRef", "targetRef")}
        assert flows | ends <= drawn, "inside of branches too, on diagrams of their own"
        referred = {found.text for found in process.iter(f"{BPMN}flowNodeRef")}
        assert {f"s_{name}" for name in each.flow.steps} <= referred
        kinds = {found.tag.removeprefix(BPMN) for found in process.iter()}
        assert {"startEvent", "endEvent", "sequenceFlow"} <= kinds
        assert ("userTask" in kinds) == any(step.kind.human for _, step in each.walk())
    everything = ET.fromstring(bpmn.export(small, small.workflows["handling"], "zh"))
    kinds = {found.tag.removeprefix(BPMN) for found in everything.iter()}
    assert {"subProcess", "callActivity", "intermediateCatchEvent", "exclusiveGateway", "serviceTask"} <= kinds


def test_the_map_of_all_shows_who_hands_over_to_whom() -> None:
    text = """\
workflow: first
for: case
steps:
  make: {do: [{create: part, with: {code: "'x'"}}]}
  call_it: {call: {workflow: third}}
---
workflow: second
for: part
starts: [{event: part.create}]
steps:
  look: {who: clerk}
---
workflow: third
for: case
steps:
  look: {who: clerk}
"""
    action = "{plugin: p, for: case, makes: %s}"
    head = "project: small\nactions:\n  mark: " + action % "[]" + "\n  order: " + action % "[part, case.check]" + "\n"
    more = """\
---
workflow: fourth
for: case
starts: [{event: case.check}]
steps:
  mark: {do: [{run: mark}]}
  order: {do: [{run: order}]}
"""
    blueprint = load_sources({**PROJECT, "clew.yaml": head, "workflows/w.yaml": text + more}).blueprint
    assert blueprint is not None
    assert set(hands(blueprint)) == {
        Hand("first", "second", "part.create"),
        Hand("first", "third", "call"),
        Hand("fourth", "second", "part.create"),
        Hand("fourth", "fourth", "case.check"),
    }, "also what plugins make"
    wrong = load_sources({**PROJECT, "clew.yaml": head.replace("[part, case.check]", "[prat, case.chek]")})
    assert sorted(each.rule.code for each in wrong.diagnostics) == ["UNKNOWN_ENTITY", "UNKNOWN_TRANSITION"]
    drawn = mermaid.overview(blueprint, "en")
    assert 'first -->|"Part · created"| second' in drawn
    assert 'part__create(["Part · created"]) -.-> second' in drawn
    assert "▷ Part · created" in svg.overview(blueprint, "en")


def test_whoever_has_to_name_what_they_made_hands_over() -> None:
    """What may be named was there before; what must be named was made for it."""
    text = """\
workflow: first
for: case
steps:
  choose: {who: clerk, output: [kept]}
  make: {who: clerk, output: [kept], must_output: [kept]}
---
workflow: second
for: part
starts: [{event: part.create}]
steps:
  look: {who: clerk}
"""
    models = PROJECT["models/a.yaml"].replace("  parts:", "  kept: {type: ref, of: part}\n  parts:")
    given = {**PROJECT, "models/a.yaml": models, "workflows/w.yaml": text}
    blueprint = load_sources(given).blueprint
    assert blueprint is not None
    assert list(handed(blueprint, blueprint.workflows["first"])) == [("make", "second", "part.create")]
