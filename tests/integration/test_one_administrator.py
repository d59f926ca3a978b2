"""One system administrator alone: no sequence of what is offered reads a business record, or signs.

A small search plays the attacker: an administrator who does whatever the administration offers, signs in with every
password learned, and tries everybody and everything at hand against whatever waits for a second person.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from tests.integration.guarded_case import ORIGIN, make_account, sign_in
from tests.integration.http_case import ADDRESS, Served, served
from tests.integration.identity_case import CHEAP
from tests.integration.test_signing_accounts import RELEASE, House, signing_project

from clew.identity.secrets import Hasher
from clew.storage import system
from clew.testing import TestDatabase
from clew.testing.plugin import Tier

OWN = "an attacker's own sentence"
ROLES = ("sys_admin", "releaser", "feed", "reader")
READS = ("{ lots { nodes { id } } }", "{ suppliers { nodes { id } } }", "{ employees { nodes { id } } }")
RESET = 'mutation($l: String!) { resetUserPassword(login: $l, reason: "x") { secret } }'
CREATE = (
    """mutation($l: String!, $k: String, $e: ID) { createUserAccount(login: $l, kind: $k, employee: $e) { secret } }"""
)
ASK_ROLE = """mutation($l: String!, $r: String!) { requestUserRole(login: $l, role: $r, reason: "x") { id } }"""
LEND = """mutation($l: String!, $r: String!, $u: DateTime!) {
  delegateUserRole(to: $l, role: $r, until: $u, reason: "x") { id } }"""
BREAK = """mutation($r: String!) { breakGlass(role: $r, hours: 4, reason: "an emergency") { id } }"""
ASK_TOKEN = """mutation($l: String!, $u: DateTime!) {
  requestUserToken(login: $l, name: "x", expiresAt: $u, reason: "x") { id } }"""
OWN_TOKEN = (
    """mutation($l: String!, $u: DateTime!) { createUserToken(login: $l, name: "x", expiresAt: $u) { secret } }"""
)
ON_ACCOUNT = {
    "enable": 'mutation($l: String!) { enableUserAccount(login: $l, reason: "x") { id } }',
    "disable": 'mutation($l: String!) { disableUserAccount(login: $l, reason: "x") { id } }',
    "unlock": 'mutation($l: String!) { unlockUserAccount(login: $l, reason: "x") { id } }',
    "lose": 'mutation($l: String!) { removeUserCodeGenerator(login: $l, reason: "x") { id } }',
    "end": "mutation($l: String!) { endUserSessions(login: $l) { id } }",
    "leave": 'mutation($l: String!) { leaveUserAccount(login: $l, reason: "x") { id } }',
}
APPROVE = 'mutation($id: ID!) { approveUserRole(id: $id, reason: "x") { id } }'
AGREE = 'mutation($id: ID!) { approveUserToken(id: $id, reason: "x") { id } }'
COLLECT = "mutation($id: ID!) { collectUserToken(id: $id) { secret } }"
CONFIRM = "mutation($l: String!, $c: String!) { confirmUserIdentity(login: $l, code: $c) { confirmed } }"
ACTS = ("create", "service", "linked", "reset", "role", "lend", "break", "token", "own_token", *ON_ACCOUNT)
STEP = st.tuples(st.sampled_from(ACTS), st.integers(0, 20), st.integers(0, len(ROLES) - 1), st.integers(0, 5))
Step = tuple[str, int, int, int]


@dataclass
class Attacker:
    """What one person has in hand: browsers, tokens, passwords, codes, and what waits for somebody to agree."""

    house: Served
    people: list[str]
    employees: list[str]
    lot: str
    browsers: dict[str, httpx2.AsyncClient] = field(default_factory=dict)
    tokens: list[httpx2.AsyncClient] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    roles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def client(self, **headers: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=self.house.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=ADDRESS, headers={**ORIGIN, **headers})

    @property
    def hands(self) -> list[httpx2.AsyncClient]:
        return [*self.browsers.values(), *self.tokens]

    async def ask(self, by: httpx2.AsyncClient, query: str, **variables: Any) -> dict[str, Any]:
        """The only value of the answer, or nothing."""
        answer = (await by.post("/graphql", json={"query": query, "variables": variables})).json()
        values = list((answer.get("data") or {}).values())
        return values[0] if values and isinstance(values[0], dict) else {}

    async def act(self, step: Step) -> None:
        name, who, role, hand = step
        by = self.hands[hand % len(self.hands)]
        login, until = self.people[who % len(self.people)], (datetime.now(UTC) + timedelta(days=2)).isoformat()
        match name:
            case "create" | "service" | "linked":
                fresh = f"{self.people[0]}.puppet{len(self.people)}"
                kind = "service" if name == "service" else "person"
                employee = self.employees[who % len(self.employees)] if name == "linked" else None
                made = await self.ask(by, CREATE, l=fresh, k=kind, e=employee)
                if made:
                    self.people.append(fresh)
                    self.secrets[fresh] = made["secret"]
            case "reset":
                found = await self.ask(by, RESET, l=login)
                self.secrets |= {login: found["secret"]} if found else {}
            case "role":
                self.roles += (await self.ask(by, ASK_ROLE, l=login, r=ROLES[role])).values()
            case "lend":
                await self.ask(by, LEND, l=login, r=ROLES[role], u=until)
            case "break":
                self.roles += (await self.ask(by, BREAK, r=ROLES[role])).values()
            case "token":
                self.requests += (await self.ask(by, ASK_TOKEN, l=login, u=until)).values()
            case "own_token":
                self.carry(await self.ask(by, OWN_TOKEN, l=login, u=until))
            case _:
                await self.ask(by, ON_ACCOUNT[name], l=login)
        self.log.append(f"{name} {login} {ROLES[role]}")
        await self.use()

    def carry(self, found: dict[str, Any]) -> None:
        if found.get("secret"):
            self.tokens.append(self.client(authorization=f"Bearer {found['secret']}"))

    async def use(self) -> None:
        """Sign in with what was learned, and try everything in hand against everything that waits."""
        for login, secret in list(self.secrets.items()):
            del self.secrets[login]
            if secret:
                await self.enter(login, secret)
        for by in self.hands:
            for login, code in self.codes.items():
                await self.ask(by, CONFIRM, l=login, c=code)
            for each in self.roles:
                await self.ask(by, APPROVE, id=each)
            for each in self.requests:
                await self.ask(by, AGREE, id=each)
                self.carry(await self.ask(by, COLLECT, id=each))

    async def enter(self, login: str, secret: str) -> None:
        browser = self.client()
        if (await sign_in(browser, login, secret)).status_code != 200:
            return
        changed = await browser.post("/me/password", json={"password": secret, "new": OWN})
        if changed.status_code == 200:
            self.codes[login] = changed.json().get("confirmation") or ""
        self.browsers[login] = browser

    async def seen(self) -> list[str]:
        """Business records that something in hand reads, and signatures that were given."""
        found = []
        for by in self.hands:
            for query in READS:
                nodes = (await self.ask(by, query)).get("nodes")
                found += [query] if nodes else []
            given = {"digest": "0" * 64, "meaning": "release", "login": self.people[0], "password": OWN}
            if await self.ask(by, RELEASE, id=self.lot, v=1, s=given):
                found.append("a signature")
        return found


async def attack(house: House, number: int, steps: list[Step]) -> None:
    """One attacker among honest people, all made anew."""
    desk, names = house.desk, [f"{each}{number}" for each in ("root", "second", "zhang", "feed", "gone")]
    root, second, zhang, feed, gone = names
    for login in (root, second):
        await make_account(desk, login, "sys_admin")
    signer = await house.person(zhang, "releaser")
    await make_account(desk, feed, "feed", kind="service", password="")
    left = await house.person(gone, "releaser")
    employees = [str(each.employee) for each in (signer, left)]
    attacker = Attacker(house.served, names, employees, await house.lot())
    attacker.browsers[root] = attacker.client()
    assert (await sign_in(attacker.browsers[root], root)).status_code == 200
    for step in steps:
        await attacker.act(step)
        seen = await attacker.seen()
        assert seen == [], (seen, attacker.log)
    async with desk.database.read() as connection:
        assert await connection.fetch_value(sa.select(sa.func.count()).select_from(system.signature)) == 0
    for each in attacker.hands:
        await each.aclose()


def every(act: str) -> list[Step]:
    """An act once for each honest person."""
    return [(act, who, role, 0) for who in range(5) for role in range(len(ROLES) if act in ("role", "lend") else 1)]


def test_sys_admin_alone_reads_nothing_and_signs_nothing(database: TestDatabase, tmp_path: Path, tier: Tier) -> None:
    """Whatever one administrator does, in any order, nothing of the business opens."""
    project = signing_project(tmp_path / "signing")
    numbers = count()
    with asyncio.Runner() as runner:
        opened = served(database.url, tmp_path / "blobs", folder=project, project=project)
        running = runner.run(opened.__aenter__())
        try:
            running.host.current.desk.credentials.hasher = Hasher(CHEAP)
            house = House(running, {})
            runner.run(house.furnish())
            runner.run(running.host.current.commands.create(house.installer, "supplier", {"name": "A"}))

            @settings(
                max_examples=tier.count(4, 400), derandomize=True, phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @example([*every("reset"), *every("role")])
            @example([("create", 0, 0, 0), *every("lend"), ("lend", 5, 0, 0), ("role", 5, 1, 0), ("break", 0, 1, 0)])
            @example([("service", 0, 0, 0), ("role", 5, 2, 0), *every("token"), ("token", 5, 0, 0)])
            @example([*every("linked"), *every("enable"), *every("lose"), *every("own_token")])
            @given(st.lists(STEP, min_size=4, max_size=10))
            def search(steps: list[Step]) -> None:
                runner.run(attack(house, next(numbers), steps))

            search()
        finally:
            runner.run(opened.__aexit__(None, None, None))
