"""What a caller may write: conditions on single fields, before and after; no second posting, no late cycle."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from clew.access.decision import Decision, FieldAccess, Grant, permit_all
from clew.expressions.check import check
from clew.kernel.errors import ClewError, Conflict, Forbidden
from clew.metadata.blueprint import Blueprint
from clew.metadata.schema import BlueprintSchema
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import AnySigner, Plant, a_lot, mini, plant

pytestmark = pytest.mark.anyio


def only_in_quarantine(blueprint: Blueprint) -> Decision:
    """Everything, but a lot's supplier lot only while it is in quarantine and not yet "A"."""
    everything = permit_all(blueprint)
    lot = everything.entities["lot"]
    condition = check("state == 'quarantine' && supplier_lot != 'A'", BlueprintSchema.of(blueprint), "lot")
    fields = dict(lot.fields) | {"supplier_lot": FieldAccess(Grant(True), Grant(True, (condition,)))}
    entities = dict(everything.entities) | {"lot": replace(lot, fields=MappingProxyType(fields))}
    return Decision("only-in-quarantine", MappingProxyType(entities))


@pytest.fixture
async def scene(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened, signer=AnySigner(), decision=only_in_quarantine(mini()))
    await opened.close()


async def test_a_condition_on_writing_a_field_holds_before_and_after(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene, supplier_lot="B"))
    with pytest.raises(Forbidden):
        await scene.commands.create(scene.call, "lot", a_lot(scene, supplier_lot="A"))
    with pytest.raises(Forbidden):
        await scene.commands.update(scene.call, "lot", lot.id, 1, {"supplier_lot": "A"})
    await scene.commands.update(scene.call, "lot", lot.id, 1, {"supplier_lot": "C"})
    await scene.commands.transition(scene.why("good"), "lot", lot.id, "release", 2)
    with pytest.raises(Forbidden):
        await scene.commands.update(scene.call, "lot", lot.id, 3, {"supplier_lot": "D"})
    await scene.commands.update(scene.call, "lot", lot.id, 3, {"exp_on": "2030-01-01"})
    assert [row["supplier_lot"] for row in (await scene.current("lot")).values()] == ["C"]


async def test_a_posted_record_is_not_posted_again_by_correcting_it(scene: Plant) -> None:
    given = {"site": scene.ids["SHA"], "item": scene.ids["RAW-1"], "qty": "10"}
    moved = await scene.commands.create(scene.call, "movement", given)
    with pytest.raises(Conflict) as refused:
        await scene.commands.correct(scene.why("misread"), "movement", moved.id, 1, {"qty": "8"})
    assert refused.value.code == "POSTED"
    (balance,) = (await scene.current("balance")).values()
    assert balance["on_hand"] == 10


async def test_a_chain_is_checked_when_its_condition_comes_true(database: TestDatabase) -> None:
    """Two items that name each other: harmless until both take part in the chain."""
    blueprint = mini()
    item = blueprint.entities["item"]
    condition = check("sterile", BlueprintSchema.of(blueprint), "item")
    while_sterile = replace(item, acyclics=(replace(item.acyclics[0], while_=condition),))
    blueprint = replace(blueprint, entities=MappingProxyType({**blueprint.entities, "item": while_sterile}))
    opened = await database.open()
    scene = await plant(opened, blueprint=blueprint)
    first = scene.ids["RAW-1"]
    given = {"item_no": "RAW-2", "name": "二", "sterile": True, "parent": str(first)}
    second = await scene.commands.create(scene.call, "item", given)
    await scene.commands.update(scene.call, "item", first, 1, {"parent": str(second.id)})
    with pytest.raises(ClewError) as refused:
        await scene.commands.update(scene.call, "item", first, 2, {"sterile": True})
    assert refused.value.code == "CYCLE"
    await opened.close()


async def test_an_error_does_not_tell_a_state_that_is_hidden(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene))
    await scene.commands.transition(scene.why("bad"), "lot", lot.id, "reject", 1)
    access = scene.decision.entities["lot"]
    fields = MappingProxyType({**access.fields, "state": FieldAccess()})
    hidden = Decision("no-state", MappingProxyType({**scene.decision.entities, "lot": replace(access, fields=fields)}))
    for decision, told in ((scene.decision, True), (hidden, False)):
        with pytest.raises(Conflict) as refused:
            await scene.commands.transition(replace(scene.call, decision=decision), "lot", lot.id, "release", 2)
        assert refused.value.code == "WRONG_STATE"
        assert ("Rejected" in refused.value.message("en")) is told
        assert (refused.value.params.get("current") == "rejected") is told
