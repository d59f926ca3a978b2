"""The frozen Blueprint and its digest: over what the project means, not how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any

from clew.expressions.tree import Checked, Span
from clew.kernel.canonical import digest
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
        digest=digest(content),
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


@cache
def _attributes(cls: type) -> tuple[tuple[str, Any], ...] | None:
    """Name and default of what counts in a dataclass; None for another type."""
    if not is_dataclass(cls):
        return None
    counted = [each for each in fields(cls) if each.name != "type"]
    return tuple((each.name, each.default if each.default is not MISSING else None) for each in counted)


_PLAIN = frozenset({type(None), str, bool, int})
_PLACED = frozenset({Place, Span})


def meaning(value: Any) -> Any:
    """A value as plain data without places and without defaults; an expression is its tree without spans.

    Leaving defaults out keeps the digest of a project when the Blueprint learns to say something new. A mapping
    becomes pairs, because the order of fields, states and codes is part of the meaning.
    """
    kind: type = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str | int):
        return value
    if kind in _PLACED:
        return None
    if kind is Checked:
        return {"expression": meaning(value.root)}
    attributes = _attributes(kind)
    if attributes is not None:
        found: dict[str, Any] = {"": kind.__name__}
        for name, default in attributes:
            each = getattr(value, name)
            if each is default or each == default or each == () or type(each) in _PLACED:
                continue
            inner = meaning(each)
            if inner not in (None, [], ""):
                found[name] = inner
        return found
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, Mapping):
        return [[name, meaning(each)] for name, each in value.items()]
    if isinstance(value, frozenset | set):
        return sorted(meaning(each) for each in value)
    if isinstance(value, list | tuple):
        return [meaning(each) for each in value]
    return str(value)
