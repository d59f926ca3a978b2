"""Whether an instance can go on by another definition, and the state it then has. Pure: no I/O, no clock.

Nothing that was done is forgotten, and nothing that is open is asked anew: a token stands at the step it stood at, with
its tasks, votes and timers, and those of a time limit that its step had not. What cannot be carried over exactly is a
reason against, never a guess.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clew.expressions.tree import Checked
from clew.kernel.text import Bilingual
from clew.metadata.link.workflows import ways
from clew.metadata.processes import SEPARATOR, STARTER, Approval, Step, StepKind, Workflow
from clew.process import moves
from clew.process.checkpoints import check_of, clauses_of, passed
from clew.process.errors import BadStepMapping
from clew.process.loosening import loosened
from clew.process.run import Run
from clew.process.state import State, Task, Token, replace


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of one instance."""

    state: State | None
    """As it goes on by the new definition; None when it cannot."""
    reasons: tuple[Bilingual, ...] = ()
    """Why it cannot."""
    missed: tuple[str, ...] = ()
    """Steps of people that the new definition adds and that lie behind this instance: it will never do them."""
    loosened: tuple[Bilingual, ...] = ()
    """What the new definition demands less than the one it follows."""

    @property
    def free(self) -> bool:
        """Whether nothing is left out by moving."""
        return not self.missed and not self.loosened


def verdict(old: Workflow, new: Workflow, state: State, mapping: Mapping[str, str] = MappingProxyType({})) -> Verdict:
    """Whether an instance of `old` can go on by `new`. `mapping` is old path → new path, with what lies below it.
    Raises BadStepMapping when the mapping itself cannot be meant."""
    return _Moving(old, new, state, Mapped(old, new, mapping)).verdict()


class Mapped:
    """Paths of the old definition in the new one."""

    def __init__(self, old: Workflow, new: Workflow, mapping: Mapping[str, str]) -> None:
        self._mapping = mapping
        self.new = {step.path: step for _, step in new.walk()}
        known = [step.path for _, step in old.walk()]
        for here, there in mapping.items():
            # What the new definition has as well is not made another step, or nobody would do it.
            if there not in self.new or (here in self.new and here not in mapping.values()):
                raise BadStepMapping(given=f"{here}={there}", known=", ".join(sorted(self.new)))
        came: dict[str, str] = {}
        for path in known:
            there = self(path)
            if there in came and there in self.new:
                raise BadStepMapping(given=f"{came[there]}, {path} → {there}", known=", ".join(sorted(self.new)))
            came[there] = path
        self.added = frozenset(self.new) - came.keys()
        """Steps that were not in the old definition."""

    def __call__(self, path: str) -> str:
        """Where a path lies now; it need not exist there."""
        parts = path.split(SEPARATOR)
        for end in range(len(parts), 0, -1):
            there = self._mapping.get(SEPARATOR.join(parts[:end]))
            if there is not None:
                return SEPARATOR.join((there, *parts[end:]))
        return path

    def step(self, path: str) -> Step | None:
        """The step an old path has become."""
        return self.new.get(self(path))


