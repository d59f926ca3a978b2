"""What of an instance's past its state goes on carrying: enough for the machine, however long the instance has lived.

Every task stands in its own row and every act in the timeline; the state is read and written whole with each command,
so it keeps of the past only what can still decide something. Of steps that were done the latest stand each by itself;
earlier ones that ended alike are one entry that says how many there were and who took part. The machine gives the same
effects with the whole past and with what is kept of it (a property test holds it to that).
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from clew.metadata.processes import Workflow
from clew.process.state import Done, State, Task, Token, replace

STEPS, WAY = 30, 60
"""How many of the steps that were done last, and of the names of a token's way, are kept each by itself."""


def kept(state: State, workflow: Workflow, steps: int = STEPS, way: int = WAY) -> State:
    """The state as it is stored. What is undone one by one if the instance is cancelled is never put together."""
    tasks = {number: each for number, each in state.tasks.items() if _needed(state, each)}
    tokens = {number: _on_its_way(each, way) for number, each in state.tokens.items()}
    done = state.done
    if len(done) > steps:
        undone = {step.path for _, step in workflow.walk() if step.compensate}
        earlier, latest = done[: len(done) - steps], done[len(done) - steps :]
        done = (*_together(earlier, lambda each: each.step in undone), *latest)
    return replace(state, tasks=MappingProxyType(tasks), tokens=MappingProxyType(tokens), done=done)


def _needed(state: State, task: Task) -> bool:
    """What is open, what belongs to a round that is not over, and copies, which may be read even afterwards."""
    if task.status in ("open", "held") or task.kind == "copy":
        return True
    token = state.tokens.get(task.token)
    return token is not None and (token.step, token.round) == (task.step, task.round)


def _together(done: tuple[Done, ...], alone: Callable[[Done], bool]) -> list[Done]:
    """Entries of the same step, token, record and outcome as one, in the place of the last of them, whose actors stay
    apart: who did a step last can take it back, and may be who is asked again."""
    found: dict[object, Done] = {}
    for at, each in enumerate(done):
        key: object = at if alone(each) else (each.step, each.token, each.subject, each.outcome, bool(each.actors))
        earlier = found.pop(key, None)
        if earlier is not None:
            before = {*earlier.people, *each.before}
            each = replace(each, times=earlier.times + each.times, before=tuple(sorted(before)))
        found[key] = each
    return list(found.values())


def _on_its_way(token: Token, most: int) -> Token:
    """Of a long way the beginning names each step once."""
    if len(token.trail) <= most:
        return token
    earlier, latest = token.trail[:-most], token.trail[-most:]
    once = tuple(reversed(dict.fromkeys(reversed(earlier))))
    return token if len(once) == len(earlier) else replace(token, trail=(*once, *latest))
