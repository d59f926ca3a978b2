"""The mini project with policies, served: everybody signs in."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from tests.integration.http_case import ADDRESS, MINI, Served, served
from tests.integration.identity_case import CHEAP, PASSWORD

from clew.identity import accounts, tokens
from clew.identity.accounts import Account, Kind
from clew.identity.assignments import Asked
from clew.identity.desk import Desk
from clew.identity.secrets import Hasher
from clew.kernel.context import Context, Person
from clew.storage.engine import Connection

ROLES = {
    "buyer": """
role: buyer
label: {zh: 采购员, en: Buyer}
may:
  supplier: {read: always, create: always, update: always}
""",
    "reader": """
role: reader
label: {zh: 查阅者, en: Reader}
may:
  supplier: {read: always}
""",
    "sys_admin": """
role: sys_admin
label: {zh: 系统管理员, en: System administrator}
administer: [accounts, assignments]
""",
    "qa_manager": """
role: qa_manager
label: {zh: 质量经理, en: QA manager}
may:
  supplier: {read: always}
""",
    "buyer_is_not_qa": """
separation: buyer_is_not_qa
label: {zh: 采购不得兼任质量, en: A buyer is not in quality}
roles: [[buyer], [qa_manager]]
source: "ISO 13485 7.4.1"
""",
    "feed": """
role: feed
label: {zh: 接口, en: Feed}
kind: service
may:
  supplier: {read: always}
""",
}
SUPPLIERS = "{ suppliers { totalCount } }"
INSTALLER = Context(Person(id=UUID(int=99), login="installer", name="Installer"), "test-request")
ORIGIN = {"origin": ADDRESS}


def guarded_project(folder: Path) -> Path:
    """A copy of the mini project with these policies."""
    shutil.copytree(MINI, folder)
    (folder / "permissions").mkdir()
    for name, text in ROLES.items():
        (folder / "permissions" / f"{name}.yaml").write_text(text.lstrip(), encoding="utf-8")
    return folder


@asynccontextmanager
async def guarded(url: str, tmp_path: Path, **options: Any) -> AsyncIterator[Served]:
    project = guarded_project(tmp_path / "guarded")
    options = {"project": project, **options}
    async with served(url, tmp_path / "blobs", folder=project, **options) as house:
        house.host.current.desk.credentials.hasher = Hasher(CHEAP)
        yield house


async def make_account(desk: Desk, login: str, *roles: str, kind: Kind = "person", password: str = PASSWORD) -> Account:
    """An account with roles that hold everywhere."""

    async def work(connection: Connection, at: datetime) -> Account:
        made = await accounts.create(connection, desk.witness, INSTALLER, login=login, name=login, at=at, kind=kind)
        for role in roles:
            await desk.assignments.assign(connection, INSTALLER, Asked(made.id, role, at), at)
        return made

    made = await desk.within(work)
    if password:
        await desk.credentials.set_password(made, password, INSTALLER, settled=True)
    return made


async def make_token(desk: Desk, account: Account, days: int = 1) -> tuple[str, UUID]:
    async def work(connection: Connection, at: datetime) -> tuple[str, UUID]:
        secret, made = await tokens.create(
            connection, desk.witness, INSTALLER, account, name="test", at=at, expires_at=at + timedelta(days=days)
        )
        return secret, made.id

    return await desk.within(work)


async def sign_in(client: httpx2.AsyncClient, login: str, password: str = PASSWORD, **more: str) -> httpx2.Response:
    return await client.post("/login", json={"login": login, "password": password, **more}, headers=ORIGIN)


async def ask(client: httpx2.AsyncClient, query: str = SUPPLIERS, **headers: str) -> httpx2.Response:
    return await client.post("/graphql", json={"query": query}, headers={**ORIGIN, **headers})


def code_of(answer: httpx2.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])
