"""What `clew audit verify` tells of lawful erasures: no fault, but whoever verifies must know what is gone, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from clew.cli.options import Situation

if TYPE_CHECKING:
    from uuid import UUID

    from clew.audit.erasures import Erasure
    from clew.kernel.text import Bilingual
    from clew.storage.engine import Connection

SHOWN = 50


async def names_of(connection: Connection, found: Sequence[Erasure]) -> dict[UUID, Bilingual]:
    """Who erased: by printed name."""
    import sqlalchemy as sa

    from clew.audit.evidence.page import NOBODY
    from clew.kernel.text import Bilingual
    from clew.storage import identity_tables
    from clew.storage.dialects import any_of

    account = identity_tables.account
    query = sa.select(account.c.id, account.c.name).where(any_of(account.c.id, "ids"))
    rows = await connection.fetch(query, {"ids": sorted({each.actor for each in found})})
    nobody = {each.actor: NOBODY[str(each.actor)] for each in found if str(each.actor) in NOBODY}
    return nobody | {id: Bilingual(name, name) for id, name in rows}


def say_erased(given: Situation, found: Sequence[Erasure], names: Mapping[UUID, Bilingual]) -> None:
    terminal = given.terminal
    for each in found[:SHOWN]:
        who = terminal.text(names[each.actor]) if each.actor in names else str(each.actor)
        what = f"{each.entity} {each.record_id} · {', '.join(sorted(each.fields))}"
        when = each.at.isoformat(sep=" ", timespec="seconds")
        why = each.reason or "—"
        terminal.say(
            f"  Erased, not altered: {what} · {when} · {who}: {why}",
            f"  依程序清除,并非篡改:{what} · {when} · {who}:{why}",
        )
    if len(found) > SHOWN:
        terminal.say(
            f"  … and {len(found) - SHOWN} more (--json lists all).",
            f"  ……另有 {len(found) - SHOWN} 项(--json 列出全部)。",
        )


def erased_json(found: Sequence[Erasure]) -> list[dict[str, Any]]:
    return [each.to_json() for each in found]
