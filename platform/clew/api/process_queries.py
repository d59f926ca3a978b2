"""What is asked of processes: instances with their timeline, notices; as far as the caller may see."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clew.api.operations import Call
from clew.api.process_answers import JSON, first_of
from clew.api.process_shapes import lists_at, shape
from clew.api.process_sight import as_seen, oversees, shown, takes_part_or_sees
from clew.kernel.text import Bilingual
from clew.process import reading
from clew.process.engine import Processes
from clew.storage.engine import Connection

_MOST = 500
Find = Callable[[Processes, Call, Connection], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class QuerySpec:
    """A query field answered by the process room."""

    processes: Processes
    find: Find

    async def answer(self, call: Call, connection: Connection) -> str:
        found = await self.find(self.processes, call, connection)
        return json.dumps(shape(call.planner, call.selected, found, call), **JSON)


async def instance(processes: Processes, call: Call, connection: Connection) -> Any:
    found = await reading.instance(connection, call.arguments["id"])
    if found is None or not await takes_part_or_sees(processes, call.caller, connection, found):
        return None
    (seen,) = await _named(processes, call, connection, [found])
    return seen


async def of_record(processes: Processes, call: Call, connection: Connection) -> Any:
    found = await reading.of_record(connection, call.arguments["record"], _first(call.arguments), _lists(call))
    mine = [each for each in found if await shown(processes, call.caller, connection, each)]
    return await _named(processes, call, connection, mine)


async def started(processes: Processes, call: Call, connection: Connection) -> Any:
    person = call.caller.context.person.id
    found = await reading.started_by(connection, person, _first(call.arguments), _lists(call))
    return await _named(processes, call, connection, found)


async def overseen(processes: Processes, call: Call, connection: Connection) -> Any:
    workflow = call.arguments["workflow"]
    if not call.caller.decision.process(workflow).oversee.allowed:
        return []
    found = await reading.of_workflow(connection, workflow, _first(call.arguments), _lists(call))
    mine = [each for each in found if await oversees(processes, call.caller, connection, each)]
    return await _named(processes, call, connection, mine)


async def notices(processes: Processes, call: Call, connection: Connection) -> Any:
    args, locale = call.arguments, call.caller.context.locale
    found = await reading.notices(
        connection, call.caller.context.person.id, unread=bool(args.get("unread")), limit=_first(args)
    )
    return [{**each, "text": Bilingual(each["zh"] or "", each["en"] or "").to(locale) or None} for each in found]


async def _named(processes: Processes, call: Call, connection: Connection, found: list[Any]) -> list[Any]:
    """Instances with the records and what was decided about them, as far as the caller may know of these."""
    asked = _lists(call)
    return [await as_seen(processes, call.caller, connection, each, asked) for each in found]


def _lists(call: Call) -> frozenset[str]:
    """Which long lists of an instance are asked for: the others are not read."""
    return lists_at(call, call.selected)


def _first(args: Mapping[str, Any]) -> int:
    return first_of(args, _MOST)
