"""Managers, positions and training: whom a step asks by the project's own records, and that nobody is never a skip."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.integration.guarded_case import make_account
from tests.integration.http_case import served
from tests.integration.identity_case import CHEAP
from tests.integration.test_staff_records import DECLARED, House, staffed_project

from clew.identity import accounts
from clew.identity.secrets import Hasher
from clew.process import store
from clew.process.state import State
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio

MORE = """
entity: course
key: [code]
fields:
  code: {type: text, required: true}
---
entity: training
class: record
frozen_from: passed
fields:
  employee: {type: ref, of: employee, required: true}
  course: {type: ref, of: course, required: true}
  expires_on: {type: date}
states: [assigned, passed, expired]
transitions:
  pass: {from: assigned, to: passed}
  expire: {from: passed, to: expired}
---
entity: visit
number: "V-{seq:4}"
fields:
  guest: {type: ref, of: employee}
  course: {type: ref, of: course}
"""
WORKFLOWS = {
    "by_manager": "{manager_of: guest}",
    "by_position": "{position: [PUR-01, PUR-09]}",
    "by_training": "{role: buyer, qualified_for: course}",
}
TODAY = datetime.now(UTC).date()


def project(folder: Path, workflows: Mapping[str, str]) -> Path:
    staffed_project(folder)
    models = folder / "models"
    for number, text in enumerate(MORE.split("---\n")):
        (models / f"more{number}.yaml").write_text(text.lstrip(), encoding="utf-8")
    department = models / "department.yaml"
    head = "  parent: {type: ref, of: department}\n  manager: {type: ref, of: employee}\n"
    department.write_text(department.read_text(encoding="utf-8") + head, encoding="utf-8")
    position = models / "position.yaml"
    begun = position.read_text(encoding="utf-8").replace(
        "      valid_to: {type: date}\n", "      valid_to: {type: date}\n      valid_from: {type: date}\n"
    )
    position.write_text(begun, encoding="utf-8")
    (folder / "workflows").mkdir()
    for name, who in workflows.items():
        text = f"workflow: {name}\nfor: visit\nstarts: [{{event: visit.create}}]\nsteps:\n  look: {{who: {who}}}\n"
        (folder / "workflows" / f"{name}.yaml").write_text(text, encoding="utf-8")
    file = folder / "clew.yaml"
    said = file.read_text(encoding="utf-8")
    assert DECLARED.lstrip() in said
    ways = "manager: [department.manager, department.parent.manager]"
    said = said.replace("site: department.site,", f"site: department.site, {ways},")
    said = said.replace("positions: position", "positions: {entity: position, from: valid_from}")
    said += "  training: {entity: training, to: expires_on, valid: [passed]}\n"
    file.write_text(said, encoding="utf-8")
    return folder


class Visits:
    """A house with the processes above, and what they asked."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def person(self, login: str, *roles: str, **more: Any) -> UUID:
        """An employee with an account."""
        await make_account(self.house.runtime.desk, login, *roles)
        return await self.house.employee(login, **more)

    async def asked(self, workflow: str, **visit: Any) -> tuple[set[str], list[str]]:
        """The logins that a new visit's step asks, and the incidents it has."""
        record = await self.house.create("visit", **visit)
        async with self.house.runtime.database.read() as connection:
            process = await store.live_on(connection, record, workflow)
            assert process is not None
            instance = await store.load(connection, process)
            assert instance is not None
            state: State = instance.state
            logins: Mapping[str, str] = {str(each.id): each.login for each in await accounts.every(connection)}
        people = {logins[person] for task in state.tasks.values() for person in task.candidates}
        assert len(state.tokens) == 1, "whatever was found, it stands where it stood"
        return people, [each.kind for each in state.incidents.values()]


