"""What may stand in a tracked file: no registry address, no lock entry with an address, no banned folder names."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"), ("yarnpkg", "com"),
        ("npmmirror", "com"), ("pypi", "tuna"), ("registry", "npm"),
    )
)  # fmt: skip
BANNED_NAMES = {"utils", "helpers", "common", "manager", "misc"}


def tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return (ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file())
    skipped = {".git", ".venv", "node_modules", ".clew", "static"}
    return (path for path in ROOT.rglob("*") if path.is_file() and not skipped & set(path.relative_to(ROOT).parts))


def test_no_file_names_a_package_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {host}"
        for path in tracked()
        for text in [path.read_bytes()]
        for host in HOSTS
        if host.encode() in text
    ]
    assert not found, "\n".join(found)


def test_the_npm_lock_holds_no_addresses() -> None:
    locks = [path for path in tracked() if path.name == "package-lock.json"]
    assert locks, "the workbench's package-lock.json is tracked"
    for path in locks:
        assert '"resolved"' not in path.read_text(encoding="utf-8")
        assert "omit-lockfile-registry-resolved=true" in (path.parent / ".npmrc").read_text(encoding="utf-8")


def test_folders_and_modules_are_nouns_of_the_business() -> None:
    vague = [str(path) for path in (ROOT / "platform" / "clew").rglob("*") if path.stem in BANNED_NAMES]
    assert not vague, vague
