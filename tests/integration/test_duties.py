"""Segregation of duties per record: refused whoever one is today, whatever the role, and however close the race."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from write_journey import Plant, context, plant

from clew.access.loading import load_bundle
from clew.kernel.context import Person
from clew.kernel.ids import uuid7
from clew.records.commands import Outcome
from clew.records.decisions import stored
from clew.records.decisions.replay import Replay, Replayer
from clew.records.duties import Duties
from clew.records.errors import SeparationOfDuties
from clew.storage import identity_tables, system
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

PROJECT = {
    "clew.yaml": "project: sample\nlabel: {zh: 样例, en: Sample}\n",
    "models/m.yaml": """\
entity: lot
label: {zh: 批次, en: Lot}
key: [code]
states: {open: {zh: 开, en: Open}, released: {zh: 已放行, en: Released}}
transitions: {release: {from: open, to: released, label: {zh: 放行, en: release}}}
fields: {code: {type: text, required: true, label: {zh: 编码, en: Code}}}
---
entity: inspection
label: {zh: 检验, en: Inspection}
key: [code]
states: {open: {zh: 开, en: Open}, judged: {zh: 已判, en: Judged}}
transitions: {judge: {from: open, to: judged, label: {zh: 判定, en: judge}}}
fields:
  code: {type: text, required: true, label: {zh: 编码, en: Code}}
  lot: {type: ref, of: lot, label: {zh: 批次, en: Lot}}
---
entity: release_decision
label: {zh: 放行决定, en: Release decision}
key: [code]
fields:
  code: {type: text, required: true, label: {zh: 编码, en: Code}}
  lots: {type: many, of: lot, label: {zh: 批次, en: Lots}}
---
entity: result
label: {zh: 结果, en: Result}
key: [code]
fields:
  code: {type: text, required: true, label: {zh: 编码, en: Code}}
  inspection: {type: ref, of: inspection, label: {zh: 检验, en: Inspection}}
""",
    "permissions/p.yaml": """\
role: releaser
label: {zh: 放行人, en: Releaser}
may: {lot: {do: [release]}}
---
separation: inspector_is_not_releaser
label: {zh: 检验与放行分离, en: The inspector is not the releaser}
duties:
  inspector:
    - {of: inspection, do: [judge], about: lot}
    - {of: result, do: create, about: inspection.lot}
  releaser:
    - {of: lot, do: release}
    - {of: release_decision, do: create, about: lots}
---
separation: judge_is_not_tester
label: {zh: 测试与判定分离, en: The tester does not judge}
duties:
  tester: [{of: result, do: create, about: inspection}]
  judge: [{of: inspection, do: judge}]
