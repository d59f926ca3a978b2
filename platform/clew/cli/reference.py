"""`clew schema` and `clew docs`: the project and the platform, written down for editors, clients and people."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    pass
