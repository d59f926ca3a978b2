"""Separations of duties asked again: by the duty ledger as it was at a moment, or as it is now.

The ledger is only ever added to, and so are assignments and versions of records; so who had done what, who stood in for
whom, and which subject an act was about can be found for any moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from clew.expressions.rewrite import negated
from clew.expressions.tree import Checked
from clew.identity import accounts
from clew.metadata.blueprint import FieldKind
from clew.metadata.policies import Duty, Separation
from clew.records.duties import Identity, Until, earlier, subjects_of
from clew.records.engine import Engine
from clew.storage import identity_tables, system
from clew.storage.dialects import any_of
from clew.storage.engine import Connection
from clew.storage.types import Id, Instant

if TYPE_CHECKING:
    from clew.records.decisions.evaluate import Case

_t, _a = system.duty, identity_tables.assignment
Holds = Callable[["Case", Sequence[Checked], Mapping[str, Any]], Awaitable[bool]]
"""Whether any of the conditions holds on a record of the case's entity, at the case's moment."""


@dataclass(frozen=True, slots=True)
class Apart:
    """What one separation says to an act. `earlier` is the duty that excludes it; None: nothing does."""

    separation: str
    duty: str
    earlier: Mapping[str, Any] | None

    @property
    def held(self) -> bool:
        return self.earlier is None


async def apart(engine: Engine, connection: Connection, case: Case, holds: Holds) -> AsyncIterator[Apart]:
    """Every separation in force that the act falls under, in the order in which a write asks them. `holds` decides
    conditions at the case's moment."""
    policies = engine.blueprint.policies
    if policies is None or case.person.id in case.exempt:
        return
    people: list[Identity] = []
    record = case.after or case.before
    if record is None:
        return
    until = Until(case.at, record["id"], case.decided or case.at)
    for separation in policies.separations.values():
        for duty in separation.duties:
            action = _performed(duty, case)
            if action is None:
                continue
            subjects = await _subjects(engine, connection, case, separation, duty, action)
            if not subjects:
                continue
            if duty.active is not None and await holds(case, (negated(duty.active),), record):
                continue
            people = people or await _people(connection, case)
            row = await earlier(connection, separation, duty, subjects, people, until)
            before = None if row is None else {"entity": row[1], "action": row[2], "at": row[3]}
            yield Apart(separation.name, duty.name, before)


def _performed(duty: Duty, case: Case) -> str | None:
    """The action of the duty that the act is; None when it is none, or when what it would have set is not known."""
    kind, _, move = case.action.partition(":")
    if duty.entity != case.entity.name:
        return None
    if kind == "transition":
        return move if move in duty.actions else None
    if kind in duty.actions:
        return kind
    if kind == "update" and "create" in duty.actions and duty.about and case.before and case.after:
        first = duty.about[0]
        field = case.entity.fields.get(first)
        linked = field is not None and field.kind is FieldKind.MANY
        return "create" if linked or case.before.get(first) != case.after.get(first) else None
    return None


async def _subjects(
    engine: Engine, connection: Connection, case: Case, separation: Separation, duty: Duty, action: str
) -> Sequence[UUID]:
    record = case.after or case.before
    assert record is not None
    found = await subjects_of(
        engine, connection, case.entity, record["id"], record, duty.about, case.after_as_of or case.as_of
    )
    if action == "create" and case.action == "update":
        # A record that comes to its subject later: only the subjects it was not about before are new.
        chosen = sa.select(_t.c.subject).where(
            any_of(_t.c.separation, "of"),
            _t.c.duty == duty.name,
            _t.c.record == sa.bindparam("of_record", type_=Id()),
            _t.c.at < sa.bindparam("until", type_=Instant()),
        )
        known = {"of": [separation.name, *separation.renamed_from], "of_record": record["id"]}
        rows = await connection.fetch(chosen, {**known, "until": case.decided or case.at})
        return sorted(set(found) - {row[0] for row in rows})
    return found


async def _people(connection: Connection, case: Case) -> list[Identity]:
    """Those whose duties count: the person's, theirs for whom it is done, the author's of a changed
    record, and theirs whose roles the person held by delegation at the moment."""
    found = [Identity(case.person.id, case.person.employee)]
    author = (case.after or case.before or {}).get("created_by") if case.action == "update" else None
    if isinstance(author, UUID):
        found.append(Identity(author, None))
    others = [case.on_behalf_of] if case.on_behalf_of is not None else []
    moment = sa.bindparam("moment", type_=Instant())
    givers = sa.select(_a.c.delegator).where(
        _a.c.account == sa.bindparam("deputy", type_=Id()),
        _a.c.kind == "delegation",
        _a.c.delegator.is_not(None),
        sa.or_(_a.c.state == "active", _a.c.state == "ended"),
        _a.c.granted_at <= moment,
        _a.c.valid_from <= moment,
        sa.or_(_a.c.valid_to.is_(None), _a.c.valid_to > moment),
        sa.or_(_a.c.ended_at.is_(None), _a.c.ended_at > moment),
    )
    rows = await connection.fetch(givers, {"deputy": case.person.id, "moment": case.at})
    for each in (*others, *(row[0] for row in rows)):
        account = await accounts.find(connection, each)
        found.append(Identity(each, account.employee if account is not None else None))
    return found
