"""The accounts of `clew demo` can run the pack's processes: every board has whom its posts ask."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.at_work import opened

from clew.cli.demo_accounts import demo_accounts
from clew.cli.demo_people import posted
from clew.identity import accounts
from clew.identity.people import person_of

pytestmark = pytest.mark.anyio


async def test_every_board_has_members_and_no_separation_is_broken(new_database: Any) -> None:
    firm = await opened(new_database("sqlite"), staffed=False)
    shown = await demo_accounts(firm.runtime, "en")
    assert await demo_accounts(firm.runtime, "en") == shown
    held: dict[str, frozenset[str]] = {}
    taken: set[UUID | None] = set()
    async with firm.runtime.database.read() as connection:
        for each in shown:
            account = await accounts.by_login(connection, each.login)
            taken.add(account.employee)
            held[each.role] = frozenset((await person_of(connection, account.id, await connection.now())).roles)
            given = await firm.runtime.desk.assignments.of(connection, account.id)
            assert len(given) == len({one.role for one in given}), each.login
    # A role that comes later gets an employee who has no account yet.
    assert taken.isdisjoint(each.id for each in (await posted(firm.runtime, "en", {"later": "later"})).values())
    book = firm.runtime.desk.assignments.roles
    assert {role: book.conflicts(roles) for role, roles in held.items() if book.conflicts(roles)} == {}
    steps = [step for workflow in firm.runtime.blueprint.workflows.values() for _, step in workflow.walk()]
    boards = [step.approval for step in steps if step.approval is not None and step.approval.among]
    assert {each.among for each in boards} == {"mrb_member", "ccb_member"}
    for board in boards:
        for post in (*board.posts, *(post for post, _ in board.also)):
            assert any({post, board.among} <= roles for roles in held.values()), (board.among, post)
