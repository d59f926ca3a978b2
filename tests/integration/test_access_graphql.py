"""Access review over GraphQL: for those who look after reviews; what a reviewer does not see is not told either."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from openpyxl import load_workbook
from tests.integration.guarded_case import ORIGIN, make_account, sign_in
from tests.integration.http_case import ADDRESS, MINI, Served, served
from tests.integration.identity_case import CHEAP, PASSWORD
from tests.integration.review_world import ROLES, SEPARATIONS

from clew.identity.secrets import Hasher
from clew.records.commands import Call
from clew.storage import system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

BLIND = """
---
role: blind_reviewer
label: {zh: 复核员, en: Reviewer}
administer: [reviews]
may:
  lot: {read: always, hide: [created_by]}
connectors: {"*": {run: always}}
---
role: far_reviewer
label: {zh: 他处复核员, en: Reviewer elsewhere}
administer: [reviews]
may:
  lot: {read: "qty > 1000"}
"""


class User:
    """A browser of its own, signed in."""

    def __init__(self, house: Served) -> None:
        transport = httpx2.ASGITransport(app=house.app, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url=ADDRESS, headers=ORIGIN)

    async def come(self, login: str) -> User:
        assert (await sign_in(self.client, login)).status_code == 200
        return self

    async def answer(self, query: str, **variables: Any) -> Any:
        return (await self.client.post("/graphql", json={"query": query, "variables": variables})).json()

    async def do(self, query: str, **variables: Any) -> Any:
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer
        [value] = answer["data"].values()
        return value

    async def refused(self, query: str, **variables: Any) -> str:
        return str((await self.answer(query, **variables))["errors"][0]["extensions"]["code"])


@asynccontextmanager
async def group(database: TestDatabase, tmp_path: Path) -> AsyncIterator[tuple[Served, str]]:
    """The small group, served; the number of a lot that ina made."""
    folder = tmp_path / "group"
    shutil.copytree(MINI, folder)
    (folder / "permissions").mkdir()
    (folder / "permissions" / "roles.yaml").write_text(ROLES + BLIND, encoding="utf-8")
    (folder / "permissions" / "separations.yaml").write_text(SEPARATIONS, encoding="utf-8")
    async with served(database.url, tmp_path / "blobs", folder=folder, project=folder) as house:
        runtime = house.host.current
        runtime.desk.credentials.hasher = Hasher(CHEAP)
        people = {"ina": ("qc_inspector", "releaser"), "rob": ("releaser",), "cora": ("compliance",)}
        people |= {"bo": ("blind_reviewer",), "faye": ("far_reviewer",)}
        for login, roles in people.items():
            await make_account(runtime.desk, login, *roles)
        call = runtime.operator_call("en")
        site = await runtime.commands.create(call, "site", {"code": "SHA", "name": "Shanghai"})
        item = await runtime.commands.create(call, "item", {"item_no": "RAW-1", "name": "syringe"})
        lot = {"site": site.id, "item": item.id, "qty": "10.0000"}
        inas = await inas_call(house, call)
        made = await runtime.commands.create(inas, "lot", lot)
        yield house, str(made.id)


async def inas_call(house: Served, call: Call) -> Call:
    from dataclasses import replace

    from clew.identity import accounts
    from clew.identity.people import person_of

    runtime = house.host.current
    async with runtime.database.read() as connection:
        account = await accounts.by_login(connection, "ina")
        person = await person_of(connection, account.id, await connection.now())
    context = replace(call.context, person=person)
    return Call(context, runtime.decide(context))


CAN = """query($lot: String) { accessCan(login: "ina", action: "release", entity: "lot", record: $lot) {
  allowed reasons { code text } chains { way policy conditions { words holds values } } } }"""
WHO = 'query($lot: String) { accessWhoCan(action: "release", entity: "lot", record: $lot) { login } }'
CONNECTOR = """{ accessWhoCan(action: "run", entity: "connector:*") {
  login allowed chains { way conditions { holds } } } }"""
DECIDE = """mutation($r: ID!, $a: ID!, $v: String!, $s: ReviewSignature!) {
  decideAccessReview(review: $r, assignment: $a, verdict: $v, comment: "seen", signature: $s) { state signature } }"""


async def test_a_compliance_officer_asks_over_graphql(database: TestDatabase, tmp_path: Path) -> None:
    async with group(database, tmp_path) as (house, lot):
        cora, rob = await User(house).come("cora"), await User(house).come("rob")
        assert await cora.do(WHO, lot=lot) == [{"login": "rob"}]
        [why] = await cora.do(CAN, lot=lot)
        assert (why["allowed"], [each["code"] for each in why["reasons"]]) == (False, ["condition"])
        assert why["chains"][0]["policy"] == "permissions/roles.yaml:24:19"
        condition = why["chains"][0]["conditions"][0]
        assert (condition["words"], condition["holds"]) == ("created by is not the person", False)
        assert condition["values"] == {"created_by": "ina", "user.id": "ina"}
        cells = await cora.do('{ accessMatrix(entities: ["lot"], roles: ["releaser"]) { action effect when } }')
        assert {each["action"]: each["effect"] for each in cells}["do:release"] == "conditional"
        assert await cora.do("{ accessDifference { login } }") == []
        assert await cora.do("{ accessConflicts { login } }") == []
        orphans = {each["role"] for each in await cora.do("{ accessOrphans { role } }")}
        assert orphans == {"buyer", "forgotten", "sqe", "trainee"}
        assert await cora.do("{ accessUnused(days: 30) { role } }") == []
        # A connector is about no record.
        assert await cora.do(CONNECTOR) == [
            {"login": "bo", "allowed": True, "chains": [{"way": ["blind_reviewer"], "conditions": []}]}
        ]
        [why] = await cora.do(CONNECTOR.replace("WhoCan(", 'Can(login: "rob", '))
        assert (why["allowed"], why["chains"]) == (False, [])
        assert await cora.refused(WHO.replace('"lot"', '"connector:mes"')) == "UNKNOWN_IN_REVIEW"
        # For others these names do not exist.
        for query in (WHO, CAN, "{ accessConflicts { login } }", "{ accessReviews { name } }"):
            assert await rob.refused(query) == "GRAPHQL_INVALID"
        assert await rob.do("{ myAccessReviews { name } }") == []


async def test_a_reviewer_is_told_nothing_they_do_not_see(database: TestDatabase, tmp_path: Path) -> None:
    async with group(database, tmp_path) as (house, lot):
        bo, faye = await User(house).come("bo"), await User(house).come("faye")
        [why] = await bo.do(CAN, lot=lot)
        values = why["chains"][0]["conditions"][0]["values"]
        assert "created_by" not in values
        assert why["chains"][0]["conditions"][0]["holds"] is False
        # A record that a reviewer cannot read is not there, like one that is not.
        assert await faye.refused(CAN, lot=lot) == "NOT_FOUND"
        assert await faye.refused(WHO, lot=lot) == "NOT_FOUND"
        assert await faye.refused(WHO, lot="nothing") == "NOT_FOUND"


async def test_owners_decide_over_graphql(database: TestDatabase, tmp_path: Path) -> None:
    async with group(database, tmp_path) as (house, _):
        cora = await User(house).come("cora")
        await begun(house)
        [mine] = await cora.do("{ myAccessReviews { id items { assignment login role state } } }")
        item = next(each for each in mine["items"] if (each["login"], each["role"]) == ("rob", "releaser"))
        given = {"r": mine["id"], "a": item["assignment"], "s": {"login": "cora", "password": PASSWORD}}
        wrong = {**given, "s": {"login": "cora", "password": "no"}}
        assert await cora.refused(DECIDE, **wrong, v="revoke") == "WRONG_CREDENTIALS"
        assert (
            await cora.refused(DECIDE, **{**given, "s": {"password": PASSWORD}}, v="revoke") == "SIGNATURE_COMPONENTS"
        )
        assert await cora.refused(DECIDE, **given, v="perhaps") == "UNKNOWN_IN_REVIEW"
        rob = await User(house).come("rob")
        assert await rob.do("{ lots { totalCount } }") == {"totalCount": 1}
        done = await cora.do(DECIDE, **given, v="revoke")
        assert done["state"] == "revoke"
        assert done["signature"]
        # From the next request on.
        assert await rob.refused("{ lots { totalCount } }") == "GRAPHQL_INVALID"
        [review] = await cora.do("{ accessReviews { decided items { state } } }")
        assert review["decided"] == 1


START = """mutation($n: String!, $due: DateTime!, $roles: [String!], $owners: [ReviewOwner!]) {
  startAccessReview(name: $n, due: $due, roles: $roles, owners: $owners) {
    id roles total decided overdue items { assignment login role owner state } } }"""
CLOSE = "mutation($r: ID!, $lapse: Boolean) { closeAccessReview(review: $r, lapse: $lapse) { closedAt decided total } }"
EXPORT = "mutation($r: ID!) { exportAccessReview(review: $r) { name mediaType base64 sha256 } }"


async def test_a_campaign_is_run_over_graphql(database: TestDatabase, tmp_path: Path) -> None:
    """Begun, decided on with signatures, written out and closed by who looks after reviews; for nobody else."""
    async with group(database, tmp_path) as (house, _):
        cora, rob = await User(house).come("cora"), await User(house).come("rob")
        given = {"n": "Q4/2026", "due": "2999-12-31T00:00:00Z", "roles": ["releaser"]}
        given["owners"] = [{"role": "*", "login": "cora"}]
        made = await cora.do(START, **given)
        assert (made["roles"], made["total"], made["decided"], made["overdue"]) == (["releaser"], 2, 0, False)
        assert {(each["login"], each["owner"]) for each in made["items"]} == {("ina", "cora"), ("rob", "cora")}
        for wrong, code in (
            ({"due": "2020-01-01T00:00:00Z"}, "REVIEW_DUE_PAST"),
            ({"roles": ["relaeser"]}, "UNKNOWN_IN_REVIEW"),
            ({"owners": [{"role": "relaeser", "login": "cora"}]}, "UNKNOWN_IN_REVIEW"),
            ({"owners": [{"role": "releaser", "login": "nobody"}]}, "NO_ACCOUNT"),
        ):
            assert await cora.refused(START, **{**given, **wrong}) == code
        # Nobody else has these names.
        chosen = {"r": made["id"]}
        for query, variables in ((START, given), (CLOSE, chosen), (EXPORT, chosen)):
            assert await rob.refused(query, **variables) == "GRAPHQL_INVALID"

        items = {each["login"]: each["assignment"] for each in made["items"]}
        signed = {"r": made["id"], "s": {"login": "cora", "password": PASSWORD}}
        assert (await cora.do(DECIDE, **signed, a=items["ina"], v="attest"))["state"] == "attest"
        assert await cora.refused(CLOSE, **chosen) == "REVIEW_UNDECIDED"
        file = await cora.do(EXPORT, **chosen)
        content = base64.b64decode(file["base64"])
        assert (file["name"], hashlib.sha256(content).hexdigest()) == ("Q4/2026.xlsx", file["sha256"])
        rows, about = [list(each.values) for each in load_workbook(io.BytesIO(content)).worksheets]
        assert ("Decided", "1 / 2") in about
        shown = [(row[0], row[7], bool(row[10])) for row in rows[1:]]
        assert shown == [("ina", "attested", True), ("rob", "open", False)]
        closed = await cora.do(CLOSE, **chosen, lapse=True)
        assert (closed["decided"], closed["total"], bool(closed["closedAt"])) == (2, 2, True)
        assert await rob.refused("{ lots { totalCount } }") == "GRAPHQL_INVALID"
        async with house.host.current.database.read() as connection:
            chosen_leaves = sa.select(system.leaf.c.action).where(system.leaf.c.entity == "clew.review")
            told = [row[0] for row in await connection.fetch(chosen_leaves.order_by(system.leaf.c.leaf_id))]
        assert [each for each in told if not each.startswith("sign")] == [
            "review.begin", "review.attest", "export", "review.close",
        ]  # fmt: skip


async def begun(house: Served) -> None:
    """A campaign over the releasers, for cora to decide on."""
    from datetime import timedelta

    from clew.identity import accounts
    from clew.records.review.campaign import Wanted, begin
    from clew.records.review.people import everybody

    runtime = house.host.current
    policies = runtime.blueprint.policies
    assert policies is not None

    async def work(connection: Any, at: Any) -> None:
        cora = await accounts.by_login(connection, "cora")
        people = await everybody(connection, runtime.desk.assignments, policies, at)
        context = runtime.operator_call("en").context
        await begin(
            connection, context, "1", people, Wanted("Q4", at + timedelta(days=9), ("releaser",), {"*": cora.id})
        )

    await runtime.desk.within(work)
