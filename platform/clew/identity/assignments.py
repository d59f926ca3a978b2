"""Who was given which role, where, from when until when, and by whom. Asked for by one person, granted by another.

An assignment is a row that is added to, never removed: a review years later reads what was in force on a day. Static
separations are judged over everything a person holds or inherits in an overlapping time, delegations included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts, independence
from clew.identity.accounts import Account
from clew.identity.errors import (
    AccountDisabled,
    BadPeriod,
    NoAssignment,
    NotHeld,
    NotYourself,
    ScopeClash,
    SeparationConflict,
    UnknownRole,
    WrongKind,
)
from clew.identity.ports import RoleBook, SecurityEvent, Witness
from clew.kernel.context import Context, Scope, united
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.storage import identity_tables
from clew.storage.engine import Connection, Row

Kind = Literal["permanent", "delegation", "break_glass", "claim"]
State = Literal["requested", "active", "refused", "ended"]

PASSED_ON: tuple[Kind, ...] = ("permanent", "claim")
"""What may be passed on while it is held: neither what was lent, nor what was given for an emergency."""
LONGEST_DELEGATION = timedelta(days=92)
GRANT = Bilingual("授权", "grant a role")
_t = identity_tables.assignment
_NAMES = (
    "id", "account", "role", "sites", "families", "kind", "state", "valid_from", "valid_to", "delegator",
    "requested_by", "requested_at", "granted_by", "granted_at", "ended_by", "ended_at", "reason", "record",
)  # fmt: skip
_COLUMNS = tuple(_t.c[name] for name in _NAMES)


@dataclass(frozen=True, slots=True)
class Assignment:
    """One role given to one account. `sites` and `families` None: everywhere. `valid_to` None: until it is ended."""

    id: UUID
    account: UUID
    role: str
    sites: tuple[UUID, ...] | None
    families: tuple[str, ...] | None
    kind: Kind
    state: State
    valid_from: datetime
    valid_to: datetime | None
    delegator: UUID | None
    requested_by: UUID
    requested_at: datetime
    granted_by: UUID | None = None
    granted_at: datetime | None = None
    ended_by: UUID | None = None
    ended_at: datetime | None = None
    reason: str = ""
    record: UUID | None = None

    def overlaps(self, start: datetime, end: datetime | None) -> bool:
        return (end is None or self.valid_from < end) and (self.valid_to is None or self.valid_to > start)

    def covers(self, other: Assignment) -> bool:
        """Whether it gives at least the scope and time of `other`."""
        sites = self.sites is None or (other.sites is not None and set(other.sites) <= set(self.sites))
        families = self.families is None or (other.families is not None and set(other.families) <= set(self.families))
        starts = self.valid_from <= other.valid_from
        ends = self.valid_to is None or (other.valid_to is not None and other.valid_to <= self.valid_to)
        return self.role == other.role and sites and families and starts and ends


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for on behalf of an account."""

    account: UUID
    role: str
    valid_from: datetime
    valid_to: datetime | None = None
    sites: tuple[UUID, ...] | None = None
    families: tuple[str, ...] | None = None
    reason: str = ""
    kind: Kind = "permanent"
    delegator: UUID | None = None
    record: UUID | None = None
    requested_by: UUID | None = None
    """Who asked, where that is not who grants: whoever made the record it comes from."""


