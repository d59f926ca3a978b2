"""The unit of work: everything one transaction writes, in the one order that is safe.

Per record: intake → authorize → derive → references → check → row and version → links and lines → rules → postings →
effects. Trail and events are kept until the end, so that a record written twice by one transaction is one version with
one leaf. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from clew.access.decision import Decision, EntityAccess, Grant
from clew.audit.leaf import Circumstances, Leaf, make_leaf
from clew.identity import sessions
from clew.kernel.context import Context
from clew.kernel.errors import Forbidden, NotFound
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity, EntityClass, FieldKind
from clew.records import outbox, store
from clew.records.decisions.keep import row_of
from clew.records.decisions.trace import Stage, Trace
from clew.records.engine import Engine
from clew.records.gathering import Gathering, beside
from clew.records.judge import Judge
from clew.records.numbers import Taken
from clew.records.participants import Change
from clew.records.rows import Record
from clew.records.signing.proven import Signing
from clew.records.unseen import Unseen
from clew.records.values import plain
from clew.records.versions import MICROSECOND, Mark, TooEarly, Version, Warned
from clew.storage.batch import Batch
from clew.storage.engine import Connection


@dataclass(slots=True)
class Unit:
    """One transaction's work."""

    engine: Engine
    connection: Connection
    context: Context
    decision: Decision
    at: datetime
    """The database's time, but later than every version it follows: the moment of what is written."""
    reason: str | None = None
    foreign: bool = False
    """The input comes from another system (import, connector): it may give numbers and external ids."""
    elevated: bool = False
    """Set by rooms above for effects the process makes itself; grants are not asked then."""
    alone: bool = False
    """The unit is one command and has written nothing: if its record is one row, that may wait for the end."""
    clock: datetime | None = None
    """The database's time where that is earlier, because the clock was set back."""
    session_at: datetime | None = None
    """When set, nobody has looked yet whether the caller's session holds at this moment: whoever writes does."""
    careful: bool = False
    """Numbers are looked up before they are used: one was refused because somebody had given it by hand."""
    keyed: bool = False
    """The command's answer is kept under an idempotency key, after everything else."""
    signing: Signing | None = None
    """What the caller has proven and was shown, for commands that take a signature."""
    process: str | None = None
    """The workflow on whose behalf records are written now; it may move what is moved by it."""
    process_step: str | None = None
    """The step of it that is being done, as the trail names it: `nonconformance_handling.contain`."""
    asked_as: frozenset[str] = frozenset()
    """The roles for which a step asks whoever does it: a signature is given under one of these first."""
    unanswered: bool = False
    """A process moves a record because a step begins; who does the step answers for it, and nobody before."""
    touched: set[tuple[str, UUID]] | None = None
    """Records written meanwhile, while somebody keeps count of them: entity and id."""
    filling: bool = False
    """Somebody fills in what a step asks for: under the process's authority, yet naming only what they may see."""
    thread: UUID | None = None
    """The thread that new records belong to, while a process makes them."""
    covered: set[tuple[UUID, str]] = field(default_factory=set)
    """Records, with a meaning, that a signature of this unit's step covers: the transition takes no second one."""
    at_end: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What is done when all records have been written: signing them."""
    leaves: list[Leaf] = field(default_factory=list)
    """Leaves that belong to no version (signatures), stored with those of the versions."""
    trace: Trace | None = None
    """The regulated action being decided."""
    traces: list[Trace] = field(default_factory=list)
    """Every regulated action of this unit, for the record of decisions."""
    unseen: list[Unseen] = field(default_factory=list)
    """Refusals by rules that read what the caller may not see."""
    waiting: store.Waiting | None = None
    warnings: list[Warned] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    postings: list[Any] = field(default_factory=list)
    found: dict[Any, Any] = field(default_factory=dict)
    """Ids looked up by key; forgotten when the rows they may come from are undone."""
    _versions: dict[tuple[str, UUID], Version] = field(default_factory=dict)
    _noted: list[tuple[tuple[str, UUID], Version | None]] = field(default_factory=list)
    """What each version was before it was noted, to undo it."""
    _removed: list[Version] = field(default_factory=list)
    _events: list[outbox.Event] = field(default_factory=list)
    _held: dict[tuple[str, UUID], Record] = field(default_factory=dict)
    """Rows this unit has locked, as they are now."""
    _seen: set[tuple[str, UUID]] = field(default_factory=set)
    _judge: Judge | None = None

    @property
    def gathering(self) -> Gathering | None:
        """Where what this unit writes waits until the database is asked; None where it is written at once."""
        return self.connection if isinstance(self.connection, Gathering) else None

    # ── circumstances ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def judge(self) -> Judge:
        if self._judge is None:
            person = self.context.person
            self._judge = Judge(self.engine, self.connection, person, self.at, self.today, self._holding)
        return self._judge

    @property
    def person_args(self) -> Mapping[str, Any]:
        return self.judge.person_args

    @property
    def now(self) -> datetime:
        """What time it is, by which time limits go."""
        return self.clock or self.at

    @property
    def local_now(self) -> datetime:
        return self.at.astimezone(self.engine.zone)

    @property
    def today(self) -> date:
        return self.local_now.date()

    def entity(self, name: str) -> Entity:
        """An entity the caller knows of; for one that is hidden the answer is as for one that does not exist."""
        found = self.engine.blueprint.entities.get(name)
        if found is None:
            raise NotFound(what=name)
        return found

    def access(self, entity: Entity) -> EntityAccess:
        return self.decision.on(entity.name)

    def authority(self, entity: Entity) -> EntityAccess:
        """By what right records are written now: the caller's own, or the process's."""
        return self.engine.process.on(entity.name) if self.elevated else self.access(entity)

    async def authorize(
        self, entity: Entity, grant: Grant, verb: Bilingual, *records: Record, asked: str = "", stage: Stage = "before"
    ) -> None:
        """The grant holds on every one of the records. `asked` names it in the record of decisions."""
        if self.elevated:
            return
        held = grant.always
        if grant.allowed and not held:
            for record in records:
                if not await self.judge.granted(grant, entity, record):
                    break
            else:
                held = True
        if self.trace is not None and entity is self.trace.entity:
            self.trace.note("grant", asked, held, stage, grant.conditions, records[0] if records else None)
        if not held:
            raise Forbidden(action=verb, what=entity.label)

    async def visible(self, entity: Entity, record: Record) -> bool:
        if self.elevated:
            return True
        read = self.access(entity).read
        return read.always or (read.allowed and await self.judge.granted(read, entity, record))

    async def shows(self, entity: Entity, name: str, record: Record) -> bool:
        """Whether the caller may see this field of this record: what is hidden is not told by an error either."""
        if self.elevated:
            return True
        access = self.access(entity).fields.get(name)
        return access is not None and await self.judge.granted(access.read, entity, record)

    # ── what this unit knows ──────────────────────────────────────────────────────────────────────────────────────

    def knows(self, entity: str, ids: Sequence[UUID]) -> bool:
        """Whether records are known to be there and usable. A process sees everything it has locked."""
        return all((entity, each) in self._seen or (self.elevated and self._stands(entity, each)) for each in ids)

    def _stands(self, entity: str, record_id: UUID) -> bool:
        known = self._held.get((entity, record_id))
        return known is not None and known.get("voided_at") is None

    def note_seen(self, entity: str, ids: Sequence[UUID]) -> None:
        self._seen.update((entity, each) for each in ids)

    def mark(self) -> Mark:
        return Mark(
            len(self._noted),
            len(self._removed),
            len(self._events),
            len(self.warnings),
            len(self.postings),
            len(self.traces),
            len(self.at_end),
        )

    def back_to(self, mark: Mark) -> None:
        """Forget what was written since; the caller has rolled the database back to the same point."""
        while len(self._noted) > mark.noted:
            key, before = self._noted.pop()
            if before is None:
                del self._versions[key]
            else:
                self._versions[key] = before
        del self._removed[mark.removed :]
        del self._events[mark.events :]
        del self.warnings[mark.warnings :]
        del self.postings[mark.postings :]
        del self.traces[mark.traces :]
        del self.at_end[mark.at_end :]
        # What was looked up may be gone with it; it is looked up again.
        self._seen.clear()
        self._held.clear()
        self.found.clear()

    # ── rows and versions ─────────────────────────────────────────────────────────────────────────────────────────

    async def lock(self, entity: Entity, record_id: UUID) -> Record | None:
        """The present row, held until the end of the transaction: nobody else changes it from here on, so it is read
        once, and what this unit writes is known."""
        known = self._held.get((entity.name, record_id))
        if known is not None:
            return dict(known)
        statements = self.engine.statements.of(entity.name)
        # A row that waits to be written is held: what is not held, nothing that waits can change.
        row = await beside(self.connection).fetch_one(statements.lock, {"id": record_id})
        if row is None:
            return None
        record = self.locked(statements.shape.record(row))
        self.hold(entity, record)
        return record

    def _holding(self, entity: str, record_id: UUID) -> Record | None:
        return self._held.get((entity, record_id))

    def hold(self, entity: Entity, record: Record) -> None:
        """This is what a locked row holds now."""
        self._held[entity.name, record["id"]] = dict(record)

    def release(self, entity: Entity, record_id: UUID) -> None:
        """A row that is no more."""
        self._held.pop((entity.name, record_id), None)

    def locked(self, record: Record) -> Record:
        """A row read for writing; its time must lie before this transaction's."""
        if record["updated_at"] > self.at:
            raise TooEarly(record["updated_at"] + MICROSECOND)
        if record["updated_at"] == self.at and not self._is_mine(record["id"]):
            raise TooEarly(self.at + MICROSECOND)
        return record

    def _is_mine(self, record_id: UUID) -> bool:
        return any(key[1] == record_id for key in self._versions)

    def written_here(self, entity: Entity, record_id: UUID) -> Version | None:
        return self._versions.get((entity.name, record_id))

    def new_envelope(self, entity: Entity) -> Record:
        """A record with nothing but its envelope."""
        record = self.engine.statements.of(entity.name).shape.empty()
        person = self.context.person.id
        record.update(id=uuid7(), row_version=1, created_at=self.at, updated_at=self.at)
        record.update(created_by=person, updated_by=person)
        if "thread_id" in record:
            record["thread_id"] = self.thread or record["id"]
        if entity.initial is not None and "state" in entity.fields:
            record["state"] = entity.initial
        return record

    # ── trail and events ──────────────────────────────────────────────────────────────────────────────────────────

    def note(self, change: Change, row_version: int, changed: Mapping[str, tuple[Any, Any]]) -> None:
        """Remember what the trail and the outbox will say about a written version."""
        key = (change.entity.name, change.id)
        if self.touched is not None:
            self.touched.add(key)
        known = self._versions.get(key)
        exact = {name: (plain(old), plain(new)) for name, (old, new) in changed.items()}
        if change.verb == "remove":
            gone = Version(change.action, change.entity.name, change.id, row_version, exact, self.process_step)
            self._removed.append(gone)
        else:
            fresh = Version(change.action, change.entity.name, change.id, row_version, exact, self.process_step)
            self._versions[key] = known.merged(change.action, exact, lists_of(change.entity)) if known else fresh
            self._noted.append((key, known))
        record = change.new if change.new is not None else change.old
        assert record is not None
        self._events.append(self._event(change, row_version, sorted(changed), record))

    def announce(self, event: outbox.Event) -> None:
        """An event that belongs to no version of a record; it goes out with the others of this unit."""
        self._events.append(event)

    def tell(self, action: str, entity: str, subject: UUID, particulars: Mapping[str, Any]) -> None:
        """A leaf of what belongs to no version, as `audit.trail.record_event` makes them; stored with the others."""
        circumstances = Circumstances(self.at, self.context, self.engine.release, self.reason)
        told = {name: (None, value) for name, value in particulars.items()}
        self.leaves.append(make_leaf(circumstances, action, entity, subject, 0, told))

    def _event(self, change: Change, row_version: int, changed: list[str], record: Mapping[str, Any]) -> outbox.Event:
        verb = change.transition.name if change.transition else change.verb
        data = {
            "entity": change.entity.name,
            "id": change.id,
            "row_version": row_version,
            "action": change.action,
            "changed": changed,
            "actor": self.context.person.id,
            "request_id": self.context.request_id,
            "state": record.get("state"),
        }
        if change.entity.part_of:
            data["owner"] = record.get("owner")
        source = self.engine.blueprint.project.name
        site = record.get("site")
        return outbox.make_event(
            source,
            self.at,
            change.entity.name,
            verb,
            change.id,
            row_version,
            site if isinstance(site, UUID) else None,
            data,
        )

    async def flush(self) -> None:
        """Store trail and events; the last thing a unit does before its commit."""
        if self.session_at is not None and self.waiting is None:
            await sessions.require(beside(self.connection), self.context, self.session_at)
            self.session_at = None
        for finish in self.at_end:
            await finish()
        circumstances = Circumstances(self.at, self.context, self.engine.release, self.reason)
        versions = [*self._versions.values(), *self._removed]
        leaves = [
            make_leaf(
                circumstances,
                each.action,
                each.entity,
                each.record_id,
                each.row_version,
                each.changes,
                each.process_step,
            )
            for each in versions
        ] + self.leaves
        trail = [leaf.row(self.context.person.id) for leaf in leaves]
        events = [_event_row(event) for event in self._events]
        statements = self.engine.statements
        decisions = [row_of(self, each) for each in self.traces if each.outcome == "allowed"]
        if self.waiting is not None:
            assert len(trail) == len(events) == 1
            assert not decisions
            await store.insert_waiting(self, self.waiting, {**_named("leaf", trail[0]), **_named("event", events[0])})
        elif self.gathering is None and len(trail) == len(events) == 1 and len(decisions) <= 1:
            row = {**_named("leaf", trail[0]), **_named("event", events[0])}
            step = statements.both
            for each in decisions:
                step, row = statements.both_decided, {**row, **_named("decision", each)}
            await step.run(self.connection, row)
        elif trail or events or decisions:
            batch = Batch() if self.gathering is None else self.gathering.batch
            for row in trail:
                batch.add(statements.leaf, row)
                batch.add(statements.leaf_pending, {name: row[name] for name in statements.leaf_pending.columns})
            for row in events:
                batch.add(statements.event, row)
                batch.add(statements.event_pending, {name: row[name] for name in statements.event_pending.columns})
            for row in decisions:
                batch.add(statements.decision, row)
            if self.gathering is None:
                await batch.write(self.connection)
        if self.gathering is not None:
            await self.gathering.settle()
        self._versions, self._noted, self._removed, self._events, self.waiting = {}, [], [], [], None
        self.at_end, self.leaves, self.traces = [], [], [each for each in self.traces if each.outcome == "refused"]


def _event_row(event: outbox.Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "at": event.at,
        "type": event.type,
        "entity": event.entity,
        "record_id": event.record_id,
        "row_version": event.row_version,
        "site": event.site,
        "lane": event.lane,
        "payload": event.payload,
    }


def _named(prefix: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row under the bind names of a statement that writes rows of several tables."""
    return {f"{prefix}_{name}": value for name, value in row.items()}


def lists_of(entity: Entity) -> frozenset[str]:
    """The fields that hold other records: of these the trail tells what came and went."""
    return frozenset(each.name for each in entity.fields.values() if each.kind in (FieldKind.MANY, FieldKind.LINES))


def frozen(entity: Entity, state: str | None) -> bool:
    """Whether a record of this entity in this state stands as it is, moved on only by transitions."""
    if entity.frozen_from is None:
        return entity.cls is EntityClass.RECORD
    order = list(entity.states)
    return state in order and order.index(state) >= order.index(entity.frozen_from)


def unchangeable(entity: Entity, state: str | None, given: Collection[str]) -> bool:
    """Whether an update that gives these fields is refused because the record is frozen. A legal hold is put on and
    lifted on any record."""
    return frozen(entity, state) and set(given) != {"legal_hold"}
