"""Replay: a kept decision evaluated again with what was known then, and beside it with what is known now.

Then: the release it was made under, the person's roles and facts as kept, every record as the history has it at that
moment. Now: the newest release, the person's present roles, the records as they are. What differs is named: the
outcome, a check, a fact, a rule, a role, the policy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import Decision
from clew.kernel.canonical import wire
from clew.kernel.context import Context, Person
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity
from clew.records.decisions.evaluate import Answer, Case, Evaluation, Verdict, key_of
from clew.records.decisions.stored import Stored
from clew.records.duties import at_the_door
from clew.records.engine import Engine
from clew.records.rows import Record
from clew.records.signing.verify import Verifier
from clew.records.values import plain
from clew.storage.engine import Connection
from clew.storage.types import Id, Instant, Integer

_MOMENT = timedelta(microseconds=1)
Decide = Callable[[Context], Decision]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was. `what`: outcome, check, fact, rule, role, policy, release, record."""

    what: str
    name: str
    then: Any
    now: Any


@dataclass(frozen=True, slots=True)
class Replay:
    """A decision, replayed. `faithful`: the replay with what was known then has the outcome that was kept."""

    decision: Stored
    then: Verdict
    now: Verdict | None
    differences: tuple[Difference, ...]
    unfaithful: tuple[str, ...]
    """Checks whose answer then is not the one that was kept, or a body that was changed: nothing of the kind should
    ever be here."""

    @property
    def faithful(self) -> bool:
        return not self.unfaithful and self.then.outcome == self.decision.outcome


class Replayer:
    """Replays decisions of one database, from the release that is served."""

    def __init__(
        self,
        engine: Engine,
        decide: Callable[[Blueprint], Decide],
        person_now: Callable[[Connection, UUID], Awaitable[Person | None]],
        exempt: frozenset[UUID] = frozenset(),
    ) -> None:
        """`decide` makes what a release decides by; `person_now` finds who an account is today; `exempt` are accounts
        that no separation binds."""
        self._exempt = exempt
        self._engine, self._decide, self._person_now = engine, decide, person_now
        self._releases = Verifier(engine)
        self._deciding: dict[str, Decide] = {}

    async def replay(self, connection: Connection, decision: Stored) -> Replay:
        said = decision.said()
        then_engine = await self._engine_of(connection, str(said["blueprint"]))
        if then_engine is None or decision.entity not in then_engine.blueprint.entities:
            kept = tuple(_recorded(each) for each in said["checks"])
            then = Verdict(decision.release, decision.policy, kept)
            return Replay(decision, then, None, (), (_GONE.to("en"),))
        then = await self._then(connection, decision, said, then_engine)
        now_person = await self._person_now(connection, decision.account)
        now = await self._now(connection, decision, said, now_person)
        wrong = [] if decision.whole else ["the kept decision has been changed"]
        wrong += _unlike(said["checks"], then)
        differences = [*_roles(said, now_person), *_differences(decision, then, now)]
        return Replay(decision, then, now, tuple(differences), tuple(wrong))

    # ── then ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _then(self, connection: Connection, decision: Stored, said: Mapping[str, Any], engine: Engine) -> Verdict:
        entity = engine.blueprint.entities[decision.entity]
        context, allowed = decision.context(), decision.outcome == "allowed"
        before = await _version(connection, engine, entity, decision, decision.row_version)
        after = None
        if allowed and decision.action != "correct":
            after = await _version(connection, engine, entity, decision, decision.row_version + 1)
        case = Case(
            entity,
            decision.action,
            context.person,
            decision.at,
            before,
            after,
            tuple(said["given"]),
            bool(said["reason"]),
            bool(said["elevated"]),
            decision.at - _MOMENT if allowed else decision.at,
            decision.at,
            _behalf(said),
            decision.outcome,
            decision.at,
            self._unbound(context),
        )
        found = await self._evaluation(engine, context, connection).verdict(case)
        return replace(found, release=decision.release, answers=tuple(_completed(said["checks"], found.answers)))

    # ── now ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _now(
        self, connection: Connection, decision: Stored, said: Mapping[str, Any], person: Person | None
    ) -> Verdict | None:
        """What the same wish would meet today; None when there is no such action or entity any more."""
        engine = self._engine
        entity = engine.blueprint.entities.get(decision.entity)
        if entity is None:
            return None
        context = decision.context()
        if person is not None:
            context = replace(context, person=person)
        statements = engine.statements.of(entity.name)

        def build() -> Any:
            return statements.select.where(statements.current.c.id == sa.bindparam("of_id", type_=Id()))

        row = await connection.fetch_one(
            engine.remember(("present record", entity.name), build), {"of_id": decision.record_id}
        )
        before = statements.shape.record(row) if row is not None else None
        case = Case(
            entity,
            decision.action,
            context.person,
            await connection.now(),
            before,
            None,
            tuple(said["given"]),
            bool(said["reason"]),
            bool(said["elevated"]),
            on_behalf_of=_behalf(said),
            decided=decision.at,
            exempt=self._unbound(context),
        )
        return await self._evaluation(engine, context, connection).verdict(case)

    def _unbound(self, context: Context) -> frozenset[UUID]:
        return frozenset() if at_the_door(context) else self._exempt

    def _evaluation(self, engine: Engine, context: Context, connection: Connection) -> Evaluation:
        inspection = self._releases.inspect(connection)
        return Evaluation(engine, self._decision_of(engine, context), connection, inspection)

    # ── releases ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _engine_of(self, connection: Connection, blueprint: str) -> Engine | None:
        inspection = self._releases.inspect(connection)
        rows, _ = await inspection.release(blueprint)
        return await self._releases.engine_of(blueprint, rows) if rows else None

    def _decision_of(self, engine: Engine, context: Context) -> Decision:
        digest = engine.blueprint.digest
        if digest not in self._deciding:
            self._deciding[digest] = self._decide(engine.blueprint)
        return self._deciding[digest](context)