class Assignments:
    """Assignments of one database under one release's role book. Every method works in the caller's transaction."""

    def __init__(self, witness: Witness, roles: RoleBook) -> None:
        self.witness, self.roles = witness, roles

    async def request(self, connection: Connection, context: Context, asked: Asked, at: datetime) -> Assignment:
        """Ask for a role; it gives nothing yet. Raises UnknownRole, WrongKind, BadPeriod, AccountDisabled."""
        await self._possible(connection, asked, at)
        made = Assignment(
            uuid7(), asked.account, asked.role, asked.sites, asked.families, asked.kind, "requested",
            asked.valid_from, asked.valid_to, asked.delegator, asked.requested_by or context.person.id, at,
            reason=asked.reason, record=asked.record,
        )  # fmt: skip
        await connection.execute(sa.insert(_t).values(**_stored(made)))
        await self._tell(connection, context, "assignment.request", made, asked.reason)
        return made

    async def approve(
        self,
        connection: Connection,
        context: Context,
        assignment: UUID,
        at: datetime,
        why: str,
        *,
        alone: bool = False,
    ) -> Assignment:
        """Grant what was asked for, for the reason `why`; it counts from the next request on. `alone`: while an
        installation is being set up (`set_up`) its operator may grant what the operator asked for, except in an
        emergency.

        Raises NotYourself (the granter is who asked or who is to hold it, or a deputy of either), SeparationConflict,
        BadPeriod, NoAssignment.
        """
        made = await self.one(connection, assignment)
        if made.state != "requested":
            raise NoAssignment
        for other in (made.account, *(() if alone and made.kind != "break_glass" else (made.requested_by,))):
            await independence.require_another(connection, context.person.id, other, made.requested_at, at, GRANT)
        return await self._grant(connection, context, made, at, why)

    async def _grant(
        self, connection: Connection, context: Context, made: Assignment, at: datetime, why: str
    ) -> Assignment:
        granter = context.person.id
        asked = Asked(made.account, made.role, made.valid_from, made.valid_to, kind=made.kind)
        holder = await self._possible(connection, asked, at)
        await self.separate(connection, holder, made)
        await self._fits(connection, made)
        granted = replace(made, state="active", granted_by=granter, granted_at=at)
        await self._write(connection, granted)
        await self._tell(connection, context, "assignment.grant", granted, why)
        await accounts.raise_epoch(connection, made.account)
        return granted

    async def assign(self, connection: Connection, context: Context, asked: Asked, at: datetime) -> Assignment:
        """Request and grant in one step, by somebody else than the account's holder.

        Only where two have agreed already or there is nobody else: a record that one person asked for and another
        approved, the provider's groups at single sign-on, an installation that is being set up.
        """
        if context.person.id in (asked.account, asked.requested_by):
            raise NotYourself(action=GRANT)
        made = await self.request(connection, context, asked, at)
        return await self._grant(connection, context, made, at, asked.reason)

    async def set_up(self, connection: Connection) -> bool:
        """Whether the installation is being set up: fewer than two accounts were ever given a role that decides about
        the access of others, so that there are no two people to ask. Once over, it never comes back."""
        query = sa.select(sa.func.count(sa.distinct(_t.c.account))).where(
            _t.c.role.in_(list(self.roles.deciding())), _t.c.granted_at.is_not(None)
        )
        return int(await connection.fetch_value(query) or 0) < 2

    async def refuse(self, connection: Connection, context: Context, assignment: UUID, at: datetime, why: str) -> None:
        """Say no to a request."""
        made = await self.one(connection, assignment)
        if made.state != "requested":
            raise NoAssignment
        await self._close(connection, context, made, at, why, "refused")

    async def end(self, connection: Connection, context: Context, assignment: UUID, at: datetime, why: str) -> None:
        """Take a role away, from the next request on. Raises NoAssignment."""
        made = await self.one(connection, assignment)
        if made.state != "active":
            raise NoAssignment
        await self._close(connection, context, made, at, why, "ended")
        if made.kind in PASSED_ON:
            await self._end_delegations(connection, context, made, at, why)

    async def delegate(self, connection: Connection, context: Context, asked: Asked, at: datetime) -> Assignment:
        """Pass a role on for a bounded time. The delegate inherits the delegator's separations.

        Raises NotHeld (only what is held permanently, for that whole scope and time, can be passed on), BadPeriod,
        NotYourself, SeparationConflict.
        """
        delegator = asked.delegator
        if delegator is None or delegator == asked.account:
            raise NotYourself(action=Bilingual("委托", "delegate"))
        if asked.valid_to is None or asked.valid_to - asked.valid_from > LONGEST_DELEGATION:
            days = LONGEST_DELEGATION.days
            raise BadPeriod(what=Bilingual(f"委托须在 {days} 天以内", f"a delegation lasts at most {days} days"))
        asked = replace(asked, kind="delegation")
        made = await self.request(connection, context, asked, at)
        held = await self.of(connection, delegator, states=("active",))
        if not any(each.kind in PASSED_ON and each.covers(made) for each in held):
            giver = await accounts.find(connection, delegator)
            raise NotHeld(login=giver.login if giver else delegator, role=asked.role)
        holder = await self._possible(connection, asked, at)
        await self.separate(connection, holder, made)
        await self._fits(connection, made)
        granted = replace(made, state="active", granted_by=context.person.id, granted_at=at)
        await self._write(connection, granted)
        await self._tell(connection, context, "assignment.delegate", granted, asked.reason)
        await accounts.raise_epoch(connection, made.account)
        return granted

    async def separate(self, connection: Connection, holder: Account, adding: Assignment) -> None:
        """Raises SeparationConflict when the holder, or somebody who stands in for them, would hold too much."""
        mine = await self._burden(connection, holder.id, adding)
        self._judge(holder.login, adding, mine)
        for each in await self._delegated_by(connection, holder.id):
            if each.overlaps(adding.valid_from, adding.valid_to):
                deputy = await accounts.find(connection, each.account)
                theirs = await self._burden(connection, each.account, adding)
                self._judge(deputy.login if deputy else "?", adding, mine | theirs)

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def one(self, connection: Connection, assignment: UUID) -> Assignment:
        row = await connection.fetch_one(sa.select(*_COLUMNS).where(_t.c.id == assignment))
        if row is None:
            raise NoAssignment
        return loaded(row)

    async def of(
        self, connection: Connection, account: UUID, *, states: Sequence[State] = ("requested", "active")
    ) -> list[Assignment]:
        query = sa.select(*_COLUMNS).where(_t.c.account == account, _t.c.state.in_(list(states)))
        return [loaded(row) for row in await connection.fetch(query.order_by(_t.c.valid_from, _t.c.id))]

    async def every(self, connection: Connection, *, states: Sequence[State] | None = None) -> list[Assignment]:
        query = sa.select(*_COLUMNS).order_by(_t.c.requested_at, _t.c.id)
        if states is not None:
            query = query.where(_t.c.state.in_(list(states)))
        return [loaded(row) for row in await connection.fetch(query)]

    async def by_record(self, connection: Connection, record: UUID) -> Assignment | None:
        row = await connection.fetch_one(sa.select(*_COLUMNS).where(_t.c.record == record))
        return loaded(row) if row else None

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _possible(self, connection: Connection, asked: Asked, at: datetime) -> Account:
        holder = await accounts.find(connection, asked.account)
        if holder is None or not holder.active:
            raise AccountDisabled(login=holder.login if holder else asked.account)
        if not self.roles.knows(asked.role):
            raise UnknownRole(role=asked.role)
        wanted = self.roles.given_to(asked.role)
        if wanted and wanted != holder.kind:
            raise WrongKind(role=asked.role, wanted=wanted, kind=holder.kind)
        if asked.valid_to is not None and (asked.valid_to <= asked.valid_from or asked.valid_to <= at):
            raise BadPeriod(what=Bilingual("截止须晚于开始且在未来", "it ends before it begins, or in the past"))
        return holder

    async def _fits(self, connection: Connection, adding: Assignment) -> None:
        """One role has one scope at a time. Raises ScopeClash when two assignments of it could not be said as one."""
        for each in await self.of(connection, adding.account, states=("active",)):
            if each.role == adding.role and each.overlaps(adding.valid_from, adding.valid_to):
                one, other = Scope(each.sites, each.families), Scope(adding.sites, adding.families)
                if united(one, other) is None:
                    raise ScopeClash(role=adding.role)

    async def _burden(self, connection: Connection, account: UUID, during: Assignment) -> set[str]:
        """Roles an account holds in that time, and those of whom it stands in for."""
        held = [
            each
            for each in await self.of(connection, account, states=("active",))
            if each.id != during.id and each.overlaps(during.valid_from, during.valid_to)
        ]
        roles = {each.role for each in held}
        givers = {each.delegator for each in held if each.kind == "delegation"}
        if during.kind == "delegation" and during.account == account:
            givers.add(during.delegator)
        for giver in givers - {None, account}:
            assert giver is not None
            theirs = await self.of(connection, giver, states=("active",))
            roles |= {each.role for each in theirs if each.overlaps(during.valid_from, during.valid_to)}
        return roles

    def _judge(self, login: str, adding: Assignment, beside: set[str]) -> None:
        """What begins while the roles are held together is broken already: nobody looks again on its first day."""
        # Somewhere the day that follows has begun.
        until = None if adding.valid_to is None else adding.valid_to.date() + timedelta(days=1)
        broken = self.roles.conflicts(sorted({adding.role, *beside}), until)
        if broken:
            raise SeparationConflict(login=login, role=adding.role, separations=", ".join(broken))

    async def _delegated_by(self, connection: Connection, account: UUID) -> list[Assignment]:
        query = sa.select(*_COLUMNS).where(_t.c.delegator == account, _t.c.state.in_(["requested", "active"]))
        return [loaded(row) for row in await connection.fetch(query)]

    async def _end_delegations(
        self, connection: Connection, context: Context, gone: Assignment, at: datetime, why: str
    ) -> None:
        """Nobody stands in for somebody with what that person does not hold any more."""
        for each in await self._delegated_by(connection, gone.account):
            if each.role == gone.role:
                await self._close(connection, context, each, at, why, "ended")

    async def _close(
        self, connection: Connection, context: Context, made: Assignment, at: datetime, why: str, state: State
    ) -> None:
        closed = replace(made, state=state, ended_by=context.person.id, ended_at=at)
        await self._write(connection, closed)
        await self._tell(connection, context, f"assignment.{'refuse' if state == 'refused' else 'end'}", closed, why)
        await accounts.raise_epoch(connection, made.account)

    async def _write(self, connection: Connection, changed: Assignment) -> None:
        names = ("state", "granted_by", "granted_at", "ended_by", "ended_at")
        values = {name: getattr(changed, name) for name in names}
        await connection.execute(sa.update(_t).where(_t.c.id == changed.id).values(**values))

    async def _tell(self, connection: Connection, context: Context, action: str, about: Assignment, why: str) -> None:
        particulars = {
            "assignment": about.id,
            "role": about.role,
            "kind": about.kind,
            "sites": None if about.sites is None else list(about.sites),
            "families": None if about.families is None else list(about.families),
            "valid_from": about.valid_from,
            "valid_to": about.valid_to,
            "delegator": about.delegator,
            "requested_by": about.requested_by,
        }
        event = SecurityEvent(action, "account", about.account, context, particulars, why or None)
        await self.witness.record(connection, event)


def _stored(made: Assignment) -> dict[str, Any]:
    values = {name: getattr(made, name) for name in _NAMES}
    values["sites"] = None if made.sites is None else [str(site) for site in made.sites]
    values["families"] = None if made.families is None else list(made.families)
    return values


def loaded(row: Row) -> Assignment:
    """A row of all columns, in the order of the table."""
    values = list(row)
    values[3] = None if values[3] is None else tuple(UUID(site) for site in values[3])
    values[4] = None if values[4] is None else tuple(values[4])
    return Assignment(*values)


COLUMNS = _COLUMNS
