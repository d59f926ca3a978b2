"""Review campaigns: whoever answers for an assignment attests or revokes it by a due date, with a signature.

An item is decided once. Revoking takes the role away in the same transaction, so it holds from the next request on.
Nobody decides on an assignment of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import Decision
from clew.audit.exports import ACTION as EXPORT
from clew.audit.trail import record_event
from clew.identity.assignments import Assignment
from clew.identity.credentials import Proof
from clew.kernel.context import Context
from clew.kernel.errors import BadInput, Conflict, Forbidden, NotFound
from clew.kernel.ids import uuid7
from clew.kernel.text import Bilingual
from clew.records.review.desk import ReviewDesk
from clew.records.review.people import Known
from clew.records.signing.statements import Statement, sign_statement
from clew.storage import identity_tables
from clew.storage.engine import Connection, Row

Verdict = Literal["attest", "revoke"]
SUBJECT = "clew.review"
OTHERS = "*"
"""In place of a role: all roles for which nobody is named."""
_r, _i = identity_tables.review, identity_tables.review_item


class NoOwner(BadInput):
    """Nobody but the holder could answer for an assignment."""

    code = "REVIEW_NO_OWNER"
    en = "Nobody answers for {login} as {role}: the holder cannot."
    zh = "没有人可对 {login} 的“{role}”授权负责:持有人本人不能。"
    hint_en, hint_zh = "Name somebody: --owner {role}=LOGIN", "请指定负责人:--owner {role}=登录名"


class DuePast(BadInput):
    """A campaign is due at a moment that has passed."""

    code = "REVIEW_DUE_PAST"
    en, zh = "A review is due in the future, not at {due}.", "复核截止时间须在将来,而不是 {due}。"


class NotYours(Forbidden):
    """Somebody decided on an item that another answers for, or on their own role."""

    code = "REVIEW_NOT_YOURS"
    en = "This assignment is for {owner} to attest or revoke."
    zh = "该授权应由 {owner} 确认或撤销。"


class Decided(Conflict):
    """An item is decided once, while its campaign is open."""

    code = "REVIEW_DECIDED"
    en, zh = "This was decided already, or the campaign is closed.", "该项已处理,或复核已结束。"


class Undecided(Conflict):
    """A campaign cannot be closed while items are open."""

    code = "REVIEW_UNDECIDED"
    en, zh = "{count} assignments are not decided yet.", "尚有 {count} 项授权未处理。"
    hint_en, hint_zh = "Revoke them all with: --lapse", "全部撤销请加:--lapse"


@dataclass(frozen=True, slots=True)
class Campaign:
    id: UUID
    name: str
    roles: tuple[str, ...]
    started_by: UUID
    started_at: datetime
    due_at: datetime
    closed_by: UUID | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One assignment to be decided on. `shown` is what it was when the campaign began."""

    review: UUID
    assignment: UUID
    owner: UUID
    shown: Mapping[str, Any]
    verdict: Verdict | None
    decided_by: UUID | None
    decided_at: datetime | None
    comment: str
    signature: UUID | None


