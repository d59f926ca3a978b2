"""`active: {sites, from}` on rules of records and on roles: in force at its sites and from its day, nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.integration.review_world import project as review_project
from tests.integration.review_world import world
from tests.integration.write_journey import MINI, a_lot, plant

from clew.access.review.matrix import matrix
from clew.kernel.errors import Forbidden
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder, load_sources
from clew.records.duties import Duties
from clew.records.errors import RuleBroken, SeparationOfDuties
from clew.records.review.standing import Standings
from clew.storage.sites import unknown_sites
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


def project(active: str) -> Blueprint:
    """The mini project, with one more rule for lots."""
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None
    sources = dict(loaded.blueprint.sources)
    rule = f'rules:\n  - {{forbid: "qty > 5", name: small, active: {active}, say: {{zh: 过多, en: Too much}}}}\n'
    sources["models/lot.yaml"] = sources["models/lot.yaml"].replace("rules:\n", rule, 1)
    changed = load_sources(sources).blueprint
    assert changed is not None
    return changed


async def test_only_at_its_sites_and_only_from_its_day(database: TestDatabase) -> None:
    db = await database.open()
    async with db.read() as connection:
        today = (await connection.now()).date()
    begun = await plant(db, blueprint=project(f"{{sites: [SHA], from: {today - timedelta(days=2)}}}"))
    with pytest.raises(RuleBroken):
        await begun.commands.create(begun.call, "lot", a_lot(begun))
    await begun.commands.create(begun.call, "lot", a_lot(begun, site=begun.ids["SUZ"]))
    await begun.commands.create(begun.call, "lot", a_lot(begun, qty="5"))


async def test_not_before_its_day(database: TestDatabase) -> None:
    db = await database.open()
    async with db.read() as connection:
        today = (await connection.now()).date()
    ahead = await plant(db, blueprint=project(f"{{sites: [SHA], from: {today + timedelta(days=2)}}}"))
    await ahead.commands.create(ahead.call, "lot", a_lot(ahead))


STARTED = """
role: starter
label: {zh: 试点检验员, en: Pilot inspector}
active: ACTIVE
may:
  lot: {read: always, update: "qty > 5"}
  item: {read: always}
never:
  lot: {do: [reject]}
---
role: plain
label: {zh: 普通, en: Plain}
may:
  lot: {read: "qty > 1", do: always}
---
policy_test: starter_updates
as: {roles: [starter], sites: all}
cases:
  - {try: lot.update, given: {qty: 6}, expect: allow}
  - {try: lot.update, given: {qty: 5}, expect: deny, because: condition}
"""


async def test_a_role_is_switched_on_site_by_site(database: TestDatabase) -> None:
    """In the answers of the decision, which reads and commands ask, and in the words of a review."""
    db = await database.open()
    async with db.read() as connection:
        today = (await connection.now()).date()
    active = f"{{sites: [SHA], from: {today - timedelta(days=2)}}}"
    made = await world(db, review_project(STARTED.replace("ACTIVE", active), ""))
    await made.account("pia", "starter", "plain")
    await made.lot("here")
    await made.lot("there", "SUZ")

    async def may(action: str, lot: str) -> bool:
        async with made.database.read() as connection:
            at = await connection.now()
            question = made.review.question(action, "lot")
            record = await made.review.record(connection, question.entity, str(made.lots[lot]))
            known = await made.known(connection, "pia")
            return (await Standings(made.review, connection, at).can(known, question, record)).allowed

    assert (await may("update", "here"), await may("update", "there")) == (True, False)
    # What it forbids is forbidden where it is in force only.
    assert (await may("reject", "here"), await may("reject", "there")) == (False, True)
    call = await made.call("pia")
    await made.plant.commands.update(call, "lot", made.lots["here"], 1, {"supplier_lot": "A"})
    with pytest.raises(Forbidden):
        await made.plant.commands.update(call, "lot", made.lots["there"], 1, {"supplier_lot": "A"})
    (cell,) = [each for each in matrix(made.review.judgement, ["starter"], ["lot"]) if each.action == "update"]
    assert cell.when.en == (
        f'code of site is "SHA", and today is not before {today - timedelta(days=2)}, and qty is more than 5'
    )


async def test_a_role_is_not_in_force_before_its_day(database: TestDatabase) -> None:
    db = await database.open()
    async with db.read() as connection:
        today = (await connection.now()).date()
    active = f"{{from: {today + timedelta(days=2)}}}"
    made = await world(db, review_project(STARTED.replace("ACTIVE", active), ""))
    await made.account("pia", "starter")
    lot = await made.lot("here")
    async with made.database.read() as connection:
        at = await connection.now()
        known = await made.known(connection, "pia")
        for entity, record_id in (("lot", lot), ("item", made.plant.ids["RAW-1"])):
            question = made.review.question("read", entity)
            record = await made.review.record(connection, question.entity, str(record_id))
            assert not (await Standings(made.review, connection, at).can(known, question, record)).allowed


BANNED = """
role: starter
label: {zh: 检验员, en: Inspector}
may:
  lot: {read: always, update: always}
