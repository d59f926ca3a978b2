"""Access review on real people and records, on both databases: who can and why, what changes, what is unused."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.integration.review_world import ROLES, SEPARATIONS, World, project, world

from clew.access.review.matrix import Cell, matrix
from clew.records.duties import Duties
from clew.records.errors import SeparationOfDuties
from clew.records.review.answer import Standing
from clew.records.review.difference import Change, Comparison, Difference, Side
from clew.records.review.standing import Standings
from clew.records.review.usage import breaches, orphans, unused
from clew.storage import identity_tables
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


async def furnished(database: TestDatabase) -> World:
    """Three people at work and two lots: one of the inspector's own, one of somebody else at the other site."""
    made = await world(await database.open())
    await made.account("ina", "qc_inspector", "releaser", sites=["SHA"])
    await made.account("rob", "releaser", sites=["SHA", "SUZ"])
    await made.account("bea", "buyer")
    await made.account("cora", "compliance")
    await made.account("tim", "releaser", "trainee", sites=["SHA"])
    await made.lot("ina's", by="ina")
    await made.lot("other", "SUZ")
    return made


async def standing(made: World, login: str, action: str, entity: str, record: str | None) -> Standing:
    async with made.database.read() as connection:
        at = await connection.now()
        question = made.review.question(action, entity)
        known = await made.review.one(connection, login, at)
        found = None
        if record is not None:
            found = await made.review.record(connection, question.entity, str(made.lots.get(record, record)))
        return await Standings(made.review, connection, at).can(known, question, found)


async def who(made: World, action: str, record: str) -> dict[str, tuple[str, ...]]:
    async with made.database.read() as connection:
        at = await connection.now()
        question = made.review.question(action, "lot")
        found = await made.review.record(connection, question.entity, str(made.lots[record]))
        people = await made.review.everybody(connection, at)
        able = await Standings(made.review, connection, at).who_can(people, question, found)
    return {each.known.account.login: tuple(link.holding.role for link in each.through) for each in able}


async def test_who_can_release_a_lot_and_why_others_cannot(database: TestDatabase) -> None:
    made = await furnished(database)
    assert await who(made, "release", "ina's") == {"rob": ("releaser",)}
    assert await who(made, "release", "other") == {"rob": ("releaser",)}

    own = await standing(made, "ina", "release", "lot", "ina's")
    assert not own.allowed
    assert [each.code for each in own.reasons] == ["condition"]
    (link,) = own.links
    assert link.way == ("releaser",)
    assert (link.line.place.file, link.line.place.line) == ("permissions/roles.yaml", 24)
    assert link.tried[0].test.words.en == "created by is not the person"
    assert link.tried[0].holds is False
    values = link.tried[0].values
    assert values["created_by"] == values["user.id"] == made.accounts["ina"].id
    assert [each.holds for each in link.tried] == [False, True]

    elsewhere = await standing(made, "ina", "release", "lot", "other")
    assert [each.holds for each in elsewhere.links[0].tried] == [True, False]
    assert elsewhere.links[0].tried[1].test.words.en == "at the sites of the assignment"

    forbidden = await standing(made, "tim", "release", "lot", "ina's")
    assert [each.code for each in forbidden.reasons] == ["never"]
    assert forbidden.forbids[0].holding.role == "trainee"

    nothing = await standing(made, "bea", "release", "lot", "ina's")
    assert [each.code for each in nothing.reasons] == ["no_grant", "signature"]
    assert nothing.could == ("releaser",)

    able = await standing(made, "rob", "release", "lot", "other")
    assert (able.allowed, able.reasons) == (True, ())


DUTIES = """
separation: maker_is_not_releaser
label: {zh: 建批与放行分离, en: Making apart from releasing}
duties:
  maker:    [{of: lot, do: [create]}]
  releaser: [{of: lot, do: [release]}]
"""


async def test_an_earlier_duty_is_told(database: TestDatabase) -> None:
    """What commands refuse by the ledger, the review says before anybody tries."""
    roles = ROLES.replace('release: "created_by != user.id"', "release: always")
    blueprint = project(roles, DUTIES)
    assert blueprint.policies is not None
    made = await world(await database.open(), blueprint, participants=[Duties(blueprint.policies)])
    await made.account("ina", "qc_inspector", "releaser", sites=["SHA"])
    await made.account("rob", "releaser", sites=["SHA"])
    await made.lot("ina's", by="ina")
    own = await standing(made, "ina", "release", "lot", "ina's")
    assert [each.code for each in own.reasons] == ["duty"]
    assert "Making apart from releasing: they did Lot: create at " in own.reasons[0].text.en
    assert await who(made, "release", "ina's") == {"rob": ("releaser",)}
    for login, refused in (("ina", True), ("rob", False)):
        call = await made.call(login)
        if refused:
            with pytest.raises(SeparationOfDuties):
                await made.plant.commands.transition(call, "lot", made.lots["ina's"], "release", 1)
        else:
            await made.plant.commands.transition(call, "lot", made.lots["ina's"], "release", 1)


