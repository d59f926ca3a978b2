"""The host that serves one Runtime, looks for a newer release, and keeps up what has to be kept up beside serving."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial

from clew.access.unite import Held
from clew.audit.sealing.sealer import Sealer
from clew.extensions import load_actions, load_channels
from clew.identity import sessions
from clew.jobs.upkeep import Chore, Upkeep, chores
from clew.kernel import collector
from clew.kernel.clock import Clock, SystemClock
from clew.kernel.errors import ClewError
from clew.kernel.ids import uuid7
from clew.process import staffing
from clew.process.alerts import Alerts
from clew.process.calendar_starts import CalendarStarts
from clew.process.jobs import drain
from clew.process.people import foresee
from clew.records import idempotency
from clew.records.decisions.keep import Refusals
from clew.records.feed import Feed
from clew.records.notices import Post
from clew.records.review.reminders import Reminders
from clew.records.search import grams_of, sort_key
from clew.records.watching import Watcher
from clew.runtime.assembly import assemble, carrying
from clew.runtime.features import graphql_options
from clew.runtime.identity import identity_parts
from clew.runtime.project import stored_blueprint
from clew.runtime.release import Runtime
from clew.settings import Settings
from clew.storage import nodes, releases
from clew.storage.blobs import Blobs
from clew.storage.change import Signer, TextForms, resume
from clew.storage.engine import Database
from clew.storage.open import open_database
from clew.storage.promotion.environment import expect
from clew.storage.releases import Release

_log = logging.getLogger("clew.runtime")


HEARTBEAT_SECONDS = 10.0
WARMED = 32
"""Sets of roles whose decisions are made for a new release before anybody asks: those used last."""
_PAUSE = 0.005
"""Seconds between two steps of work that nobody waits for."""
TEXTS = TextForms(sort_key, grams_of)
"""What a change that fills texts stores beside them."""

Assemble = Callable[[Release], Runtime]


class RuntimeHost:
    """Holds the Runtime being served. A request takes `current` once and keeps it, so a swap drops nothing."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        blobs: Blobs,
        feed: Feed,
        clock: Clock,
        assemble: Assemble,
        first: Runtime,
        refusals: Refusals,
    ) -> None:
        self.settings = settings
        self.database = database
        self.blobs = blobs
        self.feed = feed
        self.clock = clock
        self.node = f"{socket.gethostname()}-{os.getpid()}-{str(uuid7())[-6:]}"
        self.refusals = refusals
        self.trouble: BaseException | None = None
        """Why the newest release could not be taken; the one before it goes on being served."""
        self._assemble = assemble
        self._current = first
        self._on_change: list[Callable[[Runtime], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._warming: asyncio.Task[None] | None = None
        self._last_beat = 0.0

    @property
    def current(self) -> Runtime:
        return self._current

    def on_change(self, act: Callable[[Runtime], None]) -> None:
        """Be told of every Runtime served from now on, and of the present one at once."""
        self._on_change.append(act)
        act(self._current)

    async def start(self) -> None:
        await self._beat()
        self._tasks.append(asyncio.create_task(self._watch()))
        finish = partial(resume, load=stored_blueprint, texts=TEXTS, signer=Signer(node=self.node))
        todo = chores(self.database, self.blobs, self._owner, finish)
        watcher = Watcher(self.database, lambda: self.current.tables)
        of_trail = (*Sealer(self.database, self.settings).chores(), watcher.chore())
        sweep = Chore("identity.sweep", timedelta(days=1), self._sweep)
        kept = timedelta(days=self.settings.idempotency_days)
        answers = Chore("idempotency.prune", timedelta(hours=1), lambda: idempotency.prune(self.database, kept))
        reminders = Reminders(self.database, lambda: self.current.blueprint.project)
        standing = Chore("alerts.sweep", timedelta(hours=1), lambda: Alerts(self.current.processes).sweep())
        by_calendar = Chore(
            "processes.calendar", timedelta(minutes=10), lambda: CalendarStarts(self.current.processes).look()
        )
        turns = Chore("processes.people", timedelta(hours=1), lambda: foresee(self.current.processes))
        walk = Chore("processes.turn", timedelta(hours=1), lambda: staffing.walk(self.current.processes))
        of_processes = standing, by_calendar, turns, walk
        upkeep = Upkeep(self.database, self.node, (*todo, *of_trail, sweep, answers, *of_processes, reminders.chore()))
        self._tasks.append(asyncio.create_task(upkeep.run(self.settings.release_poll)))
        self._tasks.append(asyncio.create_task(self._processes()))
        self._warm(self._current, ())

    def _warm(self, runtime: Runtime, expected: Sequence[frozenset[Held]]) -> None:
        """Work out, beside serving, what people will ask of a release's policies: nobody waits for it."""
        if self._warming is not None:
            self._warming.cancel()
        self._warming = asyncio.create_task(_step_by_step(runtime.decide.warming(expected)))

    async def refresh(self) -> bool:
        """Take the newest release if there is one; True when it changed. A release that cannot be taken is remembered
        in `trouble` and the present one stays."""
        async with self.database.read() as connection:
            newest = await releases.current_number(connection)
        if newest <= self._current.number:
            return False
        collector.release()
        try:
            found = await releases.numbered(self.database, newest)
            # Compiling takes a moment; requests go on meanwhile.
            fresh = await asyncio.to_thread(self._assemble, found)
        except Exception as problem:
            self.trouble = problem
            return False
        expected, self._current, self.trouble = self._current.decide.kept[:WARMED], fresh, None
        for act in self._on_change:
            act(fresh)
        self._warm(fresh, expected)
        await self._beat()
        return True

    async def close(self) -> None:
        tasks = [*self._tasks, *([self._warming] if self._warming is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.refusals.close()
        with suppress(ClewError):
            await nodes.leave(self.database, self.node)
        await self.database.close()

    async def _sweep(self) -> int:
        """Sessions that ended long ago are taken away."""
        return await self.database.run_write(lambda connection: sessions.sweep(connection, self.clock.now()))

    @asynccontextmanager
    async def _owner(self) -> AsyncIterator[Database]:
        """The database under the role that may change tables, where that is another one."""
        settings = self.settings
        if settings.owner_database == settings.database:
            yield self.database
            return
        owned = await open_database(settings.owner_database, clock=self.clock, connections=2, statement_timeout=0)
        try:
            yield owned
        finally:
            await owned.close()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.settings.release_poll)
            # The database may be away for a while; what is in memory goes on answering what it can.
            with suppress(ClewError):
                await self.refusals.flush()
                await self.refresh()
                if self.clock.monotonic() - self._last_beat >= HEARTBEAT_SECONDS:
                    await self._beat()

    async def _processes(self) -> None:
        """Timers, automatic steps and events of processes, whichever node gets to them first."""
        while True:
            try:
                await drain(self._current.processes)
                await Alerts(self._current.processes).drain()
                await Post(self.database, self._current.channels).drain()
            except Exception:
                _log.exception("processes cannot reach their jobs; they try again")
            await asyncio.sleep(self.settings.release_poll)

    async def _beat(self) -> None:
        self._last_beat = self.clock.monotonic()
        await nodes.beat(self.database, self.node, self._current.number)


async def _step_by_step(steps: Iterator[Callable[[], object]]) -> None:
    """Each step in a thread of its own, with a pause after it, so that requests go on."""
    try:
        for step in steps:
            await asyncio.to_thread(step)
            await asyncio.sleep(_PAUSE)
    except Exception:
        # What could not be worked out before is worked out when somebody asks, and fails there as loudly.
        _log.exception("the policies could not be worked out in advance")


async def open_runtime(settings: Settings, clock: Clock | None = None) -> RuntimeHost:
    """Open the database, load its newest release and start watching for the next.

    Raises DatabaseUnreachable, NoRelease, ProjectInvalid, EnvironmentMismatch.
    """
    clock = clock or SystemClock()
    database = await open_database(settings.database, clock=clock, statement_timeout=settings.statement_timeout)
    try:
        if settings.environment:
            async with database.read() as connection:
                await expect(connection, settings.environment)
        blobs = Blobs(settings.blob_folder)

        feed, options, identity = Feed(database, clock), graphql_options(settings), identity_parts(settings)
        refusals = Refusals(database)

        @collector.uncollected()
        def build(found: Release) -> Runtime:
            blueprint, required = stored_blueprint(found.sources), settings.audit_outside_required
            declared = {name: each.plugin for name, each in blueprint.project.actions.items()}
            actions = load_actions(settings.project, declared)
            channels = load_channels(settings.project, carrying(blueprint.project))
            parts = database, clock, feed, blobs, options, identity, required, actions, refusals
            made = assemble(found, blueprint, *parts)
            return replace(made, channels=channels)

        first = await asyncio.to_thread(build, await releases.current(database))
        host = RuntimeHost(settings, database, blobs, feed, clock, build, first, refusals)
        await host.start()
    except BaseException:
        await database.close()
        raise
    return host
