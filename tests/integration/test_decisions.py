"""Decisions on regulated actions are kept with what they were decided on, replayed, and compared with today."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.access.decision import Decision, Grant, permit_all
from clew.expressions.check import check
from clew.kernel.errors import ClewError, Unavailable
from clew.metadata.blueprint import Blueprint
from clew.metadata.schema import BlueprintSchema
from clew.records.decisions import keep, stored
from clew.records.decisions.replay import Replay, Replayer
from clew.storage import system
from clew.storage.errors import DatabaseBusy
from clew.testing.databases import TestDatabase, in_thread
from clew.testing.plugin import Tier

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, mini, plant

pytestmark = pytest.mark.anyio


@pytest.fixture
async def scene(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened)
    await opened.close()


async def kept(scene: Plant) -> list[dict[str, Any]]:
    rows = sorted(await scene.rows(system.decision), key=lambda row: row["decision_id"])
    return [{**row, "body": json.loads(row["body"])} for row in rows]


async def test_what_allowed_is_kept_with_what_it_allowed(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene))
    await scene.commands.transition(scene.call, "lot", lot.id, "release", 1)
    [row] = await kept(scene)
    assert (row["outcome"], row["action"], row["row_version"], row["code"]) == ("allowed", "transition:release", 1, "")
    body = row["body"]
    checks = {each["kind"]: each for each in body["checks"]}
    assert checks["state"]["facts"] == {"state": "quarantine"}
    assert checks["guard"]["conditions"] == ["qty > 0"]
    assert checks["guard"]["facts"] == {"qty": "10.0000"}
    [rule] = checks["guard"]["rules"]
    assert rule["rule"] == "lot.release"
    assert rule["at"].startswith("models/lot.yaml:")
    assert checks["signature"]["held"] is True
    assert body["person"]["login"] == "wang"
    assert body["policy"] == scene.decision.digest


async def test_what_was_refused_is_kept_after_the_rollback(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene, qty="0"))
    with pytest.raises(ClewError):
        await scene.commands.transition(scene.call, "lot", lot.id, "release", 1)
    with pytest.raises(ClewError):
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    with pytest.raises(ClewError):
        await scene.commands.update(scene.call, "lot", lot.id, 1, {"qty": "3"})
    refused = await kept(scene)
    assert [(row["action"], row["code"]) for row in refused] == [
        ("transition:release", "GUARD"), ("void", "REASON_REQUIRED"), ("update", "REASON_REQUIRED")
    ]  # fmt: skip
    assert {row["outcome"] for row in refused} == {"refused"}
    assert refused[0]["body"]["checks"][-1]["facts"] == {"qty": "0.0000"}
    leaves = [row for row in await scene.rows(system.leaf) if row["action"] == "decide.refuse"]
    assert len(leaves) == 3
    assert (await scene.current("lot"))[lot.id]["row_version"] == 1


async def test_coming_second_is_no_decision(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene))
    with pytest.raises(ClewError):
        await scene.commands.transition(scene.call, "lot", lot.id, "release", 7)
    with pytest.raises(ClewError):
        await scene.commands.update(scene.why("x"), "lot", lot.id, 1, {"qty": "many"})
    await scene.commands.update(scene.call, "lot", lot.id, 1, {"exp_on": "2030-01-01"})
    assert await kept(scene) == []


async def test_rows_of_an_import_are_decided_one_by_one(scene: Plant) -> None:
    lots = [await scene.commands.create(scene.call, "lot", a_lot(scene)) for _ in range(3)]
    rows: list[dict[str, Any]] = [{"id": each.id, "row_version": 1, "input": {"qty": "5"}} for each in lots]
    rows[1]["input"]["exp_on"] = "2001-01-01"
    for mode in ("dry", "all", "good"):
        await scene.commands.bulk(scene.why("recount"), "lot", rows, verb="update", mode=mode)  # type: ignore[arg-type]
    found = [(row["action"], row["outcome"]) for row in await kept(scene)]
    assert sorted(found) == [("update", "allowed")] * 2 + [("update", "refused")] * 2


async def test_a_refusal_waits_for_the_database_and_is_not_lost(scene: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database goes away between the rollback and the record of the refusal: the caller hears the refusal, and the
    next one takes it along. When too many wait, nothing regulated is decided any more."""
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene))
    real = keep.record_event

    async def away(*_: Any, **__: Any) -> Any:
        raise DatabaseBusy(what="test")

    monkeypatch.setattr(keep, "record_event", away)
    with pytest.raises(ClewError) as refused:
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    assert refused.value.code == "REASON_REQUIRED"
    assert (scene.commands.refusals.waiting, await kept(scene)) == (1, [])
    monkeypatch.setattr(keep, "MOST_WAITING", 1)
    with pytest.raises(Unavailable):
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    monkeypatch.setattr(keep, "MOST_WAITING", 10)
    monkeypatch.setattr(keep, "record_event", real)
    with pytest.raises(ClewError):
        await scene.commands.void(scene.call, "lot", lot.id, 1)
    assert [row["action"] for row in await kept(scene)] == ["void", "void"]
    assert scene.commands.refusals.waiting == 0