async def test_what_the_record_does_not_let_anybody_do(database: TestDatabase) -> None:
    made = await furnished(database)
    await made.plant.commands.transition(made.plant.why("x"), "lot", made.lots["other"], "reject", 1)
    late = await standing(made, "rob", "release", "lot", "other")
    assert [each.code for each in late.reasons] == ["state"]
    assert "Rejected" in late.reasons[0].text.en
    assert await who(made, "release", "other") == {}
    # Fields: hidden to one, seen by another.
    hidden = await standing(made, "ina", "read", "supplier.note", None)
    seen = await standing(made, "cora", "read", "supplier.note", None)
    assert (hidden.allowed, seen.allowed) == (False, True)


async def test_assignments_that_are_not_in_force_are_told(database: TestDatabase) -> None:
    made = await furnished(database)
    async with made.database.read() as connection:
        now = await connection.now()
    await made.account("flo")
    await made.assign("flo", "releaser", sites=["SHA"], valid_from=now + timedelta(days=3))
    future = await standing(made, "flo", "release", "lot", "ina's")
    assert not future.allowed
    assert "is not in force yet" in future.reasons[0].text.en
    given = await made.assign("bea", "releaser", sites=["SHA"])
    assert (await standing(made, "bea", "release", "lot", "ina's")).allowed
    await made.identity.within(
        lambda connection, at: made.identity.assignments.end(connection, made.plant.call.context, given.id, at, "over")
    )
    ended = await standing(made, "bea", "release", "lot", "ina's")
    assert "was ended" in ended.reasons[0].text.en
    assert ended.links[0].holding.force == "ended"


async def test_the_chain_and_the_answer_of_the_commands_agree(database: TestDatabase) -> None:
    """Whatever the review says of everybody, on both lots, is what the judge of commands says."""
    made = await furnished(database)
    checked = 0
    async with made.database.read() as connection:
        at = await connection.now()
        people = await made.review.everybody(connection, at)
        asked = Standings(made.review, connection, at)
        for action in ("read", "create", "update", "void", "release", "reject", "audit", "export"):
            question = made.review.question(action, "lot")
            for name in made.lots:
                record = await made.review.record(connection, question.entity, str(made.lots[name]))
                for known in people:
                    found = await asked.can(known, question, record)
                    decision = made.review.decision(known)
                    access = decision.on("lot")
                    grant = access.transitions[action] if action in ("release", "reject") else getattr(access, action)
                    judge = made.review.judge(connection, known, at)
                    granted = await judge.granted(grant, question.entity, record)
                    chained = bool(found.through) and not any(each.holds for each in found.forbids)
                    assert chained == granted, (known.account.login, action, name)
                    checked += 1
    assert checked == 80


async def test_the_matrix_says_what_is_judged(database: TestDatabase) -> None:
    made = await furnished(database)
    cells = {
        (each.role, each.entity, each.action, each.field): each
        for each in matrix(
            made.review.judgement, ["qc_inspector", "releaser", "trainee"], ["lot", "supplier"], fields=True
        )
    }

    def at(*key: str) -> Cell:
        return cells[key[0], key[1], key[2], key[3] if len(key) > 3 else ""]

    assert at("qc_inspector", "lot", "update").effect == "conditional"
    assert at("qc_inspector", "lot", "update").when.en == ('state is "Quarantine", and at the sites of the assignment')
    assert "状态为" in at("qc_inspector", "lot", "update").when.zh
    assert at("qc_inspector", "lot", "do:release").effect == "deny"
    assert at("trainee", "lot", "do:release").effect == "deny"
    assert at("trainee", "lot", "do:release").when.en == "never"
    assert at("qc_inspector", "supplier", "see", "note").effect == "deny"
    assert at("qc_inspector", "supplier", "see", "name").effect == "allow"
    assert at("releaser", "lot", "do:release").places[0].line == 24
    inherited = next(matrix(made.review.judgement, ["releaser"], ["item"]))
    assert (inherited.effect, inherited.through) == ("allow", ("employee",))


async def difference(made: World, roles: str, separations: str = SEPARATIONS) -> Difference:
    after = project(roles, separations)
    async with made.database.read() as connection:
        at = await connection.now()
        people = await made.review.everybody(connection, at)
        before = Side(made.plant.blueprint)
        return await Comparison(made.plant.commands.engine, connection, at, before, Side(after)).difference(people)


