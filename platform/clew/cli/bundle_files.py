"""Reading release bundles and test results from files, and saying what a bundle holds."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

from clew.kernel.errors import BadInput

if TYPE_CHECKING:
    from clew.cli.terminal import Terminal
    from clew.storage.change import Plan
    from clew.storage.promotion.bundle import Bundle

_SUITE = {"suite": str, "total": int, "failed": int}


class ResultsUnreadable(BadInput):
    """A file of test results says something else than suite, total and failed."""

    code = "RESULTS_UNREADABLE"
    en, zh = "{file} holds no test results: suite, total, failed.", "{file} 中没有测试结果(suite、total、failed)。"


class NotPlanned(BadInput):
    """The bundle has not been planned for a database yet."""

    code = "BUNDLE_NOT_PLANNED"
    en, zh = "This bundle is not planned for a database yet.", "该发布包尚未针对目标数据库制定计划。"
    hint_en, hint_zh = "On the database it goes to: clew release plan", "请在目标数据库上执行:clew release plan"


def planned(bundle: Bundle) -> Plan:
    """The plan a bundle carries. Raises NotPlanned."""
    from clew.storage.change import Plan
    from clew.storage.promotion.errors import BundleUnreadable

    if bundle.target is None:
        raise NotPlanned()
    try:
        return Plan.from_json({**bundle.target["plan"], "sources": bundle.sources})
    except (KeyError, TypeError, ValueError) as problem:
        raise BundleUnreadable(file="", what=str(problem)) from None


def read_bundle(file: Path) -> Bundle:
    """Raises BundleUnreadable."""
    from clew.storage.promotion.bundle import Bundle
    from clew.storage.promotion.errors import BundleUnreadable

    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise BundleUnreadable(file=file, what=str(problem)) from None
    return Bundle.from_json(data, file)


def write_bundle(terminal: Terminal, bundle: Bundle, file: Path) -> None:
    file.write_text(json.dumps(bundle.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    terminal.say(f"Written to {file}: {bundle.digest[:12]}", f"已写入 {file}:{bundle.digest[:12]}")
    terminal.emit(ok=True, file=str(file), digest=bundle.digest)


def results(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        found = {name: data[name] for name in _SUITE}
        good = all(type(found[name]) is kind for name, kind in _SUITE.items()) and found["total"] > 0
    except (OSError, ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise ResultsUnreadable(file=file)
    return found


def described(bundle: Bundle) -> list[tuple[str, str]]:
    from clew.cli.access_difference import difference_lines

    export, origin = bundle.export, bundle.export["origin"]
    name, version = export["project"]["name"], export["project"]["version"]
    lines = [
        (f"{name} {version}, bundle {bundle.digest[:12]}", f"{name} {version},发布包 {bundle.digest[:12]}"),
        (
            f"  release {origin['release']} of a {origin['environment']} database",
            f"  来自 {origin['environment']} 数据库的发布 {origin['release']}",
        ),
    ]
    for suite in export["tests"]:
        told = f"{suite['total'] - suite['failed']}/{suite['total']}"
        lines.append((f"  tests {suite['suite']}: {told} passed", f"  测试 {suite['suite']}:通过 {told}"))
    if bundle.plan_id:
        lines.append((f"  plan {bundle.plan_id[:12]}", f"  计划 {bundle.plan_id[:12]}"))
        for line in difference_lines(bundle.target["access"] if bundle.target else {}):
            lines.append((indent(line.en, "    "), indent(line.zh, "    ")))
    else:
        lines.append(("  not planned for a database yet", "  尚未针对目标数据库制定计划"))
    for each in bundle.signatures:
        when = each.at.isoformat(timespec="seconds")
        lines.append((f"  {each.meaning}: {each.name} {when}", f"  {each.meaning}:{each.name} {when}"))
    return lines
