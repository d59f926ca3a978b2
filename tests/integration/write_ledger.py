"""Holds every table of a release against its trail: what a compliance officer would do by hand."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from write_journey import Plant

from clew.audit.leaf import entries_of, verify_leaf
from clew.kernel.canonical import canonical_json
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.rows import BOOKKEEPING
from clew.records.statements import EntityStatements
from clew.records.values import plain
from clew.storage import system

Row = Mapping[str, Any]


async def discrepancies(made: Plant) -> list[str]:
    """Everything that is in a table and not in the trail, or the other way round; nothing when the books agree."""
    found: list[str] = []
    leaves: dict[UUID, list[Row]] = defaultdict(list)
    stored = await made.rows(system.leaf)
    for leaf in stored:
        if leaf["row_version"]:  # version zero tells an event, such as a refusal: no version of the record
            leaves[leaf["record_id"]].append(leaf)
        if wrong := verify_leaf(leaf["header"], leaf["fields"], leaf["digest"]):
            found.append(f"leaf {leaf['leaf_id']}: {wrong}")
    # Each waits to be sealed or is sealed: whoever runs a server seals now and then.
    queue, log = await made.rows(system.leaf_pending), await made.rows(system.audit_log)
    if sorted(each["leaf_id"] for each in (*queue, *log)) != sorted(each["leaf_id"] for each in stored):
        found.append("queue and log together differ from the leaves")
    for entity in made.blueprint.entities.values():
        found += await _entity(made, entity, leaves)
    if leaves:
        found.append(f"leaves of nothing: {[each[0]['entity'] for each in leaves.values()]}")
    found += await _outbox(made)
    return found


async def _entity(made: Plant, entity: Entity, leaves: dict[UUID, list[Row]]) -> list[str]:
    found: list[str] = []
    shape = EntityStatements(entity, made.tables).shape
    current = await made.current(entity.name)
    history: dict[UUID, list[Row]] = defaultdict(list)
    for row in await made.rows(made.tables.history(entity.name)):
        history[row["id"]].append(row)
    for record_id in set(current) | set(history):
        name = f"{entity.name} {record_id}"
        versions = sorted(history[record_id], key=lambda row: row["row_version"])
        trail = sorted(leaves.pop(record_id, []), key=lambda leaf: leaf["row_version"])
        numbers = [row["row_version"] for row in versions]
        removed = record_id not in current
        if numbers != list(range(1, len(versions) + 1)):
            found.append(f"{name}: versions {numbers}")
        if [leaf["row_version"] for leaf in trail] != [*numbers, *([len(numbers) + 1] if removed else [])]:
            found.append(f"{name}: leaves {[leaf['row_version'] for leaf in trail]} of versions {numbers}")
        for one, two in itertools.pairwise(versions):
            if one["tx_to"] != two["tx_from"] or one["tx_from"] >= one["tx_to"]:
                found.append(f"{name}: a gap after version {one['row_version']}")
        if not removed:
            last = versions[-1] if versions else {}
            if last.get("tx_to") != FAR_FUTURE or any(
                last.get(key) != value for key, value in current[record_id].items()
            ):
                found.append(f"{name}: the present row is not the last version")
        elif versions and versions[-1]["tx_to"] == FAR_FUTURE:
            found.append(f"{name}: removed but open")
        found += _replay(name, entity, shape, versions, trail)
    return found


def _replay(name: str, entity: Entity, shape: Any, versions: list[Row], trail: list[Row]) -> list[str]:
    """The values told by the leaves, version after version, are the values in the history."""
    told: dict[str, Any] = {}
    found: list[str] = []
    for version, leaf in zip(versions, trail, strict=False):
        for field, entry in entries_of(leaf["fields"]).items():
            if entity.fields[field].kind in (FieldKind.MANY, FieldKind.LINES):
                continue
            if told.get(field) != entry.old:
                found.append(f"{name}: leaf {leaf['row_version']} says {field} was {entry.old}, not {told.get(field)}")
            told[field] = entry.new
        record = shape.record([version[key] for key in shape.keys])
        kept = {
            field: _wire(value) for field, value in record.items() if field not in BOOKKEEPING and value is not None
        }
        if kept != {field: value for field, value in told.items() if value is not None}:
            found.append(f"{name}: version {version['row_version']} is not what the trail tells")
        if leaf["at"] != version["tx_from"]:
            found.append(f"{name}: leaf and version {version['row_version']} differ in time")
    return found


def _wire(value: Any) -> Any:
    return json.loads(canonical_json(plain(value)))


async def _outbox(made: Plant) -> list[str]:
    """Every version is announced, and nothing else of records."""
    events = [each for each in await made.rows(system.outbox) if each["entity"] in made.blueprint.entities]
    announced = {(each["record_id"], each["row_version"]) for each in events}
    leaves = await made.rows(system.leaf)
    written = {(each["record_id"], each["row_version"]) for each in leaves if each["row_version"]}
    waiting = {each["event_id"] for each in await made.rows(system.outbox_pending)}
    found = [] if announced == written else ["the outbox and the trail tell of different versions"]
    if waiting != {each["event_id"] for each in await made.rows(system.outbox)}:
        found.append("events are missing from the queue")
    return found
