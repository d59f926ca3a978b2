"""Administration over GraphQL: who may what, two people for a role, and nothing of the business."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import ORIGIN, ask, code_of, guarded, make_account, sign_in
from tests.integration.http_case import ADDRESS, Served

from clew.identity import accounts, tokens
from clew.kernel.context import Context, Person
from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.engine import Connection
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio


class User:
    """A browser of its own, signed in."""

    def __init__(self, house: Served) -> None:
        transport = httpx2.ASGITransport(app=house.app, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url=ADDRESS, headers=ORIGIN)

    async def come(self, login: str) -> User:
        assert (await sign_in(self.client, login)).status_code == 200
        return self

    async def do(self, query: str, **variables: Any) -> Any:
        answer = (await self.client.post("/graphql", json={"query": query, "variables": variables})).json()
        assert "errors" not in answer, answer
        [value] = answer["data"].values()
        return value

    async def refused(self, query: str, **variables: Any) -> str:
        return code_of(await self.client.post("/graphql", json={"query": query, "variables": variables}))


REQUEST = """mutation($login: String!, $role: String!) {
  requestUserRole(login: $login, role: $role, reason: "new") { id state } }"""
CONFIRM = """mutation($login: String!, $code: String!) {
  confirmUserIdentity(login: $login, code: $code) { confirmed } }"""
ASK_TOKEN = """mutation($l: String!, $u: DateTime!) {
  requestUserToken(login: $l, name: "nightly", expiresAt: $u, reason: "nightly orders") { id state } }"""
AGREE = 'mutation($id: ID!) { approveUserToken(id: $id, reason: "agreed") { state decidedBy } }'
COLLECT = "mutation($id: ID!) { collectUserToken(id: $id) { id secret login } }"
APPROVE = 'mutation($id: ID!) { approveUserRole(id: $id, reason: "agreed") { login role state grantedBy } }'


async def test_accounts_roles_and_tokens_are_administered(database: TestDatabase, tmp_path: Path) -> None:
    async with guarded(database.url, tmp_path) as house:
        desk = house.host.current.desk
        for login in ("root.admin", "second.admin"):
            await make_account(desk, login, "sys_admin")
        root, second = await User(house).come("root.admin"), await User(house).come("second.admin")

        made = await root.do('mutation { createUserAccount(login: "li.wei", name: "李伟") { login secret id } }')
        asked = await root.do(REQUEST, login="li.wei", role="buyer")
        assert asked["state"] == "requested"
        [waiting] = await second.do("{ userRoleRequests { id login role reason } }")
        assert waiting == {"id": asked["id"], "login": "li.wei", "role": "buyer", "reason": "new"}
        assert await root.refused(APPROVE, id=asked["id"]) == "NOT_YOURSELF"  # who asks does not grant
        granted = await second.do(APPROVE, id=asked["id"])
        assert (granted["login"], granted["role"], granted["state"]) == ("li.wei", "buyer", "active")
        mine = await root.do(REQUEST, login="second.admin", role="reader")
        assert await second.refused(APPROVE, id=mine["id"]) == "NOT_YOURSELF"  # nor does who is to hold it
        both = await root.do(REQUEST, login="li.wei", role="qa_manager")
        assert await second.refused(APPROVE, id=both["id"]) == "SEPARATION_CONFLICT"
        await second.do('mutation($id: ID!) { refuseUserRole(id: $id, reason: "no") { state } }', id=both["id"])

        li = User(house)
        entered = await sign_in(li.client, "li.wei", made["secret"])
        assert entered.json()["mustChange"] is True
        change = {"password": made["secret"], "new": "my own long sentence"}
        changed = (await li.client.post("/me/password", json=change)).json()
        assert await li.refused("{ myRoles { role } }") == "IDENTITY_DUE"
        [due] = await second.do("{ userConfirmations { login name what issuedBy } }")
        assert due == {"login": "li.wei", "name": "李伟", "what": "password", "issuedBy": "root.admin"}
        assert await root.refused(CONFIRM, login="li.wei", code=changed["confirmation"]) == "NOT_YOURSELF"
        assert await second.refused(CONFIRM, login="li.wei", code="0000-0000") == "CONFIRMATION_CODE"
        assert (await second.do(CONFIRM, login="li.wei", code=changed["confirmation"])) == {"confirmed": True}
        assert (await li.do("{ myRoles { role state } }")) == [{"role": "buyer", "state": "active"}]
        assert (await li.do('mutation { createSupplier(input: {name: "A"}) { created } }')) == {"created": True}

        await root.do('mutation { createUserAccount(login: "erp.feed", kind: "service") { login secret } }')
        until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        token = """mutation($l: String!, $u: DateTime!) {
          createUserToken(login: $l, name: "nightly", expiresAt: $u) { id secret } }"""
        for login in ("erp.feed", "li.wei"):
            assert await root.refused(token, l=login, u=until) == "NOT_YOURSELF"  # nobody acts as another
        wanted = await root.do(ASK_TOKEN, l="erp.feed", u=until)
        assert await root.refused(COLLECT, id=wanted["id"]) == "NO_TOKEN"  # nobody has agreed
        assert await root.refused(AGREE, id=wanted["id"]) == "NOT_YOURSELF"
        [open_] = await second.do("{ userTokenRequests { id login state requestedBy } }")
        assert open_ == {"id": wanted["id"], "login": "erp.feed", "state": "requested", "requestedBy": "root.admin"}
        assert (await second.do(AGREE, id=wanted["id"]))["state"] == "approved"
        assert await second.refused(COLLECT, id=wanted["id"]) == "NOT_YOURSELF"  # who agreed never sees it
        secret = await root.do(COLLECT, id=wanted["id"])
        assert await root.refused(COLLECT, id=wanted["id"]) == "NO_TOKEN"  # once
        other = await root.do(ASK_TOKEN, l="erp.feed", u=until)
        await second.do('mutation($id: ID!) { refuseUserToken(id: $id, reason: "no") { state } }', id=other["id"])
        assert await second.refused(AGREE, id=other["id"]) == "NO_TOKEN"
        shown = await root.do('{ userAccounts(login: "erp.feed") { tokens { id name } sessions { id kind } } }')
        assert secret["secret"] not in repr(shown)
        assert shown[0]["tokens"] == [{"id": secret["id"], "name": "nightly"}]
        revoked = await root.do(
            "mutation($id: ID!) { revokeUserToken(id: $id) { tokens { revokedAt } } }", id=secret["id"]
        )
        assert revoked["tokens"][0]["revokedAt"] is not None

        off = await root.do('mutation { disableUserAccount(login: "li.wei", reason: "x") { state sessions { id } } }')
        assert off == {"state": "disabled", "sessions": []}
        assert code_of(await ask(li.client)) == "UNAUTHENTICATED"
        await root.do('mutation { enableUserAccount(login: "li.wei", reason: "x") { state } }')
        await root.do('mutation { unlockUserAccount(login: "li.wei", reason: "he called") { state } }')
        await root.do('mutation { removeUserCodeGenerator(login: "li.wei", reason: "it is lost") { state } }')
        await root.do('mutation { resetUserPassword(login: "li.wei", reason: "forgotten") { login } }')
        left = await root.do(
            'mutation { leaveUserAccount(login: "li.wei", reason: "left") { state assignments { id } } }'
        )
        assert left == {"state": "disabled", "assignments": []}
        assert await root.do("{ userHandovers { what } }") == [{"what": "role:buyer"}]

        async with desk.database.read() as connection:
            rows = await connection.fetch(sa.select(system.leaf.c.action, system.leaf.c.header))
        told = {(action, json.loads(header)["reason"]) for action, header in rows}
        assert told >= {
            ("account.unlock", "he called"),
            ("credential.set", "it is lost"),
            ("credential.set", "forgotten"),
            ("assignment.request", "new"),
            ("assignment.grant", "agreed"),
            ("token.request", "nightly orders"),
            ("token.approve", "agreed"),
        }


async def test_the_system_administrator_has_no_business_data(database: TestDatabase, tmp_path: Path) -> None:
    async with guarded(database.url, tmp_path) as house:
        desk = house.host.current.desk
        await make_account(desk, "root.admin", "sys_admin")
        await make_account(desk, "li.wei", "buyer")
        root, li = await User(house).come("root.admin"), await User(house).come("li.wei")
        for query in ("{ suppliers { totalCount } }", "{ lots { totalCount } }",
                      'mutation { createSupplier(input: {name: "A"}) { created } }'):  # fmt: skip
            assert await root.refused(query) == "GRAPHQL_INVALID"
        for query in ("{ userAccounts { login } }", "{ userRoleRequests { id } }", "{ userHandovers { id } }",
                      'mutation { createUserAccount(login: "x.y") { login } }',
                      'mutation { disableUserAccount(login: "root.admin", reason: "x") { state } }'):  # fmt: skip
            assert await li.refused(query) == "GRAPHQL_INVALID"  # what one may not do does not exist
        names = "{ __schema { mutationType { fields { name } } queryType { fields { name } } } }"
        shown = (await ask(li.client, names)).text
        assert "UserAccount" not in shown
        assert "delegateUserRole" in shown
        shown = (await ask(root.client, names)).text
        assert "createUserAccount" in shown
        assert "upplier" not in shown


async def test_stand_ins_and_emergencies_are_everybodys(tmp_path: Path, new_database: Any) -> None:
    async with guarded(new_database("sqlite").url, tmp_path) as house:
        desk = house.host.current.desk
        for login, role in (("li.wei", "buyer"), ("zhao.min", "reader"), ("root.admin", "sys_admin"),
                            ("second.admin", "sys_admin")):  # fmt: skip
            await make_account(desk, login, role)
        li, zhao = await User(house).come("li.wei"), await User(house).come("zhao.min")
        root, second = await User(house).come("root.admin"), await User(house).come("second.admin")
        lend = """mutation($r: String!, $u: DateTime!) {
          delegateUserRole(to: "zhao.min", role: $r, until: $u, reason: "leave") { role kind login } }"""
        until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        for why, code in (("", "REASON_REQUIRED"), (" \u3000", "REASON_REQUIRED"), ("\ufe0f", "REASON_REQUIRED"),
                          ("\u200b", "BAD_INPUT")):  # fmt: skip
            for act in (
                'requestUserRole(login: "li.wei", role: "reader", reason: $why) { id }',
                f'delegateUserRole(to: "zhao.min", role: "buyer", until: "{until}", reason: $why) {{ id }}',
                f'endUserRole(id: "{uuid7()}", reason: $why) {{ id }}',
                f'refuseUserRole(id: "{uuid7()}", reason: $why) {{ id }}',
                f'approveUserRole(id: "{uuid7()}", reason: $why) {{ id }}',
                f'approveUserToken(id: "{uuid7()}", reason: $why) {{ id }}',
                'resetUserPassword(login: "li.wei", reason: $why) { id }',
                'removeUserCodeGenerator(login: "li.wei", reason: $why) { id }',
                f'refuseUserToken(id: "{uuid7()}", reason: $why) {{ id }}',
                f'requestUserToken(login: "li.wei", name: "x", expiresAt: "{until}", reason: $why) {{ id }}',
                f'reviewUserEmergency(id: "{uuid7()}", justified: false, note: $why) {{ id }}',
                *(
                    f'{each}UserAccount(login: "li.wei", reason: $why) {{ id }}'
                    for each in ("disable", "enable", "unlock", "leave")
                ),
            ):
                who = li if act.startswith("delegate") else root
                assert await who.refused(f"mutation($why: String!) {{ {act} }}", why=why) == code, (act, why)
        lent = await li.do(lend, r="buyer", u=until)
        assert lent == {"role": "buyer", "kind": "delegation", "login": "zhao.min"}
        assert await li.refused(lend, r="sys_admin", u=until) == "NOT_HELD"
        assert sorted(each["role"] for each in await zhao.do("{ myRoles { role } }")) == ["buyer", "reader"]
        wanted = await li.do(
            'mutation { breakGlass(role: "reader", hours: 2, reason: "alarm in sterile") { id state } }'
        )
        assert wanted["state"] == "requested"
        assert (
            await li.refused('mutation { breakGlass(role: "reader", hours: 30, reason: "alarm") { id } }') == "PERIOD"
        )
        assert (await root.do(APPROVE, id=wanted["id"]))["state"] == "active"
        [due] = await second.do("{ userEmergencies { id login } }")
        assert due == {"id": wanted["id"], "login": "li.wei"}
        judge = "mutation($id: ID!) { reviewUserEmergency(id: $id, justified: true) { id } }"
        assert await root.refused(judge, id=wanted["id"]) == "NOT_YOURSELF"
        await second.do(judge, id=wanted["id"])
        assert await second.do("{ userEmergencies { id } }") == []


async def test_a_token_passes_nothing_on(tmp_path: Path, new_database: Any) -> None:
    """Whoever finds a token acts as it until it ends, within its roles: it makes no other token, lends no role, asks
    for none in an emergency, and is nobody's second person."""
    async with guarded(new_database("sqlite").url, tmp_path) as house:
        desk = house.host.current.desk
        for login, role in (("li.wei", "buyer"), ("zhao.min", "reader"), ("root.admin", "sys_admin"),
                            ("second.admin", "sys_admin")):  # fmt: skip
            await make_account(desk, login, role)
        root, second = await User(house).come("root.admin"), await User(house).come("second.admin")
        until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
        token = """mutation($l: String!, $s: [String!], $u: DateTime!) {
          createUserToken(login: $l, name: "x", scopes: $s, expiresAt: $u) { id secret } }"""
        lend = """mutation($u: DateTime!) {
          delegateUserRole(to: "zhao.min", role: "buyer", until: $u, reason: "leave") { role } }"""
        emergency = 'mutation { breakGlass(role: "reader", hours: 2, reason: "alarm in sterile") { id } }'

        async with desk.database.read() as connection:
            li = await accounts.by_login(connection, "li.wei")

        async def narrowed(connection: Connection, at: datetime) -> str:
            context = Context(Person(li.id, "li.wei", "li"), "r")
            end = at + timedelta(days=1)
            secret, _ = await tokens.create(
                connection, desk.witness, context, li, name="x", at=at, expires_at=end, scopes=["reader"]
            )
            return secret

        found = User(house)
        found.client.headers["authorization"] = "Bearer " + await desk.within(narrowed)
        assert await found.refused(lend, u=until) == "TOKEN_NOT_ENOUGH"  # not even what it was narrowed from
        assert await found.refused(emergency) == "TOKEN_NOT_ENOUGH"

        made = await root.do(token, l="root.admin", s=["sys_admin"], u=until)
        program = User(house)
        program.client.headers["authorization"] = f"Bearer {made['secret']}"
        assert await program.do("{ userRoleRequests { id } }") == []
        assert await program.refused(token, l="root.admin", s=[], u=until) == "TOKEN_NOT_ENOUGH"
        asked = await second.do(REQUEST, login="zhao.min", role="buyer")
        assert await program.refused(APPROVE, id=asked["id"]) == "TOKEN_NOT_ENOUGH"
        assert (await root.do(APPROVE, id=asked["id"]))["state"] == "active"
