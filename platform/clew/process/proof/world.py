"""One state of the proof: the machine's state, what is known of its records, and whose duties were done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Entity, Transition
from clew.metadata.policies import Policies
from clew.metadata.processes import ANY, DONE, SEPARATOR, STARTED, Action, Start, Step, Workflow
from clew.process.checkpoints import Check, passed
from clew.process.proof.bearing import Bearing
from clew.process.proof.cast import Cast
from clew.process.proof.knowledge import NOTHING_KNOWN, PRESENT, Known, possible, value_of
from clew.process.state import State, Subject, Token
from clew.process.words import Effect, Moment

Duty = tuple[str, str, str, str]
"""Separation, subject, name of the duty, who did it."""


@dataclass(frozen=True, slots=True)
class World:
    """Where the process may stand, with everything that decides how it can go on."""

    state: State
    known: Mapping[str, Known] = field(default_factory=lambda: MappingProxyType({}))
    """By the id of the record."""
    duties: frozenset[Duty] = frozenset()
    signed: frozenset[tuple[str, str]] = frozenset()
    """Records and the meanings of the signatures given for them so far."""

    def of(self, subject: Subject) -> Known:
        return self.known.get(subject.id, NOTHING_KNOWN)

    def knowing(self, subject: Subject, known: Known) -> World:
        return replace(self, known=MappingProxyType({**self.known, subject.id: known}))

    def later(self) -> World:
        """Something has happened: what was assumed about other records and the time need not hold any more."""
        return replace(self, known=MappingProxyType({name: each.later() for name, each in self.known.items()}))

    def actors(self) -> dict[str, tuple[str, ...]]:
        """Who did each step last, by its name."""
        return {each.step.rsplit("/", 1)[-1]: each.actors for each in self.state.done if each.actors}


class Refused(Exception):
    """A move that the engine would refuse, and why."""

    def __init__(self, why: Bilingual, *, unsigned: str | None = None, impossible: bool = False) -> None:
        self.why, self.unsigned, self.impossible = why, unsigned, impossible
        """`unsigned`: the meaning of the signature that was missing. `impossible`: from the state the record is in no
        transition leads where it should go."""


@dataclass(frozen=True, slots=True)
class Play:
    """What the moments of steps do to a world. Nothing is read from anywhere: only definitions decide."""

    blueprint: Blueprint
    workflow: Workflow
    cast: Cast
    separated: frozenset[str]
    """Steps whose actors matter later, by path."""
    read: frozenset[str]
    """Fields some condition reads; what is known of others decides nothing."""
    checked: tuple[Check, ...] = ()
    """The checkpoints: whether each was passed decides how it can end."""
    bears: Mapping[str, Bearing] = field(default_factory=dict)
    """By step of the process itself."""
    bypassed: list[tuple[str, Bilingual]] = field(default_factory=list)
    """Steps that reach a state by a transition without the signature another transition to it demands."""

    @property
    def policies(self) -> Policies | None:
        return self.blueprint.policies

    def begun(self) -> World:
        """The world before the process begins: nothing is known of the record."""
        subject = Subject(self.workflow.entity, "1")
        return World(State(self.workflow.name, self.workflow.digest, subject, self.cast.starter()))

    def beginnings(self) -> list[World]:
        """The worlds it may begin in, by the state its record is in: the first one where it begins with its record, the
        one that a transition leads to which begins it, else every state something leads on from: a person takes it up
        again where the record stands by then, and so does a process that runs it as a part."""
        entity, world = self.blueprint.entities[self.workflow.entity], self.begun()
        subject, states = world.state.subject, set[str]()
        if entity.initial is None:
            return [world]
        leading = {source for each in entity.transitions.values() for source in each.sources if source != each.target}
        for start in self.workflow.starts or (Start(),):
            move = entity.transitions.get(start.verb)
            new = start.schedule is not None or start.verb == "create"
            for state in (entity.initial,) if new else (move.target,) if move is not None else leading:
                known = NOTHING_KNOWN.told({"state": state})
                if start.when is None or any(truth for truth, _ in possible(start.when, known)):
                    states.add(state)
        return [
            world.knowing(subject, NOTHING_KNOWN.told({"state": state})) for state in entity.states if state in states
        ]

    def key(self, world: World) -> tuple[Any, ...]:
        """Worlds with the same key go on in the same ways. Numbers, times and rounds do not matter."""
        state = world.state
        present = {each.subject.id for each in state.tokens.values()} | {state.subject.id}
        open_at = {each.step.split(SEPARATOR)[0] for each in state.tokens.values()}
        matter = self.separated & {path for each in open_at for path in self.bears[each].actors}
        return (
            state.status,
            state.outcome,
            tuple(self._token_key(state, each) for each in sorted(state.tokens.values(), key=_place)),
            tuple(sorted((each.kind, each.token in state.tokens) for each in state.incidents.values())),
            tuple(sorted({(each.step, each.people) for each in state.done if each.step in matter})),
            tuple(passed(state, each) for each in self.checked),
            tuple(sorted((name, each.key) for name, each in world.known.items() if name in present)),
            world.duties,
            tuple(sorted(world.signed)),
        )

    def follow(self, world: World, effects: tuple[Effect, ...], actors: tuple[str, ...]) -> list[World]:
        """The worlds an effect list can lead to. Raises Refused when it can lead to none."""
        worlds = [world]
        for effect in effects:
            if isinstance(effect, Moment):
                worlds = [after for each in worlds for after in self._moment(each, effect, actors)]
        return worlds

    # ── moments ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _moment(self, world: World, moment: Moment, actors: tuple[str, ...]) -> list[World]:
        step = self.workflow.step(moment.step)
        entity = self.blueprint.entities[moment.subject.entity]
        actions = list(step.effects.get(moment.moment, ()))
        positive = moment.moment != STARTED and not moment.against
        if positive and step.sign is not None:
            world = replace(world, signed=world.signed | {(moment.subject.id, step.sign)})
        if positive:
            actions += [each for name in (DONE, ANY) if name != moment.moment for each in step.effects.get(name, ())]
        worlds = self.acted(world, actions, moment.subject, step)
        chosen = step.outcomes.get(moment.moment) if step.choose else None
        if chosen is not None and not chosen.against and step.choose in self.read:
            worlds = [
                each.knowing(moment.subject, each.of(moment.subject).told({step.choose: chosen.name}))
                for each in worlds
            ]
        target = step.states.get(moment.moment)
        if target is None and positive:
            target = step.states.get(DONE) or step.states.get(ANY)
        if target is not None:
            worlds = [self._moved(each, moment.subject, entity, target, step, actors) for each in worlds]
        return worlds

    def acted(self, world: World, actions: list[Action], subject: Subject, step: Step) -> list[World]:
        """After actions of a step: values set on its record are known, everything further away is not."""
        worlds = [world]
        for action in actions:
            self._signed(world, action, subject, step)
            if action.kind == "set" and action.each is None:
                worlds = [after for each in worlds for after in self._set(each, action, subject)]
            elif action.kind == "move" and action.each is None:
                worlds = [after for each in worlds for after in self._made(each, action, subject, step)]
            elif action.kind == "run" and action.each is None:
                # A plugin may have written the fields it says, or else any.
                writes = self.blueprint.project.actions[action.run].writes
                worlds = [each.knowing(subject, each.of(subject).overwritten(writes)) for each in worlds]
        return [each.later() for each in worlds] if actions else worlds

    def _set(self, world: World, action: Action, subject: Subject) -> list[World]:
        known, found = world.of(subject), []
        for holds, after in [(True, known)] if action.when is None else possible(action.when, known):
            if not holds:
                found.append(world.knowing(subject, after))
                continue
            values, unknown = {}, []
            for name, value in action.values:
                if name not in self.read:
                    continue
                given = PRESENT if value.expression is None else value_of(value.expression, after)
                if given is None and not _is_null(value.expression):
                    unknown.append(name)
                else:
                    values[name] = given
            found.append(world.knowing(subject, after.forgets(tuple(unknown)).told(values)))
        return found

    def _made(self, world: World, action: Action, subject: Subject, step: Step) -> Iterator[World]:
        """After a transition of its own record that the step makes by itself, where its condition holds."""
        entity, known = self.blueprint.entities[subject.entity], world.of(subject)
        move = entity.transitions[action.transition]
        for holds, after in [(True, known)] if action.when is None else possible(action.when, known):
            state = after.values.get("state")
            if not holds:
                yield world.knowing(subject, after)
            elif state in (None, PRESENT, move.target) or self._from(entity, state) & set(move.sources):
                yield world.knowing(subject, after.told({"state": move.target}))
            else:
                raise Refused(_no_way(step, str(state), move.target), impossible=True)

    def _from(self, entity: Entity, state: str) -> set[str]:
        """The state a record is in, and those that other processes may have brought it to since."""
        found, waiting = {state}, [state]
        while waiting:
            at = waiting.pop()
            for each in entity.transitions.values():
                foreign = each.moved_by is not None and each.moved_by != self.workflow.name
                if foreign and at in each.sources and each.target not in found:
                    found.add(each.target)
                    waiting.append(each.target)
        return found

    def _signed(self, world: World, action: Action, subject: Subject, step: Step) -> None:
        if action.kind != "move":
            return
        entity = self.blueprint.entities[action.entity]
        move = entity.transitions[action.transition]
        zh, en = step.label.to("zh"), step.label.to("en")
        if move.sign is not None and move.sign != step.sign:
            say = Bilingual(
                f"「{zh}」使 {entity.label.to('zh')} 执行“{move.label.to('zh')}”,但没有签名 {move.sign}",
                f"“{en}” makes {entity.label.to('en')} “{move.label.to('en')}” without a signature of {move.sign}",
            )
            raise Refused(say, unsigned=move.sign)
        demanded = {each.sign for each in entity.transitions.values() if each.target == move.target and each.sign}
        given = {meaning for at, meaning in world.signed if at == subject.id}
        if demanded and move.sign is None and not demanded & given and not _comes_back(entity, move):
            wanted = ", ".join(sorted(demanded))
            say = Bilingual(
                f"「{zh}」经“{move.label.to('zh')}”到达 {move.target},而此前没有签名 {wanted},其他转换到此状态时须签署",
                f"“{en}” reaches {move.target} by “{move.label.to('en')}” with no {wanted} signed before, which "
                "another transition to it demands",
            )
            self.bypassed.append((step.path, say))

    def _moved(
        self, world: World, subject: Subject, entity: Entity, target: str, step: Step, actors: tuple[str, ...]
    ) -> World:
        known = world.of(subject)
        state = known.values.get("state")
        if state == target:
            return world
        moves = [each for each in entity.transitions.values() if each.target == target]
        demanded = {each.sign for each in moves if each.sign}
        if state is not None and state != PRESENT:
            moves = [each for each in moves if self._from(entity, state) & set(each.sources)]
            if not moves:
                raise Refused(_no_way(step, str(state), target), impossible=True)
        move = moves[0]
        if demanded and (move.sign or next(iter(demanded))) != step.sign and step.sign not in demanded:
            raise Refused(
                Bilingual(
                    f"「{step.label.to('zh')}」使记录到达状态 {target},但没有签名 {', '.join(sorted(demanded))}",
                    f"“{step.label.to('en')}” brings the record to {target} without a signature of "
                    f"{', '.join(sorted(demanded))}",
                ),
                unsigned=", ".join(sorted(demanded)),
            )
        if move.when is not None and state is not None and all(not truth for truth, _ in possible(move.when, known)):
            raise Refused(
                Bilingual(
                    f"「{step.label.to('zh')}」的转换“{move.label.to('zh')}”的条件不成立:{move.when.source}",
                    f"the condition of “{move.label.to('en')}” does not hold at “{step.label.to('en')}”: "
                    f"{move.when.source}",
                )
            )
        world = self._dutiful(world, subject, entity, move, step, actors)
        return world.knowing(subject, world.of(subject).told({"state": target}))

    def _dutiful(
        self, world: World, subject: Subject, entity: Entity, move: Transition, step: Step, actors: tuple[str, ...]
    ) -> World:
        """Write down whose duty a transition was. Raises Refused where the same person has done the other duty."""
        if self.policies is None or not actors:
            return world
        duties = set(world.duties)
        for separation in self.policies.separations.values():
            for duty in separation.duties:
                if duty.entity != entity.name or move.name not in duty.actions or duty.about:
                    continue
                for person in actors:
                    if not self.cast.alone(person):
                        continue
                    for name, at, other, who in duties:
                        if (name, at, who) == (separation.name, subject.id, person) and other != duty.name:
                            raise Refused(
                                Bilingual(
                                    f"{person} 已履行“{other}”,职责分离 {separation.name} 不允许再做"
                                    f"「{step.label.to('zh')}」",
                                    f"{person} has done “{other}”, and the separation {separation.name} forbids "
                                    f"“{step.label.to('en')}” as well",
                                )
                            )
                    duties.add((separation.name, subject.id, duty.name, person))
        return replace(world, duties=frozenset(duties))

    def _token_key(self, state: State, token: Token) -> tuple[Any, ...]:
        step = self.workflow.step(token.step)
        weighty = step.approval.must | step.approval.veto if step.approval is not None else frozenset[str]()
        tasks = tuple(
            sorted(
                (each.kind, each.post if each.post in weighty else "", each.status, each.outcome)
                if each.kind == "vote"
                else (each.kind, each.post, each.status, each.outcome, each.assignee or "", *each.candidates)
                for each in state.tasks_of(token.id)
                if each.kind != "copy"
            )
        )
        above = state.tokens[token.parent].step if token.parent is not None else ""
        # Who is told when changes nothing of the way a process goes.
        leading = [each for each in state.timers.values() if each.purpose not in ("alert", "legal")]
        timers = tuple(sorted(each.purpose for each in leading if each.token == token.id))
        trail = tuple(dict.fromkeys(reversed(token.trail)))
        if SEPARATOR not in token.step:
            trail = tuple(each for each in trail if each in self.bears[token.step].back)
        return (
            token.step, token.subject.id, token.status, above, token.branch, trail, token.back_to,
            token.branches, tuple(sorted(token.ended)), tasks, timers,
        )  # fmt: skip


def _no_way(step: Step, state: str, target: str) -> Bilingual:
    return Bilingual(
        f"「{step.label.to('zh')}」要把记录从状态 {state} 变为 {target},但没有这样的转换",
        f"“{step.label.to('en')}” takes the record from {state} to {target}, and there is no such transition",
    )


def _comes_back(entity: Entity, move: Transition) -> bool:
    """Whether a transition only leads back: from its own target, or from states that are entered from there alone."""
    into = {state: [each for each in entity.transitions.values() if each.target == state] for state in entity.states}
    return all(
        source == move.target
        or (source != entity.initial and all(set(each.sources) <= {move.target} for each in into[source]))
        for source in move.sources
    )


def _place(token: Token) -> tuple[str, str, str]:
    return token.branch, token.step, token.subject.id


def _is_null(expression: Any) -> bool:
    return expression is not None and expression.source.strip() == "null"
