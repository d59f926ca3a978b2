"""Starts by the calendar: a day that exists, records that exist, and a new record that is complete."""

from __future__ import annotations

from typing import Any

from clew.metadata import rules, rules_process
from clew.metadata.link.actions import Actions
from clew.metadata.link.project import Linking
from clew.metadata.processes import Schedule, TimeLimit, Value
from clew.metadata.source import AnyNode, find
from clew.metadata.spec.workflow import ScheduleSpec, limit_of

_DAYS = {"day": 0, "week": 7, "month": 31, "quarter": 31}


def link_schedule(
    linking: Linking, actions: Actions, spec: ScheduleSpec | None, node: AnyNode, entity: str, path: str
) -> Schedule | None:
    """What the calendar starts; None where nothing is said or it cannot be."""
    if spec is None:
        return None
    day = _day(linking, spec, node, path)
    limit = TimeLimit(*limit_of(spec.ahead)) if spec.ahead else None
    if limit is not None and limit.unit not in ("wd", "cd"):
        _bad(
            linking, find(node, "ahead"), f"{path}.ahead", spec.ahead, "whole days are meant: wd or cd", "应为 wd 或 cd"
        )
    each = spec.each or ""
    if each and each not in linking.entities:
        linking.unknown(rules.UNKNOWN_ENTITY, find(node, "each").place, each, linking.entities, f"{path}.each")
        return None
    where = None
    if spec.where is not None and each:
        where = actions.expressions.condition(spec.where, find(node, "where"), each, f"{path}.where", database=True)
    values: tuple[tuple[str, Value], ...] = ()
    if spec.create:
        at = find(node, "create")
        values = actions.values(spec.create, at, each or entity, each or None, entity, f"{path}.create")
        actions.complete(entity, set(spec.create), at, f"{path}.create")
    elif each != entity:
        reason = f"`create` says which {entity} it is about, or `each` is {entity}"
        _bad(linking, node, path, each or "–", reason, f"应用 `create` 写明新建的 {entity},或 `each` 即为 {entity}")
    month, number = day
    return Schedule(spec.every, month, number, limit, each, where, values)


def _day(linking: Linking, spec: ScheduleSpec, node: AnyNode, path: str) -> tuple[int, int]:
    """Month and day of the period."""
    if spec.by is None:
        return 0, 0
    month, _, day = spec.by.rpartition("-")
    fits = bool(month) == (spec.every == "year") and (spec.every == "year" or int(day) <= _DAYS[spec.every])
    if not fits:
        linking.findings.add(
            rules_process.SCHEDULE_DAY, find(node, "by").place, path=f"{path}.by", by=spec.by, every=spec.every
        )
    return int(month or 0), int(day)


def _bad(linking: Linking, node: AnyNode, path: str, value: Any, reason: str, reason_zh: str) -> None:
    linking.findings.add(rules.BAD_VALUE, node.place, path=path, value=value, reason=reason, reason_zh=reason_zh)
