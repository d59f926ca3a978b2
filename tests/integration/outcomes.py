"""What became of a command that may be refused."""

from __future__ import annotations

from collections.abc import Awaitable

from clew.kernel.errors import ClewError


async def outcome(work: Awaitable[object]) -> str:
    """`done`, or the code with which it was refused."""
    try:
        await work
    except ClewError as error:
        return error.code
    return "done"
