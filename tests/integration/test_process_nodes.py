"""Processes on several servers: one winner of many, and servers that are killed under load at any moment."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from tests.integration.forked_servers import Forked, nursery
from tests.integration.http_case import until
from tests.integration.process_nodes_case import (
    CREATE,
    FILL,
    LOOK,
    SIGN,
    START,
    House,
    Refused,
    ask,
    client,
    due_jobs,
    half_done,
    house,
)
from tests.integration.write_ledger import discrepancies

from clew.storage import process_tables
from clew.testing.databases import TestDatabase
from clew.testing.plugin import Tier, tier_of

pytestmark = pytest.mark.anyio


async def test_one_winner_across_two_servers(
    new_database: Callable[[str], TestDatabase], tier: Tier, tmp_path: Path
) -> None:
    """Threat 34 with two processes on PostgreSQL: of all who decide one task at once exactly one does."""
    many, rounds = tier.count(8, 50), tier.count(3, 200)
    people = [f"p{each}" for each in range(many)]
    made = await house(await new_database("postgresql").open(), dict.fromkeys(people, "clerk"))
    async with nursery(made.plant.database.url, tmp_path) as servers, client() as web:
        nodes = [await servers.server(), await servers.server()]
        for at in range(rounds):
            first = made.secrets[people[0]]
            case = (await ask(web, nodes[0].address, first, CREATE))["createCase"]["case"]["id"]
            begun = (await ask(web, nodes[0].address, first, START, id=case))["startHandling"]["process"]
            task = begun["tasks"][0]["id"]

            async def decide(number: int, task: str = task, title: str = f"T{at}") -> str:
                node, secret = nodes[number % 2], made.secrets[people[number]]
                try:
                    await ask(web, node.address, secret, FILL, id=task, title=f"{title}-{number}")
                except Refused as refused:
                    return refused.code
                return "done"

            answers = Counter(await asyncio.gather(*(decide(each) for each in range(many))))
            assert answers.pop("done") == 1, answers
            assert set(answers) <= {"TASK_GONE", "NO_SUCH_PROCESS"}, answers
        await until(partial(nothing_due, made))
    lines = [each for each in await made.plant.rows(process_tables.process_log) if each["what"] == "decide"]
    assert len(lines) == rounds
    assert await half_done(made.plant) == []


class Load:
    """People at work through whichever server answers. A request that got no answer is sent again under its key."""

    def __init__(self, made: House, web: httpx2.AsyncClient) -> None:
        self.made, self.web = made, web
        self.servers: list[Forked] = []
        self.acknowledged: list[tuple[str, str]] = []
        """Instance and step of every answer that came."""
        self.started = 0
        self.working: list[asyncio.Task[None]] = []
        self.stopping = False
        self.unanswered = 0

    async def ask(self, login: str, query: str, **variables: Any) -> Any:
        key = f"{login}-{random.getrandbits(64):016x}"
        while True:
            node = random.choice(self.servers) if self.servers else None
            try:
                if node is not None:
                    return await ask(self.web, node.address, self.made.secrets[login], query, key=key, **variables)
            except (httpx2.TransportError, OSError):
                self.unanswered += 1
            await asyncio.sleep(0.01)

    async def work(self, clerk: str, boss: str) -> None:
        """Cases from their beginning to their end, one after the other."""
        while not self.stopping:
            self.started += 1
            title = f"{clerk}-{self.started}"
            case = (await self.ask(clerk, CREATE))["createCase"]["case"]["id"]
            instance = (await self.ask(clerk, START, id=case))["startHandling"]["process"]
            self.acknowledged.append((instance["id"], "start"))
            (task,) = [each["id"] for each in instance["tasks"]]
            await self.ask(clerk, FILL, id=task, title=title)
            self.acknowledged.append((instance["id"], "fill"))
            task = await self.signing(boss, instance["id"])
            await self.ask(boss, SIGN, id=task)
            self.acknowledged.append((instance["id"], "sign"))

    async def signing(self, boss: str, process: str) -> str:
        """The task after the automatic step, which the platform does by itself."""
        while True:
            found = await self.look(boss, process)
            for each in found["tasks"]:
                if each["step"] == "sign":
                    return str(each["id"])
            await asyncio.sleep(0.02)

    async def more(self, than: int) -> bool:
        """Whether more was acknowledged; raises what went wrong for anybody."""
        for each in self.working:
            if each.done():
                each.result()
        return len(self.acknowledged) > than

    async def look(self, boss: str, process: str) -> Any:
        while True:
            node = random.choice(self.servers) if self.servers else None
            try:
                if node is not None:
                    found = await ask(self.web, node.address, self.made.secrets[boss], LOOK, id=process)
                    return found["processInstance"] or {"tasks": []}
            except (httpx2.TransportError, OSError):
                self.unanswered += 1
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("part", range(5 if tier_of(os.environ).full else 1))
async def test_killed_under_load(
    database: TestDatabase, tier: Tier, tmp_path: Path, record_property: Callable[[str, object], None], part: int
) -> None:
    """Threats 36 and 37: SIGKILL at random points while people work. Nothing that was acknowledged is lost, nothing is
    half done or done twice, and after each kill everything goes on by itself. 500 kills in parts, each with moments of
    its own."""
    kills, limit = tier.count(5, 100), tier.count(60, 10)
    pairs = [(f"c{each}", f"b{each}") for each in range(4)]
    people = {**{clerk: "clerk" for clerk, _ in pairs}, **{boss: "boss" for _, boss in pairs}}
    made = await house(await database.open(), people)
    chance = random.Random(11 + part)
    async with nursery(database.url, tmp_path) as servers, client() as web:
        load = Load(made, web)
        load.servers = [await servers.server() for _ in range(2 if database.dialect == "postgresql" else 1)]
        load.working = [asyncio.create_task(load.work(*each)) for each in pairs]
        slowest = 0.0
        for _ in range(kills):
            await until(partial(load.more, len(load.acknowledged)), limit)
            await asyncio.sleep(chance.uniform(0, 0.25))
            victim = load.servers[chance.randrange(len(load.servers))]
            victim.kill()
            killed = time.monotonic()
            load.servers.remove(victim)
            load.servers.append(await servers.server())
            # People get answers again, and what the dead server was at is taken up, beside all that is new.
            await until(partial(load.more, len(load.acknowledged)), limit)
            await until(partial(nothing_due, made, timedelta(seconds=1)), limit)
            slowest = max(slowest, time.monotonic() - killed)
        record_property("slowest recovery, seconds", round(slowest, 1))
        load.stopping = True
        await asyncio.gather(*load.working)
        await until(partial(nothing_due, made), limit)
    await everything_is_there(load, made)


async def nothing_due(made: House, since: timedelta = timedelta()) -> bool:
    return await due_jobs(made.plant, since) == 0


async def everything_is_there(load: Load, made: House) -> None:
    assert load.unanswered, "the kills met nobody at work"
    instances = {each["id"]: each for each in await made.plant.rows(process_tables.process)}
    assert len(instances) == load.started
    assert {each["status"] for each in instances.values()} == {"ended"}
    done = {(process, each["step"]) for process, row in instances.items() for each in row["state"]["done"]}
    for process, step in load.acknowledged:
        assert step == "start" or (UUID(process), step) in done, f"{process}: {step} was acknowledged and is lost"
    assert len({process for process, _ in load.acknowledged}) == len(instances)
    assert await half_done(made.plant) == []
    assert await discrepancies(made.plant) == []
