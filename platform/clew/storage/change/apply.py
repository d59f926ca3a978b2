"""Applying a plan: every step in a transaction of its own, together with its line of the journal.

Two nodes may apply at once: each step is taken under the migration lock and done by whoever comes first. A crash at any
statement rolls that step back; `resume` goes on from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from clew.kernel.canonical import digest
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.storage import releases
from clew.storage.behind import bring_up_to_date
from clew.storage.change.fill import BATCH, Filler, Outcome
from clew.storage.change.perform import perform
from clew.storage.change.plan import Plan, plan_in
from clew.storage.change.steps import Step
from clew.storage.change.values import TextForms
from clew.storage.engine import Connection, Database, Row
from clew.storage.errors import ChangeRunning, ConsentMissing, NodesBehind, PlanBlocked, PlanStale
from clew.storage.promotion.bundle import Bundle
from clew.storage.promotion.environment import Environment, declaration
from clew.storage.promotion.verdict import require_promotion
from clew.storage.provision import existing_tables
from clew.storage.releases import Loader, Release, stored_blueprint
from clew.storage.retry import retry_write
from clew.storage.system import change, platform, promotion, release

OnStep = Callable[[str], None]
"""Told what was just done: `expand lot 1` after a statement, `expand lot committed` after its transaction. A test may
raise here to act a crash."""
OnLive = Callable[[Connection, int], Awaitable[None]]
"""Called in the transaction in which a release becomes the one that is served: what is told of it, is told of exactly
the releases that went live."""


Objecting = Callable[[Connection, Blueprint], Awaitable[None]]
"""Asked under the lock before anything is touched: raises what other rooms have against this release."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who applies, and why: kept with the release."""

    by: str = ""
    note: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Warrant:
    """What permits a change besides its plan: consents by object, and on production the signed bundle."""

    consents: frozenset[str] = frozenset()
    bundle: Bundle | None = None
    objecting: Objecting | None = None


def _silent(_label: str) -> None:
    return None


async def _unopposed(_connection: Connection, _blueprint: Blueprint) -> None:
    return None


async def _untold(_connection: Connection, _release: int) -> None:
    return None


async def apply(
    database: Database,
    plan: Plan,
    *,
    load: Loader = stored_blueprint,
    consents: frozenset[str] = frozenset(),
    texts: TextForms | None = None,
    signer: Signer = Signer(),
    on_step: OnStep = _silent,
    on_live: OnLive = _untold,
    batch: int = BATCH,
    bundle: Bundle | None = None,
    objecting: Objecting = _unopposed,
) -> Release:
    """Carry out exactly this plan. The new release is live when this returns; tightening may still wait for nodes.

    On a production database only with the signed bundle of the release. Raises NotPromoted, PlanStale, ConsentMissing,
    PlanBlocked or ChangeRunning before anything is touched, NodesBehind when nodes of the earlier release must stop
    first (then `resume` finishes it).
    """
    blueprint = load(plan.sources)
    if blueprint.digest != plan.blueprint_digest:
        raise PlanStale(planned=plan.blueprint_digest[:12], found=blueprint.digest[:12])
    number = await _claim(database, plan, blueprint, load, Warrant(consents, bundle, objecting), signer)
    return await _run(database, number, signer, (on_step, on_live), Filler(blueprint, plan.catalog, texts, batch))


async def resume(
    database: Database,
    *,
    load: Loader = stored_blueprint,
    texts: TextForms | None = None,
    signer: Signer = Signer(),
    on_step: OnStep = _silent,
    on_live: OnLive = _untold,
    batch: int = BATCH,
) -> Release | None:
    """Go on with whatever is unfinished: a change that crashed, or tightening that waited. None when nothing is."""
    async with database.read() as connection:
        if change.name not in await existing_tables(connection):
            return None
        number = await connection.fetch_value(
            sa.select(sa.func.max(change.c.release)).where(change.c.state == "waiting")
        )
    if number is None:
        return None
    begun = await releases.numbered(database, number)
    filler = Filler(load(begun.sources), begun.catalog, texts, batch)
    return await _run(database, number, signer, (on_step, on_live), filler)


async def abandon(database: Database) -> bool:
    """Give up a change whose release is not live yet. What it added stays, unused. False when there is none."""
    async with database.migrate() as connection:
        number = await connection.fetch_value(sa.select(release.c.number).where(release.c.state == "pending"))
        if number is None:
            return False
        await _supersede(connection, change.c.release == number)
        given_up = sa.update(release).where(release.c.number == number).values(state="abandoned")
        await connection.execute(given_up)
    return True


