"""A nonconformance from finding to closing, with its board, its holds and its signatures, on both databases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from tests.integration.process_world import Works, small_works, works

from clew.kernel.errors import ClewError
from clew.process import words
from clew.storage import process_tables
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def open_ncr(made: Works, **values: Any) -> UUID:
    """Somebody finds a scratch on the good lot."""
    ids = made.plant.ids
    given = {
        "site": ids["site"],
        "source": "IQC",
        "item": ids["steel"],
        "lots": [ids["good"]],
        "description": "划伤",
        "defect": ids["defect"],
        "severity": "major",
        "found_by": ids["li"],
        **values,
    }
    outcome = await made.plant.commands.create(made.call("ann"), "nonconformance", given)
    return outcome.id


async def refused(work: Any) -> str:
    with pytest.raises(ClewError) as found:
        await work
    return found.value.code


async def to_the_board(made: Works) -> None:
    await made.decide("ann", given={"containment": "隔离区"})
    await made.decide("cid", given={"root_cause": "夹具磨损", "risk_looked_up": True})


async def test_who_cancels_a_process_does_not_sign_alone_what_it_would_have_asked_of_several(
    database: TestDatabase,
) -> None:
    """Nor does anybody else: without a process nobody is a board by himself. Begun anew, it asks the board again."""
    made = await works(database)
    ncr = await open_ncr(made)
    await to_the_board(made)
    (instance,) = await made.instances()
    await made.give("dan", instance["id"], lambda actor, at: words.Cancel(actor, at, "quicker by hand"), ["c"])
    concession = {"disposition": "rework", "rework_instruction": made.plant.ids["label"], "rework_effect": "无"}
    call = replace(made.call("dan"), reason="评审")
    version = (await made.plant.current("nonconformance"))[ncr]["row_version"]
    await made.plant.commands.update(call, "nonconformance", ncr, version, concession)
    decide = made.plant.commands.transition
    deputy = replace(call, context=replace(call.context, person=made.people["eve"], on_behalf_of=made.people["dan"]))
    for one in (call, deputy, replace(made.call("eve"), reason="评审"), replace(call, foreign=True)):
        assert await refused(decide(one, "nonconformance", ncr, "decide", version + 1)) == "TAKES_SEVERAL"
    await made.processes.start(made.call("ann"), "nonconformance_handling", ncr)
    assert {each["step"] for each in await made.tasks()} == {"board"}
    for login in ("eve", "gus"):
        await made.decide(login, "rework")
    assert (await made.plant.current("nonconformance"))[ncr]["state"] == "board"
    await made.decide("dan", "rework")
    assert (await made.plant.current("nonconformance"))[ncr]["state"] == "executing"

    # What one alone signs in the process is by hand not signed by who has cancelled it.
    await made.decide("hal")
    (living,) = [each for each in await made.instances() if each["status"] == "running"]
    await made.give("dan", living["id"], lambda actor, at: words.Cancel(actor, at, "quicker by hand"), ["d"])
    await as_employee(made, "dan", "zhao")
    version = (await made.plant.current("nonconformance"))[ncr]["row_version"]
    verified = {"verified_by": made.plant.ids["zhao"]}
    await made.plant.commands.update(call, "nonconformance", ncr, version, verified)
    verify = decide(call, "nonconformance", ncr, "verify", version + 1)
    assert await refused(verify) == "CALLED_OFF_BY_YOU"
    await decide(replace(made.call("eve"), reason="验证"), "nonconformance", ncr, "verify", version + 1)


async def test_what_some_have_signed_is_not_changed_for_those_who_sign_after_them(database: TestDatabase) -> None:
    """A concession of one piece, signed by two, is not one of ten thousand when the third has signed."""
    made = await works(database)
    ncr = await open_ncr(made)
    await to_the_board(made)
    little = {"justification": "一件可用", "qty": "10000", "concession_qty": "1", "concession_until": "2027-01-01"}
    await made.decide("eve", "use_as_is", given=little)
    await made.decide("gus", "use_as_is")
    more = {"concession_qty": "10000"}
    assert await refused(made.decide("dan", "use_as_is", given=more)) == "SIGNED_ALREADY"
    version = (await made.plant.current("nonconformance"))[ncr]["row_version"]
    call = replace(made.call("dan"), reason="评审")
    by_hand = made.plant.commands.update(call, "nonconformance", ncr, version, more)
    assert await refused(by_hand) == "SIGNED_ALREADY"
    worse = made.plant.commands.update(call, "nonconformance", ncr, version, {"severity": "minor"})
    assert await refused(worse) == "SIGNED_ALREADY", "what they were shown is signed as well"
    await made.decide("dan", "use_as_is", given={"concession_qty": "1"})
    record = (await made.plant.current("nonconformance"))[ncr]
    assert (record["state"], record["concession_qty"]) == ("executing", 1)


async def test_a_list_some_have_signed_is_not_longer_for_those_who_sign_after_them(database: TestDatabase) -> None:
    """Two agree to the lots named only: who signs second names no further ones."""
    votes = "countersign: {posts: [clerk, boss]}, sign: approval, output: [parts], then: {approve: over, reject: over}"
    steps = f"  agree: {{{votes}}}\n  over: {{end: over}}\n"
    people = {"clerk": ("ann",), "boss": ("hal",)}
    made = await small_works(await database.open(), steps, people=people)
    one, two = [(await made.plant.commands.create(made.call("ann"), "part", {"code": code})).id for code in ("A", "B")]
    await made.a_case("ann")
    await made.decide("ann", "approve", given={"parts": [one]})
    for more in ([one, two], {"add": [two]}, []):
        assert await refused(made.decide("hal", "approve", given={"parts": more})) == "SIGNED_ALREADY"
    await made.decide("hal", "approve")
    assert [each["status"] for each in await made.instances()] == ["ended"]


async def test_a_nonconformance_from_finding_to_closing(database: TestDatabase) -> None:
    made = await works(database)
    ncr = await open_ncr(made)
    holds = [each for each in (await made.plant.current("inventory_hold")).values() if each["cause_id"] == ncr]
    assert [(each["lot"], each["state"]) for each in holds] == [(made.plant.ids["good"], "active")], "held at once"
    record = (await made.plant.current("nonconformance"))[ncr]
    assert holds[0]["thread_id"] == record["thread_id"], "one thread"
    assert holds[0]["site"] == record["site"]
    assert len(await made.tasks()) == 1

    assert await refused(made.decide("ann")) == "NOT_FINISHED", "containment must be filled in"
    assert await refused(made.decide("ann", given={"root_cause": "?"})) == "OUTPUT_NOT_ASKED"
    await to_the_board(made)
    assert (await made.plant.current("nonconformance"))[ncr]["state"] == "board"
    assert {each["post"] for each in await made.tasks()} == {
        "qa_manager",
        "rd_engineer",
        "production_supervisor",
        "ra_manager",
    }, "the lot was released once, so regulatory affairs has a vote"

    await made.decide("eve", "rework")
    assert await made.tasks("cid") == []
    rework = {"rework_instruction": made.plant.ids["label"], "rework_effect": "无影响"}
    done = await made.decide("dan", "rework", given=rework)
    assert (await made.plant.current("nonconformance"))[ncr]["state"] == "board", "it was released: not without RA"
    done = await made.decide("gus", "rework")
    record = (await made.plant.current("nonconformance"))[ncr]
    assert (record["state"], record["disposition"]) == ("executing", "rework")
    assert done.status == "running"
    assert [each for each in made.signer.signed if "board" in each[0]] == [
        ("step:nonconformance_handling.board:eve", "approval"),
        ("step:nonconformance_handling.board:dan", "approval"),
        ("step:nonconformance_handling.board:gus", "approval"),
    ]
    assert not any("transition" in each[0] for each in made.signer.signed), "the board's signatures cover the move"

    await made.decide("hal")
    await as_employee(made, "dan", "zhao")
    await made.decide("dan", "release")
    await made.decide("dan")
    mine = [each for each in (await made.plant.current("inventory_hold")).values() if each["cause_id"] == ncr]
    assert [each["state"] for each in mine] == ["released"], "its own hold, and no other"
    assert (await made.plant.current("inventory_hold"))[made.plant.ids["hold"]]["state"] == "active"
    last = await made.decide("dan")
    assert last.status == "ended"
    record = (await made.plant.current("nonconformance"))[ncr]
    assert record["state"] == "closed"
    (instance,) = await made.instances()
    assert (instance["status"], instance["outcome"]) == ("ended", "closed")
    assert await made.plant.rows(process_tables.process_timer) == []
    assert await made.plant.rows(process_tables.task_candidate) == []
    assert [each for each in await made.log() if each[0] == "decide"] == [
        ("decide", "contain", "done"),
        ("decide", "investigate", "done"),
        ("decide", "board", "rework"),
        ("decide", "board", "rework"),
        ("decide", "board", "rework"),
        ("decide", "execute", "done"),
        ("decide", "verify", "release"),
        ("decide", "unblock", "done"),
        ("decide", "close", "done"),
    ]


async def test_scrap_takes_two_and_a_critical_one_a_capa(database: TestDatabase) -> None:
    made = await works(database)
    ncr = await open_ncr(made, severity="critical", supplier=made.plant.ids["supplier"], source="supplier")
    await to_the_board(made)
    (scar,) = (await made.plant.current("scar")).values()
    assert (scar["supplier"], scar["ncr"], scar["state"]) == (made.plant.ids["supplier"], ncr, "draft")
    for login in ("eve", "fay", "gus"):
        await made.decide(login, "scrap")
    assert (await made.instances())[0]["state"]["tokens"][0]["step"] == "board", "critical: everybody must agree"
    await made.decide("dan", "scrap")
    assert {each["post"] for each in await made.tasks()} == {"warehouse", "production_supervisor"}
    await made.decide("hal", "approve")
    await made.decide("fay", "approve")
    await as_employee(made, "dan", "zhao")
    await made.decide("dan", "release")
    await made.decide("dan")
    (capa,) = (await made.plant.current("capa")).values()
    assert (await made.plant.current("nonconformance"))[ncr]["capa"] == capa["id"], "opened by the platform"


async def as_employee(made: Works, login: str, employee: str) -> None:
    made.people[login] = replace(made.people[login], employee=made.plant.ids[employee])


async def test_what_a_process_moves_nobody_else_moves(database: TestDatabase) -> None:
    made = await works(database)
    ncr = await open_ncr(made)
    by_hand = made.plant.commands.transition(made.call("ann"), "nonconformance", ncr, "contain", 1)
    assert await refused(by_hand) == "MOVED_BY_PROCESS"
    loaded = made.plant.ids["ncr"]
    assert await made.plant.commands.transition(
        made.call("ann", reason="误报"), "nonconformance", loaded, "annul", 1
    ), "without an instance it is moved by hand"
    assert await refused(made.processes.start(made.call("ann"), "nonconformance_handling", ncr)) == "ALREADY_RUNNING"


async def test_the_board_sends_it_back_and_the_record_follows(database: TestDatabase) -> None:
    made = await works(database)
    ncr = await open_ncr(made)
    await to_the_board(made)
    assert await refused(made.decide("dan", "send_back")) == "COMMENT_REQUIRED"
    await made.decide("dan", "send_back", comment="原因不充分")
    record = (await made.plant.current("nonconformance"))[ncr]
    assert record["state"] == "investigating", "who must agree has refused: it is over"
    assert [each["round"] for each in await made.tasks("cid")] == [2]
    history = await made.plant.history("nonconformance", ncr)
    assert history[-1]["state"] == "investigating"
    await made.decide("cid", given={"root_cause": "夹具磨损,未点检"})
    assert len(await made.tasks()) == 4


async def test_separation_holds_across_steps(database: TestDatabase) -> None:
    """Who investigated has no vote on the board, not even with the role."""
    made = await works(database)
    made.staff.roles["rd_engineer"] = (made.people["cid"].id, made.people["eve"].id)
    await open_ncr(made)
    await to_the_board(made)
    assert await made.tasks("cid") == []
    assert len(await made.tasks("eve")) == 1


async def test_nobody_to_ask_is_an_incident(database: TestDatabase) -> None:
    made = await works(database)
    made.staff.roles["quality_engineer"] = ()
    await open_ncr(made)
    await made.decide("ann", given={"containment": "隔离区"})
    (instance,) = await made.instances()
    assert [each["kind"] for each in instance["state"]["incidents"]] == ["nobody"]
    notices = await made.plant.rows(process_tables.notice)
    assert [each["person"] for each in notices if each["about"] == "incident"] == [made.people["dan"].id]


async def test_a_refused_effect_undoes_the_whole_decision(database: TestDatabase) -> None:
    """A critical nonconformance cannot be used as is: the vote that would make it so is not cast either."""
    made = await works(database)
    ncr = await open_ncr(made, severity="critical")
    await to_the_board(made)
    use = {"justification": "无影响", "qty": "1", "concession_qty": "1.0000", "concession_until": "2027-01-01"}
    await made.decide("eve", "use_as_is")
    await made.decide("fay", "use_as_is")
    await made.decide("gus", "use_as_is")
    before = await made.instances()
    assert await refused(made.decide("dan", "use_as_is", given=use)) == "RULE"
    assert await made.instances() == before
    assert (await made.plant.current("nonconformance"))[ncr]["state"] == "board"
    assert len(await made.tasks("dan")) == 1


async def test_the_same_key_twice_is_done_once(database: TestDatabase) -> None:
    made = await works(database)
    await open_ncr(made)
    (task,) = await made.tasks("ann")
    call = made.call("ann", idempotency_key="contain-1")
    given = {"containment": "隔离区"}
    first = await made.processes.decide(call, task["id"], "done", given)
    again = await made.processes.decide(call, task["id"], "done", given)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.process == first.process
    assert (
        await refused(made.processes.decide(call, task["id"], "done", {"containment": "别处"}))
        == "IDEMPOTENCY_KEY_REUSED"
    )
    assert [each for each in await made.log() if each[0] == "decide"] == [("decide", "contain", "done")]
