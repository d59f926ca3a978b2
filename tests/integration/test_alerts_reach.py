"""A standing alert always reaches somebody: whoever answers for the data where those it is for are nobody."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import make_account
from tests.integration.http_case import served
from tests.integration.identity_case import CHEAP
from tests.integration.test_process_people import project
from tests.integration.test_staff_records import House

from clew.identity import accounts
from clew.identity.secrets import Hasher
from clew.process.alerts import Alerts
from clew.storage import process_tables
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio

ALERT = """\
alert: unguided
label: {zh: 无课程, en: No course}
for: visit
when: "course == null"
tell: {person: guest}
"""


@asynccontextmanager
async def alerting(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    folder = project(tmp_path / "visits", {})
    visit = next(each for each in (folder / "models").iterdir() if "entity: visit" in each.read_text("utf-8"))
    visit.write_text(visit.read_text("utf-8").replace("entity: visit\n", "entity: visit\nsteward: buyer\n"), "utf-8")
    (folder / "alerts").mkdir()
    (folder / "alerts" / "a.yaml").write_text(ALERT, encoding="utf-8")

    async def nothing(*_: Any) -> int:
        return 0

    for name in ("sweep", "drain"):
        monkeypatch.setattr(f"clew.runtime.host.Alerts.{name}", nothing)
    async with served(url, tmp_path / "blobs", folder=folder, project=folder) as house:
        desk = house.host.current.desk
        desk.credentials.hasher = Hasher(CHEAP)
        yield House(house, await make_account(desk, "boss"), await make_account(desk, "deputy"))


async def raised(house: House) -> list[tuple[str, set[str]]]:
    """Of each alert that stands whom it has reached, the oldest first: as what, and their logins."""
    alert, notice = process_tables.standing_alert, process_tables.notice
    await Alerts(house.runtime.processes).look(house.runtime.blueprint.alerts["unguided"])
    async with house.runtime.database.read() as connection:
        names = {each.id: each.login for each in await accounts.every(connection)}
        told = [tuple(row) for row in await connection.fetch(sa.select(notice.c.process, notice.c.person))]
        rows = await connection.fetch(sa.select(alert.c.id, alert.c.told).order_by(alert.c.at, alert.c.id))
    return [(whose, {names[person] for process, person in told if process == number}) for number, whose in rows]


async def test_an_alert_for_nobody_reaches_whoever_answers(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with alerting(database.url, tmp_path, monkeypatch) as house:
        desk = house.runtime.desk
        await house.create("visit")
        with caplog.at_level(logging.WARNING, "clew.process"):
            assert await raised(house) == [("nobody", set())]
        assert "reaches none of those it is for: told nobody" in caplog.text
        await make_account(desk, "root", "sys_admin")
        assert await raised(house) == [("administrators", {"root"})], "as soon as there is anybody"
        assert await raised(house) == [("administrators", {"root"})], "once"
        await make_account(desk, "li", "buyer")
        await house.create("visit")
        with caplog.at_level(logging.WARNING, "clew.process"):
            assert (await raised(house))[1:] == [("steward", {"li"})]
        notices = process_tables.notice
        async with house.runtime.database.read() as connection:
            query = sa.select(notices.c.en, notices.c.zh).order_by(notices.c.at.desc(), notices.c.id.desc())
            said = await connection.fetch_one(query.limit(1))
        assert said is not None
        assert "(nobody it is for is there, so you are told)" in said[0]
        assert "应通知的人无人在任" in said[1]
        await make_account(desk, "wu", "reader")
        await house.create("visit", guest=await house.employee("wu"))
        assert (await raised(house))[2:] == [("addressees", {"wu"})]
