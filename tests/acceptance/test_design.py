"""A design project through all its phases, with a review that fails, an action left open and a test that fails."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.acceptance import market_world as world
from tests.acceptance.at_work import Firm
from tests.acceptance.market_world import furnished
from tests.integration.pack_world import LATER, TODAY, World

from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def concluded(firm: Firm, conclusion: str = "pass", **held: Any) -> None:
    """The open phase review held, agreed to by every function, and concluded by the independent reviewer."""
    here = [firm.employees["rd_head"], firm.employees["process_engineer"]]
    await firm.does("project_manager", "hold", held_on=TODAY, minutes="评审纪要", participants=here, **held)
    for login in ("rd_head", "qa_manager", "ra_manager", "production_head"):
        await firm.does(login, "functions", "approve")
    await firm.does("process_engineer", "conclude", conclusion)


async def put_to_test(firm: Firm, result: str) -> None:
    await firm.does("qa_manager", "protocol", "approve")
    await firm.does("rd_engineer", "execute", executed_on=TODAY, sample_size=5)
    await firm.does("qa_manager", "report", report=firm.ids["label"], result=result)


async def agreed(firm: Firm, step: str, *logins: str) -> None:
    for login in logins:
        await firm.does(login, step, "approve")


async def phase(firm: Firm, project: UUID) -> str:
    return str((await firm.record("design_project", project))["phase"])


async def test_a_design_goes_through_every_phase(database: TestDatabase) -> None:
    firm = await furnished(database)
    ids, people = firm.ids, firm.employees
    project = await firm.creates("project_manager", "design_project", name="新输液泵", leader=people["project_manager"])
    plan: dict[str, Any] = {"independent_reviewer": people["process_engineer"], "risk_file": ids["document"]}
    plan |= {"members": [people["rd_engineer"]], "items": [ids["pump"]], "markets": ["CN", "EU"]}
    await firm.does("project_manager", "plan", **plan)
    await agreed(firm, "approve_plan", "rd_head", "qa_manager")
    await concluded(firm, "fail")
    assert await phase(firm, project) == "plan", "it does not go on"
    await firm.does("project_manager", "enter")
    await firm.does("project_manager", "plan", **plan, plan_note="已补充")
    await agreed(firm, "approve_plan", "rd_head", "qa_manager")
    action = {"what": "补充风险计划", "who": people["rd_engineer"], "due": LATER}
    await concluded(firm, "conditional", actions=[action])
    assert await phase(firm, project) == "input"

    await firm.does("project_manager", "enter")
    needing = firm.does("rd_engineer", "inputs")
    assert await firm.refusal(needing) == "NOT_FINISHED", "there is no input"
    need = {"project": project, "source": "customer", "text": "流量准确", "priority": "must"}
    requirement = await firm.creates("rd_engineer", "requirement", **need)
    what = {"project": project, "text": "误差不超过 5%", "criterion": "称重法", "category": "performance"}
    given = await firm.creates("rd_engineer", "design_input", requirements=[requirement], **what)
    await firm.does("rd_engineer", "inputs")
    await agreed(firm, "approve_inputs", "rd_head", "qa_manager", "ra_manager")
    assert await firm.state("design_input", given) == "approved"
    await concluded(firm)
    assert await phase(firm, project) == "input", "an action of the last review is open"
    (review,) = await firm.all("design_review", conclusion="conditional")

    def finished(room: World) -> None:
        room.add(
            "risk", "risk_item", number="RI-1", project=project, hazard="过量", situation="泵速过快", harm="中毒",
            severity=2, probability=2, residual_severity=2, residual_probability=1, state="accepted",
        )  # fmt: skip

    await world.furnish(firm, finished)
    await firm.does("project_manager", "open_actions", actions_note="风险计划已补充")
    assert await phase(firm, project) == "input", "the project manager does not settle it alone"
    await firm.does("process_engineer", "confirm_open", "confirm", settled_reviews=[review["id"]])
    assert await phase(firm, project) == "output"

    await firm.does("project_manager", "enter")
    output = {"project": project, "inputs": [given], "document_revision": ids["label"]}
    made = await firm.creates("rd_engineer", "design_output", **output)
    await firm.does("rd_engineer", "design_outputs")
    await firm.does("rd_engineer", "risk_control")
    await firm.does("rd_engineer", "usability", usability_note="可用")
    await firm.does("process_engineer", "manufacturability", manufacture_note="可制造")
    await agreed(firm, "approve_outputs", "rd_head", "qa_manager")
    assert await firm.state("design_output", made) == "approved"
    await concluded(firm)
    await firm.does("project_manager", "enter")
    assert await phase(firm, project) == "verification"

    test = {"project": project, "protocol": ids["label"], "rationale": "95/95", "inputs": [given]}
    await firm.creates("rd_engineer", "verification", outputs=[made], **test)
    await firm.does("rd_engineer", "plan_verification")
    await put_to_test(firm, "fail")
    assert (await firm.only("deviation"))["description"].startswith("验证不合格"), "a failure is a deviation"
    await firm.creates("rd_engineer", "verification", outputs=[made], **test)
    await firm.does("rd_engineer", "plan_verification")
    await put_to_test(firm, "pass")
    await concluded(firm)
    await firm.does("project_manager", "enter")
    await firm.creates("rd_engineer", "validation", kind="design", representative_units=[ids["made"]], **test)
    await firm.does("rd_engineer", "plan_validation")
    await firm.does("qa_manager", "protocol", "approve")
    await firm.does("rd_engineer", "execute", executed_on=TODAY)
    await firm.does("qa_manager", "report", report=ids["label"], result="pass")
    await concluded(firm)
    await firm.does("project_manager", "enter")
    assert await phase(firm, project) == "transfer"
    await agreed(firm, "transfer", "process_engineer", "production_head", "qa_manager")
    await concluded(firm)
    await firm.does("project_manager", "enter")
    await firm.does("qa_manager", "accept_risk", "approve", residual_risk="可接受")
    await firm.does("management_representative", "accept_risk", "approve")
    assert await firm.state("design_project", project) == "closed"
    assert (await firm.ends())["design_verification"] == ("ended", "closed")
    filings = await firm.all("filing_task", trigger_id=project)
    assert sorted(each["market"] for each in filings) == ["CN", "EU"], "each market it names is filed for"
    assert len((await firm.waiting())["regulatory_filing.plan"]) > 0
