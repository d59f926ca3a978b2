"""A filing from its cause to publication, with a dossier that comes back once and a question of the authority."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.acceptance.at_work import AnyRef, Firm, opened
from tests.integration.pack_world import LATER, TODAY
from tests.integration.uploaded_file import A_FILE

from clew.storage import system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

COLLECTORS = (
    ("rd_engineer", "rd_part"),
    ("quality_engineer", "qa_part"),
    ("medical_reviewer", "clinical_part"),
    ("process_engineer", "production_part"),
    ("document_author", "translation_part"),
)


def certificate(firm: Firm) -> dict[str, Any]:
    ids = firm.ids
    return {
        "number": "国械注准20260001", "authority": "NMPA", "kind": "NMPA_reg", "holder": ids["legal"],
        "items": [ids["pump"]], "issued_on": TODAY, "expires_on": LATER, "file": [dict(A_FILE)],
    }  # fmt: skip


async def test_a_filing_from_cause_to_publication(database: TestDatabase) -> None:
    firm = await opened(database)
    ids, cause = firm.ids, AnyRef("item", firm.ids["pump"])
    due = TODAY + timedelta(days=90)
    task = await firm.creates("ra_specialist", "filing_task", subject="输液泵变更", market="CN", trigger=cause, due=due)
    nodes = [{"toc": "标签", "document_revision": ids["label"]}]
    dossier = await firm.creates(
        "ra_specialist", "registration_dossier", subject="输液泵变更", market="CN", kind="new", nodes=nodes,
        compiled_by=firm.employees["ra_specialist"],
    )  # fmt: skip
    refused = await firm.refusal(firm.does("ra_specialist", "plan", strategy="变更注册"))
    assert refused == "NOT_FINISHED", "a dossier is named"
    await firm.does("ra_specialist", "plan", strategy="变更注册", dossier=dossier)
    await firm.does("ra_manager", "approve_plan", "approve")
    assert await firm.state("registration_dossier", dossier) == "compiling"
    for login, step in COLLECTORS:
        await firm.does(login, step)
    assert await firm.refusal(firm.does("ra_specialist", "assemble")) == "NOT_FINISHED", "a node is not confirmed"
    (node,) = await firm.all("registration_dossier_nodes")
    confirmed = {"update": [{"id": node["id"], "ok": True}]}
    await firm.updates("ra_specialist", "registration_dossier", dossier, nodes=confirmed)
    await firm.does("ra_specialist", "assemble")
    await firm.does("qa_manager", "review", "return", comment="引用旧标准")
    assert await firm.state("registration_dossier", dossier) == "compiling"
    await firm.does("ra_specialist", "assemble")
    await firm.does("qa_manager", "review", "pass")
    await firm.does("ra_manager", "review", "pass")
    await firm.does("ra_manager", "sign_off", "approve")
    assert await firm.state("registration_dossier", dossier) == "reviewing", "two of two sign"
    await firm.does("management_representative", "sign_off", "approve")
    assert await firm.state("registration_dossier", dossier) == "signed"
    assert (await firm.record("registration_dossier", dossier))["snapshot_sha256"], "what is signed has its digest"

    await firm.does("ra_specialist", "submit")
    assert await firm.state("filing_task", task) == "submitted"
    question = [{"question": "稳定性?", "asked_on": TODAY, "due": TODAY}]
    await firm.does("ra_specialist", "decision", "question", authority_qa=question)
    assert await firm.refusal(firm.does("ra_specialist", "answer")) == "NOT_FINISHED", "the question is open"
    (asked,) = await firm.all("filing_task_authority_qa")
    await firm.does("ra_specialist", "answer", authority_qa={"update": [{"id": asked["id"], "answered_on": TODAY}]})
    await firm.does("ra_specialist", "decision", "accept")
    assert await firm.state("filing_task", task) == "submitted", "the certificate is recorded first"
    paper = await firm.creates("ra_specialist", "registration", **certificate(firm))
    granted = {"acceptance_no": "CQZ2600001", "registration": paper}
    own = await firm.refusal(firm.does("ra_specialist", "record", **granted))
    assert own == "NOT_FINISHED", "whoever entered it does not put it in force"
    await firm.does("ra_manager", "record", **granted)
    assert await firm.state("registration", paper) == "active"
    assert await firm.state("filing_task", task) == "accepted"
    assert await firm.state("registration_dossier", dossier) == "accepted"
    for login, step in (
        ("ra_specialist", "udi_part"),
        ("doc_controller", "labels_part"),
        ("data_steward", "master_part"),
    ):
        await firm.does(login, step)
    await firm.does("ra_manager", "close")
    assert await firm.state("filing_task", task) == "closed"
    assert await firm.ends() == {"regulatory_filing": ("ended", "closed")}
    signed = sorted(await firm.rows(system.signature), key=lambda each: each["signed_at"])
    assert [(each["action"].split(".")[-1].split("/")[-1], each["role"], each["meaning"]) for each in signed] == [
        ("approve_plan", "ra_manager", "approval"),
        ("sign_off", "ra_manager", "approval"),
        ("sign_off", "management_representative", "approval"),
        ("udi_part", "ra_specialist", "responsibility"),
        ("labels_part", "doc_controller", "responsibility"),
        ("master_part", "data_steward", "responsibility"),
    ]
