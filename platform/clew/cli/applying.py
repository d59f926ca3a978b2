"""From a folder to a release: what plan, apply, dev and demo have in common."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from clew.audit.releases import release_recorder
from clew.cli.check import show_findings
from clew.cli.terminal import Terminal
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context
from clew.kernel.errors import ClewError
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual, counted
from clew.metadata.blueprint import Blueprint
from clew.process.definitions import require_borne
from clew.records.review.promoted import require_signed
from clew.runtime import OPERATOR, TEXTS, stored_blueprint, usable
from clew.runtime.project import load_readable
from clew.settings import Settings
from clew.storage.behind import bring_up_to_date, lacking
from clew.storage.change import Plan, Signer, apply, plan
from clew.storage.engine import Connection, Database
from clew.storage.open import open_database
from clew.storage.partitions import ensure_partitions
from clew.storage.promotion.bundle import Bundle
from clew.storage.promotion.environment import expect, refuse_production
from clew.storage.releases import Release, current_in
from clew.storage.roles import grant_runtime
from clew.storage.sites import unknown_sites


@asynccontextmanager
async def owner_database(settings: Settings, *, whatever: bool = False) -> AsyncIterator[Database]:
    """The database under the role that may change tables; without a statement limit.

    Raises EnvironmentMismatch when it is not what the settings expect, unless `whatever` it is will do.
    """
    make_room(settings)
    database = await open_database(settings.owner_database, clock=SystemClock(), connections=2, statement_timeout=0)
    try:
        if settings.environment and not whatever:
            async with database.read() as connection:
                await expect(connection, settings.environment)
        yield database
    finally:
        await database.close()


def make_room(settings: Settings) -> None:
    """The state folder of an embedded database, invisible to version control."""
    if not settings.database_url:
        settings.state_folder.mkdir(parents=True, exist_ok=True)
        ignore = settings.state_folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")


def checked_project(folder: Path, terminal: Terminal) -> Blueprint:
    """The project's Blueprint. Findings are shown; raises ProjectInvalid when one of them is an error."""
    loaded = load_readable(folder)
    if not terminal.as_json:
        show_findings(terminal, loaded.diagnostics)
    return usable(loaded)


async def plan_for(database: Database, blueprint: Blueprint) -> Plan:
    return await plan(database, blueprint, load=stored_blueprint)


async def tell_unknown_sites(database: Database, blueprint: Blueprint, terminal: Terminal) -> None:
    """Warn of codes of sites that the project names and no record has."""
    async with database.read() as connection:
        found = await unknown_sites(connection, blueprint)
    for each in found:
        place = f"{each.place}: {each.code}: "
        terminal.note(place + each.message("en"), place + each.message("zh"))


async def carry_out(
    database: Database,
    chosen: Plan,
    *,
    consents: frozenset[str] = frozenset(),
    by: str = "",
    note: str = "",
    on_step: Callable[[str], None] | None = None,
    bundle: Bundle | None = None,
) -> Release:
    """Apply a plan. A bundle that was planned for this database must say what it changes in people's access here, now;
    raises AccessStale when it does not."""

    async def objecting(connection: Connection, blueprint: Blueprint) -> None:
        await require_borne(connection, blueprint)
        if bundle is not None and bundle.target is not None:
            await require_signed(connection, blueprint, stored_blueprint, bundle.target["access"])

    signer = Signer(by=by, note=note, node=socket.gethostname())
    return await apply(
        database,
        chosen,
        load=stored_blueprint,
        consents=consents,
        texts=TEXTS,
        signer=signer,
        on_step=on_step or (lambda _label: None),
        on_live=release_recorder(operator_context()),
        bundle=bundle,
        objecting=objecting,
    )


def operator_context() -> Context:
    """The person at this machine, from the command line."""
    return Context(OPERATOR, str(uuid7()), channel="cli")


async def catch_up(database: Database) -> list[str]:
    """Add what a database of an earlier version lacks of the platform's own tables; what that was. A database nothing
    was applied to is left alone."""
    async with database.read() as connection:
        missing = await lacking(connection) if await current_in(connection) is not None else []
    if missing:
        async with database.migrate() as connection:
            await bring_up_to_date(connection)
    return missing


async def open_to_servers(settings: Settings, database: Database) -> None:
    """After each apply: partitions for the months to come, and the servers' own role may use the new tables."""
    await ensure_partitions(database)
    if settings.owner_database != settings.database:
        role = urlsplit(settings.database).username
        if role and role != urlsplit(settings.owner_database).username:
            await grant_runtime(database, unquote(role))


async def bring_up(settings: Settings, terminal: Terminal) -> Release | None:
    """Apply the folder's project if that needs nobody's word. None when the database has it already.

    Raises ProjectInvalid for a bad project, NotSafe for a change that a person must review, and ProductionRefuses.
    """
    blueprint = checked_project(settings.project, terminal)
    async with owner_database(settings) as database:
        async with database.read() as connection:
            await refuse_production(connection, "clew dev / clew demo")
        if await catch_up(database):
            await open_to_servers(settings, database)
        found = await plan_for(database, blueprint)
        if found.empty and found.base:
            return None
        if not found.safe:
            raise NotSafe(plan=Bilingual(zh=found.text("zh"), en=found.text("en")))
        release = await carry_out(database, found, by="clew")
        await open_to_servers(settings, database)
    count = len(blueprint.entities)
    terminal.say(
        f"Release {release.number} applied: {counted(count, 'entity', 'entities')}.",
        f"已应用发布 {release.number}:{count} 个实体。",
    )
    return release


class NotSafe(ClewError):
    """The change would lose or tighten data, so a person reviews it first."""

    code, status = "CHANGE_NEEDS_REVIEW", 409
    en, zh = "This change is not applied by itself:\n{plan}", "该变更不会自动应用:\n{plan}"
    hint_en = "Review it: clew plan --out plan.json, then clew apply plan.json --note … --consent …"
    hint_zh = "请先复核:clew plan --out plan.json,再执行 clew apply plan.json --note … --consent …"
