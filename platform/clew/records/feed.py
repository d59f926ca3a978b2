"""The live feed: every node tells its own listeners what happened, by following the outbox.

Transactions commit out of order, so a plain "newer than the last one seen" would skip the late ones. Event ids carry
their time: each look goes back a little, every few looks goes back further, and what was seen already is not told
again. Nobody listening means no looking. (The database's own notifications are not used: they take one lock for all
committing writers.)
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.clock import Clock
from clew.kernel.errors import ClewError, Unavailable
from clew.kernel.text import Bilingual
from clew.records.outbox import Event
from clew.storage import system
from clew.storage.dialects import any_of
from clew.storage.engine import Database

POLL_SECONDS = 0.2
LOOK_BACK_SECONDS = 2.0
FAR_BACK_SECONDS = 30.0
FAR_EVERY = 10
"""Each tenth look goes far back: for nodes whose clock is behind, and for long transactions."""
QUEUE_SIZE = 1000
_SEEN = 200_000
_FEED = Bilingual("变更订阅", "The feed of changes")


class TooSlow(Unavailable):
    """A listener did not keep up; it must read what it missed and begin again."""

    code = "SUBSCRIPTION_TOO_SLOW"
    en = "More changes came than were taken; read again and subscribe anew."
    zh = "变更到达速度超过接收速度,请重新读取并再次订阅。"
    hint_en, hint_zh = "Narrow the subscription.", "请缩小订阅范围。"


class Listener:
    """One subscriber's bounded queue of events about some entities."""

    def __init__(self, entities: Collection[str]) -> None:
        self.entities = frozenset(entities)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE_SIZE)
        self._overflowed = False
        self._ended = False

    def offer(self, event: Event) -> None:
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            self._overflowed = True

    def end(self) -> None:
        """Nothing will come any more: wake whoever waits."""
        self._ended = True
        with suppress(asyncio.QueueFull):
            self._events.put_nowait(None)

    async def next(self) -> Event:
        """The next event. Raises TooSlow when some had to be dropped, Unavailable when the feed broke off."""
        if self._overflowed:
            raise TooSlow
        event = None if self._ended else await self._events.get()
        if event is None:
            raise Unavailable(what=_FEED)
        return event


class Feed:
    """The events of one database, for this process."""

    def __init__(self, database: Database, clock: Clock, poll: float = POLL_SECONDS) -> None:
        self._database = database
        self._clock = clock
        self._poll = poll
        self.listeners: set[Listener] = set()
        self._seen: OrderedDict[UUID, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    @asynccontextmanager
    async def listen(self, *entities: str) -> AsyncIterator[Listener]:
        """Events about these entities from now on."""
        listener = Listener(entities)
        if self._task is None or self._task.done():
            self._ready.clear()
            self._task = asyncio.create_task(self._follow())
        looking = self._task
        await self._ready.wait()
        if looking.done():
            raise Unavailable(what=_FEED)
        self.listeners.add(listener)
        try:
            yield listener
        finally:
            self.listeners.discard(listener)
            if not self.listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _follow(self) -> None:
        try:
            await self._look_on()
        except Exception:
            # Whoever listens is told and may come back: the next listener begins a new look-out.
            for listener in self.listeners:
                listener.end()
            self._ready.set()
            raise

    async def _look_on(self) -> None:
        self._seen.clear()
        looks, last = 0, self._clock.monotonic()
        while True:
            with suppress(ClewError):
                # What is there already is not news: the first look only remembers it.
                back = LOOK_BACK_SECONDS if looks % FAR_EVERY else FAR_BACK_SECONDS
                # Reckoned from the last look that succeeded, however long the database was away since.
                begun = self._clock.monotonic()
                found = await self._unseen(back + begun - last)
                if looks:
                    self._tell(found)
                looks, last = looks + 1, begun
                self._ready.set()
            await asyncio.sleep(self._poll)

    async def _unseen(self, seconds: float) -> list[Event]:
        since = _earliest_id(self._clock.now().timestamp() - seconds)
        async with self._database.read() as connection:
            ids = [row[0] for row in await connection.fetch(_RECENT, {"since": since})]
            fresh = [each for each in ids if each not in self._seen]
            rows = await connection.fetch(_THESE, {"ids": fresh}) if fresh and self.listeners else []
        # Only now: what could not be read, because the database went away, is news the next time.
        for each in fresh:
            self._seen[each] = None
        while len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        return [Event(*row) for row in rows]

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            for listener in self.listeners:
                if event.entity in listener.entities:
                    listener.offer(event)


def _earliest_id(timestamp: float) -> UUID:
    """The smallest UUIDv7 of a moment."""
    return UUID(int=(max(int(timestamp * 1000), 0) << 80) | (0x7 << 76) | (0b10 << 62))


_stored = system.outbox
_ID = _stored.c.event_id.type
_RECENT = sa.select(_stored.c.event_id).where(_stored.c.event_id > sa.bindparam("since", type_=_ID))
_THESE = (
    sa.select(*(_stored.c[name] for name in Event.__dataclass_fields__))
    .where(any_of(_stored.c.event_id, "ids"))
    .order_by(_stored.c.event_id)
)
