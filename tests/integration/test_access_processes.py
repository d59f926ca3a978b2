"""Processes in the access review, on both databases: who may start, cancel and oversee them, and whom steps ask."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from tests.integration.identity_case import BY_ADMIN
from tests.integration.review_world import ROLES, SEPARATIONS, World, project, world

from clew.access.review.matrix import matrix
from clew.audit.trail import record_event
from clew.identity.assignments import Asked
from clew.kernel.ids import uuid7
from clew.metadata.blueprint import Blueprint
from clew.process.engine import Processes
from clew.process.participant import ProcessParticipant
from clew.process.staff import AssignedStaff
from clew.process.words import Claim
from clew.records.participants import Participant
from clew.records.review.answer import Standing
from clew.records.review.desk import UnknownAction
from clew.records.review.difference import Comparison, Side
from clew.records.review.standing import Standings
from clew.records.review.usage import unused
from clew.storage import process_tables
from clew.storage.engine import Connection
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

WORKFLOW = """
workflow: lot_check
label: {zh: 批次检查, en: Lot check}
for: lot
owner: compliance
starts: [{person: [qc_inspector]}]
steps:
  look: {label: {zh: 查看, en: Look}, who: {role: qc_inspector, starter: true}, within: 4 wh}
  agree:
    label: {zh: 会签, en: Agree}
    countersign: {posts: [releaser], also: {sqe: "qty > 5"}}
    not_same_person_as: [look]
    sign: release
    within: 4 wh
    owner: compliance
    then: {approve: done, reject: look}
  done: {label: {zh: 完成, en: Done}, end: done}
