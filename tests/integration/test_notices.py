"""Notices by further channels of a project: after the commit, once each, whatever one of them does."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.integration.process_world import Works, small_works

from clew.extensions import BadPlugin, load_channels
from clew.kernel.errors import ClewError
from clew.process import words
from clew.process.errors import UrgedAlready
from clew.records.notices import SEND, Post
from clew.sdk import Message
from clew.storage.engine import Connection
from clew.storage.identity_tables import account
from clew.storage.system import job
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

PROJECT = """\
project: small
channels:
  mail: {plugin: mailer}
  pager: {plugin: mailer, about: [urge, alert]}
"""
STEPS = '  look: {who: clerk, output: [title], exit: {when: "title != null"}}\n'


async def works(database: TestDatabase) -> Works:
    people = {"clerk": ["ann", "bo", "gone"]}
    made = await small_works(await database.open(), STEPS, "", people, {"clew.yaml": PROJECT})

    async def known(connection: Connection) -> None:
        for login, person in made.people.items():
            state = "disabled" if login == "gone" else "active"
            row = {"id": person.id, "login": login, "name": login, "kind": "person", "state": state, "epoch": 0}
            await connection.execute(sa.insert(account).values(**row, facts={}, created_at=await connection.now()))

    await made.plant.database.run_write(known)
    return made


async def states(made: Works) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in await made.plant.rows(job):
        if each["kind"] == SEND:
            found[each["state"]] = found.get(each["state"], 0) + 1
    return found


async def test_each_goes_once_and_one_that_cannot_be_sent_stops_no_other(database: TestDatabase) -> None:
    made = await works(database)
    sent: list[Message] = []
    broken = True

    async def mail(message: Message) -> None:
        if broken and message.to.login == "ann":
            raise OSError("no route")
        sent.append(message)

    post = Post(made.plant.database, {"mail": mail})
    await made.a_case("ann")
    assert await post.drain() == 1, "whoever is let in no more is told nothing"
    (message,) = sent
    assert (message.to.login, message.about, message.step, message.to.employee) == ("bo", "task", "look", None)
    assert await states(made) == {"done": 2, "ready": 1}
    assert await post.drain() == 0, "it is tried again later, not at once"
    broken = False
    async with made.plant.database.read() as connection:
        now = await connection.now()
    await made.update(job, run_at=now)
    assert await post.drain() == 1
    assert [each.to.login for each in sent] == ["bo", "ann"]
    assert await states(made) == {"done": 3}


async def test_a_channel_carries_its_kinds_and_nothing_of_what_was_undone(database: TestDatabase) -> None:
    made = await works(database)
    paged: list[str] = []

    async def pager(message: Message) -> None:
        paged.append(f"{message.about} {message.to.login}: {message.text.en}")

    process = await made.a_case("ann")
    post = Post(made.plant.database, {"pager": pager})
    await post.drain()
    assert paged == [], "a task is nothing to page anybody for"
    (task,) = await made.tasks("ann")
    before = len(await made.plant.rows(job))
    with pytest.raises(ClewError):
        await made.processes.decide(made.call("ann"), task["id"], "done")
    assert len(await made.plant.rows(job)) == before
    await made.give("bo", process, lambda actor, at: words.Claim(2, actor, at), ["claim"])
    await made.give("ann", process, lambda actor, at: words.Urge(2, actor, at, "please"), ["urge"])
    assert await post.drain() == 1
    assert paged == ["urge bo: please"]
    with pytest.raises(UrgedAlready):
        await made.give("ann", process, lambda actor, at: words.Urge(2, actor, at, "please!"), ["urge"])
    assert await post.drain() == 0


def test_a_project_is_not_served_without_the_channels_it_names(tmp_path: Path) -> None:
    folder = tmp_path / "plugins" / "mailer"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text('plugin = "mailer"\nmodule = "hooks"\nlabel = {zh = "邮", en = "Mail"}\n')
    (folder / "__init__.py").write_text('"""Mail."""\n')
    (folder / "hooks.py").write_text(
        "from clew.sdk import hookimpl\n\nasync def mail(message):\n    pass\n\n"
        "@hookimpl\ndef clew_channels():\n    return {'mail': mail}\n"
    )
    assert set(load_channels(tmp_path, {"mail": "mailer"})) == {"mail"}
    with pytest.raises(BadPlugin, match="no channel pager"):
        load_channels(tmp_path, {"mail": "mailer", "pager": "mailer"})
    with pytest.raises(BadPlugin, match="not there"):
        load_channels(tmp_path, {"mail": "postman"})
