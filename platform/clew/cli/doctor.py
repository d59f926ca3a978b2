"""`clew doctor`: what is wrong with the environment and how to mend it."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from pathlib import Path

import typer

from clew.cli.finding import Finding, State, same
from clew.cli.options import AsJson, DatabaseUrl, Lang, Project, SettingsFile, Situation, situation
from clew.cli.words import t
from clew.kernel.text import Bilingual

SQLITE_NEEDED = (3, 38, 0)
FREE_BYTES = 500 * 1024 * 1024


def register(app: typer.Typer) -> None:
    app.command("doctor", help=t("Say what is wrong here and how to mend it.", "诊断环境问题并给出处理办法。"))(
        doctor_command
    )


def doctor_command(
    project: Project = None,
    database_url: DatabaseUrl = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, database_url, settings, lang, as_json)
    found = asyncio.run(_all(given))
    terminal = given.terminal
    marks = {"ok": "✓", "warn": "!", "bad": "✗"}
    for each in found:
        terminal.say(
            f"{marks[each.state]} {each.subject.en}: {each.found.en}",
            f"{marks[each.state]} {each.subject.zh}:{each.found.zh}",
        )
        if each.mend and each.state != "ok":
            terminal.say(f"    → {each.mend.en}", f"    → {each.mend.zh}")
    bad = any(each.state == "bad" for each in found)
    rows = [
        {"subject": terminal.text(each.subject), "state": each.state, "found": terminal.text(each.found),
         "mend": terminal.text(each.mend)}
        for each in found
    ]  # fmt: skip
    terminal.emit(ok=not bad, findings=rows)
    if bad:
        raise typer.Exit(1)


async def _all(given: Situation) -> list[Finding]:
    from clew.cli.doctor_database import database_findings

    found = [
        _python(),
        _sqlite(),
        _node(),
        _disk(given.settings.project),
        _variables(),
        _project(given.settings.project),
    ]
    if given.settings.oidc_roles:
        found.append(_claims(given))
    found.append(_port(given))
    found += [each async for each in database_findings(given.settings)]
    return found


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    state: State = "ok" if sys.version_info >= (3, 11) else "bad"
    return Finding(same("Python"), state, same(version), Bilingual("请安装 Python 3.11", "Install Python 3.11"))


def _sqlite() -> Finding:
    good = sqlite3.sqlite_version_info >= SQLITE_NEEDED
    needed = ".".join(map(str, SQLITE_NEEDED))
    mend = Bilingual(f"需要 SQLite {needed} 或更高", f"SQLite {needed} or newer is needed")
    return Finding(same("SQLite"), "ok" if good else "bad", same(sqlite3.sqlite_version), mend)


def _node() -> Finding:
    from clew.web.pages import STATIC

    built = (STATIC / "graphiql" / "index.html").is_file()
    node = shutil.which("node")
    if built:
        return Finding(Bilingual("网页界面", "Browser pages"), "ok", Bilingual("已构建", "built"))
    shown = (
        Bilingual("未构建", "not built")
        if node
        else Bilingual("未构建,且未找到 Node", "not built, and no Node was found")
    )
    return Finding(
        Bilingual("网页界面", "Browser pages"),
        "warn",
        shown,
        Bilingual("安装 Node 20 后运行 make web", "Install Node 20, then run: make web"),
    )


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder if folder.exists() else Path()).free
    shown = f"{free // 1024 // 1024} MiB"
    state: State = "ok" if free >= FREE_BYTES else "warn"
    return Finding(
        Bilingual("磁盘剩余", "Free disk"), state, same(shown), Bilingual("请清理磁盘空间", "Make room on the disk")
    )


def _variables() -> Finding:
    from clew.settings import unknown_variables

    unknown = list(unknown_variables(os.environ))
    if not unknown:
        return Finding(
            Bilingual("环境变量", "Environment"), "ok", Bilingual("无未知的 CLEW_ 变量", "no unknown CLEW_ variable")
        )
    names = ", ".join(f"{name} → {near}?" if near else name for name, near in unknown)
    return Finding(
        Bilingual("环境变量", "Environment"),
        "warn",
        same(names),
        Bilingual("无人读取这些变量,请更正名称", "Nobody reads these; correct their names"),
    )


def _claims(given: Situation) -> Finding:
    """What the mapping of groups to roles says wrongly."""
    from clew.access.loading import load_project
    from clew.identity.book import book_of
    from clew.identity.claims import misspelt

    subject = Bilingual("单点登录角色映射", "Roles by single sign-on")
    blueprint = load_project(given.settings.project).blueprint
    found = list(misspelt(given.settings, book_of(blueprint.policies))) if blueprint is not None else []
    if not found:
        return Finding(subject, "ok", Bilingual("映射有效", "every mapping gives a role"))
    shown = Bilingual(" ".join(each.zh for each in found), " ".join(each.en for each in found))
    return Finding(subject, "warn", shown, Bilingual("请更正 oidc_roles", "Correct oidc_roles"))


def _project(folder: Path) -> Finding:
    from clew.access.loading import load_project

    subject = Bilingual("项目", "Project")
    if not (folder / "clew.yaml").is_file():
        return Finding(
            subject,
            "warn",
            Bilingual(f"{folder} 中没有 clew.yaml", f"no clew.yaml in {folder}"),
            Bilingual("clew init 或 --project", "clew init, or --project"),
        )
    loaded = load_project(folder)
    if loaded.blueprint is None:
        count = len(loaded.diagnostics)
        return Finding(
            subject,
            "bad",
            Bilingual(f"{count} 处错误", f"{count} findings"),
            Bilingual("运行 clew check", "Run: clew check"),
        )
    count = len(loaded.blueprint.entities)
    return Finding(subject, "ok", Bilingual(f"{count} 个实体", f"{count} entities"))


def _port(given: Situation) -> Finding:
    from clew.web.errors import AddressInUse
    from clew.web.server import bind

    settings = given.settings
    subject, shown = Bilingual("端口", "Port"), same(f"{settings.host}:{settings.port}")
    try:
        bind(settings).close()
    except AddressInUse as problem:
        taken = Bilingual(problem.message("zh"), problem.message("en"))
        return Finding(subject, "warn", taken, Bilingual(problem.hint_zh, problem.hint_en))
    return Finding(subject, "ok", shown)