"""


def with_process(roles: str = ROLES, workflow: str = WORKFLOW) -> Blueprint:
    return project(roles, SEPARATIONS, **{"workflows/check.yaml": workflow})


async def furnished(
    database: TestDatabase, blueprint: Blueprint | None = None, participants: Sequence[Participant] = ()
) -> World:
    made = await world(await database.open(), blueprint or with_process(), participants=participants)
    async with made.database.read() as connection:
        since = await connection.now() - timedelta(days=2)
    await made.account("ina", "qc_inspector", sites=["SHA"], valid_from=since)
    await made.account("rob", "releaser", sites=["SHA"], valid_from=since)
    await made.account("cora", "compliance", valid_from=since)
    await made.lot("here")
    await made.lot("there", "SUZ")
    return made


async def standing(made: World, login: str, action: str, target: str, lot: str | None = None) -> Standing:
    async with made.database.read() as connection:
        at = await connection.now()
        question = made.review.question(action, target)
        known = await made.review.one(connection, login, at)
        record = await made.review.record(connection, question.entity, str(made.lots[lot])) if lot else None
        return await Standings(made.review, connection, at).can(known, question, record)


async def test_who_may_start_and_cancel_a_process_and_why(database: TestDatabase) -> None:
    made = await furnished(database)
    able = await standing(made, "ina", "start", "lot_check", "here")
    assert able.allowed
    assert str(able.through[0].line.place) == "workflows/check.yaml:6:10"
    same = await standing(made, "ina", "lot_check.start", "lot", "here")
    assert (same.question, same.allowed) == (able.question, True)

    elsewhere = await standing(made, "ina", "start", "lot_check", "there")
    assert [each.code for each in elsewhere.reasons] == ["condition"]
    nothing = await standing(made, "rob", "start", "lot_check", "here")
    assert ([each.code for each in nothing.reasons], nothing.could) == (["no_grant"], ("qc_inspector",))
    # The owner may cancel, but only what runs.
    owner = await standing(made, "cora", "cancel", "lot_check", "here")
    assert [each.code for each in owner.reasons] == ["not_running"]
    assert (await standing(made, "cora", "oversee", "lot_check", "here")).allowed
    for action, target in (("fly", "lot_check"), ("lot_check.fly", "lot"), ("other.start", "lot")):
        with pytest.raises(UnknownAction):
            made.review.question(action, target)


async def running(database: TestDatabase) -> tuple[World, Processes]:
    """The furnished world with its process at work, and more people who could have a part in it."""
    blueprint = with_process()
    participant = ProcessParticipant(blueprint.workflows)
    made = await furnished(database, blueprint, (participant,))
    commands = made.plant.commands
    engine = Processes(made.database, blueprint, commands, AssignedStaff(), commands.engine.release, {})
    participant.engine = engine
    await made.account("ivy", "qc_inspector", sites=["SHA"])
    await made.account("ned", "qc_inspector", sites=["SUZ"])
    await made.account("duo", "qc_inspector", "releaser", sites=["SHA"])
    await made.account("sam", "sqe", sites=["SHA"])
    return made, engine


async def codes(made: World, login: str, step: str, lot: str | None = None) -> list[str]:
    """What stands between somebody and a step; nothing where they decide it."""
    found = await standing(made, login, "decide", f"lot_check.{step}", lot)
    assert found.allowed is not bool(found.reasons)
    return [each.code for each in found.reasons]


async def test_who_decides_a_step_and_why(database: TestDatabase) -> None:
    made, engine = await running(database)
    look = {each: await codes(made, each, "look") for each in ("ina", "rob")}
    assert look == {"ina": [], "rob": ["by_case"]}, "whoever starts it is asked too"
    assert await codes(made, "ina", "look", "here") == ["not_there"]
    with pytest.raises(UnknownAction, match="use look, agree"):
        made.review.question("decide", "lot_check.done")

    await engine.start(await made.call("ina"), "lot_check", made.lots["here"])
    able = await standing(made, "ina", "decide", "lot_check.look", "here")
    assert (able.allowed, able.words.en) == (True, "Lot check: decide “Look”")
    (link,) = able.through
    assert (link.way, str(link.line.place)) == (("qc_inspector",), "workflows/check.yaml:8:9")
    assert [(each.test.words.en, each.holds) for each in link.tried[1:]] == [("at the sites of the assignment", True)]
    assert await codes(made, "ned", "look", "here") == ["condition"]
    assert await codes(made, "rob", "look", "here") == ["no_grant"]
    assert await everybody_who(made, "look", "here") == ["duo", "ina", "ivy"]

    (task,) = await made.plant.rows(process_tables.task)
    claim = lambda instance, actor, at: Claim(task["number"], actor, at)  # noqa: E731
    await engine.act(await made.call("duo"), task["process"], claim, ["claim"])
    assert await everybody_who(made, "look", "here") == ["duo"]
    assert await codes(made, "ina", "look", "here") == ["taken"]
    await engine.decide(await made.call("duo"), task["id"], "done")
    assert await codes(made, "duo", "agree", "here") == ["apart"], "they looked, so somebody else agrees"
    assert await codes(made, "sam", "agree", "here") == ["signature"], "asked, and may not sign"
    assert await everybody_who(made, "agree", "here") == ["rob"]
    await made.account("dee")
    await lend(made, "rob", "dee", "releaser")
    assert await everybody_who(made, "agree", "here") == ["dee", "rob"], "in rob's place"


async def everybody_who(made: World, step: str, lot: str) -> list[str]:
    async with made.database.read() as connection:
        at = await connection.now()
        question = made.review.question("decide", f"lot_check.{step}")
        record = await made.review.record(connection, question.entity, str(made.lots[lot]))
        people = await made.review.everybody(connection, at)
        found = await Standings(made.review, connection, at).who_can(people, question, record)
    return [each.known.account.login for each in found]


async def lend(made: World, giver: str, taker: str, role: str) -> None:
    async def work(connection: Connection, at: datetime) -> None:
        whose, whom = made.accounts[giver].id, made.accounts[taker].id
        here = (made.plant.ids["SHA"],)
        asked = Asked(whom, role, at, at + timedelta(days=3), here, reason="annual leave", delegator=whose)
        await made.identity.assignments.delegate(connection, BY_ADMIN, asked, at)

    await made.identity.within(work)


async def test_the_matrix_tells_processes_and_whom_steps_ask(database: TestDatabase) -> None:
    made = await furnished(database)
    cells = {
        (each.role, each.action): each
        for each in matrix(made.review.judgement, ["qc_inspector", "releaser", "sqe"], ["lot"])
    }
    start = cells["qc_inspector", "process:lot_check:start"]
    assert (start.effect, start.label.en, start.when.zh) == ("conditional", "Lot check: start", "限任命的场所")
    assert cells["releaser", "process:lot_check:start"].effect == "deny"
    look = cells["qc_inspector", "step:lot_check:look"]
    assert (look.label.en, look.label.zh) == ("Lot check: decide “Look”", "批次检查:处理“查看”")
    assert look.when.en == "when the process asks, at the site of the case"
    assert cells["sqe", "step:lot_check:agree"].when.en.endswith(", and qty is more than 5")
    assert ("releaser", "step:lot_check:look") not in cells


async def test_a_change_of_who_may_start_is_a_difference(database: TestDatabase) -> None:
    made = await furnished(database)
    after = with_process(workflow=WORKFLOW.replace("person: [qc_inspector]", "person: [releaser]"))
    async with made.database.read() as connection:
        at = await connection.now()
        people = await made.review.everybody(connection, at)
        sides = (Side(made.plant.blueprint), Side(after))
        found = await Comparison(made.plant.commands.engine, connection, at, *sides).difference(people)
    told = {(each.login, each.action): (each.label.en, each.effect, each.gained, each.lost) for each in found.changes}
    assert told == {
        ("ina", "process:lot_check:start"): ("Lot check: start", "loses", 0, 1),
        ("rob", "process:lot_check:start"): ("Lot check: start", "gains", 1, 0),
    }


async def test_a_change_of_whom_a_step_asks_is_a_difference(database: TestDatabase) -> None:
    made = await furnished(database)
    await made.account("sam", "sqe", sites=["SHA"])
    after = WORKFLOW.replace("who: {role: qc_inspector, starter: true}", "who: releaser").replace("qty > 5", "qty > 6")
    async with made.database.read() as connection:
        at = await connection.now()
        people = await made.review.everybody(connection, at)
        sides = (Side(made.plant.blueprint), Side(with_process(workflow=after)))
        found = await Comparison(made.plant.commands.engine, connection, at, *sides).difference(people)
    told = {(each.login, each.action): (each.before.en, each.after.en, each.effect) for each in found.changes}
    asked = "when the process asks, at the site of the case"
    assert told == {
        ("ina", "step:lot_check:look"): (asked, "never", "changes"),
        ("rob", "step:lot_check:look"): ("never", asked, "changes"),
        ("sam", "step:lot_check:agree"): (
            f"{asked}, and qty is more than 5",
            f"{asked}, and qty is more than 6",
            "changes",
        ),
    }
    assert {each.label.en for each in found.changes} == {"Lot check: decide “Look”", "Lot check: decide “Agree”"}


async def test_processes_nobody_started_or_operated_are_unused(database: TestDatabase) -> None:
    made = await furnished(database)

    async def told() -> set[tuple[str, str]]:
        async with made.database.read() as connection:
            at = await connection.now()
            people = await made.review.everybody(connection, at)
            found = await unused(made.review, connection, people, at, 1)
        return {(each.role, each.action) for each in found if "process:" in each.action}

    start, cancel = ("qc_inspector", "process:lot_check:start"), ("compliance", "process:lot_check:cancel")
    assert await told() == {start, cancel}
    ina, cora = await made.call("ina"), await made.call("cora")
    process = str(uuid7())
    async with made.database.write() as connection:
        for call, acted, asked in (
            (ina, "process:start", '["start", "lot_check", "x"]'),
            # A remark that holds the word is no such act.
            (cora, "process:act", f'["act", "{process}", "decide", "Cancel it"]'),
        ):
            said = {"workflow": "lot_check", "asked": asked}
            await record_event(connection, call.context, "1", acted, "clew.process", None, said)
    assert await told() == {cancel}
    async with made.database.write() as connection:
        said = {"workflow": "lot_check", "asked": f'["act", "{process}", "Suspend", "waiting"]'}
        await record_event(connection, cora.context, "1", "process:act", "clew.process", None, said)
    assert await told() == set()
