"""Clew itself with what its users have switched on: a session, a row rule on lots and a mask on their cost.

    python -m benchmarks.peers.clew_server PORT
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import sqlalchemy as sa
import uvicorn
import uvloop

from benchmarks import data
from clew.access.decision import ALWAYS, Decision, FieldAccess, Grant, permit_all
from clew.api.exchange import Caller
from clew.expressions.check import check
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context, Person
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.metadata.schema import BlueprintSchema
from clew.runtime import open_runtime
from clew.settings import Settings
from clew.storage import system
from clew.storage.change.install import install as install_release
from clew.storage.open import open_database
from clew.web.app import Application
from clew.web.server import bind, configuration

PROJECT = Path(__file__).parents[1] / "project"
SESSION = "5" * 64
PERSON = Person(
    id=UUID(int=1),
    login="bench",
    name="Bench",
    roles=("buyer",),
    sites=tuple(data.identity(1, number) for number in range(data.PLANTS)),
)


def project() -> Blueprint:
    loaded = load_folder(PROJECT)
    if loaded.blueprint is None:
        raise SystemExit("\n".join(f"{each.place} {each.message('en')}" for each in loaded.diagnostics))
    return loaded.blueprint


def decision(blueprint: Blueprint) -> Decision:
    """Everything, but lots only of the person's plants, and their cost only while they are not blocked."""
    schema = BlueprintSchema.of(blueprint)
    own = Grant(True, (check("plant.id in user.sites", schema, "lot"),))
    shown = Grant(True, (check("state != 'blocked' || 'buyer' in user.roles", schema, "lot"),))
    everything = permit_all(blueprint)
    lot = everything.on("lot")
    fields = {**lot.fields, "cost": FieldAccess(shown, ALWAYS)}
    ruled = replace(lot, read=own, fields=MappingProxyType(fields))
    return Decision("benchmark", MappingProxyType({**everything.entities, "lot": ruled}))


async def install(url: str) -> None:
    """The benchmark's tables and the session."""
    database = await open_database(url, clock=SystemClock())
    try:
        await install_release(database, project())
        now = datetime.now(UTC)
        values = {
            "id": SESSION,
            "account": PERSON.id,
            "data": {},
            "epoch": 1,
            "created_at": now,
            "seen_at": now,
            "expires_at": now + timedelta(days=1),
        }
        async with database.write() as connection:
            await connection.execute(sa.insert(system.session).values(values))
    finally:
        await database.close()


async def main(port: int) -> None:
    settings = Settings(database_url=os.environ["BENCH_DATABASE_URL"], port=port, mode="production")
    listening = bind(settings)
    host = await open_runtime(settings)
    application = Application(host, settings)
    allowed = decision(host.current.blueprint)

    def caller(_runtime: object, _headers: object, request_id: str) -> Caller:
        return Caller(Context(PERSON, request_id, session=SESSION, epoch=1), allowed)

    application.entrance.caller = caller  # type: ignore[method-assign, assignment]
    await uvicorn.Server(configuration(application, settings)).serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
