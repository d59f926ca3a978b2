"""The server as a process: it goes on when a file is bad, takes the next release without dropping a request, and
listens to this machine only."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.http_case import MINI, installed, process, until

from clew.runtime import open_runtime
from clew.settings import Settings

pytestmark = pytest.mark.anyio


def clew(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from clew.cli import main; main()", *arguments],
        cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip


async def ask(client: httpx2.AsyncClient, query: str) -> Any:
    return (await client.post("/graphql", json={"query": query})).json()


async def test_config_typo_never_stops_a_running_server(tmp_path: Path) -> None:
    """`dev`: a bad file is told, the release goes on; the mended file with a new field is served soon after."""
    project = tmp_path / "project"
    shutil.copytree(MINI, project)
    supplier = project / "models" / "supplier.yaml"
    good = supplier.read_text(encoding="utf-8")
    with process("dev", cwd=project) as (_, address):
        async with httpx2.AsyncClient(base_url=address, timeout=20) as client:
            query, wanted = "{ suppliers { totalCount } }", {"data": {"suppliers": {"totalCount": 0}}}
            assert await ask(client, query) == wanted
            supplier.write_text(good.replace("required: true", "requierd: true"), encoding="utf-8")
            for _ in range(10):
                await asyncio.sleep(0.1)
                assert await ask(client, query) == wanted
            more = good.replace("  note:  ", "  hotline: {type: text}\n  note:  ")
            assert more != good
            supplier.write_text(more, encoding="utf-8")

            async def served() -> bool:
                return "errors" not in await ask(client, "{ suppliers { nodes { hotline } } }")

            await until(served, 60)
            assert (await client.get("/readyz")).json()["release"] == 2


async def test_a_new_release_is_taken_without_dropping_a_request(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(MINI, project)
    assert clew("plan", "--out", "one.json", cwd=project).returncode == 0
    applied = clew("apply", "one.json", "--note", "changed", "--json", cwd=project)
    assert json.loads(applied.stdout)["release"]["number"] == 1, applied.stderr
    with process("serve", cwd=project, CLEW_RELEASE_POLL="0.1") as (_, address):
        async with httpx2.AsyncClient(base_url=address, timeout=20) as client:
            stop, answers = asyncio.Event(), []

            async def keep_asking() -> None:
                while not stop.is_set():
                    answers.append(await ask(client, "{ suppliers { totalCount } }"))

            asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
            file = project / "models" / "supplier.yaml"
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace("  note:  ", "  hotline: {type: text}\n  note:  "), encoding="utf-8")
            await asyncio.to_thread(clew, "plan", "--out", "two.json", cwd=project)
            second = await asyncio.to_thread(clew, "apply", "two.json", "--note", "changed", cwd=project)
            assert second.returncode == 0, second.stderr

            async def taken() -> bool:
                return bool((await client.get("/readyz")).json()["release"] == 2)

            await until(taken)
            stop.set()
            await asyncio.gather(*asking)
    assert len(answers) > 20
    assert all(each == {"data": {"suppliers": {"totalCount": 0}}} for each in answers)


async def test_a_release_that_cannot_be_loaded_leaves_the_present_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'clew.db'}"
    await installed(url)
    host = await open_runtime(Settings(database_url=url, blobs=tmp_path, release_poll=60))
    try:
        import sqlite3

        with sqlite3.connect(tmp_path / "clew.db") as behind_the_back:
            behind_the_back.execute(
                "INSERT INTO clew_release SELECT 2, 1, state, digest, blueprint_digest, plan_id, ?,"
                " catalog, compiler, at, live_at, by, note, consents FROM clew_release WHERE number = 1",
                ('{"clew.yaml": "x"}',),
            )
        assert await host.refresh() is False
        assert host.current.number == 1
        assert getattr(host.trouble, "code", "") == "PROJECT_INVALID"
    finally:
        await host.close()


def test_only_this_machine_is_served(tmp_path: Path) -> None:
    refused = clew("serve", "--host", "0.0.0.0", "--lang", "zh", cwd=tmp_path)
    assert refused.returncode == 1
    assert "LOOPBACK_ONLY" in refused.stderr
    assert "只能监听 127.0.0.1" in refused.stderr


def test_a_taken_port_and_a_missing_release_are_told(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = clew("serve", "--port", str(other.getsockname()[1]), "--lang", "en", cwd=tmp_path)
    assert (taken.returncode, "ADDRESS_IN_USE" in taken.stderr) == (1, True)
    empty = clew("serve", "--port", "0", "--lang", "en", cwd=tmp_path)
    assert (empty.returncode, "NO_RELEASE" in empty.stderr) == (1, True), empty.stderr
    assert "Traceback" not in empty.stderr


async def test_workers_share_one_port(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(MINI, project)
    clew("plan", "--out", "one.json", cwd=project)
    clew("apply", "one.json", "--note", "changed", cwd=project)
    with process("serve", "--workers", "2", cwd=project) as (_, address):
        async with httpx2.AsyncClient(base_url=address, timeout=20) as client:

            async def answers() -> bool:
                try:
                    return await ask(client, "{ suppliers { totalCount } }") == {
                        "data": {"suppliers": {"totalCount": 0}}
                    }
                except httpx2.TransportError:
                    return False

            await until(answers)
