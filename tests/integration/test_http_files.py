"""Files in and out: nothing escapes its folder, nothing active is shown, nobody reads past their permissions."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.http_case import Served, served

from clew.access.decision import ALWAYS, Decision, FieldAccess
from clew.kernel.ids import uuid7
from clew.records.commands import Call
from clew.storage import system
from clew.storage.engine import Connection
from clew.storage.errors import BlobMissing
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


async def upload(house: Served, content: Any, name: str = "photo.png", **headers: str) -> Any:
    given = {"content-type": "application/octet-stream", "x-clew-file-name": quote(name)}
    given |= {key.replace("_", "-"): value for key, value in headers.items()}
    return await house.client.post("/files", content=content, headers=given)


async def item_with(house: Served, *files: dict[str, str], number: str = "A-1") -> str:
    given = {"item_no": number, "name": "Item", "drawings": list(files)}
    made = await house.host.current.commands.create(house.call(), "item", given)
    return str(made.id)


def address(sha256: str, record: str, field: str = "drawings", entity: str = "item") -> str:
    return f"/files/{sha256}?entity={entity}&id={record}&field={field}"


async def test_a_file_goes_in_and_comes_out(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path) as house:
        stored = await upload(house, PNG, "照片 1.png", content_type="text/html")
        assert stored.status_code == 201
        assert stored.json() == {
            "sha256": hashlib.sha256(PNG).hexdigest(),
            "size": len(PNG),
            "type": "image/png",
            "name": "照片 1.png",
        }
        sha256 = stored.json()["sha256"]
        record = await item_with(house, {"sha256": sha256, "name": "照片 1.png"})
        answer = await house.client.get(address(sha256, record))
        assert (answer.status_code, answer.content) == (200, PNG)
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["content-disposition"].startswith("inline; filename*=UTF-8''%E7%85%A7")
        again = await house.client.get(address(sha256, record), headers={"if-none-match": f'"{sha256}"'})
        assert (again.status_code, again.content) == (304, b"")
        part = await house.client.get(address(sha256, record), headers={"range": "bytes=" + "0-1," * 5000 + "2-3"})
        assert (part.status_code, part.content) == (200, PNG), "ranges are not served"


async def test_file_attacks(tmp_path: Path, new_database: Any) -> None:
    blobs = tmp_path / "blobs"
    async with served(new_database("sqlite").url, blobs, upload_limit=4096) as house:
        for name in ("../../etc/passwd", "a/b.png", "..", "a\\b", "a\0b", "x" * 300):
            assert (await upload(house, PNG, name)).status_code == 400, name
        assert (await upload(house, b"x" * 5000)).status_code == 413
        assert (await upload(house, PNG, content_encoding="gzip")).status_code == 415, "nothing is unpacked"
        assert (await upload(house, PNG, content_type="multipart/form-data; boundary=x")).status_code == 415
        assert (await upload(house, PNG, origin="https://evil.example")).status_code == 403
        kept = [path for path in blobs.rglob("*") if path.is_file()]
        assert not kept, "what was refused left nothing behind"

        sha256 = (await upload(house, SVG, "drawing.svg", content_type="image/svg+xml")).json()["sha256"]
        record = await item_with(house, {"sha256": sha256, "name": "drawing.svg"})
        shown = await house.client.get(address(sha256, record))
        assert shown.headers["content-type"] == "application/octet-stream"
        assert shown.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in shown.headers["content-security-policy"]
        assert shown.headers["x-content-type-options"] == "nosniff"

        for path in ("..%2f..%2fclew.db", "%2e%2e", sha256.upper(), sha256[:-1], "0" * 64):
            assert (await house.client.get(address(path, record))).status_code == 404, path


async def test_uploads_that_nothing_refers_to_have_a_quota(database: TestDatabase, tmp_path: Path) -> None:
    """Counted before a byte is kept, also of many at once; what a record refers to, what failed and what is the same
    content again is not counted."""
    each, most = 6_000, 6
    limits = {"upload_limit": 20_000, "upload_waiting": each * most, "upload_waiting_all": each * (most + 2)}
    async with served(database.url, tmp_path, **limits) as house:

        def content(number: int) -> bytes:
            return number.to_bytes(4, "big") * (each // 4)

        async def codes(*numbers: int) -> Counter[int]:
            answers = await asyncio.gather(*(upload(house, content(number)) for number in numbers))
            return Counter(answer.status_code for answer in answers)

        assert await codes(*range(20)) == {201: most, 429: 20 - most}
        kept = stored_in(tmp_path)
        assert len(kept) == most, "what was refused left nothing behind"
        refused = await upload(house, b"x", accept_language="zh")
        assert refused.json()["errors"][0]["extensions"]["code"] == "UPLOADS_WAITING"
        assert f"{each * most} 字节" in refused.json()["errors"][0]["message"]

        numbers = [int.from_bytes(path.read_bytes()[:4], "big") for path in kept]
        await item_with(house, {"sha256": kept[0].name, "name": "a.png"})
        assert await codes(numbers[1]) == {201: 1}, "the same again takes no more room"
        assert await codes(100) == {201: 1}, "what a record refers to waits no more"
        assert await codes(101) == {429: 1}
        assert (await upload(house, endless(b"x", 1))).status_code == 429, "it might be as long as a file may be"
        await item_with(house, *({"sha256": path.name, "name": path.name} for path in kept[1:5]), number="A-2")
        for _ in range(3):
            assert (await upload(house, b"x" * 30_000)).status_code == 413
            assert (await upload(house, endless(b"x" * 1_000, 30))).status_code == 413
        assert await codes(101, 102, 103, 104) == {201: 4}, "what failed gives its room back"
        assert await codes(105) == {429: 1}

        async def others(connection: Connection) -> None:
            at = await connection.now()
            for age, size in ((timedelta(hours=1), 9_000), (timedelta(seconds=10), each * 2)):
                row = {"id": uuid7(), "account": uuid7(), "sha256": None, "size": size, "at": at - age}
                await connection.execute(sa.insert(system.upload).values(**row))

        await house.host.database.run_write(others)
        await item_with(house, {"sha256": kept[5].name, "name": "c.png"}, number="A-3")
        assert await codes(105) == {201: 1}, "others are at it; who died an hour ago is not"
        await item_with(house, {"sha256": hashlib.sha256(content(105)).hexdigest(), "name": "d.png"}, number="A-4")
        await house.host.database.run_write(others)
        assert await codes(106) == {507: 1}


async def test_a_file_is_attached_by_who_has_uploaded_it(database: TestDatabase, tmp_path: Path) -> None:
    """Whoever only knows a file's SHA-256 does not get at it by attaching it to a record of their own; that it is there
    they are not told either."""
    async with served(database.url, tmp_path) as house:
        commands, mine, numbers = house.host.current.commands, house.call(), iter(range(2, 99))
        other = replace(mine, context=replace(mine.context, person=replace(mine.context.person, id=uuid7())))

        async def attach(call: Call, sha256: str) -> str:
            given = {"item_no": f"A-{next(numbers)}", "name": "Item", "drawings": [{"sha256": sha256, "name": "a.png"}]}
            try:
                await commands.create(call, "item", given)
            except BlobMissing as refused:
                return refused.message("en").replace(sha256, "…")
            return "attached"

        async def sweep() -> None:
            await house.host.blobs.sweep(house.host.database, grace=-timedelta(hours=1))

        swept = (await upload(house, PNG + b"3")).json()["sha256"]
        await sweep()
        kept, waiting = [(await upload(house, PNG + each)).json()["sha256"] for each in (b"1", b"2")]
        record = await item_with(house, {"sha256": kept, "name": "a.png"})
        answers = {await attach(other, each) for each in (kept, waiting, swept, "f" * 64)}
        assert answers == {"There is no uploaded file …."}
        # What stands in the record stays there, whoever changes the rest of it.
        given = {"name": "Item 1", "drawings": [{"sha256": kept, "name": "a.png"}]}
        assert (await commands.update(other, "item", UUID(record), 1, given)).row_version == 2
        assert [await attach(mine, each) for each in (kept, waiting, swept)] == ["attached", "attached", *answers]
        await sweep()
        assert [await attach(mine, kept)] == [*answers], "a day later it is uploaded again, and stored once"
        assert (await upload(house, PNG + b"1")).status_code == 201
        assert await attach(mine, kept) == "attached"


def stored_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and len(path.name) == 64]


async def endless(part: bytes, times: int) -> AsyncIterator[bytes]:
    """A body of no declared length."""
    for _ in range(times):
        yield part


async def test_a_file_is_seen_only_through_a_record_that_shows_it(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path) as house:
        sha256 = (await upload(house, PNG)).json()["sha256"]
        other = (await upload(house, PNG + b"2")).json()["sha256"]
        record = await item_with(house, {"sha256": sha256, "name": "a.png"})
        bodies = set()
        for path in (
            f"/files/{sha256}",
            address(other, record),
            address(sha256, "00000000-0000-7000-8000-0000000000ff"),
            address(sha256, record, field="name"),
            address(sha256, record, entity="nothing"),
            address(sha256, record + "x"),
        ):
            answer = await house.client.get(path, headers={"x-request-id": "the-same-id"})
            assert answer.status_code == 404, path
            bodies.add(answer.text)
        assert len(bodies) == 1, "hidden and missing look alike"

        current = house.host.current
        whole = current.decide(house.call().context)
        access = whole.entities["item"]
        fields = MappingProxyType({**access.fields, "drawings": FieldAccess()})
        narrowed = Decision("no drawings", MappingProxyType({**whole.entities, "item": replace(access, fields=fields)}))
        object.__setattr__(current, "decide", lambda context: narrowed)
        assert (await house.client.get(address(sha256, record))).status_code == 404
        object.__setattr__(current, "decide", lambda context: whole)
        assert whole.on("item").read is ALWAYS
        assert (await house.client.get(address(sha256, record))).status_code == 200
