"""The composition root: one frozen Runtime per release, and the host that swaps it for a newer one.

Nothing else in the platform builds these parts, and none of them finds another by itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

from clew.access.deciding import OPERATOR_ROLE, Deciding
from clew.access.decision import Decision
from clew.access.loading import load_bundle
from clew.access.unite import Held
from clew.api.access_campaigns import AccessCampaigns
from clew.api.access_review import AccessReview, Room
from clew.api.administration import Administration
from clew.api.audit_trail import AuditTrail
from clew.api.build import Feature
from clew.api.decision_tables import DecisionTables
from clew.api.decisions import Decisions
from clew.api.engine import GraphQLEngine, Options
from clew.api.exchange import Caller, GraphQL
from clew.api.forms import Forms
from clew.api.inputs import Inputs
from clew.api.mutations import Mutations
from clew.api.process_batches import ProcessBatches
from clew.api.process_comments import ProcessComments
from clew.api.process_migrations import ProcessMigrations
from clew.api.process_phrases import Phrases
from clew.api.processes import ProcessFeature
from clew.api.standing_alerts import StandingAlerts
from clew.api.subscriptions import Subscriptions
from clew.api.view import READ_FEATURES
from clew.audit.sealing.sealer import Sealer
from clew.audit.trail import Trail
from clew.extensions import load_actions, load_channels
from clew.identity import accounts, sessions
from clew.identity.book import book_of
from clew.identity.desk import Desk, desk
from clew.identity.errors import SessionEnded
from clew.identity.people import person_of
from clew.identity.policy import CredentialPolicy
from clew.identity.secrets import Hasher, Vault, installation_key
from clew.identity.sessions import Limits
from clew.jobs.upkeep import Chore, Upkeep, chores
from clew.kernel import collector
from clew.kernel.clock import Clock, SystemClock
from clew.kernel.context import EVERYWHERE, OPERATOR_ID, Context, Person
from clew.kernel.diagnostics import Diagnostic, Severity
from clew.kernel.errors import ClewError
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual, Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import Loaded
from clew.metadata.project import Project
from clew.process.alerts import AlertParticipant, Alerts
from clew.process.calendar_starts import CalendarStarts
from clew.process.engine import Processes
from clew.process.jobs import drain
from clew.process.participant import ProcessParticipant
from clew.process.people import OfferingWitness
from clew.process.roster import Roster
from clew.process.staff import AssignedStaff, OneOperator
from clew.records.checkpoints_first import CheckpointsFirst
from clew.records.commands import Call, Commands
from clew.records.decisions.replay import Replayer
from clew.records.duties import Duties
from clew.records.feed import Feed
from clew.records.notices import Post
from clew.records.participants import Participant
from clew.records.query.plan import Plan
from clew.records.query.run import prepare
from clew.records.review.desk import ReviewDesk
from clew.records.review.reminders import Reminders
from clew.records.search import grams_of, sort_key
from clew.records.signing.accounts import AccountProver, AccountSignatories
from clew.records.signing.signer import RecordSigner
from clew.records.staff import Staff
from clew.records.watching import Watcher
from clew.sdk.actions import Act
from clew.sdk.channels import Send
from clew.settings import Settings
from clew.storage import nodes, releases
from clew.storage.blobs import Blobs
from clew.storage.catalog import Catalog
from clew.storage.change import Signer, TextForms, resume
from clew.storage.engine import Connection, Database
from clew.storage.open import open_database
from clew.storage.promotion.environment import expect
from clew.storage.releases import Release
from clew.storage.tables import Tables

_log = logging.getLogger("clew.runtime")

OPERATOR = Person(
    id=OPERATOR_ID,
    login="operator",
    name="Operator",
    roles=(OPERATOR_ROLE,),
    scopes=MappingProxyType({OPERATOR_ROLE: EVERYWHERE}),
)
"""The person at this machine: who acts while a project declares no policies, and on the command line."""

HEARTBEAT_SECONDS = 10.0
WARMED = 32
"""Sets of roles whose decisions are made for a new release before anybody asks: those used last."""
_PAUSE = 0.005
"""Seconds between two steps of work that nobody waits for."""
TEXTS = TextForms(sort_key, grams_of)
"""What a change that fills texts stores beside them."""


class ProjectInvalid(ClewError):
    """The project's files have errors; `diagnostics` are all of them."""

    code, status = "PROJECT_INVALID", 400
    en, zh = "The project has {count} errors; the first: {first}", "项目有 {count} 处错误,首个为:{first}"
    hint_en, hint_zh = "See all of them: clew check", "查看全部:clew check"

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        errors = [each for each in diagnostics if each.severity is Severity.ERROR]
        first = errors[0]
        shown = Bilingual(zh=f"{first.place}: {first.message('zh')}", en=f"{first.place}: {first.message('en')}")
        super().__init__(count=len(errors), first=shown)