@dataclass(frozen=True, slots=True)
class _Moving:
    old: Workflow
    new: Workflow
    state: State
    to: Mapped

    def verdict(self) -> Verdict:
        reasons = [*self._whole()]
        if not reasons:
            reasons += self._history()
            for token in self.state.tokens.values():
                reasons += self._token(token)
        if reasons:
            return Verdict(None, tuple(dict.fromkeys(reasons)))
        moved = self._moved()
        reasons += self._able(moved)
        if reasons:
            return Verdict(None, tuple(dict.fromkeys(reasons)))
        passing = self._passing(moved)
        lost = [each for each in passing if each.checkpoint is not None and not passed(moved, check_of(self.new, each))]
        if lost:
            return Verdict(None, tuple(_past(each) for each in lost))
        added = {each.path for each in passing if each.kind.human and each.path in self.to.added}
        return Verdict(moved, (), tuple(sorted(added)), loosened(self.old, self.new, self.to))

    # ── why not ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _whole(self) -> Iterator[Bilingual]:
        if not self.state.live:
            yield Bilingual("流程已结束", "it has ended")
        if (self.old.name, self.old.entity) != (self.new.name, self.new.entity):
            yield Bilingual("不是同一流程或针对不同实体", "it is another process, or about another entity")
        if self.state.digest == self.new.digest:
            yield Bilingual("已按该定义办理", "it follows this definition already")

    def _history(self) -> Iterator[Bilingual]:
        """What was done must still be known where something depends on it: who did it, or how it is undone."""
        asked, known = _referred(self.old), {step.path: step for _, step in self.old.walk()}
        anew = {path for path in _referred(self.new) if path in self.to.added}
        for done in self.state.done:
            if self.to.step(done.step) is not None:
                continue
            before = known.get(done.step)
            if before is None:
                continue
            if done.actors and (done.step in asked or anew):
                yield Bilingual(
                    f"已办步骤 {done.step} 不复存在,而其他步骤以其办理人为准(用 --map 说明其去向)",
                    f"{done.step} was done and is gone, while others depend on who did it (--map says where to)",
                )
            if before.compensate:
                yield Bilingual(
                    f"已办步骤 {done.step} 无法再撤销", f"what {done.step} did could not be undone any more"
                )

    def _token(self, token: Token) -> Iterator[Bilingual]:
        path, was, step = token.step, self.old.step(token.step), self.to.step(token.step)
        if step is None:
            yield Bilingual(f"新定义中没有步骤 {path}", f"the new definition has no step {path}")
            return
        if step.kind is not was.kind:
            yield Bilingual(
                f"步骤 {path} 由 {was.kind.value} 变为 {step.kind.value}",
                f"the step {path} was {was.kind.value} and is {step.kind.value}",
            )
            return
        flow = step.path.rpartition(SEPARATOR)[0]
        if flow != self._flow(token) or self.new.place_of(step.path)[0].entity != token.subject.entity:
            yield Bilingual(f"步骤 {path} 位于另一流程分支", f"the step {path} stands in another flow")
        if token.back_to and self._name(token, token.back_to) is None:
            yield Bilingual(
                f"退回的出发步骤 {token.back_to} 已不存在", f"it was sent back by {token.back_to}, which is gone"
            )
        if token.status != "due":
            differs = self._differs(token, was, step)
            if differs:
                yield Bilingual(f"步骤 {path}:{differs.zh}", f"the step {path}: {differs.en}")
        timers = {each.purpose for each in self.state.timers.values() if each.token == token.id}
        limited = timers - {"wait", "legal"}
        if (limited and step.limit is None) or ("late" in timers and step.when_late is None):
            yield Bilingual(f"步骤 {path} 的时限已取消", f"the time limit of {path} that is running is gone")
        if "legal" in timers and step.legal is None:
            yield Bilingual(f"步骤 {path} 的法定时限已取消", f"the legal time limit of {path} that is running is gone")
        for task in self.state.tasks.values():
            gone = self.to.step(task.step) is None
            if gone and task.token == token.id and task.kind == "copy" and task.status == "open":
                yield Bilingual(f"{task.step} 的抄送尚未阅读", f"a copy of {task.step} waits to be read")

    def _differs(self, token: Token, was: Step, step: Step) -> Bilingual | None:
        """What of a step that has begun cannot change under it."""
        if step.kind.nested and token.status == "open":
            needed = token.branches if step.needed is None else min(step.needed, token.branches)
            if set(was.flows) != set(step.flows) or was.each != step.each or len(token.ended) >= needed:
                return Bilingual("分支不同", "its branches differ")
        if step.kind is StepKind.CALL and (was.call, was.about) != (step.call, step.about):
            return Bilingual("子流程不同", "its sub-process differs")
        if step.kind is StepKind.WAIT and _awaited(was) != _awaited(step):
            return Bilingual("等待的内容不同", "it waits for something else")
        tasks = [each for each in self.state.tasks_of(token.id) if each.kind != "copy"]
        if not tasks:
            return None
        if _said(was.approval) != _said(step.approval):
            return Bilingual("会签规则不同", "its rule of votes differs")
        for task in tasks:
            if task.status == "done":
                before, after = was.outcomes.get(task.outcome), step.outcomes.get(task.outcome)
                if before is not None and (after is None or after.against != before.against):
                    return Bilingual(
                        f"已投结果 {task.outcome} 不同", f"the outcome {task.outcome}, already given, differs"
                    )
        return None

    def _able(self, moved: State) -> Iterator[Bilingual]:
        """Whom the new separations bar from a task that stays theirs."""
        run = Run(self.new, moved, "")
        for task in moved.tasks.values():
            if task.status not in ("open", "held") or task.kind == "copy":
                continue
            barred = run.apart(self.new.step(task.step))
            asked = [task.assignee] if task.assignee is not None else list(task.candidates)
            if asked and all(person in barred for person in asked):
                yield Bilingual(
                    f"步骤 {task.step} 的办理人因职责分离不得办理",
                    f"whoever has {task.step} took part in what it is kept apart from",
                )

    # ── the state ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _moved(self) -> State:
        return self._limited(self._carried_over())

    def _limited(self, moved: State) -> State:
        """With the timers of limits that are new to steps that have begun. One that had a limit keeps its own, also
        when all its timers have rung."""
        run = Run(self.new, moved, "")
        for number, token in self.state.tokens.items():
            if self.old.step(token.step).limit is None and self.state.begun(token):
                moves.limit(run, moved.tokens[number])
        return run.state

    def _carried_over(self) -> State:
        return replace(
            self.state,
            digest=self.new.digest,
            tokens=MappingProxyType({number: self._carried(each) for number, each in self.state.tokens.items()}),
            tasks=MappingProxyType({number: self._asked(each) for number, each in self.state.tasks.items()}),
            done=tuple(replace(each, step=self.to(each.step)) for each in self.state.done),
        )

    def _carried(self, token: Token) -> Token:
        trail = (self._name(token, each) for each in token.trail)
        return replace(
            token,
            step=self.to(token.step),
            trail=tuple(each for each in trail if each is not None),
            back_to=self._name(token, token.back_to) or "" if token.back_to else "",
        )

    def _asked(self, task: Task) -> Task:
        """Tasks of a round that is over stay as they were."""
        token = self.state.tokens.get(task.token)
        present = token is not None and (token.step, token.round) == (task.step, task.round)
        return replace(task, step=self.to(task.step)) if present or task.status in ("open", "held") else task

    def _flow(self, token: Token) -> str:
        """The path of the flow a token must stand in."""
        if token.parent is None:
            return ""
        above = self.state.tokens[token.parent]
        branch = "each" if self.old.step(above.step).kind is StepKind.EACH else token.branch
        return f"{self.to(above.step)}{SEPARATOR}{branch}"

    def _name(self, token: Token, name: str) -> str | None:
        """What a step of the token's flow is called now; None when it is gone from there."""
        prefix = token.step.rpartition(SEPARATOR)[0]
        found = self.to.step(f"{prefix}{SEPARATOR}{name}" if prefix else name)
        return found.name if found is not None and found.path.rpartition(SEPARATOR)[0] == self._flow(token) else None

    def _passing(self, moved: State) -> list[Step]:
        """Steps in flows that the tokens are on, which no way leads to from where they stand."""
        found: dict[str, Step] = {}
        for prefix in {token.step.rpartition(SEPARATOR)[0] for token in moved.tokens.values()}:
            here = [each.step for each in moved.tokens.values() if each.step.rpartition(SEPARATOR)[0] == prefix]
            flow = self.new.place_of(here[0])[0]
            after, seen = ways(flow), set[str]()
            waiting = [self.new.step(each).name for each in here]
            while waiting:
                name = waiting.pop()
                if name not in seen:
                    seen.add(name)
                    waiting.extend(after[name])
            for name in flow.steps.keys() - seen:
                path = flow.steps[name].path
                below = [each for each in self.to.new.values() if f"{each.path}/".startswith(f"{path}/")]
                found.update((each.path, each) for each in below)
        return list(found.values())


