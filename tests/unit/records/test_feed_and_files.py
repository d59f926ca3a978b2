"""What must not hang or swell: a feed whose database breaks, a workbook that unpacks without end."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path
from typing import Any

import pytest

from clew.kernel.clock import SystemClock
from clew.kernel.errors import Unavailable
from clew.records.errors import BadImport
from clew.records.feed import Feed
from clew.records.files import MAX_UNPACKED, read_sheets


class BrokenDatabase:
    """Answers nothing."""

    dialect = "sqlite"

    def read(self) -> Any:
        raise RuntimeError("gone")


@pytest.mark.anyio
async def test_listeners_of_a_broken_feed_are_told() -> None:
    feed = Feed(BrokenDatabase(), SystemClock())  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        async with asyncio.timeout(5), feed.listen("lot"):
            raise AssertionError("nobody may listen to a broken feed")


def test_a_workbook_that_unpacks_too_large_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "lots.xlsx"
    with (
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed,
        packed.open("xl/big.xml", "w") as big,
    ):
        for _ in range(MAX_UNPACKED // 2**20 + 1):
            big.write(bytes(2**20))
    assert bomb.stat().st_size < MAX_UNPACKED // 50
    with pytest.raises(BadImport, match="CSV"):
        read_sheets(bomb)
