"""What one command changes in the tables of its instance: gathered while the machine goes on, written together.

State, tasks, who is asked, clocks and their jobs are what has become of the instance since it was last written; the
timeline and notices are what was told meanwhile. All of it is one round trip (`storage.batch`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.ids import id_of, uuid7
from clew.metadata.processes import Workflow
from clew.process.history import kept
from clew.process.state import State, Task, Token
from clew.process.store import Clock, Instance, changing, log_row, new_task, task_id, unasked_row
from clew.records import notices
from clew.records.gathering import beside
from clew.records.notices import Notice
from clew.records.unit import Unit
from clew.storage import process_tables, system
from clew.storage.batch import Batch, Delete, Insert, Part, Update

_p, _t, _c, _timer, _wait = (
    process_tables.process,
    process_tables.task,
    process_tables.task_candidate,
    process_tables.process_timer,
    process_tables.process_wait,
)
_job = system.job
TIMER = "process.timer"
STORED = ("process", "instances as stored")
"""What a unit has written of instances, by id."""
_MICRO = timedelta(microseconds=1)
_OPEN = ("open", "held")
_READY = sa.and_(
    _job.c.state.in_([sa.literal_column("'ready'"), sa.literal_column("'leased'")]),
    _job.c.state == sa.literal_column("'ready'"),
)
"""No binds, and the condition of the index of open jobs word for word: a plan that is kept cannot know what a bind will
be, and SQLite does not see that one of two is one of them."""
_CHANGING = ("status", "assignee", "behalf", "actor", "outcome", "comment", "done_at")


class _Forget(Part):
    """Nobody is asked any more by a task of an instance."""

    def _one(self, values: Mapping[str, Any]) -> Sequence[Any]:
        mine = sa.select(_t.c.id).where(_t.c.process == values["process"], _t.c.number == values["number"])
        return [sa.delete(_c).where(_c.c.task == mine.scalar_subquery())]


class _CallOff(Part):
    """The job of a clock that is no more. One that a worker is at finds no clock."""

    def _one(self, values: Mapping[str, Any]) -> Sequence[Any]:
        mine = sa.select(_job.c.id).where(_job.c.kind == values["kind"], _job.c.key == values["key"], _READY)
        free = mine.with_for_update(skip_locked=True).scalar_subquery()
        return [sa.update(_job).where(_job.c.id == free).values(state="done", done_at=values["done_at"])]


_SAVE = Update(1, _p, ("id",), ("state", "status", "outcome", "version", "changed_at", "ended_at"))
_NEW_TASK = Insert(2, _t)
_TASK = Update(3, _t, ("process", "number"), _CHANGING)
_DUE = Update(4, _t, ("process", "number"), ("due_at",))
_TASK_DUE = Update(5, _t, ("process", "number"), (*_CHANGING, "due_at"))
_THAT_TASK = Update(3, _t, ("id",), _CHANGING)
_FORGET = _Forget(6, _t, ("process", "number"))
_FORGET_THAT = Delete(6, _c, ("task",))
_UNASK = Delete(7, _c, ("person", "task"))
_ASK = Insert(8, _c)
_CLOCK = Insert(
    9,
    _timer,
    instead=(("process", "number"), None, ("budget", "working", "used", "since", "calendar", "due_at", "trouble")),
)
_NO_CLOCK = Delete(10, _timer, ("process", "number"))
_RING = Insert(
    11,
    _job,
    ("id", "kind", "key", "payload", "state", "run_at", "attempts", "created_at"),
    instead=(("kind", "key"), sa.text("state IN ('ready', 'leased')"), ("run_at",)),
)
_CALL_OFF = _CallOff(12, _job, ("kind", "key", "done_at"))
_WAIT = Insert(13, _wait, instead=(("process", "token"), None, ("entity", "verb", "record_id")))
_NO_WAIT = Delete(14, _wait, ("process", "token"))
_LOG = Insert(15, process_tables.process_log)
_NOTICE = Insert(16, process_tables.notice)
_RECORD = Insert(18, process_tables.process_record, instead=(("process", "record_id"), None, ()))
_UNASKED = Insert(
    19, process_tables.process_unasked, instead=(("process", "token"), None, ("step", "entity", "record_id"))
)
_ASKED_NOW = Delete(20, process_tables.process_unasked, ("process", "token"))
_SEND = Insert(17, _job, ("id", "kind", "payload", "state", "run_at", "attempts", "created_at"))


@dataclass(slots=True)
class Writes:
    """The changes of one instance in one unit that are still to be written."""

    unit: Unit
    workflow: Workflow
    saved: Instance
    """The instance as it is stored; of its past, all that this unit knows."""
    _batch: Batch = field(default_factory=Batch)
    _clocks: dict[int, Clock] = field(default_factory=dict)
    _due: dict[tuple[int, str], datetime | None] = field(default_factory=dict)
    """By token and step."""
    _waiting: set[int] = field(default_factory=set)
    """Tokens that have come to wait for something."""

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    def log(self, what: str, **said: Any) -> None:
        """A line of the timeline; see `store.log`."""
        self._batch.add(_LOG, log_row(self.saved.id, self.unit.at, what, **said))

    def tell(self, people: Iterable[UUID], notice: Notice) -> None:
        """A notice for each of these people, by every channel of the project."""
        rows, sendings = notices.rows(self.unit.engine.blueprint.project, people, notice, self.unit.at)
        for row in rows:
            self._batch.add(_NOTICE, row)
        for sending in sendings:
            self._batch.add(_SEND, sending)

    def touched(self, records: Iterable[tuple[str, UUID]]) -> None:
        """Records the instance has written beside its own; their lines and balances go with them."""
        entities = self.unit.engine.blueprint.entities
        for name, record in sorted(records):
            known = entities[name]
            if record != self.saved.record_id and known.part_of is None and not known.derived:
                row = {"process": self.saved.id, "record_id": record, "entity": name, "at": self.unit.at}
                self._batch.add(_RECORD, row)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def clock(self, clock: Clock) -> None:
        """A timer's clock, new or changed; with a moment it rings then."""
        self._clocks[clock.number] = clock

    def due(self, token: Token, at: datetime | None) -> None:
        """When the open tasks of a token's step are due."""
        self._due[token.id, token.step] = at

    def wait(self, token: int, entity: str, verb: str, record: UUID) -> None:
        row = {"process": self.saved.id, "token": token, "entity": entity, "verb": verb, "record_id": record}
        self._batch.add(_WAIT, row)
        self._waiting.add(token)

    def unwait(self, token: int) -> None:
        self._batch.add(_NO_WAIT, {"process": self.saved.id, "token": token})

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def write(self, state: State) -> Instance:
        """Everything that has changed; the instance as it is stored now, or will be before anybody looks."""
        before, gathering = self.saved, self.unit.gathering
        if gathering is not None and (state is not before.state or self._batch or self._clocks or self._due):
            together = await gathering.room_for(("process", before.id))
        else:
            together = None
        if state is not before.state:
            self._save(state)
            self._waits_no_more(state)
            self._finds_nobody(state)
            await self._tasks(state)
            self.saved = replace(before, state=state, version=before.version + 1)
            self.unit.found.setdefault(STORED, {})[before.id] = self.saved
        else:
            self._due_of(state, {})
        self._time(before.state, state)
        if together is not None:
            together.take(self._batch)
        else:
            await self._batch.write(self.unit.connection)
        return self.saved

    def _save(self, state: State) -> None:
        self._batch.add(
            _SAVE,
            {
                "id": self.saved.id,
                "state": kept(state, self.workflow).to_json(),
                "status": state.status,
                "outcome": state.outcome,
                "version": self.saved.version + 1,
                "changed_at": self.unit.at,
                "ended_at": None if state.live else self.unit.at,
            },
        )

    def _waits_no_more(self, state: State) -> None:
        """What was called off waits for nothing."""
        for number, token in self.saved.state.tokens.items():
            if number not in state.tokens and self.workflow.step(token.step).wait is not None:
                self._waiting.add(number)
        for number in sorted(self._waiting - state.tokens.keys()):
            self.unwait(number)
        self._waiting.clear()

    def _finds_nobody(self, state: State) -> None:
        """Where nobody is found to ask, so that it is asked again once there may be somebody."""
        before, after = self.saved.state.unasked(), state.unasked()
        for number, token in after.items():
            if number not in before or before[number].step != token.step:
                self._batch.add(_UNASKED, unasked_row(self.saved, token))
        for number in before.keys() - after.keys():
            self._batch.add(_ASKED_NOW, {"process": self.saved.id, "token": number})

    async def _tasks(self, state: State) -> None:
        changed: dict[int, dict[str, Any]] = {}
        for number, task in state.tasks.items():
            earlier = self.saved.state.tasks.get(number)
            if earlier is task or earlier == task:
                continue
            asked = set(task.candidates) if task.status in _OPEN else set()
            if earlier is None:
                row = new_task(self.saved, state, task, self.unit.at)
                row["due_at"] = self._due.get(_place(task)) if task.status in _OPEN else None
                self._batch.add(_NEW_TASK, row)
                self._asked(row["id"], asked)
            else:
                changed[number] = {"process": self.saved.id, "number": number, **changing(task, self.unit.at)}
                if (known := self._id_of(number)) is not None:
                    changed[number]["id"] = known
                await self._asked_anew(earlier, number, asked)
        self._due_of(state, changed)

    def _asked(self, task: UUID, people: Iterable[str]) -> None:
        for person in sorted(people):
            self._batch.add(_ASK, {"person": id_of(person), "task": task})

    async def _asked_anew(self, earlier: Task, number: int, asked: set[str]) -> None:
        was = set(earlier.candidates) if earlier.status in _OPEN else set()
        known = self._id_of(number)
        if was and not asked and known is not None:
            self._batch.add(_FORGET_THAT, {"task": known})
        elif was and not asked:
            self._batch.add(_FORGET, {"process": self.saved.id, "number": number})
        elif was != asked:
            found = known or await beside(self.unit.connection).fetch_value(task_id(self.saved.id, number))
            for person in sorted(was - asked):
                self._batch.add(_UNASK, {"person": id_of(person), "task": found})
            self._asked(found, asked - was)

    def _id_of(self, number: int) -> UUID | None:
        """The id of the task that was decided: by it no other index is read than by which it was found."""
        found: UUID | None = self.unit.found.get((self.saved.id, number))
        return found

    def _due_of(self, state: State, changed: Mapping[int, dict[str, Any]]) -> None:
        """The changed tasks, and those whose step has another limit; none of them twice."""
        for number, row in changed.items():
            task = state.tasks[number]
            if _place(task) in self._due and task.status in _OPEN:
                self._batch.add(_TASK_DUE, {**row, "due_at": self._due[_place(task)]})
            else:
                self._batch.add(_THAT_TASK if "id" in row else _TASK, row)
        for number, task in state.tasks.items() if self._due else ():
            stored = number in self.saved.state.tasks and number not in changed
            if stored and _place(task) in self._due and task.status in _OPEN:
                due = self._due[_place(task)]
                self._batch.add(_DUE, {"process": self.saved.id, "number": number, "due_at": due})
        self._due.clear()

    def _time(self, before: State, state: State) -> None:
        process, at = self.saved.id, self.unit.at
        for number, clock in self._clocks.items():
            if number not in state.timers:
                continue
            running = clock.running
            row = {
                "process": process,
                "number": number,
                "token": clock.token,
                "share": clock.share,
                "budget": running.budget // _MICRO,
                "working": running.working,
                "used": running.used // _MICRO,
                "since": running.since,
                "calendar": clock.calendar,
                "due_at": clock.due_at,
                "trouble": clock.trouble,
            }
            self._batch.add(_CLOCK, row)
            if clock.due_at is not None:
                payload = {"process": str(process), "timer": number}
                ring = {"id": uuid7(), "kind": TIMER, "key": f"{process}:{number}", "payload": payload, "attempts": 0}
                self._batch.add(_RING, {**ring, "state": "ready", "run_at": clock.due_at, "created_at": at})
        for number in before.timers:
            if number not in state.timers:
                self._batch.add(_NO_CLOCK, {"process": process, "number": number})
                self._batch.add(_CALL_OFF, {"kind": TIMER, "key": f"{process}:{number}", "done_at": at})
        self._clocks.clear()


def _place(task: Task) -> tuple[int, str]:
    """The token and the step of a task."""
    return task.token, task.step
