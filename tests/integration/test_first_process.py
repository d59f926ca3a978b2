"""The chapter on a first process: its files beside the pack are checked, proven, played; the full tier follows it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.integration.http_case import process
from tests.integration.tutorial_page import ROOT, blocks, paired, same_lines, typed

from clew.cli.demo_accounts import demo_accounts
from clew.metadata.load import load_folder
from clew.process.proof.findings import prove
from clew.runtime import open_runtime
from clew.settings import Settings
from clew.testing.databases import in_thread
from clew.testing.plugin import Tier
from clew.testing.scenarios.coverage import covered
from clew.testing.scenarios.play import play_all

PAGE, FLOW = "first-process", "equipment_lending"
PROJECT = ("models", "permissions", "plugins", "rules", "ui_schemas", "workflows", "calendars")
MINE = "{ myTasks { id step sign recordId } }"
SHOWN = "query ($id: ID!) { equipmentLoan(id: $id) { rowVersion signable { digest } } }"
LOOK_UP = "{ customers(where: {kind: {eq: hospital}}, first: 1) { nodes { id } } items(first: 1) { nodes { id } } }"


def pack_at(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(ROOT / "clew.yaml", folder)
    for part in PROJECT:
        shutil.copytree(ROOT / part, folder / part)
    return folder


def test_both_languages_of_the_chapter_show_the_same() -> None:
    english, chinese = (
        [(each.kind, each.note, each.text) for each in blocks(language, PAGE) if each.kind != "text"]
        for language in ("en", "zh")
    )
    assert english == chinese


@pytest.mark.anyio
async def test_the_first_process_is_proven_and_does_what_its_scenarios_expect(tmp_path: Path) -> None:
    project = pack_at(tmp_path / "p")
    (project / "scenarios").mkdir()
    for block in blocks("en", PAGE):
        if file := block.option("file"):
            (project / file).write_text(block.text, encoding="utf-8")
    loaded = load_folder(project)
    assert loaded.blueprint is not None, loaded.diagnostics
    assert not loaded.diagnostics
    flow = loaded.blueprint.workflows[FLOW]
    assert not prove(loaded.blueprint, flow).findings
    played = await play_all(loaded.blueprint, loaded.extras["scenario"].values(), tmp_path)
    assert [(each.scenario.name, each.failure) for each in played] == [
        ("loan_comes_back_damaged", None),
        ("loan_is_refused", None),
    ]
    (met,) = covered({FLOW: flow}, played)
    assert met.steps == (14, 14)

    # What the page takes out is what keeps it from a dead end.
    path = project / "workflows" / f"{FLOW}.yaml"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(each for each in lines if "returns_to" not in each), encoding="utf-8")
    worse = load_folder(project).blueprint
    assert worse is not None
    assert {each.flaw.value for each in prove(worse, worse.workflows[FLOW]).findings} == {"deadlock"}


def test_the_chapter_works(
    tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the full tier, because it fills a whole group: every command, and the examples by the accounts of the demo."""
    if not tier.full:
        commands = [line for each in blocks("en", PAGE) if each.kind == "sh" for line in each.text.splitlines()]
        assert {line.split()[0] for line in commands} == {"clew", "sed", "mv"}
        return
    for name in ("CLEW_DATABASE_URL", "CLEW_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    project = pack_at(tmp_path / "group")
    (project / "scenarios").mkdir()
    # The same package, wherever it was imported from before.
    shutil.rmtree(project / "plugins")
    (project / "plugins").symlink_to(ROOT / "plugins")
    monkeypatch.setenv("CLEW_LANG", "en")
    monkeypatch.chdir(project)
    with process("demo", cwd=project):
        for block, about in paired(blocks("en", PAGE)):
            if file := block.option("file"):
                Path(file).write_text(block.text, encoding="utf-8")
            elif block.kind == "sh":
                capsys.readouterr()
                codes = [done(line) for line in block.text.splitlines()]
                printed = capsys.readouterr()
                assert codes[-1] == int(block.option("exit") or 0), (block, printed)
                if "text" in about:
                    shown = "\n".join(each for each in about["text"].text.splitlines() if each.strip() != "…")
                    same_lines(shown, printed.out)
    with (
        process("demo", cwd=project) as (_, address),
        httpx2.Client(base_url=address, timeout=60, headers={"origin": address}) as client,
    ):
        examples(client, passwords(project))


def done(line: str) -> int:
    return typed(line) if line.startswith("clew ") else subprocess.run(line, shell=True, check=False).returncode


def passwords(project: Path) -> dict[str, tuple[str, str]]:
    """Role → login and password."""
    found: dict[str, tuple[str, str]] = {}

    async def work() -> None:
        host = await open_runtime(Settings(project=project))
        try:
            found.update((each.role, (each.login, each.password)) for each in await demo_accounts(host.current, "en"))
        finally:
            await host.close()

    in_thread(work)
    return found


def examples(client: httpx2.Client, known: dict[str, tuple[str, str]]) -> None:
    variables: dict[str, Any] = {}
    for block in blocks("en", PAGE):
        if block.kind != "graphql":
            continue
        first, _, document = block.text.partition("\n")
        login, password = known[first.removeprefix("# ")]
        client.post("/login", json={"login": login, "password": password}).raise_for_status()
        if not variables:
            found = ask(client, LOOK_UP, {})
            variables = {name: found[f"{name}s"]["nodes"][0]["id"] for name in ("customer", "item")}
        if "$task" in document:
            task = ask(client, MINE, {})["myTasks"][-1]
            variables["task"] = task["id"]
        if "$signature" in document:
            seen = ask(client, SHOWN, {"id": task["recordId"]})["equipmentLoan"]
            variables["version"], digest = seen["rowVersion"], seen["signable"]["digest"]
            variables["signature"] = {"login": login, "password": password, "digest": digest, "meaning": task["sign"]}
        asked = {name: value for name, value in variables.items() if f"${name}:" in document}
        answer = ask(client, document, asked)
        if made := answer.get("createEquipmentLoan"):
            variables["equipmentLoan"] = made["equipmentLoan"]["id"]
    (told,) = answer["processesOf"]
    assert told["at"] == ["collect"], "two of three agreed"


def ask(client: httpx2.Client, query: str, variables: dict[str, Any]) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in answer, answer
    return answer["data"]
