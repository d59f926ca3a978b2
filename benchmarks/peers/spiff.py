"""SpiffWorkflow with its state in PostgreSQL, written after every step: what a library alone costs.

The process is Clew's own five-step workflow in BPMN 2.0, as `clew process map --format bpmn` exports it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import asyncpg
from SpiffWorkflow import TaskState
from SpiffWorkflow.bpmn import BpmnWorkflow
from SpiffWorkflow.bpmn.parser import BpmnParser
from SpiffWorkflow.bpmn.serializer import BpmnWorkflowSerializer

TABLE = "CREATE TABLE IF NOT EXISTS spiff (id uuid PRIMARY KEY, done boolean NOT NULL, state text NOT NULL)"


class Spiff:
    """Runs instances of one process on one connection."""

    def __init__(self, connection: asyncpg.Connection[Any], bpmn: str, process: str) -> None:
        parser = BpmnParser()
        # What is exported is marked as a drawing: effects on records are nothing another tool could run.
        parser.add_bpmn_str(bpmn.replace('isExecutable="false"', 'isExecutable="true"').encode())
        self._spec = parser.get_spec(process)
        self._serializer = BpmnWorkflowSerializer(registry=BpmnWorkflowSerializer.configure())
        self._connection = connection

    async def begin(self) -> UUID:
        workflow = BpmnWorkflow(self._spec)
        workflow.do_engine_steps()
        made = uuid4()
        text = self._serializer.serialize_json(workflow)
        await self._connection.execute("INSERT INTO spiff VALUES ($1, false, $2)", made, text)
        return made

    async def complete(self, instance: UUID) -> bool:
        """The task that waits, in one transaction; True when it was the last."""
        async with self._connection.transaction():
            text = await self._connection.fetchval("SELECT state FROM spiff WHERE id = $1 FOR UPDATE", instance)
            workflow = self._serializer.deserialize_json(text)
            workflow.get_tasks(state=TaskState.READY, manual=True)[0].run()
            workflow.do_engine_steps()
            done = bool(workflow.completed)
            text = self._serializer.serialize_json(workflow)
            await self._connection.execute("UPDATE spiff SET state = $2, done = $3 WHERE id = $1", instance, text, done)
        return done