@asynccontextmanager
async def visits(url: str, tmp_path: Path, who: str | Mapping[str, str] = "") -> AsyncIterator[Visits]:
    """`who`: a single process that asks them, or others by name, instead of the three above."""
    workflows = {"alone": who} if isinstance(who, str) and who else who or WORKFLOWS
    assert not isinstance(workflows, str)
    folder = project(tmp_path / "visits", workflows)
    async with served(url, tmp_path / "blobs", folder=folder, project=folder) as house:
        desk = house.host.current.desk
        desk.credentials.hasher = Hasher(CHEAP)
        yield Visits(House(house, await make_account(desk, "boss"), await make_account(desk, "deputy")))


NOBODY = (set[str](), ["nobody"])


async def test_a_manager_is_asked_and_nobody_is_their_own(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path) as made:
        create, site = made.house.create, await made.house.create("site", code="SUZ", name="Suzhou")
        top = await create("department", code="TOP", site=site)
        part = await create("department", code="PUR", site=site, parent=top)
        wang = await made.person("wang", department=top)
        li = await made.person("li", department=part)
        zhao = await made.person("zhao", department=part)
        assert await made.asked("by_manager", guest=zhao) == NOBODY, "a department without a manager"
        await change(made.house, "department", part, manager=li)
        assert await made.asked("by_manager", guest=zhao) == ({"li"}, [])
        assert await made.asked("by_manager", guest=li) == NOBODY
        await change(made.house, "department", top, manager=wang)
        assert await made.asked("by_manager", guest=li) == ({"wang"}, []), "the head of a department has one above"
        assert await made.asked("by_manager") == NOBODY, "no guest, no manager"
        await made.house.move("employee", li, "suspend")
        assert await made.asked("by_manager", guest=zhao) == NOBODY, "whose account is disabled is not asked"
        await change(made.house, "department", part, manager=await made.house.employee("qian"))
        assert await made.asked("by_manager", guest=zhao) == NOBODY, "a manager without an account"


async def test_whoever_is_in_a_position_today(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path) as made:
        day = timedelta(days=1)
        li, zhao, sun, wu = [await made.person(each) for each in ("li", "zhao", "sun", "wu")]
        assert await made.asked("by_position") == NOBODY, "no such position"
        await made.house.create(
            "position",
            code="PUR-01",
            holders=[
                {"employee": li, "valid_from": TODAY - 9 * day, "valid_to": TODAY - 2 * day},
                {"employee": wu, "valid_from": TODAY + 2 * day},
            ],
        )
        assert await made.asked("by_position") == NOBODY, "one has left it, the other is to come"
        holders = [{"employee": each, "valid_from": TODAY - day, "valid_to": TODAY + 2 * day} for each in (zhao, li)]
        await made.house.create("position", code="PUR-09", holders=holders)
        await made.house.create("position", code="PUR-02", holders=[{"employee": sun, "valid_from": TODAY - day}])
        assert await made.asked("by_position") == ({"zhao", "li"}, []), "several hold one position at once"


async def test_only_who_is_trained_today(database: TestDatabase, tmp_path: Path) -> None:
    async with visits(database.url, tmp_path) as made:
        day = timedelta(days=1)
        wanted, other = [await made.house.create("course", code=each) for each in ("A", "B")]

        async def trained(login: str, course: UUID, to: date | None, move: tuple[str, ...] = ("pass",)) -> UUID:
            employee = await made.person(login, "buyer")
            record = await made.house.create("training", employee=employee, course=course, expires_on=to)
            for each in move:
                await made.house.move("training", record, each)
            return record

        await trained("asked", wanted, TODAY + 2 * day, ())
        await trained("past", wanted, TODAY - 2 * day)
        await trained("gone", wanted, None, ("pass", "expire"))
        await trained("elsewhere", other, None)
        await made.person("untrained", "buyer")
        assert await made.asked("by_training", course=wanted) == NOBODY
        assert await made.asked("by_training") == NOBODY, "which training is not known"
        await trained("li", wanted, TODAY + 2 * day)
        await trained("zhao", wanted, None)
        assert await made.asked("by_training", course=wanted) == ({"li", "zhao"}, [])


async def change(house: House, entity: str, record: UUID, **values: Any) -> None:
    await house.runtime.commands.update(house.call(), entity, record, None, values)
