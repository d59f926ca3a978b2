"""`clew doctor`: what is wrong with the environment and how to mend it."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    pass
