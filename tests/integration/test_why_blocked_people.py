"""Whom `whyBlocked` names: conditions and separations are asked of each person, as far as the caller could see."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.integration.review_world import World, world
from tests.integration.review_world import project as review_project

from clew.api.blocked import WhyBlocked
from clew.api.blocked_doers import Doers, Holder
from clew.api.blocked_people import Able
from clew.records.duties import Duties
from clew.records.query import run
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

ROLES = """
role: plain
label: {zh: 普通, en: Plain}
may:
  lot: {read: always, update: always, do: always, audit: always}
---
role: small
label: {zh: 小批, en: Small lots}
may:
  lot: {read: always, do: {release: "qty < 3"}}
---
role: no_trail
label: {zh: 不看追踪, en: No trail}
may:
  lot: {read: always}
---
role: no_qty
label: {zh: 不看数量, en: No quantity}
may:
  lot: {read: always, audit: always}
never:
  lot: {hide: [qty]}
---
separation: writer_is_not_releaser
label: {zh: 填写与放行分离, en: The writer does not release}
duties: {writer: [{of: lot, do: update}], releaser: [{of: lot, do: release}]}
"""
RELEASE: dict[str, Any] = {"kind": None}


async def opened(database: TestDatabase) -> World:
    blueprint = review_project(ROLES, "")
    assert blueprint.policies is not None
    made = await world(await database.open(), blueprint, participants=[Duties(blueprint.policies)])
    for login, role in (("tom", "plain"), ("uma", "plain"), ("pia", "small"), ("ned", "no_trail"), ("quin", "no_qty")):
        await made.account(login, role)
    await made.lot("one")
    await made.plant.commands.update(
        replace(await made.call("uma"), reason="x"), "lot", made.lots["one"], 1, {"supplier_lot": "A"}
    )
    return made


async def named(made: World, caller: str, why: WhyBlocked | None = None, what: dict[str, Any] = RELEASE) -> list[str]:
    call = await made.call(caller)
    asked = SimpleNamespace(caller=SimpleNamespace(context=call.context, decision=call.decision))
    blueprint = made.plant.blueprint
    processes: Any = SimpleNamespace(blueprint=blueprint, commands=made.plant.commands)
    why = why or WhyBlocked(Doers(blueprint), made.review)
    async with made.database.read() as connection:
        entity = blueprint.entities["lot"]
        case = await why._case(processes, asked, connection, entity, made.lots["one"])  # type: ignore[arg-type]
        holders = [Holder(login, login) for login in ("tom", "uma", "pia")]
        return await Able(case, why.desk).of(holders, what, "release")


async def test_a_condition_and_a_separation_leave_out_whom_the_caller_could_tell(database: TestDatabase) -> None:
    made = await opened(database)
    assert await named(made, "tom") == ["tom"], "uma wrote it, and pia releases small lots only"
    assert await named(made, "ned") == ["tom", "uma"], "who sees no trail is not told what somebody did"
    assert await named(made, "quin") == ["tom", "pia"], "nor what a field says that they do not see"
    fill = {"kind": "fill", "entity": "lot", "recordId": str(made.lots["one"]), "field": "supplier_lot"}
    assert await named(made, "tom", what=fill) == ["tom", "uma"], "pia updates nothing"
    unguarded = WhyBlocked(Doers(made.plant.blueprint))
    assert await named(made, "tom", unguarded) == ["tom", "uma", "pia"]


async def test_no_plan_is_compiled_twice(database: TestDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await opened(database)
    compiled = 0
    inner = run.compile_plan

    def counting(*args: Any, **options: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return inner(*args, **options)

    monkeypatch.setattr(run, "compile_plan", counting)
    call = await made.call("tom")
    caller: Any = SimpleNamespace(context=call.context, decision=call.decision)
    question = {"entity": "lot", "record": made.lots["one"], "transition": "release"}
    asked: Any = SimpleNamespace(caller=caller, arguments=question)
    processes: Any = SimpleNamespace(blueprint=made.plant.blueprint, commands=made.plant.commands)
    why, counts = WhyBlocked(Doers(made.plant.blueprint), made.review), []
    for _ in range(2):
        async with made.database.read() as connection:
            (found,) = await why(processes, asked, connection)
        counts.append(compiled)
    assert found["transition"] == "release"
    assert counts[0] > 0
    assert counts[1] == counts[0]
