"""The pack at work for acceptance runs: the real runtime, accounts, roles, decisions and signatures, through GraphQL.

A journey reads like a story. `opened` installs the pack, furnishes the small plant of `pack_world` (its records are
`firm.ids`) and hires one person for every role; the login is the role's name, and whoever sits on a board holds its
membership too. Nothing is permitted here that the pack's own permissions do not permit.

    firm = await opened(database)
    ncr = await firm.creates("qc_inspector", "nonconformance", lots=[firm.ids["good"]], ...)
    await firm.does("qc_inspector", "contain", containment="隔离区")
    await firm.does("qa_manager", "board", "rework")        # signs with the password, as the step demands
    assert await firm.state("nonconformance", ncr) == "executing"
    assert await firm.refusal(firm.does("warehouse", "unblock")) == "NO_TASK"

`does` is the one open task of that step (`close`, or `trace_aftersales.close` where two processes have one) which the
person has, done by the step's own mutation; `creates`, `updates` and `moves` are the entity's own mutations, signed
where the transition asks for it. Fields are keywords in the project's names, values as Python has them (ids, dates,
decimals, `AnyRef`, lines as dictionaries). `hire` adds people, `ask` sends any document, `time_passes` lets clocks run,
`story` tells what people did in a process. `because` is the reason given for a change.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from tests.integration.identity_case import CHEAP
from tests.integration.pack_world import BORN, ROOT, furnish, pack
from tests.integration.test_process_time import move_back
from tests.integration.uploaded_file import uploaded

from clew.cli.demo_accounts import boards_of
from clew.extensions import load_actions
from clew.identity import accounts
from clew.identity.assignments import Asked
from clew.identity.policy import CredentialPolicy
from clew.identity.secrets import Hasher, Vault
from clew.identity.sessions import Limits
from clew.kernel.clock import SystemClock
from clew.process import jobs
from clew.records.feed import Feed
from clew.records.loading import Loader
from clew.records.values import AnyRef
from clew.runtime import IdentityParts, Runtime, assemble
from clew.storage import process_tables, releases
from clew.storage.blobs import Blobs
from clew.storage.engine import Connection, Database
from clew.testing.databases import TestDatabase
from clew.testing.office import PASSWORD, Office, Refused


@dataclass
class Firm(Office):
    """The pack's plant with its people."""

    ids: dict[str, UUID] = field(default_factory=dict)
    employees: dict[str, UUID] = field(default_factory=dict)
    """Login → employee."""

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hire(self, *hired: tuple[str, tuple[str, ...]]) -> None:
        """Employees with these roles at the plant's site, each with a verified identity and a statement on file."""
        runtime, site, department = self.runtime, self.ids["site"], self.ids["department"]
        desk, by = runtime.desk, runtime.operator_call("zh").context
        policies = runtime.blueprint.policies
        assert policies is not None

        async def work(connection: Connection) -> None:
            at = await connection.now()
            loader = Loader(connection, runtime.tables, by, str(runtime.number))
            await loader.begin()
            for login, _ in hired:
                self.employees[login] = loader.add(
                    "employee",
                    {
                        "emp_no": f"E{len(self.employees) + 100}", "login_id": login, "printed_name": f"{login} 先生",
                        "department": department, "state": "active", "id_verified_at": BORN, "esig_statement_at": BORN,
                    },
                    at=BORN,
                )  # fmt: skip
            await loader.finish()
            for login, roles in hired:
                facts = {"department": department, "site": site}
                made = await accounts.create(
                    connection, desk.witness, by, login=login, name=login, at=at, employee=self.employees[login],
                    facts=facts,
                )  # fmt: skip
                self.people[login] = made.id
                for role in roles:
                    sites = (site,) if policies.roles[role].own_sites else None
                    asked = Asked(made.id, role, at, sites=sites, reason="hired")
                    await desk.assignments.assign(connection, by, asked, at)

        await runtime.database.run_write(work)
        for login, _ in hired:
            async with runtime.database.read() as connection:
                account = await accounts.find(connection, self.people[login])
            assert account is not None
            await desk.credentials.set_password(account, PASSWORD, by, settled=True)

    # ── the API ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def task(self, login: str, step: str) -> dict[str, Any]:
        try:
            return await super().task(login, step)
        except Refused as refused:
            raise Refused(refused.code, f"{refused.message}; {await self.waiting()}") from None

    async def does(self, login: str, step: str, outcome: str = "done", comment: str = "", **fields: Any) -> None:
        await super().does(login, step, outcome, comment, fields)

    async def decides(self, login: str, step: str, outcome: str, given: Mapping[str, Any] | None = None) -> None:
        """As `does`, by `decideTask`, which takes any input; fields in the API's names."""
        task = await self.task(login, step)
        sent = {"task": ("ID!", task["id"]), "outcome": ("String!", outcome), "input": ("JSON", given)}
        if task["sign"]:
            sent |= await self._signature(login, task["entity"], task["recordId"], task["sign"])
        await self._mutate(login, "decideTask", sent, "", "replayed")

    async def creates(self, login: str, entity: str, because: str = "", **fields: Any) -> UUID:
        return await super().creates(login, entity, because, fields)

    async def updates(self, login: str, entity: str, record: UUID, because: str = "", **fields: Any) -> None:
        await super().updates(login, entity, record, because, fields)

    async def moves(self, login: str, entity: str, record: UUID, *moves: str, because: str = "") -> None:
        """Transitions by hand, one after the other."""
        for move in moves:
            await super().moves(login, entity, record, move, because)

    async def refusal(self, work: Awaitable[Any]) -> str:
        """The code with which something is refused."""
        try:
            await work
        except Refused as refused:
            return refused.code
        raise AssertionError("it was not refused")

    # ── looking, as nobody in particular ──────────────────────────────────────────────────────────────────────────

    async def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        async with self.runtime.database.read() as connection:
            return [dict(zip(table.c.keys(), row, strict=True)) for row in await connection.fetch(sa.select(table))]

    async def all(self, entity: str, **where: Any) -> list[dict[str, Any]]:
        """Every record of an entity with these values, in the order they were made."""
        rows = await self.rows(self.runtime.tables.current(entity))
        found = [each for each in rows if all(each[name] == value for name, value in where.items())]
        return sorted(found, key=lambda each: each["id"])

    async def record(self, entity: str, record: UUID) -> dict[str, Any]:
        (found,) = await self.all(entity, id=record)
        return found

    async def only(self, entity: str, **where: Any) -> dict[str, Any]:
        (found,) = await self.all(entity, **where)
        return found

    async def state(self, entity: str, record: UUID) -> str:
        return str((await self.record(entity, record))["state"])

    async def waiting(self) -> dict[str, list[str]]:
        """Step → who is asked, for every open task."""
        offers = await self.rows(process_tables.task_candidate)
        names = {account: login for login, account in self.people.items()}
        found: dict[str, list[str]] = {}
        for each in await self.rows(process_tables.task):
            if each["status"] == "open":
                mine = [names[offer["person"]] for offer in offers if offer["task"] == each["id"]]
                found.setdefault(f"{each['workflow']}.{each['step']}", []).extend(mine)
        return {step: sorted(people) for step, people in found.items()}

    async def ends(self) -> dict[str, tuple[str, str]]:
        """Workflow → how its instance stands."""
        rows = await self.rows(process_tables.process)
        return {each["workflow"]: (each["status"], each["outcome"]) for each in rows}

    async def threads(self) -> set[UUID]:
        """The threads of all processes."""
        return {each["thread_id"] for each in await self.rows(process_tables.process)}

    async def story(self, workflow: str) -> list[tuple[str, str, str]]:
        """Who decided what at which step of a process, in order."""
        names = {account: login for login, account in self.people.items()}
        mine = {each["id"] for each in await self.rows(process_tables.process) if each["workflow"] == workflow}
        rows = sorted(await self.rows(process_tables.process_log), key=lambda each: (each["at"], each["id"]))
        return [
            (names[each["actor"]], each["step"], each["outcome"])
            for each in rows
            if each["what"] == "decide" and each["process"] in mine
        ]

    async def time_passes(self, hours: float) -> None:
        """Clocks run, and what is due happens."""
        await move_back(self.runtime.database, hours)
        await jobs.drain(self.runtime.processes)