def told(found: Difference) -> dict[tuple[str, str, str, str], Change]:
    return {(each.login, each.entity, each.action, each.field): each for each in found.changes}


async def test_the_difference_names_people_and_counts_records(database: TestDatabase) -> None:
    made = await furnished(database)
    assert (await difference(made, ROLES)).empty
    # Written otherwise, meaning the same: no difference.
    assert (await difference(made, ROLES.replace('"created_by != user.id"', '"  created_by   !=   user.id"'))).empty
    moved = ROLES.replace("\n---\nrole: trainee", "\n# a comment\n---\nrole: trainee")
    assert (await difference(made, moved)).empty

    wider = told(await difference(made, ROLES.replace('release: "created_by != user.id"', "release: always")))
    assert set(wider) == {("ina", "lot", "do:release", ""), ("rob", "lot", "do:release", "")}
    assert wider["rob", "lot", "do:release", ""].effect == "none today"
    change = wider["ina", "lot", "do:release", ""]
    assert (change.gained, change.lost, change.effect) == (1, 0, "gains")
    assert change.before.en == (
        "created by is not the person, and site is one of the sites of the assignment as Releaser"
    )
    assert change.after.en == "site is one of the sites of the assignment as Releaser"

    unread = ROLES.replace("lot: {read: always, create", "lot: {create")
    narrower = told(await difference(made, unread))
    assert {key[0] for key in narrower} == {"ina"}
    shown = told(await difference(made, ROLES.replace(", hide: [note]", "")))
    assert set(shown) == {("ina", "supplier", "see", "note")}
    assert shown["ina", "supplier", "see", "note"].before.en == "never"


async def test_new_conflicts_and_roles_are_told(database: TestDatabase) -> None:
    made = await furnished(database)
    tighter = SEPARATIONS.replace("roles: [[buyer], [sqe]]", "roles: [[qc_inspector], [releaser]]")
    found = await difference(made, ROLES, tighter)
    assert [(each.login, each.separation) for each in found.conflicts] == [("ina", "buyer_is_not_sqe")]
    renamed = await difference(made, ROLES.replace("role: forgotten", "role: remembered"))
    assert (renamed.roles_gone, renamed.roles_new) == (("forgotten",), ("remembered",))


async def test_recreated_role_inherits_nothing_unseen(database: TestDatabase) -> None:
    """Threat 23 from the reviewer's side: a role that went away and comes back under its name gives those who still
    have an assignment to it something, and the difference names each of them."""
    without = ROLES.replace("role: buyer", "role: purchaser")
    made = await world(await database.open(), project(without, SEPARATIONS.replace("[buyer]", "[purchaser]")))
    await made.account("bea", "purchaser")
    async with made.database.write() as connection:
        # An assignment to a role of an earlier release.
        await connection.execute(sa.update(identity_tables.assignment).values(role="buyer"))
    assert not (await standing(made, "bea", "update", "supplier", None)).allowed
    found = told(await difference(made, ROLES))
    assert ("bea", "supplier", "update", "") in found
    assert ("bea", "supplier", "read", "") in found


async def test_unused_conflicts_and_orphans(database: TestDatabase) -> None:
    made = await furnished(database)
    async with made.database.read() as connection:
        at = await connection.now()
        people = await made.review.everybody(connection, at)
        # Everybody got their role a second before: too young for a day, old enough for none.
        assert await unused(made.review, connection, people, at, 1) == []
        found = await unused(made.review, connection, people, at + timedelta(seconds=5), 0)
    never = {(each.role, each.entity, each.action): each.holders for each in found}
    assert never["releaser", "lot", "do:release"] == ("ina", "rob", "tim")
    assert ("qc_inspector", "lot", "read") not in never
    assert [each.role for each in orphans(made.review, people)] == ["forgotten", "sqe"]
    assert breaches(made.review, people, at.date()) == []
    # A delegation that brings two groups into one hand, made before the separation was.
    loose = await world_with_conflict(made)
    assert [(each.login, each.separation, each.roles) for each in loose] == [
        ("bea", "buyer_is_not_sqe", ("buyer", "sqe"))
    ]


async def world_with_conflict(made: World) -> list[object]:
    """Give the buyer the other group's role behind the back of the rule that refuses it."""
    await made.assign("bea", "forgotten")
    async with made.database.write() as connection:
        await connection.execute(
            sa.update(identity_tables.assignment)
            .where(identity_tables.assignment.c.role == "forgotten")
            .values(role="sqe")
        )
    async with made.database.read() as connection:
        at = await connection.now()
        people = await made.review.everybody(connection, at)
    return list(breaches(made.review, people, at.date()))
