"""One call of the machine while it runs: the state so far, the effects so far, and small changes to both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clew.metadata.processes import STARTER, Flow, Step, Workflow
from clew.process.state import Incident, State, Subject, Task, TaskKind, Timer, Token, put, replace, without
from clew.process.words import Act, Advance, DropTimer, Effect, Offer, SetTimer, Tell


@dataclass(slots=True)
class Run:
    workflow: Workflow
    state: State
    at: str
    effects: list[Effect] = field(default_factory=list)

    # ── the definition ────────────────────────────────────────────────────────────────────────────────────────────

    def step_of(self, token: Token) -> Step:
        return self.workflow.step(token.step)

    def known(self, path: str) -> Step | None:
        """The step at a path; None when the instance did it by an earlier definition that had it."""
        try:
            return self.workflow.step(path)
        except KeyError:
            return None

    def flow_of(self, token: Token) -> Flow:
        return self.workflow.place_of(token.step)[0]

    # ── the state ─────────────────────────────────────────────────────────────────────────────────────────────────

    def change(self, **values: Any) -> None:
        self.state = replace(self.state, **values)

    def number(self) -> int:
        self.change(serial=self.state.serial + 1)
        return self.state.serial

    def token(self, step: str, subject: Subject, parent: int | None = None, branch: str = "") -> Token:
        """A new token at a step."""
        return self.keep(Token(self.number(), step, subject, parent=parent, branch=branch))

    def keep(self, token: Token, **values: Any) -> Token:
        """A token as it is, or with some values changed."""
        token = replace(token, **values) if values else token
        self.change(tokens=put(self.state.tokens, token.id, token))
        return token

    def drop(self, token: Token) -> None:
        self.change(tokens=without(self.state.tokens, token.id))

    def task(self, token: Token, kind: TaskKind, post: str, candidates: tuple[str, ...], **values: Any) -> Task:
        """A new task of a token; one candidate alone has it at once."""
        assignee = values.pop("assignee", candidates[0] if len(candidates) == 1 else None)
        new = Task(
            self.number(), token.id, token.step, token.round, kind, post, candidates, assignee=assignee, **values
        )
        return self.mark(new)

    def mark(self, task: Task, **values: Any) -> Task:
        task = replace(task, **values) if values else task
        self.change(tasks=put(self.state.tasks, task.id, task))
        return task

    def timer(self, token: Token, **values: Any) -> Timer:
        new = Timer(self.number(), token.id, **values)
        self.change(timers=put(self.state.timers, new.id, new))
        self.effects.append(SetTimer(new.id))
        return new

    def drop_timers(self, token: int) -> None:
        for timer in [each for each in self.state.timers.values() if each.token == token]:
            self.change(timers=without(self.state.timers, timer.id))
            self.effects.append(DropTimer(timer.id))

    def incident(self, token: Token, kind: Any, detail: str) -> None:
        """Something stands in the way of a token until an operator has seen to it."""
        new = Incident(self.number(), token.id, kind, detail, self.at)
        self.change(incidents=put(self.state.incidents, new.id, new))
        self.keep(token, status="blocked")
        self.effects.append(Tell("incident", token.id, whom="owner", comment=detail))

    def forget(self, token: Token) -> None:
        """What stood in the way of a token stands there no more: it goes on, or is gone."""
        for incident in [each for each in self.state.incidents.values() if each.token == token.id]:
            self.change(incidents=without(self.state.incidents, incident.id))

    def left(self, token: Token) -> list[Incident]:
        """What says that nobody is left to do a task of a token."""
        return [each for each in self.state.incidents.values() if each.token == token.id and each.kind == "left"]

    def settle(self, incident: Incident) -> None:
        """Try again what an incident stopped."""
        if incident.kind == "left":
            # It ends when somebody is found.
            self.effects.append(Offer(incident.token))
            return
        self.change(incidents=without(self.state.incidents, incident.id))
        token = self.state.tokens.get(incident.token)
        if token is None or token.status != "blocked":
            return
        if incident.kind == "cancelled":
            self.drop_timers(token.id)
            self.keep(token, status="due")
            self.effects.append(Advance(token.id))
        elif incident.kind == "failed":
            self.keep(token, status="working")
            self.effects.append(Act(token.id, token.step))
        else:
            self.keep(token, status="due")
            self.effects.append(Advance(token.id))

    def apart(self, step: Step) -> dict[str, str]:
        """Who may not do a step because of what they did before: person → the step they did."""
        found: dict[str, str] = {}
        for path in step.apart:
            if path == STARTER:
                found[self.state.starter] = STARTER
            for done in self.state.done:
                if done.step == path:
                    found.update(dict.fromkeys(done.people, path))
        return found
