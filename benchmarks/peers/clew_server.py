"""Clew itself with what its users have switched on: a session, a row rule on lots and a mask on their cost.

python -m benchmarks.peers.clew_server PORT
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import uvicorn
import uvloop
from starlette.types import Scope

from benchmarks import data
from clew.access.decision import ALWAYS, Decision, FieldAccess, Grant, permit_all
from clew.api.exchange import Caller
from clew.audit.trail import Trail
from clew.expressions.check import check
from clew.identity import accounts, sessions
from clew.identity.assignments import Asked
from clew.identity.desk import Desk, desk
from clew.identity.ports import NOBODY
from clew.identity.secrets import Vault, digest_of
from clew.identity.sessions import Session
from clew.kernel.clock import SystemClock
from clew.kernel.collector import starting
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.metadata.schema import BlueprintSchema
from clew.runtime import Runtime, open_runtime
from clew.settings import Settings
from clew.storage.change.install import install as install_release
from clew.storage.engine import Connection
from clew.storage.open import open_database
from clew.web.app import Application
from clew.web.requests import Headers
from clew.web.server import bind, configuration

PROJECT = Path(__file__).parents[1] / "project"
SECRET = "clew_benchmark_token"
PLANTS = tuple(data.identity(1, number) for number in range(data.PLANTS))


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
    """The benchmark's tables, and somebody with a session and a role for the plants."""
    database = await open_database(url, clock=SystemClock())
    try:
        await install_release(database, project())
        counter = desk(database, SystemClock(), Trail(), Vault(None))
        await counter.within(lambda connection, at: _somebody(counter, connection, at))
    finally:
        await database.close()


async def _somebody(counter: Desk, connection: Connection, at: datetime) -> None:
    context = Context(NOBODY, "benchmark")
    made = await accounts.create(connection, counter.witness, context, login="bench", name="Bench", at=at)
    asked = Asked(made.id, "buyer", at, sites=PLANTS)
    await counter.assignments.assign(connection, context, asked, at)
    end = at + timedelta(days=1)
    used = Session(digest_of(SECRET), made.id, "token", made.epoch + 1, at, at, end, end)
    await sessions.put(connection, used)


async def main(port: int) -> None:
    settings = Settings(database_url=os.environ["BENCH_DATABASE_URL"], port=port, mode="production")
    listening = bind(settings)
    with starting():
        host = await open_runtime(settings)
        application = Application(host, settings)
    allowed, gate = decision(host.current.blueprint), application.entrance.gate
    shown = {b"authorization": f"Bearer {SECRET}".encode()}

    async def caller(
        runtime: Runtime, scope: Scope, _headers: Headers, request_id: str, *, fresh: bool = False
    ) -> Caller:
        """The product's own way from a token to a person; only the rights are the benchmark's."""
        found = await gate.caller(runtime, scope, shown, request_id, fresh=fresh)
        return Caller(found.context, allowed)

    application.entrance.caller = caller  # type: ignore[method-assign,assignment]
    await uvicorn.Server(configuration(application, settings)).serve(sockets=[listening])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
