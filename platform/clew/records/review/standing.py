"""Who can do something to a record now, and why one person can or cannot.

The answer is the decision's own, asked of the same judge that commands ask; the chain beside it says what it is made
of. Where the two could ever disagree, the decision's answer is the one that is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from clew.access.review.explain import Link, Test, Tried, lines_for, roles_that_could, tests_of, way_to
from clew.access.review.matrix import action_words, field_words
from clew.access.review.processes import others_asked
from clew.access.review.words import in_words
from clew.expressions.check import check
from clew.expressions.problems import ExpressionError
from clew.expressions.tree import Checked, Member, Name, walk
from clew.kernel.text import Bilingual
from clew.metadata.policies import DO
from clew.metadata.schema import BlueprintSchema
from clew.records.judge import Judge
from clew.records.review.answer import NO_ACCOUNT, NO_GRANT, Reason, Standing, dormant, forbidden
from clew.records.review.connectors import connector_standing
from clew.records.review.desk import ConnectorQuestion, Question, ReviewDesk, grant_for
from clew.records.review.duty import excluded
from clew.records.review.names import Names
from clew.records.review.people import Known
from clew.records.review.steps import Deciding
from clew.records.rows import Record
from clew.records.unit import frozen
from clew.storage import process_tables
from clew.storage.engine import Connection


class Standings:
    """Asks for one release at one moment on one connection."""

    def __init__(self, desk: ReviewDesk, connection: Connection, at: datetime) -> None:
        self.desk, self.connection, self.at = desk, connection, at
        self._schema = BlueprintSchema.of(desk.engine.blueprint)
        self._names = Names(desk.engine, connection)
        self._deciding = Deciding(self)

    async def can(self, known: Known, question: Question | ConnectorQuestion, record: Record | None = None) -> Standing:
        """With its whole chain. Without a record: as far as that can be said without one."""
        if isinstance(question, ConnectorQuestion):
            return connector_standing(self.desk, known, question)
        if question.step is not None:
            return await self._deciding.can(known, question, record)
        judge = self.desk.judge(self.connection, known, self.at)
        links, forbids = self._chains(known, question)
        tried = await self.tried([*links, *forbids], judge, known, question, record)
        links, forbids = tried[: len(links)], tried[len(links) :]
        allowed = await self._allowed(judge, known, question, record)
        reasons = [] if allowed else self._why_not(known, question, links, forbids)
        if record is not None:
            allowed, more = await self._as_it_stands(allowed, judge, known, question, record)
            reasons += more
        could = () if links else roles_that_could(self.desk.judgement, question.entity.name, self._asked(question))
        allowed, words = allowed and not reasons, self._words(question)
        return Standing(known, question, allowed, tuple(links), tuple(forbids), tuple(reasons), could, words)

    def _words(self, question: Question) -> Bilingual:
        if question.field:
            return field_words(question.entity, question.action, question.field)
        return action_words(self.desk.engine.blueprint, question.entity, question.action)

    async def who_can(
        self, people: Sequence[Known], question: Question | ConnectorQuestion, record: Record | None = None
    ) -> list[Standing]:
        """Everybody who can now, by login."""
        found = []
        for known in people:
            if self._might(known, question):
                standing = await self.can(known, question, record)
                if standing.allowed:
                    found.append(standing)
        return found

    def also(self, question: Question | ConnectorQuestion) -> tuple[Bilingual, ...]:
        """Whom a step asks otherwise than by a role."""
        if isinstance(question, ConnectorQuestion) or question.step is None:
            return ()
        workflow = self.desk.engine.blueprint.workflows[question.step[0]]
        return others_asked(self.desk.engine.blueprint, workflow, workflow.step(question.step[1]))

    def _might(self, known: Known, question: Question | ConnectorQuestion) -> bool:
        """Whether it is worth asking. A step may ask people whatever their roles."""
        if not known.account.active:
            return False
        if isinstance(question, ConnectorQuestion) or question.step is not None:
            return True
        return bool(known.roles) and all(each.allowed for each in grant_for(self.desk.decision(known), question))

    # ── chains ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _asked(self, question: Question) -> str:
        if not question.field:
            return question.action
        return self.desk.judgement.asked(question.entity.name).question(question.action, question.field)

    def _chains(self, known: Known, question: Question) -> tuple[list[Link], list[Link]]:
        links: list[Link] = []
        forbids: list[Link] = []
        policies = self.desk.policies
        for holding in known.holdings:
            if holding.role not in policies.roles:
                continue
            allows, denies = lines_for(self.desk.judgement, holding, question.entity.name, self._asked(question))
            for lines, into in ((allows, links), (denies, forbids)):
                for line in lines:
                    tests = tests_of(self.desk.judgement, line, holding)
                    way = way_to(policies, holding.role, line.role)
                    into.append(Link(holding, way, line, tuple(Tried(test, None, {}) for test in tests)))
        return links, [each for each in forbids if each.holding.force == "in force"]

    async def tried(
        self, links: Sequence[Link], judge: Judge, known: Known, question: Question, record: Record | None
    ) -> list[Link]:
        """The same chains with what each condition came to."""
        found: list[Link] = []
        for link in links:
            tried = []
            for each in link.tried:
                holds: bool | None = True if each.test.condition is None else None
                values: dict[str, Any] = {}
                names: dict[str, Any] = {}
                if each.test.condition is not None and record is not None:
                    holds = await judge.holds(each.test.condition, question.entity, record)
                    values, kinds = await self._values(judge, known, question, record, each.test)
                    names = await self._names.of(values, kinds)
                tried.append(Tried(each.test, holds, values, names))
            found.append(replace(link, tried=tuple(tried)))
        return found

    async def _values(
        self, judge: Judge, known: Known, question: Question, record: Record, test: Test
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """What the condition read: its paths over the record and facts of the person; and of which entity these are."""
        assert test.condition is not None
        found: dict[str, Any] = {}
        kinds: dict[str, str] = {}
        for path in sorted(test.condition.reads):
            expression = self._path(".".join(path), question.entity.name)
            if expression is not None:
                name = ".".join(path)
                found[name] = await judge.value(expression, question.entity, record)
                kinds[name] = next(iter(expression.type.entities), "")
        for node in walk(test.condition.root):
            if isinstance(node, Member) and isinstance(node.of, Name) and node.of.name == "user":
                found[f"user.{node.name}"] = known.person.fact(node.name)
                kinds[f"user.{node.name}"] = node.name.partition("@")[0].removesuffix("s")
        return found, kinds

    def _path(self, path: str, entity: str) -> Checked | None:
        """A path that has one value; lists and states of the past have none."""
        try:
            found = check(path, self._schema, entity)
        except ExpressionError:
            return None
        return found if "sql" in found.runs_in and str(found.type.base) not in ("list", "json") else None

    # ── the answer ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _allowed(self, judge: Judge, known: Known, question: Question, record: Record | None) -> bool:
        if not known.account.active:
            return False
        decision = self.desk.decision(known)
        grants = list(grant_for(decision, question))
        if record is None:
            return all(each.allowed for each in grants)
        sees = decision.on(question.entity.name).read
        if question.process is not None and question.process[1] != "start":
            # Whoever oversees the process needs not read its record.
            grants += [] if decision.process(question.process[0]).oversee.allowed else [sees]
        elif question.rows != "create":
            grants.append(sees)
        for each in grants:
            if not each.always and not await judge.granted(each, question.entity, record):
                return False
        return all(each.allowed for each in grants)

    def _why_not(
        self, known: Known, question: Question, links: Sequence[Link], forbids: Sequence[Link]
    ) -> list[Reason]:
        if not known.account.active:
            return [NO_ACCOUNT]
        hit = [each for each in forbids if each.holds]
        if hit:
            return [forbidden(each) for each in hit]
        mine = [each for each in links if each.holding.force == "in force"]
        if not mine:
            resting = [each.holding for each in links]
            if resting:
                return [dormant(each) for each in resting]
            return [NO_GRANT]
        if any(each.holds for each in mine):
            read = Bilingual("无权查看该记录", "they do not see this record")
            return [Reason("not_visible", read)]
        return [
            Reason("condition", _at("条件不成立", "a condition does not hold", each)) for each in mine if not each.holds
        ]

    async def _as_it_stands(
        self, allowed: bool, judge: Judge, known: Known, question: Question, record: Record
    ) -> tuple[bool, list[Reason]]:
        """What the record itself does not let anybody do now."""
        entity, rows = question.entity, question.rows
        found: list[Reason] = []
        changes = rows in ("update", "void") or rows.startswith(DO)
        if changes and record.get("voided_at") is not None:
            found.append(Reason("void", Bilingual("该记录已作废", "the record is void")))
        if rows in ("update", "void") and frozen(entity, record.get("state")):
            found.append(Reason("frozen", Bilingual("该记录已定稿", "the record is frozen")))
        if entity.derived and rows in ("create", "update", "void"):
            found.append(Reason("derived", Bilingual("该实体的记录仅由过账产生", "its rows come only from postings")))
        if rows.startswith(DO):
            found += await self._transition(judge, known, question, record)
        if question.process is not None:
            found += await self._process(question.process, record)
        if not question.field:
            excluding = excluded(self.desk, self.connection, judge, known, question, record)
            found += [Reason("duty", each) async for each in excluding]
        return allowed and not found, found

    async def _process(self, asked: tuple[str, str], record: Record) -> list[Reason]:
        """Of a record one process of a kind lives at a time; what does not live cannot be cancelled."""
        workflow, action = asked
        process = process_tables.process.c
        about = (process.record_id == record["id"], process.workflow == workflow)
        live = sa.select(process.id).where(*about, process.status.in_(("running", "suspended")))
        lives = await self.connection.fetch_value(live) is not None
        if action == "start" and lives:
            return [Reason("running", Bilingual("该流程已在运行", "this process runs about it already"))]
        if action == "cancel" and not lives:
            return [Reason("not_running", Bilingual("没有正在运行的流程", "no such process runs about it"))]
        return []

    async def _transition(self, judge: Judge, known: Known, question: Question, record: Record) -> list[Reason]:
        entity = question.entity
        move = entity.transitions[question.action.removeprefix(DO)]
        words = action_words(self.desk.engine.blueprint, entity, question.action)
        found: list[Reason] = []
        if record.get("state") not in move.sources:
            now = entity.states[record["state"]].label if record.get("state") in entity.states else Bilingual()
            zh, en = (
                f"当前状态“{now.to('zh')}”不能{words.to('zh')}",
                f"state “{now.to('en')}” does not allow {words.to('en')}",
            )
            found.append(Reason("state", Bilingual(zh, en)))
        if move.when is not None and not await judge.holds(move.when, entity, record):
            said = in_words(self.desk.engine.blueprint, move.when)
            found.append(Reason("guard", Bilingual(f"前提不成立:{said.zh}", f"its condition does not hold: {said.en}")))
        if move.sign is not None and move.sign not in self.desk.decision(known).signs:
            zh, en = f"不具备签名含义“{move.sign}”", f"no role of theirs may sign with meaning {move.sign}"
            found.append(Reason("signature", Bilingual(zh, en)))
        return found


def _at(zh: str, en: str, link: Link) -> Bilingual:
    return Bilingual(f"{zh}:{link.line.place}", f"{en}: {link.line.place}")
