"""Filling an empty database with the project's demonstration records: `clew seed`, `clew demo`, and tests.

The records come from the project's own plugin (`clew_seed` in `clew.sdk`); here is what surrounds it: the check that
nothing is there yet, the sample files, and one unit of work for all of it, so that it is done or undone as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from clew.extensions import load_plugins
from clew.kernel.context import Context
from clew.kernel.errors import Conflict, NotFound
from clew.kernel.ids import uuid7
from clew.records.loading import Loader
from clew.runtime import RuntimeHost
from clew.sdk import SeedOrder
from clew.storage import system
from clew.storage.engine import Connection
from clew.storage.promotion.environment import refuse_production
from clew.testing.samples import sample_pdf, sample_png

Progress = Callable[[int, int], None]
"""Told how many records of about how many are made."""


class Size(StrEnum):
    """How much: seconds, a minute, or a million lots."""

    small = "small"
    medium = "medium"
    large = "large"


class AlreadyFilled(Conflict):
    """Demonstration records never mix with those that are there."""

    code = "ALREADY_FILLED"
    en, zh = "This database has records already; nothing was added.", "数据库中已有业务记录,未添加任何数据。"
    hint_en = "Seed an empty database: another --database-url, or remove the embedded one in the .clew folder."
    hint_zh = "请填充空数据库:换一个 --database-url,或删除 .clew 目录中的内嵌数据库。"


class NoSeed(NotFound):
    """No plugin of the project makes demonstration records."""

    code = "NO_SEED"
    en, zh = "No plugin of this project fills a database.", "本项目没有可填充示例数据的插件。"
    hint_en, hint_zh = "How to write one: docs/plugins.md", "编写方法见 docs/plugins.zh.md"


@dataclass(frozen=True, slots=True)
class Seeded:
    """What was made: records per entity."""

    counts: Mapping[str, int]

    @property
    def records(self) -> int:
        return sum(self.counts.values())


def last_day(now: datetime) -> date:
    """The last day of the story. It ends in the early Chinese afternoon (06:00 UTC), and no record may lie in the
    future: whatever touched it would be dated later than it is."""
    return (now - timedelta(hours=6)).date()


async def run_seed(host: RuntimeHost, size: Size, progress: Progress, *, today: date | None = None) -> Seeded:
    """Fill an empty database. Raises AlreadyFilled, NoSeed, BadPlugin; then nothing was written."""
    runtime = host.current
    plugins = load_plugins(host.settings.project)
    if not plugins.hook.clew_seed.get_hookimpls():
        raise NoSeed()
    async with host.database.read() as connection:
        await _refuse_filled(connection)
    files = {
        "pdf": await _keep(host, sample_pdf(), "application/pdf"),
        "image": await _keep(host, sample_png(), "image/png"),
    }
    context = Context(runtime.operator, str(uuid7()), channel="cli")
    # As for a change of the tables: one at a time, without time limits, references checked in bulk.
    async with host.database.migrate() as connection:
        await _refuse_filled(connection)
        for file in files.values():
            await host.blobs.use(connection, file["sha256"])
        loader = Loader(connection, runtime.tables, context, str(runtime.number))
        await loader.begin()
        day = today or last_day(host.clock.now())
        order = SeedOrder(str(size), day, runtime.blueprint, loader, files, progress)
        work = plugins.hook.clew_seed(order=order)
        if work is None:
            raise NoSeed()
        await work
        await loader.finish()
    return Seeded(dict(loader.loaded))


async def _refuse_filled(connection: Connection) -> None:
    """Never on production. Every write leaves a leaf with its version in the trail, so a trail without one is a
    database without records; events, such as a release that goes live, are leaves of version zero."""
    await refuse_production(connection, "clew seed")
    written = sa.select(sa.exists().where(system.leaf.c.row_version > 0))
    if await connection.fetch_value(written):
        raise AlreadyFilled()


async def _keep(host: RuntimeHost, content: bytes, media_type: str) -> Mapping[str, Any]:
    async def stream() -> AsyncIterator[bytes]:
        yield content

    kept = await host.blobs.put(host.database, stream())
    return {"sha256": kept.sha256, "size": kept.size, "media_type": media_type}
