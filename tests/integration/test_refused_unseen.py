"""Whoever tries values against a rule over what they may not see learns no more than that there is such a rule, leaves
a line in the trail each time, and cannot go on."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from tests.integration.write_journey import Plant, a_lot, mini, plant

from clew.access.decision import Decision, FieldAccess, Grant, permit_all
from clew.expressions.check import check
from clew.kernel.diagnostics import Place
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, RecordRule
from clew.metadata.schema import BlueprintSchema
from clew.records import unseen
from clew.records.commands import Call
from clew.records.verify import UNSEEN_RULE
from clew.storage import system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

GIVEN = {"mfg_on": "2026-03-01", "exp_on": "2027-03-01"}
BEFORE, AFTER = {"exp_on": "2026-02-28"}, {"exp_on": "2026-03-02"}


def project() -> Blueprint:
    """With a rule over other records, one over what was, and one that only warns."""
    blueprint, schema = mini(), BlueprintSchema.of(mini())
    lot = blueprint.entities["lot"]

    def rule(name: str, text: str, **more: Any) -> RecordRule:
        say = Bilingual(f"规则 {name}", f"the rule {name}")
        return RecordRule(name, check(text, schema, "lot", old=True), say, Place("lot.yaml", 1, 1), **more)

    more = (
        rule("few", "supplier_lot != 'many' || size(item.lots) < 1"),
        rule("kept", "old == null || supplier_lot != 'kept' || old.mfg_on == null"),
        rule("odd", "supplier_lot != 'odd' || mfg_on == null", warn=True),
    )
    entities = {**blueprint.entities, "lot": replace(lot, rules=(*lot.rules, *more))}
    return replace(blueprint, entities=MappingProxyType(entities))


def without(blueprint: Blueprint, entity: str, *hidden: str, only: str = "") -> Decision:
    """Everything but these fields; with `only` they are seen where it holds."""
    whole = permit_all(blueprint)
    access = whole.entities[entity]
    shown = Grant(True, (check(only, BlueprintSchema.of(blueprint), entity),)) if only else Grant()
    masked = {name: FieldAccess(shown, access.fields[name].write if only else Grant()) for name in hidden}
    narrowed = replace(access, fields=MappingProxyType({**access.fields, **masked}))
    return Decision(f"{hidden} {only}", MappingProxyType({**whole.entities, entity: narrowed}))


async def refused(action: Awaitable[Any]) -> tuple[str, str, tuple[Any, ...], dict[str, Any]]:
    with pytest.raises(ClewError) as found:
        await action
    error = found.value
    return error.code, error.message("en") + error.message("zh"), error.path, error.params


async def told(made: Plant) -> list[tuple[str, str]]:
    leaves = [each for each in await made.rows(system.leaf) if each["action"] == unseen.ACTION]
    return sorted((each["entity"], each["actor"] and str(each["actor"])) for each in leaves)


async def test_a_refusal_tells_nothing_of_what_is_hidden(database: TestDatabase) -> None:
    blueprint = project()
    opened = await database.open()
    made = await plant(opened, blueprint=blueprint)
    commands, mine = made.commands, made.call
    lot = await commands.create(mine, "lot", a_lot(made, **GIVEN))
    empty = await commands.create(mine, "lot", a_lot(made, qty="0"))
    blind = replace(mine, decision=without(blueprint, "lot", "mfg_on", "qty"))
    elsewhere = replace(mine, decision=without(blueprint, "lot", "mfg_on", only="number == 'X'"))
    far = replace(mine, decision=without(blueprint, "item", "lots"))

    def change(call: Call, **values: Any) -> Awaitable[Any]:
        return commands.update(call, "lot", lot.id, 1, values)

    # Who sees all that is read gets the whole.
    code, said, path, _ = await refused(change(mine, **BEFORE))
    assert (code, path) == ("RULE", ("input", "exp_on"))
    assert "Expiry must be after manufacture" in said
    assert (await refused(change(mine, supplier_lot="kept")))[0] == "RULE"
    assert (await refused(commands.transition(mine, "lot", empty.id, "release", 1)))[0] == "GUARD"
    assert await told(made) == []

    answers = [
        await refused(change(blind, **BEFORE)),
        await refused(change(elsewhere, **BEFORE)),
        await refused(change(blind, supplier_lot="kept")),
        await refused(change(far, supplier_lot="many")),
        await refused(commands.transition(blind, "lot", empty.id, "release", 1)),
    ]
    assert {each[0] for each in answers} == {"REFUSED_UNSEEN"}
    assert len({str(each) for each in answers}) == 1, "one answer, whatever is behind it"
    assert answers[0][2:] == ((), {})
    assert len(await told(made)) == len(answers)

    warned = await commands.update(blind, "lot", lot.id, 1, {"supplier_lot": "odd", **AFTER})
    assert [(each.rule, each.say) for each in warned.warnings] == [("", UNSEEN_RULE)]
    seen = await commands.update(mine, "lot", lot.id, 2, {"exp_on": "2026-03-03"})
    assert [each.rule for each in seen.warnings] == ["odd"]
    await opened.close()


async def test_what_is_hidden_is_not_tried_for_long(database: TestDatabase) -> None:
    """Neither request by request nor row by row, nor where nothing is to be written; others write on meanwhile."""
    blueprint = project()
    opened = await database.open()
    made = await plant(opened, blueprint=blueprint)
    commands, mine = made.commands, made.call
    lot = await commands.create(mine, "lot", a_lot(made, **GIVEN))
    who = replace(mine.context, person=replace(mine.context.person, id=lot.id))
    blind = replace(mine, context=who, decision=without(blueprint, "lot", "mfg_on"))
    rows = [{"id": lot.id, "row_version": 1, "input": BEFORE} for _ in range(unseen.MOST - 1)]
    found = await commands.bulk(blind, "lot", rows, verb="update", mode="dry")
    assert {each.error.code for each in found.rows if each.error} == {"REFUSED_UNSEEN"}
    assert len(await told(made)) == unseen.MOST - 1, "each once"
    with pytest.raises(ClewError, match="write again in 10 minutes"):
        await commands.bulk(blind, "lot", rows, verb="update", mode="good")
    for tried in (BEFORE, AFTER):
        assert (await refused(commands.update(blind, "lot", lot.id, 1, tried)))[0] == "TOO_MANY_UNSEEN"
    await commands.update(replace(mine, decision=blind.decision), "lot", lot.id, 1, AFTER)
    book = commands.engine.unseen
    book.met = {account: tuple(each - timedelta(minutes=10) for each in at) for account, at in book.met.items()}
    await commands.update(blind, "lot", lot.id, 2, {"exp_on": "2026-03-04"})
    await opened.close()
