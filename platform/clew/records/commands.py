"""THE write path. Each command is one transaction: all of it happens, or nothing.

idempotency key → authorize → lock → validate → row and version → participants → audit leaf → outbox event.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from clew.access.decision import Decision
from clew.identity import sessions
from clew.kernel.clock import Clock, SystemClock
from clew.kernel.context import Context
from clew.kernel.errors import ClewError, Unavailable
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.records import idempotency, store, verbs
from clew.records.bulk import Mode, Prepare, RowReport, run_rows
from clew.records.decisions.keep import Refusals, row_of
from clew.records.engine import Engine
from clew.records.errors import Unread
from clew.records.gathering import Gathering
from clew.records.numbers import NumbersNeeded, NumberTaken
from clew.records.participants import Participant, Signer
from clew.records.rows import Record
from clew.records.signing.proven import Signing
from clew.records.spoken import spoken
from clew.records.unit import Unit
from clew.records.versions import TooEarly, Warned
from clew.storage.blobs import Blobs
from clew.storage.engine import Connection, Database
from clew.storage.errors import DatabaseBusy, IntegrityFault
from clew.storage.system import external_id as outside
from clew.storage.system import idempotency as ledger
from clew.storage.tables import Tables

T = TypeVar("T")
_RESTARTS = 200


@dataclass(frozen=True, slots=True)
class Call:
    """Who commands, with which permissions, why; and how a repetition is recognised."""

    context: Context
    decision: Decision
    reason: str | None = None
    idempotency_key: str | None = None
    foreign: bool = False
    """An import or connector: may give numbers and external ids."""
    signing: Signing | None = None
    """What was proven before the transaction, for a transition that takes a signature."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did. `answer` is what `read_back` made of the record right after."""

    entity: str
    id: UUID
    row_version: int
    created: bool = False
    warnings: tuple[Warned, ...] = ()
    answer: Any = None
    replayed: bool = False
    """True when an idempotency key was seen before and nothing was done again."""


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of each row, in order."""

    rows: tuple[RowReport, ...]
    committed: bool
    warnings: tuple[Warned, ...] = ()
    answer: Any = None
    replayed: bool = False

    @property
    def failed(self) -> tuple[RowReport, ...]:
        return tuple(each for each in self.rows if each.error is not None)


ReadBack = Callable[[Connection, Sequence[UUID]], Awaitable[Any]]
"""Reads what the client selected of the written records: of one record right after the commit (reading its page of an
index inside the transaction would set every concurrent create against it), of many before it."""


class Commands:
    """The commands of one release on one database."""

    def __init__(
        self,
        database: Database,
        blueprint: Blueprint,
        tables: Tables,
        *,
        release: str = "",
        participants: Sequence[Participant] = (),
        signer: Signer | None = None,
        blobs: Blobs | None = None,
        clock: Clock | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        """Without `blobs` there are no files: a record that names one is refused. `refusals`: the book of the node,
        which outlives a release."""
        self.database = database
        self.clock = clock or SystemClock()
        self.engine = Engine(blueprint, tables, release or blueprint.digest, participants, signer, blobs)
        self.refusals = refusals or Refusals(database)

    # ── one record ────────────────────────────────────────────────────────────────────────────────────────────────

    async def create(
        self, call: Call, entity: str, given: Mapping[str, Any], *, read_back: ReadBack | None = None
    ) -> Outcome:
        """A new record, with lines (`[{…}]`) and links (`[id, …]`)."""

        async def work(unit: Unit) -> tuple[Record, bool]:
            unit.alone = True
            return await verbs.create(unit, entity, given), True

        return await self._one(call, entity, ("create", entity, given), work, read_back)

    async def update(
        self,
        call: Call,
        entity: str,
        record_id: UUID,
        row_version: int,
        given: Mapping[str, Any],
        *,
        read_back: ReadBack | None = None,
    ) -> Outcome:
        """The next version. Links: a list or `{add, remove}`; lines: the whole list or `{add, update, remove}`."""

        async def work(unit: Unit) -> tuple[Record, bool]:
            return await verbs.update(unit, entity, record_id, row_version, given), False

        return await self._one(call, entity, ("update", entity, record_id, row_version, given), work, read_back)

    async def void(
        self, call: Call, entity: str, record_id: UUID, row_version: int, *, read_back: ReadBack | None = None
    ) -> Outcome:
        async def work(unit: Unit) -> tuple[Record, bool]:
            return await verbs.void(unit, entity, record_id, row_version), False

        return await self._one(call, entity, ("void", entity, record_id, row_version), work, read_back)

    async def transition(
        self,
        call: Call,
        entity: str,
        record_id: UUID,
        transition: str,
        row_version: int,
        *,
        read_back: ReadBack | None = None,
    ) -> Outcome:
        async def work(unit: Unit) -> tuple[Record, bool]:
            return await verbs.transition(unit, entity, record_id, transition, row_version), False

        asked = ("transition", entity, record_id, transition, row_version)
        return await self._one(call, entity, asked, work, read_back)

    async def correct(
        self,
        call: Call,
        entity: str,
        record_id: UUID,
        row_version: int,
        given: Mapping[str, Any],
        *,
        read_back: ReadBack | None = None,
    ) -> Outcome:
        """A new record that corrects a frozen one."""

        async def work(unit: Unit) -> tuple[Record, bool]:
            return await verbs.correct(unit, entity, record_id, row_version, given), True

        return await self._one(call, entity, ("correct", entity, record_id, row_version, given), work, read_back)

    async def upsert(
        self, call: Call, entity: str, given: Mapping[str, Any], *, read_back: ReadBack | None = None
    ) -> Outcome:
        """Create, or update the record with the same business key."""

        async def work(unit: Unit) -> tuple[Record, bool]:
            return await verbs.upsert(unit, entity, given)

        return await self._one(call, entity, ("upsert", entity, given), work, read_back)

    # ── many ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def bulk(
        self,
        call: Call,
        entity: str,
        rows: Sequence[Mapping[str, Any]],
        *,
        verb: str = "create",
        mode: Mode = "all",
        read_back: ReadBack | None = None,
        prepare: Prepare | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> BulkOutcome:
        """Many rows in one transaction. `verb` is `create`, `upsert`, `update` or `void` (rows `{id, rowVersion, …}`).

        `mode`: `all` writes every row or none; `good` leaves out the rows that are refused; `dry` writes none.
        `prepare` makes a row's input when its turn comes; `progress` is told how many rows are done.
        """
        asked = ""
        if call.idempotency_key is not None:
            asked = idempotency.request_digest("bulk", verb, mode, entity, list(rows), call.reason)

        async def work(unit: Unit) -> BulkOutcome:
            reports = await run_rows(unit, entity, rows, verb, progress, prepare)
            good = mode == "good" or (mode == "all" and all(each.error is None for each in reports))
            if not good:
                raise _Undo(BulkOutcome(tuple(reports), committed=False, warnings=tuple(unit.warnings)))
            await unit.flush()
            ids = [each.id for each in reports if each.id is not None]
            answer = await read_back(unit.connection, ids) if read_back else None
            return BulkOutcome(tuple(reports), True, tuple(unit.warnings), answer)

        async def replay(connection: Connection, kept: Any) -> BulkOutcome:
            reports = tuple(RowReport.from_json(each) for each in kept["rows"])
            ids = [each.id for each in reports if each.id is not None]
            answer = await read_back(connection, ids) if read_back else None
            return BulkOutcome(reports, True, (), answer, replayed=True)

        try:
            kept = lambda done: {"rows": [e.to_json() for e in done.rows]}  # noqa: E731
            return await self._run(call, asked, work, replay, kept, dry=mode == "dry")
        except _Undo as undone:
            return undone.outcome

    # ── any work ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(
        self, call: Call, work: Callable[[Unit], Awaitable[T]], *, elevated: bool = False, looks: bool = False
    ) -> T:
        """Several commands in one transaction: `records.verbs` on the unit given. For rooms above. What they write may
        wait until something asks the database (`records.gathering`). `looks`: the work may look at the caller's
        session itself (`Unit.session_at`); if it has not by its end, that is done then."""
        if call.idempotency_key is not None:
            call = replace(call, idempotency_key=None)
        return await self._run(call, "", work, None, None, elevated=elevated, simple=looks, gathers=True)

    async def _one(
        self,
        call: Call,
        entity: str,
        asked: Sequence[Any],
        work: Callable[[Unit], Awaitable[tuple[Record, bool]]],
        read_back: ReadBack | None,
    ) -> Outcome:
        async def done(unit: Unit) -> Outcome:
            record, created = await work(unit)
            await unit.flush()
            return Outcome(entity, record["id"], record["row_version"], created, tuple(unit.warnings))

        async def replay(_connection: Connection, kept: Any) -> Outcome:
            warnings = tuple(
                Warned(each["rule"], each["entity"], UUID(each["id"]), Bilingual(each["zh"], each["en"]))
                for each in kept["warnings"]
            )
            return Outcome(entity, UUID(kept["id"]), kept["row_version"], kept["created"], warnings, replayed=True)

        digest = ""
        if call.idempotency_key is not None:
            digest = idempotency.request_digest(asked[0], *asked[1:], call.reason)
        outcome = await self._run(call, digest, done, replay, _kept, simple=asked[0] == "create")
        if read_back is None:
            return outcome
        try:
            async with self.database.read() as connection:
                return replace(outcome, answer=await read_back(connection, [outcome.id]))
        except ClewError as error:
            raise Unread(what=self.engine.blueprint.entities[entity].label, id=outcome.id) from error

    async def _run(
        self,
        call: Call,
        asked: str,
        work: Callable[[Unit], Awaitable[T]],
        replay: Callable[[Connection, Any], Awaitable[T]] | None,
        keep: Callable[[T], Any] | None,
        *,
        elevated: bool = False,
        dry: bool = False,
        simple: bool = False,
        gathers: bool = False,
    ) -> T:
        """Begin, work, flush, commit; begin again when numbers have to be fetched or a rival came first."""
        self.refusals.ready()
        self.engine.unseen.ready(call.context.person.id, self.clock.now())
        run = _Run(self, call, asked, work, replay, keep, elevated, dry, simple, gathers)
        if call.idempotency_key is not None:
            idempotency.check_key(call.idempotency_key)
        for _ in range(_RESTARTS):
            try:
                done: T = await self.database.run_write(run.attempt)
                if run.refused:
                    await self.refusals.keep(call.context, self.engine.release, run.refused)
                await self._keep_unseen(run)
                return done
            except NumbersNeeded as needed:
                run.give_back()
                await self.engine.numbers.fetch_block(self.database, needed.rule, needed.scope, needed.used)
            except NumberTaken:
                run.give_back()
                run.careful = True
            except TooEarly as early:
                run.give_back()
                run.floor = early.floor
            except IntegrityFault as fault:
                run.give_back()
                # A rival was first with the same key, or the same record of another system: this time it is found.
                if fault.table not in (ledger.name, outside.name):
                    raise
            except (ClewError, _Undo) as error:
                if run.later:
                    # It was refused before anything looked at the session: only its holder may know why.
                    async with self.database.read() as connection:
                        await sessions.require(connection, call.context, self.clock.now())
                await self._keep_refusals(run)
                await self._keep_unseen(run)
                # Whether a commit that could not be acknowledged has happened is unknown: its numbers are not reused.
                if not isinstance(error, Unavailable) or isinstance(error, DatabaseBusy):
                    run.give_back()
                raise
        raise DatabaseBusy(what="restarts")

    async def _keep_refusals(self, run: _Run) -> None:
        """Decisions against a regulated action outlive the transaction they undid."""
        unit = run.unit
        if unit is None or run.dry:
            return
        rows = [row_of(unit, each) for each in unit.traces if each.outcome == "refused"]
        if rows:
            await self.refusals.keep(run.call.context, self.engine.release, rows)

    async def _keep_unseen(self, run: _Run) -> None:
        """What was refused by rules the caller does not see into, also where nothing was to be written."""
        if run.unit is not None and run.unit.unseen:
            keep = self.engine.unseen.keep
            await keep(self.database, run.call.context, self.engine.release, run.unit.unseen, run.unit.at)


@dataclass(slots=True)
class _Run:
    """One command over however many attempts it takes."""

    commands: Commands
    call: Call
    asked: str
    work: Callable[[Unit], Awaitable[Any]]
    replay: Callable[[Connection, Any], Awaitable[Any]] | None
    keep: Callable[[Any], Any] | None
    elevated: bool
    dry: bool = False
    """Nothing was to be written, so nothing is decided either."""
    simple: bool = False
    """One of its statements may look at the session: that of one new record, or of an instance that is loaded."""
    gathers: bool = False
    """Of several commands: what they write waits until the database is asked."""
    floor: datetime | None = None
    careful: bool = False
    unit: Unit | None = field(default=None)
    refused: list[dict[str, Any]] = field(default_factory=list)
    """Refusals within work that went on without them (rows of an import)."""

    @property
    def later(self) -> bool:
        """A command that may be one statement looks at the session in that statement instead of before it."""
        one = self.simple and self.call.idempotency_key is None and self.call.context.session is not None
        return one and self.commands.database.dialect == "postgresql"

    async def attempt(self, connection: Connection) -> Any:
        self.give_back()
        person, key = self.call.context.person.id, self.call.idempotency_key
        moment = self.commands.clock.now()
        if not self.later:
            await sessions.require(connection, self.call.context, moment)
        if key is not None and self.replay is not None:
            kept = await idempotency.known_answer(connection, person, key, self.asked)
            if kept is not None:
                return await self.replay(connection, kept)
        now = await connection.now()
        at = max(now, self.floor) if self.floor else now
        call = self.call
        unit = Unit(
            self.commands.engine, connection, call.context, call.decision, at, said(call), call.foreign, self.elevated
        )
        unit.clock, unit.keyed, unit.signing, unit.careful = now, key is not None, call.signing, self.careful
        unit.session_at = moment if self.later else None
        if self.gathers and connection.dialect == "postgresql":
            statements = self.commands.engine.statements
            unit.connection = Gathering(connection, statements, at, lambda *found: store.refused(unit, *found))
        self.unit = unit
        done = await self.work(unit)
        await unit.flush()
        self.refused = [row_of(unit, each) for each in unit.traces if each.outcome == "refused"]
        if key is not None and self.keep is not None:
            answer = json.dumps(self.keep(done), ensure_ascii=False, separators=(",", ":"))
            await idempotency.keep_answer(connection, person, key, self.asked, answer, at)
        return done

    def give_back(self) -> None:
        """The last attempt certainly failed: its numbers are free again."""
        if self.unit is not None:
            self.commands.engine.numbers.give_back(self.unit.taken)
        self.unit = None


def said(call: Call) -> str | None:
    """The reason that was given; blanks are none."""
    return spoken(call.reason, "reason") or None


class _Undo(Exception):
    def __init__(self, outcome: BulkOutcome) -> None:
        self.outcome = outcome
        super().__init__()


def _kept(outcome: Outcome) -> dict[str, Any]:
    return {
        "id": str(outcome.id),
        "row_version": outcome.row_version,
        "created": outcome.created,
        "warnings": [
            {"rule": each.rule, "entity": each.entity, "id": str(each.record_id), "zh": each.say.zh, "en": each.say.en}
            for each in outcome.warnings
        ],
    }
