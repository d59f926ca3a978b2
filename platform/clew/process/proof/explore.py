"""Walking every way a process can go: breadth first, so that the first way found to a place is a shortest one.

Everybody who can do something is tried, every outcome, every answer to a condition nothing is known about, every end of
a sub-process, being late, failing, being sent back. Where branches run side by side only one order of them is walked,
unless the order decides something (`proof.order`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import CANCELLED, STARTER, Step, StepKind, Workflow
from clew.process import machine
from clew.process.checkpoints import check_of, checkpoints
from clew.process.proof.bearing import bearing
from clew.process.proof.cast import Cast
from clew.process.proof.entry import entry_facts, read_fields
from clew.process.proof.graph import Graph, Move, Refusal
from clew.process.proof.knowledge import PRESENT, possible
from clew.process.proof.order import in_any_order
from clew.process.proof.world import Play, Refused, World
from clew.process.state import Task, Token
from clew.process.words import (
    ActionDone,
    ActionFailed,
    Actor,
    Begin,
    ChildEnded,
    Command,
    Decide,
    Enter,
    EventArrived,
    Facts,
    SendBack,
    TimerFired,
)

MOST = 60_000
"""Worlds after which the walk stops and says so."""
_AT = ""


def explore(blueprint: Blueprint, workflow: Workflow, most: int = MOST) -> Graph:
    """The state space of a process, of which the machine decides each step."""
    return Walk(blueprint, workflow, most).graph()


class Walk:
    """One process with everything that decides how it may go on."""

    def __init__(
        self, blueprint: Blueprint, workflow: Workflow, most: int = MOST, staff: Mapping[str, int] | None = None
    ) -> None:
        self.blueprint, self.workflow, self.most = blueprint, workflow, most
        self.cast = Cast(workflow, blueprint.policies, staff or {})
        matter = {path for _, step in workflow.walk() for path in step.apart if path != STARTER}
        named = {step.who.actor_of for _, step in workflow.walk() if step.who is not None and step.who.actor_of}
        matter |= {step.path for _, step in workflow.walk() if step.name in named}
        self.read, self.in_any_order = read_fields(blueprint, workflow), in_any_order(workflow, blueprint.entities)
        checks = tuple(check_of(workflow, each) for each in checkpoints(workflow))
        self.play = Play(blueprint, workflow, self.cast, frozenset(matter), self.read, checks, bearing(workflow))
        self.refusals: list[Refusal] = []
        self.passed: set[str] = set()

    def graph(self) -> Graph:
        graph, numbers = Graph(passed=self.passed), dict[tuple[Any, ...], int]()

        def number(world: World, came: tuple[int, Move] | None) -> int:
            key = self.play.key(world)
            if key not in numbers:
                numbers[key] = len(graph.worlds)
                graph.worlds.append(world)
                graph.came.append(came)
                graph.edges.append([])
                graph.moves.append([])
                graph.refusals.append(())
                waiting.append(numbers[key])
            return numbers[key]

        waiting: deque[int] = deque()
        start = self.play.begun()
        result = machine.step(self.workflow, start.state, Begin(_AT))
        number(start, None)
        for begun in self.play.beginnings():
            begins = self._begins(begun)
            try:
                for said, world in self._settle(replace(begun, state=result.state)):
                    target = number(world, (0, begins.given(said)))
                    graph.edges[0].append((target, True))
                    graph.moves[0].append((target, begins.given(said)))
            except Refused as refused:
                path = self.workflow.flow.first.path
                graph.refused.append((Refusal(path, refused.why, refused.unsigned, refused.impossible), begins))
        waiting.popleft()
        while waiting:
            at = waiting.popleft()
            if len(graph.worlds) > self.most:
                graph.walked = at
                break
            self.refusals = []
            for move, world in self._moves(graph.worlds[at]):
                target = number(world, (at, move))
                graph.edges[at].append((target, move.automatic))
                graph.moves[at].append((target, move))
            while self.play.bypassed:
                graph.bypassed.setdefault(self.play.bypassed.pop(), at)
            graph.refusals[at] = tuple(dict.fromkeys(self.refusals))
        return graph

    def _begins(self, world: World) -> Move:
        state = world.of(world.state.subject).values.get("state")
        entity = self.blueprint.entities[self.workflow.entity]
        text = Bilingual("流程开始", "it begins")
        if state is not None and state != entity.initial:
            text = Bilingual(f"流程在记录处于状态 {state} 时开始", f"it begins while the record is {state}")
        return Move(text, True, {"start": self.workflow.name, **({"state": state} if state is not None else {})})

    # ── what may happen ───────────────────────────────────────────────────────────────────────────────────────────

    def _moves(self, world: World) -> Iterator[tuple[Move, World]]:
        state = world.state
        if not state.live:
            return
        tokens = sorted(state.tokens.values(), key=lambda each: each.id)
        racing = any(each.step in self.in_any_order for each in tokens if each.branches)
        for token in tokens:
            found = list(self._token_moves(world, token))
            yield from found
            if found and not racing and token.parent is not None:
                return

    def _token_moves(self, world: World, token: Token) -> Iterator[tuple[Move, World]]:
        step = self.workflow.step(token.step)
        label = step.label
        if token.status == "working":
            yield from self._act(world, token, step)
        if token.status != "open":
            return
        if step.kind.human:
            yield from self._decide(world, token, step)
            yield from self._send_back(world, token, step)
        elif step.kind is StepKind.CALL:
            for outcome in outcomes_of(self.blueprint.workflows[step.call]):
                text = Bilingual(
                    f"子流程「{label.to('zh')}」以 {outcome} 结束", f"the process of “{label.to('en')}” ends: {outcome}"
                )
                move = Move(text, False, {"ends": step.name, "outcome": outcome})
                yield from self._give(world.later(), move, ChildEnded(token.id, outcome, _AT), step)
            if CANCELLED in step.next:
                text = Bilingual(f"子流程「{label.to('zh')}」被取消", f"the process of “{label.to('en')}” is cancelled")
                move = Move(text, False, {"ends": step.name, "outcome": CANCELLED})
                yield from self._give(world.later(), move, ChildEnded(token.id, CANCELLED, _AT, True), step)
        elif step.kind is StepKind.WAIT and step.wait is not None and step.wait.entity:
            event = f"{step.wait.entity}.{step.wait.verb}"
            move = Move(Bilingual(f"发生 {event}", f"{event} happens"), False, {"event": step.name})
            entity = self.blueprint.entities.get(step.wait.entity)
            after = world.later()
            if entity is not None and not step.wait.same and step.wait.verb in entity.transitions:
                told = after.of(token.subject).told({"state": entity.transitions[step.wait.verb].target})
                after = after.knowing(token.subject, told)
            yield from self._give(after, move, EventArrived(token.id, _AT), step)
        for timer in state_timers(world, token):
            late = timer[1] == "late"
            text = (
                Bilingual(f"「{label.to('zh')}」超时", f"“{label.to('en')}” is late")
                if late
                else Bilingual(f"「{label.to('zh')}」的时间到了", f"the time of “{label.to('en')}” has come")
            )
            move = Move(text, False, {"late" if late else "time": step.name})
            yield from self._give(world.later(), move, TimerFired(timer[0], _AT), step)

    def _settle(self, world: World, said: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], World]]:
        """What follows in the same transaction: every step that is due begins. `said` is what was assumed for it.
        Raises Refused when none of the ways on is allowed."""
        token = next((each for each in world.state.tokens.values() if each.status == "due"), None)
        if token is None or not world.state.live or world.state.status != "running":
            yield said, world
            return
        step, refused, found = self.workflow.step(token.step), None, False
        self.passed.add(step.path)
        for facts, given, assumed in entry_facts(self.cast, world, token, step):
            try:
                result = machine.step(self.workflow, given.state, Enter(token.id, _AT), facts)
                for after in self.play.follow(replace(given, state=result.state), result.effects, ()):
                    for each in self._settle(after, (*said, *assumed)):
                        found = True
                        yield each
            except Refused as problem:
                refused = problem
        if refused is not None and not found:
            raise refused

    def _act(self, world: World, token: Token, step: Step) -> Iterator[tuple[Move, World]]:
        label = step.label
        done = Move(Bilingual(f"系统完成「{label.to('zh')}」", f"the platform does “{label.to('en')}”"), True)
        try:
            worlds = self.play.acted(world, list(step.actions), token.subject, step)
        except Refused as refused:
            self.refusals.append(Refusal(step.path, refused.why, refused.unsigned, refused.impossible))
            worlds = []
        for after in worlds:
            yield from self._give(after, done, ActionDone(token.id, _AT), step)
        if step.on_error is not None:
            text = Bilingual(f"「{label.to('zh')}」执行失败", f"“{label.to('en')}” fails")
            failed = Move(text, True, {"fails": step.name})
            yield from self._give(world.later(), failed, ActionFailed(token.id, "failed", _AT), step)

    def _decide(self, world: World, token: Token, step: Step) -> Iterator[tuple[Move, World]]:
        """Every outcome the step can come to: for each, everybody is for it. Whatever a split vote can end with, a
        unanimous one can as well, and who votes first changes nothing that comes after."""
        for outcome in step.outcomes.values():
            waiting = [world]
            while waiting:
                at = waiting.pop()
                task = next((each for each in at.state.tasks_of(token.id) if _to_do(each)), None)
                if task is None:
                    continue
                for move, after in self._by_somebody(at, token, step, task, outcome.name, outcome.against):
                    if len(after.state.done) == len(at.state.done):
                        waiting.append(after)
                    else:
                        yield move, after

    def _by_somebody(
        self, world: World, token: Token, step: Step, task: Task, outcome: str, against: bool
    ) -> Iterator[tuple[Move, World]]:
        """By the first of those who are asked and may."""
        for person in self._people(task):
            if not self.cast.may_sign(person, step):
                why = Bilingual(
                    f"{person} 的角色不能签署 {step.sign}",
                    f"{person} may not sign {step.sign}, nor with any role that may be held beside",
                )
                self.refusals.append(Refusal(step.path, why))
                continue
            found = list(self._decided(world, token, step, task, outcome, against, person))
            if found:
                yield from found
                return

    def _decided(
        self, world: World, token: Token, step: Step, task: Task, outcome: str, against: bool, person: str
    ) -> Iterator[tuple[Move, World]]:
        known = world.of(token.subject).forgets(step.outputs)
        if not against:
            known = known.told({name: PRESENT for name in step.must_outputs if name in self.read})
        label = step.outcomes[outcome].label
        text = Bilingual(
            f"{person} 在「{step.label.to('zh')}」选择“{label.to('zh')}”",
            f"{person} does “{step.label.to('en')}”: {label.to('en')}",
        )
        move = Move(text, False, {"decide": step.name, "by": person, "outcome": outcome})
        exits = [(True, known)] if step.exit is None or against else possible(step.exit.when, known)
        for holds, after in exits:
            if not holds:
                if len(exits) == 1 and step.exit is not None:
                    say = step.exit.when.source
                    self.refusals.append(
                        Refusal(
                            step.path, Bilingual(f"完成条件不成立:{say}", f"what it must bring about is not so: {say}")
                        )
                    )
                continue
            given = world.knowing(token.subject, after).later()
            command = Decide(task.id, outcome, Actor(person), _AT, "-")
            yield from self._give(given, move, command, step, Facts(exit=holds), (person,))

    def _send_back(self, world: World, token: Token, step: Step) -> Iterator[tuple[Move, World]]:
        task = next((each for each in world.state.tasks_of(token.id) if _to_do(each)), None)
        if task is None or step.returns_to == frozenset():
            return
        flow = self.workflow.place_of(token.step)[0]
        for name in dict.fromkeys(token.trail):
            if name not in flow.steps or not flow.steps[name].kind.human or name == step.name:
                continue
            if step.returns_to is not None and name not in step.returns_to:
                continue
            person = next(iter(self._people(task)), None)
            if person is None:
                return
            back = flow.steps[name].label
            text = Bilingual(
                f"{person} 从「{step.label.to('zh')}」退回到「{back.to('zh')}」",
                f"{person} sends “{step.label.to('en')}” back to “{back.to('en')}”",
            )
            move = Move(text, False, {"send_back": step.name, "by": person, "to": name})
            command = SendBack(task.id, name, False, Actor(person), _AT, "-")
            yield from self._give(world.later(), move, command, step, actors=(person,), quiet=True)

    def _people(self, task: Task) -> tuple[str, ...]:
        return (task.assignee,) if task.assignee is not None else task.candidates

    def _give(
        self,
        world: World,
        move: Move,
        command: Command,
        step: Step,
        facts: Facts | None = None,
        actors: tuple[str, ...] = (),
        quiet: bool = False,
    ) -> Iterator[tuple[Move, World]]:
        """The worlds a command leads to; nothing when it is refused, and why is kept."""
        try:
            result = machine.step(self.workflow, world.state, command, facts or Facts())
            for after in self.play.follow(replace(world, state=result.state), result.effects, actors):
                for said, settled in self._settle(after):
                    yield move.given(said), settled
        except Refused as refused:
            if not quiet:
                self.refusals.append(Refusal(step.path, refused.why, refused.unsigned, refused.impossible))
        except ClewError as error:
            if not quiet:
                self.refusals.append(Refusal(step.path, Bilingual(error.message("zh"), error.message("en"))))


def _to_do(task: Task) -> bool:
    return task.status == "open" and task.kind != "copy"


def state_timers(world: World, token: Token) -> list[tuple[int, str]]:
    """The clocks of a token that lead somewhere."""
    return [
        (each.id, each.purpose)
        for each in world.state.timers.values()
        if each.token == token.id and each.purpose in ("late", "wait")
    ]


def outcomes_of(workflow: Workflow) -> tuple[str, ...]:
    """Every outcome a process can end with."""
    found: dict[str, None] = {}
    for step in workflow.flow.steps.values():
        if step.kind is StepKind.END:
            found[step.outcome] = None
        else:
            names = tuple(step.outcomes) or ("done",)
            found.update(dict.fromkeys(name for name in names if step.target(name) is None and not step.branches))
    return tuple(found)
