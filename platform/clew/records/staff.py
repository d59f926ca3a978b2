"""People, roles given and positions that are records of the project take effect in identity, in the same transaction.

A participant: a person's record that leaves ends everything that person holds; an approved assignment counts as one of
identity's, with the same refusals (separations, granter = grantee), and stops counting when the record does.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.identity import accounts, leaving
from clew.identity.accounts import Account
from clew.identity.assignments import Asked
from clew.identity.desk import Desk
from clew.identity.errors import NoAccount, NoAssignment
from clew.metadata.blueprint import Blueprint, Entity, Transition
from clew.metadata.project import Assignments, Identity
from clew.records import verbs
from clew.records.participants import Change, Quiet

if TYPE_CHECKING:
    from clew.records.unit import Unit

_ACTS = frozenset({"create", "update", "transition", "void", "correct"})


class Staff(Quiet):
    """Watches the entities that `identity:` of clew.yaml names."""

    name = "staff"

    def __init__(self, blueprint: Blueprint, desk: Desk) -> None:
        self._blueprint, self._desk = blueprint, desk
        self._declared: Identity | None = blueprint.project.identity

    def wants(self, entity: Entity) -> bool:
        declared = self._declared
        if declared is None:
            return False
        return entity.name == declared.people.entity or (
            declared.assignments is not None and entity.name == declared.assignments.entity
        )

    async def effect(self, change: Change, unit: Unit) -> None:
        assert self._declared is not None
        if change.verb not in _ACTS or change.new is None:
            return
        if change.entity.name == self._declared.people.entity:
            await self._person(change, unit)
        else:
            assert self._declared.assignments is not None
            await self._assignment(change, self._declared.assignments, unit)

    # ── people ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _person(self, change: Change, unit: Unit) -> None:
        """Keep the account of a person in step with the record. Whoever has none is no business of ours."""
        assert self._declared is not None
        new, people = change.new, self._declared.people
        assert new is not None
        account = await self._account(unit, change.id, str(new[people.login]))
        if account is None:
            return
        facts = await self._facts(unit, new)
        witness, context, connection = self._desk.witness, unit.context, unit.connection
        account = await accounts.change(
            connection, witness, context, account, name=str(new[people.name]), employee=change.id, facts=facts
        )
        was, state = (change.old or {}).get("state"), new.get("state")
        gone = state in people.left or new.get("voided_at") is not None
        if gone and (was != state or new.get("voided_at") is not None):
            also = await self._positions(unit, change.id)
            reason = unit.reason or str(state)
            await leaving.leave(self._desk.assignments, connection, context, account, unit.at, reason, also)
            await self._close_given(unit, change.id)
        elif state in people.away:
            await leaving.disable(
                self._desk.assignments, connection, context, account, unit.at, unit.reason or str(state)
            )
        elif was in people.away and not gone:
            await accounts.enable(connection, witness, context, account, unit.reason or str(state))

    async def _close_given(self, unit: Unit, employee: UUID) -> None:
        """The records that gave roles to somebody who has left end with them, by the project's own transition."""
        assert self._declared is not None
        given = self._declared.assignments
        if given is None:
            return
        move = ending(self._blueprint.entities[given.entity], given)
        if move is None:
            return
        table = unit.engine.tables.current(given.entity)
        query = sa.select(table.c.id, table.c.row_version).where(
            table.c[given.person] == employee, table.c.state.in_(list(move.sources)), table.c.voided_at.is_(None)
        )
        before, unit.elevated = unit.elevated, True
        try:
            for record, version in await unit.connection.fetch(query.order_by(table.c.id)):
                await verbs.transition(unit, given.entity, record, move.name, version)
        finally:
            unit.elevated = before

    async def _account(self, unit: Unit, employee: UUID, login: str) -> Account | None:
        found = await accounts.by_employee(unit.connection, employee)
        if found is not None:
            return found
        try:
            found = await accounts.by_login(unit.connection, login)
        except NoAccount:
            return None
        # A login belongs to one person for ever: an account of somebody else is never taken over.
        return found if found.kind == "person" and found.employee is None else None

    async def _facts(self, unit: Unit, record: Mapping[str, Any]) -> dict[str, Any]:
        assert self._declared is not None
        people = self._declared.people
        entity = self._blueprint.entities[people.entity]
        return {
            "department": record[people.department] if people.department else None,
            "site": await self._along(unit, entity, record, people.site) if people.site else None,
        }

    async def _positions(self, unit: Unit, employee: UUID) -> list[str]:
        """Positions the person still holds, as things to hand over."""
        assert self._declared is not None
        positions = self._declared.positions
        if positions is None:
            return []
        lines = unit.engine.tables.current(positions.lines)
        owners = unit.engine.tables.current(positions.entity)
        key = self._blueprint.entities[positions.entity].key
        shown, ended = owners.c[key[-1]] if key else owners.c.id, lines.c[positions.end]
        query = (
            sa.select(shown)
            .select_from(lines.join(owners, lines.c.owner == owners.c.id))
            .where(lines.c[positions.person] == employee, owners.c.voided_at.is_(None))
            .where(sa.or_(ended.is_(None), ended > _end_of(unit, lines, positions.end)))
        )
        found = await unit.connection.fetch(query.order_by(shown))
        return [f"{positions.entity}:{row[0]}" for row in found]

    # ── assignments ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _assignment(self, change: Change, declared: Assignments, unit: Unit) -> None:
        new, book, connection = change.new, self._desk.assignments, unit.connection
        assert new is not None
        counts = new.get("state") in declared.active and new.get("voided_at") is None
        known = await book.by_record(connection, change.id)
        if known is not None:
            if not counts and known.state == "active":
                await book.end(connection, unit.context, known.id, unit.at, unit.reason or str(new.get("state")))
            return
        if not counts:
            return
        asked = await self._asked(change.entity, new, declared, unit)
        if asked.delegator is not None:
            await book.delegate(connection, unit.context, asked, unit.at)
        else:
            await book.assign(connection, unit.context, asked, unit.at)

    async def _asked(self, entity: Entity, new: Mapping[str, Any], declared: Assignments, unit: Unit) -> Asked:
        account = await self._holder(unit, new[declared.person])
        giver = new[declared.delegator] if declared.delegator else None
        site = new[declared.sites] if declared.sites else None
        family = new[declared.families] if declared.families else None
        role = await self._along(unit, entity, new, declared.role)
        ends = new[declared.end] if declared.end else None
        return Asked(
            account.id,
            str(role),
            _moment(unit, new[declared.start]),
            _moment(unit, ends, last=True) if ends is not None else None,
            None if site is None else (site,),
            None if family is None else (family,),
            unit.reason or "",
            "permanent" if giver is None else "delegation",
            (await self._holder(unit, giver)).id if giver is not None else None,
            new["id"],
            # Who made the record asked for the role; what was brought in was agreed to elsewhere.
            None if unit.foreign else new["created_by"],
        )

    async def _holder(self, unit: Unit, employee: UUID) -> Account:
        """The account of a person; made without credentials when there is none, so that the role has a holder."""
        assert self._declared is not None
        people = self._declared.people
        table = unit.engine.tables.current(people.entity)
        entity = self._blueprint.entities[people.entity]
        wanted = [people.login, people.name, *([people.department] if people.department else [])]
        row = await unit.connection.fetch_one(
            sa.select(*(table.c[name] for name in wanted)).where(table.c.id == employee)
        )
        if row is None:
            raise NoAssignment
        record = dict(zip(wanted, row, strict=True))
        found = await self._account(unit, employee, str(record[people.login]))
        context, witness = unit.context, self._desk.witness
        if found is not None:
            return await accounts.change(unit.connection, witness, context, found, employee=employee)
        site = await self._along(unit, entity, record, people.site) if people.site else None
        facts = {"department": record.get(people.department or ""), "site": site}
        return await accounts.create(
            unit.connection, witness, context, login=str(record[people.login]), name=str(record[people.name]),
            at=unit.at, employee=employee, facts=facts,
        )  # fmt: skip

    async def _along(self, unit: Unit, entity: Entity, record: Mapping[str, Any], path: str) -> Any:
        """The value at the end of a way such as `department.site`; None where a step leads nowhere."""
        first, *rest = path.split(".")
        value, field = record.get(first), entity.fields[first]
        for step in rest:
            if value is None:
                return None
            table = unit.engine.tables.current(field.target)
            value = await unit.connection.fetch_value(sa.select(table.c[step]).where(table.c.id == value))
            field = self._blueprint.entities[field.target].fields[step]
        return value


def ending(entity: Entity, given: Assignments) -> Transition | None:
    """The transition by which an assignment ends for a reason: unsigned, out of a state in which it counts."""
    found = [
        each
        for each in entity.transitions.values()
        if each.sign is None and each.target not in given.active and set(each.sources) & set(given.active)
    ]
    return next((each for each in found if each.reason), found[0] if found else None)


def _moment(unit: Unit, value: date | datetime, *, last: bool = False) -> datetime:
    """A day begins in the project's time zone; the last day counts to its end."""
    if isinstance(value, datetime):
        return value
    day = value + timedelta(days=1) if last else value
    return datetime.combine(day, time(), unit.engine.zone).astimezone(unit.at.tzinfo)


def _end_of(unit: Unit, lines: sa.Table, name: str) -> Any:
    """Now, as that column says it: a day or a moment."""
    return unit.today if lines.c[name].type.__class__.__name__ == "Day" else unit.at