def stored_blueprint(sources: Mapping[str, str]) -> Blueprint:
    """Compile a stored source bundle. Raises ProjectInvalid."""
    return usable(load_bundle(sources))


def usable(loaded: Loaded) -> Blueprint:
    """The Blueprint of a project without errors. Raises ProjectInvalid."""
    if loaded.blueprint is None:
        raise ProjectInvalid(loaded.diagnostics)
    return loaded.blueprint


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything one release needs to answer. Immutable: a newer release is another Runtime."""

    number: int
    blueprint: Blueprint
    catalog: Catalog
    tables: Tables
    database: Database
    commands: Commands
    graphql: GraphQL
    decide: Deciding
    clock: Clock
    desk: Desk
    processes: Processes
    replayer: Replayer
    operator: Person = OPERATOR
    channels: Mapping[str, Send] = field(default_factory=lambda: MappingProxyType({}))
    """How plugins carry notices, by name."""

    @property
    def guarded(self) -> bool:
        """Whether the project has policies, so that everybody signs in."""
        return self.blueprint.policies is not None

    def operator_call(self, locale: Locale, reason: str | None = None) -> Call:
        """A command or read by the operator at this machine, from the command line."""
        context = Context(self.operator, str(uuid7()), locale, channel="cli")
        return Call(context, self.decide(context), reason)

    async def read(self, plan: Plan, caller: Caller, args: Mapping[str, Any]) -> str:
        """Run one relational plan for a caller; its answer as JSON text."""
        dialect = self.database.dialect
        prepared = prepare(plan, self.blueprint, self.tables, caller.decision, dialect)
        async with self.database.read() as connection:
            return await prepared.fetch(connection, dict(args), caller.context, self.clock.now())


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
    ) -> None:
        self.settings = settings
        self.database = database
        self.blobs = blobs
        self.feed = feed
        self.clock = clock
        self.node = f"{socket.gethostname()}-{os.getpid()}-{str(uuid7())[-6:]}"
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
        reminders = Reminders(self.database, lambda: self.current.blueprint.project)
        standing = Chore("alerts.sweep", timedelta(hours=1), lambda: Alerts(self.current.processes).sweep())
        by_calendar = Chore(
            "processes.calendar", timedelta(minutes=10), lambda: CalendarStarts(self.current.processes).look()
        )
        upkeep = Upkeep(self.database, self.node, (*todo, *of_trail, sweep, standing, by_calendar, reminders.chore()))
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

        @collector.uncollected()
        def build(found: Release) -> Runtime:
            blueprint, required = stored_blueprint(found.sources), settings.audit_outside_required
            declared = {name: each.plugin for name, each in blueprint.project.actions.items()}
            actions = load_actions(settings.project, declared)
            channels = load_channels(settings.project, carrying(blueprint.project))
            made = assemble(found, blueprint, database, clock, feed, blobs, options, identity, required, actions)
            return replace(made, channels=channels)

        first = await asyncio.to_thread(build, await releases.current(database))
        host = RuntimeHost(settings, database, blobs, feed, clock, build, first)
        await host.start()
    except BaseException:
        await database.close()
        raise
    return host


def assemble(
    found: Release,
    blueprint: Blueprint,
    database: Database,
    clock: Clock,
    feed: Feed,
    blobs: Blobs,
    options: Options | None = None,
    identity: IdentityParts | None = None,
    outside_required: float | None = None,
    actions: Mapping[str, Act] = MappingProxyType({}),
) -> Runtime:
    """Every part of one release, put together. `outside_required`: seconds after which undelivered checkpoints of the
    trail stop writes; None for never. `actions`: what plugins do in automatic steps."""
    tables = Tables(blueprint, found.catalog, database.dialect)
    made = identity_desk(identity or identity_parts(Settings()), blueprint, database, clock)
    participants: list[Participant] = [Staff(blueprint, made)]
    if blueprint.policies is not None:
        participants.append(Duties(blueprint.policies, (OPERATOR.id,)))
    moving = ProcessParticipant(blueprint.workflows)
    participants.append(moving)
    participants.append(AlertParticipant(blueprint.alerts))
    if outside_required is not None:
        participants.append(CheckpointsFirst(outside_required))
    commands = Commands(
        database,
        blueprint,
        tables,
        release=str(found.number),
        participants=participants,
        blobs=blobs,
        clock=clock,
        signer=RecordSigner(AccountSignatories()),
    )
    replayer = replaying(commands)
    decide = Deciding(blueprint, OPERATOR.id)
    reviews = access_review(commands, decide, made)
    people = AssignedStaff(Roster(blueprint, tables)) if blueprint.policies is not None else OneOperator(OPERATOR.id)
    processes = Processes(database, blueprint, commands, people, str(found.number), actions)
    moving.engine = processes
    features = (*reviews, *api_features(commands, feed, database, made, processes, replayer, decide))
    graphql = GraphQLEngine(blueprint, tables, database, clock, options, features, blobs)
    return Runtime(
        found.number,
        blueprint,
        found.catalog,
        tables,
        database,
        commands,
        graphql,
        decide,
        clock,
        made,
        processes,
        replayer,
    )


def carrying(project: Project) -> Mapping[str, str]:
    """Channel → the plugin that has it."""
    return {name: each.plugin for name, each in project.channels.items()}


def replaying(commands: Commands) -> Replayer:
    """What decides again by any release. No separation binds the operator."""
    exempt = frozenset((OPERATOR.id,))
    return Replayer(commands.engine, lambda known: Deciding(known, OPERATOR.id), _person_now, exempt)


async def _person_now(connection: Connection, account: UUID) -> Person | None:
    """Who an account is today: without roles when it is disabled, None when there is no such account."""
    found = await accounts.find(connection, account)
    if found is None:
        return None
    try:
        return await person_of(connection, account, await connection.now())
    except SessionEnded:
        return Person(found.id, found.login, found.name, employee=found.employee)


@dataclass(frozen=True, slots=True)
class IdentityParts:
    """What identity keeps across releases."""

    vault: Vault
    policy: CredentialPolicy
    limits: Limits
    hasher: Hasher


def identity_parts(settings: Settings) -> IdentityParts:
    """What the settings say about credentials and sessions."""
    policy = CredentialPolicy(
        length=settings.password_length,
        max_age=timedelta(days=settings.password_days) if settings.password_days else None,
        tries=settings.sign_in_tries,
        lock=timedelta(seconds=settings.sign_in_lock),
    )
    limits = Limits(timedelta(seconds=settings.session_idle), timedelta(seconds=settings.session_limit))

    def key() -> str | None:
        if settings.secret_key:
            return settings.secret_key
        # Many nodes on one server would each make a key of their own and not read each other's secrets.
        shared = settings.production and bool(settings.database_url)
        return None if shared else installation_key(settings.state_folder / "secret.key")

    return IdentityParts(Vault(key), policy, limits, Hasher())


def identity_desk(parts: IdentityParts, blueprint: Blueprint, database: Database, clock: Clock) -> Desk:
    """Identity under one release's policies, witnessed by the trail."""
    return desk(
        database,
        clock,
        OfferingWitness(Trail()),
        parts.vault,
        policy=parts.policy,
        limits=parts.limits,
        hasher=parts.hasher,
        roles=book_of(blueprint.policies),
    )


