"""Postings: each new record adds to balances, which are locked in the order of their keys and created when missing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from clew.metadata.blueprint import Entity
from clew.records.intake import Intake
from clew.records.put import Written, put_change, put_new, settle
from clew.records.values import Path, coerce

if TYPE_CHECKING:
    from clew.records.unit import Unit


@dataclass(slots=True)
class Entry:
    """What one balance row is to gain."""

    to: Entity
    key: dict[str, Any]
    add: dict[str, Decimal]
    path: Path


async def settle_postings(unit: Unit) -> None:
    """Apply what the unit's new records post, summed by balance."""
    if not unit.postings:
        return
    entries: dict[tuple[str, ...], Entry] = {}
    for written in unit.postings:
        for entry in await _entries(unit, written):
            place = (entry.to.name, *(str(value) for value in entry.key.values()))
            known = entries.setdefault(place, entry)
            if known is not entry:
                for name, value in entry.add.items():
                    known.add[name] = known.add.get(name, Decimal(0)) + value
    unit.postings.clear()
    for _, entry in sorted(entries.items()):
        await _apply(unit, entry)


async def _entries(unit: Unit, written: Written) -> list[Entry]:
    entity, record = written.change.entity, written.record
    found: list[Entry] = []
    for posting in entity.postings:
        if posting.when is not None and not await unit.judge.holds(posting.when, entity, record):
            continue
        expressions = [each for _, each in (*posting.key, *posting.add)]
        values = await unit.judge.values(expressions, entity, record)
        keys = dict(zip((name for name, _ in posting.key), values, strict=False))
        adds = dict(zip((name for name, _ in posting.add), values[len(posting.key) :], strict=True))
        amounts = {name: Decimal(value) for name, value in adds.items() if value}
        if amounts:
            to = unit.engine.blueprint.entities[posting.to]
            found.append(Entry(to, dict(sorted(keys.items())), amounts, written.path))
    return found


async def _apply(unit: Unit, entry: Entry) -> None:
    from clew.records.verbs import by_key

    blueprint = unit.engine.blueprint
    old = await by_key(unit, entry.to, entry.key)
    if old is None:
        sums = {
            name: coerce(entry.to.fields[name], value, (*entry.path, name), blueprint, unit.today)
            for name, value in entry.add.items()
        }
        new = await put_new(unit, entry.to, Intake(values=sums), entry.path, "post", base=entry.key)
        await settle(unit, new)
        return
    unit.locked(old)
    sums = {
        name: coerce(
            entry.to.fields[name], (old[name] or Decimal(0)) + value, (*entry.path, name), blueprint, unit.today
        )
        for name, value in entry.add.items()
    }
    written = await put_change(unit, entry.to, old, Intake(values=sums), entry.path, "post")
    if written is not None:
        await settle(unit, written)
