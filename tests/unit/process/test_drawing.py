"""Pictures of processes: nothing is left out, nothing leads nowhere, and what is drawn can be read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from tests.unit.process.play import PROJECT, workflow

from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder, load_sources
from clew.process.drawing import bpmn, mermaid, svg
from clew.process.drawing.graph import END, START, Hand, arrows, hands

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
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"


@pytest.fixture(scope="module")
def pack() -> Blueprint:
    found = load_folder(ROOT).blueprint
    assert found is not None
    return found


def test_every_step_is_drawn_and_every_arrow_leads_somewhere(pack: Blueprint) -> None:
    for each in (workflow(EVERYTHING), *pack.workflows.values()):
        names = {START, END, *each.flow.steps}
        assert all(arrow.source in names and arrow.target in names for arrow in arrows(each.flow))
        assert {arrow.target for arrow in arrows(each.flow)} >= set(each.flow.steps), "each step is come to"
        for locale in ("zh", "en"):
            text = mermaid.swimlanes(each, locale)  # type: ignore[arg-type]
            picture = ET.fromstring(svg.swimlanes(each, locale))  # type: ignore[arg-type]
            said = "".join(picture.itertext())
            for step in each.flow.steps.values():
                assert step.name in text
                assert step.label.to(locale)[:24] in said  # type: ignore[arg-type]


def test_a_label_stays_a_label() -> None:
    text = mermaid.swimlanes(workflow(EVERYTHING), "en")
    assert "Fill &lt;in&gt; &amp; &quot;go&quot;" in text
    assert text.count("subgraph ") == sum(line.strip() == "end" for line in text.splitlines())


def test_bpmn_refers_to_nothing_that_is_not_there(pack: Blueprint) -> None:
    """Every arrow has both ends, every node its arrows by BPMN's rules, every shape its element."""
    for each in (workflow(EVERYTHING), *pack.workflows.values()):
        root = ET.fromstring(bpmn.export(each, "en"))
        ids = [found.get("id") for found in root.iter() if found.get("id")]
        assert len(ids) == len(set(ids)), "an id is given once"
        for flow in root.iter(f"{BPMN}sequenceFlow"):
            assert {flow.get("sourceRef"), flow.get("targetRef")} <= set(ids)
        for shape in root.iter():
            if shape.get("bpmnElement"):
                assert shape.get("bpmnElement") in ids
        process = root.find(f"{BPMN}process")
        assert process is not None
        referred = [found.text for found in process.iter(f"{BPMN}flowNodeRef")]
        assert sorted(referred) == sorted(f"s_{name}" for name in each.flow.steps)  # type: ignore[type-var]
        kinds = {found.tag.removeprefix(BPMN) for found in process.iter()}
        assert {"startEvent", "endEvent", "sequenceFlow"} <= kinds
        assert ("userTask" in kinds) == any(step.kind.human for _, step in each.walk())
    assert {"subProcess", "callActivity", "intermediateCatchEvent", "exclusiveGateway", "serviceTask"} <= {
        found.tag.removeprefix(BPMN) for found in ET.fromstring(bpmn.export(workflow(EVERYTHING), "zh")).iter()
    }


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
    blueprint = load_sources({**PROJECT, "workflows/w.yaml": text}).blueprint
    assert blueprint is not None
    assert set(hands(blueprint)) == {Hand("first", "second", "part.create"), Hand("first", "third", "call")}
    drawn = mermaid.overview(blueprint, "en")
    assert 'first -->|"part.create"| second' in drawn
    assert 'part__create(["part.create"]) -.-> second' in drawn
