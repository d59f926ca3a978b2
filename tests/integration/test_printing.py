"""A record on paper: what its reader may see and nothing else, with its signatures as they are on the screen (F1)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from tests.integration.http_case import served

sys.path.insert(0, str(Path(__file__).parent))
from signing_world import Office, office

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess, Grant
from clew.documents.page import Page
from clew.documents.reading import read
from clew.expressions.check import check
from clew.kernel.errors import NotFound
from clew.metadata.schema import BlueprintSchema
from clew.records.source import Source
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(database: TestDatabase) -> AsyncIterator[Office]:
    opened = await database.open()
    yield await office(opened)
    await opened.close()


async def printed(desk: Office, record: UUID, decision: Decision | None = None, locale: Any = "zh") -> str:
    made = desk.plant
    async with made.database.read() as connection:
        now = await connection.now()
    context = replace(made.call.context, locale=locale, session=None)
    source = Source(made.database, made.blueprint, made.tables, decision or made.decision, context, now)
    return Page(source, 1).html(await read(source, "lot", record))


async def test_signatures_are_printed_and_say_which_version_they_are_for(desk: Office) -> None:
    parent = await desk.lot()
    lot: Any = await desk.lot(supplier_lot="<b>S&1</b>", parents=[str(parent)])
    assert "此记录没有电子签名" in await printed(desk, lot)
    await desk.release(lot)
    [signature] = await desk.signatures()
    page = await printed(desk, lot)
    local, utc = signature.local_time, f"{signature.signed_at:%Y-%m-%d %H:%M:%S} UTC"
    for said in (
        "王工",
        "放行",
        local[:19].replace("T", " ") + " +08:00",
        utc,
        "2 · 当前版本",
        str(signature.signature_id),
    ):
        assert said in page, said
    assert "&lt;b&gt;S&amp;1&lt;/b&gt;" in page
    assert "<b>S" not in page
    assert "10.0000 pcs" in page, "with the unit its item has"
    assert "SHA" in page, "references by their business key"
    assert "属于较早版本" not in page
    assert "2 · 录入后已更改" in page

    await desk.plant.commands.update(desk.plant.why("typing"), "lot", lot, 2, {"supplier_lot": "S-2"})
    page = await printed(desk, lot, locale="en")
    assert "belongs to an earlier version" in page
    assert "this version" not in page
    assert "does not agree" not in page
    history = desk.plant.tables.history("lot")
    async with desk.plant.database.migrate(rows_only=True) as connection:
        await connection.execute(history.update().where(history.c.row_version == 2).values(supplier_lot="X"))
    assert "does not agree with what is stored" in await printed(desk, lot, locale="en")


async def test_secondary_surfaces_print_what_the_reader_may_see(desk: Office) -> None:
    parent, lot = await desk.lot(qty="77.0000"), await desk.lot(supplier_lot="SECRET-LOT", qty="55.5000")
    made = desk.plant
    await made.commands.update(made.why("x"), "lot", lot, 1, {"parents": [str(parent)]})
    schema = BlueprintSchema.of(made.blueprint)
    fields = {name: FieldAccess(ALWAYS, ALWAYS) for name in made.blueprint.entities["lot"].fields}
    fields["supplier_lot"] = FieldAccess()
    fields["qty"] = FieldAccess(Grant(True, (check("state == 'released'", schema, "lot"),)))

    def narrowed(rule: str) -> Decision:
        read_grant = Grant(True, (check(rule, schema, "lot"),))
        return Decision(
            f"narrow {rule}", MappingProxyType({"lot": EntityAccess(read_grant, fields=MappingProxyType(fields))})
        )

    (row,) = [each for each in await made.rows(made.tables.current("lot")) if each["id"] == parent]
    page = await printed(desk, lot, narrowed("qty < 60"))
    label = made.blueprint.entities["lot"].fields["supplier_lot"].label.to("zh") or "supplier_lot"
    for hidden in ("SECRET-LOT", label, "55.5", row["number"], "RAW-1", ">SHA<", "pcs"):
        assert hidden not in page, hidden
    with pytest.raises(NotFound):
        await printed(desk, lot, narrowed("qty > 60"))
    with pytest.raises(NotFound):
        await printed(desk, lot, Decision("nothing", MappingProxyType({})))


async def test_a_page_comes_by_its_own_address(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path) as house:
        commands = house.host.current.commands
        site = await commands.create(house.call(), "site", {"code": "SHA", "name": "上海"})
        png = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
        content = {"content-type": "application/octet-stream", "x-clew-file-name": "p.png"}
        sha256 = (await house.client.post("/files", content=png, headers=content)).json()["sha256"]
        item = await commands.create(house.call(), "item", {"item_no": "A-1", "name": "Item"})
        lot = await commands.create(house.call(), "lot", {"site": str(site.id), "item": str(item.id), "qty": "1.0000"})
        given = {"subject": {"entity": "lot", "id": str(lot.id)}, "lots": [str(lot.id)], "site": str(site.id),
                 "severity": "minor", "evidence": [{"sha256": sha256, "name": "p.png"}],
                 "actions": [{"what": "measure <i>again</i>", "due": "2026-12-01"}]}  # fmt: skip
        case = await commands.create(house.call(), "nonconformance", given)
        for language, words in (("zh", ("轻微", "打印人")), ("en", ("Minor", "Printed"))):
            answer = await house.client.get(f"/print/nonconformance/{case.id}?lang={language}")
            assert answer.status_code == 200
            for said in (*words, sha256, "measure &lt;i&gt;again&lt;/i&gt;", "2026-12-01"):
                assert said in answer.text, said
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        same = {"x-request-id": "the-same-id"}
        for path in ("00000000-0000-7000-8000-0000000000ff", "x", "%2e%2e"):
            answer = await house.client.get(f"/print/nonconformance/{path}", headers=same)
            assert answer.status_code == 404, path
        line = await house.client.get(f"/print/nonconformance_actions/{case.id}", headers=same)
        unknown = await house.client.get(f"/print/nothing/{case.id}", headers=same)
        bodies = {each.text.replace("nonconformance_actions", "nothing") for each in (line, unknown)}
        assert (line.status_code, unknown.status_code, len(bodies)) == (404, 404, 1)