def only_small(blueprint: Blueprint) -> Decision:
    everything = permit_all(blueprint)
    lot = everything.entities["lot"]
    condition = check("qty < 100 && site.code == 'SHA'", BlueprintSchema.of(blueprint), "lot")
    moves = dict(lot.transitions) | {"release": Grant(True, (condition,))}
    entities = dict(everything.entities) | {"lot": replace(lot, transitions=MappingProxyType(moves))}
    return Decision("only-small", MappingProxyType(entities))


async def test_a_conditional_grant_is_kept_with_its_facts(database: TestDatabase) -> None:
    opened = await database.open()
    scene = await plant(opened, decision=only_small(mini()))
    small = await scene.commands.create(scene.call, "lot", a_lot(scene))
    large = await scene.commands.create(scene.call, "lot", a_lot(scene, qty="100"))
    await scene.commands.transition(scene.call, "lot", small.id, "release", 1)
    with pytest.raises(ClewError):
        await scene.commands.transition(scene.call, "lot", large.id, "release", 1)
    grants = [row["body"]["checks"][0] for row in await kept(scene)]
    assert [(each["name"], each["held"], each["facts"]) for each in grants] == [
        ("do:release", True, {"qty": "10.0000"}), ("do:release", False, {"qty": "100.0000"})
    ]  # fmt: skip
    assert grants[0]["elsewhere"] == ["site.code"]
    await opened.close()


# ── replay ────────────────────────────────────────────────────────────────────────────────────────────────────────


def replayer(scene: Plant, now: Any = None, decision: Decision | None = None) -> Replayer:
    """Replays by the scene's decision; `now` is who the caller is today, `decision` what they may today."""
    present = decision or scene.decision

    def decide(blueprint: Blueprint) -> Any:
        return lambda context: present if context.person is now else scene.decision

    async def person_now(connection: Any, account: Any) -> Any:
        return now

    return Replayer(scene.commands.engine, decide, person_now)


async def replays(scene: Plant, **options: Any) -> list[Replay]:
    made = replayer(scene, **options)
    async with scene.database.read() as connection:
        ids = [row["decision_id"] for row in await kept(scene)]
        return [await made.replay(connection, await stored.one(connection, each)) for each in ids]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("qty"), st.sampled_from(["0", "5", "50", "150"])),
        st.tuples(st.just("release"), st.booleans()),
        st.tuples(st.just("reject"), st.booleans()),
        st.tuples(st.just("void"), st.booleans()),
        st.tuples(st.just("expiry"), st.sampled_from(["2001-01-01", "2031-01-01"])),
        st.tuples(st.just("site"), st.sampled_from(["SHX", "SHA"])),
    ),
    min_size=1,
    max_size=12,
)


