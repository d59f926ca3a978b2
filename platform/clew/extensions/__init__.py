"""Finding and loading plugins."""

from clew.extensions.plugins import BadPlugin, Plugin, find_plugins, load_actions, load_channels, load_plugins

__all__ = ["BadPlugin", "Plugin", "find_plugins", "load_actions", "load_channels", "load_plugins"]
