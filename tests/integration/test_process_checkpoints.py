"""Checkpoints as they are kept: in the timeline and in the trail when passed, an incident for an operator when not."""

from __future__ import annotations

import pytest
from tests.integration.process_world import small_works

from clew.audit.leaf import told
from clew.storage import process_tables, system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

STEPS = """\
  route: {decide: [{when: serious, then: look}, {then: tell}]}
  look: {who: clerk, output: [title], checkpoint: {clause: ['ISO 13485:2016 8.3', SOP-7], before: [closed]}}
  tell: {who: clerk, then: finished}
  finished: {end: closed}
"""


async def test_a_checkpoint_is_kept_with_its_clause_and_the_version_it_was_passed_over(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, "", {"clerk": ["ann"]})
    case = await made.plant.commands.create(made.call("ann"), "case", {"serious": True})
    process = (await made.processes.start(made.call("ann"), "handling", case.id)).process
    await made.decide("ann", given={"title": "seen"})
    lines = [each for each in await made.plant.rows(process_tables.process_log) if each["what"] == "checkpoint"]
    assert [(each["step"], each["outcome"], each["actor"]) for each in lines] == [
        ("look", "ISO 13485:2016 8.3, SOP-7", made.people["ann"].id)
    ]
    [leaf] = [each for each in await made.plant.rows(system.leaf) if each["action"] == "process:checkpoint"]
    assert (leaf["entity"], leaf["record_id"]) == ("clew.process", process)
    kept = told(leaf["fields"])
    assert kept == {
        "workflow": "handling", "step": "look", "clause": "ISO 13485:2016 8.3, SOP-7", "entity": "case",
        "record": str(case.id), "row_version": 2,
    }  # fmt: skip
    await made.decide("ann")
    [instance] = await made.instances()
    assert (instance["status"], instance["outcome"]) == ("ended", "closed")


async def test_what_would_end_past_one_waits_for_an_operator(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, "", {"clerk": ["ann"]})
    case = await made.plant.commands.create(made.call("ann"), "case", {"serious": False})
    await made.processes.start(made.call("ann"), "handling", case.id)
    await made.decide("ann")
    [instance] = await made.instances()
    [incident] = instance["state"]["incidents"]
    assert instance["status"] == "running"
    assert (incident["kind"], incident["detail"]) == ("checkpoint", "look: ISO 13485:2016 8.3, SOP-7")
    assert not [each for each in await made.plant.rows(system.leaf) if each["action"] == "process:checkpoint"]
