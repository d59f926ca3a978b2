"""Whether somebody sees everything that a condition reads: only then may its answer be told to them.

What a condition says of a field that is hidden is as good as the field: whoever tries values reads it in them.
"""

from __future__ import annotations

from collections.abc import Collection

from clew.access.decision import Decision
from clew.expressions.tree import Checked
from clew.metadata.blueprint import Blueprint, Entity
from clew.records.judge import Facts, Judge

Path = tuple[str, ...]


def always_shown(blueprint: Blueprint, decision: Decision, entity: str, path: Path) -> bool:
    """Whether a way from a record, and what it ends at, is there for the caller on every record they see."""
    if not path:
        return True
    access = decision.on(entity)
    name = "state" if path[0].startswith("@") else path[0]
    known = access.fields.get(name)
    if not access.read.allowed or (name != "id" and (known is None or not known.read.always)):
        return False
    if path[0].startswith("@"):
        return path[0] == "@entered"
    return all(always_shown(blueprint, decision, each, path[1:]) for each in _targets(blueprint, entity, name))


async def shown(
    blueprint: Blueprint, decision: Decision, judge: Judge, entity: Entity, record: Facts, condition: Checked
) -> bool:
    """Whether the caller sees all that a condition reads of this record, and may see of others whatever they are."""
    if not condition.reads:
        return True
    if not await judge.granted(decision.on(entity.name).read, entity, record):
        return False
    return await shown_ways(blueprint, decision, judge, entity, record, condition.reads)


async def shown_ways(
    blueprint: Blueprint, decision: Decision, judge: Judge, entity: Entity, record: Facts, ways: Collection[Path]
) -> bool:
    """Whether the caller sees what these ways from a record that they know of lead to."""
    access = decision.on(entity.name)
    for path in ways:
        if always_shown(blueprint, decision, entity.name, path):
            continue
        known = access.fields.get(path[0]) if path else None
        if known is None or not await judge.granted(known.read, entity, record):
            return False
        if not all(always_shown(blueprint, decision, to, path[1:]) for to in _targets(blueprint, entity.name, path[0])):
            return False
    return True


def _targets(blueprint: Blueprint, entity: str, name: str) -> tuple[str, ...]:
    known = blueprint.entities[entity]
    if name in known.inverses:
        return (known.inverses[name].source,)
    return known.fields[name].targets if name in known.fields else ()
