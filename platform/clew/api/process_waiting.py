"""What a record waits for, and a person's work as it changes: who is asked next, new tasks, new notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from clew.api.operations import Call
from clew.api.process_sight import shown
from clew.process import waiting
from clew.process.behalf import standing
from clew.process.engine import Processes
from clew.records.feed import Feed, Listener
from clew.records.outbox import Event
from clew.records.sight import always_shown
from clew.storage.engine import Connection

LOOK_SECONDS = 1.0
LOOK_ANYWAY_SECONDS = 15.0
TELLING = ("process", "standing_alert", "review")
"""Events that say whom they concern."""
Shape = Callable[[Call, Any], Any]
Mine = Callable[[Processes, Call, Connection], Awaitable[Any]]


async def next_actors(processes: Processes, call: Call, connection: Connection) -> Any:
    """Every open step of the live processes about a record, or about one that refers to it, with who is asked: of those
    instances the caller may see."""
    tables, record = processes.commands.engine.tables, call.arguments["record"]
    found = []
    blueprint, decision = processes.blueprint, call.caller.decision

    def sees(entity: str, field: str) -> bool:
        return always_shown(blueprint, decision, entity, (field,))

    for process in await waiting.concerning(connection, tables, blueprint, record, sees):
        steps = await waiting.open_steps(connection, process)
        if steps and await _sees(processes, call, connection, process, steps[0]):
            found += steps
    return found


async def _sees(processes: Processes, call: Call, connection: Connection, process: UUID, about: dict[str, Any]) -> bool:
    if await processes.takes_part(connection, process, call.caller.context.person.id):
        return True
    return await shown(processes, call.caller, connection, about)


@dataclass(frozen=True, slots=True)
class WorkSpec:
    """A subscription to one's own work: what there is at once, then again whenever it has changed. What concerns
    somebody is pushed by the feed of events; now and then it is looked anyway, for what no event tells (a delegation
    that begins). Every look asks what `myTasks` and `notices` ask, so it shows no more than they do."""

    processes: Processes
    tasks: Mine
    notices: Mine
    shape: Shape
    feed: Feed | None = None
    """Without one it only looks now and then."""

    async def events(self, call: Call) -> AsyncIterator[str]:
        async with AsyncExitStack() as stack:
            listener = await stack.enter_async_context(self.feed.listen(*TELLING)) if self.feed is not None else None
            last = None
            while True:
                async with self.processes.database.read() as connection:
                    tasks = await self.tasks(self.processes, call, connection)
                    notices = await self.notices(self.processes, call, connection)
                    stands = await standing(connection, call.caller.context.person.id, await connection.now())
                seen = (
                    [(each["id"], each["assignee"], each["dueAt"]) for each in tasks],
                    [(each["id"], each["readAt"]) for each in notices],
                )
                if seen != last:
                    last = seen
                    answer = self.shape(call, {"tasks": tasks, "notices": notices})
                    yield json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
                concerned = frozenset(map(str, (call.caller.context.person.id, *stands.lenders)))
                await _until_told(listener, concerned)


async def _until_told(listener: Listener | None, people: frozenset[str]) -> None:
    """Until something concerns one of these people, or it is time to look anyway."""
    if listener is None:
        await asyncio.sleep(LOOK_SECONDS)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_ANYWAY_SECONDS):
            while not people & frozenset(_concerned(await listener.next())):
                pass


def _concerned(event: Event) -> list[str]:
    data = event.data["data"]
    return [*data.get("people", ()), *([data["owner"]] if "owner" in data else [])]
