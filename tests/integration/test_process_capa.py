"""Corrective action from a cause to a proof that it works, or back to the analysis, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.integration.process_world import Works, works
from tests.integration.test_process_ncr import refused
from tests.integration.test_process_time import time_passes

from clew.process import jobs
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def a_capa(made: Works) -> UUID:
    """Opened by the quality engineer for the plant's nonconformance; `ivy` is responsible."""
    made.people["ivy"] = replace(made.hire("ivy", "operator"), employee=made.plant.ids["zhao"])
    made.staff.employees[made.plant.ids["zhao"]] = made.people["ivy"].id
    outcome = await made.plant.commands.create(
        made.call("cid"),
        "capa",
        {
            "site": made.plant.ids["site"],
            "subject": "划伤",
            "kind": "corrective",
            "origins": [{"origin": {"entity": "nonconformance", "id": made.plant.ids["ncr"]}}],
            "responsible": made.plant.ids["zhao"],
            "criterion": "连续三批无划伤",
        },
    )
    return outcome.id


async def to_the_judgement(made: Works) -> None:
    today = datetime.now(UTC).date()
    done = today - timedelta(days=1)
    zhao = made.plant.ids["zhao"]
    action = {"what": "更换夹具", "responsible": zhao, "due": (today + timedelta(days=30)).isoformat()}
    await made.decide("cid")
    await made.decide("ivy", given={"root_cause": "夹具磨损", "actions": [action]})
    await made.decide("dan", "approve")
    assert await refused(made.decide("ivy")) == "NOT_FINISHED", "an action is not done"
    await made.decide("ivy", given={"actions": [{**action, "done_on": done.isoformat()}]})
    await made.decide("cid", given={"check_due": (today + timedelta(days=2)).isoformat()})
    assert (await made.instances())[0]["state"]["tokens"][0]["step"] == "observe"
    await time_passes(made, 24 * 4)
    await jobs.drain(made.processes)


async def test_an_effective_action_is_closed_by_another(database: TestDatabase) -> None:
    made = await works(database)
    capa = await a_capa(made)
    await to_the_judgement(made)
    assert await refused(made.decide("dan", "effective")) == "NOT_FINISHED", "nothing shows it yet"
    shown = [made.plant.ids[name] for name in ("good", "held", "made")]
    await made.decide("dan", "effective", given={"check_lots": shown})
    record = (await made.plant.current("capa"))[capa]
    assert (record["state"], record["check_result"]) == ("closed", "effective")
    assert (await made.instances())[0]["outcome"] == "closed"


async def test_a_plan_without_an_action_is_not_finished(database: TestDatabase) -> None:
    made = await works(database)
    await a_capa(made)
    await made.decide("cid")
    assert await refused(made.decide("ivy", given={"root_cause": "夹具磨损"})) == "NOT_FINISHED"
    (task,) = await made.tasks("ivy")
    assert task["step"] == "analyse"


async def test_what_is_not_effective_begins_again(database: TestDatabase) -> None:
    made = await works(database)
    capa = await a_capa(made)
    await to_the_judgement(made)
    await made.decide("dan", "not_effective", comment="又出现划伤")
    record = (await made.plant.current("capa"))[capa]
    assert (record["state"], record["check_result"]) == ("analysis", "not_effective")
    assert [(each["step"], each["round"]) for each in await made.tasks("ivy")] == [("analyse", 2)]
