"""A small world for the machine: people, facts, and a player that answers what the machine asks for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import pytest

from clew.kernel.errors import ClewError
from clew.metadata.load import load_sources
from clew.metadata.processes import StepKind, Workflow
from clew.process import machine
from clew.process.history import kept
from clew.process.state import State, Subject, Task, Token
from clew.process.words import (
    Act,
    ActionDone,
    Actor,
    Advance,
    Begin,
    Command,
    Decide,
    Effect,
    Enter,
    Facts,
    Offer,
    Reoffer,
)

PROJECT = {
    "clew.yaml": "project: small\n",
    "models/a.yaml": """\
entity: case
number: "C-{seq:4}"
fields:
  title: {type: text}
  serious: {type: boolean, required: true, default: false}
  verdict: {type: choice, of: {keep: {en: Keep}, scrap: {en: Scrap}}}
  parts: {type: many, of: part}
states: {open: {en: Open}, checked: {en: Checked}, closed: {en: Closed}}
transitions:
  check: {from: open, to: checked}
  reopen: {from: checked, to: open}
  close: {from: checked, to: closed, sign: approval}
---
entity: part
key: code
fields:
  code: {type: text, required: true, unique: true}
""",
}
CASE = Subject("case", "c1")


def workflow(steps: str, name: str = "handling", also: str = "") -> Workflow:
    """The workflow with these steps (YAML), about a case. `also`: what stands before its steps."""
    text = f"workflow: {name}\nfor: case\n{also}steps:\n{steps}"
    found = load_sources({**PROJECT, "workflows/w.yaml": text})
    assert found.blueprint is not None, [f"{each.place} {each.message('en')}" for each in found.diagnostics]
    return found.blueprint.workflows[name]


@dataclass
class Play:
    """Runs a workflow. `people` by role; `facts` by step path, merged over the people."""

    definition: Workflow
    people: Mapping[str, tuple[str, ...]]
    facts: dict[str, Facts] = field(default_factory=dict)
    state: State = field(init=False)
    effects: list[Effect] = field(default_factory=list)
    automatic: bool = True
    """Automatic steps succeed at once."""
    clock: int = 0

    def __post_init__(self) -> None:
        self.state = machine.new(self.definition, CASE, "starter")
        self.give(Begin(self.now()))

    def now(self) -> str:
        self.clock += 1
        return f"t{self.clock:04}"

    def give(self, command: Command) -> list[Effect]:
        """One command, and everything that follows by itself. Each state goes through JSON, as after a restart."""
        seen: list[Effect] = []
        waiting: list[Command] = [command]
        while waiting:
            now = waiting.pop(0)
            again = State.from_json(json.loads(json.dumps(self.state.to_json())))
            assert again == self.state
            result = self.with_less(now)
            assert machine.step(self.definition, again, now, self.facts_for(now)) == result
            check(self.definition, self.state, result.state)
            self.state = result.state
            seen.extend(result.effects)
            for effect in result.effects:
                if isinstance(effect, Advance):
                    waiting.append(Enter(effect.token, self.now()))
                elif isinstance(effect, Offer):
                    waiting.append(Reoffer(effect.token, self.now()))
                elif isinstance(effect, Act) and self.automatic:
                    waiting.append(ActionDone(effect.token, self.now()))
        self.effects.extend(seen)
        return seen

    def with_less(self, command: Command) -> machine.Result:
        """What a command leads to: the same with all of the past and with what is kept of it."""
        less, facts = kept(self.state, self.definition, steps=1), self.facts_for(command)
        try:
            result = machine.step(self.definition, self.state, command, facts)
        except ClewError as error:
            with pytest.raises(type(error)):
                machine.step(self.definition, less, command, facts)
            raise
        shorter = machine.step(self.definition, less, command, facts)
        assert shorter.effects == result.effects
        assert kept(shorter.state, self.definition, steps=1) == kept(result.state, self.definition, steps=1)
        return result

    def facts_for(self, command: Command) -> Facts:
        wanted = machine.wanted(self.definition, self.state, command)
        if wanted is None:
            return Facts()
        step = self.definition.step(wanted.step)
        people = dict(self.people)
        if step.who is not None:
            people[""] = tuple(dict.fromkeys(each for role in step.who.roles for each in self.people.get(role, ())))
        people["*"] = tuple(sorted({each for found in self.people.values() for each in found}))
        given = self.facts.get(wanted.step, Facts())
        return Facts(
            given.entry,
            given.exit,
            MappingProxyType(people),
            given.also,
            given.all_agree,
            given.enough,
            given.conditions,
            given.elements,
            given.about,
            able=MappingProxyType(people),
        )

    # ── short words for tests ─────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> list[Task]:
        return [each for each in self.state.tasks.values() if each.status == "open"]

    def at(self) -> list[str]:
        """Where the tokens stand."""
        return sorted(each.step for each in self.state.tokens.values())

    def decide(self, person: str, outcome: str = "done", comment: str = "", step: str | None = None) -> list[Effect]:
        """The open task that this person may do."""
        for task in self.open():
            mine = task.assignee == person or (task.assignee is None and person in task.candidates)
            if mine and task.kind != "copy" and (step is None or task.step == step):
                return self.give(Decide(task.id, outcome, Actor(person), self.now(), comment))
        raise AssertionError(f"{person} has nothing to do: {self.open()}")

    def task_of(self, person: str) -> Task:
        return next(
            each
            for each in self.open()
            if each.assignee == person or (each.assignee is None and person in each.candidates)
        )

    def refused(self, command: Command) -> str:
        """The code with which a command is refused; nothing has changed."""
        before = self.state
        try:
            self.give(command)
        except ClewError as error:
            assert self.state == before
            return error.code
        raise AssertionError("it was not refused")


def check(definition: Workflow, before: State, after: State) -> None:
    """What holds of every state, and of every change."""
    roots = [each for each in after.tokens.values() if each.parent is None]
    assert after.done[: len(before.done)] == before.done, "what was done stays"
    assert after.serial >= before.serial
    if not after.live:
        assert not after.tokens
        assert not after.timers
        assert not after.incidents
        assert not [each for each in after.tasks.values() if each.status in ("open", "held") and each.kind != "copy"]
        return
    if after.serial:
        assert len(roots) == 1, "one token at the top"
    for token in after.tokens.values():
        step = definition.step(token.step)
        below = after.below(token.id)
        if token.parent is not None:
            above = after.tokens[token.parent]
            assert above.status == "open"
            assert definition.step(above.step).kind.nested
        if step.kind.nested and token.status == "open":
            assert len(below) + len(token.ended) == token.branches, "branches are neither lost nor doubled"
            assert len({each.branch for each in below} | {name for name, _ in token.ended}) == token.branches
        else:
            assert not below
        if step.kind.human and token.status == "open":
            assert any(each.status == "open" and each.kind != "copy" for each in after.tasks_of(token.id)), "stuck"
        if step.approval is not None and token.status == "open":
            assert _somebody_can(after, token), "nobody of those who are asked can vote"
        if token.status == "blocked":
            assert any(each.token == token.id for each in after.incidents.values())
        if token.status == "working":
            assert step.kind is StepKind.ACTION
    for task in after.tasks.values():
        if task.status in ("open", "held") and task.kind != "copy":
            token = after.tokens[task.token]
            left = any(each.kind == "left" for each in after.incidents.values() if each.token == token.id)
            assert (token.step, token.round, token.status) == (task.step, task.round, "blocked" if left else "open")
        earlier = before.tasks.get(task.id)
        if earlier is not None and earlier.status in ("done", "closed"):
            assert task == earlier, "what is done stays as it was"
    for timer in after.timers.values():
        assert timer.token in after.tokens
    _quorums(definition, before, after)


def _somebody_can(state: State, token: Token) -> bool:
    """Whether some open vote is of somebody who has no voice in this round yet."""
    votes = [each for each in state.tasks_of(token.id) if each.kind in ("vote", "added")]
    spent = {person for each in votes if each.status == "done" for person in (each.actor, each.behalf)}
    waits = {each.assignee for each in votes if each.kind == "added" and each.status in ("open", "held")}
    return any(
        set([each.assignee] if each.assignee else each.candidates) - spent - (waits if each.kind == "vote" else set())
        for each in votes
        if each.status == "open"
    )


def _quorums(definition: Workflow, before: State, after: State) -> None:
    """Whatever an approval came to, its votes say so when they are counted by hand."""
    for done in after.done[len(before.done) :]:
        step = definition.step(done.step)
        if step.approval is None or done.outcome not in step.outcomes:
            continue
        needed = before.tokens[done.token].branches
        votes = [
            each
            for each in after.tasks.values()
            if (each.token, each.step, each.round) == (done.token, done.step, done.round)
            and each.kind in ("vote", "added")
        ]
        cast = [each for each in votes if each.status == "done"]
        mine = [each for each in cast if each.outcome == done.outcome]
        people = [each.actor for each in cast if not each.auto]
        assert len(people) == len(set(people)), "nobody votes twice"
        if not step.outcomes[done.outcome].against:
            assert len(mine) >= needed, "not enough votes"
            assert all(each in mine for each in votes if each.post in step.approval.must or each.kind == "added")
        else:
            positive = [name for name, each in step.outcomes.items() if not each.against]
            vetoed = any(each.post in step.approval.veto and step.outcomes[each.outcome].against for each in cast)
            open_seats = len(votes) - len(cast)
            for name in positive:
                could = sum(each.outcome == name for each in cast) + open_seats >= needed
                bound = [each for each in cast if each.post in step.approval.must or each.kind == "added"]
                assert vetoed or not could or any(each.outcome != name for each in bound), "it was still open"
