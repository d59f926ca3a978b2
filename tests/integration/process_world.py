"""The pack's plant with people at work in its processes: who holds which role, and short words for what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from tests.integration.pack_world import ROOT, pack, pack_plant
from tests.integration.write_journey import AnySigner, Plant
from tests.integration.write_journey import plant as small_plant
from tests.unit.process.play import PROJECT

from clew.extensions import load_actions
from clew.kernel.context import Context, Person
from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.load import load_sources
from clew.process.alerts import AlertParticipant
from clew.process.engine import Done, Processes
from clew.process.holders import NOBODY_KNOWN, Known
from clew.process.participant import ProcessParticipant
from clew.process.staff import Demand
from clew.process.words import Actor, Command
from clew.records.commands import Call, Commands
from clew.records.unit import Unit
from clew.storage import process_tables
from clew.storage.engine import Connection, Database
from clew.testing.databases import TestDatabase


class StepSigner(AnySigner):
    """Signs steps too, and remembers by whom."""

    async def sign_step(
        self,
        unit: Unit,
        entity: Entity,
        record_id: UUID,
        step: str,
        meaning: str,
        signing: Any,
        definition: Mapping[str, Any],
    ) -> None:
        self.signed.append((f"step:{step}:{unit.context.person.login}", meaning))


@dataclass
class FixedStaff:
    """People by role, whatever the site."""

    roles: dict[str, tuple[UUID, ...]] = field(default_factory=dict)
    employees: dict[UUID, UUID] = field(default_factory=dict)
    """Whose account an employee has."""
    sites: dict[UUID, UUID] = field(default_factory=dict)
    """Where somebody works."""

    async def find(
        self, connection: Connection, demand: Demand, at: datetime, known: Known = NOBODY_KNOWN
    ) -> tuple[UUID, ...]:
        found = [each for role in demand.roles for each in self.roles.get(role, ())]
        everybody = {each for people in self.roles.values() for each in people}
        named = [self.employees.get(each, each) for each in demand.named]
        asked = dict.fromkeys([*found, *(each for each in named if each in everybody)])
        members = self.roles.get(demand.among, ()) if demand.among else everybody
        return tuple(each for each in asked if each in members)

    async def holds(self, connection: Connection, person: UUID, demand: Demand, at: datetime) -> bool:
        return person in await self.find(connection, demand, at)

    async def site_of(self, connection: Connection, person: UUID) -> UUID | None:
        return self.sites.get(person)

    async def known(self, connection: Connection, person: UUID) -> bool:
        return any(person in people for people in self.roles.values())


@dataclass
class Works:
    """A plant whose processes run."""

    plant: Plant
    processes: Processes
    staff: FixedStaff
    signer: StepSigner
    people: dict[str, Person] = field(default_factory=dict)

    def hire(self, login: str, *roles: str) -> Person:
        """Somebody with these roles; an employee of the plant."""
        number = len(self.people) + 100
        person = Person(
            UUID(f"0190c000-0000-7000-8000-{number:012d}"), login, login, roles, employee=self.plant.ids["li"]
        )
        self.people[login] = person
        for role in roles:
            self.staff.roles[role] = (*self.staff.roles.get(role, ()), person.id)
        return person

    def call(self, login: str, **changes: Any) -> Call:
        person = self.people[login]
        return replace(Call(Context(person, f"req-{login}", channel="test"), self.plant.decision), **changes)

    async def tasks(self, login: str | None = None, status: str = "open") -> list[dict[str, Any]]:
        """Open tasks; those somebody may do."""
        rows = [each for each in await self.plant.rows(process_tables.task) if each["status"] == status]
        if login is None:
            return rows
        offers = await self.plant.rows(process_tables.task_candidate)
        mine = {each["task"] for each in offers if each["person"] == self.people[login].id}
        return [each for each in rows if each["id"] in mine and each["assignee"] in (None, self.people[login].id)]

    async def decide(
        self, login: str, outcome: str = "done", given: Mapping[str, Any] | None = None, comment: str = "", **call: Any
    ) -> Done:
        """The one task this person has."""
        (task,) = await self.tasks(login)
        return await self.processes.decide(self.call(login, **call), task["id"], outcome, given, comment)

    async def a_case(self, login: str, workflow: str | None = "handling") -> UUID:
        """A new case; the instance started about it, or the case itself without a workflow."""
        outcome = await self.plant.commands.create(self.call(login), "case", {})
        if workflow is None:
            return outcome.id
        return (await self.processes.start(self.call(login), workflow, outcome.id)).process

    async def give(self, login: str, process: UUID, command: Any, asked: Sequence[Any] = ()) -> Done:
        """Any command on an instance; `command(actor, at)` makes it."""

        def make(_instance: Any, actor: Actor, at: str) -> Command:
            made: Command = command(actor, at)
            return made

        return await self.processes.act(self.call(login), process, make, list(asked))

    async def instances(self) -> list[dict[str, Any]]:
        return await self.plant.rows(process_tables.process)

    async def log(self) -> list[tuple[str, str, str]]:
        rows = sorted(await self.plant.rows(process_tables.process_log), key=lambda row: (row["at"], row["id"]))
        return [(row["what"], row["step"], row["outcome"]) for row in rows]

    async def update(self, table: sa.Table, **values: Any) -> None:
        async def write(connection: Connection) -> None:
            await connection.execute(sa.update(table).values(**values))

        await self.plant.database.run_write(write)


async def works(database: TestDatabase, blueprint: Blueprint | None = None) -> Works:
    """The pack's plant, its processes running under fixed staff."""
    plant = await pack_plant(database)
    return at_work(plant, blueprint or pack())


