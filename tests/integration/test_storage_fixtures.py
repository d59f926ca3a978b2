"""The fixtures of `clew.testing`: every test gets a database of its own, empty or with a project in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from clew.kernel.errors import ClewError
from clew.kernel.ids import uuid7
from clew.storage import releases
from clew.storage.engine import Database
from clew.storage.tables import Tables
from clew.testing.blueprints import blueprint, entity, field
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
PROJECT = blueprint(entity("lot", [field("a")]))


async def mark(db: Database) -> int:
    """Leave a trace; how many there are."""
    release = await releases.current(db)
    lots = Tables(PROJECT, release.catalog, db.dialect).current("lot")
    async with db.write() as connection:
        at = await connection.now()
        row = {"id": uuid7(), "row_version": 1, "created_at": at, "updated_at": at, "a": "x"}
        await connection.execute(sa.insert(lots).values(**row))
        count: int = await connection.fetch_value(sa.select(sa.func.count()).select_from(lots))
    return count


async def test_copies_of_a_project_are_apart(
    database: TestDatabase, new_database: Callable[[str], TestDatabase]
) -> None:
    first, second = await database.installed(PROJECT), await new_database(database.dialect).installed(PROJECT)
    assert await mark(first) == 1
    assert await mark(second) == 1
    assert await mark(await database.open()) == 2, "a second handle sees the same data"


async def test_a_new_database_is_empty(database: TestDatabase) -> None:
    db = await database.open()
    with pytest.raises(ClewError):
        await releases.current(db)
