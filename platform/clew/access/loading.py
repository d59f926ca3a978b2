"""A project as it may go into force: loaded and its policy tests passed. `clew check` and a server's start use it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from clew.access.trial import failures
from clew.extensions.plugins import FOLDER, MANIFEST
from clew.kernel.collector import uncollected
from clew.kernel.diagnostics import Diagnostic, nearest
from clew.metadata.blueprint import Blueprint
from clew.metadata.kinds import DEFAULT_KINDS, Kinds
from clew.metadata.load import Loaded, load_folder, load_sources
from clew.metadata.rules_process import UNKNOWN_PLUGIN


@uncollected()
def load_project(path: Path, kinds: Kinds = DEFAULT_KINDS) -> Loaded:
    """A project folder. A policy test that fails is an error like any other, and so is a plugin that is not there."""
    loaded = load_folder(path, kinds)
    return refused(tried(loaded), _missing_plugins(path, loaded.blueprint) if loaded.blueprint is not None else ())


def _missing_plugins(path: Path, blueprint: Blueprint) -> Iterator[Diagnostic]:
    """Plugins that clew.yaml takes actions and channels from. They are not imported: a check runs nothing of the
    project's."""
    there = [each.parent.name for each in (path / FOLDER).glob(f"*/{MANIFEST}")]
    project = blueprint.project
    named = [(f"actions.{name}.plugin", each.plugin, each.place) for name, each in project.actions.items()]
    named += [(f"channels.{name}.plugin", each.plugin, each.place) for name, each in project.channels.items()]
    for where, plugin, place in named:
        if plugin not in there:
            yield Diagnostic(UNKNOWN_PLUGIN, place, where, (("name", plugin),), nearest(plugin, there))


@uncollected()
def load_bundle(sources: Mapping[str, str], kinds: Kinds = DEFAULT_KINDS) -> Loaded:
    """A project from its files' texts, as a release stores them."""
    return tried(load_sources(sources, kinds))


def tried(loaded: Loaded) -> Loaded:
    """With the findings of the policy tests; without a Blueprint when there are any."""
    if loaded.blueprint is None:
        return loaded
    return refused(loaded, failures(loaded.blueprint))


def refused(loaded: Loaded, findings: Iterable[Diagnostic]) -> Loaded:
    """With these findings; without a Blueprint when there are any."""
    found = tuple(findings)
    if not found:
        return loaded
    everything = sorted((*loaded.diagnostics, *found), key=lambda each: each.sort_key)
    return replace(loaded, blueprint=None, diagnostics=tuple(everything))
