"""My tasks: the most urgent as a list, or all of them page by page, as every other list of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from graphql import GraphQLArgument, GraphQLEnumType

from clew.api import scalars
from clew.api.build import Build
from clew.api.errors import BadCursor
from clew.api.operations import Call
from clew.api.planner import check_size
from clew.api.process_answers import JSON, first_of
from clew.api.process_shapes import shaped
from clew.api.trees import decode_cursor
from clew.kernel.scalars import parse_instant
from clew.process import inbox
from clew.process.engine import Processes
from clew.process.inbox import Asked, Order, Place
from clew.storage.engine import Connection

MOST = 500
_CURSOR = "tasks."
"""What a cursor of this list begins with, before the order it belongs to; a cursor of another list is refused."""


def task_order() -> GraphQLEnumType:
    return GraphQLEnumType("TaskOrder", {"DUE": "due", "OLDEST": "oldest", "NEWEST": "newest"})


def page_arguments(build: Build) -> dict[str, GraphQLArgument]:
    size, cursor = GraphQLArgument(scalars.INT.type), GraphQLArgument(scalars.CURSOR.type)
    order = GraphQLArgument(build.type("TaskOrder"), default_value="due")
    return {"first": size, "after": cursor, "last": size, "before": cursor, "orderBy": order}


async def my_tasks(processes: Processes, call: Call, connection: Connection) -> Any:
    """The first of them."""
    size = first_of(call.arguments, MOST)
    lent = await _lent(processes, call, connection)
    return (await inbox.page(connection, call.caller.context.person.id, lent, _which(call, size))).tasks


@dataclass(frozen=True, slots=True)
class TasksSpec:
    """A page of them."""

    processes: Processes

    async def answer(self, call: Call, connection: Connection) -> str:
        asked, person = _asked(call), call.caller.context.person.id
        lent = await _lent(self.processes, call, connection)
        page = await inbox.page(connection, person, lent, asked)
        edges = [{"cursor": _cursor(asked.order, each), "node": each} for each in page.tasks]
        found: dict[str, Any] = {
            "edges": edges,
            "nodes": page.tasks,
            "pageInfo": {
                "hasNextPage": page.has_next,
                "hasPreviousPage": page.has_previous,
                "startCursor": edges[0]["cursor"] if edges else None,
                "endCursor": edges[-1]["cursor"] if edges else None,
            },
        }
        if any(each.name == "totalCount" for each in call.planner.children(call.selected)):
            found["totalCount"] = await inbox.count(connection, person, lent, asked)
        return json.dumps(shaped(call, found), **JSON)


async def _lent(processes: Processes, call: Call, connection: Connection) -> Mapping[UUID, str]:
    if call.arguments.get("copied"):
        return {}
    return dict(await processes.lent_tasks(connection, call.caller.context.person.id, MOST))


def _which(call: Call, size: int) -> Asked:
    args = call.arguments
    return Asked(size, args.get("claimed"), bool(args.get("overdue")), args.get("copied"))


def _asked(call: Call) -> Asked:
    """The arguments, checked. Raises BadPage, BadCursor, BadVariable."""
    given, paging = call.arguments, call.planner.paging
    first, last = given.get("first"), given.get("last")
    if first is not None and last is not None:
        raise call.planner.refuse("last", "cannot be combined with first")
    size = last if last is not None else paging.default if first is None else first
    check_size(size, "first" if last is None else "last", paging.most)
    which = _which(call, int(size))
    order: Order = given.get("orderBy") or "due"
    after, before = (_place(order, given.get(name)) for name in ("after", "before"))
    return Asked(which.size, which.claimed, which.overdue, which.copied, order, after, before, last is not None)


def _place(order: Order, cursor: str | None) -> Place | None:
    """The task a cursor names. Raises BadCursor, also for one of another order."""
    if cursor is None:
        return None
    known, values = decode_cursor(cursor)
    try:
        if known != _CURSOR + order:
            raise ValueError
        due, opened, task = values
        return Place(None if due is None else _moment(due), _moment(opened), UUID(task))
    except (ValueError, TypeError, AttributeError):
        raise BadCursor() from None


def _moment(text: str) -> datetime:
    found = parse_instant(text)
    if found.tzinfo is None:
        raise ValueError
    return found


def _cursor(order: Order, task: Mapping[str, Any]) -> str:
    return json.dumps([_CURSOR + order, task["dueAt"], task["openedAt"], task["id"]]).encode().hex()
