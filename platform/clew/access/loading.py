"""A project as it may go into force: loaded and its policy tests passed. `clew check` and a server's start use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from clew.access.trial import failures
from clew.metadata.kinds import DEFAULT_KINDS, Kinds
from clew.metadata.load import Loaded, load_folder, load_sources


def load_project(path: Path, kinds: Kinds = DEFAULT_KINDS) -> Loaded:
    """A project folder. A policy test that fails is an error like any other."""
    return tried(load_folder(path, kinds))


def load_bundle(sources: Mapping[str, str], kinds: Kinds = DEFAULT_KINDS) -> Loaded:
    """A project from its files' texts, as a release stores them."""
    return tried(load_sources(sources, kinds))


def tried(loaded: Loaded) -> Loaded:
    """With the findings of the policy tests; without a Blueprint when there are any."""
    if loaded.blueprint is None:
        return loaded
    found = tuple(failures(loaded.blueprint))
    if not found:
        return loaded
    everything = sorted((*loaded.diagnostics, *found), key=lambda each: each.sort_key)
    return replace(loaded, blueprint=None, diagnostics=tuple(everything))
