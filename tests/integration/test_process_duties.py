"""Duties in processes are those of who does the step, not of who did the one before, and of everybody who votes."""

from __future__ import annotations

import pytest
from tests.integration.process_world import small_works

from clew.metadata.blueprint import Entity
from clew.records.participants import Change, Quiet
from clew.records.unit import Unit
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

STEPS = """\
  first: {who: clerk}
  second: {who: smith, state: {started: checked}}
  board:
    countersign: {posts: [boss, chief], enough: 2}
    sign: approval
    state: {approve: closed}
    then: {reject: second}
"""
PEOPLE = {"clerk": ("ann",), "smith": ("bob",), "boss": ("cid",), "chief": ("dan",)}


class Ledger(Quiet):
    """Remembers who answers for what, as the ledger of duties does."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str]] = []

    def wants(self, entity: Entity) -> bool:
        return entity.name == "case"

    async def effect(self, change: Change, unit: Unit) -> None:
        if change.transition is not None and not unit.unanswered:
            self.kept.append((unit.context.person.login, change.transition.name))

    async def answered(self, change: Change, unit: Unit) -> None:
        assert change.transition is not None
        self.kept.append((unit.context.person.login, change.transition.name))


async def test_who_does_a_step_answers_for_the_state_it_began_with(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people=PEOPLE)
    ledger = Ledger()
    made.plant.commands.engine._participants["case"] = (*made.plant.commands.engine.participants("case"), ledger)
    await made.a_case("ann")
    await made.decide("ann")
    assert ledger.kept == [], "the process moved the record; nobody has done the step"
    await made.decide("bob")
    assert ledger.kept == [("bob", "check")]
    await made.decide("cid", "approve")
    await made.decide("dan", "approve")
    assert set(ledger.kept[1:]) == {("cid", "close"), ("dan", "close")}, "each vote answers, not the last one alone"
