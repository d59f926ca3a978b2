"""The tutorial, followed word by word on the demonstration group: every command, file, query and shown output."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import httpx2
import pytest
from tests.integration.http_case import process
from tests.integration.tutorial_page import PARTS, ROOT, Block, Browser, blocks, paired, same_lines, typed, within

from clew.testing.plugin import Tier

PATIENCE = 60.0


def test_the_tutorial_works(
    tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In English; the full tier follows the Chinese page too."""
    for name in ("CLEW_DATABASE_URL", "CLEW_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for language in ("en", "zh") if tier.full else ("en",):
        project = tmp_path / language
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, project / part)
            elif (ROOT / part).is_file():
                project.mkdir(exist_ok=True)
                shutil.copy(ROOT / part, project / part)
        monkeypatch.setenv("CLEW_LANG", language)
        monkeypatch.chdir(project)
        with (
            process("demo", cwd=project, CLEW_RELEASE_POLL="0.1", CLEW_TRUST_THIS_MACHINE="true") as (_, address),
            httpx2.Client(base_url=address, timeout=PATIENCE) as client,
        ):
            _follow(language, client, capsys)


def test_both_languages_teach_the_same() -> None:
    """The same commands, queries and files; only what is printed and said differs."""
    english, chinese = ([each for each in blocks(language) if each.kind != "text"] for language in ("en", "zh"))
    assert [(each.kind, each.note) for each in english] == [(each.kind, each.note) for each in chinese]
    for one, other in zip(english, chinese, strict=True):
        assert one.text == other.text or one.note == "refused", other


def _follow(language: str, client: httpx2.Client, capsys: pytest.CaptureFixture[str]) -> None:
    browser = Browser(client, language)
    for block, about in paired(blocks(language)):
        if file := block.option("file"):
            Path(file).write_text(block.text, encoding="utf-8")
        elif block.kind == "sh":
            before = _release(client)
            capsys.readouterr()
            codes = [typed(line) for line in block.text.splitlines()]
            printed = capsys.readouterr()
            assert codes == [0] * (len(codes) - 1) + [int(block.option("exit") or 0)], (block, printed)
            same_lines(about["text"].text if "text" in about else "", printed.out)
            if "clew apply" in block.text:
                _wait_for_release_after(before, client, capsys)
        else:
            assert block.kind == "graphql", f"nobody tries this block: {block}"
            _ask(browser, block, about)


def _ask(browser: Browser, block: Block, about: dict[str, Block]) -> None:
    variables = json.loads(about["variables"].text) if "variables" in about else {}
    answer = browser.ask(block.text, variables)
    if "refused" in about:
        [error] = answer["errors"]
        found = {"message": error["message"], "code": error["extensions"]["code"]}
        assert found == json.loads(about["refused"].text)
        return
    assert "errors" not in answer, (block.text, answer)
    assert all(answer["data"].values()), answer
    if "answer" in about:
        assert within(json.loads(about["answer"].text), answer["data"]), answer


def _release(client: httpx2.Client) -> int:
    return int(client.get("/readyz").json()["release"])


def _wait_for_release_after(before: int, client: httpx2.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The running server takes up what was applied by itself, and then completes it: until it has, a plan is only of
    that moment."""
    deadline = time.monotonic() + PATIENCE
    while _release(client) == before or not _settled(capsys):
        assert time.monotonic() < deadline, f"still release {before}, or not complete"
        time.sleep(0.05)


def _settled(capsys: pytest.CaptureFixture[str]) -> bool:
    capsys.readouterr()
    assert typed("clew releases --json") == 0
    releases = json.loads(capsys.readouterr().out)["releases"]
    return bool(max(releases, key=lambda each: each["number"])["state"] == "settled")