async def _claim(
    database: Database, plan: Plan, blueprint: Blueprint, load: Loader, warrant: Warrant, signer: Signer
) -> int:
    """Write the release and its journal, all steps waiting. Joins when another node has claimed the same plan."""
    async with database.migrate() as connection:
        await bring_up_to_date(connection)
        await _permit(connection, plan, warrant.bundle)
        pending = await connection.fetch_one(
            sa.select(release.c.number, release.c.plan_id).where(release.c.state == "pending")
        )
        if pending is not None:
            if pending[1] != plan.id:
                raise ChangeRunning(release=pending[0])
            return int(pending[0])
        base = await releases.current_in(connection)
        if base is not None and base.plan_id == plan.id:
            return base.number
        fresh = await _check(connection, plan, base, blueprint, load, warrant.consents)
        if warrant.objecting is not None:
            await warrant.objecting(connection, blueprint)
        return await _record(connection, fresh, plan.id, warrant, signer)


async def _permit(connection: Connection, plan: Plan, bundle: Bundle | None) -> None:
    """Under the lock, so that no database becomes production between the question and the change."""
    told = await declaration(connection)
    if told.environment is Environment.PRODUCTION:
        database_id = await connection.fetch_value(sa.select(platform.c.database_id))
        require_promotion(bundle, plan, told, database_id)


async def _check(
    connection: Connection,
    plan: Plan,
    base: Release | None,
    blueprint: Blueprint,
    load: Loader,
    consents: frozenset[str],
) -> Plan:
    """The same plan made afresh under the lock; refuses when it differs or lacks a consent."""
    found = base.number if base else 0
    if plan.base != found:
        raise PlanStale(planned=_named(plan.base), found=_named(found))
    fresh = await plan_in(connection, blueprint, load=load)
    if fresh.id != plan.id:
        raise PlanStale(planned=_named(plan.base), found=Bilingual("另一状态", "another state"))
    if fresh.blocked:
        raise PlanBlocked(reasons=_joined([each.text for each in fresh.blocked]))
    missing = sorted(set(fresh.needs) - consents)
    if missing:
        raise ConsentMissing(objects=", ".join(missing))
    return fresh


async def _record(connection: Connection, plan: Plan, plan_id: str, warrant: Warrant, signer: Signer) -> int:
    number = int(await connection.fetch_value(sa.select(sa.func.max(release.c.number))) or 0) + 1
    at = await connection.now()
    values: dict[str, Any] = {
        "number": number,
        "base": plan.base,
        "state": "pending",
        "digest": digest([plan.blueprint_digest, plan.catalog.to_json(), number]),
        "blueprint_digest": plan.blueprint_digest,
        "plan_id": plan_id,
        "sources": dict(plan.sources),
        "catalog": plan.catalog.to_json(),
        "compiler": _compiler(),
        "at": at,
        "live_at": None,
        "by": signer.by,
        "note": signer.note,
        "consents": sorted(warrant.consents & set(plan.needs)),
    }
    await connection.execute(sa.insert(release).values(**values))
    if warrant.bundle is not None:
        bundle = warrant.bundle
        kept = {"release": number, "digest": bundle.digest, "bundle": bundle.without_sources(), "at": at}
        await connection.execute(sa.insert(promotion).values(**kept))
    # What an earlier release still had to tighten is part of this plan if it is still wanted; what it still had to
    # complete is taken over.
    steps = [*plan.steps, *await _unfinished(connection, number)]
    await _supersede(connection, change.c.release < number)
    columns = [change.c[name] for name in _JOURNAL]
    await connection.execute_many(
        sa.insert(change).values({column.key: sa.bindparam(column.key, type_=column.type) for column in columns}),
        [
            {
                "release": number,
                "step": at,
                "phase": step.phase,
                "kind": step.kind,
                "object": step.object,
                "work": dict(step.work),
                "state": "waiting",
            }
            for at, step in enumerate(sorted(steps, key=_place), 1)
        ],
    )
    return number


async def _unfinished(connection: Connection, number: int) -> list[Step]:
    """Values that earlier releases still have to give, once no node runs what was before them."""
    columns = [change.c[name] for name in ("phase", "kind", "object", "work", "release")]
    query = sa.select(*columns).where(change.c.release < number, change.c.state == "waiting")
    query = query.where(change.c.phase == "contract", change.c.kind.in_(("carry", "fill")))
    return [
        Step(row[0], row[1], row[2], {"release": row[4], **row[3]})
        for row in await connection.fetch(query.order_by(change.c.release, change.c.step))
    ]


def _place(step: Step) -> int:
    """What is taken over comes first of all that waits for the nodes: later steps may set its table aside."""
    if step.phase != "contract":
        return 0
    return 1 if "release" in step.work else 2


_JOURNAL = ("release", "step", "phase", "kind", "object", "work", "state")


async def _supersede(connection: Connection, which: sa.ColumnElement[bool]) -> None:
    statement = sa.update(change).where(which, change.c.state == "waiting").values(state="superseded")
    await connection.execute(statement)


