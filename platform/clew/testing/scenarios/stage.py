"""Where a scenario is played: an embedded database with the project, its people, its records and a clock that obeys."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from clew.identity import accounts
from clew.identity.assignments import Asked
from clew.identity.policy import CredentialPolicy
from clew.identity.secrets import Cost, Hasher, Vault
from clew.identity.sessions import Limits
from clew.kernel.clock import SystemClock
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import Blueprint, Field, FieldKind, Origin
from clew.metadata.project import People
from clew.metadata.scenarios import Scenario
from clew.process.time import calendar_of
from clew.records.feed import Feed
from clew.records.loading import Loader
from clew.records.numbers import Numbers
from clew.records.values import AnyRef, coerce
from clew.runtime import IdentityParts, Runtime, assemble
from clew.sdk import Act
from clew.storage import releases
from clew.storage.blobs import Blob, Blobs
from clew.storage.change import install
from clew.storage.dialects import StatementCache
from clew.storage.engine import Connection, Database
from clew.storage.open import open_database
from clew.storage.uploads import came
from clew.testing.clock import ManualClock
from clew.testing.factory import Factory
from clew.testing.office import PASSWORD, Office, Refused
from clew.testing.samples import sample_pdf
from clew.testing.scenarios.turntable import Turntable

CHEAP = Cost(1, 8, 1)
"""Passwords of people who exist for a second need no protection."""
_TICK = timedelta(milliseconds=1)


class StoredBadly(ValueError):
    """People or records a scenario is given that cannot be: a wrong value, roles that exclude each other."""


@dataclass
class Stage:
    """One scenario's world."""

    office: Office
    clock: ManualClock
    records: dict[str, tuple[str, UUID]] = field(default_factory=dict)
    """Name → entity and id; people are known by their names as well, where the project has employees."""
    file: Mapping[str, Any] = field(default_factory=dict)
    """An uploaded file: what a scenario attaches is this one, under the name it gives."""
    site: UUID | None = None
    """Where everybody works: the first site that was given, else one made up."""

    @property
    def runtime(self) -> Runtime:
        return self.office.runtime

    def value(self, entity: str, name: str, value: Any) -> Any:
        """A value as written: names of records become their ids. Raises Refused: a line has no such field."""
        known = self.runtime.blueprint.entities[entity].fields
        if name not in known:
            raise Refused("UNKNOWN_FIELD", f"{entity}.{name}")
        field_ = known[name]
        if field_.kind is FieldKind.REF and value in self.records:
            return self.records[value][1]
        if field_.kind is FieldKind.MANY and isinstance(value, list):
            return [self.records[each][1] if each in self.records else each for each in value]
        if field_.kind is FieldKind.ANY and value in self.records:
            return AnyRef(*self.records[value])
        if field_.kind is FieldKind.LINES and isinstance(value, list):
            return [{key: self.value(field_.target, key, item) for key, item in each.items()} for each in value]
        if field_.kind is FieldKind.LINES and isinstance(value, dict):
            return {how: self.value(entity, name, rows) for how, rows in value.items()}
        if field_.kind is FieldKind.FILES and isinstance(value, list):
            return [{**self.file, "name": each} if isinstance(each, str) else each for each in value]
        if name == "id" and value in self.records:
            return self.records[value][1]
        return value

    def values(self, entity: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.value(entity, name, each) for name, each in values.items()}


