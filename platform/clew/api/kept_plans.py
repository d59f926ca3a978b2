"""Plans by which features look again and again: compiled once for each set of grants, asked with other arguments."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from clew.access.decision import Decision
from clew.api.exchange import Caller
from clew.records.engine import Engine
from clew.records.query.plan import Plan
from clew.records.query.run import prepare
from clew.storage.engine import Connection


async def read_kept(
    engine: Engine,
    caller: Caller,
    connection: Connection,
    now: datetime,
    key: tuple[Any, ...],
    plan: Callable[[], Plan],
    args: Mapping[str, Any],
    *,
    decision: Decision | None = None,
    keep: Any = None,
) -> dict[str, Any]:
    """The roots of a plan as plain values. `key` says all that the plan depends on but for the grants, which are the
    caller's or those of `decision`; `keep` holds on to objects whose identity is part of the key."""
    granted = decision or caller.decision

    def build() -> Any:
        return prepare(plan(), engine.blueprint, engine.tables, granted, connection.dialect)

    prepared = engine.remember(("kept plan", *key, granted.digest, connection.dialect), build, keep)
    found: dict[str, Any] = json.loads(await prepared.fetch(connection, dict(args), caller.context, now))
    return found
