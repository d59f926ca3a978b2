"""What a unit of several commands writes waits until something asks, and is then as if it had been written at once."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from clew.kernel.errors import ClewError
from clew.records import verbs
from clew.records.errors import Duplicate
from clew.records.statements import Statements
from clew.records.unit import Unit
from clew.storage.batch import Batch, Insert
from clew.storage.dialects import compile_statement
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, plant

pytestmark = pytest.mark.anyio


@pytest.fixture
async def mini(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened)
    await opened.close()


def statements(unit: Unit) -> list[str]:
    """What the unit says to its database from here on."""
    said: list[str] = []
    inner: Any = unit.gathering.inner if unit.gathering is not None else unit.connection
    for name in ("fetch", "execute", "execute_many"):
        ask = getattr(inner, name)

        async def heard(statement: Any, *args: Any, ask: Any = ask, name: str = name) -> Any:
            said.append(name)
            return await ask(statement, *args)

        setattr(inner, name, heard)
    return said


@pytest.mark.parametrize("count", [2, 7])
async def test_who_looks_sees_everything(mini: Plant, count: int) -> None:
    """New rows, rows changed again, few of them and more than go into one statement."""
    table = mini.tables.current("lot")
    known = [(await mini.commands.create(mini.call, "lot", a_lot(mini))).id for _ in range(count)]

    async def work(unit: Unit) -> tuple[list[UUID], int, list[Any]]:
        made = [(await verbs.create(unit, "lot", a_lot(mini)))["id"] for _ in range(count)]
        for each in known:
            await verbs.update(unit, "lot", each, None, {"qty": "20"})
        said = statements(unit)
        for each in (*made, *known):
            await verbs.update(unit, "lot", each, None, {"qty": "30"})
            await verbs.transition(unit, "lot", each, "release", None)
        asked = len(said)
        looked = await unit.connection.fetch(sa.select(table.c.qty, table.c.state))
        for each in (*made, *known):
            await verbs.update(unit, "lot", each, None, {"qty": "40"})
        return made, asked, looked

    made, asked, looked = await mini.commands.run(mini.why("in one go"), work)
    assert [(str(qty), state) for qty, state in looked] == [("30.0000", "released")] * 2 * count
    if mini.database.dialect == "postgresql" and count == 2:
        assert asked == 0, "nothing was written before somebody looked"
    for each in made:
        assert [(row["row_version"], str(row["qty"])) for row in await mini.history("lot", each)] == [(1, "40.0000")]
    for each in known:
        first, last = await mini.history("lot", each)
        assert (first["row_version"], last["row_version"], str(last["qty"])) == (1, 2, "40.0000")
        assert first["tx_to"] == last["tx_from"]


async def test_what_waits_may_refer_to_anything_that_waits(mini: Plant) -> None:
    """Whichever came first, and however many there are of one kind."""

    async def work(unit: Unit) -> None:
        items = [(await verbs.create(unit, "item", {"item_no": f"N-{at}", "name": "甲"}))["id"] for at in range(4)]
        for at in range(6):
            await verbs.create(unit, "lot", a_lot(mini, item=items[at % 4]))
        last = (await verbs.create(unit, "item", {"item_no": "N-9", "name": "乙"}))["id"]
        for _ in range(6):
            await verbs.create(unit, "lot", a_lot(mini, item=last))

    await mini.commands.run(mini.why("x"), work)
    made = {each["id"]: each["item_no"] for each in (await mini.current("item")).values()}
    found = sorted(made[each["item"]] for each in (await mini.current("lot")).values())
    assert found == ["N-0", "N-0", "N-1", "N-1", "N-2", "N-3", *["N-9"] * 6]


async def test_a_refusal_that_comes_late_is_said_in_words_and_stays(mini: Plant) -> None:
    """Two of one key: the second is refused when it is written; who swallows that cannot go on."""
    item = {"item_no": "X-1", "name": "甲"}

    async def work(unit: Unit) -> None:
        for _ in range(2):
            await verbs.create(unit, "item", item)
        for _ in range(2):
            with suppress(ClewError):
                await unit.connection.fetch(sa.select(sa.literal(1)))

    with pytest.raises(Duplicate) as refused:
        await mini.commands.run(mini.call, work)
    assert list(refused.value.path) == ["input", "item_no"]
    assert not [each for each in (await mini.current("item")).values() if each["item_no"] == "X-1"]


async def test_a_number_somebody_gave_by_hand_is_left_out(mini: Plant) -> None:
    await mini.commands.create(mini.call, "supplier", {"name": "a"})
    foreign = mini.why("migration", foreign=True)
    await mini.commands.create(foreign, "supplier", {"name": "b", "number": "SUP00002"})

    async def work(unit: Unit) -> UUID:
        return UUID(str((await verbs.create(unit, "supplier", {"name": "c"}))["id"]))

    made = await mini.commands.run(mini.call, work)
    assert (await mini.current("supplier"))[made]["number"] == "SUP00003"


async def test_a_version_that_no_command_began_is_closed_all_the_same(mini: Plant) -> None:
    """A change of the model writes versions of its own moment; the next one ends there too."""
    lot = await mini.commands.create(mini.call, "lot", a_lot(mini))
    history = mini.tables.history("lot")

    async def move(connection: Any) -> None:
        earlier = sa.update(history).where(history.c.id == lot.id)
        (at,) = await connection.fetch_one(sa.select(history.c.tx_from).where(history.c.id == lot.id))
        await connection.execute(earlier.values(tx_from=at - timedelta(seconds=1)))

    await mini.database.run_write(move)

    async def work(unit: Unit) -> None:
        await verbs.update(unit, "lot", lot.id, None, {"qty": "20"})

    await mini.commands.run(mini.why("x"), work)
    first, last = await mini.history("lot", lot.id)
    assert first["tx_to"] == last["tx_from"]


async def test_a_write_does_not_grow_with_the_months(mini: Plant) -> None:
    """Neither statement of the next version, alone or among others, has a part for every partition of the versions."""
    if mini.database.dialect == "sqlite":
        return
    known = Statements(mini.tables).of("lot")
    named = [each.cte(f"part_{at}") for at, each in enumerate(known.parts.update.one())]
    async with mini.database.read() as connection:
        await connection.run_sql("SET plan_cache_mode = force_generic_plan")
        for name, statement in (("alone", known.update.whole), ("among", sa.select(sa.literal(1)).add_cte(*named))):
            compiled = compile_statement(statement, "postgresql")
            await connection.run_sql(f"PREPARE {name} AS {compiled.sql}")
            asked = sa.text(f"EXPLAIN EXECUTE {name}({', '.join('NULL' for _ in compiled.slots)})")
            plan = "\n".join(row[0] for row in await connection.fetch(asked))
            assert "Insert on lot__history" in plan
            assert not re.search(r"lot__history_(p\d|default)", plan.replace("lot__history_pkey", "")), plan


async def test_no_row_travels_with_more_than_its_table_takes(mini: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """New rows go as JSON, which would take whatever else a row says: leaves and events would go twice."""
    sent: dict[str, int] = {}
    together = Batch._together

    async def looked_at(self: Batch, connection: Any, rows: Any) -> Any:
        for part, given in rows.items():
            for row in given:
                assert not isinstance(part, Insert) or set(row) == set(part.columns), part.table.name
                sent[part.table.name] = sent.get(part.table.name, 0) + 1
        return await together(self, connection, rows)

    monkeypatch.setattr(Batch, "_together", looked_at)

    async def work(unit: Unit) -> tuple[UUID, int, list[Any]]:
        made = await verbs.create(unit, "lot", a_lot(mini))
        other = await verbs.create(unit, "lot", a_lot(mini))
        await verbs.transition(unit, "lot", made["id"], "release", None)
        return made["id"], other["row_version"], []

    await mini.commands.run(mini.why("two at once"), work)
    if mini.database.dialect == "postgresql":
        assert sent["clew_audit_leaf"] == sent["clew_audit_pending"] > 1
        assert sent["clew_outbox"] == sent["clew_outbox_pending"] > 1
    else:
        assert not sent


async def test_neighbours_move_on_together(mini: Plant) -> None:
    """Records of the same age stand on one page of every index; moving several at once makes none begin again."""
    if mini.database.dialect == "sqlite":
        return  # one unit at a time writes there
    known = [(await mini.commands.create(mini.call, "lot", a_lot(mini))).id for _ in range(8)]
    begun: list[UUID] = []
    all_hold = asyncio.Event()

    async def move(lot: UUID) -> None:
        async def work(unit: Unit) -> None:
            begun.append(lot)
            await unit.lock(mini.blueprint.entities["lot"], lot)
            if len(begun) == len(known):
                all_hold.set()
            await all_hold.wait()
            await verbs.transition(unit, "lot", lot, "release", None)

        await mini.commands.run(mini.why("together"), work)

    await asyncio.gather(*map(move, known))
    assert sorted(begun) == sorted(known), "each was done at its first attempt"
