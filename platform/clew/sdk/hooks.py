"""Where plugins join in. A plugin implements one of these functions and marks it with `hookimpl`."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

import pluggy

from clew.sdk.actions import Act
from clew.sdk.channels import Send
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

    @_hookspec
    def clew_actions(self) -> Mapping[str, Act]:
        """What the plugin does in automatic steps, by the names that clew.yaml gives under `actions`."""
        return {}

    @_hookspec
    def clew_channels(self) -> Mapping[str, Send]:
        """How the plugin carries notices to people, by the names that clew.yaml gives under `channels`."""
        return {}
