"""The compliance officer's page, followed command by command on the demonstration group."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.integration.http_case import process
from tests.integration.tutorial_page import ROOT, Block, blocks, typed

from clew.cli.demo_accounts import demo_accounts
from clew.runtime import open_runtime
from clew.settings import Settings
from clew.testing.databases import in_thread
from clew.testing.plugin import Tier

PROJECT = ("clew.yaml", "models", "permissions", "rules", "ui_schemas", "workflows", "calendars", "watches")
LOT, DECISION = "CTU2611040001", "DECISION"
WITHDRAWS = 'decide: "decided_by == user.employee", withdraw: always'


def test_both_languages_of_the_compliance_page_give_the_same_commands() -> None:
    english, chinese = (
        [
            (each.note, each.text.replace("--lang en", "--lang zh"))
            for each in blocks(language, "compliance")
            if each.kind == "sh"
        ]
        for language in ("en", "zh")
    )
    assert english == chinese
    assert len(english) > 6


def test_the_compliance_page_works(
    tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the full tier, because it fills a whole group. The exit code of each command is the one its block says."""
    if not tier.full:
        assert all(line.startswith("clew ") for block in commands() for line in block.text.splitlines())
        return
    for name in ("CLEW_DATABASE_URL", "CLEW_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    project = tmp_path / "group"
    project.mkdir()
    for part in PROJECT:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, project / part)
        elif (ROOT / part).is_file():
            shutil.copy(ROOT / part, project / part)
    # The same package, wherever it was imported from before.
    (project / "plugins").symlink_to(ROOT / "plugins")
    monkeypatch.setenv("CLEW_LANG", "en")
    monkeypatch.chdir(project)
    with process("demo", cwd=project):
        names = dict(known_here(project))
        policies = project / "permissions" / "quality.yaml"
        before = policies.read_text(encoding="utf-8")
        assert WITHDRAWS in before
        for block in commands():
            changed = block.text.startswith("clew access diff")
            if changed:
                narrower = WITHDRAWS.replace("always", '"decided_by == user.employee"')
                policies.write_text(before.replace(WITHDRAWS, narrower), encoding="utf-8")
            codes = []
            for line in block.text.splitlines():
                if DECISION in line:
                    continue
                if " attest " in line:
                    monkeypatch.setattr("sys.stdin", io.StringIO(names["password"] + "\n"))
                    line += " --password-stdin"
                codes.append(typed(line.replace(LOT, names["lot"])))
            printed = capsys.readouterr()
            wanted = int(block.option("exit") or 0)
            assert codes == [wanted] * len(codes), (block, printed)
            if changed:
                assert "Release decision · Withdraw: loses" in printed.out
                policies.write_text(before, encoding="utf-8")
        assert {"review.xlsx", "ncr.zip"} <= {each.name for each in project.iterdir()}


def commands() -> list[Block]:
    return [each for each in blocks("en", "compliance") if each.kind == "sh"]


def known_here(project: Path) -> list[tuple[str, str]]:
    """The password of the compliance officer, and a lot in quarantine."""
    found: list[tuple[str, str]] = []

    async def work() -> None:
        host = await open_runtime(Settings(project=project))
        try:
            made = {each.login: each.password for each in await demo_accounts(host.current, "en")}
            lots = host.current.tables.current("lot")
            async with host.database.read() as connection:
                lot = await connection.fetch_value(
                    sa.select(lots.c.lot_no).where(lots.c.state == "quarantine").limit(1)
                )
            found.extend([("password", made["compliance.officer"]), ("lot", str(lot))])
        finally:
            await host.close()

    in_thread(work)
    return found
