"""Names that are data: what a polymorphic reference, an external id and a counter call an entity or its number.

They follow a rename in the transaction that swaps the releases, when no node of the earlier one writes the old name any
more. The trail, signatures and decisions keep the name of their day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clew.metadata.blueprint import Entity, FieldKind
from clew.storage.change.side import Side
from clew.storage.ddl import Ddl
from clew.storage.engine import DialectName
from clew.storage.layout import earlier_entity, earlier_field, inherited, same_column, slots_of

Renames = Mapping[str, Any]
"""`entities`: old name → new name; `columns`: [table, column] that hold entity names; `rules`: old rule → new rule."""


def renames(old: Side, new: Side) -> Renames:
    """What is to be renamed in the data; empty when nothing is."""
    names: dict[str, str] = {}
    rules: dict[str, str] = {}
    columns: list[list[str]] = []
    for entity in new.blueprint.entities.values():
        was = earlier_entity(entity, old.blueprint, new.blueprint)
        if was is None:
            continue
        if was.name != entity.name:
            names[was.name] = entity.name
        rules |= _rules(was, entity, old, new)
        columns += _columns(was, entity, old, new)
    if not names and not rules:
        return {}
    return {"entities": names, "columns": columns if names else [], "rules": rules}


def _rules(was: Entity, now: Entity, old: Side, new: Side) -> dict[str, str]:
    """Coding rules that are called after a field or an entity, and so get its new name."""
    found: dict[str, str] = {}
    for field in now.fields.values():
        before = earlier_field(field, was, now)
        if before is None or before.coding_rule is None or field.coding_rule is None:
            continue
        gone = before.coding_rule not in new.blueprint.coding_rules
        if gone and field.coding_rule not in old.blueprint.coding_rules:
            found[before.coding_rule] = field.coding_rule
    return found


def _columns(was: Entity, now: Entity, old: Side, new: Side) -> Iterator[list[str]]:
    """Columns that held entity names before and hold them now."""
    names = new.catalog.entities[now.name]
    for field in now.fields.values():
        before = earlier_field(field, was, now)
        if field.kind is not FieldKind.ANY or before is None:
            continue
        slot = slots_of(field)[0]
        if same_column(inherited(before, field, old.blueprint, new.blueprint).get(slot.key), slot):
            yield [names.table, names.columns[slot.key]]
            yield [names.history, names.columns[slot.key]]


def rename_statements(work: Renames, dialect: DialectName) -> Iterator[str]:
    """The statements. One for each column, so that names which change places do not meet."""
    quote = Ddl(dialect).quote
    names: Mapping[str, str] = work.get("entities", {})
    for table, column in [*work.get("columns", ()), *(_PLATFORM if names else ())]:
        yield _statement(quote(table), quote(column), names)
    if rules := work.get("rules", {}):
        yield _statement(quote("clew_counter"), quote("rule"), rules)


_PLATFORM = (("clew_external_id", "entity"), ("clew_external_id", "object"))


def _statement(table: str, column: str, names: Mapping[str, str]) -> str:
    cases = " ".join(f"WHEN {_text(was)} THEN {_text(now)}" for was, now in sorted(names.items()))
    listed = ", ".join(map(_text, sorted(names)))
    return f"UPDATE {table} SET {column} = CASE {column} {cases} END WHERE {column} IN ({listed})"


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
