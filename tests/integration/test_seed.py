"""The demonstration seed: it keeps every rule of the pack, its stock adds up, its history and trail are whole."""

from __future__ import annotations

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.http_case import MINI, installed
from tests.integration.pack_world import ROOT, pack

from clew.api.exchange import Caller, Question
from clew.audit.leaf import verify_leaf
from clew.cli.seeding import AlreadyFilled, NoSeed, Seeded, Size, run_seed
from clew.expressions.element_strings import day, read
from clew.extensions import load_plugins
from clew.kernel.scalars import FAR_FUTURE
from clew.records.reconcile import reconcile
from clew.records.survey import violations
from clew.runtime import RuntimeHost, open_runtime
from clew.sdk import Move, SeedOrder
from clew.settings import Settings
from clew.storage import system
from clew.testing.databases import TestDatabase
from clew.testing.samples import sample_pdf

TODAY = date(2026, 11, 22)


@asynccontextmanager
async def seeded(database: TestDatabase, folder: Path) -> AsyncIterator[tuple[RuntimeHost, Seeded]]:
    await (await database.installed(pack())).close()
    host = await open_runtime(Settings(project=ROOT, database_url=database.url, blobs=folder / "blobs"))
    try:
        told: list[tuple[int, int]] = []
        done = await run_seed(host, Size.small, lambda now, total: told.append((now, total)), today=TODAY)
        assert told == sorted(told)
        assert told[-1][0] == done.records
        assert all(0 < now <= total for now, total in told)
        assert abs(told[0][1] - done.records) < done.records * 0.2, "progress is told against a good guess"
        yield host, done
    finally:
        await host.close()


def test_the_group_is_whole(database: TestDatabase, tmp_path: Path) -> None:
    async def run() -> None:
        async with seeded(database, tmp_path) as (host, done):
            told = [each async for each in reconcile(host.database, host.current.tables)]
            assert [each.text().en for each in told[:5]] == [], "the trail tells what the tables hold"
            missing = [
                name for name, known in pack().entities.items() if not done.counts.get(name) and not known.derived
            ]
            assert not missing
            assert done.counts["inventory_balance"] > 100
            await keeps_the_rules(host)
            await labels_say_what_is_in_them(host)
            await nothing_leaves_without_its_shipment(host)
            await stock_adds_up(host)
            await history_is_contiguous(host, done)
            await every_version_has_its_leaf(host)
            await sites_have_calendars(host)
            await structures_are_deep(host)
            await looks_back(host)
            await files_can_be_read(host)
            await numbers_go_on(host)
            with pytest.raises(AlreadyFilled):
                await run_seed(host, Size.small, lambda now, total: None)

    asyncio.run(run())


async def rows(host: RuntimeHost, entity: str, *fields: str) -> list[Sequence[Any]]:
    table = host.current.tables.current(entity)
    async with host.database.read() as connection:
        return await connection.fetch(sa.select(*(table.c[each] for each in fields)))


async def keeps_the_rules(host: RuntimeHost) -> None:
    nobody = {f"user.{name}": None for name in ("login", "name", "site", "department", "employee")}
    lists: dict[str, Any] = {"user.roles": [], "user.sites": []}
    args = {"user.id": UUID(int=7), **nobody, **lists, "now": datetime.now(UTC), "today": TODAY}
    async with host.database.read() as connection:
        found = await violations(connection, host.current.tables, args)
    assert [(each.entity, each.rule, each.count) for each in found if not each.warn] == []


async def labels_say_what_is_in_them(host: RuntimeHost) -> None:
    """Rules over element strings run in memory only, so a load does not meet them."""
    lots = {lot: rest for lot, *rest in await rows(host, "lot", "id", "lot_no", "mfg_on", "exp_on")}
    devices = dict(await rows(host, "udi_device", "id", "di"))
    for entity, number in (("serial_unit", "serial"), ("label_job", None)):
        found = await rows(host, entity, "udi_full", "di", "lot", *([number] if number else []))
        assert len(found) > 5
        for udi, device, lot, *serial in found:
            said = read(udi, TODAY)
            assert not said.faults
            dates = [day(text, TODAY) if (text := said.value(ai)) else None for ai in ("11", "17")]
            assert [said.value("10"), *dates] == lots[lot]
            assert (said.value("01"), said.value("21")) == (devices[device], serial[0] if serial else None)


async def nothing_leaves_without_its_shipment(host: RuntimeHost) -> None:
    moved = await rows(host, "inventory_movement", "type", "doc_entity", "doc_id")
    sent = [(about, doc) for kind, about, doc in moved if kind == "ship"]
    shipments = {each[0] for each in await rows(host, "shipment", "id")}
    assert sent
    assert [doc for about, doc in sent if about != "shipment" or doc not in shipments] == []