async def running(database: Database) -> tuple[Runtime, Feed, Blobs]:
    """The installed pack put together as a server does, with passwords that are quick to check."""
    blueprint, clock = pack(), SystemClock()
    identity = IdentityParts(Vault("a key for tests"), CredentialPolicy(), Limits(), Hasher(CHEAP))
    release, blobs = await releases.current(database), await uploaded(database)
    actions = load_actions(ROOT, {name: each.plugin for name, each in blueprint.project.actions.items()})
    feed = Feed(database, clock)
    runtime = assemble(release, blueprint, database, clock, feed, blobs, identity=identity, actions=actions)
    return runtime, feed, blobs


async def opened(test: TestDatabase, *, staffed: bool = True) -> Firm:
    """The pack, installed and furnished, with one person for every role that people hold; `staffed=False`: nobody."""
    if not staffed:
        database, ids = await test.furnished(pack(), furnish)
        return Firm((await running(database))[0], ids=ids)
    database, (ids, people, employees) = await test.furnished(pack(), _staffed)
    return Firm((await running(database))[0], people, ids=ids, employees=employees)


async def _staffed(database: Database) -> tuple[dict[str, UUID], dict[str, UUID], dict[str, UUID]]:
    """The small plant and its people; their records, accounts and employees."""
    ids = await furnish(database)
    firm = Firm((await running(database))[0], ids=ids)
    policies, workflows = pack().policies, pack().workflows.values()
    assert policies is not None
    people = [each.name for each in policies.roles.values() if each.kind == "person"]
    await firm.hire(*((role, (role, *boards_of(workflows, role))) for role in people))

    async def appoint(connection: Connection) -> None:
        table = firm.runtime.tables.current("department")
        head = firm.employees["department_head"]
        await connection.execute(sa.update(table).where(table.c.id == ids["department"]).values(manager=head))

    await database.run_write(appoint)
    return firm.ids, firm.people, firm.employees


__all__ = ["AnyRef", "Firm", "Refused", "opened", "running"]
