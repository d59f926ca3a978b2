"""`clew audit signatures`: whether every electronic signature still agrees with all that is stored."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import typer

from clew.cli.options import Situation, common
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.records.signing.verify import Broken

SHOWN = 50


def register(group: typer.Typer) -> None:
    group.command("signatures", help=t("Verify every electronic signature.", "核验全部电子签名。"))(signatures)


@common
def signatures(given: Situation) -> None:
    count, broken, erased = asyncio.run(_verify(given))
    terminal = given.terminal
    for each in broken[:SHOWN]:
        of = each.signature
        why = "; ".join(each.problems)
        said = f"{of.entity} {of.record_id} v{of.row_version} {of.meaning} {of.printed_name}: {why}"
        terminal.say(f"✗ {said}", f"✗ {said}")
    if not broken:
        terminal.say(f"✓ {count} signatures hold.", f"✓ {count} 个签名全部有效。")
    else:
        terminal.say(f"{len(broken)} of {count} do not hold.", f"{count} 个签名中有 {len(broken)} 个不再有效。")
    if erased:
        terminal.say(
            f"  Under {erased} of them personal values were erased since; the signed bytes keep them.",
            f"  其中 {erased} 个签名所签的个人信息已依程序清除;所签内容仍予保留。",
        )
    terminal.emit(
        ok=not broken,
        signatures=count,
        erased=erased,
        broken=[
            {
                "signature": str(each.signature.signature_id),
                "entity": each.signature.entity,
                "record": str(each.signature.record_id),
                "row_version": each.signature.row_version,
                "problems": list(each.problems),
            }
            for each in broken
        ],
    )
    if broken:
        raise typer.Exit(1)


async def _verify(given: Situation) -> tuple[int, list[Broken], int]:
    import sqlalchemy as sa

    from clew.records.signing.verify import Verifier
    from clew.runtime import open_runtime
    from clew.storage import system

    host = await open_runtime(given.settings)
    try:
        verifier = Verifier(host.current.commands.engine, host.blobs)
        async with host.database.read() as connection:
            count = await connection.fetch_value(sa.select(sa.func.count()).select_from(system.signature))
        judged = [each async for each in verifier.judged(host.database)]
        return int(count), [each for each in judged if each.problems], sum(each.erased is not None for each in judged)
    finally:
        await host.close()