async def stock_adds_up(host: RuntimeHost) -> None:
    """Movements, added up here, are what the balances say."""
    sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    what = ("site", "item", "lot", "serial")
    where = ("qty", "from_location", "from_status", "to_location", "to_status")
    for *thing, qty, source, was, target, becomes in await rows(host, "inventory_movement", *what, *where):
        if source:
            sums[*thing, source, was] -= qty
        if target:
            sums[*thing, target, becomes] += qty
    kept = await rows(host, "inventory_balance", *what, "location", "quality_status", "on_hand")
    assert {tuple(key): on_hand for *key, on_hand in kept} == dict(sums)
    assert min(sums.values()) >= 0


async def history_is_contiguous(host: RuntimeHost, done: Seeded) -> None:
    tables = host.current.tables
    for entity, count in done.counts.items():
        history = tables.history(entity)
        wanted = sa.select(history.c.id, history.c.row_version, history.c.tx_from, history.c.tx_to)
        async with host.database.read() as connection:
            versions = await connection.fetch(wanted.order_by(history.c.id, history.c.row_version))
        by_record: dict[UUID, list[Sequence[Any]]] = defaultdict(list)
        for identity, *rest in versions:
            by_record[identity].append(rest)
        newest = dict(await rows(host, entity, "id", "row_version"))
        assert len(newest) == count
        assert newest == {identity: len(each) for identity, each in by_record.items()}
        for each in by_record.values():
            assert [version for version, _, _ in each] == list(range(1, len(each) + 1))
            assert [end for _, _, end in each[:-1]] == [start for _, start, _ in each[1:]]
            assert all(start < end for _, start, end in each)
            assert each[-1][2] == FAR_FUTURE


async def every_version_has_its_leaf(host: RuntimeHost) -> None:
    leaf = system.leaf.c
    async with host.database.read() as connection:
        leaves = await connection.fetch(
            sa.select(
                leaf.record_id, leaf.row_version, leaf.entity, leaf.header, leaf.fields, leaf.digest, leaf.leaf_id
            )
        )
        # One statement, one view of the database: the sealer is at work meanwhile.
        kept = await connection.fetch(
            sa.union_all(
                sa.select(sa.literal("written"), leaf.leaf_id),
                sa.select(sa.literal("waiting or sealed"), system.leaf_pending.c.leaf_id),
                sa.select(sa.literal("waiting or sealed"), system.audit_log.c.leaf_id),
            )
        )
        versions = 0
        for entity in pack().entities:
            history = host.current.tables.history(entity)
            versions += await connection.fetch_value(sa.select(sa.func.count()).select_from(history))
    places = {name: sorted(each for kind, each in kept if kind == name) for name in ("written", "waiting or sealed")}
    assert places["waiting or sealed"] == places["written"], "each leaf waits or is sealed, once"
    written = [(record, version) for record, version, *_ in leaves if version]
    assert len(set(written)) == len(written) == versions
    assert [each[:3] for each in leaves if verify_leaf(*each[3:6])] == []


async def sites_have_calendars(host: RuntimeHost) -> None:
    sites = await rows(host, "site", "country", "tz", "calendar")
    assert sorted((country, zone) for country, zone, _ in sites) == [
        ("CN", "Asia/Shanghai"), ("CN", "Asia/Shanghai"), ("DE", "Europe/Berlin"),
    ]  # fmt: skip
    assert len({calendar for _, _, calendar in sites}) == 3
    exceptions = await rows(host, "working_calendar_exceptions", "owner", "working")
    assert {calendar for calendar, _ in exceptions} == {calendar for _, _, calendar in sites}
    assert {working for _, working in exceptions} == {True, False}


async def structures_are_deep(host: RuntimeHost) -> None:
    """A finished device explodes into a semi-finished one, which explodes into bought parts."""
    structure: dict[UUID, list[UUID]] = defaultdict(list)
    owners = dict(await rows(host, "bom", "id", "item"))
    for bom, component in await rows(host, "bom_line", "owner", "component"):
        structure[owners[bom]].append(component)

    def depth(item: UUID) -> int:
        return 1 + max((depth(each) for each in structure[item]), default=0) if item in structure else 1

    items = await rows(host, "item", "id", "type", "family")
    finished = [identity for identity, kind, family in items if kind == "finished" and family != "TRY"]
    assert finished
    assert {depth(item) for item in finished} == {3}


async def looks_back(host: RuntimeHost) -> None:
    """A lot that is released now was in quarantine before its release."""
    history = host.current.tables.history("lot")
    released = sa.select(history.c.id, history.c.tx_from).where(
        history.c.state == "released", history.c.row_version > 1, history.c.tx_to == FAR_FUTURE
    )
    async with host.database.read() as connection:
        lot, at = (await connection.fetch(released.order_by(history.c.id).limit(1)))[0]
    query = "query($id: ID!, $t: DateTime) { now: lot(id: $id) { state } then: lot(id: $id, asOf: $t) { state } }"
    before = (at - timedelta(microseconds=1)).isoformat()
    call = host.current.operator_call("en")
    answer = await host.current.graphql.execute(
        Question(query, variables={"id": str(lot), "t": before}), Caller(call.context, call.decision)
    )
    data = json.loads(answer.body)["data"]
    assert (data["now"]["state"].lower(), data["then"]["state"].lower()) == ("released", "quarantine")


