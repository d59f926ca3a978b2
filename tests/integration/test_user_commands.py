"""`clew user`, `clew token`, and what a server with policies says when it starts."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pyotp
import pytest
from tests.integration.guarded_case import SUPPLIERS, guarded_project
from tests.integration.http_case import MINI, installed, process

from clew.cli.app import run

Clew = Callable[..., Any]


@pytest.fixture
def clew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Clew:
    """Run a command in a guarded project that is applied; its JSON. `fails` names the code it must end with."""
    for name in ("CLEW_LANG", "LC_ALL", "LC_MESSAGES", "LANG", "CLEW_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    project = guarded_project(tmp_path / "p")
    monkeypatch.chdir(project)
    assert run(["plan", "--out", "one.json"]) == 0
    assert run(["apply", "one.json", "--note", "first"]) == 0
    capsys.readouterr()

    def command(*arguments: str, fails: str = "") -> Any:
        code = run([*arguments, "--json"])
        said = json.loads(capsys.readouterr().out)
        assert (code, said.get("error", {}).get("code", "")) == (1 if fails else 0, fails), said
        return said

    return command


def test_the_first_administrator_and_a_life_of_accounts(clew: Clew) -> None:
    made = clew("user", "add", "root.admin", "--admin", "--name", "Root")
    assert len(made["password"]) >= 20
    assert clew("user", "list")["accounts"][0]["roles"] == ["sys_admin"]
    clew("user", "add", "Root.Admin", fails="LOGIN_TAKEN")
    clew("user", "add", "!", fails="LOGIN_FORM")
    clew("user", "add", "li.wei", "--role", "buyer", "--role", "qa_manager", fails="SEPARATION_CONFLICT")
    assert [each["login"] for each in clew("user", "list")["accounts"]] == ["root.admin"]  # all or nothing
    clew("user", "add", "li.wei", "--role", "buyer")
    clew("user", "assign", "li.wei", "qa_manager", "--reason", "new", fails="SEPARATION_CONFLICT")
    clew("user", "assign", "li.wei", "nonsense", "--reason", "new", fails="UNKNOWN_ROLE")
    clew("user", "assign", "li.wei", "feed", "--reason", "new", fails="ROLE_KIND")
    clew("user", "assign", "nobody", "buyer", "--reason", "new", fails="NO_ACCOUNT")
    clew("user", "assign", "li.wei", "reader", "--to", "30d", "--family", "stent", "--reason", "new")
    held = clew("user", "show", "li.wei")["account"]["assignments"]
    assert sorted((each["role"], each["families"]) for each in held) == [("buyer", None), ("reader", ["stent"])]
    clew("user", "add", "zhao.min")
    clew("user", "delegate", "li.wei", "zhao.min", "buyer", "--reason", "leave", "--to", "7d")
    clew("user", "delegate", "li.wei", "zhao.min", "sys_admin", "--reason", "leave", "--to", "7d", fails="NOT_HELD")
    clew("user", "revoke", "li.wei", "reader", "--reason", "over")
    clew("user", "revoke", "li.wei", "reader", "--reason", "over", fails="NO_ASSIGNMENT")
    lent = clew("user", "break-glass", "zhao.min", "reader", "--hours", "2", "--reason", "alarm")["assignment"]
    assert lent["state"] == "requested"
    clew(
        "user", "approve", lent["id"], "--reason", "alarm", fails="NOT_YOURSELF"
    )  # an emergency takes two also during setting up
    opened = clew("user", "leave", "li.wei", "--reason", "left")["handovers"]
    assert [each["what"] for each in opened] == ["role:buyer"]
    assert clew("user", "handover", opened[0]["id"], "--to", "zhao.min")["handovers"] == []
    assert clew("user", "show", "li.wei")["account"]["state"] == "disabled"
    clew("user", "enable", "li.wei", "--reason", "back")
    clew("user", "disable", "li.wei", "--reason", "gone again")
    clew("user", "unlock", "zhao.min", "--reason", "he called")
    assert clew("user", "password", "zhao.min", "--reason", "forgotten")["password"]


SECRETS = {"root.admin": "correct horse battery", "second.admin": "another fine sentence", "li.wei": "my own words"}


def test_the_command_line_takes_two_people_once_there_are_two(clew: Clew, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's operator acts alone only until a second administrator is there; then everybody proves who acts."""

    def typing(*lines: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    def by(login: str, *arguments: str, fails: str = "", secret: str = "") -> Any:
        typing(secret or SECRETS[login])
        return clew(*arguments, "--by", login, "--by-stdin", fails=fails)

    for login in ("root.admin", "second.admin"):
        typing(SECRETS[login])
        clew("user", "add", login, "--admin", "--password-stdin")
    clew("user", "add", "erp.feed", "--kind", "service", fails="WHO_ACTS")
    clew("user", "password", "second.admin", "--reason", "forgotten", fails="WHO_ACTS")
    clew("user", "totp", "second.admin", "--remove", "--reason", "lost", fails="WHO_ACTS")
    clew("user", "assign", "root.admin", "buyer", "--reason", "new", fails="WHO_ACTS")
    clew("user", "break-glass", "root.admin", "buyer", "--reason", "alarm", fails="WHO_ACTS")
    clew(
        "user",
        "delegate",
        "root.admin",
        "second.admin",
        "sys_admin",
        "--reason",
        "leave",
        "--to",
        "3d",
        fails="WHO_ACTS",
    )
    by("root.admin", "user", "add", "li.wei", secret="not the password", fails="WRONG_CREDENTIALS")

    made = by("root.admin", "user", "add", "li.wei", "--role", "buyer")
    assert clew("user", "list")["accounts"][0]["roles"] == []
    [asked] = clew("user", "show", "li.wei")["account"]["assignments"]
    by("root.admin", "user", "approve", asked["id"], "--reason", "agreed", fails="NOT_YOURSELF")
    by("second.admin", "user", "approve", asked["id"], "--reason", "agreed")
    by("li.wei", "user", "assign", "li.wei", "reader", "--reason", "new", secret=made["password"], fails="IDENTITY_DUE")
    by("root.admin", "user", "confirm", "li.wei", "0000-0000", fails="NOT_YOURSELF")
    by("second.admin", "user", "confirm", "li.wei", "0000-0000", fails="CONFIRMATION_CODE")
    by("root.admin", "user", "password", "root.admin", "--reason", "forgotten", fails="NOT_YOURSELF")

    by("root.admin", "user", "add", "erp.feed", "--kind", "service")
    by("root.admin", "token", "create", "--user", "li.wei", fails="NOT_YOURSELF")
    wanted = by("root.admin", "token", "create", "--user", "erp.feed")["request"]
    by("root.admin", "token", "approve", wanted, "--reason", "agreed", fails="NOT_YOURSELF")
    by("root.admin", "token", "collect", wanted, fails="NO_TOKEN")
    by("second.admin", "token", "approve", wanted, "--reason", "agreed")
    by("second.admin", "token", "collect", wanted, fails="NOT_YOURSELF")
    assert by("root.admin", "token", "collect", wanted)["token"].startswith("clew_")
    by(
        "root.admin",
        "user",
        "delegate",
        "li.wei",
        "root.admin",
        "buyer",
        "--reason",
        "leave",
        "--to",
        "3d",
        fails="NOT_HELD",
    )

    # A deputy is the same hand.
    by("root.admin", "user", "delegate", "root.admin", "second.admin", "sys_admin", "--reason", "leave", "--to", "3d")
    asked = by("root.admin", "user", "assign", "li.wei", "reader", "--reason", "new")["assignment"]
    by("second.admin", "user", "approve", asked["id"], "--reason", "agreed", fails="NOT_YOURSELF")


def test_a_code_generator_by_command(clew: Clew) -> None:
    clew("user", "add", "li.wei")
    address = clew("user", "totp", "li.wei", "--reason", "a new phone")["address"]
    generator = pyotp.parse_uri(address)
    assert isinstance(generator, pyotp.TOTP)
    key = Path(".clew/secret.key")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    clew("user", "totp", "li.wei", "--confirm", "12345", fails="WRONG_CREDENTIALS")
    clew("user", "totp", "li.wei", "--confirm", generator.now())
    assert clew("user", "show", "li.wei")["account"]["components"] == ["password", "totp"]
    clew("user", "totp", "li.wei", "--remove", "--reason", "lost")
    assert clew("user", "show", "li.wei")["account"]["components"] == ["password"]


def test_tokens_by_command(clew: Clew) -> None:
    clew("user", "add", "erp.feed", "--kind", "service", "--role", "feed")
    made = clew("token", "create", "--user", "erp.feed", "--name", "nightly", "--scope", "feed", "--expires", "30d")
    assert made["token"].startswith("clew_")
    listed = clew("token", "list", "--user", "erp.feed")["tokens"]
    assert made["token"] not in json.dumps(listed)
    assert [each["scopes"] for each in listed] == [["feed"]]
    clew("token", "create", "--user", "erp.feed", "--scope", "nonsense", fails="UNKNOWN_ROLE")
    clew("token", "create", "--user", "erp.feed", "--expires", "500d", fails="PERIOD")
    clew("token", "revoke", made["id"])
    clew("token", "revoke", made["id"], fails="NO_TOKEN")
    clew("token", "revoke", "nonsense", fails="NO_TOKEN")
    assert run(["token", "create", "--user", "erp.feed", "--expires", "soon"]) == 2


def test_passwords_come_from_standard_input_and_never_from_the_command_line(clew: Clew) -> None:
    main = [sys.executable, "-c", "from clew.cli import main; main()"]
    given = subprocess.run(
        [*main, "user", "add", "li.wei", "--password-stdin", "--json"],
        input="a long secret sentence\n", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert given.returncode == 0, given.stderr
    assert "secret sentence" not in given.stdout + given.stderr
    weak = subprocess.run(
        [*main, "user", "add", "wang.fang", "--password-stdin"],
        input="short\n", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (weak.returncode, "PASSWORD_POLICY" in weak.stderr) == (1, True)
    assert [each["login"] for each in clew("user", "list")["accounts"]] == ["li.wei"]


def test_a_server_with_policies(clew: Clew, tmp_path: Path) -> None:
    """It may listen to other machines, says how to begin while there is no account, and then lets that account in."""
    project = Path.cwd()
    with process("serve", "--host", "0.0.0.0", cwd=project) as (_, address):
        port = address.rpartition(":")[2]
        answer = httpx2.post(f"http://127.0.0.1:{port}/graphql", json={"query": SUPPLIERS}, timeout=20)
        assert answer.status_code == 401
    bare = subprocess.run(
        [sys.executable, "-c", "from clew.cli import main; main()", "serve", "--host", "0.0.0.0", "--port", "0"],
        cwd=MINI, capture_output=True, text=True, timeout=120, env={"CLEW_DATABASE_URL": f"sqlite:///{tmp_path}/no.db"},
    )  # fmt: skip
    assert (bare.returncode, "LOOPBACK_ONLY" in bare.stderr) == (1, True), bare.stderr


@pytest.mark.anyio
async def test_dev_lets_this_machine_in_and_demo_prints_accounts(tmp_path: Path) -> None:
    project = guarded_project(tmp_path / "p")
    with process("dev", cwd=project) as (_, address):
        async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
            answer = await client.post("/graphql", json={"query": SUPPLIERS})
            assert answer.json() == {"data": {"suppliers": {"totalCount": 0}}}


@pytest.mark.anyio
async def test_demo_accounts_are_the_same_at_every_start(tmp_path: Path, new_database: Any) -> None:
    from clew.cli.demo_accounts import demo_accounts
    from clew.runtime import open_runtime
    from clew.settings import Settings

    project = guarded_project(tmp_path / "p")
    url = new_database("sqlite").url
    await installed(url, project)
    host = await open_runtime(Settings(project=project, database_url=url, blobs=tmp_path / "blobs"))
    try:
        first = await demo_accounts(host.current, "zh")
        assert {each.role for each in first} == set(host.current.blueprint.policies.roles)  # type: ignore[union-attr]
        assert await demo_accounts(host.current, "zh") == first
        for each in first:
            if each.password:
                proof = await host.current.desk.credentials.sign_in(each.login, each.password, "")
                assert not proof.must_change
        assert [each.login for each in first if not each.password] == ["feed"]
    finally:
        await host.close()
