"""What the tests of the write path share: the mini project installed on a database, with commands and helpers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from tests.integration.uploaded_file import uploaded

from clew.access.decision import Decision, permit_all
from clew.kernel.context import Context, Person
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.records.commands import Call, Commands
from clew.records.participants import Change, Participant, Quiet, Signer
from clew.records.unit import Unit
from clew.storage.change.install import install
from clew.storage.engine import Database
from clew.storage.tables import Tables

MINI = Path(__file__).parents[1] / "projects" / "mini"
PERSON = Person(UUID("0190c000-0000-7000-8000-00000000000a"), "wang", "王工", ("qc_inspector",))


class AnySigner:
    """Signs whatever it is asked to, and remembers it."""

    def __init__(self) -> None:
        self.signed: list[tuple[str, str]] = []

    async def sign(self, change: Change, meaning: str, unit: Unit) -> None:
        self.signed.append((change.action, meaning))


@dataclass
class Plant:
    """An installed project with somebody at work."""

    database: Database
    blueprint: Blueprint
    tables: Tables
    commands: Commands
    decision: Decision
    call: Call
    ids: dict[str, UUID] = field(default_factory=dict)

    def why(self, reason: str, **changes: Any) -> Call:
        return replace(self.call, reason=reason, **changes)

    async def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        async with self.database.read() as connection:
            return [dict(zip(table.c.keys(), row, strict=True)) for row in await connection.fetch(sa.select(table))]

    async def current(self, entity: str) -> dict[UUID, dict[str, Any]]:
        return {row["id"]: row for row in await self.rows(self.tables.current(entity))}

    async def history(self, entity: str, record_id: UUID) -> list[dict[str, Any]]:
        rows = await self.rows(self.tables.history(entity))
        return sorted((row for row in rows if row["id"] == record_id), key=lambda row: row["tx_from"])


def mini() -> Blueprint:
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


def context(person: Person = PERSON) -> Context:
    return Context(person, "req-1", channel="test", client="pytest")


async def plant(
    database: Database,
    *,
    participants: Sequence[Participant] = (),
    signer: Signer | None = None,
    decision: Decision | None = None,
    blueprint: Blueprint | None = None,
    fresh: bool = True,
    furnish: bool = True,
) -> Plant:
    """The mini project on a database; with `fresh` installed and with a site, a second one and an item."""
    blueprint = blueprint or mini()
    if fresh:
        release = await install(database, blueprint)
    else:
        from clew.storage import releases

        release = await releases.current(database)
    tables = Tables(blueprint, release.catalog, database.dialect)
    commands = Commands(
        database,
        blueprint,
        tables,
        release=release.digest,
        participants=participants,
        signer=signer or AnySigner(),
        blobs=await uploaded(database),
    )
    decision = decision or permit_all(blueprint)
    made = Plant(database, blueprint, tables, commands, decision, Call(context(), decision))
    if fresh and furnish:
        await _furnish(made)
    return made


async def _furnish(made: Plant) -> None:
    for code, name in (("SHA", "上海"), ("SUZ", "苏州")):
        outcome = await made.commands.create(made.call, "site", {"code": code, "name": name})
        made.ids[code] = outcome.id
    outcome = await made.commands.create(made.call, "item", {"item_no": "RAW-1", "name": "无菌注射器"})
    made.ids["RAW-1"] = outcome.id


def a_lot(made: Plant, **changes: Any) -> dict[str, Any]:
    return {"site": made.ids["SHA"], "item": made.ids["RAW-1"], "qty": "10.0000", **changes}


__all__ = ["MINI", "PERSON", "AnySigner", "Plant", "Quiet", "a_lot", "context", "mini", "plant"]
