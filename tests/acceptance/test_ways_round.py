"""Ways round a board or a separation, tried through GraphQL with the real accounts and roles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.at_work import Firm, opened
from tests.acceptance.test_nonconformance import found, to_the_board

from clew.process import jobs
from clew.testing.databases import TestDatabase
from clew.testing.office import PASSWORD

pytestmark = pytest.mark.anyio

BREAK = 'mutation($r: String!) { breakGlass(role: $r, hours: 4, reason: "alarm in the sterile room") { id } }'
APPROVE = 'mutation($id: ID!) { approveUserRole(id: $id, reason: "new in purchasing") { id } }'
ADD = "mutation($t: ID!, $p: ID!) { addSigner(task: $t, person: $p) { replayed } }"
DECIDE = """mutation($t: [TaskDecisionInput!]!, $s: TaskSignatureInput) {
  decideTasks(tasks: $t, signature: $s) { decided rows { code } } }"""


async def emergency(firm: Firm, login: str, role: str, by: str) -> None:
    asked = await firm.ask(login, BREAK, r=role)
    assert await firm.refusal(firm.ask(login, APPROVE, id=asked["breakGlass"]["id"])) != ""
    await firm.ask(by, APPROVE, id=asked["breakGlass"]["id"])
    await jobs.drain(firm.runtime.processes)


async def at_once(firm: Firm, login: str, ncr: UUID, *tasks: str) -> list[str | None]:
    """Several tasks about one nonconformance decided by one request, each signed over what it shows."""
    look = "query($id: ID!) { nonconformance(id: $id) { rowVersion signable { digest } } }"
    seen = (await firm.ask(login, look, id=ncr))["nonconformance"]
    shown = {"rowVersion": seen["rowVersion"], "digest": seen["signable"]["digest"], "meaning": "approval"}
    rows = [{"task": each, "outcome": "rework", **shown} for each in tasks]
    done = await firm.ask(login, DECIDE, t=rows, s={"login": login, "password": PASSWORD})
    codes: list[Any] = [each["code"] for each in done["decideTasks"]["rows"]]
    return codes


async def test_nobody_is_a_board_by_himself(database: TestDatabase) -> None:
    """Roles lent in an emergency, signers one adds, and many tasks in one request make nobody two people."""
    firm = await opened(database)
    await firm.hire(("both", ("rd_engineer", "production_supervisor", "mrb_member")), ("admin", ("sys_admin",)))
    ncr = await found(firm)
    await to_the_board(firm)

    # Whoever investigated borrows a seat on the board: what they did bars them, whatever they hold now.
    for role in ("rd_engineer", "mrb_member"):
        await emergency(firm, "quality_engineer", role, "sys_admin")
    assert await firm.tasks("quality_engineer", "board") == []
    (seat,) = await firm.tasks("rd_engineer", "board")
    assert await at_once(firm, "quality_engineer", ncr, seat["id"]) != [None]

    async def administrator_on_the_board() -> None:
        asked = await firm.ask("sys_admin", BREAK, r="mrb_member")
        await firm.ask("admin", APPROVE, id=asked["breakGlass"]["id"])

    refused = await firm.refusal(administrator_on_the_board())
    assert refused == "SEPARATION_CONFLICT", "in an emergency neither, whoever agrees"

    # One person with two posts, in one request: one vote.
    mine = [each["id"] for each in await firm.tasks("both", "board")]
    assert len(mine) == 2
    assert await at_once(firm, "both", ncr, *mine) == [None, "SAME_PERSON"]

    # A signer who is added is asked besides, never instead of somebody.
    (task,) = await firm.tasks("qa_manager", "board")
    investigator = firm.ask("qa_manager", ADD, t=task["id"], p=firm.people["quality_engineer"])
    assert await firm.refusal(investigator) == "NOT_ELIGIBLE"
    voted = firm.ask("qa_manager", ADD, t=task["id"], p=firm.people["both"])
    assert await firm.refusal(voted) == "NOT_ELIGIBLE"
    await firm.ask("qa_manager", ADD, t=task["id"], p=firm.people["production_head"])
    held = firm.does("qa_manager", "board", "rework")
    assert await firm.refusal(held) in ("NO_TASK", "TASK_HELD"), "those who were asked first decide first"
    assert await firm.state("nonconformance", ncr) == "board"
    (added,) = await firm.tasks("production_head", "board")
    assert await at_once(firm, "production_head", ncr, added["id"]) == [None]
    rework = {"rework_instruction": firm.ids["label"], "rework_effect": "无影响"}
    await firm.does("qa_manager", "board", "rework", **rework)
    assert await firm.state("nonconformance", ncr) == "board", "of the posts only two have agreed"
    await firm.does("ra_manager", "board", "rework")
    assert await firm.state("nonconformance", ncr) == "executing"
