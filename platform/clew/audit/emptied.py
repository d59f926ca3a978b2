"""The content of a signed version without what was erased: signed bytes and history are compared in what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from clew.audit.erasures import Erasure, is_gone


def ids_in(content: Any) -> Iterator[UUID]:
    """The ids of a record and its lines, lines of lines included."""
    if not isinstance(content, Mapping):
        return
    try:
        yield UUID(str(content.get("fields", {}).get("id")))
    except (ValueError, AttributeError):
        return
    for lines in content.get("lines", {}).values():
        for each in lines:
            yield from ids_in(each)


def emptied(content: Any, gone: Mapping[UUID, Sequence[Erasure]], *, only_gone: bool = False) -> Any:
    """The content with erased fields emptied; with `only_gone` only where nothing but an erasure's mark stands."""
    if not isinstance(content, Mapping):
        return content
    fields = dict(content.get("fields") or {})
    id = next(ids_in(content), None)
    if id is not None:
        for name in {name for each in gone.get(id, ()) for name in each.fields} & fields.keys():
            if not only_gone or is_gone(fields[name], id):
                fields[name] = None
    lines = {
        name: [emptied(each, gone, only_gone=only_gone) for each in some]
        for name, some in (content.get("lines") or {}).items()
    }
    return {**content, "fields": fields, **({"lines": lines} if lines else {})}
