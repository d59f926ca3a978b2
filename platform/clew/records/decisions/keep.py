"""Keeps decisions: those that allowed in the transaction they allowed, refusals in one of their own afterwards.

A refusal undoes its transaction, so it is written after the rollback; if the database cannot take it then, it waits in
memory and goes with the next one, or when the node looks again, at the latest when it stops. It never changes the
answer the caller gets, except when too many wait: then regulated actions are refused altogether, because nothing may be
decided that cannot be kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from clew.audit.trail import record_event
from clew.kernel.canonical import encode_wire, wire
from clew.kernel.context import Context, Person
from clew.kernel.errors import ClewError, Unavailable
from clew.kernel.ids import uuid7
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.records.decisions.places import Places
from clew.records.decisions.trace import Check, Trace
from clew.records.values import plain
from clew.storage import system
from clew.storage.engine import Connection, Database

if TYPE_CHECKING:
    from clew.records.unit import Unit

FORMAT = 1
MOST_WAITING = 10_000
PATIENCE = 5.0
"""Seconds a node that stops waits for the database to take what still waits."""
_log = logging.getLogger("clew.decisions")
_INSERT = sa.insert(system.decision)


def row_of(unit: Unit, trace: Trace) -> dict[str, Any]:
    """A decision as a row: what it was about, who asked, every check with its rule, place and facts, the outcome."""
    context, engine = unit.context, unit.engine
    places = Places(engine.blueprint)
    decision_id = uuid7()
    body = {
        "format": FORMAT,
        "decision_id": decision_id,
        "at": instant_text(unit.at),
        "outcome": trace.outcome,
        "code": trace.code,
        "action": trace.action,
        "entity": trace.entity.name,
        "record_id": trace.record_id,
        "row_version": trace.row_version,
        "given": list(trace.given),
        "reason": unit.reason,
        "elevated": unit.elevated,
        "person": _said_of(context.person),
        "on_behalf_of": context.on_behalf_of.id if context.on_behalf_of else None,
        "channel": context.channel,
        "request_id": context.request_id,
        "release": engine.release,
        "blueprint": engine.blueprint.digest,
        "policy": unit.decision.digest,
        "checks": [_check(each, places, trace, context) for each in trace.checks],
    }
    text = encode_wire(body).decode()
    return {
        "decision_id": decision_id,
        "at": unit.at,
        "outcome": trace.outcome,
        "code": trace.code,
        "action": trace.action,
        "entity": trace.entity.name,
        "record_id": trace.record_id,
        "row_version": trace.row_version,
        "account": context.person.id,
        "request_id": context.request_id,
        "release": engine.release,
        "policy": unit.decision.digest,
        "body": text,
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }


def _check(check: Check, places: Places, trace: Trace, context: Context) -> dict[str, Any]:
    return {
        "kind": check.kind,
        "name": check.name,
        "held": check.held,
        "stage": check.stage,
        "conditions": list(check.conditions),
        "facts": wire(plain(check.facts)),
        "elsewhere": list(check.elsewhere),
        "rules": places.of(check.kind, check.name, trace.entity, context.person.roles),
    }


def person_facts(person: Person) -> dict[str, Any]:
    """Everything `user.` could mean then."""
    found = {each.name: getattr(person, each.name) for each in fields(Person)}
    found["scopes"] = {
        role: {
            "sites": None if scope.sites is None else list(scope.sites),
            "families": None if scope.families is None else list(scope.families),
        }
        for role, scope in person.scopes.items()
    }
    return {name: plain(value) for name, value in found.items()}


@lru_cache(1_000)
def _said_of(person: Person) -> Mapping[str, Any]:
    """These facts as the book has them; a session's person is the same until their facts change."""
    said: Mapping[str, Any] = wire(person_facts(person))
    return said


class Refusals:
    """The book of refusals of one node, whichever release each was made under."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[Context, str, Mapping[str, Any]]] = deque()
        self._writing = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Refusals the database could not take yet."""
        return len(self._waiting)

    def ready(self) -> None:
        """Raises Unavailable while too many refusals wait to be kept."""
        if len(self._waiting) >= MOST_WAITING:
            raise Unavailable(what=Bilingual("决策记录", "The record of decisions"))

    async def keep(self, context: Context, release: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store refusals in a transaction of their own, each with a leaf that commits to it. A client that goes away
        meanwhile does not take them along."""
        self._waiting.extend((context, release, row) for row in rows)
        await asyncio.shield(self._write())

    async def flush(self) -> int:
        """Write what waits, if the database takes it now; how many still wait. Raises nothing."""
        try:
            await asyncio.shield(self._write())
        except Exception:
            _log.exception("refused decisions cannot be written; they wait")
        return self.waiting

    async def close(self) -> None:
        """The node stops in order: what waits is written now, or the log says what is lost. Raises nothing."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._write()
        except Exception as problem:
            _log.warning("refused decisions could not be written in time: %s", type(problem).__name__)
        for context, release, row in self._waiting:
            told = (row["decision_id"], row["at"], row["action"], row["entity"], row["record_id"], row["code"])
            _log.error(
                "a refused decision is lost: %s at %s, %s of %s %s (%s), asked by account %s, request %s, release %s",
                *told, context.person.id, context.request_id, release,
            )  # fmt: skip
        self._waiting.clear()

    async def _write(self) -> None:
        """Everything that waits, one writing after the other: two that took the same would refuse each other."""
        async with self._writing:
            if self._waiting:
                await self._write_all(list(self._waiting))

    async def _write_all(self, taken: Sequence[tuple[Context, str, Mapping[str, Any]]]) -> None:
        async def work(connection: Connection) -> None:
            for context, release, row in taken:
                await connection.execute(_INSERT, row)
                told = {"decision": row["decision_id"], "digest": row["digest"], "code": row["code"]}
                told["action"] = row["action"]
                await record_event(connection, context, release, "decide.refuse", row["entity"], row["record_id"], told)

        try:
            await self._database.run_write(work)
        except ClewError:
            # They wait for the next one; the caller is told of the refusal itself all the same.
            return
        kept = {id(each[2]) for each in taken}
        self._waiting = deque(each for each in self._waiting if id(each[2]) not in kept)
