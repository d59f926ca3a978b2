"""What a channel is given that carries notices to people outside of the application: mail, messengers, pagers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from clew.kernel.text import Bilingual


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is told: an account, and the record of the person where there is one."""

    account: UUID
    login: str
    name: str
    employee: UUID | None


@dataclass(frozen=True, slots=True)
class Message:
    """One notice for one person. It may be given twice (a server that dies in between): `id` stays the same."""

    id: UUID
    to: Recipient
    about: str
    """task, added, transfer, returned, alert, legal, urge, copy, mention, notice, incident, standing_alert,
    review_due_soon, review_overdue."""
    subject: UUID
    """The instance of a process, the alert or the review it is about."""
    step: str
    text: Bilingual
    """What was said; empty where the kind says it all."""
    at: datetime


Send = Callable[[Message], Awaitable[None]]
"""Carries a message, outside of any transaction. What it raises has it tried again later."""