async def small_works(
    database: Database,
    steps: str,
    head: str = "",
    people: Mapping[str, Sequence[str]] = {},
    files: Mapping[str, str] = {},
) -> Works:
    """A project of one entity, `case`, with a workflow of these steps; `people` by role; further `files`."""
    calendar = """\
calendar: all_hours
zone: UTC
default: true
days: [monday, tuesday, wednesday, thursday, friday, saturday, sunday]
hours: 00:00-24:00
years: {2025: {}, 2026: {}, 2027: {}, 2028: {}, 2029: {}, 2030: {}}
"""
    text = f"workflow: handling\nfor: case\nowner: boss\n{head}steps:\n{steps}"
    loaded = load_sources({**PROJECT, "calendars/c.yaml": calendar, "workflows/w.yaml": text, **files})
    assert loaded.blueprint is not None, [f"{each.place} {each.message('en')}" for each in loaded.diagnostics]
    made = await small_plant(database, blueprint=loaded.blueprint, furnish=False)
    made.ids["li"] = UUID(int=1)
    running = at_work(made, loaded.blueprint, ())
    for role, logins in people.items():
        for login in logins:
            running.hire(login, role)
    return running


PEOPLE = (
    ("ann", ("qc_inspector",)),
    ("bob", ("qc_inspector",)),
    ("cid", ("quality_engineer",)),
    ("dan", ("qa_manager", "mrb_member")),
    ("eve", ("rd_engineer", "mrb_member")),
    ("fay", ("production_supervisor", "mrb_member")),
    ("gus", ("ra_manager", "mrb_member")),
    ("hal", ("warehouse",)),
)


def at_work(plant: Plant, blueprint: Blueprint, people: Sequence[tuple[str, Sequence[str]]] = PEOPLE) -> Works:
    participant, staff, signer = ProcessParticipant(blueprint.workflows), FixedStaff(), StepSigner()
    commands = Commands(
        plant.database,
        blueprint,
        plant.tables,
        release=plant.commands.engine.release,
        signer=signer,
        blobs=plant.commands.engine.blobs,
        participants=(participant, AlertParticipant(blueprint.alerts)),
    )
    plant.commands = commands
    declared = {name: each.plugin for name, each in blueprint.project.actions.items()}
    plugins = load_actions(ROOT, declared)
    processes = Processes(plant.database, blueprint, commands, staff, plant.commands.engine.release, plugins)
    participant.engine = processes
    made = Works(plant, processes, staff, signer)
    for login, roles in people:
        made.hire(login, *roles)
    return made