never:
  lot: {void: always, hide: [supplier_lot], active: ACTIVE}
---
role: plain
label: {zh: 普通, en: Plain}
may:
  lot: {read: always, update: always, void: always}
---
separation: writer_is_not_voider
label: {zh: 填写与作废分离, en: The writer does not void}
active: ACTIVE
duties: {writer: [{of: lot, do: update}], voider: [{of: lot, do: void}]}
---
policy_test: banned
as: {roles: [starter, plain], sites: all}
cases:
  - {try: lot.void, expect: deny, because: never}
  - {read: lot.supplier_lot, expect: hidden}
"""


async def test_a_ban_and_a_separation_are_switched_on_site_by_site(database: TestDatabase) -> None:
    db = await database.open()
    blueprint = review_project(BANNED.replace("ACTIVE", "{sites: [SHA]}"), "")
    assert blueprint.policies is not None
    made = await world(db, blueprint, participants=[Duties(blueprint.policies)])
    await made.account("pia", "starter", "plain")
    await made.account("tom", "plain")
    here, there = await made.lot("here"), await made.lot("there", "SUZ")
    call = replace(await made.call("pia"), reason="x")
    with pytest.raises(Forbidden):
        await made.plant.commands.void(call, "lot", here, 1)
    with pytest.raises(Forbidden):
        await made.plant.commands.update(call, "lot", here, 1, {"supplier_lot": "A"})
    await made.plant.commands.update(call, "lot", there, 1, {"supplier_lot": "A"})
    await made.plant.commands.void(call, "lot", there, 2)

    # Whoever wrote it voids it there, and not here.
    other = await made.lot("other", "SUZ")
    plain = replace(await made.call("tom"), reason="x")
    for lot in (here, other):
        await made.plant.commands.update(plain, "lot", lot, 1, {"supplier_lot": "B"})
    await made.plant.commands.void(plain, "lot", other, 2)
    with pytest.raises(SeparationOfDuties):
        await made.plant.commands.void(plain, "lot", here, 2)
    async with made.database.read() as connection:
        question = made.review.question("void", "lot")
        record = await made.review.record(connection, question.entity, str(here))
        known = await made.known(connection, "tom")
        standing = await Standings(made.review, connection, await connection.now()).can(known, question, record)
    assert [each.code for each in standing.reasons] == ["duty"]


async def test_a_code_that_no_site_has_is_told_with_the_nearest(database: TestDatabase) -> None:
    db = await database.open()
    roles = BANNED.replace("ACTIVE", "{sites: [SHA, SUX]}") + "---\nrole: far\nactive: {sites: NOWHERE}\n"
    blueprint = review_project(roles, "")
    async with db.read() as connection:
        assert await unknown_sites(connection, blueprint) == (), "nothing was applied"
    await plant(db, blueprint=blueprint)
    async with db.read() as connection:
        found = await unknown_sites(connection, blueprint)
    assert [(each.place.line, each.nearest) for each in found] == [(7, "SUZ"), (16, "SUZ"), (26, "")]
    assert found[0].message("en").startswith("No site has the code `SUX`")