def small_and_at_home(blueprint: Blueprint) -> Decision:
    """Releasing takes few pieces at a site of a certain name; writing a quantity, a lot that is not rejected; rejecting
    one with no rejected lot of the same item."""
    schema = BlueprintSchema.of(blueprint)
    everything = permit_all(blueprint)
    lot = everything.entities["lot"]

    def grant(text: str) -> Grant:
        return Grant(True, (check(text, schema, "lot"),))

    moves = {
        "release": grant("qty < 100 && site.name == 'SHA'"),
        "reject": grant("item.lots.all(l, l.state != 'rejected')"),
    }
    fields = dict(lot.fields) | {"qty": replace(lot.fields["qty"], write=grant("state != 'rejected'"))}
    changed = replace(lot, transitions=MappingProxyType(moves), fields=MappingProxyType(fields))
    return Decision("home", MappingProxyType({**everything.entities, "lot": changed}))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_replay_gives_what_was_decided(new_database: Callable[[str], TestDatabase], dialect: str, tier: Tier) -> None:
    """Whatever is tried and however it ends: replayed with what was known then, the outcome and every check that can be
    asked again are the same, long after the records have moved on."""
    database = new_database(dialect)

    async def one(steps: list[tuple[str, Any]]) -> None:
        scene = await plant(await database.open(), decision=small_and_at_home(mini()), fresh=False)
        sites = {row["code"]: (row["id"]) for row in await scene.rows(scene.tables.current("site"))}
        [item] = [row["id"] for row in await scene.rows(scene.tables.current("item"))]
        given = {"site": sites["SHA"], "item": item, "qty": "10"}
        lots = [(await scene.commands.create(scene.call, "lot", given)).id for _ in range(2)]
        already = {row["decision_id"] for row in await kept(scene)}
        for at, (what, with_) in enumerate(steps):
            lot = lots[at % 2]
            version = (await scene.current("lot"))[lot]["row_version"]
            call = scene.why("because") if with_ is True or what == "qty" else scene.call
            commands = scene.commands
            try:
                if what == "qty":
                    await commands.update(call, "lot", lot, version, {"qty": with_})
                elif what == "expiry":
                    await commands.update(scene.why("x"), "lot", lot, version, {"exp_on": with_, "qty": "7"})
                elif what == "site":
                    row = (await scene.current("site"))[sites["SHA"]]
                    await commands.update(call, "site", sites["SHA"], row["row_version"], {"name": with_})
                elif what == "void":
                    await commands.void(call, "lot", lot, version)
                else:
                    await commands.transition(call, "lot", lot, what, version)
            except ClewError:
                continue
        for each in await replays(scene):
            if each.decision.decision_id not in already:
                assert each.faithful, (each.decision.said(), each.then, each.unfaithful)
        await scene.database.close()

    @settings(max_examples=tier.count(8, 200), derandomize=not tier.full)
    @given(STEPS)
    def holds(steps: list[tuple[str, Any]]) -> None:
        in_thread(lambda: one(steps))

    async def prepare() -> None:
        opened = await database.open()
        await plant(opened)
        await opened.close()

    in_thread(prepare)
    holds()


async def test_replay_names_what_later_data_roles_and_rules_change(database: TestDatabase) -> None:
    opened = await database.open()
    scene = await plant(opened, decision=small_and_at_home(mini()))
    made = scene.commands
    await made.update(scene.call, "site", scene.ids["SHA"], 1, {"name": "SHA"})
    lot = await made.create(scene.call, "lot", a_lot(scene))
    await made.transition(scene.call, "lot", lot.id, "release", 1)
    await made.update(scene.why("recount"), "lot", lot.id, 2, {"qty": "120"})
    first = (await replays(scene))[0]
    assert first.faithful
    assert [(each.what, each.name, each.then, each.now) for each in first.differences] == [
        ("outcome", "transition:release", "allowed", "refused"),
        ("check", "grant do:release", True, False),
        ("fact", "qty", "10.0000", "120.0000"),
        ("check", "state release", True, False),
        ("fact", "state", "quarantine", "released"),
        ("fact", "qty", "10.0000", "120.0000"),
    ]
    today = replace(scene.call.context.person, roles=("auditor",))
    later = (await replays(scene, now=today, decision=Decision("nothing", MappingProxyType({}))))[0]
    assert later.faithful
    found = {(each.what, each.name): (each.then, each.now) for each in later.differences}
    assert found["role", "qc_inspector"] == (True, False)
    assert found["role", "auditor"] == (False, True)
    assert found["policy", "digest"] == ("home", "nothing")
    assert found["rule", "grant do:release"] == (["qty < 100 && site.name == 'SHA'"], [])
    assert later.now is not None
    assert later.now.outcome == "refused"
    await opened.close()


async def test_a_kept_decision_that_was_edited_is_not_faithful(scene: Plant) -> None:
    lot = await scene.commands.create(scene.call, "lot", a_lot(scene, qty="0"))
    with pytest.raises(ClewError):
        await scene.commands.transition(scene.call, "lot", lot.id, "release", 1)
    async with scene.database.migrate() as connection:
        if connection.dialect == "postgresql":
            await connection.run_sql("ALTER TABLE clew_decision DISABLE TRIGGER USER")
        else:
            await connection.run_sql("DROP TRIGGER clew_decision__no_update")
        await connection.run_sql("""UPDATE clew_decision SET body = replace(body, '"0.0000"', '"9.0000"')""")
    [found] = await replays(scene)
    assert not found.faithful
    assert "the kept decision has been changed" in found.unfaithful
    assert "guard release reads other facts than were kept" in found.unfaithful
