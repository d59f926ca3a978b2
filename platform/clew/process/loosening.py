"""What one definition of a process demands less than another: signatures, votes, guards, separations, whole steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from clew.kernel.text import Bilingual
from clew.metadata.processes import ApprovalMode, Condition, Step, Workflow


def loosened(old: Workflow, new: Workflow, to: Callable[[str], str]) -> tuple[Bilingual, ...]:
    """Step by step, what an instance of `old` would no longer be asked for by `new`. `to`: old path → new path."""
    after = {step.path: step for _, step in new.walk()}
    found: list[Bilingual] = []
    for _, was in old.walk():
        step = after.get(to(was.path))
        if step is not None:
            found += _step(was, step, to)
        elif was.sign is not None or was.approval is not None or was.checkpoint is not None:
            found.append(Bilingual(f"{was.path}:步骤取消", f"{was.path}: the step is gone"))
    return tuple(found)


def _step(was: Step, step: Step, to: Callable[[str], str]) -> Iterator[Bilingual]:
    here = was.path

    def less(zh: str, en: str) -> Bilingual:
        return Bilingual(f"{here}:{zh}", f"{here}: {en}")

    if was.sign is not None and step.sign != was.sign:
        yield less(f"不再要求签名 {was.sign}", f"no signature {was.sign}")
    if was.approval is not None and _fewer(was, step):
        yield less("表决要求降低", "fewer votes")
    for gone in [each for each in was.apart if to(each) not in step.apart]:
        yield less(f"不再与 {gone} 分离", f"not kept apart from {gone}")
    for before, now, zh, en in ((was.entry, step.entry, "进入", "entry"), (was.exit, step.exit, "完成", "exit")):
        if before is not None and _source(before) != _source(now):
            yield less(f"{zh}条件不同", f"another {en} guard")
    if was.checkpoint is not None and not _stands(was, step):
        yield less("不再是检查点", "no checkpoint any more")
    missing = [each for each in was.must_outputs if each not in step.must_outputs]
    if missing:
        yield less(f"不再必填 {'、'.join(missing)}", f"{', '.join(missing)} need not be filled in")


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
    enough = now.enough is None or (before.enough is not None and now.enough >= before.enough)
    kept = before.must <= now.must and before.veto <= now.veto and set(posts) <= here
    return not (same and enough and kept) or (now.once and not before.once)


def _source(condition: Condition | None) -> str | None:
    return None if condition is None else condition.when.source


def _text(expression: object) -> str | None:
    return None if expression is None else str(getattr(expression, "source", expression))
