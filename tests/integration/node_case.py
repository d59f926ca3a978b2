"""What a test needs from npm is there: `make test` has installed it, and a test on its own installs it here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def with_packages(folder: Path, package: str) -> Path:
    """The folder, with the packages of its lock file. Fails, and never skips, where there is no npm."""
    if not (folder / "node_modules" / package).is_dir():
        npm = shutil.which("npm")
        assert npm, "Node with npm is needed for this test"
        subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True, timeout=240)
    return folder
