"""Threat 30: which components a signature takes, against a model of sessions; nobody approves their own, nobody counts
twice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clew.kernel.errors import ClewError, Forbidden
from clew.records.signing import signer
from clew.records.signing.proven import COMPONENTS, PERSONAL, SESSION_BREAK
from clew.records.signing.signatories import Act
from clew.records.unit import Unit
from clew.testing.databases import TestDatabase, in_thread
from clew.testing.plugin import Tier

sys.path.insert(0, str(Path(__file__).parent))
from signing_world import OTHER, PERSON, Office, a_lot, office
from write_journey import plant

PEOPLE = {"wang": PERSON, "li": OTHER}


@dataclass(frozen=True)
class Step:
    """Somebody tries to sign: a release, or a step that several people sign."""

    who: str
    components: frozenset[str]
    session: str | None
    address: str
    idle: bool
    """More than ten minutes have gone by in this session."""
    maker: str
    several: bool


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(sorted(PEOPLE)),
        st.one_of(
            st.just(frozenset({"login", "password"})),
            st.just(frozenset({"password"})),
            st.frozensets(st.sampled_from(COMPONENTS)),
        ),
        st.sampled_from(["s1", "s1", "s1", "s2", None]),
        st.sampled_from(["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"]),
        st.sampled_from([False, False, False, True]),
        st.sampled_from(sorted(PEOPLE)),
        st.booleans(),
    ),
    min_size=1,
    max_size=10,
)


FIRST = Step("wang", frozenset({"login", "password"}), "s1", "10.0.0.1", False, "li", False)
NEXT = replace(FIRST, components=frozenset({"password"}))
"""The same person goes on in the same session: what holds for nobody else, elsewhere or later."""


@dataclass
class Model:
    """What 21 CFR 11.200(a)(1) says: all components first and after a break, a personal one while it goes on."""

    last: dict[tuple[str, str], str] = field(default_factory=dict)
    """(session, person) → the address of the last signature."""
    signed: set[str] = field(default_factory=set)
    """Who has signed the step of the record that several sign."""

    def expects(self, step: Step) -> str:
        personal = step.components & set(PERSONAL)
        goes_on = step.session is not None and not step.idle
        goes_on = goes_on and self.last.get((str(step.session), step.who)) == step.address
        if not personal or (len(step.components) < 2 and not goes_on):
            return "SIGNATURE_COMPONENTS"
        if not step.several and step.maker == step.who:
            return "FORBIDDEN"
        return "ALREADY_SIGNED" if step.several and step.who in self.signed else "signed"

    def learn(self, step: Step) -> None:
        if step.session is not None:
            self.last[step.session, step.who] = step.address
        if step.several:
            self.signed.add(step.who)


class NotTheMaker:
    """Separation of duties: who made a lot does not release it."""

    async def object(self, act: Act, unit: Unit) -> None:
        if act.action.startswith("transition:") and act.record["created_by"] == act.signatory.account:
            raise Forbidden(action="sign", what=act.entity.label)


async def attempt(desk: Office, step: Step, item: UUID) -> str:
    made, person = desk.plant, PEOPLE[step.who]
    signer.SESSION_BREAK = timedelta(0) if step.idle else SESSION_BREAK
    components = " ".join(sorted(step.components))
    try:
        if step.several:
            version = (await made.current("item"))[item]["row_version"]
            signing = await desk.signing(item, version, "review", components, entity="item", person=person)

            async def work(unit: Unit) -> None:
                taken: Any = unit.engine.signer
                await taken.sign_step(unit, unit.entity("item"), item, "board", "review", unit.signing, {})

            call = desk.call(person, step.session, step.address, signing=signing)
            await made.commands.run(call, work)
        else:
            lot = await made.commands.create(desk.call(PEOPLE[step.maker], None), "lot", a_lot(made))
            signing = await desk.signing(lot.id, 1, components=components, person=person)
            await desk.release(lot.id, 1, signing=signing, person=person, session=step.session, client=step.address)
    except ClewError as error:
        return error.code
    finally:
        signer.SESSION_BREAK = SESSION_BREAK
    return "signed"


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_signature_components(new_database: Callable[[str], TestDatabase], dialect: str, tier: Tier) -> None:
    database = new_database(dialect)

    async def prepare() -> None:
        opened = await database.open()
        await plant(opened)
        await opened.close()

    async def one(steps: list[Step], number: int) -> None:
        desk = await office(await database.open(), NotTheMaker(), fresh=False)
        ids = {row["code"]: row["id"] for row in await desk.plant.rows(desk.plant.tables.current("site"))}
        items = await desk.plant.rows(desk.plant.tables.current("item"))
        desk.plant.ids.update(ids, **{"RAW-1": items[0]["id"]})
        own = await desk.plant.commands.create(desk.plant.call, "item", {"item_no": f"R-{number}", "name": "板"})
        # Sessions of another example are other sessions.
        await desk.session(f"s1-{number}", f"s2-{number}")
        model = Model()
        for step in steps:
            session = None if step.session is None else f"{step.session}-{number}"
            again = Step(step.who, step.components, session, step.address, step.idle, step.maker, step.several)
            expected = model.expects(again)
            before = len(await desk.signatures())
            assert await attempt(desk, again, own.id) == expected, again
            assert len(await desk.signatures()) - before == (expected == "signed")
            if expected == "signed":
                model.learn(again)
        await desk.plant.database.close()

    in_thread(prepare)
    numbers = iter(range(1, 1_000_000))

    @settings(max_examples=tier.count(8, 150), derandomize=not tier.full)
    @example([FIRST, NEXT, replace(NEXT, address="10.0.0.2"), NEXT])
    @example([FIRST, replace(NEXT, idle=True), replace(NEXT, session="s2"), replace(NEXT, session=None)])
    @example([FIRST, replace(NEXT, who="li", maker="wang"), replace(NEXT, maker="wang")])
    @example([replace(FIRST, several=True), replace(NEXT, several=True)])
    @given(STEPS)
    def holds(steps: list[Step]) -> None:
        number = next(numbers)
        in_thread(lambda: one(steps, number))

    holds()
