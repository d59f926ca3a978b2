"""The house keeps its shape: layers, one home for each heavy library, files a reader can hold in the head."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "platform" / "clew"

LONGEST_FILE = 600
LONGEST_FUNCTION = 90

HOMES = {
    "sqlalchemy": ("storage", "records", "audit", "identity", "jobs", "process", "cli", "testing"),
    "asyncpg": ("storage", "testing", "kernel"),  # the kernel takes its class of ids
    "casbin": ("access",),
    "strawberry": ("api",),
    "starlette": ("web",),
    "uvicorn": ("web", "cli", "testing"),
    "ruamel": ("metadata",),
    "typer": ("cli",),
    "openpyxl": ("records",),
    "pypinyin": ("storage", "records"),
}
"""Where a heavy library may be imported: what would have to change if it were replaced."""


def modules() -> Iterator[Path]:
    return (path for path in sorted(PACKAGE.rglob("*.py")) if "static" not in path.parts)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def test_imports_go_downwards_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    # Setting up its logging would disable the loggers of all tests that come after this one.
    monkeypatch.setattr("importlinter.cli._configure_logging", lambda _verbose: None)
    outcome = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert outcome == 0, capsys.readouterr().out


def test_each_heavy_library_has_one_home() -> None:
    strays = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules()
        for line, name in imported(path)
        if (homes := HOMES.get(name.partition(".")[0])) and path.relative_to(PACKAGE).parts[0] not in homes
    ]
    assert not strays, "\n".join(strays)


def test_the_source_root_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    said = subprocess.run(
        [sys.executable, "-c", "import platform; print(platform.python_version())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == sys.version.split()[0]


def test_files_and_functions_stay_readable() -> None:
    long_files = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in modules()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST_FILE
    ]
    long_functions = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long_files + long_functions, "\n".join(long_files + long_functions)


def test_every_module_says_why_it_exists() -> None:
    silent = [
        str(path.relative_to(ROOT)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent, silent


def test_nothing_is_read_at_import() -> None:
    """The environment and the file system are read by the composition root, never while a module loads."""
    found = []
    for path in modules():
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            text = ast.unparse(statement)
            if "os.environ" in text or "getenv(" in text or ".read_text(" in text:
                found.append(f"{path.relative_to(ROOT)}:{statement.lineno}")
    assert not found, found
