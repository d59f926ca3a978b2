"""Comments on an instance: for who may see it; a mention reaches only who may see it too; kept with their files."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from tests.integration.process_world import Works, small_works
from tests.integration.test_process_graphql import Door
from tests.integration.uploaded_file import A_FILE

from clew.access.deciding import Deciding
from clew.access.decision import Decision
from clew.api.exchange import Caller, Question
from clew.api.process_comments import ProcessComments
from clew.kernel.context import Context
from clew.storage.engine import Connection
from clew.storage.system import account, leaf
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
