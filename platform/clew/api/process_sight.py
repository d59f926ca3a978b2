"""Whose eyes an instance of a process is for: who reads its record, and who oversees the process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess
from clew.access.lazily import Lazily
from clew.api.exchange import Caller
from clew.api.kept_plans import read_kept
from clew.expressions.tree import Checked
from clew.process import comments, reading
from clew.process.engine import Processes
from clew.process.errors import DefinitionGone
from clew.records.query import plan as p
from clew.records.sight import always_shown
from clew.storage.engine import Connection

DECIDED = "decided"
"""What the timeline calls a decision table that was asked."""


async def shown(processes: Processes, caller: Caller, connection: Connection, found: Mapping[str, Any]) -> bool:
    """Who sees the record sees its processes, and so does who oversees them."""
    decision = caller.decision
    return await reads(
        processes, caller, connection, decision, found["entity"], UUID(found["recordId"])
    ) or await oversees(processes, caller, connection, found)


async def takes_part_or_sees(
    processes: Processes, caller: Caller, connection: Connection, found: Mapping[str, Any]
) -> bool:
    """Who may look at an instance: who takes part in it, who sees its record, who oversees it."""
    person = caller.context.person.id
    return await processes.takes_part(connection, UUID(found["id"]), person) or await shown(
        processes, caller, connection, found
    )


async def comment_file(
    processes: Processes, caller: Caller, connection: Connection, process: UUID, sha256: str
) -> str | None:
    """The name of a file that a comment on an instance brings, for who may look at the instance; else None."""
    name = await comments.file_name(connection, process, sha256)
    found = await reading.instance(connection, process) if name is not None else None
    if found is None or not await takes_part_or_sees(processes, caller, connection, found):
        return None
    return name


async def oversees(processes: Processes, caller: Caller, connection: Connection, found: Mapping[str, Any]) -> bool:
    """Whether the caller oversees an instance: its grant, asked of the record where reading it would be asked."""
    decision, workflow = caller.decision, found["workflow"]
    grant = decision.process(workflow).oversee
    if not grant.allowed or found["entity"] not in processes.blueprint.entities:
        return False
    access = EntityAccess(read=grant, fields=MappingProxyType({"id": FieldAccess(ALWAYS)}))
    entities = Lazily(decision.entities, lambda name: access if name == found["entity"] else decision.entities[name])
    overseeing = replace(decision, digest=f"{decision.digest} oversees {workflow}", entities=entities)
    return await reads(processes, caller, connection, overseeing, found["entity"], UUID(found["recordId"]))


async def with_seen_records(
    processes: Processes, caller: Caller, connection: Connection, found: Mapping[str, Any]
) -> Mapping[str, Any]:
    """An instance of whose records only those are named that the caller reads, beside the one it is about."""
    seen = [
        each
        for each in found["records"]
        if each["recordId"] == found["recordId"]
        or (
            each["entity"] in processes.blueprint.entities
            and await reads(processes, caller, connection, caller.decision, each["entity"], UUID(each["recordId"]))
        )
    ]
    return {**found, "records": seen}


async def as_seen(
    processes: Processes, caller: Caller, connection: Connection, found: Mapping[str, Any], lists: Collection[str]
) -> Mapping[str, Any]:
    """An instance for its caller, with those of its long lists that are asked for (`reading.LISTS`)."""
    if "records" in lists:
        found = await with_seen_records(processes, caller, connection, found)
    return await with_seen_decisions(processes, caller, connection, found) if "timeline" in lists else found


async def with_seen_decisions(
    processes: Processes, caller: Caller, connection: Connection, found: Mapping[str, Any]
) -> Mapping[str, Any]:
    """An instance whose timeline says what decision tables were asked, and what they said, where the caller sees all
    that was asked: the inputs are fields of its records."""
    lines = found["timeline"]
    if not any(each["what"] == DECIDED for each in lines):
        return found
    blueprint, decision = processes.blueprint, caller.decision
    try:
        workflow = await processes.definitions.of(connection, found["definition"])
    except DefinitionGone:
        # What an ended instance asked is not known any more, so neither is who may see it.
        known: dict[str, tuple[str, tuple[Checked, ...]]] = {}
    else:
        known = {step.path: (flow.entity, step.asked) for flow, step in workflow.walk()}

    def seen(path: str) -> bool:
        entity, asked = known.get(path, ("", ()))
        reads = [each for one in asked for each in one.reads]
        return bool(entity) and all(always_shown(blueprint, decision, entity, each) for each in reads)

    shown = [
        {**each, "comment": None} if each["what"] == DECIDED and not seen(each["step"]) else each for each in lines
    ]
    return {**found, "timeline": shown}


async def reads(
    processes: Processes, caller: Caller, connection: Connection, decision: Decision, entity: str, record: UUID
) -> bool:
    """Whether a decision lets the caller read the record, asked on the one read path."""
    if not decision.on(entity).read.allowed:
        return False

    def plan() -> p.Plan:
        return p.Plan((p.RecordRoot("r", entity, (("id", p.Slot("id")),), (p.Leaf("id", "id"),)),))

    engine, now = processes.commands.engine, await connection.now()
    found = await read_kept(engine, caller, connection, now, ("sees", entity), plan, {"id": record}, decision=decision)
    return found["r"] is not None
