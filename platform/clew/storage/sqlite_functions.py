"""Functions the platform adds to SQLite so that it answers as PostgreSQL does: (name, arguments, function)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = ()
