"""Of the people who hold a role, those who may do something about one record: conditions and separations included.

Somebody is left out for nothing the caller could not find out by reading: a condition that reads what they do not see
leaves everybody in, and so does what somebody did before where they may not look at the record's trail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from clew.access.decision import Grant
from clew.api.blocked_case import Case
from clew.api.blocked_doers import Holder
from clew.identity.errors import NoAccount
from clew.metadata.policies import DO, process_question
from clew.records.review.desk import Question, ReviewDesk, grant_for
from clew.records.review.duty import excluded
from clew.records.review.people import Known
from clew.records.rows import Record


@dataclass(slots=True)
class Able:
    """Asked for one answer: each person and each question once."""

    case: Case
    desk: ReviewDesk | None
    _known: dict[str, Known | None] = field(default_factory=dict)
    _records: dict[tuple[str, str], Record | None] = field(default_factory=dict)
    _asked: dict[tuple[str, str, str, str, str], bool] = field(default_factory=dict)

    async def of(self, holders: Iterable[Holder], what: dict[str, Any], transition: str = "") -> list[str]:
        """The names of those who may do what an action or blocker says; `transition` is that of the case."""
        question, record = self._question(what, transition)
        found = []
        for each in dict.fromkeys(holders):
            if question is None or record is None or await self._may(each.login, question, record):
                found.append(each.name)
        return list(dict.fromkeys(found))

    def _question(self, what: dict[str, Any], transition: str) -> tuple[Question | None, tuple[str, str] | None]:
        """What is asked of the policies, and about which record; None where that is not one question."""
        entities, mine = self.case.blueprint.entities, (self.case.entity.name, str(self.case.id))
        there = (str(what.get("entity") or mine[0]), str(what.get("recordId") or ""))
        match what.get("kind"):
            case "move":
                return Question(entities[there[0]], f"{DO}{what['transition']}"), there
            case "fill" | "alter":
                return Question(entities[there[0]], "update", str(what["field"])), there
            case "retry" | "cancel" if what.get("workflow"):
                workflow = self.case.blueprint.workflows[what["workflow"]]
                asked = Question(entities[workflow.entity], process_question(workflow.name, "cancel"))
                return (asked, there) if there[0] == workflow.entity else (None, None)
            case "sign" | "signature" | None if transition:
                return Question(self.case.entity, f"{DO}{transition}"), mine
        return None, None

    async def _may(self, login: str, question: Question, about: tuple[str, str]) -> bool:
        key = (login, question.action, question.field, *about)
        if key not in self._asked:
            self._asked[key] = await self._ask(login, question, about)
        return self._asked[key]

    async def _ask(self, login: str, question: Question, about: tuple[str, str]) -> bool:
        known, record = await self._person(login), await self._record(about)
        if self.desk is None or known is None or record is None:
            return True
        decision = self.desk.decision(known)
        grants = [*grant_for(decision, question)]
        if question.process is None:
            grants.append(decision.on(question.entity.name).read)
        judge = self.desk.judge(self.case.connection, known, self.case.now)
        for each in grants:
            if not each.allowed:
                return False
            if (
                not each.always
                and self._told(each, question)
                and not await judge.granted(each, question.entity, record)
            ):
                return False
        if question.field or not self.case.call.caller.decision.on(question.entity.name).audit.always:
            return True
        async for _ in excluded(self.desk, self.case.connection, judge, known, question, record):
            return False
        return True

    def _told(self, grant: Grant, question: Question) -> bool:
        """Whether the caller sees all that the conditions read."""
        return all(self.case.shows(each, question.entity) for each in grant.conditions)

    async def _person(self, login: str) -> Known | None:
        if login not in self._known and self.desk is not None:
            try:
                self._known[login] = await self.desk.one(self.case.connection, login, self.case.now)
            except NoAccount:
                self._known[login] = None
        return self._known.get(login)

    async def _record(self, about: tuple[str, str]) -> Record | None:
        """A record that was told to the caller, or the one that was asked about."""
        if about not in self._records:
            engine = self.case.processes.commands.engine
            statements = engine.statements.of(about[0])
            chosen = statements.select.where(statements.current.c.id == UUID(about[1]))
            row = await self.case.connection.fetch_one(chosen) if about[1] else None
            self._records[about] = statements.shape.record(row) if row is not None else None
        return self._records[about]
