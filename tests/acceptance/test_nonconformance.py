"""A nonconformance from finding to closing, and the CAPA it leads to, by the people whom the pack's roles make able."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.at_work import Firm, opened

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
    await firm.does("quality_engineer", "investigate", root_cause="夹具磨损")


async def test_a_nonconformance_is_reworked_and_closed(database: TestDatabase) -> None:
    firm = await opened(database)
    ncr = await found(firm)
    (hold,) = await firm.all("inventory_hold", cause_id=ncr)
    assert (hold["lot"], hold["state"]) == (firm.ids["good"], "active"), "held at once"
    await to_the_board(firm)
    assert await firm.state("nonconformance", ncr) == "board"
    assert (await firm.waiting())["nonconformance_handling.board"] == ["ra_manager"], "it was released once"

    await firm.does("rd_engineer", "board", "rework")
    rework = {"rework_instruction": firm.ids["label"], "rework_effect": "无影响"}
    await firm.does("qa_manager", "board", "rework", **rework)
    assert await firm.state("nonconformance", ncr) == "executing"
    await firm.does("warehouse", "execute")
    assert (await firm.record("nonconformance", ncr))["executed_by"] == firm.employees["warehouse"]
    await firm.does("qa_manager", "verify", "release")
    await firm.does("qa_manager", "unblock")
    assert [each["state"] for each in await firm.all("inventory_hold", cause_id=ncr)] == ["released"]
    await firm.does("qa_manager", "close")
    assert await firm.state("nonconformance", ncr) == "closed"
    assert (await firm.ends())["nonconformance_handling"] == ("ended", "closed")
    assert await firm.story("nonconformance_handling") == [
        ("qc_inspector", "contain", "done"),
        ("quality_engineer", "investigate", "done"),
        ("rd_engineer", "board", "rework"),
        ("qa_manager", "board", "rework"),
        ("warehouse", "execute", "done"),
        ("qa_manager", "verify", "release"),
        ("qa_manager", "unblock", "done"),
        ("qa_manager", "close", "done"),
    ]
