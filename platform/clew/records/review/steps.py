"""Steps of processes in the review: who decides one, and why a person can or cannot.

Of a step that is open on a record the answer is its tasks': whom they were offered to, who has taken them. Otherwise it
is whom the step would ask: the holders of its roles. Being asked is all it takes; no policy line stands behind it but
the step itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa

from clew.access.lines import Line
from clew.access.review.explain import Link, Tried, tests_of
from clew.access.review.processes import Asking, askings_of, others_asked, step_words
from clew.kernel.text import Bilingual
from clew.metadata.policies import DO, Clause
from clew.metadata.processes import STARTED, STARTER, Step, Workflow
from clew.records.judge import Judge
from clew.records.review.answer import NO_ACCOUNT, NO_GRANT, Reason, Standing, dormant
from clew.records.review.desk import Question
from clew.records.review.duty import excluded
from clew.records.review.people import Known
from clew.records.rows import Record
from clew.storage import identity_tables, process_tables

if TYPE_CHECKING:
    from clew.records.review.standing import Standings

_t, _c = process_tables.task, process_tables.task_candidate
_log, _p = process_tables.process_log, process_tables.process


@dataclass(frozen=True, slots=True)
class _Task:
    """An open task of the step about a record. `people` are whom it is offered to."""

    process: UUID
    status: str
    assignee: UUID | None
    people: frozenset[UUID]

    def of(self, person: UUID) -> bool:
        return self.assignee == person if self.assignee is not None else person in self.people


class Deciding:
    """Who decides a step, for the standings that ask."""

    def __init__(self, standings: Standings) -> None:
        self._standings = standings

    async def can(self, known: Known, question: Question, record: Record | None) -> Standing:
        """With its chain: assignment, role, the step that names it, the condition under which it does, the site."""
        desk, connection, at = self._standings.desk, self._standings.connection, self._standings.at
        blueprint = desk.engine.blueprint
        name, path = question.step or ("", "")
        workflow = blueprint.workflows[name]
        step = workflow.step(path)
        asked = list(askings_of(blueprint, workflow, step))
        judge = desk.judge(connection, known, at)
        links = await self._standings.tried(self._chains(known, question, asked), judge, known, question, record)
        if record is None:
            reasons = self._in_general(known, step, links, others_asked(blueprint, workflow, step))
        else:
            reasons = [each async for each in self._on(known, question, workflow, step, links, judge, record)]
        return Standing(
            known,
            question,
            not reasons,
            tuple(links),
            (),
            tuple(reasons),
            () if links else tuple(dict.fromkeys(each.role for each in asked)),
            step_words(Asking(workflow, step, "")),
        )

    def _chains(self, known: Known, question: Question, asked: Sequence[Asking]) -> list[Link]:
        links = []
        for holding in known.holdings:
            for each in asked:
                if holding.role != each.role or holding.role not in self._standings.desk.policies.roles:
                    continue
                clause = Clause(each.place, each.condition, each.condition.source if each.condition else "always")
                line = Line(0, each.role, question.entity.name, question.action, "allow", (clause,), own_sites=True)
                tests = tests_of(self._standings.desk.judgement, line, holding)
                links.append(Link(holding, (each.role,), line, tuple(Tried(test, None, {}) for test in tests)))
        return links

    # ── without a record ──────────────────────────────────────────────────────────────────────────────────────────

    def _in_general(self, known: Known, step: Step, links: Sequence[Link], also: Sequence[Bilingual]) -> list[Reason]:
        if not known.account.active:
            return [NO_ACCOUNT]
        if any(each.holding.force == "in force" for each in links):
            return [*self._among(known, step), *self._signature(known, step)]
        if links:
            return [dormant(each.holding) for each in links]
        if also:
            zh, en = "、".join(each.to("zh") for each in also), ", ".join(each.to("en") for each in also)
            return [Reason("by_case", Bilingual(f"该步骤按个案询问:{zh}", f"whom it asks depends on the case: {en}"))]
        return [NO_GRANT]

    def _among(self, known: Known, step: Step) -> list[Reason]:
        """Whoever votes is also a member of the board, where the step says so."""
        among = step.approval.among if step.approval is not None else ""
        if not among or among in known.roles:
            return []
        return [Reason("no_grant", Bilingual(f"不同时担任 {among}", f"they are not {among} besides"))]

    def _signature(self, known: Known, step: Step) -> list[Reason]:
        if step.sign is None or step.sign in self._standings.desk.decision(known).signs:
            return []
        zh, en = f"不具备签名含义“{step.sign}”", f"no role of theirs may sign with meaning {step.sign}"
        return [Reason("signature", Bilingual(zh, en))]

    # ── on a record ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _on(
        self,
        known: Known,
        question: Question,
        workflow: Workflow,
        step: Step,
        links: Sequence[Link],
        judge: Judge,
        record: Record,
    ) -> AsyncIterator[Reason]:
        """What stands in the way of deciding it now; nothing where a task of it is this person's to decide."""
        if not known.account.active:
            yield NO_ACCOUNT
            return
        tasks = await self._tasks(workflow, step, record["id"])
        if not tasks:
            yield Reason("not_there", Bilingual("该步骤目前未对该记录打开", "this step is not open on the record now"))
        mine = [each for each in tasks if each.of(known.account.id) or self._stands_in(known, each, links)]
        for each in [] if mine else tasks[:1]:
            async for reason in self._not_asked(known, workflow, step, links, each):
                yield reason
        if mine and all(each.status == "held" for each in mine):
            yield Reason("held", Bilingual("等待他人先处理", "others have to decide first"))
        for reason in self._signature(known, step):
            yield reason
        for text in await self._excluded(known, question, step, judge, record):
            yield Reason("duty", text)

    async def _excluded(
        self, known: Known, question: Question, step: Step, judge: Judge, record: Record
    ) -> list[Bilingual]:
        """Earlier duties that exclude them from every move that deciding the step can make."""
        desk, connection, entity = self._standings.desk, self._standings.connection, question.entity
        reached = {state for moment, state in step.states.items() if moment != STARTED}
        found: list[Bilingual] = []
        for name, each in entity.transitions.items():
            if each.target in reached and record.get("state") in each.sources:
                act = Question(entity, DO + name)
                texts = [text async for text in excluded(desk, connection, judge, known, act, record)]
                if not texts:
                    return []
                found += texts
        return list(dict.fromkeys(found))

    async def _tasks(self, workflow: Workflow, step: Step, record: UUID) -> list[_Task]:
        fetch = self._standings.connection.fetch
        query = sa.select(_t.c.id, _t.c.process, _t.c.status, _t.c.assignee).where(
            _t.c.record_id == record,
            _t.c.workflow == workflow.name,
            _t.c.step == step.path,
            _t.c.kind.in_(("task", "vote", "added")),
            _t.c.status.in_(("open", "held")),
        )
        found = []
        for task, process, status, assignee in await fetch(query):
            people = await fetch(sa.select(_c.c.person).where(_c.c.task == task))
            found.append(_Task(process, status, assignee, frozenset(row[0] for row in people)))
        return found

    def _stands_in(self, known: Known, task: _Task, links: Sequence[Link]) -> bool:
        """Whether the task is of somebody who lent this person the role that it asks for."""
        lenders = {
            each.holding.delegator
            for each in links
            if each.holding.kind == "delegation" and each.holding.force == "in force" and each.holds
        }
        return any(each is not None and task.of(each) for each in lenders)

    async def _not_asked(
        self, known: Known, workflow: Workflow, step: Step, links: Sequence[Link], task: _Task
    ) -> AsyncIterator[Reason]:
        before = await self._acted(known, task.process, step)
        if before is not None:
            label = Bilingual("发起", "starting it") if before == STARTER else workflow.step(before).label
            zh, en = f"曾处理“{label.to('zh')}”,须由他人处理", f"they did “{label.to('en')}”, so somebody else must"
            yield Reason("apart", Bilingual(zh, en))
        holding = [each for each in links if each.holding.force == "in force"]
        if before is None and task.assignee is not None and (holding or known.account.id in task.people):
            who = await self._login(task.assignee)
            yield Reason("taken", Bilingual(f"已由 {who} 领取", f"{who} has taken it"))
        elif any(each.holds for each in holding) and before is None:
            reasons = self._among(known, step)
            text = Bilingual("该个案未询问此人", "this case does not ask them")
            for reason in reasons or [Reason("not_asked", text)]:
                yield reason
        elif holding and before is None:
            for each in holding:
                zh, en = f"条件不成立:{each.line.place}", f"a condition does not hold: {each.line.place}"
                yield Reason("condition", Bilingual(zh, en))
        elif not holding:
            for each in links:
                yield dormant(each.holding)
            if not links:
                yield NO_GRANT

    async def _acted(self, known: Known, process: UUID, step: Step) -> str | None:
        """What they did of the same case that this step is kept apart from."""
        value = self._standings.connection.fetch_value
        for path in step.apart:
            if path == STARTER:
                query = sa.select(_p.c.id).where(_p.c.id == process, _p.c.starter == known.account.id)
            else:
                query = sa.select(_log.c.id).where(
                    _log.c.process == process,
                    _log.c.step == path,
                    _log.c.what == "decide",
                    sa.or_(_log.c.actor == known.account.id, _log.c.behalf == known.account.id),
                )
            if await value(query.limit(1)) is not None:
                return path
        return None

    async def _login(self, account: UUID) -> str:
        query = sa.select(identity_tables.account.c.login).where(identity_tables.account.c.id == account)
        return str(await self._standings.connection.fetch_value(query) or account)
