"""A filing from its cause to publication, with a dossier that comes back once and a question of the authority."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.acceptance.fixed_staff import done, ends, record, staffed
from tests.integration.pack_world import TODAY, AnyRef, pack_plant

from clew.kernel.errors import ClewError
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

COLLECTORS = ("rd_engineer", "quality_engineer", "medical_reviewer", "process_engineer", "document_author")


async def test_a_filing_from_cause_to_publication(database: TestDatabase) -> None:
    made = staffed(await pack_plant(await database.open()), "cause")
    ids, create = made.plant.ids, made.plant.commands.create
    given = {"subject": "输液泵变更", "market": "CN", "trigger": AnyRef("item", ids["pump"])}
    task = (await create(made.call("cause"), "filing_task", {**given, "due": TODAY + timedelta(days=90)})).id
    nodes = [{"toc": "标签", "document_revision": ids["label"]}]
    given = {"subject": "输液泵变更", "market": "CN", "kind": "new", "nodes": nodes, "compiled_by": ids["zhao"]}
    dossier = (await create(made.call("ra_specialist"), "registration_dossier", given)).id

    with pytest.raises(ClewError) as refused:
        await done(made, "ra_specialist", strategy="变更注册")
    assert refused.value.code == "NOT_FINISHED", "a dossier is named"
    await done(made, "ra_specialist", strategy="变更注册", dossier=dossier)
    await done(made, "ra_manager", "approve")
    assert (await record(made, "registration_dossier", dossier))["state"] == "compiling"
    for login in COLLECTORS:
        await done(made, login)
    with pytest.raises(ClewError) as refused:
        await done(made, "ra_specialist", step="assemble")
    assert refused.value.code == "NOT_FINISHED", "a node is not confirmed"
    (node,) = (await made.plant.current("registration_dossier_nodes")).values()
    held = await record(made, "registration_dossier", dossier)
    change = {"nodes": {"update": [{"id": node["id"], "ok": True}]}}
    await made.plant.commands.update(
        made.call("ra_specialist"), "registration_dossier", dossier, held["row_version"], change
    )
    await done(made, "ra_specialist", step="assemble")
    await done(made, "qa_manager", "return", comment="引用旧标准")
    assert (await record(made, "registration_dossier", dossier))["state"] == "compiling"
    await done(made, "ra_specialist", step="assemble")
    await done(made, "qa_manager", "pass")
    await done(made, "ra_manager", "pass")
    await done(made, "ra_manager", "approve")
    assert (await record(made, "registration_dossier", dossier))["state"] == "reviewing", "two of two sign"
    await done(made, "management_representative", "approve")
    assert (await record(made, "registration_dossier", dossier))["state"] == "signed"

    await done(made, "ra_specialist", step="submit")
    assert (await record(made, "filing_task", task))["state"] == "submitted"
    await done(
        made, "ra_specialist", "question", authority_qa=[{"question": "稳定性?", "asked_on": TODAY, "due": TODAY}]
    )
    with pytest.raises(ClewError) as refused:
        await done(made, "ra_specialist", step="answer")
    assert refused.value.code == "NOT_FINISHED", "the question is open"
    (asked,) = (await made.plant.current("filing_task_authority_qa")).values()
    answered = {"update": [{"id": asked["id"], "answered_on": TODAY}]}
    await done(made, "ra_specialist", step="answer", authority_qa=answered)
    await done(made, "ra_specialist", "accept", acceptance_no="CQZ2600001")
    assert (await record(made, "filing_task", task))["state"] == "accepted"
    assert (await record(made, "registration_dossier", dossier))["state"] == "accepted"
    for login in ("ra_specialist", "doc_controller", "data_steward"):
        await done(made, login)
    await done(made, "ra_manager")
    assert (await record(made, "filing_task", task))["state"] == "closed"
    assert await ends(made) == {"regulatory_filing": ("ended", "closed")}
    signed = list(dict.fromkeys(made.signer.signed))
    assert [what.partition(".")[2] for what, _ in signed] == [
        "approve_plan:ra_manager",
        "sign_off:ra_manager",
        "sign_off:management_representative",
        "publish/udi/udi_part:ra_specialist",
        "publish/labels/labels_part:doc_controller",
        "publish/master/master_part:data_steward",
    ]
