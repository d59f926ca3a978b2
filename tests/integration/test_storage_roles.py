"""On PostgreSQL the server's role can only add to the trail; it can change no schema and forge no release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
import pytest
import sqlalchemy as sa

from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.change import install
from clew.storage.roles import grant_runtime
from clew.testing.blueprints import blueprint, entity, field
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def test_runtime_role_cannot_touch_the_trail(new_database: Callable[[str], TestDatabase]) -> None:
    db = await new_database("postgresql").open(connections=1)
    await install(db, blueprint(entity("lot", [field("a")])))
    role = f"clew_runtime_{uuid7().hex[-12:]}"
    async with db.write() as connection:
        await connection.run_sql(f"CREATE ROLE {role} NOLOGIN")
    await grant_runtime(db, role)
    at = datetime.now(UTC)
    leaf = dict.fromkeys(("action", "entity", "header", "fields", "digest"), "x") | {
        "leaf_id": uuid7(), "at": at, "record_id": uuid7(), "row_version": 1,
    }  # fmt: skip
    async with db.write() as connection:
        await connection.run_sql(f"SET LOCAL ROLE {role}")
        await connection.execute(sa.insert(system.leaf).values(**leaf))
        await connection.run_sql("UPDATE lot SET a = 'x'")
    partition = f"clew_audit_leaf_p{at:%Y%m}"
    for attempt in (
        "UPDATE clew_audit_leaf SET digest = 'y'",
        "DELETE FROM clew_audit_leaf",
        "TRUNCATE clew_audit_leaf",
        f"DELETE FROM {partition}",
        f"TRUNCATE {partition}",
        f"DROP TABLE {partition}",
        "ALTER TABLE clew_audit_leaf DISABLE TRIGGER ALL",
        "UPDATE clew_release SET state = 'live'",
        "DELETE FROM clew_change",
        "DELETE FROM clew_account",
        "DELETE FROM clew_assignment",
        "TRUNCATE clew_token",
        "CREATE TABLE mine (x int)",
        "ALTER TABLE lot ADD COLUMN mine int",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):  # noqa: PT012
            async with db.write() as connection:
                await connection.run_sql(f"SET LOCAL ROLE {role}")
                await connection.run_sql(attempt)
    async with db.read() as connection:
        assert await connection.fetch_value(sa.select(sa.func.count()).select_from(system.leaf)) == 1
    async with db.write() as connection:
        await connection.run_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
