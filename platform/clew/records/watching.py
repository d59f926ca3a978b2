"""Watching the trail: every sealed entry is held against the project's watches; what meets one raises an alert.

The log has no gaps, so one number says how far this has come: nothing is passed over, nothing is looked at twice, and
alerts, their events and the new number are one transaction. One watch raises one alert per person or subject in its
window of time, however often it is met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.identity.errors import SessionEnded
from clew.identity.people import person_of
from clew.jobs.upkeep import Chore
from clew.kernel.canonical import wire
from clew.kernel.ids import uuid7
from clew.metadata.watches import Watch
from clew.records import outbox
from clew.storage import system
from clew.storage.engine import Connection, Database
from clew.storage.tables import Tables

PAGE = 200
REACH = 20_000
"""How many entries back repetitions are counted at most: a flood costs no more than that."""
CURSOR = "log"
log, leaf, alert, cursor = system.audit_log, system.leaf, system.watch_alert, system.watch_cursor


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a watch looks at."""

    index: int
    at: datetime
    action: str
    entity: str
    record_id: UUID
    actor: UUID | None

    def counted(self, watch: Watch) -> UUID | None:
        return self.record_id if watch.per == "subject" else self.actor


@dataclass(frozen=True, slots=True)
class Watcher:
    """The watches of the release that is served. `tables` gives those of the present one."""

    database: Database
    tables: Callable[[], Tables]

    def chore(self) -> Chore:
        return Chore("audit.watch", timedelta(seconds=2), self.look, self.behind)

    async def behind(self) -> bool:
        """Whether entries were sealed that nobody has looked at."""
        if not self.tables().blueprint.watches:
            return False
        async with self.database.read() as connection:
            last = await connection.fetch_value(_LAST)
            return last is not None and await _seen(connection) <= int(last)

    async def look(self) -> int:
        """Look at everything there is; how many alerts were raised."""
        raised = 0
        while True:
            found = await self.database.run_write(self._page)
            if found is None:
                return raised
            raised += found

    async def _page(self, connection: Connection) -> int | None:
        seen = await _seen(connection)
        rows = [_Entry(*row) for row in await connection.fetch(_PAGE, {"first": seen})]
        if not rows:
            return None
        raised, tables = 0, self.tables()
        zone = ZoneInfo(tables.blueprint.project.time_zone)
        for entry in rows:
            for watch in tables.blueprint.watches.values():
                if watch.concerns(entry.action, entry.entity) and watch.at_this_hour(entry.at.astimezone(zone)):
                    raised += await self._judge(connection, tables, watch, entry)
        insert = (postgresql.insert if connection.dialect == "postgresql" else sqlite.insert)(cursor)
        statement = insert.values(name=CURSOR, size=rows[-1].index + 1)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_={"size": insert.excluded.size})
        )
        return raised

    async def _judge(self, connection: Connection, tables: Tables, watch: Watch, entry: _Entry) -> int:
        counted = entry.counted(watch)
        if counted is None or (watch.elsewhere and not await _elsewhere(connection, tables, entry)):
            return 0
        begin = entry.at - timedelta(minutes=watch.within)
        again = alert.c.watch == watch.name, alert.c.counted == counted, alert.c.at > begin
        if await connection.fetch_one(sa.select(alert.c.id).where(*again).limit(1)):
            return 0
        times = 1 if watch.times == 1 else await _times(connection, watch, entry, counted, begin)
        if times < watch.times:
            return 0
        await _raise(connection, tables, watch, entry, counted, times)
        return 1


async def _seen(connection: Connection) -> int:
    found = await connection.fetch_value(sa.select(cursor.c.size).where(cursor.c.name == CURSOR))
    return int(found or 0)


async def _times(connection: Connection, watch: Watch, entry: _Entry, counted: UUID, begin: datetime) -> int:
    """How often it happened in the window, this entry included."""
    who = leaf.c.record_id if watch.per == "subject" else leaf.c.actor
    query = (
        sa.select(leaf.c.action, leaf.c.entity)
        .join_from(log, leaf, sa.and_(leaf.c.leaf_id == log.c.leaf_id, leaf.c.at == log.c.at))
        .where(log.c.index <= entry.index, log.c.index > entry.index - REACH, leaf.c.at > begin, who == counted)
    )
    return sum(watch.concerns(action, entity) for action, entity in await connection.fetch(query))


async def _elsewhere(connection: Connection, tables: Tables, entry: _Entry) -> bool:
    """Whether the record's site is none of the actor's. Who is no account (the operator, the platform) is nowhere."""
    known = tables.blueprint.entities.get(entry.entity)
    if entry.actor is None or known is None or "site" not in known.fields or not known.fields["site"].stored:
        return False
    table = tables.history(entry.entity)
    query = sa.select(table.c.site).where(table.c.id == entry.record_id).limit(1)
    site = await connection.fetch_value(query)
    try:
        person = await person_of(connection, entry.actor, entry.at)
    except SessionEnded:
        return False
    everywhere = any(scope.sites is None for scope in person.scopes.values())
    return site is not None and not everywhere and site not in person.sites


async def _raise(
    connection: Connection, tables: Tables, watch: Watch, entry: _Entry, counted: UUID, times: int
) -> None:
    """An alert and its event, `clew.alert.raised`."""
    row = {
        "id": uuid7(),
        "watch": watch.name,
        "severity": watch.severity,
        "at": entry.at,
        "index": entry.index,
        "counted": counted,
        "entity": entry.entity,
        "record_id": entry.record_id,
        "actor": entry.actor,
        "times": times,
    }
    await connection.execute(sa.insert(alert), row)
    told = {name: row[name] for name in ("watch", "severity", "index", "entity", "record_id", "actor", "times")}
    source = tables.blueprint.project.name
    made = outbox.make_event(source, await connection.now(), "alert", "raised", row["id"], 1, None, wire(told))  # type: ignore[arg-type]
    await outbox.store(connection, [made])


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert as it is listed."""

    id: UUID
    watch: str
    severity: str
    at: datetime
    index: int
    entity: str
    record_id: UUID
    actor: UUID | None
    times: int


async def alerts(connection: Connection, most: int = 100) -> Sequence[Raised]:
    """The newest alerts first."""
    names: list[Any] = [alert.c[name] for name in Raised.__dataclass_fields__]
    rows = await connection.fetch(sa.select(*names).order_by(alert.c.id.desc()).limit(most))
    return [Raised(*row) for row in rows]


_LAST = sa.select(sa.func.max(log.c.index))
_PAGE = (
    sa.select(log.c.index, leaf.c.at, leaf.c.action, leaf.c.entity, leaf.c.record_id, leaf.c.actor)
    .join_from(log, leaf, sa.and_(leaf.c.leaf_id == log.c.leaf_id, leaf.c.at == log.c.at))
    .where(log.c.index >= sa.bindparam("first", type_=log.c.index.type))
    .order_by(log.c.index)
    .limit(PAGE)
)
