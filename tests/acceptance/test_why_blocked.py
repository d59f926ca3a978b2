"""Why a record is blocked and what would free it, through GraphQL with the pack's own roles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.at_work import Firm, opened
from tests.acceptance.test_nonconformance import found, to_the_board

from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

WHY = """query($e: String!, $r: ID!, $t: String) { whyBlocked(entity: $e, record: $r, transition: $t) {
  transition ready mayDo possible exact say roles people
  blockers { kind text field workflow step people records { entity id state } }
  actions { kind text entity recordId field transition workflow step meaning roles people } } }"""


async def why(firm: Firm, login: str, entity: str, record: UUID, move: str | None = None) -> Any:
    return (await firm.ask(login, WHY, e=entity, r=record, t=move))["whyBlocked"]


def short(actions: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Each action as its kind, what it is done to, and by which roles."""
    name = ("field", "transition", "step", "meaning")
    return [(each["kind"], *[each[key] for key in name if each[key]], tuple(each["roles"])) for each in actions]


async def test_a_held_lot_waits_for_its_hold_and_a_nonconformance_for_its_capa(database: TestDatabase) -> None:
    firm = await opened(database)
    lot = firm.ids["good"]
    ncr = await found(firm, severity="critical")
    (hold,) = await firm.all("inventory_hold", cause_id=ncr)
    await firm.moves("qa_manager", "lot", lot, "block", because="划伤")

    moves = {each["transition"]: each for each in await why(firm, "qa_manager", "lot", lot)}
    assert set(moves) == {"unblock", "reject", "expire", "recall", "scrap"}, "from its present state"
    held = moves["unblock"]
    assert (held["ready"], held["mayDo"], held["possible"], held["exact"]) == (False, True, True, True)
    signature, condition = held["blockers"]
    assert signature["kind"] == "signature"
    assert condition["text"] == "It does not hold that there is none of Inventory hold with: State is Active"
    assert condition["records"] == [{"entity": "inventory_hold", "id": str(hold["id"]), "state": "active"}]
    managers = ("qa_manager", "quality_head")
    assert short(held["actions"]) == [("move", "release", managers), ("sign", "release", managers)]
    assert held["actions"][0]["recordId"] == str(hold["id"])
    assert held["actions"][0]["people"] == ["qa_manager", "quality_head"]
    assert moves["reject"]["ready"]

    (contain, annul) = await why(firm, "quality_engineer", "nonconformance", ncr)
    assert short(contain["actions"]) == [("step", "contain", ("qc_inspector",))], "it fills in what is missing as well"
    assert [each["kind"] for each in contain["blockers"]] == ["process", "field"]
    assert [each["kind"] for each in annul["actions"]] == ["cancel"], "the process never does that"

    await _to_the_unblocking(firm)
    (closing,) = await why(firm, "qa_manager", "nonconformance", ncr, "close")
    assert closing["say"] == "A critical nonconformance, or one linked to a complaint, needs a CAPA"
    assert [each["text"] for each in closing["blockers"]] == [
        "Nonconformance handling: do Unblock",
        "It does not hold that Severity is not Critical",
        "It does not hold that CAPA is filled in",
    ]
    who = ("qa_manager", "quality_engineer", "quality_head")
    assert short(closing["actions"]) == [("fill", "capa", who), ("step", "unblock", ("qa_manager",))], "never severity"
    assert closing["actions"][1]["people"] == ["qa_manager"]
    # Doing what is advised, both are free.
    await firm.does("qa_manager", "unblock")
    await firm.moves("qa_manager", "lot", lot, "unblock", because="已验证")
    assert await firm.state("lot", lot) == "quarantine"


async def test_who_does_not_see_what_is_in_the_way_learns_nothing_of_it(database: TestDatabase) -> None:
    firm = await opened(database)
    lot = firm.ids["good"]
    ncr = await found(firm)
    await firm.moves("qa_manager", "lot", lot, "block", because="划伤")
    (held,) = await why(firm, "quality_reader", "lot", lot, "unblock")
    assert [each["kind"] for each in held["blockers"]] == ["signature", "hidden"]
    assert {each["kind"] for each in held["actions"]} == {"hidden", "sign"}
    assert held["say"] is None
    assert "Inventory hold" not in str(held), "holds are not so much as named"
    (hold,) = await firm.all("inventory_hold", cause_id=ncr)
    await firm.moves("qa_manager", "inventory_hold", hold["id"], "release", because="已验证")
    assert (await why(firm, "quality_reader", "lot", lot, "unblock")) == [held], "the same whether there is one or not"
    assert all(each["people"] == [] for each in (held, *held["actions"])), "they see no people either"
    for entity, record in (("lot", firm.ids["site"]), ("employee", firm.ids["li"]), ("no_such", lot)):
        assert await firm.refusal(why(firm, "quality_reader", entity, record)) == "NOT_FOUND"
    assert await firm.refusal(why(firm, "qa_manager", "lot", lot, "fly")) == "NOT_FOUND"


async def _to_the_unblocking(firm: Firm) -> None:
    await to_the_board(firm)
    for login in ("rd_engineer", "production_supervisor", "ra_manager", "qa_manager"):
        await firm.does(login, "board", "scrap")
    await firm.does("warehouse", "scrap", "approve")
    await firm.does("production_supervisor", "scrap", "approve")
    await firm.does("qa_manager", "verify", "release")