class Theatre:
    """The project, installed once and copied for each scenario; one runtime plays them all, one after the other."""

    def __init__(self, blueprint: Blueprint, folder: Path, actions: Mapping[str, Act]) -> None:
        self.blueprint, self.folder, self.actions = blueprint, folder, actions
        self._clock, self._table = ManualClock(step=_TICK), Turntable()
        self._blobs, self._statements = Blobs(folder / "files"), StatementCache("sqlite")
        self._runtime: Runtime | None = None

    @asynccontextmanager
    async def stage(self, scenario: Scenario) -> AsyncIterator[Stage]:
        """A world for one scenario, with its people and records; gone afterwards."""
        template, mine = self.folder / "template.db", self.folder / f"{scenario.name}.db"
        if self._runtime is None:
            made = await open_database(f"sqlite:///{template}", clock=SystemClock(), connections=2)
            await install(made, self.blueprint)
            await made.close()
        shutil.copyfile(template, mine)
        self._clock.turn(self._start(scenario))
        # What was compiled for one scenario serves the next: their tables are the same.
        database = await open_database(
            f"sqlite:///{mine}", clock=self._clock, connections=4, statements=self._statements
        )
        self._table.turn(database)
        try:
            runtime = await self._on_stage(database)
            stage = Stage(Office(runtime), self._clock)
            try:
                await self._furnish(stage, scenario, self._blobs)
            except ClewError as problem:
                raise StoredBadly(problem.message("en")) from problem
            yield stage
        finally:
            await database.close()

    async def _on_stage(self, database: Database) -> Runtime:
        if self._runtime is None:
            identity = IdentityParts(Vault("scenario"), CredentialPolicy(), Limits(), Hasher(CHEAP))
            release, feed = await releases.current(database), Feed(self._table, self._clock)
            self._runtime = assemble(
                release, self.blueprint, self._table, self._clock, feed, self._blobs,
                identity=identity, actions=self.actions,
            )  # fmt: skip
        # The numbers it has in hand were taken from the database before.
        self._runtime.commands.engine.numbers = Numbers()
        return self._runtime

    def _start(self, scenario: Scenario) -> datetime:
        zone = ZoneInfo(calendar_of(self.blueprint, None).zone or "UTC")
        text = scenario.at or "2026-03-02 09:00"
        return datetime.fromisoformat(text).replace(tzinfo=zone)

    async def _furnish(self, stage: Stage, scenario: Scenario, blobs: Blobs) -> None:
        runtime, by = stage.runtime, stage.runtime.operator_call("en").context
        policies, known = self.blueprint.policies, self.blueprint.entities
        blob = await _kept(stage, blobs)
        media_type = "application/pdf"
        stage.file = file = {"sha256": blob.sha256, "name": "scenario.pdf", "size": blob.size, "media_type": media_type}
        people: dict[str, UUID | None] = {}
        kept = self.blueprint.project.identity.people if self.blueprint.project.identity is not None else None

        async def furnish(connection: Connection) -> None:
            at = await connection.now()
            loader = Loader(connection, runtime.tables, by, str(runtime.number))
            await loader.begin()
            factory = Factory(loader, self.blueprint, at, file)

            def given(name: str, entity: str, values: Mapping[str, Any]) -> None:
                fields = known[entity].fields
                lines = {key: each for key, each in values.items() if fields[key].kind is FieldKind.LINES}
                plain = {key: each for key, each in values.items() if key not in lines}
                resolved = stage.values(entity, plain)
                canonical = {key: self._canonical(fields[key], key, each, at) for key, each in resolved.items()}
                stage.records[name] = entity, factory.add(entity, canonical)
                factory.shared.setdefault(entity, stage.records[name][1])
                for key, rows in lines.items():
                    for number, row in enumerate(rows, 1):
                        given(f"{name}.{key}.{number}", fields[key].target, {"owner": name, **row})

            # A site is where people work, and people are what other records refer to.
            for each in scenario.records:
                if each[1] == "site":
                    given(*each)
            stage.site = factory.one("site") if "site" in known else None
            for login in scenario.people:
                made = factory.add(kept.entity, self._person(kept, login, at)) if kept is not None else None
                people[login] = made
                if made is not None and kept is not None:
                    stage.records[login] = kept.entity, made
            for each in scenario.records:
                if each[1] != "site":
                    given(*each)
            await loader.finish()

        await runtime.database.run_write(furnish)

        async def hire(connection: Connection) -> None:
            at = await connection.now()
            for login, roles in scenario.people.items():
                made = await accounts.create(
                    connection,
                    runtime.desk.witness,
                    by,
                    login=login,
                    name=login,
                    at=at,
                    employee=people[login],
                    facts={"site": stage.site} if stage.site is not None else {},
                )
                stage.office.people[login] = made.id
                await came(connection, made.id, blob, at)
                for role in roles if policies is not None else ():
                    assert policies is not None
                    sites = (stage.site,) if policies.roles[role].own_sites and stage.site is not None else None
                    asked = Asked(made.id, role, at, sites=sites, reason="scenario")
                    await runtime.desk.assignments.assign(connection, by, asked, at)

        await runtime.database.run_write(hire)
        for login in scenario.people:
            async with runtime.database.read() as connection:
                account = await accounts.find(connection, stage.office.people[login])
            assert account is not None
            await runtime.desk.credentials.set_password(account, PASSWORD, by, settled=True)

    def _canonical(self, field: Field, name: str, value: Any, at: datetime) -> Any:
        """A value of YAML as records keep it; ids of records that were named stay."""
        if isinstance(value, UUID | AnyRef) or (isinstance(value, list) and any(isinstance(x, UUID) for x in value)):
            return value
        return coerce(field, value, [name], self.blueprint, at.date())

    def _person(self, kept: People, login: str, at: datetime) -> dict[str, Any]:
        """A record of somebody in service, whose identity was verified and who has stated that their signature binds
        them (21 CFR 11.100): every instant it may hold has come."""
        fields = self.blueprint.entities[kept.entity].fields
        come = {name: at for name, each in fields.items() if each.kind is FieldKind.DATETIME and not each.computed}
        given = {name: each for name, each in come.items() if fields[name].origin is Origin.DECLARED}
        away = (*kept.away, *kept.left)
        states = [name for name in self.blueprint.entities[kept.entity].states if name not in away]
        state = {"state": states[-1]} if states else {}
        return {**given, **state, kept.login: login, kept.name: login}


async def _kept(stage: Stage, blobs: Blobs) -> Blob:
    """The file that everybody in a scenario has to hand."""

    async def once() -> AsyncIterator[bytes]:
        yield sample_pdf("Scenario")

    return await blobs.put(stage.runtime.database, once())
