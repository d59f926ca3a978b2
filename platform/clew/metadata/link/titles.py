"""The default title: the business key as text."""

from __future__ import annotations

from collections.abc import Mapping

from clew.metadata.blueprint import TEXTUAL, Entity, FieldKind

_AS_TEXT = frozenset({FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.DATE, FieldKind.DATETIME})


def default_title(entities: Mapping[str, Entity], entity: Entity) -> str | None:
    """An expression that joins the key's parts with ` / `; a reference gives the key of what it refers to."""
    parts = _parts(entities, entity, "", 0)
    if not parts:
        return None
    return " + ' / ' + ".join(parts)


def _parts(entities: Mapping[str, Entity], entity: Entity, prefix: str, depth: int) -> list[str]:
    found: list[str] = []
    for name in entity.key:
        field = entity.fields[name]
        path = f"{prefix}{name}"
        optional = not field.required or bool(prefix)
        if field.kind in TEXTUAL:
            found.append(f"coalesce({path}, '')" if optional else path)
        elif field.kind in _AS_TEXT:
            found.append(f"({path} == null ? '' : text({path}))" if optional else f"text({path})")
        elif field.kind is FieldKind.REF and field.targets and field.target in entities and depth < 2:
            found += _parts(entities, entities[field.target], f"{path}.", depth + 1)
    return found
