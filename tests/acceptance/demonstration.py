"""The demonstration as `make demo` leaves it: its records, and its accounts with their passwords."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.acceptance.at_work import running
from tests.integration.pack_world import ROOT, pack
from tests.integration.uploaded_file import A_FILE

from clew.api.exchange import Caller
from clew.cli.demo_accounts import demo_accounts
from clew.cli.seeding import Size, last_day, run_seed
from clew.extensions import load_plugins
from clew.identity import accounts
from clew.process import jobs
from clew.records.loading import Loader
from clew.runtime import Runtime, RuntimeHost
from clew.settings import Settings
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase
from clew.testing.office import Office


@dataclass
class Demonstration(Office):
    passwords: dict[str, str] = field(default_factory=dict)
    """Login → password."""
    known: dict[str, Caller] = field(default_factory=dict)

    async def caller(self, login: str) -> Caller:
        """Nobody is given or loses a role meanwhile, so it is decided once."""
        if login not in self.known:
            self.known[login] = await super().caller(login)
        return self.known[login]

    async def waits(self) -> None:
        """What the platform does by itself is done."""
        await jobs.drain(self.runtime.processes)


async def demonstration(test: TestDatabase, *, whole: bool = True) -> Demonstration:
    """`whole=False`: of the records only the organisation and what is made for practice, which takes a second."""
    runtime, feed, blobs = await running(await test.installed(pack()))

    def never(*_: Any) -> Any:
        raise AssertionError("there is no other release")

    if whole:
        host = RuntimeHost(
            Settings(project=ROOT), runtime.database, blobs, feed, runtime.desk.clock, never, runtime,
            runtime.commands.refusals,
        )  # fmt: skip
        await run_seed(host, Size.small, lambda now, total: None)
    else:
        await _furnish(runtime)
    made = Demonstration(runtime)
    for each in await demo_accounts(runtime, "en"):
        async with runtime.database.read() as connection:
            made.people[each.login] = (await accounts.by_login(connection, each.login)).id
        made.passwords[each.login] = each.password
    return made


async def _furnish(runtime: Runtime) -> None:
    load_plugins(ROOT)
    names = ("market", "people", "practice", "trouble", "world")
    market, people, practice, trouble, world = (importlib.import_module(f"demo_group.{name}") for name in names)
    files = dict.fromkeys(("pdf", "image"), A_FILE)
    today = last_day(datetime.now(UTC))

    async def fill(connection: Connection) -> None:
        loader = Loader(connection, runtime.tables, runtime.operator_call("zh").context, str(runtime.number))
        await loader.begin()
        size, blueprint = world.SIZES["small"], runtime.blueprint
        group = world.World(blueprint, loader, size, today, lambda now, total: None, files)
        await people.organisation(group)
        trouble.reasons(group)
        market.site_licences(group)
        await practice.practice(group)
        group.settle()
        await loader.finish()

    await runtime.database.run_write(fill)
