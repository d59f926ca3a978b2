"""The GraphQL-over-HTTP specification, by the audits its authors publish (npm package graphql-http)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tests.integration.http_case import listening, served
from tests.integration.node_case import with_packages

from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

WORKBENCH = Path(__file__).parents[2] / "platform" / "workbench"
LATER = {"47DE", "80D8"}
"""Since 2025 the specification wants its own media type where a client does not choose; these two still ask for the
older one, which it allowed before."""
GET = {"5A70", "D6D5", "6A70"}
"""A server may answer GET; ours refuses it unless asked to (threat 13)."""


async def test_the_audits_of_the_specification_pass(database: TestDatabase, tmp_path: Path) -> None:
    with_packages(WORKBENCH, "graphql-http")
    async with served(database.url, tmp_path) as house, listening(house) as port:
        running = await asyncio.create_subprocess_exec(
            "node", str(WORKBENCH / "audit" / "over_http.mjs"), f"http://127.0.0.1:{port}/graphql",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        printed, complaint = await running.communicate()
    assert running.returncode == 0, complaint.decode()
    audits = [json.loads(line) for line in printed.splitlines()]
    assert len(audits) > 50
    failed = {each["id"]: f"{each['status']}: {each['name']} ({each['reason']})" for each in audits
              if each["status"] != "ok"}  # fmt: skip
    assert {name: text for name, text in failed.items() if text.startswith("error")} == {}
    assert set(failed) == LATER | GET, failed
