"""`clew retention`, `clew hold`, `clew erase`: how long records are kept, what keeps them longer, what may go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.options import Situation, common
from clew.cli.reasons import Reason
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.audit.erasure import Erased
    from clew.audit.retention import Due
    from clew.storage.engine import Database
    from clew.storage.tables import Tables

Entity = Annotated[str, typer.Argument(help=t("The record's entity.", "记录所属实体。"))]
Record = Annotated[str, typer.Argument(help=t("Its id, or its key.", "记录 id 或业务主键。"))]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=t("Records whose period of keeping is over.", "保存期限已届满的记录。"), no_args_is_help=True
    )
    group.command("list", help=t("What is due, and what a hold keeps.", "列出到期记录及被保全的记录。"))(list_due)
    group.command("run", help=t("Dispose of what is due: personal data goes.", "处置到期记录:清除个人信息,保留记录。"))(
        run
    )
    app.add_typer(group, name="retention")
    hold = typer.Typer(help=t("Legal holds.", "法律保全。"), no_args_is_help=True)
    hold.command("place", help=t("Keep a record whatever its period.", "对记录实施法律保全。"))(place)
    hold.command("lift", help=t("End a hold.", "解除法律保全。"))(lift)
    app.add_typer(hold, name="hold")
    app.command("erase", help=t("Erase the personal data of a record.", "清除某记录的个人信息。"))(erase)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A database under the role that may change leaves, with its release."""

    database: Database
    tables: Tables
    release: str


@asynccontextmanager
async def _opened(given: Situation) -> AsyncIterator[_Opened]:
    from clew.cli.applying import owner_database
    from clew.runtime import stored_blueprint
    from clew.storage import releases
    from clew.storage.tables import Tables

    async with owner_database(given.settings) as database:
        release = await releases.current(database)
        tables = Tables(stored_blueprint(release.sources), release.catalog, database.dialect)
        yield _Opened(database, tables, str(release.number))


@common
def list_due(given: Situation) -> None:
    async def ask() -> list[Due]:
        async with _opened(given) as opened:
            return await _due(opened)

    found = asyncio.run(ask())
    heads = [
        Bilingual("实体", "Entity"),
        Bilingual("记录", "Record"),
        Bilingual("起算", "Since"),
        Bilingual("届满", "Over since"),
        Bilingual("依据", "Basis"),
        Bilingual("保全", "Hold"),
    ]
    rows = [
        [each.entity, str(each.record_id), str(each.since), str(each.ended), each.basis, "✓" if each.held else ""]
        for each in found
    ]
    if found:
        given.terminal.table(heads, rows)
    else:
        given.terminal.say("Nothing is due.", "没有到期的记录。")
    given.terminal.emit(due=[_json(each) for each in found])


async def _due(opened: _Opened) -> list[Due]:
    from clew.audit.retention import due

    async with opened.database.read() as connection:
        today = (await connection.now()).date()
        return [each async for each in due(connection, opened.tables, today)]


@common
def run(
    given: Situation,
    reason: Reason,
) -> None:
    done, kept = asyncio.run(_run(given, reason))
    given.terminal.say(
        f"{len(done)} records were disposed of; {kept} are kept by a hold.",
        f"已处置 {len(done)} 条记录;{kept} 条因保全而保留。",
    )
    given.terminal.emit(ok=True, disposed=[_json(each) for each in done], held=kept)


async def _run(given: Situation, reason: str) -> tuple[list[Due], int]:
    from clew.audit.retention import dispose
    from clew.cli.applying import operator_context

    async with _opened(given) as opened:
        found = await _due(opened)
        free = [each for each in found if not each.held]
        for each in free:
            await dispose(opened.database, opened.tables, operator_context(), opened.release, each, reason)
        return free, len(found) - len(free)


@common
def erase(
    given: Situation,
    entity: Entity,
    record: Record,
    reason: Reason,
    before_due: Annotated[
        bool, typer.Option("--before-due", help=t("Although its period runs.", "即使保存期限未届满。"))
    ] = False,
) -> None:
    done = asyncio.run(_erase(given, entity, record, reason, before_due))
    listed = ", ".join(f"{name}.{each}" for name, fields in done.fields.items() for each in fields) or "—"
    given.terminal.say(
        f"Erased: {listed} ({done.versions} versions, {done.leaves} leaves).",
        f"已清除:{listed}({done.versions} 个版本,{done.leaves} 条审计叶)。",
    )
    if done.signatures:
        given.terminal.say(
            f"! {done.signatures} signatures keep the bytes that were signed.",
            f"! {done.signatures} 个电子签名仍保有所签内容。",
        )
    if done.decisions:
        given.terminal.say(
            f"! {done.decisions} kept decisions hold an erased value among their inputs.",
            f"! {done.decisions} 项已保存的决策,其输入中仍有被清除的值。",
        )
    given.terminal.emit(
        ok=True,
        fields=done.fields,
        versions=done.versions,
        leaves=done.leaves,
        signatures=done.signatures,
        decisions=done.decisions,
    )


async def _erase(given: Situation, entity: str, record: str, reason: str, before_due: bool) -> Erased:
    from clew.audit.evidence.collect import About
    from clew.audit.retention import erase_when_allowed
    from clew.cli.applying import operator_context
    from clew.cli.evidence import record_id

    async with _opened(given) as opened:
        async with opened.database.read() as connection:
            about = About(entity, await record_id(connection, opened.tables, entity, record))
            today = (await connection.now()).date()
        asked = opened.database, opened.tables, operator_context(), opened.release, about, reason, today
        return await erase_when_allowed(*asked, before_due=before_due)


@common
def place(
    given: Situation,
    entity: Entity,
    record: Record,
    reason: Reason,
) -> None:
    asyncio.run(_hold(given, entity, record, reason, True))
    given.terminal.say("The record is on legal hold.", "该记录已处于法律保全中。")
    given.terminal.emit(ok=True, hold=True)


@common
def lift(
    given: Situation,
    entity: Entity,
    record: Record,
    reason: Reason,
) -> None:
    asyncio.run(_hold(given, entity, record, reason, False))
    given.terminal.say("The hold is lifted.", "法律保全已解除。")
    given.terminal.emit(ok=True, hold=False)


async def _hold(given: Situation, entity: str, record: str, reason: str, on: bool) -> None:
    """A hold is a change of the record like any other: its version, its leaf, its reason."""
    import sqlalchemy as sa

    from clew.cli.evidence import record_id
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    try:
        runtime = host.current
        async with host.database.read() as connection:
            found = await record_id(connection, runtime.tables, entity, record)
            table = runtime.tables.current(entity)
            version = await connection.fetch_value(sa.select(table.c.row_version).where(table.c.id == found))
        call = runtime.operator_call(given.terminal.locale, reason)
        await runtime.commands.update(call, entity, found, version, {"legal_hold": on})
    finally:
        await host.close()


def _json(each: Due) -> dict[str, Any]:
    return {
        "entity": each.entity,
        "id": each.record_id,
        "since": each.since,
        "over_since": each.ended,
        "basis": each.basis,
        "held": each.held,
    }
