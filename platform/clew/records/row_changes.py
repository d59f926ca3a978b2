"""What the change of a row says to its two tables: the present rows, and their versions.

The version before ends where the next begins. PostgreSQL is given it as a new row that is there already (ON CONFLICT):
that goes to the one partition it belongs to. A plan that looks it up in a table of many months has a part for each of
them; it was made anew for every write, which cost half as much again after three years.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from clew.kernel.scalars import FAR_FUTURE
from clew.storage.batch import Part
from clew.storage.engine import DialectName

Values = Mapping[str, Any]
"""A bind by column key, besides `tx_from`: when the version begins, and `was_from`: when the one before began."""
COUNTED = 1
"""Which statement of `next`, `amended` and `gone` answers, as `met`, how many versions it has met."""
_MADE = -1
_UNCHANGED = ("id", "created_at", "created_by")


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to be inserted: its table, and a bind or constant per column."""

    table: sa.Table
    values: Mapping[Any, Any]

    def insert(self) -> Any:
        return sa.insert(self.table).values(dict(self.values))

    def insert_from(self, source: sa.CTE, conditions: Sequence[Any]) -> Any:
        """Insert the row if the conditions on the one row of `source` hold."""
        row = sa.select(*self.values.values()).select_from(source).where(*conditions)
        return sa.insert(self.table).from_select(list(self.values), row, include_defaults=False)


class RowChanges:
    """The statements for one entity."""

    def __init__(self, current: sa.Table, history: sa.Table, keys: Sequence[str], dialect: DialectName) -> None:
        self.current, self.history, self.keys, self._dialect = current, history, tuple(keys), dialect

    def rows(self, values: Values) -> tuple[NewRow, NewRow]:
        """A row, and its version from now on."""
        return NewRow(self.current, self._all(self.current, values)), self._version(values)

    def born(self, values: Values) -> list[Any]:
        """A new row with its first version."""
        return [each.insert() for each in self.rows(values)]

    def next(self, values: Values) -> list[Any]:
        """A row as it is now, the end of the version before, and the next. `met` is -1 where no version began at
        `was_from`: then one was made of that time, which `unmade` takes away."""
        return [self._change(self.current, values), self._ended(values), self._version(values).insert()]

    def amended(self, values: Values) -> list[Any]:
        """A row as it is now; its present version began at `tx_from` and is changed."""
        mine = self.history.c.tx_from == values["tx_from"]
        return [self._change(self.current, values), self._met(self._change(self.history, values).where(mine))]

    def gone(self, values: Values) -> list[Any]:
        """The row goes, its last version ends."""
        return [sa.delete(self.current).where(self.current.c.id == values["id"]), self._met(self._end(values))]

    def unmade(self, values: Values) -> Any:
        """Takes away what `next` has made of a version that was not there."""
        history = self.history.c
        return sa.delete(self.history).where(
            history.id == values["id"], history.tx_from == values["was_from"], history.tx_to == values["tx_from"]
        )

    def _all(self, table: sa.Table, values: Values) -> dict[Any, Any]:
        return {table.c[key]: values[key] for key in self.keys}

    def _version(self, values: Values) -> NewRow:
        history = self.history.c
        until = sa.literal(FAR_FUTURE, type_=history.tx_to.type)
        time = {history.tx_from: values["tx_from"], history.tx_to: until}
        return NewRow(self.history, {**self._all(self.history, values), **time})

    def _change(self, table: sa.Table, values: Values) -> Any:
        changed = {table.c[key]: values[key] for key in self.keys if key not in _UNCHANGED}
        return sa.update(table).where(table.c.id == values["id"]).values(changed)

    def _ended(self, values: Values) -> Any:
        if self._dialect == "sqlite":
            return self._end(values)
        history = self.history.c
        there = {
            **self._all(self.history, values),
            history.tx_from: values["was_from"],
            history.tx_to: values["tx_from"],
        }
        end = postgresql.insert(self.history).values(there)
        end = end.on_conflict_do_update(
            index_elements=["id", "tx_from"],
            set_={"tx_to": end.excluded.tx_to},
            where=history.tx_to == sa.literal(FAR_FUTURE, type_=history.tx_to.type),
        )
        # What was there has an earlier row version than what would have been put there.
        made = history.row_version == values["row_version"]
        return end.returning(sa.case((made, sa.literal_column(str(_MADE))), else_=sa.literal_column("1")).label("met"))

    def _end(self, values: Values) -> Any:
        history = self.history.c
        present = history.id == values["id"], history.tx_from == values["was_from"], history.tx_to == FAR_FUTURE
        return sa.update(self.history).where(*present).values({history.tx_to: values["tx_from"]})

    def _met(self, change: Any) -> Any:
        return change if self._dialect == "sqlite" else change.returning(sa.literal_column("1").label("met"))


class RowPart(Part):
    """A row's change among others that are written together, bound value by value: the tables of a project hold what
    JSON would round."""

    def __init__(
        self, rank: int, history: sa.Table, columns: Sequence[str], say: Callable[[Values], list[Any]], counted: bool
    ) -> None:
        self._say, self.counted = say, COUNTED if counted else None
        super().__init__(rank, history, columns)

    def _bind(self, name: str, suffix: str) -> Any:
        column = self.table.c["tx_from" if name == "was_from" else name]
        return sa.bindparam(f"b_{name}{suffix}", type_=column.type)

    def _one(self, values: Values) -> Sequence[Any]:
        return self._say(values)
