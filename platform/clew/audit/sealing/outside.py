"""Checkpoints leave the database: into a folder, to an address. There the database's administrator has no hand.

A place gets every checkpoint in order, and a failure is kept, told and tried again; writes go on meanwhile (unless the
settings say otherwise). A folder is also read back: a log shorter than what is known there was restored from a backup,
one that differs was rebuilt.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx2
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from clew.audit.errors import NotACheckpoint
from clew.audit.sealing import checkpoints, log
from clew.audit.sealing.checkpoints import Stored
from clew.audit.sealing.keys import origin_of
from clew.audit.sealing.notes import Note, read_note
from clew.kernel.text import Bilingual
from clew.settings import Settings
from clew.storage import system
from clew.storage.engine import Connection, Database

SECONDS = 10.0
SUFFIX = ".checkpoint"
table = system.checkpoint_delivery


class Place(Protocol):
    """Where checkpoints go. `name` is shown to operators; it never holds a secret."""

    @property
    def name(self) -> str: ...

    async def put(self, made: Stored) -> None:
        """Keep one checkpoint. Raises OSError or httpx2.HTTPError; putting the same one twice is fine."""
        ...


class Refused(OSError):
    """A place holds another checkpoint of the same size, or answered that it does not want this one."""


@dataclass(frozen=True, slots=True)
class Folder:
    """One file per checkpoint, `<origin>/<size>.checkpoint`; none is ever overwritten."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path)

    async def put(self, made: Stored) -> None:
        await asyncio.to_thread(self._put, made)

    def _put(self, made: Stored) -> None:
        folder = self.path / folder_name(read_note(made.note).checkpoint.origin)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{made.size:015d}{SUFFIX}"
        part = folder / f".{file.name}.{os.getpid()}"
        with part.open("w", encoding="utf-8") as stream:
            stream.write(made.note)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(part, file)  # fails when it is there: what left the house is not replaced
        except FileExistsError:
            if file.read_text(encoding="utf-8") != made.note:
                raise Refused(f"{file} holds another checkpoint of the same size") from None
        finally:
            part.unlink()

    def notes(self, origin: str) -> list[Note]:
        """What is kept here of one log, in order of size. Raises NotACheckpoint for a file that is none."""
        folder = self.path / folder_name(origin)
        found = []
        for file in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                found.append(read_note(file.read_text(encoding="utf-8")))
            except (NotACheckpoint, UnicodeDecodeError):
                raise NotACheckpoint(what=file) from None
        return found


@dataclass(frozen=True, slots=True)
class Address:
    """The note is sent as text/plain; any 2xx means it is kept there."""

    url: str

    @property
    def name(self) -> str:
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"

    async def put(self, made: Stored) -> None:
        # Over TLS the place proves itself, whatever way leads there; without, nobody may stand in for this machine.
        guarded = urlsplit(self.url).scheme == "https"
        async with httpx2.AsyncClient(timeout=SECONDS, trust_env=guarded) as client:
            answer = await client.post(
                self.url, content=made.note.encode(), headers={"content-type": "text/plain; charset=utf-8"}
            )
        if not answer.is_success:
            raise Refused(f"answered {answer.status_code}")


def places(settings: Settings) -> tuple[Place, ...]:
    """Where the settings send checkpoints."""
    found: list[Place] = []
    if settings.audit_outside_folder is not None:
        found.append(Folder(settings.audit_outside_folder))
    if settings.audit_outside_url:
        found.append(Address(settings.audit_outside_url))
    return tuple(found)


def folder_name(origin: str) -> str:
    return origin.replace("/", "_")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a place is."""

    place: str
    size: int
    tried_at: datetime
    failing_since: datetime | None
    error: str | None


async def deliveries(connection: Connection) -> list[Delivery]:
    columns = (table.c.place, table.c.size, table.c.tried_at, table.c.failing_since, table.c.error)
    return [Delivery(*row) for row in await connection.fetch(sa.select(*columns).order_by(table.c.place))]


async def undelivered(connection: Connection, wanted: Sequence[Place]) -> list[str]:
    """Places that lack the newest checkpoint."""
    made = await checkpoints.newest(connection)
    if made is None:
        return []
    sizes = {each.place: each.size for each in await deliveries(connection)}
    return [each.name for each in wanted if sizes.get(each.name, 0) < made.size]


async def deliver(database: Database, place: Place) -> int:
    """Bring a place up to date; how many checkpoints it got. A failure is kept in the database and raised."""
    done = 0
    async with database.read() as connection:
        size = next((each.size for each in await deliveries(connection) if each.place == place.name), 0)
    while True:
        async with database.read() as connection:
            page = await checkpoints.since(connection, size)
        if not page:
            return done
        for made in page:
            try:
                await place.put(made)
            except (OSError, httpx2.HTTPError) as problem:
                await _note(database, place, size, _told(problem))
                raise
            size = made.size
            done += 1
        await _note(database, place, size, None)


def _told(problem: Exception) -> str:
    """Why, without the address: it may hold a password, and the place is named beside it anyway."""
    if isinstance(problem, httpx2.HTTPError):
        return type(problem).__name__
    return f"{type(problem).__name__}: {problem}"[:500]


async def _note(database: Database, place: Place, size: int, error: str | None) -> None:
    async def work(connection: Connection) -> None:
        at = await connection.now()
        values = {"size": size, "tried_at": at, "failing_since": at if error else None, "error": error}
        insert = (postgresql.insert if connection.dialect == "postgresql" else sqlite.insert)(table)
        begun = insert.excluded.failing_since
        kept: Any = sa.func.coalesce(table.c.failing_since, begun) if error else sa.null()
        fresh = {name: insert.excluded[name] for name in ("size", "tried_at", "error")}
        await connection.execute(
            insert.values(place=place.name, **values).on_conflict_do_update(
                index_elements=["place"], set_={**fresh, "failing_since": kept}
            )
        )

    await database.run_write(work)


async def check_continues(connection: Connection, place: Folder) -> None:
    """The log continues the newest checkpoint kept in a folder. Raises LogNotContinued, NotACheckpoint.

    Asked before anything is signed: an old database brought back must not grow another future for the same log.
    """
    origin, _ = await origin_of(connection)
    kept = await asyncio.to_thread(place.notes, origin)
    if kept:
        newest, size = kept[-1].checkpoint, await log.size_of(connection)
        await checkpoints.continues(connection, newest.size, newest.root, size, Bilingual(place.name, place.name))
