"""Erasure of personal data: the values go, everywhere they are kept; that they were there stays proven.

Fields declared `personal` of a record and its lines are emptied in the present row, in every version of the history and
in every leaf. A leaf keeps its salted commitment, so digest, log and checkpoints hold as before, and an event names the
record and its fields (never a value). What cannot be emptied says so: the bytes of an electronic signature are kept as
long as the signature counts, and backups as long as they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.audit.erasures import ACTION, SUBJECT, mark
from clew.audit.errors import NotErasable
from clew.audit.evidence.collect import About, subjects
from clew.audit.leaf import redact
from clew.audit.trail import record_event
from clew.kernel.context import Context
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.storage import system
from clew.storage.called import Called, Moments, moments, words
from clew.storage.dialects import any_of
from clew.storage.engine import Connection, Database
from clew.storage.layout import slots_of
from clew.storage.redaction import leaves_open
from clew.storage.tables import Tables

leaf = system.leaf
_TEXTS = (FieldKind.TEXT, FieldKind.LONG_TEXT)


@dataclass(slots=True)
class Erased:
    """What an erasure did: fields by entity, and how many versions and leaves lost values."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    versions: int = 0
    leaves: int = 0
    signatures: int = 0
    """Signatures whose signed bytes still hold the record as it was signed."""
    decisions: int = 0
    """Kept decisions whose inputs still hold a personal value: their digest stands in the trail."""


Fields = tuple[Sequence[str], Sequence[Called], Moments]
"""Today's names, in whatever was ever written under them; earlier ones, while they were theirs; and when that was."""


def personal_fields(entity: Entity) -> list[Field]:
    return [each for each in entity.fields.values() if each.personal and each.stored]


async def erase(
    database: Database, tables: Tables, context: Context, release: str, about: About, reason: str
) -> Erased:
    """Erase the personal data of one record and its lines, in one transaction, as the owner of the tables.

    Raises NotErasable for a required personal field that is no text: it cannot be left empty.
    """
    async with database.migrate(rows_only=True) as connection:
        return await erase_in(connection, tables, context, release, about, reason)


async def erase_in(
    connection: Connection, tables: Tables, context: Context, release: str, about: About, reason: str
) -> Erased:
    """The same inside a `migrate` unit."""
    done = Erased()
    found = await subjects(connection, tables, about)
    live = await moments(connection)
    await _hold_rows(connection, tables, found)
    async with leaves_open(connection):
        for name, ids in found.items():
            entity = tables.blueprint.entities[name]
            wanted = personal_fields(entity)
            if not wanted:
                continue
            done.fields[name] = [each.name for each in wanted]
            known, entities = tables.catalog.entities[name], tables.blueprint.entities
            former = [
                was for each in wanted for was in known.field_called(each, entity.fields) if was.name != each.name
            ]
            of_entity = words(known.entity_called(entity, entities))
            for each in ids:
                done.versions += await _rows(connection, tables, entity, wanted, each)
                done.leaves += await _leaves(connection, of_entity, (done.fields[name], former, live), each)
                told = {"entity": name, "record_id": str(each), "fields": [*done.fields[name], *words(former)]}
                await record_event(connection, context, release, ACTION, SUBJECT, each, told, reason)
    await _forget_answers(connection, [each for ids in found.values() for each in ids])
    done.signatures = await _signatures(connection, [each for ids in found.values() for each in ids])
    for name, ids in found.items():
        entity, known = tables.blueprint.entities[name], tables.catalog.entities[name]
        read = {was for each in personal_fields(entity) for was in words(known.field_called(each, entity.fields))}
        of_entity = words(known.entity_called(entity, tables.blueprint.entities))
        done.decisions += await _decisions(connection, of_entity, read, ids)
    return done


async def _hold_rows(connection: Connection, tables: Tables, found: Mapping[str, Sequence[UUID]]) -> None:
    """Wait for whoever writes these records, before nobody can write a leaf any more: each would wait for the other."""
    if connection.dialect == "postgresql":
        for name, ids in found.items():
            table = tables.current(name)
            await connection.fetch(
                sa.select(table.c.id).where(any_of(table.c.id, "ids")).with_for_update(), {"ids": ids}
            )


async def _rows(
    connection: Connection, tables: Tables, entity: Entity, wanted: Sequence[Field], record_id: UUID
) -> int:
    """The present row, its history and its search rows; the number of versions."""
    values: dict[str, Any] = {}
    for each in wanted:
        for slot in slots_of(each):
            values[slot.key] = _instead(each, record_id) if slot.required and slot.key == each.name else None
    versions = 0
    for table in (tables.current(entity.name), tables.history(entity.name)):
        changed = {table.c[key]: value for key, value in values.items()}
        versions = await connection.execute(sa.update(table).where(table.c.id == record_id).values(changed))
    searched = [tables.gram_field(entity.name, each.name) for each in wanted if each in entity.searchable]
    if searched:
        grams = tables.grams(entity.name)
        gone = sa.delete(grams).where(grams.c.id == record_id, any_of(grams.c.field, "fields"))
        await connection.execute(gone, {"fields": searched})
    return versions


def _instead(known: Field, record_id: UUID) -> str:
    """What stands in a field that may not be empty. It differs by record, so that unique fields stay unique."""
    if known.kind not in _TEXTS:
        raise NotErasable(field=known.label, name=known.name)
    return mark(record_id)


async def _leaves(connection: Connection, called: Sequence[str], of: Fields, record_id: UUID) -> int:
    names, former, live = of
    query = sa.select(leaf.c.leaf_id, leaf.c.at, leaf.c.fields).where(
        leaf.c.record_id == record_id, any_of(leaf.c.entity, "called"), leaf.c.row_version > 0
    )
    count = 0
    for leaf_id, at, fields in await connection.fetch(query, {"called": list(called)}):
        then = [*names, *(was.name for was in former if live.covers(was, at))]
        present = [name for name in dict.fromkeys(then) if "s" in _entries(fields).get(name, {})]
        if present:
            statement = sa.update(leaf).where(leaf.c.leaf_id == leaf_id, leaf.c.at == at)
            count += await connection.execute(statement.values(fields=redact(fields, present)))
    return count


def _entries(fields: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(fields)
    return found


async def _forget_answers(connection: Connection, ids: Sequence[UUID]) -> None:
    """Answers kept for repeated requests may show the record; a repeated request is then a new one."""
    table = system.idempotency
    for each in ids:
        await connection.execute(sa.delete(table).where(table.c.answer.contains(str(each))))


async def _signatures(connection: Connection, ids: Sequence[UUID]) -> int:
    table = system.signature
    query = sa.select(sa.func.count()).select_from(table).where(any_of(table.c.record_id, "ids"))
    return int(await connection.fetch_value(query, {"ids": list(ids)}))


async def _decisions(connection: Connection, names: Sequence[str], personal: set[str], ids: Sequence[UUID]) -> int:
    """Decisions about records of an entity that read one of its personal fields when it had a value."""
    if not personal:
        return 0
    table = system.decision
    query = sa.select(table.c.body).where(any_of(table.c.record_id, "ids"), any_of(table.c.entity, "names"))
    args = {"ids": list(ids), "names": list(names)}
    bodies = [json.loads(row[0]) for row in await connection.fetch(query, args)]
    facts = ([each["facts"] for each in body["checks"]] for body in bodies)
    return sum(any(found.get(name) is not None for found in each for name in personal) for each in facts)
