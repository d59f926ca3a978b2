"""A plan as SQL for a database administrator: every step as statements that can be read, and run by hand on a copy.

What the platform does in stretches of ids is one statement here. What only the platform can do is a comment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Blueprint
from clew.storage.catalog import Catalog
from clew.storage.change.carry import carry_statements
from clew.storage.change.fill import BATCH
from clew.storage.change.renamed import rename_statements
from clew.storage.change.steps import Step
from clew.storage.change.values import today_at, value_sql
from clew.storage.ddl import Ddl
from clew.storage.dialects import literal_sql, literal_text
from clew.storage.engine import DialectName
from clew.storage.layout import TX_FROM, TX_TO
from clew.storage.schema import schema_of
from clew.storage.tables import Tables
from clew.storage.types import Instant

_HEAD = """-- Plan {plan} on {dialect}, from release {base} to {number}.
-- For reading, and for running statement by statement on a copy. A live database is changed with `clew apply`: it also
-- writes the release and its journal, holds the migration lock, and waits for the nodes of the earlier release."""
_IN_MEMORY = {
    "expression": "the default is worked out by the platform, row by row",
    "convert": "the platform reads each value and leaves empty what has no equal in the new form",
    "sort": "the platform makes the sort keys of the texts",
    "grams": "the platform makes the search grams of the texts",
}


def script(
    plan_id: str,
    steps: Sequence[Step],
    blueprint: Blueprint,
    catalog: Catalog,
    dialect: DialectName,
    base: int,
    at: datetime,
) -> str:
    """The text. Statements end with a semicolon at the end of a line; `at` stands for now in defaults that ask it."""
    writer = _Writer(blueprint, catalog, dialect, _number(steps, base), at)
    lines = [_HEAD.format(plan=plan_id[:12], dialect=dialect, base=base, number=writer.number)]
    for number, step in enumerate(steps, 1):
        lines += ["", f"-- {number}. {step.phase}: {step.object}", *writer.step(step)]
    return "\n".join(lines) + "\n"


def _number(steps: Sequence[Step], base: int) -> int:
    """The release's number, which the swap names."""
    named = next((step.object.rpartition(" ")[2] for step in steps if step.kind == "swap"), "")
    return int(named) if named.isdigit() else base + 1


