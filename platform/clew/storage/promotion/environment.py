"""Which environment a database is. It is told once, only ever becomes stricter, and every telling stays on record.

The word lies in the database, so that no setting of a command can talk a production database into being something
else. The setting `environment` says what a process expects to find; the two must agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

import sqlalchemy as sa

from clew.storage import provision, system
from clew.storage.engine import Connection
from clew.storage.errors import ChangeRunning
from clew.storage.promotion.errors import EnvironmentFinal, EnvironmentMismatch, ProductionRefuses


class Environment(StrEnum):
    """From free to strict."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"

    @property
    def strictness(self) -> int:
        return list(Environment).index(self)


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a database was told to be. `number` counts the tellings; 0 means it was never told."""

    number: int
    environment: Environment
    trusted: Mapping[str, str]
    """Public keys whose seals are believed here, by id."""
    at: datetime | None
    by: str
    reason: str


UNTOLD = Declaration(0, Environment.DEVELOPMENT, MappingProxyType({}), None, "", "")
_COLUMNS = [system.environment.c[name] for name in Declaration.__dataclass_fields__]


async def declaration(connection: Connection) -> Declaration:
    """What this database is now: development until it was told otherwise."""
    if system.environment.name not in await provision.existing_tables(connection):
        return UNTOLD
    return await _last(connection, sa.true())


async def earlier(connection: Connection, told: Declaration) -> Declaration:
    """What it was before it was told this."""
    return await _last(connection, system.environment.c.number < told.number)


async def _last(connection: Connection, which: sa.ColumnElement[bool]) -> Declaration:
    number = system.environment.c.number
    row = await connection.fetch_one(sa.select(*_COLUMNS).where(which).order_by(number.desc()).limit(1))
    if row is None:
        return UNTOLD
    return Declaration(row[0], Environment(row[1]), MappingProxyType(dict(row[2])), *row[3:])


async def declare(
    connection: Connection, environment: Environment, trusted: Mapping[str, str], by: str, reason: str
) -> Declaration:
    """Tell a database what it is, and whose seals it believes, inside a `migrate` unit.

    Raises EnvironmentFinal for anything less strict than before: what has been validated as production stays it, and
    ChangeRunning while a release is half-way.
    """
    await provision.ensure_system(connection)
    half_way = await connection.fetch_value(
        sa.select(system.release.c.number).where(system.release.c.state == "pending")
    )
    if half_way is not None:
        raise ChangeRunning(release=half_way)
    before = await declaration(connection)
    if environment.strictness < before.environment.strictness:
        raise EnvironmentFinal(found=before.environment, wanted=environment)
    told = Declaration(before.number + 1, environment, dict(trusted), await connection.now(), by, reason)
    values = {name: getattr(told, name) for name in Declaration.__dataclass_fields__}
    await connection.execute(sa.insert(system.environment), {**values, "environment": environment.value})
    return told


async def expect(connection: Connection, expected: str) -> Environment:
    """Raises EnvironmentMismatch unless the database is what the settings expect (empty expects nothing)."""
    found = (await declaration(connection)).environment
    if expected and expected != found:
        raise EnvironmentMismatch(expected=expected, found=found)
    return found


async def refuse_production(connection: Connection, command: str) -> None:
    """Raises ProductionRefuses on a production database."""
    if (await declaration(connection)).environment is Environment.PRODUCTION:
        raise ProductionRefuses(command=command)
