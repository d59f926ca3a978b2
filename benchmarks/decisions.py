"""What keeping decisions costs: a regulated write with and without its record of the decision, in turns.

    python -m benchmarks.decisions [sqlite|postgresql]

Prints one ratio (median of rounds) for a plain transition and for a signed one. The write without the record is the
same code with the trace left out.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

from clew.access.decision import permit_all
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context, Person
from clew.metadata.load import load_folder
from clew.records import verbs
from clew.records.commands import Call, Commands
from clew.records.decisions.trace import Trace, decided
from clew.records.signing.content import key_of, version_content
from clew.records.signing.proven import Proof, Signing
from clew.records.signing.signatories import Signatory
from clew.records.signing.signer import RecordSigner
from clew.storage.change.install import install
from clew.storage.open import open_database
from clew.storage.tables import Tables
from clew.testing.databases import PostgresServer

MINI = Path(__file__).parents[1] / "tests" / "projects" / "mini"
PERSON = Person(UUID("0190c000-0000-7000-8000-00000000000a"), "wang", "王工", ("qc_inspector",))
ROUNDS, WRITES = 12, 25


class Everybody:
    async def signatory(self, unit: Any, *_: Any) -> Signatory:
        return Signatory(PERSON.id, "person", True, PERSON.id, PERSON.name, True, "qc_inspector")


@contextmanager
def undecided(unit: Any, action: str, entity: Any, record_id: UUID, given: tuple[str, ...] = ()) -> Iterator[Trace]:
    """As `decided`, but nothing is kept."""
    yield Trace(action, entity, record_id, given)


class Bench:
    def __init__(self, commands: Commands, call: Call, site: UUID, item: UUID) -> None:
        self.commands, self.call, self.site, self.item = commands, call, site, item

    async def lots(self) -> list[UUID]:
        given = {"site": self.site, "item": self.item, "qty": "5"}
        return [(await self.commands.create(self.call, "lot", given)).id for _ in range(WRITES)]

    async def plain(self, lots: list[UUID]) -> float:
        started = perf_counter()
        for lot in lots:
            await self.commands.transition(self.call, "lot", lot, "reject", 1)
        return perf_counter() - started

    async def signed(self, lots: list[UUID]) -> float:
        calls = []
        async with self.commands.database.read() as connection:
            key, now = await key_of(connection), await connection.now()
            for lot in lots:
                entity = self.commands.engine.blueprint.entities["lot"]
                content = await version_content(connection, self.commands.engine, entity, lot, 1)
                assert content is not None
                proof = Proof(PERSON.id, frozenset({"login", "password"}), now)
                calls.append(replace(self.call, signing=Signing(proof, 1, content.shown(key), "release")))
        started = perf_counter()
        for lot, call in zip(lots, calls, strict=True):
            await self.commands.transition(call, "lot", lot, "release", 1)
        return perf_counter() - started

    async def ratio(self, write: Callable[[list[UUID]], Awaitable[float]]) -> float:
        kept, found = decided, []
        for _ in range(ROUNDS + 1):
            vars(verbs)["decided"] = undecided
            without = await write(await self.lots())
            vars(verbs)["decided"] = kept
            found.append(await write(await self.lots()) / without)
        return statistics.median(found[1:])


async def main(dialect: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/clew.db"
        if dialect == "postgresql":
            url = PostgresServer.start(Path(tempfile.mkdtemp(prefix="clew-postgres-"))).create()
        database = await open_database(url, clock=SystemClock())
        blueprint = load_folder(MINI).blueprint
        assert blueprint is not None
        release = await install(database, blueprint)
        tables = Tables(blueprint, release.catalog, database.dialect)
        commands = Commands(database, blueprint, tables, signer=RecordSigner(Everybody()))
        call = Call(Context(PERSON, "bench"), permit_all(blueprint), "bench")
        site = (await commands.create(call, "site", {"code": "SHA", "name": "上海"})).id
        item = (await commands.create(call, "item", {"item_no": "R", "name": "板"})).id
        bench = Bench(commands, call, site, item)
        for name, write in (("transition", bench.plain), ("signed transition", bench.signed)):
            print(f"{dialect}: {name} with its decision / without: {await bench.ratio(write):.2f}")
        await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "sqlite"))
