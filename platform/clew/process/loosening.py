"""What one definition of a process demands less than another: signatures, votes, guards, separations, ways, steps; and
whether a cancellation would do something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clew.kernel.text import Bilingual
from clew.metadata.compile import meaning
from clew.metadata.processes import ANY, DONE, SEPARATOR, Action, ApprovalMode, Condition, Step, StepKind, Workflow

_DOING = frozenset({StepKind.TASK, StepKind.APPROVAL, StepKind.ACTION, StepKind.WAIT, StepKind.CALL})
"""Steps in which something is done, or waited for; the others only say what comes next."""


def loosened(old: Workflow, new: Workflow, to: Callable[[str], str]) -> tuple[Bilingual, ...]:
    """Step by step, what an instance of `old` would no longer be asked for by `new`. `to`: old path → new path."""
    after = {step.path: step for _, step in new.walk()}
    found: list[Bilingual] = []
    known = {to(step.path) for _, step in old.walk()}
    for _, was in old.walk():
        step = after.get(to(was.path))
        if step is not None:
            found += _step(was, step, to)
            found += _ways(was, step, to, known)
        elif was.kind in _DOING or was.sign is not None or was.checkpoint is not None:
            found.append(Bilingual(f"{was.path}:步骤取消", f"{was.path}: the step is gone"))
    if _other(old.on_cancel, new.on_cancel):
        found.append(Bilingual("取消流程时所做的事不同", "a cancellation would do something else"))
    return tuple(found)


def _step(was: Step, step: Step, to: Callable[[str], str]) -> Iterator[Bilingual]:
    here = was.path

    def less(zh: str, en: str) -> Bilingual:
        return Bilingual(f"{here}:{zh}", f"{here}: {en}")

    if was.sign is not None and step.sign != was.sign:
        yield less(f"不再要求签名 {was.sign}", f"no signature {was.sign}")
    if was.approval is not None and _fewer(was, step):
        yield less("表决要求降低", "fewer votes")
    if was.who is not None and _asks_others(was, step):
        yield less("改由其他人办理", "others are asked")
    for name in [each.name for each in was.outcomes.values() if each.against]:
        if name in step.outcomes and not step.outcomes[name].against:
            yield less(f"{name} 不再是反对票", f"{name} is no vote against any more")
    for gone in [each for each in was.apart if to(each) not in step.apart]:
        yield less(f"不再与 {gone} 分离", f"not kept apart from {gone}")
    for before, now, zh, en in ((was.entry, step.entry, "进入", "entry"), (was.exit, step.exit, "完成", "exit")):
        if before is not None and _source(before) != _source(now):
            yield less(f"{zh}条件不同", f"another {en} guard")
    if was.checkpoint is not None and not _stands(was, step):
        yield less("不再是检查点", "no checkpoint any more")
    if _other(was.compensate, step.compensate):
        yield less("取消流程时的撤销方式不同", "a cancellation would undo it otherwise")
    missing = [each for each in was.must_outputs if each not in step.must_outputs]
    if missing:
        yield less(f"不再必填 {'、'.join(missing)}", f"{', '.join(missing)} need not be filled in")


def _ways(was: Step, step: Step, to: Callable[[str], str], known: set[str]) -> Iterator[Bilingual]:
    """Where it leads otherwise than to what is added: past something, or on where it led back."""

    def path(of: Step, name: str | None) -> str | None:
        flow = of.path.rpartition(SEPARATOR)[0]
        return name if name is None or not flow else f"{flow}{SEPARATOR}{name}"

    def led(of: Step, outcome: str) -> str | None:
        return path(of, of.next.get(outcome) or of.next.get(ANY) or of.follows)

    for outcome in was.outcomes or (DONE,):
        before, now = led(was, outcome), led(step, outcome)
        if now != (None if before is None else to(before)) and (now is None or now in known):
            yield Bilingual(f"{was.path}:{outcome} 之后的去向不同", f"{was.path}: another way after {outcome}")
    before, now = path(was, was.when_late), path(step, step.when_late)
    if now is not None and (before is None or to(before) != now):
        yield Bilingual(f"{was.path}:超时后自行继续", f"{was.path}: it goes on by itself when it is late")


def _asks_others(was: Step, step: Step) -> bool:
    """Whether somebody is asked who was not before, or somebody need not be trained for it any more."""
    before, now = was.who, step.who
    if before is None or now is None:
        return before is not None and now is None and step.kind.human
    kept = set(now.roles) <= set(before.roles) and set(now.positions) <= set(before.positions)
    named = [
        (before.starter, now.starter),
        (before.actor_of, now.actor_of),
        *((_text(getattr(before, each)), _text(getattr(now, each))) for each in ("person", "manager_of")),
    ]
    fewer = all(after in (None, False) or after == one for one, after in named)
    trained = before.qualified_for is None or _text(before.qualified_for) == _text(now.qualified_for)
    return not (kept and fewer and trained)


def _other(was: tuple[Action, ...], now: tuple[Action, ...]) -> bool:
    """Whether what is done is not the same. What is done besides is told as well: a cancellation that moves or holds
    more than whoever began the process knew of is no smaller matter than one that does less."""
    return [meaning(each) for each in was] != [meaning(each) for each in now]


def _stands(was: Step, step: Step) -> bool:
    """Whether a checkpoint stands before every outcome that it stood before."""
    before = was.checkpoint.before if was.checkpoint is not None else ()
    return set(before) <= set(step.checkpoint.before if step.checkpoint is not None else ())


def _fewer(was: Step, step: Step) -> bool:
    """Whether anybody who had to agree need not any more. A rule that says it otherwise is not compared."""
    before, now = was.approval, step.approval
    assert before is not None
    if now is None or (now.mode is ApprovalMode.ANY_SIGN) != (before.mode is ApprovalMode.ANY_SIGN):
        return True
    posts = [*before.posts, *(post for post, _ in before.also)]
    here = {*now.posts, *(post for post, _ in now.also)}
    same = (before.share, _text(before.enough_of), _text(before.all_when), before.among) == (
        now.share,
        _text(now.enough_of),
        _text(now.all_when),
        now.among,
    )
    kept = before.must <= now.must and before.veto <= now.veto
    if before.mode is ApprovalMode.ANY_SIGN:
        # One signs for all: whoever is asked besides could do it instead.
        return not (same and kept and here <= set(posts))
    # Of those who had to agree so many still must, when all that were added agree.
    added = here - set(posts)
    sure = (len(here) if now.enough is None else now.enough) - len(added)
    enough = sure >= (len(set(posts)) if before.enough is None else before.enough)
    by_share = before.share is not None or before.enough_of is not None
    enough = not added if by_share else enough
    return not (same and enough and kept and set(posts) <= here) or (now.once and not before.once)


def _source(condition: Condition | None) -> str | None:
    return None if condition is None else condition.when.source


def _text(expression: object) -> str | None:
    return None if expression is None else str(getattr(expression, "source", expression))
