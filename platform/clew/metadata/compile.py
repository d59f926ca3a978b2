"""The frozen Blueprint and its digest: over what the project means, not how it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, TypeAlias

from clew.expressions.tree import Checked, Span
from clew.kernel.canonical import digest_of_wire, wire
from clew.kernel.diagnostics import Place
from clew.metadata.blueprint import Blueprint
from clew.metadata.link.project import Linking


def freeze(linking: Linking, sources: Mapping[str, str]) -> Blueprint:
    """Everything linked, unchangeable, with its digest. Only called when there is no error."""
    assert linking.project is not None
    content = {
        "project": meaning(linking.project),
        "entities": {name: meaning(each) for name, each in linking.entities.items()},
        "code_lists": {name: meaning(each) for name, each in linking.code_lists.items()},
        "coding_rules": {name: meaning(each) for name, each in linking.coding_rules.items()},
    }
    if linking.policies is not None:
        content["policies"] = meaning(linking.policies)
    if linking.calendars:
        content["calendars"] = {name: meaning(each) for name, each in linking.calendars.items()}
    if linking.watches:
        content["watches"] = {name: meaning(each) for name, each in linking.watches.items()}
    if linking.decisions:
        content["decisions"] = {name: meaning(each) for name, each in linking.decisions.items()}
    if linking.forms:
        content["forms"] = {name: meaning(each) for name, each in linking.forms.items()}
    if linking.alerts:
        content["alerts"] = {name: meaning(each) for name, each in linking.alerts.items()}
    if linking.workflows:
        content["workflows"] = {name: meaning(each) for name, each in linking.workflows.items()}
    return Blueprint(
        project=linking.project,
        entities=MappingProxyType(dict(sorted(linking.entities.items()))),
        code_lists=MappingProxyType(dict(sorted(linking.code_lists.items()))),
        coding_rules=MappingProxyType(dict(sorted(linking.coding_rules.items()))),
        digest=digest_of_wire(content),
        sources=MappingProxyType(dict(sorted(sources.items()))),
        policies=linking.policies,
        workflows=MappingProxyType(dict(sorted(linking.workflows.items()))),
        calendars=MappingProxyType(dict(sorted(linking.calendars.items()))),
        watches=MappingProxyType(dict(sorted(linking.watches.items()))),
        sites_named=tuple(linking.sites_named),
        decisions=MappingProxyType(dict(sorted(linking.decisions.items()))),
        forms=MappingProxyType(dict(sorted(linking.forms.items()))),
        alerts=MappingProxyType(dict(sorted(linking.alerts.items()))),
    )


_PLACED = frozenset({Place, Span})
_NOTHING: tuple[Any, ...] = (None, [], "")


def meaning(value: Any) -> Any:
    """A value as plain data without places and without defaults; an expression is its tree without spans. What comes
    out is in its wire form (`canonical.wire`) already.

    Leaving defaults out keeps the digest of a project when the Blueprint learns to say something new. A mapping
    becomes pairs, because the order of fields, states and codes is part of the meaning.
    """
    kind: type = type(value)
    return _reader(kind)(value)


Read: TypeAlias = Callable[[Any], Any]


@cache
def _reader(kind: type) -> Read:
    """How values of a type are read. Asked once for each type: a project has a hundred thousand values."""
    if kind in (type(None), str, bool):
        return _same
    if kind is int:
        return wire
    if issubclass(kind, Enum):
        return lambda value: str(value.value)
    if issubclass(kind, str):
        return str
    if issubclass(kind, int):
        return lambda value: wire(int(value))
    if kind in _PLACED:
        return lambda value: None
    if kind is Checked:
        return lambda value: {"expression": meaning(value.root)}
    if is_dataclass(kind):
        return _attributes(kind)
    if issubclass(kind, Decimal):
        return lambda value: f"{value.normalize():f}"
    if issubclass(kind, Mapping):
        return lambda value: [[meaning(name), meaning(each)] for name, each in value.items()]
    if issubclass(kind, frozenset | set):
        return lambda value: sorted(meaning(each) for each in value)
    if issubclass(kind, list | tuple):
        return lambda value: [meaning(each) for each in value]
    return str


def _same(value: Any) -> Any:
    return value


def _attributes(kind: type) -> Read:
    """A dataclass as what is said in it: its type's name, and each attribute that is not as it would be unsaid."""
    counted = [each for each in fields(kind) if each.name != "type"]
    attributes = [(each.name, each.default if each.default is not MISSING else None) for each in counted]

    def read(value: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"": kind.__name__}
        for name, default in attributes:
            each = getattr(value, name)
            of: type = type(each)
            if each is default or of in _PLACED or each == default or each == ():
                continue
            inner = _reader(of)(each)
            if inner not in _NOTHING:
                found[name] = inner
        return found

    return read
