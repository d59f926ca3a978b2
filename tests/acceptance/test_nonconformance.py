"""A nonconformance from finding to closing, and the CAPA it leads to, by the people whom the pack's roles make able."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.at_work import Firm, opened
from tests.integration.pack_world import TODAY

from clew.storage import process_tables, system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def found(firm: Firm, **more: Any) -> UUID:
    """An inspector finds a scratch on a lot that was released once."""
    ids = firm.ids
    given = {
        "site": ids["site"], "source": "IQC", "item": ids["steel"], "lots": [ids["good"]], "description": "划伤",
        "defect": ids["defect"], "severity": "major", "found_by": firm.employees["qc_inspector"], **more,
    }  # fmt: skip
    return await firm.creates("qc_inspector", "nonconformance", **given)


async def to_the_board(firm: Firm) -> None:
    await firm.does("qc_inspector", "contain", containment="隔离区")
    await firm.does("quality_engineer", "investigate", root_cause="夹具磨损", risk_looked_up=True)


async def back(firm: Firm, step: str, to: str) -> None:
    (task,) = await firm.tasks("qa_manager", step)
    ask = 'mutation($t: ID!, $to: String!) { sendBackTask(task: $t, to: $to, comment: "再看一次") { replayed } }'
    await firm.ask("qa_manager", ask, t=task["id"], to=to)


async def test_a_nonconformance_is_reworked_and_closed(database: TestDatabase) -> None:
    firm = await opened(database)
    ncr = await found(firm)
    (hold,) = await firm.all("inventory_hold", cause_id=ncr)
    assert (hold["lot"], hold["state"]) == (firm.ids["good"], "active"), "held at once"
    await to_the_board(firm)
    assert await firm.state("nonconformance", ncr) == "board"
    board = ["production_supervisor", "qa_manager", "ra_manager", "rd_engineer"]
    assert (await firm.waiting())["nonconformance_handling.board"] == board, "it was released once"

    await firm.does("rd_engineer", "board", "rework")
    rework = {"rework_instruction": firm.ids["label"], "rework_effect": "无影响"}
    await firm.does("qa_manager", "board", "rework", **rework)
    assert await firm.state("nonconformance", ncr) == "board", "what was released once is not decided without RA"
    await firm.does("ra_manager", "board", "rework")
    assert await firm.state("nonconformance", ncr) == "executing"
    await firm.does("warehouse", "execute")
    assert (await firm.record("nonconformance", ncr))["executed_by"] == firm.employees["warehouse"]
    await firm.does("qa_manager", "verify", "release")
    await back(firm, "unblock", "verify")
    await firm.does("qa_manager", "verify", "hold", "复验发现划痕")
    assert await firm.state("nonconformance", ncr) == "executing", "it is disposed of again, still on hold"
    assert [each["state"] for each in await firm.all("inventory_hold", cause_id=ncr)] == ["active"]
    await firm.does("warehouse", "execute")
    await firm.does("qa_manager", "verify", "release")
    await firm.does("qa_manager", "unblock")
    assert [each["state"] for each in await firm.all("inventory_hold", cause_id=ncr)] == ["released"]
    assert await firm.refusal(back(firm, "close", "verify")) == "NO_WAY_BACK", "what was freed is not on hold again"
    (process,) = await firm.rows(process_tables.process)
    taken = firm.ask("qa_manager", "mutation($p: ID!) { withdrawStep(process: $p) { replayed } }", p=process["id"])
    assert await firm.refusal(taken) == "NOT_TAKEN_BACK"
    await firm.does("qa_manager", "close")
    assert await firm.state("nonconformance", ncr) == "closed"
    assert (await firm.ends())["nonconformance_handling"] == ("ended", "closed")
    assert await firm.story("nonconformance_handling") == [
        ("qc_inspector", "contain", "done"),
        ("quality_engineer", "investigate", "done"),
        ("rd_engineer", "board", "rework"),
        ("qa_manager", "board", "rework"),
        ("ra_manager", "board", "rework"),
        ("warehouse", "execute", "done"),
        ("qa_manager", "verify", "release"),
        ("qa_manager", "verify", "hold"),
        ("warehouse", "execute", "done"),
        ("qa_manager", "verify", "release"),
        ("qa_manager", "unblock", "done"),
        ("qa_manager", "close", "done"),
    ]


async def test_the_process_writes_what_no_role_may_and_says_so(database: TestDatabase) -> None:
    """The review of a rework is the board's to write, the executor nobody's: by hand both stay refused."""
    firm = await opened(database)
    ncr = await found(firm)
    await to_the_board(firm)
    by_hand = firm.updates("quality_engineer", "nonconformance", ncr, disposition="rework")
    assert await firm.refusal(by_hand) == "BAD_INPUT", "there is no such field in their input"
    more = firm.decides("rd_engineer", "board", "rework", {"verifiedBy": str(firm.employees["rd_engineer"])})
    assert await firm.refusal(more) == "OUTPUT_NOT_ASKED"
    rework = {"rework_instruction": firm.ids["label"], "rework_effect": "无影响"}
    await firm.does("rd_engineer", "board", "rework", **rework)
    await firm.does("qa_manager", "board", "rework")
    await firm.does("ra_manager", "board", "rework")
    await firm.does("production_supervisor", "execute")
    assert await firm.refusal(firm.does("production_supervisor", "verify", "release")) == "NO_TASK"
    trail = [json.loads(each["header"]) for each in await firm.rows(system.leaf) if each["record_id"] == ncr]
    steps = [(each["action"], each["process_step"]) for each in sorted(trail, key=lambda each: each["leaf_id"])]
    assert steps[0] == ("create", None), "found by hand"
    assert ("transition:decide", "nonconformance_handling.board") in steps
    assert ("transition:carry_out", "nonconformance_handling.execute") in steps
    given = [step for action, step in steps if action == "sign:approval"]
    assert given == ["nonconformance_handling.board"] * 3, "a signature says in which step it was given"
    signed = [each["role"] for each in await firm.rows(system.signature) if each["record_id"] == ncr]
    assert signed == ["mrb_member"] * 3, "they sign as members of the board"


async def test_a_critical_one_is_scrapped_before_two_and_leads_to_a_capa(database: TestDatabase) -> None:
    firm = await opened(database)
    ncr = await found(firm, severity="critical")
    await to_the_board(firm)
    for login in ("rd_engineer", "production_supervisor", "ra_manager"):
        await firm.does(login, "board", "scrap")
    assert await firm.state("nonconformance", ncr) == "board", "critical: everybody agrees"
    await firm.does("qa_manager", "board", "scrap")
    await firm.does("warehouse", "scrap", "approve")
    await firm.does("production_supervisor", "scrap", "approve")
    await firm.does("qa_manager", "verify", "release")
    await firm.does("qa_manager", "unblock")
    engineer = firm.employees["quality_engineer"]
    made = await firm.only("capa")
    capa = made["id"]
    assert (made["responsible"], made["site"]) == (engineer, firm.ids["site"]), "opened by itself, for who investigated"
    (origin,) = await firm.all("capa_origins", owner=capa)
    assert (origin["origin_id"], (await firm.record("nonconformance", ncr))["capa"]) == (ncr, capa)
    await firm.does("qa_manager", "close")
    assert await firm.state("nonconformance", ncr) == "closed"

    await firm.does("quality_engineer", "accept", method="five_why")
    action = {"what": "换夹具", "responsible": engineer, "due": TODAY}
    await firm.does("quality_engineer", "analyse", root_cause="夹具磨损", actions={"add": [action]})
    assert await firm.refusal(firm.does("quality_engineer", "plan", "approve")) == "NO_TASK", "not one's own plan"
    await firm.does("qa_manager", "plan", "approve")
    (line,) = await firm.all("capa_actions", owner=capa)
    await firm.does("quality_engineer", "implement", actions={"update": [{"id": line["id"], "done_on": TODAY}]})
    assert await firm.refusal(firm.does("quality_engineer", "verify", check_due=TODAY)) == "NO_TASK"
    await firm.does("qa_manager", "verify", check_due=TODAY)
    await firm.time_passes(24)
    judging = firm.does("qa_manager", "judge", "effective")
    assert await firm.refusal(judging) == "NOT_FINISHED", "a day and no lots show nothing"
    shown = [firm.ids[each] for each in ("good", "new", "made")]
    await firm.does("qa_manager", "judge", "effective", check_lots=shown)
    assert await firm.state("capa", capa) == "closed"
    assert (await firm.ends())["corrective_action"] == ("ended", "closed")
