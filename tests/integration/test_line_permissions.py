"""Lines are permitted as their owner, unless a role says something of the lines themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from read_world import MINI
from write_journey import Plant, context, plant

from clew.access.deciding import Deciding
from clew.access.loading import load_bundle
from clew.kernel.context import Person, Scope
from clew.kernel.errors import ClewError
from clew.kernel.ids import uuid7
from clew.metadata.load import load_folder
from clew.records.commands import Call
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

POLICIES = """\
role: plain
label: {zh: 普通, en: Plain}
sites: own
may:
  nonconformance: {read: always, update: "severity == 'minor'"}
---
role: narrow
label: {zh: 窄, en: Narrow}
may:
  nonconformance: {read: always, update: always}
  nonconformance_actions: {read: always, hide: [done]}
---
role: partial
label: {zh: 部分, en: Partial}
may:
  nonconformance: {read: always, update: always}
  nonconformance_actions: {read: "done == true"}
---
role: headless
label: {zh: 无明细, en: Headless}
may:
  nonconformance: {read: always, update: always, hide: [actions]}
"""
LINE = "nonconformance_actions"


class Scene:
    """A nonconformance with two actions, one of them done, and people with different roles."""

    def __init__(self, made: Plant, record: UUID) -> None:
        self.made, self.record = made, record
        self.deciding = Deciding(made.blueprint, uuid7())

    def call(self, *roles: str) -> Call:
        site = self.made.ids["SHA"]
        who = Person(uuid7(), "p", "P", roles, (site,), site, scopes=dict.fromkeys(roles, Scope((site,), None)))
        return replace(self.made.call, context=context(who), decision=self.deciding(context(who)), reason="because")

    async def write(self, given: dict[str, Any], *roles: str) -> str:
        """`ok`, or the code it is refused with."""
        version = (await self.made.current("nonconformance"))[self.record]["row_version"]
        try:
            await self.made.commands.update(self.call(*roles), "nonconformance", self.record, version, given)
        except ClewError as error:
            return error.code
        return "ok"

    async def lines(self) -> dict[str, UUID]:
        return {row["what"]: row["id"] for row in (await self.made.current(LINE)).values()}


@pytest.fixture
async def scene(database: TestDatabase) -> AsyncIterator[Scene]:
    mini = load_folder(MINI).blueprint
    assert mini is not None
    blueprint = load_bundle({**mini.sources, "permissions/p.yaml": POLICIES}).blueprint
    assert blueprint is not None
    opened = await database.open()
    made = await plant(opened, blueprint=blueprint)
    lot = await made.commands.create(made.call, "lot", {"site": made.ids["SHA"], "item": made.ids["RAW-1"], "qty": "1"})
    actions = [{"what": "a", "due": "2030-01-01", "done": True}, {"what": "b", "due": "2030-01-01", "done": False}]
    given = {
        "site": made.ids["SHA"], "severity": "minor", "subject": {"entity": "lot", "id": lot.id}, "lots": [lot.id],
        "actions": actions,
    }  # fmt: skip
    record = await made.commands.create(made.call, "nonconformance", given)
    yield Scene(made, record.id)
    await opened.close()


NEW = {"what": "c", "due": "2030-01-01", "done": True}


async def test_a_line_is_written_where_its_owner_may_be(scene: Scene) -> None:
    access = scene.call("plain").decision.on(LINE)
    assert access.as_owner
    assert access.fields["what"].giving("update").always, "the owner was asked"
    assert await scene.write({"actions": {"add": [NEW]}}, "plain") == "ok"
    await scene.made.commands.update(
        replace(scene.made.call, reason="worse"), "nonconformance", scene.record, 2, {"severity": "major"}
    )
    assert await scene.write({"actions": {"add": [{**NEW, "what": "d"}]}}, "plain") == "FORBIDDEN"
    assert set(await scene.lines()) == {"a", "b", "c"}


async def test_a_hidden_field_of_a_line_cannot_be_given(scene: Scene) -> None:
    access = scene.call("narrow").decision.on(LINE)
    assert not access.as_owner
    assert not access.fields["done"].read.allowed
    assert await scene.write({"actions": {"add": [NEW]}}, "narrow") == "UNKNOWN_FIELD"
    assert await scene.write({"actions": {"add": [{"what": "c", "due": "2030-01-01"}]}}, "narrow") == "ok"
    # With the other role it is given where that role writes the owner.
    assert await scene.write({"actions": {"add": [{**NEW, "what": "d"}]}}, "narrow", "plain") == "ok"


async def test_a_line_that_is_not_seen_is_neither_named_nor_left_out(scene: Scene) -> None:
    lines = await scene.lines()
    assert await scene.write({"actions": {"remove": [lines["b"]]}}, "partial") == "NOT_FOUND"
    update = {"id": lines["b"], "what": "x"}
    assert await scene.write({"actions": {"update": [update]}}, "partial") == "NOT_FOUND"
    assert await scene.write({"actions": [NEW]}, "partial") == "ok"
    assert set(await scene.lines()) == {"b", "c"}, "the whole list is the list that is seen"


async def test_hidden_lines_are_not_there(scene: Scene) -> None:
    decision = scene.call("headless").decision
    assert not decision.on(LINE).read.allowed
    assert not decision.on("nonconformance").sees("actions")
    assert await scene.write({"actions": {"add": [NEW]}}, "headless") == "UNKNOWN_FIELD"
