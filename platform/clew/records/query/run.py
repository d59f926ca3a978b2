"""Running compiled plans: arguments and the caller's facts in, JSON text or plain values out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from clew.access.decision import Decision
from clew.identity.errors import SessionEnded
from clew.kernel.context import Context
from clew.kernel.errors import BadInput
from clew.metadata.blueprint import Blueprint
from clew.records.query.compile import EPOCH, NOW, SESSION, Statement, compile_plan
from clew.records.query.plan import Plan
from clew.storage.engine import Connection, DialectName, Row
from clew.storage.tables import Tables

Fact = Callable[[Context, datetime], Any]
After = Callable[[str, Connection], Awaitable[str]]
"""Completes a text with what no statement can answer (`records.signing.answers`)."""
_FACTS: Mapping[str, Fact] = {
    "user.id": lambda context, now: context.person.id,
    "user.login": lambda context, now: context.person.login,
    "user.name": lambda context, now: context.person.name,
    "user.roles": lambda context, now: list(context.person.roles),
    "user.sites": lambda context, now: list(context.person.sites),
    "user.site": lambda context, now: context.person.site,
    "user.department": lambda context, now: context.person.department,
    "user.employee": lambda context, now: context.person.employee,
    "user.families": lambda context, now: list(context.person.families),
    "user.party": lambda context, now: context.person.party,
    SESSION: lambda context, now: context.session,
    EPOCH: lambda context, now: context.epoch,
    NOW: lambda context, now: now,
}


class BadValue(BadInput):
    """A value of the right kind that the column cannot hold or compare with."""

    code = "BAD_INPUT"
    en, zh = "A value cannot be used here: {why}", "该值不能用于此处:{why}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A compiled plan with what it needs to know about the caller, and work left on the arguments."""

    statement: Statement
    facts: tuple[tuple[str, Fact], ...]
    late: tuple[Callable[[dict[str, Any]], None], ...] = ()
    after: After | None = None

    async def fetch(self, connection: Connection, args: dict[str, Any], context: Context, now: datetime) -> str:
        """The answer as JSON text. `args` belongs to this call and is completed here."""
        for work in self.late:
            work(args)
        for name, fact in self.facts:
            args[name] = fact(context, now)
        try:
            row: Row = (await connection.fetch_text(self.statement.compiled, args))[0]
        except (ValueError, TypeError, OverflowError) as error:
            raise BadValue(why=str(error)[:200]) from error
        if self.statement.checks_session and not row[1]:
            raise SessionEnded()
        text: str = row[0]
        return text if self.after is None else await self.after(text, connection)


def prepare(
    plan: Plan,
    blueprint: Blueprint,
    tables: Tables,
    decision: Decision,
    dialect: DialectName,
    *,
    session: bool = False,
    late: tuple[Callable[[dict[str, Any]], None], ...] = (),
    after: After | None = None,
) -> Prepared:
    """Compile a plan for callers with this decision."""
    statement = compile_plan(plan, blueprint, tables, decision, dialect, session=session)
    zone = ZoneInfo(blueprint.project.time_zone)
    known = {**_FACTS, "today": lambda context, now: _today(now, zone)}
    needed = dict.fromkeys(statement.compiled.slots)
    facts = {name: known.get(name) or _of_assignment(name) for name in needed}
    return Prepared(statement, tuple((name, fact) for name, fact in facts.items() if fact is not None), late, after)


def with_facts(
    slots: Iterable[str], args: Mapping[str, Any], context: Context, now: datetime, zone: ZoneInfo
) -> dict[str, Any]:
    """Arguments and the caller's facts a statement asks for, for statements that are no plans."""
    known = {**_FACTS, "today": lambda context, now: _today(now, zone)}
    found = dict(args)
    for name in dict.fromkeys(slots):
        fact = known.get(name) or _of_assignment(name)
        if name not in found and fact is not None:
            found[name] = fact(context, now)
    return found


def _of_assignment(name: str) -> Fact | None:
    """`user.sites@<role>`: what the caller's assignment to one role names."""
    if not name.startswith("user.") or "@" not in name:
        return None
    fact = name.removeprefix("user.")
    return lambda context, now: list(context.person.fact(fact))


def _today(now: datetime, zone: ZoneInfo) -> date:
    return now.replace(tzinfo=now.tzinfo or UTC).astimezone(zone).date()


async def fetch_records(
    plan: Plan,
    blueprint: Blueprint,
    tables: Tables,
    decision: Decision,
    connection: Connection,
    context: Context,
    now: datetime,
    args: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Run a plan once and give its roots as plain values, scalars in their wire form: for exports and commands."""
    prepared = prepare(plan, blueprint, tables, decision, connection.dialect)
    found: dict[str, Any] = json.loads(await prepared.fetch(connection, dict(args or {}), context, now))
    return found
