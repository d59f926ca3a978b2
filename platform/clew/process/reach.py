"""Whoever is told where those it is for are nobody: along a line it always reaches somebody, and it is said whom."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from clew.kernel.text import Bilingual
from clew.process.staff import Demand, Staff
from clew.records.unit import Unit

ADDRESSEES, ADMINISTRATORS, NOBODY = "addressees", "administrators", "nobody"
"""As what those were told whom something has reached; any other word is of the line it was told along."""
INSTEAD = Bilingual("应通知的人无人在任,改为通知您", "nobody it is for is there, so you are told")
_log = logging.getLogger("clew.process")


class Reached(NamedTuple):
    """Who is told, and as what."""

    people: tuple[UUID, ...]
    whose: str

    def say(self, text: Bilingual, what: str) -> Bilingual:
        """A text, with why they are told where they are not those it is for. The server's log says so too; `what` names
        there what they are told of."""
        if self.whose == ADDRESSEES:
            return text
        _log.warning("%s reaches none of those it is for: told %s", what, self.whose)
        if not text.en and not text.zh:
            return INSTEAD
        return Bilingual(f"{text.to('zh')}({INSTEAD.zh})", f"{text.to('en')} ({INSTEAD.en})")


Line = Iterable[tuple[str, Demand]]
"""Who is asked for, one after the other, each with as what."""


def role_line(whose: str, role: str | None, site: UUID | None, elsewhere: str = "") -> Iterator[tuple[str, Demand]]:
    """Who holds a role at a site; then who holds it wherever, as the same or as `elsewhere`."""
    if role:
        yield whose, Demand((role,), site=site)
        if site is not None:
            yield elsewhere or whose, Demand((role,))


async def reach(unit: Unit, staff: Staff, line: Line) -> Reached:
    """The first of a line that are anybody; in the end who looks after the accounts, as it is for them that nobody is
    there."""
    policies = unit.engine.blueprint.policies
    roles = policies.roles.values() if policies is not None else ()
    keepers = tuple(each.name for each in roles if "accounts" in each.administer)
    for whose, asked in (*line, (ADMINISTRATORS, Demand(keepers))):
        found = await staff.find(unit.connection, asked, unit.at)
        if found:
            return Reached(tuple(found), whose)
    return Reached((), NOBODY)