_CAMPAIGN = [_r.c[name] for name in Campaign.__dataclass_fields__]
_ITEM = [_i.c[name] for name in Item.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A campaign to begin: which roles (none: all), by when, and who answers for which role (`*`: all others)."""

    name: str
    due_at: datetime
    roles: tuple[str, ...] = ()
    owners: Mapping[str, UUID] = field(default_factory=lambda: MappingProxyType({}))


async def begin(
    connection: Connection, context: Context, release: str, people: Sequence[Known], wanted: Wanted
) -> Campaign:
    """Start a campaign over every assignment in force, or yet to come, of those roles. Raises NoOwner, DuePast."""
    at = await connection.now()
    if wanted.due_at <= at:
        raise DuePast(due=f"{wanted.due_at:%Y-%m-%d %H:%M} UTC")
    made = Campaign(uuid7(), wanted.name, wanted.roles, context.person.id, at, wanted.due_at)
    by_id = {each.account.id: each for each in people}
    items = []
    for known in people:
        for given, holding in zip(known.assignments, known.holdings, strict=True):
            if holding.force not in ("in force", "not yet") or (wanted.roles and given.role not in wanted.roles):
                continue
            owner = _owner(given, known, by_id, wanted.owners, context.person.id)
            items.append({"review": made.id, "assignment": given.id, "owner": owner, "shown": _shown(given, known)})
    values = {name: getattr(made, name) for name in Campaign.__dataclass_fields__}
    await connection.execute(sa.insert(_r).values(**{**values, "roles": list(made.roles)}))
    if items:
        empty = dict.fromkeys(("verdict", "decided_by", "decided_at", "signature"))
        await connection.execute_many(sa.insert(_i), [{**empty, **each, "comment": ""} for each in items])
    told = {"name": made.name, "due_at": made.due_at, "roles": list(made.roles) or None, "items": len(items)}
    await record_event(connection, context, release, "review.begin", SUBJECT, made.id, told)
    return made


async def campaigns(connection: Connection) -> list[Campaign]:
    """All of them, newest first."""
    return [_campaign(row) for row in await connection.fetch(sa.select(*_CAMPAIGN).order_by(_r.c.started_at.desc()))]


async def find(connection: Connection, campaign: UUID) -> Campaign:
    """Raises NotFound."""
    row = await connection.fetch_one(sa.select(*_CAMPAIGN).where(_r.c.id == campaign))
    if row is None:
        raise NotFound(what=Bilingual("复核活动", "review"))
    return _campaign(row)


async def items_of(connection: Connection, campaign: UUID) -> list[Item]:
    chosen = sa.select(*_ITEM).where(_i.c.review == campaign).order_by(_i.c.owner, _i.c.assignment)
    return [Item(*row) for row in await connection.fetch(chosen)]


class Deciding:
    """Decisions on items by one owner, who has just proved who they are."""

    def __init__(
        self, desk: ReviewDesk, connection: Connection, context: Context, decision: Decision, proof: Proof
    ) -> None:
        self._desk, self._connection, self._context = desk, connection, context
        self._decision, self._proof = decision, proof

    async def decide(self, campaign: UUID, assignment: UUID, verdict: Verdict, comment: str = "") -> Item:
        """Attest or revoke, signed with meaning `review`. Raises NotFound, NotYours, Decided, NotASigner."""
        connection, person = self._connection, self._context.person
        whole = await find(connection, campaign)
        row = await connection.fetch_one(
            sa.select(*_ITEM).where(_i.c.review == campaign, _i.c.assignment == assignment)
        )
        if row is None:
            raise NotFound(what=Bilingual("复核项", "item of the review"))
        item = Item(*row)
        if item.owner != person.id or item.shown["account"] == str(person.id):
            raise NotYours(owner=await _login(connection, item.owner))
        if item.verdict is not None or whole.closed_at is not None:
            raise Decided
        content = {"review": campaign, "name": whole.name, "assignment": dict(item.shown), "verdict": verdict}
        statement = Statement(SUBJECT, assignment, f"review:{verdict}", "review", {**content, "comment": comment})
        desk = self._desk
        release = desk.engine.release
        signature = await sign_statement(connection, self._context, self._decision, self._proof, statement, desk.engine)
        await _settle(connection, item, verdict, person.id, comment, signature.signature_id)
        if verdict == "revoke":
            await _revoke(self._desk, connection, self._context, assignment, f"{whole.name}: {comment}".rstrip(": "))
        told = {"review": campaign, "verdict": verdict, "signature": signature.signature_id, "comment": comment or None}
        await record_event(connection, self._context, release, f"review.{verdict}", SUBJECT, assignment, told)
        return Item(*(await connection.fetch(_one(item)))[0])


async def close(
    desk: ReviewDesk, connection: Connection, context: Context, campaign: UUID, *, lapse: bool = False
) -> Campaign:
    """End a campaign. What is undecided is revoked with `lapse`; otherwise Undecided is raised."""
    whole = await find(connection, campaign)
    if whole.closed_at is not None:
        raise Decided
    open_ = [each for each in await items_of(connection, campaign) if each.verdict is None]
    gone = await _gone(desk, connection, open_)
    left = [each for each in open_ if each.assignment not in gone]
    if left and not lapse:
        raise Undecided(count=len(left))
    for each in left:
        await _settle(connection, each, "revoke", context.person.id, "not attested in time", None)
        await _revoke(desk, connection, context, each.assignment, f"{whole.name}: not attested in time")
    at = await connection.now()
    await connection.execute(sa.update(_r).where(_r.c.id == campaign).values(closed_by=context.person.id, closed_at=at))
    told = {"name": whole.name, "lapsed": len(left)}
    await record_event(connection, context, desk.engine.release, "review.close", SUBJECT, campaign, told)
    return await find(connection, campaign)


async def tell_export(connection: Connection, context: Context, release: str, campaign: Campaign, items: int) -> None:
    """A campaign was written into a file and taken out."""
    told = {"review": campaign.name, "items": items, "format": "xlsx"}
    await record_event(connection, context, release, EXPORT, SUBJECT, campaign.id, told)


async def _gone(desk: ReviewDesk, connection: Connection, items: Sequence[Item]) -> set[UUID]:
    """Of these, the assignments that have ended otherwise."""
    found = set()
    for each in items:
        given = await desk.assignments.one(connection, each.assignment)
        if given.state != "active":
            found.add(each.assignment)
    return found


async def _revoke(desk: ReviewDesk, connection: Connection, context: Context, assignment: UUID, why: str) -> None:
    given = await desk.assignments.one(connection, assignment)
    if given.state == "active":
        await desk.assignments.end(connection, context, assignment, await connection.now(), why)


async def _settle(
    connection: Connection, item: Item, verdict: Verdict, by: UUID, comment: str, signature: UUID | None
) -> None:
    """Raises Decided when somebody was quicker."""
    undecided = sa.update(_i).where(
        _i.c.review == item.review, _i.c.assignment == item.assignment, _i.c.verdict.is_(None)
    )
    values = {"verdict": verdict, "decided_by": by, "decided_at": await connection.now()}
    if not await connection.execute(undecided.values(**values, comment=comment, signature=signature)):
        raise Decided


def _one(item: Item) -> Any:
    return sa.select(*_ITEM).where(_i.c.review == item.review, _i.c.assignment == item.assignment)


def _owner(
    given: Assignment, known: Known, by_id: Mapping[UUID, Known], owners: Mapping[str, UUID], starter: UUID
) -> UUID:
    """Who is named for the role, else who granted it, else who starts the campaign; never the holder."""
    for each in (owners.get(given.role), owners.get(OTHERS), given.granted_by, starter):
        found = by_id.get(each) if each is not None else None
        account = found.account if found is not None else None
        if account is not None and account.active and account.kind == "person" and account.id != given.account:
            return account.id
    raise NoOwner(login=known.account.login, role=given.role)


def _shown(given: Assignment, known: Known) -> dict[str, Any]:
    """The assignment as its owner sees it."""
    return {
        "account": str(given.account),
        "login": known.account.login,
        "name": known.account.name,
        "role": given.role,
        "kind": given.kind,
        "sites": None if given.sites is None else [str(each) for each in given.sites],
        "families": None if given.families is None else list(given.families),
        "valid_from": given.valid_from.isoformat(),
        "valid_to": given.valid_to.isoformat() if given.valid_to is not None else None,
    }


async def _login(connection: Connection, account: UUID) -> str:
    chosen = sa.select(identity_tables.account.c.login).where(identity_tables.account.c.id == account)
    return str(await connection.fetch_value(chosen) or account)


def _campaign(row: Row) -> Campaign:
    values = list(row)
    values[2] = tuple(values[2])
    return Campaign(*values)
