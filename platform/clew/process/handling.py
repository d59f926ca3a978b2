"""One command of one instance while it is handled: facts in, machine, effects out, in order, inside one unit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from clew.kernel.errors import ClewError
from clew.kernel.ids import id_of
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Entity
from clew.metadata.processes import Action, Step, Workflow
from clew.process import jobs, machine, parts, several, time, words
from clew.process.announce import announce, verb_of
from clew.process.behalf import asked_roles
from clew.process.checkpoints import clauses_of
from clew.process.effects import Effects, asked_for, locked
from clew.process.errors import NotYourTask
from clew.process.facts import Inquiry
from clew.process.in_use import begin_where_used
from clew.process.reach import ADDRESSEES, Reached, reach, role_line
from clew.process.staff import Demand
from clew.process.state import State, Token
from clew.process.store import Instance
from clew.process.words import Command, Effect
from clew.process.writes import Writes
from clew.records import verbs
from clew.records.decisions.tables import answer
from clew.records.errors import SignatureRequired
from clew.records.gathering import beside
from clew.records.notices import Notice
from clew.records.rows import Record
from clew.records.unit import Unit

if TYPE_CHECKING:
    from clew.process.engine import Processes

_BY_PEOPLE = (
    words.Claim,
    words.Unclaim,
    words.Decide,
    words.AddSigner,
    words.Transfer,
    words.SendBack,
    words.Withdraw,
    words.Urge,
    words.Copy,
    words.Cancel,
    words.Suspend,
    words.Resume,
    words.RetryIncident,
)


@dataclass(slots=True)
class Handling:
    engine: Processes
    unit: Unit
    workflow: Workflow
    instance: Instance
    state: State = field(init=False)
    effects: Effects = field(init=False)
    told: list[str] = field(init=False, default_factory=list)
    """Accounts that were told something."""
    writes: Writes = field(init=False)
    stuck: dict[int, ClewError] = field(init=False, default_factory=dict)
    """Tokens whose clocks do not run, and why."""

    def __post_init__(self) -> None:
        self.state = self.instance.state
        self.writes = Writes(self.unit, self.workflow, self.instance)
        self.effects = Effects(self.unit, self.workflow, self._start, self._notify, self.engine.plugins)

    async def run(self, command: Command, given: Mapping[str, Any]) -> None:
        """A command and everything that follows from it in this transaction."""
        if isinstance(command, words.Decide):
            await self._before(command, given)
        waiting, began = [command], self.state
        while waiting:
            now = waiting.pop(0)
            facts = words.NO_FACTS
            wanted = machine.wanted(self.workflow, self.state, now)
            if wanted is not None:
                who = self.workflow.step(wanted.step).who
                if who is not None and who.least_loaded:
                    await self.write()  # what this command has given them counts
                person = now.person if isinstance(now, words.Transfer | words.AddSigner) else None
                facts = await self.inquiry.facts(wanted, person)
            result = machine.step(self.workflow, self.state, now, facts)
            before, self.state = self.state, result.state
            self._log(now, before)
            for effect in result.effects:
                if isinstance(effect, words.Advance):
                    waiting.append(words.Enter(effect.token, instant_text(self.unit.at)))
                elif isinstance(effect, words.Offer) and effect.token in self.state.unasked():
                    # A step that cannot begin now stands in the way of nothing else.
                    await jobs.ask_offer(beside(self.unit.connection), self.instance.id, effect.why, effect.token)
                elif isinstance(effect, words.Offer):
                    waiting.append(words.Reoffer(effect.token, instant_text(self.unit.at), effect.why))
                else:
                    await self._carry_out(effect)
        await time.follow(self, began)
        await self.tell_stuck()
        self.writes.touched(self.unit.touched or ())
        await self.write()
        announce(self.unit, self.instance, verb_of(command, self.state), began, self.told)

    async def write(self) -> None:
        """Store what has become of the instance."""
        if self.unit.gathering is not None:
            self.unit.gathering.no_more(self)
        self.instance = await self.writes.write(self.state)

    async def _before_anybody_looks(self) -> None:
        """Store it now, or before the next question to the database."""
        if self.unit.gathering is None:
            await self.write()
        else:
            self.unit.gathering.before(self, self.write)

    async def _before(self, command: words.Decide, given: Mapping[str, Any]) -> None:
        """Is it theirs to decide; their signature on what they saw; then what they filled in, so that the guard of the
        step's end sees it. Whatever is refused later undoes this too."""
        task = self.state.tasks.get(command.task)
        token = self.state.tokens.get(task.token) if task is not None else None
        if task is None or token is None or task.kind == "copy":
            return
        machine.may_decide(self.workflow, self.state, command)
        actor, lender = self.unit.context.person, self.unit.context.on_behalf_of
        if not await self.inquiry.still_asks(command.task, actor.id, lender.id if lender is not None else None):
            raise NotYourTask
        asked_for(self.workflow.step(task.step), given)
        await self.effects.vote(self.workflow.step(task.step), command.outcome, token.subject)
        await self._sign(command)
        if given:
            record = id_of(token.subject.id)
            step, entity = self.workflow.step(task.step), self.unit.engine.blueprint.entities[token.subject.entity]
            row = await locked(self.unit, entity, record)
            vote, before = several.Vote(step, self.state, token, command.task, command.outcome, entity), dict(row)
            await vote.refuse_lists(self.unit, row, given)
            if step.layout is not None:
                await self.effects.frozen(step, entity, row, given)
            with self.effects.at(step.path):
                filled = await self.effects.reasoned(
                    lambda: verbs.fill(self.unit, token.subject.entity, record, step.outputs, given),
                    command.comment,
                    step.label,
                )
            vote.refuse_changed(before, filled)

    @property
    def inquiry(self) -> Inquiry:
        return Inquiry(self.unit, self.workflow, self.state, self.engine.staff, self.instance.site)

    # ── effects ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _carry_out(self, effect: Effect) -> None:
        process = self.instance.id
        if isinstance(effect, words.Moment | words.StartChild | words.StopChild | words.Compensate):
            # Tasks and outcomes are written before what follows from them, so that whoever is told can look.
            await self._before_anybody_looks()
        match effect:
            case words.Moment():
                await self._decided(effect)
                await self.effects.moment(effect)
                self._waits(effect)
                await self._passed(effect)
            case words.Act(token=token):
                await jobs.ask_act(self.unit, process, token)
            case words.SetTimer(timer=timer):
                await time.set_timer(self, timer)
            case words.DropTimer():
                pass  # its clock goes with it
            case words.StopClocks():
                await time.stop(self)
                await parts.suspend(self)
            case words.RunClocks():
                await time.go_on(self)
                await parts.resume(self)
                await jobs.wake(self.unit, process)
            case words.Tell():
                await self._tell(effect)
            case words.StartChild(token=token, workflow=workflow, subject=subject):
                definition = self.engine.blueprint.workflows[workflow]
                await self.engine.begin(self.unit, definition, id_of(subject.id), (process, token))
            case words.StopChild(token=token, reason=reason):
                await parts.stop(self, token, reason)
            case words.Compensate(step=step, subject=subject):
                with self.effects.at(step):
                    for action in self.workflow.undoing(step):
                        await self.effects.act(action, subject)
            case words.Ended(outcome=outcome, cancelled=cancelled):
                self.writes.log("ended", outcome=outcome)
                parent, caller = self.instance.parent, self.instance.parent_token
                if parent is not None and caller is not None:
                    await jobs.ask_ended(self.unit, parent, caller, outcome, cancelled=cancelled)

    async def _decided(self, moment: words.Moment) -> None:
        """The timeline says what a decision table was asked, in which version, and which of its rows held."""
        step = self.workflow.step(moment.step)
        if step.table is None or moment.moment != "started":
            return
        entity = self.unit.engine.blueprint.entities[moment.subject.entity]
        record = await locked(self.unit, entity, id_of(moment.subject.id))
        given = [await self.unit.judge.value(each, entity, record) for each in step.asked]
        said = answer(step.table, given)
        self.writes.log(
            "decided",
            step=step.path,
            outcome=step.table.name,
            comment=json.dumps(said, ensure_ascii=False),
        )

    async def _passed(self, moment: words.Moment) -> None:
        """A checkpoint that was passed stands in the timeline and in the trail: which clause, over which version."""
        step = self.workflow.step(moment.step)
        if step.checkpoint is None or moment.against or not step.favourable(moment.moment):
            return
        entity = self.unit.engine.blueprint.entities[moment.subject.entity]
        record = await locked(self.unit, entity, id_of(moment.subject.id))
        actor = self.unit.context.person.id if step.kind.human else None
        self.writes.log("checkpoint", step=step.path, actor=actor, outcome=clauses_of(step))
        told = {
            "workflow": self.workflow.name,
            "step": step.path,
            "clause": clauses_of(step),
            "entity": entity.name,
            "record": record["id"],
            "row_version": record["row_version"],
        }
        self.unit.tell("process:checkpoint", "clew.process", self.instance.id, told)

    async def _sign(self, command: Command) -> None:
        """A step that takes a signature takes one from everybody who decides it, over the record as it was shown."""
        if not isinstance(command, words.Decide):
            return
        task = self.state.tasks.get(command.task)
        token = self.state.tokens.get(task.token) if task is not None else None
        if task is None or token is None or task.kind == "copy" or task.status != "open":
            return
        step = self.workflow.step(token.step)
        signer = self.unit.engine.signer
        if step.sign is None:
            return
        entity = self.unit.engine.blueprint.entities[token.subject.entity]
        record_id = id_of(token.subject.id)
        definition = {
            "workflow": self.workflow.name,
            "definition": self.workflow.digest,
            "step": step.path,
            "process": str(self.instance.id),
            "round": task.round,
            "outcome": command.outcome,
        }
        among = {step.approval.among} if step.approval is not None else set()
        self.unit.asked_as = asked_roles(task, step) | among
        if signer is None:
            raise SignatureRequired(transition=step.label, meaning=step.sign)
        await signer.sign_step(
            self.unit, entity, record_id, f"{self.workflow.name}.{step.path}", step.sign, self.unit.signing, definition
        )
        self.unit.covered.add((record_id, step.sign))

    def _waits(self, moment: words.Moment) -> None:
        step = self.workflow.step(moment.step)
        if step.wait is None:
            return
        if moment.moment == "started" and step.wait.entity:
            self.writes.wait(moment.token, step.wait.entity, step.wait.verb, id_of(moment.subject.id))
        elif moment.moment != "started":
            self.writes.unwait(moment.token)

    async def tell_stuck(self) -> None:
        """A clock that does not run is never silent: who answers for the step and the process are told why."""
        for number, error in self.stuck.items():
            token = self.state.tokens.get(number)
            if token is not None:
                await self.tell_trouble(token, "no_clock", error)
        self.stuck.clear()

    async def tell_trouble(self, token: Token | None, what: str, error: ClewError) -> None:
        """Who answers for the step and the process are told what the platform cannot do by itself."""
        step = self.workflow.step(token.step) if token is not None else None
        reached = [
            await self._whom(role, step, token) for role in (step.owner if step is not None else "", "owner") if role
        ]
        best = next((each for each in reached if each.whose == ADDRESSEES), reached[-1])
        text = Bilingual(error.message("zh"), error.message("en"))
        said, path = best.say(text, f"{what} of process {self.instance.id}"), step.path if step is not None else ""
        people = dict.fromkeys(person for each in reached for person in each.people)
        self._notice([*people], Notice(self.instance.id, "incident", path, text=said))
        self.writes.log(what, step=path, outcome=error.code, comment=_reached_as("", best))

    # ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _tell(self, tell: words.Tell) -> None:
        people, said = [id_of(each) for each in tell.people], Bilingual(tell.comment, tell.comment)
        token = self.state.tokens.get(tell.token)
        step = self.workflow.step(token.step) if token is not None else None
        path, comment = step.path if step is not None else "", tell.whom
        if tell.whom:
            reached = await self._whom(tell.whom, step, token)
            people += reached.people
            what = f"{tell.about} to {tell.whom} at {path or 'no step'} of process {self.instance.id}"
            said, comment = reached.say(said, what), _reached_as(tell.whom, reached)
        self._notice(people, Notice(self.instance.id, tell.about, path, tell.task or None, tell.share, said))
        if tell.about in ("alert", "legal"):
            self.writes.log(tell.about, step=path, outcome=f"{tell.share}%", comment=comment)

    async def _whom(self, word: str, step: Step | None, token: Token | None) -> Reached:
        """People of a role, or of a word such as owner. The assignee is whoever has the task, or may take it while
        nobody has; the supervisor their manager; the department head stands over the department they are in. Where the
        records name none of these two, those are told who answer for the step and for the process. Where nobody at the
        site is any of it: who holds the role elsewhere, who answers for the step and the process, who looks after the
        accounts."""
        site, owners = self.instance.site, (step.owner if step is not None else "", self.workflow.owner)
        owner = owners[0] or owners[1]
        asked = tuple(id_of(each) for each in sorted(self._has(token))) if token is not None else ()
        line = {
            "assignee": Demand(named=asked),
            "supervisor": Demand(managers_of=asked),
            "department_head": Demand(heads_of=asked),
        }
        role = {"assignee": "", "supervisor": owner, "department_head": owners[1], "owner": owners[1]}.get(word, word)
        return await reach(
            self.unit,
            self.engine.staff,
            (
                *([(ADDRESSEES, line[word])] if asked and word in line else ()),
                *role_line(ADDRESSEES, role, site, "elsewhere"),
                *role_line("owner", owners[0], site),
                *role_line("owner", owners[1], site),
            ),
        )

    def _has(self, token: Token) -> set[str]:
        """Who has the open tasks of a step, or may take them."""
        open_tasks = [each for each in self.state.tasks_of(token.id) if each.status == "open" and each.kind != "copy"]
        return {person for each in open_tasks for person in each.asked}

    async def _notify(self, unit: Unit, action: Action, entity: Entity, record: Record) -> None:
        assert action.who is not None
        people = await self.inquiry.whom(action.who, entity, record)
        self._notice([id_of(each) for each in people], Notice(self.instance.id, "notice", text=action.say))

    def _notice(self, people: list[UUID], notice: Notice) -> None:
        self.told += [str(each) for each in people]
        self.writes.tell(people, notice)

    async def _start(self, unit: Unit, workflow: str, entity: Entity, record_id: UUID) -> None:
        if not await begin_where_used(self.engine, unit, workflow, record_id, "process"):
            self.writes.log("not_started", outcome=workflow)

    def _log(self, command: Command, before: State) -> None:
        """The timeline: what people did, and what they said; and where somebody was found to ask, and why."""
        if isinstance(command, words.Reoffer) and command.token in before.unasked():
            if command.token not in self.state.unasked():
                step = before.tokens[command.token].step
                self.writes.log("settled", step=step, outcome="nobody", comment=command.why)
            return
        if not isinstance(command, _BY_PEOPLE):
            return
        number = getattr(command, "task", None)
        task = before.tasks.get(number) if number is not None else None
        token = before.tokens.get(getattr(command, "token", 0))
        self.writes.log(
            type(command).__name__.lower(),
            actor=id_of(command.actor.person),
            behalf=id_of(command.actor.behalf) if command.actor.behalf else None,
            step=task.step if task is not None else token.step if token is not None else "",
            task=number,
            outcome=getattr(command, "outcome", ""),
            comment=getattr(command, "comment", "") or getattr(command, "reason", ""),
        )


def _reached_as(word: str, reached: Reached) -> str:
    """Whom something was for, and as what those were told instead whom it has reached, for the timeline."""
    return word if reached.whose == ADDRESSEES else f"{word} → {reached.whose}".strip()
