"""Decides a regulated action again, by the rules of one release over the records of one moment.

The write path and this page ask the same questions; a property test holds their answers together. Separations are asked
of the duty ledger, signatures of the signatures that are stored. What cannot be asked again, because it left no record
(a secret that was wrong, an overlap with a row that never came to be), is taken over as it was answered then, and says
so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from clew.access.decision import NEVER, Decision, Grant
from clew.expressions.functions import SQL
from clew.expressions.tree import Checked
from clew.kernel.context import Person
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity
from clew.metadata.policies import DO
from clew.records.decisions.duties_again import apart
from clew.records.decisions.places import Places
from clew.records.decisions.signed_again import SignedAgain
from clew.records.decisions.trace import read_by
from clew.records.engine import Engine
from clew.records.judge import Judge, parts
from clew.records.signing.accounts import knows_signers
from clew.records.signing.verify import Inspection
from clew.records.unit import frozen, unchangeable
from clew.storage.engine import Connection
from clew.storage.expressions import Rows, condition_sql, value_sql
from clew.storage.types import Instant

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """One check, asked again (or taken over: `again` is False)."""

    kind: str
    name: str
    held: bool
    stage: str = "before"
    conditions: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[Mapping[str, Any], ...] = ()
    again: bool = True
    why: Bilingual = Bilingual()
    """What the answer stands on, where it is no condition: a stored signature, a duty."""

    @property
    def key(self) -> tuple[str, str, str]:
        return key_of(self.kind, self.name, self.stage, self.conditions)


def key_of(kind: str, name: str, stage: str, conditions: Sequence[str]) -> tuple[str, str, str]:
    """What makes two answers answers to the same question. Grants on several fields are told apart by what they say."""
    return kind, f"{name} {' | '.join(conditions)}" if name == "fields" else name, stage


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes out: every check that was asked, in order. It is allowed when all of them hold."""

    release: str
    policy: str
    answers: tuple[Answer, ...]

    @property
    def outcome(self) -> str:
        return "allowed" if all(each.held for each in self.answers) else "refused"

    def answer(self, key: tuple[str, str, str]) -> Answer | None:
        return next((each for each in self.answers if each.key == key), None)


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be decided. `before` is None when there is no such record at that moment; `after` is the record as the
    action made it, None when it never did."""

    entity: Entity
    action: str
    person: Person
    at: datetime
    before: Record | None
    after: Record | None
    given: tuple[str, ...] = ()
    reason: bool = False
    elevated: bool = False
    as_of: datetime | None = None
    """When the related records are looked at: a moment, or now."""
    after_as_of: datetime | None = None
    on_behalf_of: UUID | None = None
    outcome: str = ""
    """How it was decided then; empty when it is asked of today."""
    decided: datetime | None = None
    """When: what it wrote itself is no reason against it."""
    exempt: frozenset[UUID] = frozenset()
    """Accounts that no separation binds."""


class Evaluation:
    """Evaluates cases under one release for callers with one decision."""

    def __init__(self, engine: Engine, decision: Decision, connection: Connection, inspection: Inspection) -> None:
        self._engine, self._decision, self._connection = engine, decision, connection
        self._places = Places(engine.blueprint)
        self._signed = SignedAgain(engine, connection, inspection, self._holds)

    async def verdict(self, case: Case) -> Verdict:
        answers = [each async for each in self._asked(case)]
        return Verdict(self._engine.release, self._decision.digest, tuple(answers))

    async def _asked(self, case: Case) -> Any:
        entity, access = case.entity, self._decision.on(case.entity.name)
        if case.before is None:
            yield Answer("refusal", "NOT_FOUND", False)
            return
        kind, _, move = case.action.partition(":")
        if kind == "transition":
            async for each in self._transition(case, move):
                yield each
        elif kind == "void":
            yield await self._grant(case, access.void, "void")
            yield self._plain(case, "reason", "void", case.reason, given=case.reason)
            if "legal_hold" in entity.fields:
                held = case.before["legal_hold"]
                yield self._plain(case, "frozen", "void", not held, legal_hold=held)
        elif kind == "correct":
            yield await self._grant(case, access.correct, "correct")
            state = case.before.get("state")
            stands = "corrects" in entity.fields and frozen(entity, state)
            yield self._plain(case, "frozen", "correct", stands, state=state)
            yield self._plain(case, "reason", "correct", case.reason, given=case.reason)
        else:
            async for each in self._update(case):
                yield each
        if case.after is not None and kind != "correct":
            async for each in self._rules(case):
                yield each
        if kind != "correct":
            async for found in apart(self._engine, self._connection, case, self._holds):
                duty, earlier = found.duty, found.earlier
                yield self._plain(case, "separation", found.separation, found.held, duty=duty, earlier=earlier)

    async def _transition(self, case: Case, name: str) -> Any:
        move = case.entity.transitions.get(name)
        if move is None or case.before is None:
            yield Answer("refusal", "NOT_FOUND", False)
            return
        access = self._decision.on(case.entity.name)
        yield await self._grant(case, access.transitions.get(name, NEVER), DO + name)
        state = case.before.get("state")
        yield self._plain(case, "state", name, state in move.sources, state=state)
        if move.reason:
            yield self._plain(case, "reason", name, case.reason, given=case.reason)
        if move.when is not None:
            yield await self._condition(case, "guard", name, (move.when,), "before")
        if move.sign is not None:
            yield await self._signature(case, name, move.sign)

    async def _update(self, case: Case) -> Any:
        access = self._decision.on(case.entity.name)
        yield await self._grant(case, access.update, "update")
        state = case.before.get("state") if case.before is not None else None
        yield self._plain(case, "frozen", "update", not unchangeable(case.entity, state, case.given), state=state)
        grants = {
            id(each): each
            for name in case.given
            if (known := access.fields.get(name)) is not None and not (each := known.write).always
        }
        for each in grants.values():
            yield await self._grant(case, each, "fields")
        if case.after is not None:
            for each in grants.values():
                yield await self._grant(case, each, "fields", "after")
            yield await self._grant(case, access.update, "update", "after")

    async def _rules(self, case: Case) -> Any:
        for rule in case.entity.rules:
            if not rule.warn:
                yield await self._condition(case, "rule", rule.name, (rule.condition,), "after")

    async def _signature(self, case: Case, move: str, meaning: str) -> Answer:
        name = f"{move}:{meaning}"
        policies = self._engine.blueprint.policies
        if policies is None or not knows_signers(self._engine):
            # The project does not say who its people are: nobody here knows whose signatures count.
            held = policies is None or any(
                meaning in policies.roles[each].signs for each in case.person.roles if each in policies.roles
            )
            return self._plain(case, "signature", name, held, again=False)
        found = await self._signed.ask(case, move, meaning)
        answer = self._plain(case, "signature", name, found.held, again=found.again)
        return replace(answer, why=found.why)

    async def _holds(self, case: Case, conditions: Sequence[Checked], record: Record) -> bool:
        return await self._any(case, conditions, record, None, "before")

    async def _grant(self, case: Case, grant: Grant, name: str, stage: str = "before") -> Answer:
        rules = self._places.of("grant", name, case.entity, case.person.roles)
        if case.elevated or not grant.conditions:
            return Answer("grant", name, case.elevated or grant.allowed, stage, rules=tuple(rules))
        return await self._condition(case, "grant", name, grant.conditions, stage)

    async def _condition(self, case: Case, kind: str, name: str, conditions: Sequence[Checked], stage: str) -> Answer:
        record = case.before if stage == "before" else case.after
        assert record is not None
        old = None if stage == "before" else case.before
        read, _ = read_by(conditions, record)
        held = await self._any(case, conditions, record, old, stage)
        rules = self._places.of(kind, name, case.entity, case.person.roles)
        sources = tuple(each.source for each in conditions)
        return Answer(kind, name, held, stage, sources, read, tuple(rules))

    async def _any(
        self, case: Case, conditions: Sequence[Checked], record: Record, old: Record | None, stage: str
    ) -> bool:
        zone = ZoneInfo(self._engine.blueprint.project.time_zone)
        today = case.at.astimezone(zone).date()
        judge = Judge(self._engine, self._connection, case.person, case.at, today)
        for each in conditions:
            answer = judge.decide(each, case.entity, record, old)
            if answer is None:
                answer = await self._ask(each, case, judge, record, old, stage)
            if answer:
                return True
        return False

    async def _ask(
        self, condition: Checked, case: Case, judge: Judge, record: Record, old: Record | None, stage: str
    ) -> bool:
        """A condition over other records, as they were at the case's moment."""
        moment = case.as_of if stage == "before" else case.after_as_of
        if moment is None:
            return (await judge.conditions((condition,), case.entity, record, old))[0]
        tables, name = self._engine.tables, case.entity.name
        this = tables.history(name).alias("this")
        at = sa.bindparam("as_of", type_=Instant())
        rows = Rows(tables, self._engine.blueprint, name, this, tables.dialect, at)
        parts_asked = parts(condition, case.entity).asked if SQL not in condition.runs_in else ()
        columns = [value_sql(part, rows) for _, part in parts_asked] or [condition_sql(condition, rows)]
        statement = (
            sa.select(*(each.label(f"c{at}") for at, each in enumerate(columns)))
            .select_from(this)
            .where(this.c.id == sa.bindparam("this_id", type_=this.c.id.type), this.c.tx_from <= at, this.c.tx_to > at)
        )
        args = judge.arguments(case.entity, record, old)
        found = await self._connection.fetch_one(statement, {**args, "as_of": moment})
        if not parts_asked or found is None:
            return bool(found and found[0])
        said = {name: value for (name, _), value in zip(parts_asked, found, strict=True)}
        return judge.holds_with(condition, case.entity, record, old, said)

    def _plain(self, case: Case, kind: str, name: str, held: bool, again: bool = True, **read: Any) -> Answer:
        rules = self._places.of(kind, name, case.entity, case.person.roles)
        return Answer(kind, name, held, facts=read, rules=tuple(rules), again=again)