async def _version(
    connection: Connection, engine: Engine, entity: Entity, decision: Stored, row_version: int
) -> Record | None:
    """A version of the record from the history, as it stood when it was decided; void while the caller found none
    (version 0)."""
    statements = engine.statements.of(entity.name)
    history = statements.history

    def build() -> Any:
        mine = history.c.id == sa.bindparam("of_id", type_=Id())
        mine = sa.and_(mine, history.c.row_version == sa.bindparam("of_version", type_=Integer()))
        begun = history.c.tx_from <= sa.bindparam("decided", type_=Instant())
        columns = (history.c[key] for key in statements.shape.keys)
        return sa.select(*columns).where(mine, begun).order_by(history.c.tx_from.desc()).limit(1)

    statement = engine.remember(("decided version", entity.name), build)
    asked = {"of_id": decision.record_id, "of_version": row_version, "decided": decision.at}
    row = await connection.fetch_one(statement, asked)
    return statements.shape.record(row) if row is not None else None


def _behalf(said: Mapping[str, Any]) -> UUID | None:
    return UUID(said["on_behalf_of"]) if said["on_behalf_of"] else None


def _recorded(kept: Mapping[str, Any]) -> Answer:
    return Answer(
        kept["kind"],
        kept["name"],
        kept["held"],
        kept["stage"],
        tuple(kept["conditions"]),
        kept["facts"],
        tuple(kept["rules"]),
        again=False,
    )


def _completed(kept: Sequence[Mapping[str, Any]], found: Sequence[Answer]) -> list[Answer]:
    """The answers found, and those kept that cannot be asked again: of what never came to be, of other rooms, of a
    secret that was typed."""
    answers: dict[tuple[str, str, str], Answer] = {each.key: each for each in found}
    for each in kept:
        old = _recorded(each)
        if old.key not in answers or not answers[old.key].again:
            answers[old.key] = old
    return list(answers.values())


def _unlike(kept: Sequence[Mapping[str, Any]], then: Verdict) -> list[str]:
    wrong: list[str] = []
    for each in kept:
        answer = then.answer(key_of(each["kind"], each["name"], each["stage"], each["conditions"]))
        if answer is None or answer.held != each["held"]:
            because = f": {answer.why.to('en')}" if answer is not None and answer.why else ""
            wrong.append(f"{each['kind']} {each['name']} answers differently{because}")
        elif answer.again and answer.kind != "signature" and wire(plain(answer.facts)) != each["facts"]:
            wrong.append(f"{each['kind']} {each['name']} reads other facts than were kept")
    return wrong


def _roles(said: Mapping[str, Any], now: Person | None) -> list[Difference]:
    if now is None:
        return []
    then, held = set(said["person"]["roles"]), set(now.roles)
    found = [Difference("role", name, name in then, name in held) for name in sorted(then ^ held)]
    sites = sorted(str(each) for each in now.sites)
    if sites != sorted(said["person"]["sites"]):
        found.append(Difference("role", "sites", sorted(said["person"]["sites"]), sites))
    return found


def _differences(decision: Stored, then: Verdict, now: Verdict | None) -> list[Difference]:
    if now is None:
        return [Difference("record", decision.entity, "there", "no longer in the project")]
    found: list[Difference] = []
    if then.outcome != now.outcome:
        found.append(Difference("outcome", decision.action, then.outcome, now.outcome))
    if decision.policy != now.policy:
        found.append(Difference("policy", "digest", decision.policy, now.policy))
    for answer in then.answers:
        later = now.answer(answer.key)
        if answer.stage == "after":
            continue
        if later is None and not answer.again:
            continue
        if later is None:
            found.append(Difference("rule", f"{answer.kind} {answer.name}", list(answer.conditions), None))
            continue
        if answer.held != later.held:
            found.append(Difference("check", f"{answer.kind} {answer.name}", answer.held, later.held))
        if answer.conditions != later.conditions:
            found.append(
                Difference("rule", f"{answer.kind} {answer.name}", list(answer.conditions), list(later.conditions))
            )
        found += _facts(answer, later)
    known = {each.key for each in then.answers}
    for later in now.answers:
        if later.key not in known:
            found.append(Difference("rule", f"{later.kind} {later.name}", None, list(later.conditions)))
    return found


def _facts(answer: Answer, later: Answer) -> list[Difference]:
    then, now = wire(plain(answer.facts)), wire(plain(later.facts))
    names = sorted({*then, *now})
    return [
        Difference("fact", name, then.get(name), now.get(name)) for name in names if then.get(name) != now.get(name)
    ]


_GONE = Bilingual("作出该决策的发布已无法读取", "the release it was made under cannot be read")
