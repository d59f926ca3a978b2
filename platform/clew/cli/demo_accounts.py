"""`clew demo`: one account for each role, to try the project with; two where a process needs two people of a role.
Never made by any other command.

Whoever is asked for a vote on a board holds its membership too, as far as the separations allow.
The passwords are derived from the installation's own key, so they differ everywhere and can be shown at every start.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.api.exchange import Caller
from clew.cli.demo_people import Employee, posted, roles_for_two
from clew.identity import accounts
from clew.identity.accounts import Account
from clew.identity.assignments import Asked
from clew.kernel.errors import Conflict
from clew.kernel.text import Locale
from clew.metadata.policies import Role
from clew.metadata.processes import Workflow
from clew.records.query import plan as p
from clew.storage.engine import Connection

if TYPE_CHECKING:
    from clew.runtime import Runtime


class InUse(Conflict):
    """A demonstration was asked for on a database that people administer."""

    code = "IN_USE"
    en = "This database is in use by people ({login}): no demonstration accounts are made in it."
    zh = "本数据库已由实际人员使用({login}),不建立演示账号。"
    hint_en, hint_zh = "Give another database: --database-url", "请另用数据库:--database-url"


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account to try. A service has no password."""

    role: str
    login: str
    name: str
    password: str


async def demo_accounts(runtime: Runtime, locale: Locale) -> list[DemoAccount]:
    """Make what is missing; all of them with their passwords. Nothing when the project has no policies."""
    policies, desk = runtime.blueprint.policies, runtime.desk
    if policies is None:
        return []
    ours = {_login(each, number) for each in policies.roles.values() for number in (1, 2)}
    await _only_a_demonstration(runtime, ours)
    twice = roles_for_two(runtime.blueprint.workflows.values())
    every = {
        _login(role, number): (role, number)
        for role in policies.roles.values()
        for number in ((1, 2) if role.name in twice else (1,))
    }
    async with desk.database.read() as connection:
        there = {each.login: each for each in await accounts.every(connection)}
    wanted = {login: role.name for login, (role, _) in every.items() if role.kind == "person" and login not in there}
    people = await posted(runtime, locale, wanted)
    found = []
    for login, (role, number) in every.items():
        name = (role.label.to(locale) or role.name) + (f" {number}" if number > 1 else "")
        shown = DemoAccount(role.name, login, name, _password(runtime, login, role))
        found.append(shown)
        account = there.get(login) or await _make(runtime, locale, role, shown, people.get(login))
        if number == 1:
            await _seat(runtime, locale, role, account)
    return found


def boards_of(workflows: Iterable[Workflow], role: str) -> list[str]:
    """The memberships somebody in a post needs for the votes they are asked for."""
    asked = {
        step.approval.among
        for workflow in workflows
        for _, step in workflow.walk()
        if step.approval is not None and role in (*step.approval.posts, *(post for post, _ in step.approval.also))
    }
    return sorted(asked - {"", role})


async def _seat(runtime: Runtime, locale: Locale, role: Role, account: Account) -> None:
    """Give the memberships that were never given, as far as the separations allow."""
    desk, context = runtime.desk, runtime.operator_call(locale).context
    boards = boards_of(runtime.blueprint.workflows.values(), role.name)

    async def give(connection: Connection, at: datetime) -> None:
        given = await desk.assignments.of(connection, account.id, states=("requested", "active", "refused", "ended"))
        held = {each.role for each in given}
        for board in boards:
            if board not in held and not desk.assignments.roles.conflicts({*held, board}):
                await desk.assignments.assign(connection, context, Asked(account.id, board, at, reason="demo"), at)
                held.add(board)

    if boards:
        await desk.within(give)


async def _only_a_demonstration(runtime: Runtime, ours: Container[str]) -> None:
    """Where people have been given the administration, no accounts with passwords everybody can print are made.

    Raises InUse.
    """
    async with runtime.desk.database.read() as connection:
        others = [each for each in await accounts.every(connection) if each.login not in ours]
        if others and not await runtime.desk.assignments.set_up(connection):
            raise InUse(login=others[0].login)


def _login(role: Role, number: int) -> str:
    return role.name.replace("_", ".") + (f".{number}" if number > 1 else "")


async def _make(runtime: Runtime, locale: Locale, role: Role, shown: DemoAccount, whose: Employee | None) -> Account:
    desk, context = runtime.desk, runtime.operator_call(locale).context
    facts: dict[str, Any] = whose.facts if whose is not None else {}
    if role.kind == "external":
        party = next((name for name in runtime.blueprint.entities if role.name.startswith(name)), None)
        facts = {"party": next(iter(await _ids(runtime, locale, party, 1)), None)} if party else {}

    async def make(connection: Connection, at: datetime) -> Account:
        made = await accounts.create(
            connection, desk.witness, context, login=shown.login, name=shown.name, at=at, kind=role.kind,
            employee=whose.id if whose is not None else None, facts=facts,
        )  # fmt: skip
        await desk.assignments.assign(connection, context, Asked(made.id, role.name, at, reason="demo"), at)
        return made

    made = await desk.within(make)
    if shown.password:
        # A demonstration: whoever reads the screen is everybody, and is told so.
        await desk.credentials.set_password(made, shown.password, context, settled=True)
    return made


def _password(runtime: Runtime, login: str, role: Role) -> str:
    if role.kind == "service":
        return ""
    proof = runtime.desk.vault.sign(f"demo account {login}")
    return "-".join(proof[at : at + 5] for at in range(0, 15, 5))


async def _ids(runtime: Runtime, locale: Locale, entity: str, count: int) -> list[UUID]:
    """The first records of an entity, if the project has it."""
    if entity not in runtime.blueprint.entities:
        return []
    call = runtime.operator_call(locale)
    listing = p.Listing(entity, (p.Nodes("n", (p.Leaf("id", "id"),)),), p.Page(p.Const(count)))
    plan = p.Plan((p.ListRoot("found", listing),))
    text = await runtime.read(plan, Caller(call.context, call.decision), {})
    return [UUID(each["id"]) for each in json.loads(text)["found"]["n"]]