""",
}
WANG = Person(uuid7(), "wang", "王工")
LI = Person(uuid7(), "li", "李工")


@pytest.fixture
async def scene(database: TestDatabase) -> AsyncIterator[Plant]:
    blueprint = load_bundle(PROJECT).blueprint
    assert blueprint is not None
    assert blueprint.policies is not None
    opened = await database.open()
    made = await plant(opened, blueprint=blueprint, participants=[Duties(blueprint.policies)], furnish=False)
    yield made
    for each in await replays(made) if "altered" not in made.ids else ():
        # What was decided by other rules than the release's cannot be decided again.
        if each.decision.said()["blueprint"] == made.blueprint.digest:
            assert each.faithful, (each.decision.said(), each.then, each.unfaithful)
    await opened.close()


async def replays(scene: Plant, now: Person | None = None) -> list[Replay]:
    """Everything decided, decided again: by the ledger as it was then, and, by somebody as they are now, as it is."""

    async def person_now(_connection: Connection, _account: UUID) -> Person | None:
        return now

    replayer = Replayer(scene.commands.engine, lambda _blueprint: lambda _context: scene.decision, person_now)
    ids = sorted(row["decision_id"] for row in await scene.rows(system.decision))
    async with scene.database.read() as connection:
        return [await replayer.replay(connection, await stored.one(connection, each)) for each in ids]


async def make(scene: Plant, who: Person, entity: str, **given: Any) -> Outcome:
    call = replace(scene.call, context=context(who))
    return await scene.commands.create(call, entity, {"code": str(uuid7()), **given})


async def move(scene: Plant, who: Person, entity: str, record: UUID, name: str) -> Outcome:
    version = (await scene.current(entity))[record]["row_version"]
    return await scene.commands.transition(replace(scene.call, context=context(who)), entity, record, name, version)


async def inspected(scene: Plant, who: Person, lot: UUID) -> UUID:
    inspection = (await make(scene, who, "inspection", lot=lot)).id
    await move(scene, who, "inspection", inspection, "judge")
    return inspection


async def test_the_inspector_does_not_release_the_same_lot(scene: Plant) -> None:
    first, second = [(await make(scene, LI, "lot")).id for _ in range(2)]
    await inspected(scene, WANG, first)
    with pytest.raises(SeparationOfDuties) as refused:
        await move(scene, WANG, "lot", first, "release")
    assert "The inspector is not the releaser: Inspection: judge was done by you" in refused.value.message("en")
    assert "Lot: release of the same Lot" in refused.value.message("en")
    assert "检验与放行分离" in refused.value.message("zh")
    assert "检验·判定" in refused.value.message("zh")
    assert (await scene.current("lot"))[first]["state"] == "open", "nothing was written"
    await move(scene, WANG, "lot", second, "release")
    await move(scene, LI, "lot", first, "release")
    rows = await scene.rows(system.duty)
    judged = rows_of(rows, "judge")
    assert sorted((row["duty"], row["account"], row["subject"]) for row in rows) == sorted(
        [
            ("inspector", WANG.id, first),
            ("judge", WANG.id, judged),
            ("releaser", WANG.id, second),
            ("releaser", LI.id, first),
        ]
    )


def rows_of(rows: list[dict[str, Any]], duty: str) -> UUID:
    (found,) = [row["subject"] for row in rows if row["duty"] == duty]
    assert isinstance(found, UUID)
    return found


async def test_it_holds_the_other_way_round_and_over_links(scene: Plant) -> None:
    lots = [(await make(scene, LI, "lot")).id for _ in range(3)]
    await make(scene, WANG, "release_decision", lots=lots[:2])
    inspection = (await make(scene, LI, "inspection", lot=lots[1])).id
    with pytest.raises(SeparationOfDuties):
        await make(scene, WANG, "result", inspection=inspection)
    with pytest.raises(SeparationOfDuties):
        await move(scene, WANG, "inspection", inspection, "judge")
    other = (await make(scene, LI, "inspection", lot=lots[2])).id
    await make(scene, WANG, "result", inspection=other)
    await make(scene, WANG, "result", inspection=other)  # the same duty again
    with pytest.raises(SeparationOfDuties) as refused:
        await move(scene, WANG, "inspection", other, "judge")
    assert refused.value.message("en").startswith("The tester does not judge")


async def test_a_record_that_comes_to_its_subject_later_was_made_about_it(scene: Plant) -> None:
    lot = (await make(scene, LI, "lot")).id
    inspection = (await make(scene, LI, "inspection", lot=lot)).id
    result = (await make(scene, WANG, "result")).id
    call = replace(scene.call, context=context(LI))
    await scene.commands.update(call, "result", result, 1, {"inspection": inspection})
    for who in (WANG, LI):
        with pytest.raises(SeparationOfDuties):
            await move(scene, who, "lot", lot, "release")


async def test_a_link_added_later_is_a_duty_about_it_too(scene: Plant) -> None:
    first, second = [(await make(scene, LI, "lot")).id for _ in range(2)]
    decision = (await make(scene, WANG, "release_decision", lots=[first])).id
    await inspected(scene, WANG, second)
    for who in (WANG, LI):
        call = replace(scene.call, context=context(who))
        with pytest.raises(SeparationOfDuties):
            await scene.commands.update(call, "release_decision", decision, 1, {"lots": {"add": [second]}})
    other = (await make(scene, LI, "lot")).id
    call = replace(scene.call, context=context(LI))
    await scene.commands.update(call, "release_decision", decision, 1, {"lots": {"add": [other]}})
    inspection = (await make(scene, WANG, "inspection", lot=other)).id
    for who in (WANG, LI):
        with pytest.raises(SeparationOfDuties):
            await move(scene, who, "inspection", inspection, "judge")
    # What is not about another lot is no duty: the record is changed by whoever may.
    third = Person(uuid7(), "third", "Third")
    call = replace(scene.call, context=context(third))
    await scene.commands.update(call, "release_decision", decision, 2, {"code": "D2"})
    await move(scene, third, "inspection", inspection, "judge")


async def test_another_account_of_the_same_employee_is_the_same_person(scene: Plant) -> None:
    lot = (await make(scene, LI, "lot")).id
    employee = uuid7()
    await inspected(scene, replace(WANG, employee=employee), lot)
    with pytest.raises(SeparationOfDuties):
        await move(scene, replace(LI, id=uuid7(), employee=employee), "lot", lot, "release")
    await move(scene, replace(LI, employee=uuid7()), "lot", lot, "release")


async def test_a_deputy_inherits_what_the_delegator_has_done(scene: Plant) -> None:
    lot = (await make(scene, LI, "lot")).id
    await inspected(scene, WANG, lot)
    deputy = Person(uuid7(), "deputy", "Deputy", ("releaser",))
    await delegate(scene, WANG, deputy)
    with pytest.raises(SeparationOfDuties):
        await move(scene, deputy, "lot", lot, "release")
    await end_delegations(scene)
    await move(scene, deputy, "lot", lot, "release")


async def test_what_is_done_on_behalf_is_done_by_both(scene: Plant) -> None:
    lot = (await make(scene, LI, "lot")).id
    inspection = (await make(scene, LI, "inspection", lot=lot)).id
    call = replace(scene.call, context=replace(context(LI), on_behalf_of=WANG))
    await scene.commands.transition(call, "inspection", inspection, "judge", 1)
    for who in (WANG, LI):
        with pytest.raises(SeparationOfDuties):
            await move(scene, who, "lot", lot, "release")


async def test_what_a_deputy_does_by_the_delegated_role_binds_the_delegator(scene: Plant) -> None:
    lot, other = [(await make(scene, LI, "lot")).id for _ in range(2)]
    deputy = Person(uuid7(), "deputy", "Deputy", ("releaser",))
    await delegate(scene, WANG, deputy)
    await move(scene, deputy, "lot", lot, "release")
    await inspected(scene, deputy, other)
    await end_delegations(scene)
    inspection = (await make(scene, LI, "inspection", lot=lot)).id
    for who in (WANG, deputy):
        with pytest.raises(SeparationOfDuties):
            await move(scene, who, "inspection", inspection, "judge")
    # The delegated role may not judge: that was the deputy's own act.
    await move(scene, WANG, "lot", other, "release")


async def test_replay_asks_the_ledger_as_it_was_and_as_it_is(scene: Plant) -> None:
    """Not taken over from what was kept: asked of the duties of then, and of those that came later."""
    lot = (await make(scene, LI, "lot")).id
    await move(scene, WANG, "lot", lot, "release")
    inspection = (await make(scene, LI, "inspection", lot=lot)).id
    with pytest.raises(SeparationOfDuties):
        await move(scene, WANG, "inspection", inspection, "judge")
    await move(scene, LI, "inspection", inspection, "judge")
    released, refused, judged = await replays(scene)
    key = ("separation", "inspector_is_not_releaser", "before")
    for found, held in ((released, True), (refused, False), (judged, True)):
        answer = found.then.answer(key)
        assert answer is not None
        assert (answer.again, answer.held) == (True, held)
    earlier = refused.then.answer(key)
    assert earlier is not None
    assert (earlier.facts["earlier"]["entity"], earlier.facts["earlier"]["action"]) == ("lot", "release")
    # Li's judging keeps Li from releasing that lot now; what Wang's release wrote itself is no reason against it.
    later = (await replays(scene, now=LI))[0]
    assert later.now is not None
    today = later.now.answer(key)
    assert today is not None
    assert (today.held, today.facts["earlier"]["action"]) == (False, "judge")
    assert ("check", "separation inspector_is_not_releaser") in {(each.what, each.name) for each in later.differences}
    same = (await replays(scene, now=WANG))[0]
    assert same.now is not None
    mine = same.now.answer(key)
    assert mine is not None
    assert mine.held


async def test_a_separation_that_was_not_refused_is_not_faithful(scene: Plant) -> None:
    """A duty that stood in the ledger and did not stop the act: replay finds it."""
    lot = (await make(scene, LI, "lot")).id
    await move(scene, WANG, "lot", lot, "release")
    scene.ids["altered"] = lot
    [row] = await scene.rows(system.duty)
    before = {**row, "id": uuid7(), "duty": "inspector", "action": "judge", "at": row["at"] - timedelta(hours=1)}
    async with scene.database.write() as connection:
        await connection.execute(sa.insert(system.duty).values(**before))
    [found] = await replays(scene)
    assert found.unfaithful == ("separation inspector_is_not_releaser answers differently",)


async def test_an_import_is_held_against_who_imports(scene: Plant) -> None:
    lot = (await make(scene, LI, "lot")).id
    inspection = (await make(scene, LI, "inspection", lot=lot)).id
    call = replace(scene.call, context=context(WANG), foreign=True)
    await scene.commands.transition(call, "inspection", inspection, "judge", 1)
    with pytest.raises(SeparationOfDuties):
        await scene.commands.transition(call, "lot", lot, "release", 1)


async def test_the_operator_is_exempt_and_the_trail_says_so(database: TestDatabase) -> None:
    blueprint = load_bundle(PROJECT).blueprint
    assert blueprint is not None
    assert blueprint.policies is not None
    opened = await database.open()
    ledger = Duties(blueprint.policies, (WANG.id,))
    scene = await plant(opened, blueprint=blueprint, participants=[ledger], furnish=False)
    lot = (await make(scene, LI, "lot")).id
    await inspected(scene, WANG, lot)
    await move(scene, WANG, "lot", lot, "release")
    assert [row for row in await scene.rows(system.duty) if row["account"] == WANG.id] == []
    told = [row for row in await scene.rows(system.leaf) if row["action"] == "duties:exempt"]
    assert {row["record_id"] for row in told} >= {lot}
    assert {row["actor"] for row in told} == {WANG.id}
    # Through the server the same account is bound like anybody.
    at_door = replace(scene.call, context=replace(context(WANG), channel="api"))
    lot = (await make(scene, LI, "lot")).id
    inspection = (await make(scene, LI, "inspection", lot=lot)).id
    await scene.commands.transition(at_door, "inspection", inspection, "judge", 1)
    with pytest.raises(SeparationOfDuties):
        await scene.commands.transition(at_door, "lot", lot, "release", 1)
    await opened.close()


async def anew(scene: Plant, was: str, becomes: str) -> Plant:
    """The same database under policies in which one thing is written otherwise."""
    text = PROJECT["permissions/p.yaml"]
    assert was in text
    blueprint = load_bundle({**PROJECT, "permissions/p.yaml": text.replace(was, becomes)}).blueprint
    assert blueprint is not None
    assert blueprint.policies is not None
    ledger = Duties(blueprint.policies)
    return await plant(scene.database, blueprint=blueprint, participants=[ledger], fresh=False)


async def test_a_separation_keeps_its_ledger_under_another_name(scene: Plant) -> None:
    first, second = [(await make(scene, LI, "lot")).id for _ in range(2)]
    await inspected(scene, WANG, first)
    await make(scene, WANG, "release_decision", lots=[second])
    inspection = (await make(scene, LI, "inspection", lot=second)).id
    old, new = "separation: inspector_is_not_releaser", "separation: apart"
    renamed = await anew(scene, old, f"{new}\nrenamed_from: inspector_is_not_releaser")
    with pytest.raises(SeparationOfDuties):
        await move(renamed, WANG, "lot", first, "release")
    # A name of a duty that is gone is known by its act: the same duty again is no other one.
    other = await anew(scene, f"{old}\n", f"{new}\nrenamed_from: [inspector_is_not_releaser]\n")
    reworded = await anew(scene, "  releaser:\n", "  letter_go:\n")
    with pytest.raises(SeparationOfDuties):
        await move(other, WANG, "inspection", inspection, "judge")
    await move(reworded, WANG, "lot", second, "release")
    with pytest.raises(SeparationOfDuties):
        await move(reworded, WANG, "inspection", inspection, "judge")
    # Without saying so it is another separation, with a ledger of its own.
    await move(await anew(scene, old, new), WANG, "lot", first, "release")


async def test_a_separation_begins_on_its_day_and_knows_what_was_done_before(scene: Plant) -> None:
    first, second = [(await make(scene, LI, "lot")).id for _ in range(2)]
    named = "label: {zh: 检验与放行分离, en: The inspector is not the releaser}\n"
    ahead = await anew(scene, named, f"{named}active: {{from: 2999-01-01}}\n")
    begun = await anew(scene, named, f"{named}active: {{from: 2020-01-01}}\n")
    for lot in (first, second):
        await inspected(ahead, WANG, lot)
    await move(ahead, WANG, "lot", first, "release")
    with pytest.raises(SeparationOfDuties):
        await move(begun, WANG, "lot", second, "release")


async def test_two_acts_at_once_do_not_slip_through(scene: Plant, tier: Tier) -> None:
    """The same person judges and releases at the same moment: one of the two, never both."""
    for _ in range(tier.count(8, 500)):
        lot = (await make(scene, LI, "lot")).id
        inspection = (await make(scene, LI, "inspection", lot=lot)).id
        outcomes = await asyncio.gather(
            move(scene, WANG, "inspection", inspection, "judge"),
            move(scene, WANG, "lot", lot, "release"),
            return_exceptions=True,
        )
        refused = [each for each in outcomes if isinstance(each, BaseException)]
        assert [type(each) for each in refused] == [SeparationOfDuties], outcomes
        rows = [row for row in await scene.rows(system.duty) if row["subject"] == lot]
        assert len(rows) == 1


async def delegate(scene: Plant, giver: Person, deputy: Person) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    assigned = {
        "id": uuid7(), "account": deputy.id, "role": "releaser", "kind": "delegation", "state": "active",
        "valid_from": start, "delegator": giver.id, "requested_by": giver.id, "requested_at": start, "reason": "leave",
        "granted_by": giver.id, "granted_at": start,
    }  # fmt: skip
    account = {
        "id": giver.id, "login": giver.login, "name": giver.name, "kind": "person", "state": "active", "epoch": 0,
        "facts": {}, "created_at": start,
    }  # fmt: skip

    async def write(connection: Any) -> None:
        await connection.execute(sa.insert(identity_tables.account).values(**account))
        await connection.execute(sa.insert(identity_tables.assignment).values(**assigned))

    await scene.database.run_write(write)


async def end_delegations(scene: Plant) -> None:
    async def write(connection: Any) -> None:
        given, at = identity_tables.assignment, await connection.now()
        ended = sa.update(given).values(state="ended", ended_at=at).where(given.c.kind == "delegation")
        await connection.execute(ended)

    await scene.database.run_write(write)
