"""What the tests of the pack's master-data rules share: the whole pack installed once per database, and a small group
of people, units and items to write about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.integration.uploaded_file import A_FILE, uploaded

from clew.access.decision import permit_all
from clew.kernel.context import Context, Person
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.records.commands import Call, Commands, Outcome
from clew.records.participants import Change
from clew.records.unit import Unit
from clew.storage import releases
from clew.storage.change import install
from clew.storage.tables import Tables
from clew.testing.databases import TestDatabase

ROOT = Path(__file__).resolve().parents[2]
USCC = "91310000MA1FL0001R"
PERSON = Person(UUID("0190c000-0000-7000-8000-00000000000b"), "li", "李工", ("data_steward",))


class Signs:
    """A signer that takes every signature and remembers its meaning."""

    def __init__(self) -> None:
        self.meanings: list[str] = []

    async def sign(self, change: Change, meaning: str, unit: Unit) -> None:
        self.meanings.append(meaning)


@dataclass
class Group:
    """The pack on one database, with somebody at work who gives a reason for everything."""

    commands: Commands
    call: Call
    signs: Signs
    ids: dict[str, UUID] = field(default_factory=dict)
    versions: dict[UUID, int] = field(default_factory=dict)

    async def create(self, entity: str, **given: Any) -> UUID:
        return self._kept(await self.commands.create(self.call, entity, given))

    async def update(self, entity: str, record: UUID, *, reason: str | None = "试验", **given: Any) -> None:
        call = replace(self.call, reason=reason)
        self._kept(await self.commands.update(call, entity, record, self.versions[record], given))

    async def move(self, entity: str, record: UUID, *transitions: str) -> None:
        for each in transitions:
            self._kept(await self.commands.transition(self.call, entity, record, each, self.versions[record]))

    def _kept(self, outcome: Outcome) -> UUID:
        self.versions[outcome.id] = outcome.row_version
        return outcome.id

    # Things that other things need

    async def employee(self, number: str) -> UUID:
        return await self.create(
            "employee", emp_no=number, login_id=number.lower(), printed_name=f"员工{number}",
            department=self.ids["department"],
        )  # fmt: skip

    async def item(self, name: str, **changes: Any) -> UUID:
        given = {"type": "component", "trace_level": "lot", "make_buy": "buy", "base_uom": self.ids["pcs"], **changes}
        return await self.create("item", name=name, **given)

    async def active_item(self, name: str, **changes: Any) -> UUID:
        item = await self.item(name, **changes)
        await self.move("item", item, "submit")
        order = await self.change_order(("item", item))
        await self.update("item", item, change_order=order)
        await self.move("item", item, "approve")
        return item

    async def change_order(self, *objects: tuple[str, UUID], release: bool = True) -> UUID:
        """A change from request to (released) order that lists the objects."""
        request = await self.create(
            "change_request", type="design", subject="首次发布", reason="新产品", requested_by=self.ids["author"],
            affected=[{"object": {"entity": entity, "id": each}} for entity, each in objects],
            impacts=[
                {"dept": dept, "verdict": "ok", "note": "无影响", "assessed_by": self.ids["reviewer"],
                 "assessed_at": "2026-03-01T08:00:00Z"}
                for dept in ("rd", "qa", "ra", "process", "purchase", "finance")
            ],
        )  # fmt: skip
        await self.update("change_request", request, **{"class": "minor"})
        await self.move("change_request", request, "submit", "assess", "to_board", "approve")
        order = await self.create("change_order", change_request=request)
        lines = []
        for entity, each in objects:
            lines.append(
                await self.create(
                    "affected_item", change_order=order, object={"entity": entity, "id": each}, action="add",
                    to_rev="A", stock_disposition="use", wip_disposition="use", open_po_disposition="use",
                )
            )  # fmt: skip
        if release:
            for line in lines:
                await self.move("affected_item", line, "finish")
            checked = {"validation_result": "pass", "risk_note": "无新风险"}
            await self.update(
                "change_order", order, effective_on="2026-04-01", effectiveness_due="2026-06-01", **checked
            )
            await self.move("change_order", order, "execute", "verify", "release")
        return order

    async def bom(self, item: UUID, *components: UUID, **changes: Any) -> UUID:
        lines = [{"line": at * 10, "component": each, "qty": "2"} for at, each in enumerate(components, 1)]
        given = {"site": self.ids["site"], "item": item, "kind": "MBOM", "rev": "A", **changes}
        return await self.create("bom", lines=lines, **given)

    async def document(self) -> UUID:
        return await self.create(
            "document", title="装配作业指导书", type="WI", owner=self.ids["department"], language="zh"
        )

    async def revision(self, **changes: Any) -> UUID:
        document = changes.get("document") or await self.document()
        given = {
            "site": self.ids["site"], "document": document, "rev": "A", "file": [A_FILE], "sha256": "0" * 64,
            "author": self.ids["author"], "reviewer": self.ids["reviewer"], "approver": self.ids["approver"],
        }  # fmt: skip
        return await self.create("document_revision", **{**given, **changes})


Story = Callable[[Group], Awaitable[None]]


@dataclass(frozen=True)
class Installed:
    """A database with the pack on it. Each story opens it anew."""

    database: TestDatabase
    blueprint: Blueprint
    serial: Any = field(default_factory=count)

    def tell(self, story: Story) -> None:
        asyncio.run(self._tell(story))

    async def _tell(self, story: Story) -> None:
        handle = await self.database.open()
        try:
            release = await releases.current(handle)
            assert release is not None
            signs = Signs()
            tables = Tables(self.blueprint, release.catalog, handle.dialect)
            files = await uploaded(handle)
            commands = Commands(handle, self.blueprint, tables, release=release.digest, signer=signs, blobs=files)
            call = Call(Context(PERSON, "req-1", channel="test"), permit_all(self.blueprint), reason="试验")
            group = Group(commands, call, signs)
            await self._furnish(group)
            await story(group)
        finally:
            await handle.close()

    async def _furnish(self, group: Group) -> None:
        """People and places of this story alone, so that stories do not meet."""
        tale = chr(ord("A") + next(self.serial))
        company = await group.create(
            "legal_entity", code=f"LE{tale}", name="公司", country="DE", roles=["manufacturer"]
        )
        group.ids["site"] = await group.create(
            "site", code=f"S{tale}", name="苏州工厂", legal_entity=company, country="DE", tz="Europe/Berlin"
        )
        group.ids["department"] = await group.create(
            "department", site=group.ids["site"], code="QA", name="质量部", function="qa"
        )
        for at, name in enumerate(("author", "reviewer", "approver"), 1):
            group.ids[name] = await group.employee(f"{tale}{at:03}")
        group.ids["pcs"] = await group.create(
            "unit", code=f"pcs_{tale}", name={"zh": "件", "en": "piece"}, dimension="count", factor="1"
        )


def pack() -> Blueprint:
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None, [f"{each.place}: {each.message('en')}" for each in loaded.diagnostics]
    return loaded.blueprint


async def put_on(database: TestDatabase, blueprint: Blueprint) -> None:
    handle = await database.open()
    try:
        await install(handle, blueprint)
    finally:
        await handle.close()


async def refused(work: Awaitable[object]) -> ClewError:
    """The error that the work is refused with."""
    try:
        await work
    except ClewError as error:
        return error
    raise AssertionError("it was not refused")


async def broken_rule(work: Awaitable[object]) -> str:
    """The name of the rule that refuses the work."""
    error = await refused(work)
    return str(error.params.get("rule") or f"{error.code}: {error}")