class _Writer:
    def __init__(self, blueprint: Blueprint, catalog: Catalog, dialect: DialectName, number: int, at: datetime) -> None:
        self._blueprint, self._dialect, self.number, self._at = blueprint, dialect, number, at
        self._tables, self._ddl = Tables(blueprint, catalog, dialect), Ddl(dialect)
        self._schema = schema_of(blueprint, catalog, dialect)
        self._forever = literal_text(Instant(), FAR_FUTURE, dialect)
        # SQLite keeps moments as text of one width, to the microsecond.
        self._now = "now()" if dialect == "postgresql" else "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"
        # Two changes of one row may come within the millisecond that SQLite tells: the later begins after the earlier.
        self._later = (
            f"greatest(now(), {TX_FROM} + interval '1 microsecond')"
            if dialect == "postgresql"
            else f"max({self._now}, strftime('%Y-%m-%dT%H:%M:%f000Z', {TX_FROM}, '+0.001 seconds'))"
        )

    def step(self, step: Step) -> Iterator[str]:
        for statement in step.work.get("sql", ()):
            yield f"{statement};"
        if step.kind == "fill":
            yield from self._fill(step.work)
        elif step.kind == "swap":
            yield from self._swap(step.work)
        elif step.kind == "carry":
            yield "-- Versions that nodes of the earlier release wrote since the change began get the new columns."
            since = f"(SELECT {self._ddl.quote('at')} FROM clew_release WHERE number = {self.number})"
            for statement in carry_statements(step.work, since, self._dialect):
                yield f"{statement};"
        elif step.kind == "require":
            yield from self._require(step.work)
        elif step.kind == "rebuild":
            yield from self._rebuild(step.work["table"], step.work["required"], step.work["optional"])

    # -- fill

    def _fill(self, work: Mapping[str, Any]) -> Iterator[str]:
        quote = self._ddl.quote
        table, key, target = quote(work["table"]), quote(work["id"]), quote(work["target"])
        value = self._value(work)
        if value is None:
            yield f"-- Only clew apply can do this: {_IN_MEMORY[work['mode']]}."
            lacking = "" if work["mode"] == "grams" else f"{target} IS NULL AND "
            yield f"-- Rows it looks at: SELECT count(*) FROM {table} WHERE {lacking}{self._source(work)} IS NOT NULL"
            return
        lacks = f"{target} IS NULL"
        if work["mode"] == "convert":
            lacks += f" AND {self._source(work)} IS NOT NULL"
        elif work["mode"] == "expression":
            lacks += f" AND {value} IS NOT NULL"
        yield f"-- clew apply does this in stretches of {BATCH} ids, each in a transaction of its own:"
        yield f"--   … AND {key} > <last id of the stretch before> AND {key} <= <last id of this one>"
        yield "-- The version before ends, the record gets its value, and another version begins."
        history = quote(work["history"])
        yield (
            f"UPDATE {history} SET {quote(TX_TO)} = {self._later} WHERE {quote(TX_TO)} = {self._forever}"
            f" AND {key} IN (SELECT {key} FROM {table} WHERE {lacks});"
        )
        yield f"UPDATE {table} SET {target} = {value} WHERE {lacks};"
        yield self._new_versions(work)

    def _new_versions(self, work: Mapping[str, Any]) -> str:
        """An open version for each record without one; it begins when the last one ended."""
        quote = self._ddl.quote
        table, history, key = quote(work["table"]), quote(work["history"]), quote(work["id"])
        aside = sorted(self._tables.catalog.retired_columns.get(work["table"], ()))
        shared = [quote(name) for name in [*(each.name for each in self._schema[work["table"]].columns), *aside]]
        begins = f"COALESCE((SELECT max(h.{quote(TX_TO)}) FROM {history} h WHERE h.{key} = {table}.{key}), {self._now})"
        return (
            f"INSERT INTO {history} ({', '.join(shared)}, {quote(TX_FROM)}, {quote(TX_TO)})"
            f" SELECT {', '.join(shared)}, {begins}, {self._forever} FROM {table} WHERE NOT EXISTS"
            f" (SELECT 1 FROM {history} h WHERE h.{key} = {table}.{key} AND h.{quote(TX_TO)} = {self._forever});"
        )

    def _value(self, work: Mapping[str, Any]) -> str | None:
        """The value as text of SQL, its constants in place; None when only the platform can tell."""
        if work["mode"] == "convert":
            return self._converted(work)
        value = value_sql(work, self._tables, self._blueprint)
        if value is None:
            return None
        moments: Mapping[str, Any] = {"now": self._at, "today": today_at(self._blueprint, self._at)}

        def settle(bind: Any) -> None:
            if bind.key in moments:
                bind.value, bind.required = moments[bind.key], False

        return literal_sql(sa.sql.visitors.cloned_traverse(value, {}, {"bindparam": settle}), self._dialect)

    def _converted(self, work: Mapping[str, Any]) -> str | None:
        """Conversions every value survives, written the same by both engines and by the platform."""
        was, source = work["sources"]["from"][1], self._source(work)
        if work["form"] == "text" and was == "integer":
            return f"CAST({source} AS text)"
        if work["form"] == "text" and was == "boolean":
            return f"CASE WHEN {source} THEN 'true' ELSE 'false' END"
        return None

    def _source(self, work: Mapping[str, Any]) -> str:
        return self._ddl.quote(work["sources"]["from"][0] if "from" in work["sources"] else work["id"])

    # -- swap and contract

    def _swap(self, work: Mapping[str, Any]) -> Iterator[str]:
        yield "-- From here on servers serve the new release. Its row and its journal are written by clew apply before"
        yield "-- the first step; on a copy this statement finds none and changes nothing."
        if work.get("alone"):
            yield "-- clew apply waits here until no node runs the earlier release: they would write the old columns."
        for statement in rename_statements(work.get("renamed", {}), self._dialect):
            yield f"{statement};"
        yield (
            f"UPDATE clew_release SET state = 'live', live_at = {self._now}"
            f" WHERE number = {self.number} AND state = 'pending';"
        )

    def _require(self, work: Mapping[str, Any]) -> Iterator[str]:
        quote = self._ddl.quote
        table = quote(work["table"])
        yield "-- clew apply waits here until no node runs the earlier release, and first fills what they left empty."
        for fill in work["fills"]:
            yield from self._fill(fill)
        for name in work["columns"]:
            yield f"-- Must be 0: SELECT count(*) FROM {table} WHERE {quote(name)} IS NULL"
        if self._dialect == "sqlite":
            yield from self._rebuild(work["table"], work["columns"], [])
            return
        for name in work["columns"]:
            yield f"{self._ddl.set_required(work['table'], name, required=True)};"

    def _rebuild(self, table: str, required: Sequence[str], optional: Sequence[str]) -> Iterator[str]:
        quote = self._ddl.quote
        yield f"-- Only clew apply can do this: SQLite cannot alter a column, so {quote(table)} is made again as it"
        yield "-- is (new table, rows copied, old table dropped, new one renamed, indexes and triggers again), with"
        if required:
            yield f"--   NOT NULL: {', '.join(map(quote, required))}"
        if optional:
            yield f"--   nullable: {', '.join(map(quote, optional))}"
