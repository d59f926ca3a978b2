"""Many tasks by one request: each decided by itself, told row by row, signed over what each row names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.integration.process_world import StepSigner, small_works
from tests.integration.test_process_graphql import Door

from clew.api.process_batches import MOST, ProcessBatches
from clew.api.process_phrases import Phrases
from clew.kernel.context import Context
from clew.records.errors import SignatureRequired
from clew.records.signing.proven import Proof
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

STEPS = """\
  look: {who: clerk, outcomes: {done: {}, odd: {comment: required}}, output: [title], phrases: [{zh: 完好, en: Intact}]}
  sign_off: {who: head, sign: approval}
"""
HEAD = "phrases: [{en: As reported}, {zh: 完好, en: Intact}]\n"
MINE = "{ myTasks(first: 100) { id step recordId } }"
MANY = """mutation($tasks: [TaskDecisionInput!]!, $signature: TaskSignatureInput) {
  decideTasks(tasks: $tasks, signature: $signature) {
    decided refused rows { index task code message replayed process { at timeline { what outcome } } } } }"""


class Binding(StepSigner):
    """Remembers what each signature was given for; takes none without."""

    async def sign_step(
        self, unit: Any, entity: Any, record_id: Any, step: str, meaning: str, signing: Any, definition: Any
    ) -> None:
        if signing is None:
            raise SignatureRequired(transition=step, meaning=meaning)
        self.signed.append((signing.digest, signing.meaning))


class OneProver:
    """Counts how often a secret was checked."""

    def __init__(self) -> None:
        self.asked = 0

    async def prove(self, context: Context, components: Mapping[str, str]) -> Proof:
        self.asked += 1
        return Proof(context.person.id, frozenset(components), datetime.now(UTC))


@pytest.fixture
async def door(database: TestDatabase) -> Door:
    people = {"clerk": ["cat", "cy"], "head": ["hed"], "x": ["xo"]}
    made = await small_works(await database.open(), STEPS, HEAD, people)
    return Door(made, (ProcessBatches(made.processes, OneProver()),))


async def cases(door: Door, count: int) -> list[str]:
    """The tasks of so many new cases."""
    for _ in range(count):
        await door.made.a_case("cat")
    return [each["id"] for each in await door.do("cat", MINE)]


async def test_one_row_that_is_refused_stops_no_other(door: Door) -> None:
    first, second, third, fourth = await cases(door, 4)
    rows = [
        {"task": first, "outcome": "done", "input": {"title": "一"}, "idempotencyKey": "a"},
        {"task": second, "outcome": "odd"},
        {"task": "0190c000-0000-7000-8000-00000000ffff", "outcome": "done"},
        {"task": third, "outcome": "odd", "comment": "划痕"},
        {"task": fourth, "outcome": "done", "input": {"serious": True}},
    ]
    told = await door.do("cat", MANY, tasks=rows)
    assert [each["code"] for each in told["rows"]] == [
        None, "COMMENT_REQUIRED", "NO_SUCH_PROCESS", None, "OUTPUT_NOT_ASKED",
    ]  # fmt: skip
    assert (told["decided"], told["refused"]) == (2, 3)
    assert told["rows"][3]["process"]["timeline"][-1] == {"what": "decide", "outcome": "odd"}
    assert told["rows"][1]["message"], "said in words"
    assert {each["id"] for each in await door.do("cat", MINE)} == {second, fourth}, "these were left as they were"
    again = await door.do("cat", MANY, tasks=rows)
    assert [each["code"] for each in again["rows"]][::3] == [None, "TASK_GONE"], "only what has a key is repeated"
    assert again["rows"][0]["replayed"] is True
    stranger = await door.do("xo", MANY, tasks=[{"task": second, "outcome": "done"}])
    assert stranger["rows"][0]["code"] == "NO_SUCH_PROCESS"


async def test_no_more_than_can_be_overlooked(door: Door) -> None:
    (task,) = await cases(door, 1)
    row = {"task": task, "outcome": "done"}
    assert await door.code("cat", MANY, tasks=[row] * (MOST + 1)) == "BAD_INPUT"
    assert await door.code("cat", MANY, tasks=[]) == "BAD_INPUT"
    assert len(await door.do("cat", MINE)) == 1


async def test_each_row_is_signed_over_what_it_names(door: Door) -> None:
    """One secret, checked once; a row that says not what was shown is not signed."""
    signer, (batches,) = Binding(), door.further
    door.made.plant.commands.engine.signer = signer
    await door.do("cat", MANY, tasks=[{"task": each, "outcome": "done"} for each in await cases(door, 4)])
    tasks = [each["id"] for each in await door.do("hed", MINE)]
    rows = [{"task": each, "outcome": "done", "rowVersion": 1} for each in tasks]
    rows[0] |= {"digest": "d0", "meaning": "approval"}
    rows[1] |= {"digest": "d1", "meaning": "approval"}
    rows[3] |= {"digest": "d3"}
    secret = {"login": "hed", "password": "s"}
    told = await door.do("hed", MANY, tasks=rows, signature=secret)
    assert [each["code"] for each in told["rows"]] == [None, None, "SIGNATURE_REQUIRED", "BAD_INPUT"]
    assert signer.signed == [("d0", "approval"), ("d1", "approval")]
    assert batches.prover.asked == 1
    rows = [{**rows[2], "digest": "d2", "meaning": "approval"}]
    assert (await door.do("hed", MANY, tasks=rows))["rows"][0]["code"] == "SIGNATURE_REQUIRED", "no secret at all"
    assert await door.code("hed", MANY, tasks=rows, signature={"login": "hed"}) == "SIGNATURE_COMPONENTS"
    written = MANY.replace(", $signature: TaskSignatureInput", "").replace("$signature", '{pin: "1"}')
    assert await door.code("hed", written, tasks=rows) == "SECRET_IN_DOCUMENT"


async def test_words_are_offered_for_the_comment(door: Door) -> None:
    """Those of the step first, none twice."""
    await cases(door, 1)
    (task,) = await door.do("cat", "{ myTasks { phrases } }")
    assert task["phrases"] == ["Intact", "As reported"]


async def test_words_of_ones_own_are_nobody_elses(door: Door) -> None:
    mine = Door(door.made, (Phrases(door.made.plant.database),))
    keep, listed = "mutation($t: String!) { keepPhrase(text: $t) { id text } }", "{ myPhrases { id text } }"
    first = await mine.do("cat", keep, t=" 同意,请尽快办理 ")
    assert first["text"] == "同意,请尽快办理"
    assert await mine.do("cat", keep, t="同意,请尽快办理") == first, "the same words are kept once"
    second = await mine.do("cat", keep, t="Agreed")
    assert await mine.do("cat", listed) == [first, second]
    assert await mine.do("cy", listed) == []
    drop = "mutation($i: ID!) { dropPhrase(id: $i) }"
    assert await mine.do("cy", drop, i=first["id"]) is False
    assert await mine.do("cat", drop, i=first["id"]) is True
    assert await mine.do("cat", listed) == [second]
    for text in (" ", "x" * 201):
        assert await mine.code("cat", keep, t=text) == "BAD_INPUT"
