"""Threat 45: planted secrets are found nowhere but where they belong: not in logs, errors, answers, exports, trail."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa
from tests.integration.guarded_case import INSTALLER, ORIGIN, SUPPLIERS, ask, guarded, make_account, make_token, sign_in
from tests.integration.identity_case import as_

from clew.settings import Settings, described
from clew.storage import system
from clew.testing import TestDatabase
from clew.web.log import configure_logging

pytestmark = pytest.mark.anyio

PASSWORD, NEW_PASSWORD, PIN = "canary-7f3a password", "canary-9b1c new password", "739154"
TYPED = "canary-typed-into-login"
KEY, CLIENT_SECRET = "canary-installation-key", "canary-client-secret"
MAY_HOLD = {"clew_credential"}
"""Tables that keep hashes and sealed keys; even they hold no planted secret in the clear."""


async def tables(house: Any) -> dict[str, str]:
    """Everything the database holds, as text, by table."""
    found = {}
    async with house.host.database.read() as connection:
        for table in system.metadata.sorted_tables:
            found[table.name] = repr(await connection.fetch(sa.select(table)))
        found["supplier"] = repr(await connection.fetch(sa.text("SELECT * FROM supplier")))
    return found


async def test_canary_secrets(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logging.getLogger().addHandler(handler)
    answers: list[str] = []
    options = {"secret_key": KEY, "oidc_client_secret": CLIENT_SECRET}
    try:
        async with guarded(database.url, tmp_path, **options) as house:
            configure_logging("debug", human=False)
            desk, client = house.host.current.desk, house.client
            li = await make_account(desk, "li.wei", "buyer", password=PASSWORD)
            await desk.credentials.set_pin(li, PIN, as_(li))
            address = await desk.credentials.begin_totp(li, as_(li), "Clew")
            codes = pyotp.parse_uri(address)
            assert isinstance(codes, pyotp.TOTP)
            code = codes.at(desk.clock.now())
            await desk.credentials.confirm_totp(li, code, INSTALLER)
            await desk.credentials.remove_totp(li, as_(li), "lost")
            await desk.credentials.begin_totp(li, as_(li), "Clew")
            token, _ = await make_token(desk, li)

            async def keep(answer: Any) -> Any:
                answers.append(repr(answer.headers) + answer.text)
                return answer

            await keep(await sign_in(client, TYPED, PASSWORD))
            await keep(await sign_in(client, "li.wei", PASSWORD + "x"))
            await keep(await sign_in(client, PASSWORD, "li.wei"))
            for body in (b'{"login": "li.wei", "password": "' + PASSWORD.encode(), b"\xff" + PASSWORD.encode()):
                headers = {**ORIGIN, "content-type": "application/json"}
                await keep(await client.post("/login", content=body, headers=headers))
            form = {"login": "li.wei", "password": NEW_PASSWORD}
            await keep(await client.post("/login", data=form, headers=ORIGIN))
            await keep(await client.get("/login", params={"password": PASSWORD}))
            await keep(await ask(client, authorization=f"Bearer {token}x"))
            await keep(await ask(client, SUPPLIERS, authorization=f"Bearer {token}"))
            await keep(await client.post("/graphql", json={"query": "{ nothing }"}, headers={"authorization": token}))
            entered = await sign_in(client, "li.wei", PASSWORD)
            assert entered.status_code == 200
            answers.append(entered.text)  # its headers carry the session, which is where that belongs
            session = client.cookies["clew_session"]
            await keep(await client.get("/me"))
            await keep(await ask(client, 'mutation { createSupplier(input: {name: "Apex"}) { created } }'))
            change = {"password": PASSWORD, "new": "short"}
            await keep(await client.post("/me/password", json=change, headers=ORIGIN))
            changed = await client.post("/me/password", json={**change, "new": NEW_PASSWORD}, headers=ORIGIN)
            answers.append(changed.text)
            await keep(await client.get("/metrics"))
            await keep(await client.get("/readyz"))
            stored = await tables(house)
            shown = repr(house.app.entrance.settings)
    finally:
        logging.getLogger().removeHandler(handler)
    out, err = capsys.readouterr()
    planted = [PASSWORD, NEW_PASSWORD, PIN, TYPED, KEY, CLIENT_SECRET, codes.secret, token, session]
    places = {"log": written.getvalue(), "stdout": out, "stderr": err, "answers": "\n".join(answers), "settings": shown}
    for place, text in {**places, **stored}.items():
        for secret in planted:
            assert secret not in text, f"{secret} in {place}"
    assert "li.wei" in stored["clew_account"]  # the places were really looked at
    assert json.dumps("prove.refuse")[1:-1] in stored["clew_audit_leaf"]


def test_settings_that_are_secrets_are_never_shown() -> None:
    secret = ("database_url", "owner_database_url", "secret_key", "oidc_client_secret")
    shown = repr(Settings(**dict.fromkeys(secret, "canary-secret")))
    assert "canary-secret" not in shown
    assert all("canary" not in each.default for each in described())
