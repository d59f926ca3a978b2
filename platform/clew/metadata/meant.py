"""What a field of an unknown type was meant to be, so that whatever else is wrong in it is told in the same round."""

from __future__ import annotations

from typing import Any, get_args

from clew.kernel.diagnostics import nearest
from clew.metadata.source import MapNode, ScalarNode
from clew.metadata.spec.field import AnyField, FieldSpec

_KEYS: dict[str, frozenset[str]] = {
    get_args(each.model_fields["type"].annotation)[0]: each.known_keys() for each in get_args(get_args(AnyField)[0])
}
"""Type → the keys it knows."""
_SHARED = FieldSpec.known_keys()
_FAMILIAR = frozenset[str]().union(*_KEYS.values())


class Meant:
    """The fields of one document that are read on as something else than they say, by their path."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str | int, ...], bool] = {}
        """Whether the type was found by its name, and not by the keys beside it."""

    def read_on(self, node: MapNode, path: tuple[str | int, ...]) -> None:
        """Give a field the type whose name is nearest to what it says; else the first that knows most of its keys."""
        given = node.values.get("type")
        by_name = nearest(given.text, _KEYS) if isinstance(given, ScalarNode) else ""
        fitting = by_name or max(_KEYS, key=lambda each: len(_KEYS[each] & node.keys.keys()))
        at = given or node
        read = ScalarNode(node.source, at.line, at.column, fitting, fitting, "", 0, 0)
        node.keys.setdefault("type", read)
        node.values["type"] = read
        self._fields[path] = bool(by_name)

    def certain(self, type_: str, path: tuple[str | int, ...], context: dict[str, Any]) -> bool:
        """Whether a finding holds whatever the field is. Where its type is taken from its keys, another may know a key
        that this one does not, need none that it needs and take other values: what counts is keys that no type knows,
        which are left alone in the `context`, and what is said under the keys of all."""
        field = next((each for each, named in self._fields.items() if not named and path[: len(each)] == each), None)
        if field is None:
            return True
        if path == field:
            context["keys"] = [name for name in context.get("keys", ()) if name not in _FAMILIAR]
            return type_ == "unknown_keys"
        return path[len(field)] in _SHARED
