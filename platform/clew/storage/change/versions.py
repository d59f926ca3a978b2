"""New versions in the history for what a change did to records.

Nobody changed the record, the project did: the version before ends, and another with the same `row_version` begins. A
read as of before finds what it always found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.scalars import FAR_FUTURE
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.layout import TX_FROM, TX_TO
from clew.storage.types import Id, Instant

LOWEST, HIGHEST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of ids: after `after`, up to `upto`. It keeps the planner on the primary key, whatever it knows of the
    data."""

    after: UUID = LOWEST
    upto: UUID = HIGHEST

    @property
    def args(self) -> Mapping[str, Any]:
        return {"after": self.after, "upto": self.upto}

    @staticmethod
    def holds(key: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return sa.and_(key > sa.bindparam("after", type_=Id()), key <= sa.bindparam("upto", type_=Id()))


class Versions:
    """The history of one table."""

    def __init__(self, connection: Connection, work: Mapping[str, Any]) -> None:
        self._connection, self._table, self._key = connection, work["table"], work["id"]
        self._name = work["history"]
        interval = (sa.column(TX_FROM, Instant()), sa.column(TX_TO, Instant()))
        self._history = sa.table(self._name, sa.column(self._key, Id()), *interval)

    async def add(self, ids: Sequence[UUID], stretch: Stretch) -> None:
        """A version more for each of these records, which all lie in `stretch`: what it holds from now on."""
        key = self._history.c[self._key]
        is_open = self._history.c[TX_TO] == sa.bindparam("open", type_=Instant())
        moments: list[Any] = [sa.bindparam("at", type_=Instant()), sa.bindparam("open", type_=Instant())]
        at = await self._moment(stretch)
        args = {"ids": list(ids), "open": FAR_FUTURE, "at": at, **stretch.args}
        close = sa.update(self._history).where(stretch.holds(key), any_of(key, "ids"), is_open)
        await self._connection.execute(close.values({TX_TO: moments[0]}), args)
        names = await self._shared_columns()
        mine: sa.ColumnClause[Any] = sa.column(self._key, Id())
        columns: list[sa.ColumnClause[Any]] = [mine if name == self._key else sa.column(name) for name in names]
        rows = sa.select(*columns, *moments).select_from(sa.table(self._table, *columns))
        target = sa.table(self._name, *(sa.column(name) for name in [*names, TX_FROM, TX_TO]))
        these = rows.where(stretch.holds(mine), any_of(mine, "ids"))
        await self._connection.execute(sa.insert(target).from_select([*names, TX_FROM, TX_TO], these), args)

    async def _moment(self, stretch: Stretch) -> datetime:
        """Database time, later than every version that is closed now."""
        latest_of = sa.select(sa.func.max(self._history.c[TX_FROM], type_=Instant()))
        query = latest_of.where(stretch.holds(self._history.c[self._key]))
        latest = await self._connection.fetch_value(query, stretch.args)
        now = await self._connection.now()
        return now if latest is None or now > latest else latest + timedelta(microseconds=1)

    async def _shared_columns(self) -> list[str]:
        """Physical columns of the table that its history has too: all of them, also those kept aside."""
        if self._connection.dialect == "sqlite":
            query = "SELECT name FROM pragma_table_info(:t)"
        else:
            query = (
                "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(quote_ident(:t))"
                " AND attnum > 0 AND NOT attisdropped"
            )
        own = await self._connection.fetch(sa.text(query), {"t": self._table})
        then = {row[0] for row in await self._connection.fetch(sa.text(query), {"t": self._name})}
        return [row[0] for row in own if row[0] in then]
