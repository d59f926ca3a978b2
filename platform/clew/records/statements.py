"""The write path's SQL, built once per entity and compiled once per database.

On PostgreSQL everything that belongs to one step travels as one statement with several data-modifying parts; SQLite
runs the parts one after the other, in process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Entity
from clew.records.row_changes import COUNTED, NewRow, RowChanges, RowPart
from clew.records.rows import Shape
from clew.records.versions import MICROSECOND, TooEarly
from clew.storage import system
from clew.storage.batch import Insert, Known, met_by
from clew.storage.engine import Connection, DialectName
from clew.storage.tables import Tables
from clew.storage.types import Instant


class Step:
    """Statements that belong together; one round trip on PostgreSQL. Their bind names are shared."""

    def __init__(self, dialect: DialectName, parts: Sequence[Any], counted: int | None = None) -> None:
        """`counted` is the part whose number of touched rows `run` answers; it returns them as `met` on PostgreSQL."""
        self._parts: tuple[Any, ...] = tuple(parts)
        self._counted = counted
        self.whole = self._together() if dialect == "postgresql" else None

    def _together(self) -> ClauseElement:
        named = [part.cte(f"step_{at}") for at, part in enumerate(self._parts)]
        answer: Any = sa.literal_column("1") if self._counted is None else met_by(named[self._counted])
        return sa.select(answer).add_cte(*named)

    async def run(self, connection: Connection, args: Mapping[str, Any]) -> int:
        if self.whole is not None:
            return int(await connection.fetch_value(self.whole, args))
        touched = 1
        for at, part in enumerate(self._parts):
            count = await connection.execute(part, args)
            touched = count if at == self._counted else touched
        return touched

    async def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        if len(rows) == 1:
            await self.run(connection, rows[0])
        elif self.whole is not None:
            await connection.execute_many(self.whole, rows)
        else:
            for part in self._parts:
                await connection.execute_many(part, rows)


class RowParts:
    """What is said of rows of one entity that wait to be written with everything else (`records.gathering`)."""

    def __init__(self, changes: RowChanges, grams: sa.Table | None) -> None:
        columns = (*changes.keys, "tx_from")
        self.insert = RowPart(20, changes.history, columns, changes.born, False)
        self.update = RowPart(21, changes.history, (*columns, "was_from"), changes.next, True)
        self.amend = RowPart(22, changes.history, columns, changes.amended, True)
        self.grams = None if grams is None else Insert(25, grams)


class EntityStatements:
    """What is said to the tables of one entity."""

    def __init__(self, entity: Entity, tables: Tables) -> None:
        self.shape = Shape(entity)
        self._entity, self._tables = entity, tables
        self.current = tables.current(entity.name)
        self.history = tables.history(entity.name)
        dialect = tables.dialect
        self.changes = RowChanges(self.current, self.history, self.shape.keys, dialect)
        binds: dict[str, Any] = {
            key: sa.bindparam(_bind(key), type_=self.current.c[key].type) for key in self.shape.keys
        }
        binds |= {"tx_from": sa.bindparam("at", type_=Instant()), "was_from": sa.bindparam("was_at", type_=Instant())}
        self.rows = self.changes.rows(binds)
        self.insert = Step(dialect, self.changes.born(binds))
        self.update = Step(dialect, self.changes.next(binds), counted=COUNTED)
        self.amend = Step(dialect, self.changes.amended(binds), counted=COUNTED)
        self.remove = Step(dialect, self.changes.gone(binds), counted=COUNTED)
        self._unmade = self.changes.unmade(binds)
        self._close_late = (
            sa.update(self.history)
            .where(self.history.c.id == sa.bindparam("id"), self.history.c.tx_to == FAR_FUTURE)
            .where(self.history.c.tx_from < sa.bindparam("at", type_=Instant()))
            .values(tx_to=sa.bindparam("at", type_=Instant()))
        )
        locked = sa.select(*(self.current.c[key] for key in self.shape.keys))
        self.select = locked
        by_id = locked.where(self.current.c.id == sa.bindparam("id"))
        self.lock = self.locking(by_id)
        self.grams = Grams(tables, entity) if entity.searchable else None
        self._parts: RowParts | None = None

    @property
    def parts(self) -> RowParts:
        """For rows that wait; made when the first does."""
        if self._parts is None:
            grams = self._tables.grams(self._entity.name) if self.grams is not None else None
            self._parts = RowParts(self.changes, grams)
        return self._parts

    async def close_late(
        self, connection: Connection, record_id: UUID, at: datetime, *, made: datetime | None = None
    ) -> None:
        """End a version that was not written by a command (a change of the model) and so began at another time than
        `updated_at` says: `made`, if a version of that time was put there instead. Raises TooEarly when the version
        begins later than `at`."""
        if made is not None:
            await connection.execute(self._unmade, {_bind("id"): record_id, "was_at": made, "at": at})
        if await connection.execute(self._close_late, {"id": record_id, "at": at}):
            return
        history = self.history.c
        later = history.id == record_id, history.tx_to == FAR_FUTURE, history.tx_from > at
        begun = await connection.fetch_value(sa.select(history.tx_from).where(*later))
        if begun is not None:
            raise TooEarly(begun + MICROSECOND)

    def locking(self, select: sa.Select[Any]) -> sa.Select[Any]:
        """Rows read to be written."""
        return select.with_for_update() if self._tables.dialect == "postgresql" else select


class Grams:
    """The search rows of one entity."""

    def __init__(self, tables: Tables, entity: Entity) -> None:
        table = tables.grams(entity.name)
        self.named = {each.name: tables.gram_field(entity.name, each.name) for each in entity.searchable}
        self.forget = sa.delete(table).where(
            table.c.id == sa.bindparam("of", type_=table.c.id.type),
            table.c.field == sa.bindparam("in_field", type_=table.c.field.type),
        )
        row = {column.key: sa.bindparam(column.key, type_=column.type) for column in table.c}
        self.add = sa.insert(table).values(row)


class LinkStatements:
    """What is said to the tables of one `many` field."""

    def __init__(self, entity: str, field: str, tables: Tables) -> None:
        link, history = tables.link(entity, field), tables.link_history(entity, field)
        at, dialect = sa.bindparam("at", type_=Instant()), tables.dialect
        pair = {key: sa.bindparam(_bind(key), type_=link.c[key].type) for key in ("owner", "target")}
        of_owner = link.c.owner == pair["owner"]
        self.targets = sa.select(link.c.target).where(of_owner)
        self.add = Step(
            dialect,
            [sa.insert(link).values(**pair), self._begun(history, pair, at, dialect)],
        )
        self.remove = Step(
            dialect,
            [
                sa.delete(link).where(of_owner, link.c.target == pair["target"]),
                sa.update(history)
                .where(history.c.owner == pair["owner"], history.c.target == pair["target"])
                .where(history.c.tx_to == FAR_FUTURE)
                .values(tx_to=at),
            ],
        )

    @staticmethod
    def _begun(history: sa.Table, pair: Mapping[str, Any], at: Any, dialect: DialectName) -> Any:
        """The pair from now on; one that this very unit had taken out goes on."""
        insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(history)
        row = insert.values(**pair, tx_from=at, tx_to=FAR_FUTURE)
        return row.on_conflict_do_update(index_elements=["owner", "target", "tx_from"], set_={"tx_to": FAR_FUTURE})


LEAF, LEAF_PENDING = Insert(1, system.leaf), Insert(2, system.leaf_pending)
EVENT, EVENT_PENDING = Insert(3, system.outbox), Insert(4, system.outbox_pending)
DECISION = Insert(5, system.decision)


class Statements:
    """All statements of one release, built when first needed."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self._entities: dict[str, EntityStatements] = {}
        self._links: dict[tuple[str, str], LinkStatements] = {}
        self.batches: Known = {}
        """Statements of what is written together, with rows of entities in it."""
        self.rows = (
            _plain_row(system.leaf, "leaf"),
            _plain_row(system.leaf_pending, "leaf"),
            _plain_row(system.outbox, "event"),
            _plain_row(system.outbox_pending, "event"),
        )
        self.both = Step(tables.dialect, [each.insert() for each in self.rows])
        decision = _plain_row(system.decision, "decision")
        self.both_decided = Step(tables.dialect, [each.insert() for each in (*self.rows, decision)])
        self.leaf, self.leaf_pending = LEAF, LEAF_PENDING
        self.event, self.event_pending, self.decision = EVENT, EVENT_PENDING, DECISION

    def of(self, entity: str) -> EntityStatements:
        known = self._entities.get(entity)
        if known is None:
            known = self._entities[entity] = EntityStatements(self.tables.blueprint.entities[entity], self.tables)
        return known

    def link(self, entity: str, field: str) -> LinkStatements:
        known = self._links.get((entity, field))
        if known is None:
            known = self._links[entity, field] = LinkStatements(entity, field, self.tables)
        return known


def insert_if(counts: sa.Select[Any], rows: Sequence[NewRow]) -> sa.Select[Any]:
    """One statement that answers `counts` and inserts the rows if each is what its bind `n_<position>` says; they see
    the tables as they were before. For PostgreSQL."""
    asked = counts.cte("asked")
    held = [column == sa.bindparam(f"n_{at}", type_=sa.BigInteger()) for at, column in enumerate(asked.c)]
    parts = [each.insert_from(asked, held).cte(f"step_{at}") for at, each in enumerate(rows)]
    return sa.select(asked).add_cte(*parts)


def bound(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Column values under the bind names the statements use."""
    return {_bind(key): value for key, value in columns.items()}


def _bind(key: str) -> str:
    # Not the bare column name: SQLAlchemy keeps those for itself in UPDATE and INSERT.
    return f"v_{key}"


def _plain_row(table: sa.Table, prefix: str) -> NewRow:
    return NewRow(table, {column: sa.bindparam(f"{prefix}_{column.key}", type_=column.type) for column in table.c})
