"""Giving values to columns that lack them: defaults, converted values, sort keys, search grams. Batch by batch.

A batch is a stretch of ids in a transaction of its own, so that writers go on, and a crash loses one batch. Where the
database can work the value out, a batch is one statement for the records and two for their history. Every record
touched by a default or a conversion gets a new version there (`versions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.metadata.blueprint import Blueprint
from clew.storage.catalog import Catalog
from clew.storage.change.values import Evaluate, TextForms, evaluator, today_at, value_sql
from clew.storage.change.versions import Stretch, Versions
from clew.storage.ddl import Ddl
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.formula import Sql
from clew.storage.layout import column_type
from clew.storage.tables import Tables
from clew.storage.types import Id, Text

BATCH = 5000


@dataclass(frozen=True, slots=True)
class Outcome:
    """`done`; or to be continued from `progress`; or `waiting` for the nodes or columns named in `waits_for`."""

    done: bool = True
    progress: Mapping[str, Any] | None = None
    waiting: bool = False
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills for one release."""

    blueprint: Blueprint
    catalog: Catalog
    texts: TextForms | None = None
    size: int = BATCH

    async def batch(
        self, connection: Connection, work: Mapping[str, Any], progress: Mapping[str, Any] | None
    ) -> Outcome:
        """One batch of a fill, after the record that `progress` names."""
        if progress is None:
            await _statistics(connection, work)
        return await _Fill(connection, work, self).batch(progress)

    async def all(self, connection: Connection, work: Mapping[str, Any]) -> None:
        """All batches in the present transaction."""
        fill, progress = _Fill(connection, work, self), None
        outcome = await fill.batch(progress)
        while not outcome.done:
            outcome = await fill.batch(outcome.progress)


async def _statistics(connection: Connection, work: Mapping[str, Any]) -> None:
    """Tell PostgreSQL what the new column looks like, so that it walks along the key instead of sorting the table."""
    if connection.dialect == "postgresql":
        await connection.run_sql(f"ANALYZE {Ddl('postgresql').quote(work['table'])}")


def _own_table(work: Mapping[str, Any]) -> sa.TableClause:
    """The table with the columns of the work: also one that is kept aside and that no release knows any more."""
    forms = {work["id"]: "id"} | dict(work["sources"].values())
    if work["mode"] != "grams":
        forms[work["target"]] = work["form"]
    return sa.table(work["table"], *(sa.column(name, column_type(form)) for name, form in forms.items()))


