"""Plain values of processes as they were asked for: the members selected, under their response keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clew.api.forms import step_shown
from clew.api.operations import Call
from clew.api.planner import Planner, Selected
from clew.metadata import naming
from clew.process import reading


def shape(planner: Planner, selected: Selected, value: Any, call: Call) -> Any:
    """A plain value with the members that were selected, under their response keys."""
    if isinstance(value, list):
        return [shape(planner, selected, each, call) for each in value]
    if not isinstance(value, Mapping) or not any(node.selection_set for node in selected.nodes):
        return value
    found = {}
    for child in planner.children(selected):
        if child.name == "__typename":
            found[child.key] = selected.type.name
        else:
            found[child.key] = shape(planner, child, _member(value, child.name, call), call)
    return found


def lists_at(call: Call, selected: Selected) -> frozenset[str]:
    """Which long lists of an instance are asked for where one is selected; the others are not read."""
    return reading.LISTS & {each.name for each in call.planner.children(selected)}


def lists_of(call: Call, selected: Selected | None = None) -> frozenset[str]:
    """Those of the member `process`."""
    below = call.planner.children(selected or call.selected)
    return frozenset[str]().union(*(lists_at(call, each) for each in below if each.name == "process"))


def shaped(call: Call, value: Any) -> Any:
    """A value as the call asks for it."""
    return shape(call.planner, call.selected, value, call)


def _member(value: Mapping[str, Any], name: str, call: Call) -> Any:
    if name in value:
        return value[name]
    blueprint, locale = call.planner.build.blueprint, call.caller.context.locale
    workflow = blueprint.workflows.get(value["workflow"])
    if "step" not in value:
        return workflow.label.to(locale) if workflow is not None else value["workflow"]
    try:
        step = workflow.step(value["step"]) if workflow is not None else None
    except KeyError:
        # The instance is pinned to an earlier definition, in which the step had this name.
        step = None
    if name == "label":
        return step.label.to(locale) if step is not None else value["step"]
    if name == "sign":
        return step.sign if step is not None else None
    if name == "form":
        build = call.planner.build
        known = blueprint.entities.get(value["entity"]) if build.sees_entity(value["entity"]) else None
        return step_shown(call.planner.build, step, known) if step is not None and known is not None else None
    if name == "phrases":
        offered = dict.fromkeys((*step.phrases, *workflow.phrases)) if step is not None and workflow is not None else ()
        return [each.to(locale) for each in offered]
    if name == "outcomes":
        return list(step.outcomes) if step is not None else []
    if step is None or not call.planner.build.sees_entity(value["entity"]):
        return []
    return [naming.field_name(each) for each in step.outputs]
