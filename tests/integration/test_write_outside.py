"""What a write refers to outside the tables: uploaded files, and records of other systems; on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.uploaded_file import A_FILE
from tests.integration.write_journey import Plant, plant

from clew.records import external_ids
from clew.records.errors import Duplicate
from clew.storage.blobs import Blobs
from clew.storage.errors import BlobMissing
from clew.storage.uploads import came
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
async def mini(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened)
    await opened.close()


async def test_a_file_a_record_names_is_kept_for_ever(mini: Plant, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)

    async def put(content: bytes) -> str:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        stored = await blobs.put(mini.database, chunks())
        async with mini.database.write() as connection:
            await came(connection, mini.call.context.person.id, stored, await connection.now())
        return stored.sha256

    kept, given_later, forgotten = [await put(each) for each in (b"kept", b"later", b"forgotten")]
    mini.commands.engine.blobs = blobs
    made = await mini.commands.create(
        mini.call, "item", {"item_no": "F-1", "name": "有图", "drawings": [{"name": "a.pdf", "sha256": kept}]}
    )
    more = [{"name": "a.pdf", "sha256": kept}, {"name": "b.pdf", "sha256": given_later}]
    await mini.commands.update(mini.call, "item", made.id, made.row_version, {"drawings": more})
    await mini.commands.update(mini.why("旧图作废"), "item", made.id, made.row_version + 1, {"drawings": []})
    await blobs.sweep(mini.database, grace=timedelta(0))
    assert [blobs.path(each).exists() for each in (kept, given_later, forgotten)] == [True, True, False]


async def test_a_file_that_was_never_uploaded_is_refused(mini: Plant) -> None:
    missing = {"name": "b.pdf", "sha256": "f" * 64}
    given = {"item_no": "F-2", "name": "缺图", "drawings": [dict(A_FILE), missing]}
    with pytest.raises(BlobMissing) as refused:
        await mini.commands.create(mini.call, "item", given)
    assert refused.value.path == ("input", "drawings", 1, "sha256")
    assert refused.value.message("zh") != refused.value.message("en")
    made = await mini.commands.create(mini.call, "item", {**given, "drawings": [dict(A_FILE)]})
    with pytest.raises(BlobMissing):
        await mini.commands.update(mini.call, "item", made.id, made.row_version, {"drawings": [missing]})
    assert (await mini.current("item"))[made.id]["row_version"] == 1


async def test_a_record_of_another_system_is_known_by_where_it_comes_from(mini: Plant) -> None:
    foreign = replace(mini.call, foreign=True)
    given = {"item_no": "SUP-1", "name": "供应商", "source_system": "erp", "external_id": "100042"}
    made = await mini.commands.upsert(foreign, "item", given)
    assert made.created
    again = await mini.commands.upsert(foreign, "item", {**given, "name": "新名"})
    assert (again.id, again.created, again.row_version) == (made.id, False, 2)
    renamed = await mini.commands.upsert(foreign, "item", {**given, "item_no": "SUP-2"})
    assert (renamed.id, renamed.created) == (made.id, False)
    async with mini.database.read() as connection:
        assert await external_ids.of_record(connection, made.id) == [("erp", "item", "100042")]


async def test_one_record_of_another_system_is_one_record_here(mini: Plant) -> None:
    foreign = replace(mini.call, foreign=True)
    origin = {"source_system": "erp", "external_id": "7"}
    await mini.commands.create(foreign, "item", {"item_no": "A", "name": "甲", **origin})
    with pytest.raises(Duplicate) as refused:
        await mini.commands.create(foreign, "item", {"item_no": "B", "name": "乙", **origin})
    assert refused.value.path == ("input", "external_id")
    known = await mini.commands.create(mini.call, "item", {"item_no": "C", "name": "丙"})
    adopted = await mini.commands.upsert(
        foreign, "item", {"item_no": "C", "name": "丙", "source_system": "erp", "external_id": "8"}
    )
    assert (adopted.id, adopted.created) == (known.id, False)
    async with mini.database.read() as connection:
        assert await external_ids.find(connection, "erp", "item", "8") == ("item", known.id)