class _Fill:
    """One fill. `work`: table, history, id, target, form, mode, sources (fact → [column, form]) and the mode's own."""

    def __init__(self, connection: Connection, work: Mapping[str, Any], filler: Filler) -> None:
        self._connection, self._work, self._filler = connection, work, filler
        tables = Tables(filler.blueprint, filler.catalog, connection.dialect)
        whole = work["mode"] == "expression"
        self._table: sa.TableClause = tables.current(work["entity"]) if whole else _own_table(work)
        columns = {each.name: each for each in self._table.c}
        self._id = columns[work["id"]]
        self._sources = {fact: columns[name] for fact, (name, _) in work["sources"].items()}
        self._target = columns.get(work["target"], self._id)
        self._value = value_sql(work, tables, filler.blueprint)

    async def batch(self, progress: Mapping[str, Any] | None) -> Outcome:
        done = dict(progress or {"rows": 0})
        stretch = Stretch(UUID(done["last"])) if "last" in done else Stretch()
        if self._value is not None:
            end = await self._end(stretch)
            stretch = replace(stretch, upto=end) if end else stretch
            ids = await self._set(self._value, stretch)
        else:
            rows = await self._rows(stretch)
            end = rows[-1][0] if len(rows) == self._filler.size else None
            stretch = replace(stretch, upto=end) if end else stretch
            value = evaluator(self._work, self._filler.blueprint, self._filler.texts)
            ids = await (self._again(rows, value) if self._work.get("again") else self._compute(rows, value))
        if ids and self._work["mode"] not in ("sort", "grams"):
            await Versions(self._connection, self._work).add(ids, stretch)
        done["rows"] += len(ids)
        if end is None:
            return Outcome(progress={"rows": done["rows"]})
        return Outcome(done=False, progress=done | {"last": str(end)})

    def _missing(self) -> list[sa.ColumnElement[bool]]:
        """What must hold for a row that still lacks the value, within the stretch."""
        found = [Stretch.holds(self._id)]
        if self._work.get("again"):
            return found
        if self._work["mode"] != "grams":
            found.append(self._target.is_(None))
        if "from" in self._sources:
            found.append(self._sources["from"].is_not(None))
        return found

    # -- in the database

    async def _end(self, stretch: Stretch) -> UUID | None:
        """The last id of the batch; None when what is left fits into one."""
        query = sa.select(self._id).select_from(self._table).where(*self._missing()).order_by(self._id)
        found = await self._connection.fetch_value(query.limit(1).offset(self._filler.size - 1), stretch.args)
        return found if isinstance(found, UUID) else None

    async def _set(self, value: Sql, stretch: Stretch) -> list[UUID]:
        """One statement; the ids of the rows that had no value and have one now."""
        at = await self._connection.now()
        change = sa.update(self._table).where(*self._missing())
        if self._work["mode"] == "expression":
            change = change.where(value.is_not(None))
        change = change.values({self._target: value}).returning(self._id)
        args = {**stretch.args, "now": at, "today": today_at(self._filler.blueprint, at)}
        return [row[0] for row in await self._connection.fetch(change, args)]

    # -- in memory

    async def _rows(self, stretch: Stretch) -> Sequence[Sequence[Any]]:
        present = [self._target] if self._work.get("again") and self._work["mode"] != "grams" else []
        query = sa.select(self._id, *self._sources.values(), *present).select_from(self._table).where(*self._missing())
        query = query.order_by(self._id).limit(self._filler.size)
        if self._connection.dialect == "postgresql":
            query = query.with_for_update()
        return await self._connection.fetch(query, stretch.args)

    async def _compute(self, rows: Sequence[Sequence[Any]], value: Evaluate) -> list[UUID]:
        at = await self._connection.now()
        values: dict[UUID, Any] = {}
        for row in rows:
            facts = dict(zip(self._sources, row[1:], strict=True))
            found = value({"id": row[0], **facts}, at)
            if found is not None:
                values[row[0]] = found
        await self._write(values)
        return list(values)

    async def _again(self, rows: Sequence[Sequence[Any]], value: Evaluate) -> list[UUID]:
        """Rows that say something else by now: nodes of the earlier release changed what the value is made of."""
        at = await self._connection.now()
        grams = self._work["mode"] == "grams"
        present = await self._grams_of([row[0] for row in rows]) if grams else {row[0]: row[-1] for row in rows}
        values: dict[UUID, Any] = {}
        for row in rows:
            given = row[1]
            found = None if given is None else value({"id": row[0], "from": given}, at)
            if grams:
                found = list(found or ())
            if found != present.get(row[0], [] if grams else None):
                values[row[0]] = found
        await self._write(values)
        return list(values)

    async def _write(self, values: Mapping[UUID, Any]) -> None:
        if values and self._work["mode"] == "grams":
            await self._write_grams(values)
        elif values:
            change = sa.update(self._table).where(self._id == sa.bindparam("row", type_=Id()))
            new = sa.bindparam("new", type_=self._target.type)
            each = [{"row": row, "new": found} for row, found in values.items()]
            await self._connection.execute_many(change.values({self._target: new}), each)

    def _grams(self) -> sa.TableClause:
        return sa.table(
            self._work["target"], sa.column("gram", Text()), sa.column("field", Text()), sa.column("id", Id())
        )

    async def _grams_of(self, ids: Sequence[UUID]) -> Mapping[UUID, list[str]]:
        table = self._grams()
        these = sa.select(table.c.id, table.c.gram).where(
            any_of(table.c.id, "ids"), table.c.field == sa.bindparam("name", type_=Text())
        )
        found: dict[UUID, list[str]] = {}
        for record, gram in await self._connection.fetch(these, {"ids": list(ids), "name": self._gram_field}):
            found.setdefault(record, []).append(gram)
        return {record: sorted(grams) for record, grams in found.items()}

    @property
    def _gram_field(self) -> str:
        """As `Tables.gram_field`: the column the texts are in."""
        return str(self._work["sources"]["from"][0])

    async def _write_grams(self, values: Mapping[UUID, Sequence[str]]) -> None:
        table, name = self._grams(), self._gram_field
        forget = sa.delete(table).where(any_of(table.c.id, "ids"), table.c.field == sa.bindparam("name", type_=Text()))
        await self._connection.execute(forget, {"ids": list(values), "name": name})
        rows = [{"v_gram": gram, "v_field": name, "v_id": record} for record, found in values.items() for gram in found]
        binds = {each.name: sa.bindparam(f"v_{each.name}", type_=each.type) for each in table.c}
        insert = sa.insert(table).values(binds)
        if rows:
            await self._connection.execute_many(insert, rows)
