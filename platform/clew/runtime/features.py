"""What the API consists of, one generated feature each, and what the settings say about its documents."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from clew.access.deciding import Deciding
from clew.access.decision import Decision
from clew.api.access_campaigns import AccessCampaigns
from clew.api.access_review import AccessReview, Room
from clew.api.administration import Administration
from clew.api.audit_trail import AuditTrail
from clew.api.build import Feature
from clew.api.decision_tables import DecisionTables
from clew.api.decisions import Decisions
from clew.api.engine import Options
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
from clew.identity.desk import Desk
from clew.kernel.context import Context
from clew.process.alerts import Alerts
from clew.process.engine import Processes
from clew.records.commands import Commands
from clew.records.decisions.replay import Replayer
from clew.records.feed import Feed
from clew.records.review.desk import ReviewDesk
from clew.records.signing.accounts import AccountProver
from clew.runtime.replaying import replaying
from clew.settings import Settings
from clew.storage.engine import Database


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
