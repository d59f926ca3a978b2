"""Install a Blueprint on an empty database in one go (tests and demo). Thin first version: one transaction."""

from __future__ import annotations

import sqlalchemy as sa

from clew.kernel.canonical import digest
from clew.metadata.blueprint import Blueprint
from clew.storage import releases
from clew.storage.catalog import Catalog
from clew.storage.ddl import Ddl
from clew.storage.engine import Database
from clew.storage.releases import Release
from clew.storage.schema import schema_of
from clew.storage.system import ensure_system, release


async def install(database: Database, blueprint: Blueprint) -> Release:
    """Create every table of `blueprint` and record it as the live release."""
    catalog = Catalog.first(blueprint)
    schema = schema_of(blueprint, catalog, database.dialect)
    ddl = Ddl(database.dialect)
    async with database.migrate() as connection:
        await ensure_system(connection)
        at = await connection.now()
        for shape in schema.values():
            for statement in ddl.create_table(shape, at, references=database.dialect == "sqlite"):
                await connection.run_sql(statement)
        if database.dialect == "postgresql":
            for shape in schema.values():
                for statement in ddl.foreign_keys(shape):
                    await connection.run_sql(statement)
        values = {
            "number": 1, "base": 0, "state": "settled", "digest": digest([blueprint.digest, catalog.to_json()]),
            "blueprint_digest": blueprint.digest, "plan_id": "", "sources": dict(blueprint.sources),
            "catalog": catalog.to_json(), "compiler": "0.1.0", "at": at, "live_at": at, "by": "", "note": "",
            "consents": [],
        }
        await connection.execute(sa.insert(release), values)
    return await releases.current(database)
