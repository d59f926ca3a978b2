"""Overlays on a field that exists: what is said there may only be stricter."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from clew.metadata import rules
from clew.metadata.blueprint import Field
from clew.metadata.link.drafts import FieldDraft
from clew.metadata.link.project import Linking
from clew.metadata.source import place_of
from clew.metadata.spec.words import text_of


def tightened(linking: Linking, field: Field, draft: FieldDraft) -> Field:
    """The field with every overlay's restrictions, in the overlays' order."""
    for spec, node in draft.tightened:
        changes: dict[str, Any] = {}
        for flag in ("required", "regulated", "personal", "immutable", "unique"):
            if getattr(spec, flag):
                changes[flag] = True
        for low in ("min", "min_length"):
            _narrow(linking, field, low, getattr(spec, low), place_of(node, low), changes, higher=True)
        for high in ("max", "max_length"):
            _narrow(linking, field, high, getattr(spec, high), place_of(node, high), changes, higher=False)
        if spec.label:
            changes["label"] = text_of(spec.label)
        if spec.help:
            changes["help"] = text_of(spec.help)
        field = replace(field, **changes)
    return field


def _narrow(
    linking: Linking,
    field: Field,
    key: str,
    given: Decimal | int | None,
    place: Any,
    changes: dict[str, Any],
    *,
    higher: bool,
) -> None:
    if given is None:
        return
    now = getattr(field, key)
    if now is not None and (given < now if higher else given > now):
        linking.findings.add(
            rules.OVERLAY_LOOSENS,
            place,
            path=key,
            reason=f"{field.name}.{key} is {now} already",
            reason_zh=f"{field.name}.{key} 已为 {now}",
        )
        return
    changes[key] = given
