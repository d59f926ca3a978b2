"""What an automatic step hands to a plugin: the record it is about, and its transaction to read and write in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from clew.kernel.errors import Conflict
from clew.kernel.text import Bilingual

Row = Mapping[str, Any]
"""A record by field: canonical Python values (`Decimal`, `date`, `UUID`, `AnyRef`, `Money`). Lines and links are asked
for by themselves, and computed fields are not there."""


class Within(NamedTuple):
    """A range to find records by: from the first, which belongs to it, to the last, which does not."""

    first: Any
    last: Any


class Work(Protocol):
    """One run of an action. Everything it writes is one transaction with the step: done together, or not at all, and
    then done again; every write takes the rules, the history and the trail of any other."""

    @property
    def entity(self) -> str:
        """The entity of the record."""
        ...

    @property
    def id(self) -> UUID: ...

    @property
    def at(self) -> datetime:
        """The moment of the transaction."""
        ...

    @property
    def today(self) -> date:
        """The day of that moment, where the project is."""
        ...

    @property
    def employee(self) -> UUID | None:
        """Who does the step, as an employee; None where the platform does it by itself."""
        ...

    async def record(self, entity: str | None = None, record_id: UUID | None = None) -> Row:
        """The record the action is about, or another. Raises NotFound."""
        ...

    async def find(self, entity: str, **where: Any) -> list[Row]:
        """Records that are not void, the oldest first, by values of stored fields: equal, any of a tuple, or in a range
        (`Within`)."""
        ...

    async def linked(self, entity: str, field: str, record_id: UUID) -> list[UUID]:
        """The records that a `many` field of a record refers to."""
        ...

    def working_day_before(self, day: date, count: int) -> date | None:
        """The `count`-th working day before a day, by the project's default calendar; None where a year on the way is
        not published."""
        ...

    def decide(self, table: str, *given: Any) -> Mapping[str, Any]:
        """What a decision table of the project says, by output; its inputs in their order. Raises Refused for a case
        it says nothing of."""
        ...

    async def create(self, entity: str, values: Row) -> UUID: ...

    async def update(self, entity: str, record_id: UUID, values: Row, reason: str = "") -> None: ...

    async def move(self, entity: str, record_id: UUID, transition: str, reason: str = "") -> None:
        """A transition that takes no signature."""
        ...

    async def void(self, entity: str, record_id: UUID, reason: str) -> None:
        """Declare a record void; it stays, with all its versions."""
        ...


class Refused(Conflict):
    """An action cannot be done, for a reason people can mend: it is tried again, and then an operator is called."""

    code = "ACTION_REFUSED"
    en, zh = "{what}", "{what}"
    hint_en = "Mend the reason, then retry the incident of the process."
    hint_zh = "消除原因后,重试该流程的异常。"

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(what=Bilingual(zh=zh, en=en))


Act = Callable[[Work], Awaitable[None]]
"""An action of a plugin."""
