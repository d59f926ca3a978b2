"""Every part of one release, put together: nothing else builds these parts, and none finds another by itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clew.access.deciding import Deciding
from clew.api.engine import GraphQLEngine, Options
from clew.kernel.clock import Clock
from clew.metadata.blueprint import Blueprint
from clew.metadata.project import Project
from clew.process.alerts import AlertParticipant
from clew.process.engine import Processes
from clew.process.participant import ProcessParticipant
from clew.process.roster import Roster
from clew.process.staff import AssignedStaff, OneOperator
from clew.process.staffing import StaffingParticipant
from clew.records.checkpoints_first import CheckpointsFirst
from clew.records.commands import Commands
from clew.records.decisions.keep import Refusals
from clew.records.duties import Duties
from clew.records.feed import Feed
from clew.records.participants import Participant
from clew.records.signing.accounts import AccountSignatories
from clew.records.signing.signer import RecordSigner
from clew.records.staff import Staff
from clew.runtime.features import access_review, api_features
from clew.runtime.identity import IdentityParts, identity_desk, identity_parts
from clew.runtime.release import OPERATOR, Runtime
from clew.runtime.replaying import replaying
from clew.sdk.actions import Act
from clew.settings import Settings
from clew.storage.blobs import Blobs
from clew.storage.engine import Database
from clew.storage.releases import Release
from clew.storage.tables import Tables


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
    refusals: Refusals | None = None,
) -> Runtime:
    """Every part of one release, put together. `outside_required`: seconds after which undelivered checkpoints of the
    trail stop writes; None for never. `actions`: what plugins do in automatic steps. `refusals`: the node's book."""
    tables = Tables(blueprint, found.catalog, database.dialect)
    made = identity_desk(identity or identity_parts(Settings()), blueprint, database, clock)
    participants: list[Participant] = [Staff(blueprint, made)]
    if blueprint.policies is not None:
        participants.append(Duties(blueprint.policies, (OPERATOR.id,)))
    moving = ProcessParticipant(blueprint.workflows)
    participants.append(moving)
    participants.append(AlertParticipant(blueprint.alerts))
    if blueprint.policies is not None:
        participants.append(StaffingParticipant(blueprint))
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
        refusals=refusals,
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