async def files_can_be_read(host: RuntimeHost) -> None:
    [file, *_] = (await rows(host, "document_revision", "file"))[0][0]
    content = b"".join([chunk async for chunk in host.blobs.read(file["sha256"])])
    assert content == sample_pdf()
    assert len(content) == file["size"]
    assert await host.blobs.sweep(host.database, grace=timedelta(0)) == 0


async def numbers_go_on(host: RuntimeHost) -> None:
    """A record made the ordinary way takes the next number, not one that the seed has used."""
    taken = {number for (number,) in await rows(host, "nonconformance", "number")}
    fields = ("site", "item", "defect", "found_by")
    site, item, defect, finder = (await rows(host, "nonconformance", *fields))[0]
    [lot] = [identity for identity, of in await rows(host, "lot", "id", "item") if of == item][:1]
    given = {
        "site": site, "source": "FQC", "found_at": datetime.now(UTC), "found_by": finder, "item": item, "lots": [lot],
        "qty": Decimal(1), "description": "封口处有气泡", "defect": defect, "severity": "minor",
        "fails_registered_requirement": False,
    }  # fmt: skip
    call = host.current.operator_call("en")
    outcomes = [await host.current.commands.create(call, "nonconformance", given) for _ in range(3)]
    fresh = {number for (number,) in await rows(host, "nonconformance", "number")} - taken
    assert len(outcomes) == len(fresh) == 3
    prefix = {re.sub(r"\d{6}$", "", number) for number in fresh}
    assert len(prefix) == 1
    assert min(fresh) > max((each for each in taken if each.startswith(tuple(prefix))), default="")


class Recorded:
    """Takes the records of a seed and keeps them as they were given."""

    def __init__(self) -> None:
        self.waiting = 0
        self.loaded: dict[str, int] = defaultdict(int)
        self.given: list[Any] = []

    def add(self, entity: str, values: Mapping[str, Any], *, at: datetime, moves: Sequence[Move] = ()) -> UUID:
        self.loaded[entity] += 1
        self.given.append((entity, dict(values), at, tuple(moves)))
        identity: UUID = values["id"]
        return identity

    async def flush(self) -> None:
        return None


def told(size: str, today: date) -> list[Any]:
    recorded = Recorded()
    file = {"sha256": "0" * 64, "size": 1, "media_type": "application/pdf"}
    order = SeedOrder(size, today, pack(), recorded, {"pdf": file, "image": file}, lambda now, total: None)

    async def run() -> None:
        await load_plugins(ROOT).hook.clew_seed(order=order)

    asyncio.run(run())
    return recorded.given


def test_the_same_day_and_size_give_the_same_records() -> None:
    first = told("small", TODAY)
    assert first == told("small", TODAY)
    later = told("small", TODAY + timedelta(days=1))
    assert len(later) == len(first)
    assert later != first
    identities = [values["id"] for _, values, _, _ in first]
    assert len(set(identities)) == len(identities)
    assert all(at.date() <= TODAY and all(move.at.date() <= TODAY for move in moves) for _, _, at, moves in first)


def test_a_failed_seed_leaves_nothing(database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step fails: not one record stays."""
    from clew.records.loading import Loader

    async def run() -> None:
        await (await database.installed(pack())).close()
        host = await open_runtime(Settings(project=ROOT, database_url=database.url, blobs=tmp_path))
        try:

            async def fail(loader: Loader) -> None:
                raise RuntimeError("the power went")

            monkeypatch.setattr(Loader, "finish", fail)
            with pytest.raises(RuntimeError, match="the power went"):
                await run_seed(host, Size.small, lambda now, total: None, today=TODAY)
            for entity in ("site", "lot", "inventory_balance"):
                assert await rows(host, entity, "id") == []
            async with host.database.read() as connection:
                assert not await connection.fetch_value(sa.select(sa.exists().select_from(system.leaf)))
        finally:
            await host.close()

    asyncio.run(run())


def test_a_project_without_a_seed_says_so(database: TestDatabase, tmp_path: Path) -> None:
    async def run() -> None:
        await installed(database.url)
        host = await open_runtime(Settings(project=MINI, database_url=database.url, blobs=tmp_path))
        try:
            with pytest.raises(NoSeed):
                await run_seed(host, Size.small, lambda now, total: None)
        finally:
            await host.close()

    asyncio.run(run())
