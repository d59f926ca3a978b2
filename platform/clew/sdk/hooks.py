"""Where plugins join in. A plugin implements one of these functions and marks it with `hookimpl`."""

from __future__ import annotations

from collections.abc import Awaitable

import pluggy

from clew.sdk.seeds import SeedOrder

NAME = "clew"
_hookspec = pluggy.HookspecMarker(NAME)
hookimpl = pluggy.HookimplMarker(NAME)


class Hooks:
    """The specifications that implementations are held to when they are loaded."""

    @_hookspec(firstresult=True)
    def clew_seed(self, order: SeedOrder) -> Awaitable[None] | None:
        """Fill an empty database. The first plugin that returns something awaitable does it."""
        return None
