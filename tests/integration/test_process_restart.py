"""Threat 37 on the tables: a process whose platform is started anew after every step comes to the same state."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from tests.integration.process_world import Works, at_work, small_works
from tests.unit.process.play import PROJECT
from tests.unit.process.test_machine_random import EVERYBODY, flow
from tests.unit.process.test_machine_random import PEOPLE as ROLES

from clew.kernel.errors import ClewError
from clew.kernel.scalars import instant_text
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.process import jobs, words
from clew.process.state import State
from clew.process.store import load
from clew.process.words import Actor, Command
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio

PEOPLE = {each: tuple(role for role, people in ROLES.items() if each in people) for each in EVERYBODY}
COMMANDS = 25
Given = Callable[[Actor, str], Command]


def definition(dice: random.Random) -> Blueprint | None:
    """A project with a random process; None for one that is refused, or that would call itself about its record."""
    steps = "".join(f"  {name}: {{{body}}}\n" for name, body in flow(dice, 2, "s").items())
    if "call:" in steps:
        return None
    text = f"workflow: handling\nfor: case\nowner: boss\nsteps:\n{steps}"
    return load_sources({**PROJECT, "workflows/w.yaml": text}).blueprint


@dataclass
class Side:
    """One of the two instances, and whether its platform is started anew before each command."""

    works: Works
    process: UUID
    database: TestDatabase
    anew: bool

    async def give(self, login: str, command: Given, by_itself: bool) -> str:
        works = self.works
        opened = None
        if self.anew:
            opened = await self.database.open(connections=2)
            plain, works.plant.database = works.plant.database, opened
            works = at_work(works.plant, works.processes.blueprint, ())
            self.works.plant.database = plain
            works.people, works.staff.roles = self.works.people, self.works.staff.roles
        try:
            if by_itself:
                async with works.processes.database.read() as connection:
                    at = instant_text(await connection.now())
                call = jobs.system_call(works.processes)
                await works.processes.system(call, self.process, command(Actor(""), at))
                await jobs.drain(works.processes)
            else:
                await works.give(login, self.process, command, [str(random.random())])
        except ClewError as error:
            return error.code
        finally:
            if opened is not None:
                await opened.close()
        return "done"

    async def state(self) -> State:
        async with self.works.plant.database.read() as connection:
            found = await load(connection, self.process)
        assert found is not None
        return found.state

    async def shape(self) -> Any:
        """The state without what may differ between the two: which record it is about, and when."""
        found = (await self.state()).to_json()
        return _without(found, found["subject"]["id"])


def _without(value: Any, record: str) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, record) for key, item in value.items() if key != "at"}
    if isinstance(value, list):
        return [_without(each, record) for each in value]
    return "the record" if value == record else value


def something(dice: random.Random, works: Works, state: State) -> tuple[str, Given, bool]:
    """Something somebody might do, sensible or not; or that happens by itself."""
    person = {str(each.id): login for login, each in works.people.items()}
    who = dice.choice(EVERYBODY)
    tasks = [each for each in state.tasks.values() if each.status in ("open", "held")]
    token = dice.choice([*state.tokens, 1])
    if tasks and dice.random() < 0.75:
        task = dice.choice(tasks)
        step = works.processes.blueprint.workflows["handling"].step(task.step)
        if dice.random() < 0.85 and task.candidates:
            who = person[task.assignee or dice.choice(task.candidates)]
        outcome, other = dice.choice(list(step.outcomes) or ["done"]), str(works.people[dice.choice(EVERYBODY)].id)
        where: Any = dice.choice(["before", "after"])
        back = dice.choice(list(works.processes.blueprint.workflows["handling"].flow.steps))
        straight = dice.random() < 0.5
        choices: list[Given] = [lambda actor, at: words.Decide(task.id, outcome, actor, at, "because")] * 6
        choices += [
            lambda actor, at: words.Claim(task.id, actor, at),
            lambda actor, at: words.Unclaim(task.id, actor, at),
            lambda actor, at: words.Transfer(task.id, other, actor, at, straight),
            lambda actor, at: words.AddSigner(task.id, other, where, actor, at),
            lambda actor, at: words.SendBack(task.id, back, straight, actor, at, "again"),
        ]
        return who, dice.choice(choices), False
    timers = list(state.timers)
    fired = dice.choice(timers) if timers else 1
    alone: list[Given] = [
        lambda actor, at: words.EventArrived(token, at),
        lambda actor, at: words.TimerFired(fired, at),
    ]
    if state.status == "suspended":
        return "hal", lambda actor, at: words.Resume(actor, at), False
    if dice.random() < 0.15:
        return "hal", lambda actor, at: words.Suspend(actor, at, "a pause"), False
    return who, dice.choice(alone), True


async def test_restarted_after_every_step(database: TestDatabase, tier: Tier) -> None:
    made = await small_works(await database.open(), "  fill: {who: clerk}\n", people={"boss": ("hal",)})
    for login, roles in PEOPLE.items():
        made.hire(login, *roles)
    parts = [(await made.plant.commands.create(made.call("hal"), "part", {"code": f"P{each}"})).id for each in range(2)]
    played = done = 0
    for seed in range(10_000):
        if played == tier.count(2, 150):
            break
        dice = random.Random(seed)
        blueprint = definition(dice)
        if blueprint is None:
            continue
        played += 1
        sides = []
        for anew in (False, True):
            works = at_work(made.plant, blueprint, ())
            works.people, works.staff.roles = made.people, made.staff.roles
            outcome = await works.plant.commands.create(works.call("hal"), "case", {"parts": parts})
            begun = await works.processes.start(works.call("hal"), "handling", outcome.id)
            sides.append(Side(works, begun.process, database, anew))
        for _ in range(COMMANDS):
            state = await sides[0].state()
            if not state.live:
                break
            login, command, by_itself = something(dice, sides[0].works, state)
            answers = [await each.give(login, command, by_itself) for each in sides]
            assert answers[0] == answers[1], f"seed {seed}: {answers}"
            assert await sides[0].shape() == await sides[1].shape(), f"seed {seed} after {command}"
            done += answers[0] == "done"
    assert done > played * 2
