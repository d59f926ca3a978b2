"""What people are told: in the application at once, in the transaction of what it is about; by every further channel of
the project after the commit, each message at least once, with an id that stays the same."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts
from clew.jobs import leases
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.metadata.project import Project
from clew.sdk.channels import Message, Recipient, Send
from clew.storage import process_tables
from clew.storage.engine import Connection, Database
from clew.storage.errors import LeaseLost
from clew.storage.system import job as job_table

SEND = "notice.send"
_notice = process_tables.notice
_log = logging.getLogger("clew.notices")


@dataclass(frozen=True, slots=True)
class Notice:
    """`subject` is the instance of a process, the alert or the review it is about."""

    subject: UUID
    about: str
    step: str = ""
    task: int | None = None
    share: int = 0
    text: Bilingual = Bilingual()


async def tell(connection: Connection, project: Project, people: Iterable[UUID], notice: Notice, at: datetime) -> None:
    """A notice for each of these accounts, once."""
    told, sendings = rows(project, people, notice, at)
    for row in told:
        await connection.execute(sa.insert(_notice).values(**row))
    for row in sendings:
        await connection.execute(sa.insert(job_table).values(**row))


def rows(
    project: Project, people: Iterable[UUID], notice: Notice, at: datetime
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of notices, and of the jobs that carry them by further channels."""
    channels = [each.name for each in project.channels.values() if not each.about or notice.about in each.about]
    told, sendings = [], []
    for person in dict.fromkeys(people):
        number = uuid7()
        told.append(
            {
                "id": number,
                "person": person,
                "process": notice.subject,
                "task": notice.task,
                "about": notice.about,
                "step": notice.step,
                "share": notice.share,
                "zh": notice.text.zh,
                "en": notice.text.en,
                "at": at,
                "read_at": None,
            }
        )
        for channel in channels:
            payload = {"notice": str(number), "channel": channel}
            due = {"state": "ready", "run_at": at, "attempts": 0, "created_at": at}
            sendings.append({"id": uuid7(), "kind": SEND, "payload": payload, **due})
    return told, sendings


@dataclass(frozen=True, slots=True)
class Post:
    """Carries what is to go by further channels. Any number of servers do it."""

    database: Database
    channels: Mapping[str, Send]

    async def drain(self, most: int = 100) -> int:
        """Send what is due; how many messages went. What fails is tried again, later and later, and then parked: the
        other messages go on."""
        sent = 0
        for _ in range(most):
            found = await leases.claim(self.database, f"notices-{uuid7()}", (SEND,), most=1)
            if not found:
                break
            sent += await self._send(found[0])
        return sent

    async def _send(self, job: leases.Job) -> bool:
        name = str(job.payload["channel"])
        send = self.channels.get(name)
        message = await self._message(UUID(job.payload["notice"]))
        try:
            # A later release may do without the channel, and whoever has left is told nothing more.
            if send is not None and message is not None:
                await send(message)
        except Exception as problem:
            _log.warning("channel %s: a notice is tried again later: %s", name, type(problem).__name__)
            with suppress(LeaseLost):
                await leases.fail(self.database, job, type(problem).__name__)
            return False
        with suppress(LeaseLost):
            await self.database.run_write(lambda connection: leases.complete(connection, job))
        return send is not None and message is not None

    async def _message(self, number: UUID) -> Message | None:
        """None for a person who is let in no more."""
        n = _notice.c
        query = sa.select(n.person, n.about, n.process, n.step, n.zh, n.en, n.at).where(n.id == number)
        async with self.database.read() as connection:
            row = await connection.fetch_one(query)
            found = await accounts.find(connection, row[0]) if row is not None else None
        if row is None or found is None or not found.active:
            return None
        _, about, subject, step, zh, en, at = row
        to = Recipient(found.id, found.login, found.name, found.employee)
        return Message(number, to, about, subject, step, Bilingual(zh, en), at)
