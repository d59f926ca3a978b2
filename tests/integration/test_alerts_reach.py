"""Alerts always reach somebody: where those they are for are nobody, whoever answers for the data or the process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import make_account
from tests.integration.http_case import served
from tests.integration.identity_case import CHEAP
from tests.integration.test_process_people import Visits, project
from tests.integration.test_process_staffing import Cases
from tests.integration.test_process_time import move_back
from tests.integration.test_staff_records import House

from clew.identity import accounts
from clew.identity.secrets import Hasher
from clew.process import jobs
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


async def nothing(*_: Any) -> int:
    return 0


@asynccontextmanager
async def alerting(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    folder = project(tmp_path / "visits", {})
    visit = next(each for each in (folder / "models").iterdir() if "entity: visit" in each.read_text("utf-8"))
    visit.write_text(visit.read_text("utf-8").replace("entity: visit\n", "entity: visit\nsteward: buyer\n"), "utf-8")
    (folder / "alerts").mkdir()
    (folder / "alerts" / "a.yaml").write_text(ALERT, encoding="utf-8")

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


CLOCKED = """\
workflow: guided
for: visit
owner: qa_manager
starts: [{event: visit.create}]
steps:
  look:
    who: buyer
    owner: clerk
    within: 4 h
    alert: {50%: assignee, 60%: reader, 70%: supervisor, 80%: department_head, late: owner}
  rest: {wait: {for: 4 h}, within: 4 h, alert: {50%: assignee}}
"""


@asynccontextmanager
async def clocked(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cases]:
    folder = project(tmp_path / "visits", {})
    (folder / "workflows" / "w.yaml").write_text(CLOCKED, encoding="utf-8")
    visit = next(each for each in (folder / "models").iterdir() if "entity: visit" in each.read_text("utf-8"))
    visit.write_text(visit.read_text("utf-8") + "  site: {type: ref, of: site}\n", encoding="utf-8")
    (folder / "permissions" / "clerk.yaml").write_text("role: clerk\nlabel: {zh: 文员, en: Clerk}\n", encoding="utf-8")
    monkeypatch.setattr("clew.runtime.host.drain", nothing)
    async with served(url, tmp_path / "blobs", folder=folder, project=folder) as house:
        desk = house.host.current.desk
        desk.credentials.hasher = Hasher(CHEAP)
        yield Cases(Visits(House(house, await make_account(desk, "boss"), await make_account(desk, "deputy"))))


async def rung(cases: Cases, process: UUID) -> dict[str, tuple[str, set[str]]]:
    """Whom each alert of a process was for and has reached by the timeline, and by the notices, when all have rung."""
    await move_back(cases.house.runtime.database, 100)
    await jobs.drain(cases.processes)
    async with cases.house.runtime.database.read() as connection:
        names = {each.id: each.login for each in await accounts.every(connection)}
    notices = [each for each in await cases.lines(process_tables.notice) if each["process"] == process]
    return {
        each["outcome"]: (
            each["comment"],
            {names[told["person"]] for told in notices if f"{told['share']}%" == each["outcome"]},
        )
        for each in await cases.lines(process_tables.process_log)
        if each["process"] == process and each["what"] == "alert"
    }


async def test_an_alert_of_a_process_reaches_somebody_where_nobody_at_the_site_is_what_it_is_for(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with clocked(database.url, tmp_path, monkeypatch) as cases:
        here, there = [await cases.house.create("site", code=each, name=each) for each in ("SUZ", "TUT")]
        for login in ("li", "zhao"):
            await cases.assign(await make_account(cases.house.runtime.desk, login), "buyer", here)

        async def begun() -> UUID:
            return await cases.of(await cases.house.create("visit", site=here), "guided")

        process = await begun()
        with caplog.at_level(logging.WARNING, "clew.process"):
            assert await rung(cases, process) == {
                "50%": ("assignee", {"li", "zhao"}),  # nobody has taken it: whoever may
                "60%": ("reader → nobody", set()),
                "70%": ("supervisor → nobody", set()),
                "80%": ("department_head → nobody", set()),
                "100%": ("owner → nobody", set()),
            }
        assert (
            f"alert to owner at look of process {process} reaches none of those it is for: told nobody" in caplog.text
        )
        await make_account(cases.house.runtime.desk, "root", "sys_admin")
        root = {"root"}
        assert await rung(cases, await begun()) == {
            "50%": ("assignee", {"li", "zhao"}),
            "60%": ("reader → administrators", root),
            "70%": ("supervisor → administrators", root),
            "80%": ("department_head → administrators", root),
            "100%": ("owner → administrators", root),
        }
        said = [each for each in await cases.lines(process_tables.notice) if each["about"] == "alert"][-1]
        assert said["en"] == "nobody it is for is there, so you are told"
        assert said["zh"] == "应通知的人无人在任,改为通知您"
        await cases.assign(await make_account(cases.house.runtime.desk, "wu"), "qa_manager", there)
        assert await rung(cases, await begun()) == {
            "50%": ("assignee", {"li", "zhao"}),
            "60%": ("reader → owner", {"wu"}),
            "70%": ("supervisor → owner", {"wu"}),
            "80%": ("department_head → elsewhere", {"wu"}),
            "100%": ("owner → elsewhere", {"wu"}),
        }
        await cases.assign(await make_account(cases.house.runtime.desk, "qian"), "clerk", here)
        await cases.assign(await make_account(cases.house.runtime.desk, "sun"), "reader", there)
        process = await begun()
        assert await rung(cases, process) == {
            "50%": ("assignee", {"li", "zhao"}),
            "60%": ("reader → elsewhere", {"sun"}),
            "70%": ("supervisor", {"qian"}),
            "80%": ("department_head → elsewhere", {"wu"}),
            "100%": ("owner → elsewhere", {"wu"}),
        }
        await cases.decide(process, "li")
        assert (await rung(cases, process))["50%"] == ("assignee → owner", {"li", "zhao", "wu"}), "a step of nobody"
        texts = {(each["about"], each["share"]): each["en"] for each in await cases.lines(process_tables.notice)}
        assert texts["alert", 70] == "", "whoever it is for is told nothing of this"
