"""Whose eyes an instance of a process is for: who reads its record, and who oversees the process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess
from clew.access.lazily import Lazily
from clew.api.operations import Call
from clew.process.engine import Processes
from clew.records.query import plan as p
from clew.records.query.run import prepare
from clew.storage.engine import Connection


async def shown(processes: Processes, call: Call, connection: Connection, found: Mapping[str, Any]) -> bool:
    """Who sees the record sees its processes, and so does who oversees them."""
    decision = call.caller.decision
    return await reads(
        processes, call, connection, decision, found["entity"], UUID(found["recordId"])
    ) or await oversees(processes, call, connection, found)


async def oversees(processes: Processes, call: Call, connection: Connection, found: Mapping[str, Any]) -> bool:
    """Whether the caller oversees an instance: its grant, asked of the record where reading it would be asked."""
    decision, workflow = call.caller.decision, found["workflow"]
    grant = decision.process(workflow).oversee
    if not grant.allowed or found["entity"] not in processes.blueprint.entities:
        return False
    access = EntityAccess(read=grant, fields=MappingProxyType({"id": FieldAccess(ALWAYS)}))
    entities = Lazily(
        decision.entities, lambda name: access if name == found["entity"] else decision.entities[name]
    )
    overseeing = replace(decision, digest=f"{decision.digest} oversees {workflow}", entities=entities)
    return await reads(processes, call, connection, overseeing, found["entity"], UUID(found["recordId"]))


async def reads(
    processes: Processes, call: Call, connection: Connection, decision: Decision, entity: str, record: UUID
) -> bool:
    """Whether a decision lets the caller read the record, asked on the one read path."""
    if not decision.on(entity).read.allowed:
        return False
    root = p.RecordRoot("r", entity, (("id", p.Const(record)),), (p.Leaf("id", "id"),))
    prepared = prepare(
        p.Plan((root,)), processes.blueprint, processes.commands.engine.tables, decision, connection.dialect
    )
    text = await prepared.fetch(connection, {}, call.caller.context, await connection.now())
    return json.loads(text)["r"] is not None
