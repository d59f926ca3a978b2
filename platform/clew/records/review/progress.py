"""How far a review campaign is: what is decided, what is open, what is overdue, what ended otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from clew.identity import accounts
from clew.kernel.text import Bilingual
from clew.records.review.campaign import Campaign, Item, find, items_of
from clew.records.review.desk import ReviewDesk
from clew.storage.engine import Connection

State = Literal["open", "attest", "revoke", "gone"]
VERDICTS: Mapping[State, Bilingual] = {
    "open": Bilingual("待处理", "open"),
    "attest": Bilingual("确认", "attested"),
    "revoke": Bilingual("撤销", "revoked"),
    "gone": Bilingual("已另行终止", "ended otherwise"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """An item with its owner's login. `gone`: the assignment ended before anybody decided on it."""

    item: Item
    owner: str
    state: State


@dataclass(frozen=True, slots=True)
class Progress:
    campaign: Campaign
    rows: tuple[Row, ...]
    overdue: bool
    """Open items are left after the due date of a campaign that is not closed."""

    @property
    def decided(self) -> int:
        return sum(1 for each in self.rows if each.state != "open")


async def progress(desk: ReviewDesk, connection: Connection, campaign: UUID, at: datetime) -> Progress:
    """Raises NotFound."""
    whole = await find(connection, campaign)
    logins = {each.id: each.login for each in await accounts.every(connection)}
    active = {each.id for each in await desk.assignments.every(connection, states=("active",))}
    rows = tuple(
        Row(each, logins.get(each.owner, str(each.owner)), _state(each, active))
        for each in await items_of(connection, campaign)
    )
    left = any(each.state == "open" for each in rows)
    return Progress(whole, rows, left and whole.closed_at is None and at > whole.due_at)


def _state(item: Item, active: set[UUID]) -> State:
    if item.verdict is not None:
        return item.verdict
    return "open" if item.assignment in active else "gone"