async def _run(database: Database, number: int, signer: Signer, told: tuple[OnStep, OnLive], filler: Filler) -> Release:
    """Do the waiting steps in order, each under the migration lock, until none is left or one has to wait."""
    waiting = 0  # the last step that has to wait; those after it are looked at all the same
    on_step, on_live = told
    runner = _Runner(number, signer, on_step, on_live, filler)
    while True:
        async with database.read() as connection:
            row = await _next_step(connection, number, waiting)
        if row is None:
            break
        if row[2] == "fill":
            # Rows only, beside the writers of a live system: whoever loses a race with them tries again.
            waits = await retry_write(partial(database.migrate, rows_only=True), partial(runner.do, row[0]))
        else:
            async with database.migrate() as connection:
                waits = await runner.do(row[0], connection)
        waiting = row[0] if waits else waiting
        on_step(f"{row[1]} {row[3]} committed")
    return await releases.numbered(database, number)


@dataclass(frozen=True, slots=True)
class _Runner:
    """Does one step of one release, or one batch of it."""

    number: int
    signer: Signer
    on_step: OnStep
    on_live: OnLive
    filler: Filler

    async def do(self, at: int, connection: Connection) -> bool:
        """Step `at`, unless somebody else was quicker. True when it has to wait."""
        row = await _next_step(connection, self.number, at - 1)
        if row is None or row[0] != at:
            return False
        step = Step(row[1], row[2], row[3], row[4])
        watched = _Watched(connection, f"{step.phase} {step.object}", self.on_step)
        outcome = await perform(watched, step, row[5], self.number, self.filler)
        if outcome.waiting and step.phase != "contract":
            raise NodesBehind(nodes=", ".join(outcome.waits_for))
        if step.kind == "swap":
            await _go_live(watched, self.number)
            await self.on_live(watched, self.number)
        await _write_down(watched, self.number, at, outcome, self.signer)
        if outcome.done and await _next_step(connection, self.number, 0) is None:
            await _settle(connection, self.number)
        return outcome.waiting


async def _next_step(connection: Connection, number: int, after: int) -> Sequence[Any] | None:
    columns = [change.c[name] for name in ("step", "phase", "kind", "object", "work", "progress")]
    query = sa.select(*columns).where(change.c.release == number, change.c.state == "waiting", change.c.step > after)
    return await connection.fetch_one(query.order_by(change.c.step).limit(1))


async def _write_down(connection: Connection, number: int, step: int, outcome: Outcome, signer: Signer) -> None:
    values: dict[str, Any] = {"node": signer.node, "progress": outcome.progress}
    if outcome.done:
        values |= {"state": "done", "done_at": await connection.now()}
    statement = sa.update(change).where(change.c.release == number, change.c.step == step)
    await connection.execute(statement.values(**values))


async def _go_live(connection: Connection, number: int) -> None:
    at = await connection.now()
    statement = sa.update(release).where(release.c.number == number, release.c.state == "pending")
    await connection.execute(statement.values(state="live", live_at=at))


async def _settle(connection: Connection, number: int) -> None:
    """Together with the last step: a crash after it would leave nothing to resume."""
    statement = sa.update(release).where(release.c.number == number, release.c.state == "live")
    await connection.execute(statement.values(state="settled"))


class _Watched:
    """A connection that tells `on_step` of every statement that changes something."""

    def __init__(self, connection: Connection, label: str, on_step: OnStep) -> None:
        self._connection, self._label, self._on_step, self._count = connection, label, on_step, 0
        self.dialect = connection.dialect
        self.fetch_one, self.fetch_value = connection.fetch_one, connection.fetch_value
        self.fetch_text, self.fetch_last, self.now = connection.fetch_text, connection.fetch_last, connection.now

    def _told(self) -> None:
        self._count += 1
        self._on_step(f"{self._label} {self._count}")

    async def fetch(self, statement: Any, args: Mapping[str, Any] = MappingProxyType({})) -> list[Row]:
        rows = await self._connection.fetch(statement, args)
        if isinstance(statement, sa.UpdateBase):
            self._told()
        return rows

    async def execute(self, statement: Any, args: Mapping[str, Any] | None = None) -> int:
        touched = await self._connection.execute(statement, args or {})
        self._told()
        return touched

    async def execute_many(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._connection.execute_many(statement, rows)
        self._told()

    async def copy_in(self, table: sa.Table, keys: Sequence[str], rows: Any) -> int:
        return await self._connection.copy_in(table, keys, rows)

    async def run_sql(self, sql: str) -> None:
        await self._connection.run_sql(sql)
        self._told()


def _named(number: int) -> Bilingual:
    if number:
        return Bilingual(f"发布 {number}", f"release {number}")
    return Bilingual("空数据库", "an empty database")


def _joined(texts: list[Bilingual]) -> Bilingual:
    return Bilingual("; ".join(each.zh for each in texts), "; ".join(each.en for each in texts))


def _compiler() -> str:
    try:
        return version("clew")
    except PackageNotFoundError:
        return "unknown"
