"""Comments on an instance: for who may see it; a mention reaches only who may see it too; kept with their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import ORIGIN, make_account, sign_in
from tests.integration.process_world import Works, small_works
from tests.integration.test_http_files import PNG
from tests.integration.test_process_graphql import Door
from tests.integration.test_process_people import visits
from tests.integration.uploaded_file import A_FILE

from clew.access.deciding import Deciding
from clew.access.decision import Decision
from clew.api.exchange import Caller, Question
from clew.api.process_comments import ProcessComments
from clew.kernel.context import Context
from clew.process.comments import Said
from clew.storage import process_tables
from clew.storage.engine import Connection
from clew.storage.identity_tables import account
from clew.storage.system import leaf
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

COMMENT = """mutation($p: ID!, $t: String!, $f: [FileInput!], $k: String) {
  commentOnProcess(process: $p, text: $t, files: $f, idempotencyKey: $k) { told notTold replayed
    process { timeline { what actor comment mentions files { name sha256 } } } } }"""
FILE = {name: A_FILE[name] for name in ("name", "sha256")}
NOTICES = "{ notices(unread: true) { about text } }"
ROLES = """\
role: clerk
label: {en: Clerk}
may: {case: {read: always, create: always}, part: {read: always}}
---
role: x
label: {en: Other}
may: {case: {read: serious, create: always}, part: {read: always}}
---
role: boss
label: {en: Boss}
may: {case: {read: always}}
"""


class Room(Door):
    """The API for people who see different things: `xo` only what is serious."""

    def __init__(self, made: Works) -> None:
        self.deciding = Deciding(made.plant.blueprint, UUID(int=9))
        super().__init__(made, (ProcessComments(made.processes, lambda given: self.may(given.person.login)),))

    def may(self, login: str) -> Decision:
        return self.deciding(Context(self.made.people[login], "req"))

    async def ask(self, login: str, document: str, **variables: Any) -> dict[str, Any]:
        caller = Caller(self.made.call(login).context, self.may(login))
        answer = await self.engine.execute(Question(document, variables=variables), caller)
        found: dict[str, Any] = json.loads(answer.body)
        return found


@pytest.fixture
async def room(database: TestDatabase) -> Room:
    people = {"clerk": ["cat", "cy"], "x": ["xo"]}
    steps = "  look: {who: clerk}\n"
    made = await small_works(await database.open(), steps, people=people, files={"permissions/r.yaml": ROLES})

    async def known(connection: Connection) -> None:
        for login, person in made.people.items():
            now = await connection.now()
            row = {"id": person.id, "login": login, "name": login, "kind": "person", "state": "active", "epoch": 0}
            await connection.execute(sa.insert(account).values(**row, facts={}, created_at=now))

    await made.plant.database.run_write(known)
    return Room(made)


async def test_comments_stand_in_the_timeline_and_the_trail(room: Room) -> None:
    process = str(await room.made.a_case("cat"))
    said = {"p": process, "t": "@cy 请看,@xo、@nobody 也看", "f": [FILE], "k": "once"}
    first = await room.do("cat", COMMENT, **said)
    assert (first["told"], first["notTold"]) == (["cy"], ["xo", "nobody"]), "xo may not see the case"
    assert (await room.do("cat", COMMENT, **said))["replayed"] is True
    (entry,) = [each for each in first["process"]["timeline"] if each["what"] == "comment"]
    assert entry["mentions"] == ["cy"]
    assert [each["sha256"] for each in entry["files"]] == [A_FILE["sha256"]]
    assert entry["actor"] == str(room.made.people["cat"].id)
    mentions = [each for each in await room.do("cy", NOTICES) if each["about"] == "mention"]
    assert mentions == [{"about": "mention", "text": said["t"]}], "told once"
    assert await room.do("xo", NOTICES) == []
    events = [each["action"] for each in await room.made.plant.rows(leaf)]
    assert events.count("process:comment") == 1


async def test_only_who_sees_the_instance_comments(room: Room) -> None:
    process = str(await room.made.a_case("cat"))
    assert await room.code("xo", COMMENT, p=process, t="x") == "NO_SUCH_PROCESS"
    missing = "0190c000-0000-7000-8000-00000000ffff"
    assert await room.code("cat", COMMENT, p=missing, t="x") == "NO_SUCH_PROCESS"
    assert await room.code("cat", COMMENT, p=process, t="  ") == "BAD_INPUT"
    unknown = [{"name": "a.pdf", "sha256": "0" * 64}]
    assert await room.code("cat", COMMENT, p=process, t="x", f=unknown) == "BLOB_MISSING"
    found = await room.do("cat", "query($p: ID!) { processInstance(id: $p) { timeline { what } } }", p=process)
    assert found["timeline"] == [], "what is refused leaves nothing"


async def test_the_file_of_a_comment_comes_out_to_who_may_look_at_the_process(
    database: TestDatabase, tmp_path: Path
) -> None:
    async with visits(database.url, tmp_path, "{role: buyer}") as made:
        served = made.house.served
        li = await make_account(made.house.runtime.desk, "li", "buyer")
        await make_account(made.house.runtime.desk, "zhao", "reader")
        await made.house.create("visit")
        async with made.house.runtime.database.read() as connection:
            process = await connection.fetch_value(sa.select(process_tables.process.c.id))
        assert (await sign_in(served.client, "li")).status_code in (200, 204)
        headers = {**ORIGIN, "x-clew-csrf": served.client.cookies.get("clew_csrf") or ""}
        given = {**headers, "content-type": "application/octet-stream", "x-clew-file-name": "p.png"}
        stored = (await served.client.post("/files", content=PNG, headers=given)).json()
        address = f"/files/{stored['sha256']}?process={process}"
        assert (await served.client.get(address)).status_code == 404, "no comment brings it yet"
        file = Said("see this", ({"name": "照片.png", "sha256": stored["sha256"]},))
        await made.house.runtime.processes.comment(made.house.call(li), process, file)
        answer = await served.client.get(address)
        assert (answer.status_code, answer.content) == (200, PNG)
        assert answer.headers["content-disposition"].startswith("inline; filename*=UTF-8''%E7%85%A7")
        for other in (f"/files/{'0' * 64}?process={process}", f"/files/{stored['sha256']}?process={li.id}",
                      f"/files/{stored['sha256']}?process=x"):  # fmt: skip
            assert (await served.client.get(other)).status_code == 404, other
        served.client.cookies.clear()
        assert (await served.client.get(address)).status_code == 401
        assert (await sign_in(served.client, "zhao")).status_code in (200, 204)
        assert (await served.client.get(address)).status_code == 404, "who may not look at it is told of no file"