def api_features(
    commands: Commands,
    feed: Feed,
    database: Database,
    desk: Desk | None = None,
    processes: Processes | None = None,
    replayer: Replayer | None = None,
    decide: Callable[[Context], Decision] | None = None,
) -> tuple[Feature, ...]:
    """What the API consists of, one generated feature each."""
    replayed = replayer or replaying(commands)
    administration = (Administration(desk),) if desk is not None else ()
    prover = AccountProver(desk.credentials) if desk is not None else None
    running: tuple[Feature, ...] = ()
    if processes is not None:
        alerts = StandingAlerts(Alerts(processes), feed)
        comments = ProcessComments(processes, decide)
        assignments = desk.assignments if desk is not None else None
        steps = (ProcessFeature(processes, prover, feed, assignments), ProcessBatches(processes, prover))
        running = (*steps, ProcessMigrations(processes), comments, Phrases(processes.database), alerts)
    decided = (Mutations(commands, prover), Decisions(replayed), DecisionTables(), Forms(processes))
    trail = AuditTrail(lambda: commands.engine.tables)
    return (*READ_FEATURES, Inputs(), *administration, *running, *decided, trail, Subscriptions(feed, database))


def access_review(commands: Commands, decide: Deciding, desk: Desk) -> tuple[Feature, ...]:
    """Reviews, where there are policies to review."""
    if decide.judgement is None:
        return ()
    room = Room(ReviewDesk(desk.database, commands.engine, decide.judgement, desk.assignments), desk)
    return AccessReview(room), AccessCampaigns(room)


def graphql_options(settings: Settings) -> Options:
    """What the settings say about documents. Persisted ones are known by their SHA-256, as clients send it."""
    documents: dict[str, str] = {}
    if settings.persisted is not None:
        for file in sorted(settings.persisted.glob("**/*.graphql")):
            text = file.read_text(encoding="utf-8")
            documents[hashlib.sha256(text.encode()).hexdigest()] = text
    if settings.production:
        return Options.production(documents, only_known=settings.persisted_only)
    return Options(documents=documents, only_known=settings.persisted_only)
