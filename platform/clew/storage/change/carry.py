"""Completing versions that nodes of the earlier release wrote since the change began, as SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clew.kernel.scalars import FAR_FUTURE
from clew.storage.ddl import Ddl
from clew.storage.dialects import literal_text
from clew.storage.engine import DialectName
from clew.storage.layout import TX_FROM, TX_TO
from clew.storage.types import Instant


def carry_statements(work: Mapping[str, Any], since: str, dialect: DialectName) -> Iterator[str]:
    """The statements; `since` is SQL for the moment the change began.

    Those nodes do not know the new columns, so their versions lack values that the record kept all the while. Only open
    versions can be told for certain, and closed ones of a column that is never empty.
    """
    quote = Ddl(dialect).quote
    current, history, key = quote(work["table"]), quote(work["history"]), quote(work["id"])
    forever = literal_text(Instant(), FAR_FUTURE, dialect)
    late = f"{quote(TX_FROM)} >= {since}"
    for name in map(quote, work["columns"]):
        yield (
            f"UPDATE {history} SET {name} = (SELECT c.{name} FROM {current} c WHERE c.{key} = {history}.{key})"
            f" WHERE {quote(TX_TO)} = {forever} AND {late} AND EXISTS (SELECT 1 FROM {current} c"
            f" WHERE c.{key} = {history}.{key} AND c.{name} IS DISTINCT FROM {history}.{name})"
        )
    for name in map(quote, work["never_empty"]):
        earlier = (
            f"SELECT p.{name} FROM {history} p WHERE p.{key} = {history}.{key}"
            f" AND p.{quote(TX_FROM)} < {history}.{quote(TX_FROM)} AND p.{name} IS NOT NULL"
            f" ORDER BY p.{quote(TX_FROM)} DESC LIMIT 1"
        )
        yield f"UPDATE {history} SET {name} = ({earlier}) WHERE {name} IS NULL AND {late} AND EXISTS ({earlier})"
