"""The one way from YAML to a Blueprint. `clew check` and a server's start run this same code."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from clew.kernel.collector import uncollected
from clew.kernel.diagnostics import Diagnostic, Findings, Place
from clew.metadata import rules
from clew.metadata.blueprint import Blueprint
from clew.metadata.compile import freeze
from clew.metadata.documents import Document, read
from clew.metadata.kinds import DEFAULT_KINDS, Kinds
from clew.metadata.link.link import link
from clew.metadata.source import MAX_BYTES
from clew.metadata.spec.others import ProjectSpec

PROJECT_FILE = "clew.yaml"
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What loading gave. `blueprint` is None when there is any error; warnings do not prevent it.

    `extras` holds what the link hooks of later kinds returned, by kind.
    """

    blueprint: Blueprint | None
    diagnostics: tuple[Diagnostic, ...]
    extras: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def load_folder(path: Path, kinds: Kinds = DEFAULT_KINDS) -> Loaded:
    """Load a project folder: clew.yaml and every YAML file in the folders of known kinds."""
    findings = Findings()
    sources: dict[str, str] = {}
    for file in _files(path, kinds):
        text = _text(path, file, findings)
        if text is not None:
            sources[file] = text
    return _load(sources, findings, kinds)


def load_sources(sources: Mapping[str, str], kinds: Kinds = DEFAULT_KINDS) -> Loaded:
    """Load a project from its files' texts by relative path, as a release stores them."""
    return _load(sources, Findings(), kinds)


def _files(root: Path, kinds: Kinds) -> list[str]:
    """Relative paths with forward slashes, sorted, so that every machine reads them in the same order."""
    found = [PROJECT_FILE] if (root / PROJECT_FILE).is_file() else []
    for folder in kinds.folders:
        for at, folders, names in os.walk(root / folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [
                (Path(at) / name).relative_to(root).as_posix()
                for name in names
                if name.endswith(_SUFFIXES) and not name.startswith(".")
            ]
    return sorted(found)


def _text(root: Path, file: str, findings: Findings) -> str | None:
    try:
        if not stat.S_ISREG((root / file).stat().st_mode):
            # A pipe would be waited for, for ever.
            findings.add(rules.FILE_UNREADABLE, Place(file), reason="not a regular file")
            return None
        with (root / file).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            findings.add(rules.FILE_TOO_LARGE, Place(file), limit="2 MiB")
            return None
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        findings.add(rules.FILE_NOT_UTF8, Place(file), offset=error.start + 1)
    except OSError as error:
        findings.add(rules.FILE_UNREADABLE, Place(file), reason=error.strerror or "error")
    return None


@uncollected()
def _load(sources: Mapping[str, str], findings: Findings, kinds: Kinds) -> Loaded:
    documents: dict[str, list[Document]] = {name: [] for name in kinds.all}
    holes: set[str] = set()
    for file in sorted(sources):
        result = read(file, sources[file], kinds)
        findings.extend(result.diagnostics)
        holes |= result.holes
        for document in result.documents:
            documents[document.kind].append(document)
    if PROJECT_FILE not in sources:
        findings.add(rules.NO_PROJECT, Place(PROJECT_FILE))
    by_kind = _overlaid({name: tuple(found) for name, found in documents.items()}, findings)
    linking, extras = link(by_kind, findings, frozenset(holes), kinds)
    if linking.project is None and not findings.failed:
        findings.add(rules.EMPTY_PROJECT, Place(PROJECT_FILE))
    diagnostics = findings.sorted()
    if findings.failed or linking.project is None:
        return Loaded(None, diagnostics)
    return Loaded(freeze(linking, sources), diagnostics, MappingProxyType(extras))


def _overlaid(by_kind: Mapping[str, tuple[Document, ...]], findings: Findings) -> dict[str, tuple[Document, ...]]:
    """All documents outside overlays/, then those of each overlay that the project names, in its order."""
    overlays: list[str] = []
    for project in by_kind["project"][:1]:
        assert isinstance(project.spec, ProjectSpec)
        for index, name in enumerate(project.spec.overlays):
            folder = f"overlays/{name.strip('/')}/"
            if not any(each.place.file.startswith(folder) for found in by_kind.values() for each in found):
                findings.add(rules.UNKNOWN_OVERLAY, project.at("overlays", index), name=name)
            overlays.append(folder)
    return {kind: tuple(_chosen(found, overlays)) for kind, found in by_kind.items()}


def _chosen(documents: tuple[Document, ...], overlays: list[str]) -> Iterator[Document]:
    yield from (each for each in documents if not each.place.file.startswith("overlays/"))
    for number, folder in enumerate(overlays):
        yield from (
            each
            for each in documents
            if each.place.file.startswith(folder)
            and not any(each.place.file.startswith(earlier) for earlier in overlays[:number])
        )