def _past(step: Step) -> Bilingual:
    return Bilingual(
        f"将越过合规检查点 {step.path}({clauses_of(step)})",
        f"it would go past the checkpoint {step.path} ({clauses_of(step)})",
    )


def _referred(workflow: Workflow) -> set[str]:
    """Paths of steps on whose actors others depend."""
    found: set[str] = set()
    steps = [step for _, step in workflow.walk()]
    for step in steps:
        found.update(each for each in step.apart if each != STARTER)
        asked = [step.who, *(each.who for each in (*step.actions, *sum(step.effects.values(), ())))]
        names = {each.actor_of for each in asked if each is not None and each.actor_of is not None}
        found.update(each.path for each in steps if each.name in names)
    return found


def _source(expression: Checked | None) -> str | None:
    return None if expression is None else expression.source


def _awaited(step: Step) -> tuple[Any, ...]:
    wait = step.wait
    assert wait is not None
    timed = wait.limit is not None or wait.until is not None
    return wait.entity, wait.verb, wait.same, _source(wait.where), timed


def _said(approval: Approval | None) -> Any:
    """What of an approval bears on votes that were cast."""
    if approval is None:
        return None
    also = tuple((post, when.source) for post, when in approval.also)
    enough, every = _source(approval.enough_of), _source(approval.all_when)
    return dataclasses.replace(approval, also=(), enough_of=None, all_when=None), also, enough, every


__all__ = ["Verdict", "verdict"]
