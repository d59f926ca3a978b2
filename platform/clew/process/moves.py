"""How tokens move: a step begins, ends, leads on; branches part and come together; a process ends or is cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from clew.metadata.processes import CANCELLED, DONE, SEPARATOR, STARTED, Approval, ApprovalMode, Step, StepKind
from clew.process.checkpoints import clauses_of, missing
from clew.process.run import Run
from clew.process.state import Done, Task, Timer, Token, without
from clew.process.votes import have_a_voice, tally, unfilled_posts, wanted
from clew.process.words import (
    Act,
    Advance,
    Compensate,
    Ended,
    Facts,
    Moment,
    StartChild,
    StopChild,
    Tell,
)


def enter(run: Run, token: Token, facts: Facts) -> None:
    """A step begins: its guard, its moment, its tasks and its clock."""
    step = run.step_of(token)
    if not facts.entry:
        run.incident(token, "entry", step.path)
        return
    if not facts.in_use:
        run.incident(token, "not_in_use", f"{step.path}: {step.call}")
        return
    if facts.busy:
        run.incident(token, "already_running", f"{step.path}: {step.call}")
        return
    if step.kind.human and not _ask(run, token, step, facts):
        return
    if step.kind is not StepKind.END:
        run.effects.append(Moment(token.id, step.path, STARTED, token.subject, reason=token.reason))
    token = run.keep(run.state.tokens[token.id], status="open")
    limit(run, token)
    for alert in step.legal.alerts if step.legal is not None else ():
        run.timer(token, purpose="legal", share=alert.share, whom=alert.whom)
    if step.kind is StepKind.ACTION:
        run.keep(token, status="working")
        run.effects.append(Act(token.id, step.path))
    elif step.kind is StepKind.DECISION:
        _choose(run, token, step, facts)
    elif step.kind.nested:
        _spread(run, token, step, facts)
    elif step.kind is StepKind.WAIT:
        assert step.wait is not None
        if step.wait.limit is not None or step.wait.until is not None:
            run.timer(token, purpose="wait")
    elif step.kind is StepKind.CALL:
        run.effects.append(StartChild(token.id, step.call, facts.about or token.subject))
    elif step.kind is StepKind.END:
        _arrive(run, token, step.outcome)
    else:
        settle(run, token.id)


def limit(run: Run, token: Token) -> None:
    """Begin the time limit of a token's step, if it has one."""
    step = run.step_of(token)
    for alert in step.alerts if step.limit is not None else ():
        run.timer(token, purpose="alert", share=alert.share, whom=alert.whom)
    if step.limit is not None and step.when_late is not None:
        run.timer(token, purpose="late")


def finish(run: Run, token: Token, outcome: str, actors: tuple[str, ...]) -> None:
    """A step ends with an outcome, and its token goes on."""
    step = run.step_of(token)
    against = outcome in step.outcomes and step.outcomes[outcome].against
    leave(run, token, outcome, actors)
    run.effects.append(
        Moment(token.id, step.path, outcome, token.subject, against, reason=_comment(run, token, outcome))
    )
    token = run.state.tokens[token.id]
    back = token.back_to if not against else ""
    target = back or step.target(outcome)
    run.keep(token, back_to="", trail=(*token.trail, step.name))
    if target is None:
        _arrive(run, run.state.tokens[token.id], outcome)
    else:
        go(run, token.id, target, reason=_comment(run, token, outcome) if against else "")


def leave(run: Run, token: Token, outcome: str, actors: tuple[str, ...]) -> None:
    """Write down that a step ended, close what is left of its tasks, and stop its clock. Whoever has done one of its
    tasks had a part in it, however it ended."""
    acted = (
        person
        for each in run.state.tasks_of(token.id)
        if each.kind != "copy" and each.status == "done"
        for person in (each.actor, each.behalf)
        if person
    )
    actors = tuple(dict.fromkeys((*actors, *acted)))
    close_tasks(run, token)
    run.drop_timers(token.id)
    run.forget(token)
    for below in run.state.below(token.id):
        remove(run, below)
    entry = Done(token.step, token.id, token.round, outcome, actors, run.at, token.subject)
    run.change(done=(*run.state.done, entry))


def go(run: Run, token_id: int, target: str, *, reason: str = "", back_to: str = "") -> None:
    """Put a token on another step of its flow."""
    token = run.state.tokens[token_id]
    prefix, _, _ = token.step.rpartition(SEPARATOR)
    path = f"{prefix}{SEPARATOR}{target}" if prefix else target
    before = sum(done.times for done in run.state.done if done.token == token_id and done.step == path)
    run.keep(
        token,
        step=path,
        status="due",
        round=before + 1,
        reason=reason,
        back_to=back_to or token.back_to,
        branches=0,
        ended=(),
    )
    run.effects.append(Advance(token_id))


def timer(run: Run, timer: Timer) -> None:
    """A moment of a time limit has come."""
    token = run.state.tokens[timer.token]
    step = run.step_of(token)
    run.change(timers=without(run.state.timers, timer.id))
    if timer.purpose in ("alert", "legal"):
        people = tuple(
            each.assignee for each in run.state.tasks_of(token.id) if each.status == "open" and each.assignee
        )
        about: Literal["alert", "legal"] = "legal" if timer.purpose == "legal" else "alert"
        run.effects.append(Tell(about, token.id, people=people, whom=timer.whom, share=timer.share))
    elif timer.purpose == "wait":
        finish(run, token, DONE, ())
    elif step.when_late is not None:
        _turn(run, token, step, "late", step.when_late)


def called_off(run: Run, token: Token) -> None:
    """The process that a step runs was cancelled by itself: it has come to none of its outcomes, and `any` is any of
    these. Unless the step says what follows, an operator must see to it."""
    step = run.step_of(token)
    if CANCELLED in step.next:
        _turn(run, token, step, CANCELLED, step.next[CANCELLED])
    else:
        run.incident(token, "cancelled", f"{step.path}: {step.call}")


def arrive_again(run: Run, token: Token) -> None:
    """A flow whose last step is done already comes to its end, if it may now: the step is not done again."""
    last = next(each for each in reversed(run.state.done) if (each.token, each.step) == (token.id, token.step))
    _arrive(run, token, last.outcome)


def settle(run: Run, token_id: int) -> None:
    """End an approval when its votes have come to an outcome, even where a seat has nobody left who could fill it; else
    open the next seat, where they go one by one."""
    token = run.state.tokens.get(token_id)
    if token is None or (token.status != "open" and not run.left(token)):
        return
    step = run.step_of(token)
    if step.approval is None:
        return
    votes = [each for each in run.state.tasks_of(token_id) if each.kind in ("vote", "added")]
    outcome = tally(step.approval, step.outcomes, votes, token.branches)
    if outcome is not None:
        actors = [
            person
            for each in votes
            if each.status == "done" and each.actor
            for person in (each.actor, each.behalf)
            if person
        ]
        finish(run, token, outcome, tuple(dict.fromkeys(actors)))
        return
    if step.approval.mode is ApprovalMode.ONE_BY_ONE:
        # A seat that nobody is left for, whose vote is not needed, holds up none of those behind it.
        spent = have_a_voice(step.approval, step.outcomes, votes)
        due = [each for each in votes if each.kind == "added" or not set(each.asked) <= spent]
        held = [each for each in due if each.status == "held" and each.kind == "vote"]
        if held and not any(each.status == "open" for each in due):
            seat = run.mark(held[0], status="open")
            run.effects.append(Tell("task", token_id, seat.id, seat.candidates))
            if step.approval.once:
                again(run, token_id)


def again(run: Run, token_id: int) -> None:
    """Whoever has agreed in this round is not asked a second time for another post, where the step says so."""
    token = run.state.tokens.get(token_id)
    if token is None:
        return
    step = run.step_of(token)
    tasks = run.state.tasks_of(token_id)
    agreed = {
        each.actor: each.outcome
        for each in tasks
        if each.status == "done" and each.kind == "vote" and each.actor and not step.outcomes[each.outcome].against
    }
    for seat in tasks:
        person = next((each for each in seat.candidates if each in agreed), None)
        if seat.kind in ("vote", "added") and seat.status == "open" and person is not None:
            run.mark(seat, status="done", outcome=agreed[person], actor=person, at=run.at, auto=True, assignee=person)
            release(run, seat)
            again(run, token_id)
            settle(run, token_id)
            return


def eligible(run: Run, token: Token, facts: Facts, people: Mapping[str, tuple[str, ...]], post: str) -> tuple[str, ...]:
    """Of those who hold a post whoever nothing bars. Where one signs for all, the posts are asked together."""
    step = run.step_of(token)
    barred = run.apart(step)
    together = step.approval is not None and step.approval.mode is ApprovalMode.ANY_SIGN
    posts = _posts(step.approval, facts) if together and step.approval is not None else (post,)
    asked = dict.fromkeys(person for each in posts for person in people.get(each, ()))
    return tuple(each for each in asked if each not in barred)


def release(run: Run, task: Task) -> None:
    """Open the seat that waited for this one."""
    waiting = run.state.tasks.get(task.holds) if task.holds is not None else None
    if waiting is not None and waiting.status == "held":
        run.mark(waiting, status="open")
        run.effects.append(Tell("task", task.token, waiting.id, waiting.candidates))


def close_tasks(run: Run, token: Token) -> None:
    for task in run.state.tasks_of(token.id):
        if task.status in ("open", "held") and task.kind != "copy":
            run.mark(task, status="closed")


def remove(run: Run, token: Token) -> None:
    """Take a token out, with everything below it."""
    for below in run.state.below(token.id):
        remove(run, below)
    close_tasks(run, token)
    run.drop_timers(token.id)
    if run.step_of(token).kind is StepKind.CALL and token.status == "open":
        run.effects.append(StopChild(token.id, token.step))
    run.forget(token)
    run.drop(token)


def cancel(run: Run, reason: str) -> None:
    """End an instance before its time, and undo what its steps say how to undo, the last first."""
    for token in [each for each in run.state.tokens.values() if each.parent is None]:
        remove(run, token)
    for done in reversed(run.state.done):
        step = run.known(done.step)
        undone = done.outcome in ("returned", "withdrawn", "late", "failed", CANCELLED)
        if step is not None and step.compensate and not undone:
            run.effects += [Compensate(done.step, done.subject)] * done.times
    if run.workflow.on_cancel:
        run.effects.append(Compensate("", run.state.subject))
    run.change(status="cancelled", outcome="cancelled")
    run.effects.append(Ended("cancelled", cancelled=True))


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _turn(run: Run, token: Token, step: Step, outcome: str, target: str) -> None:
    """A step ends without being done, and another follows."""
    leave(run, token, outcome, ())
    run.effects.append(Moment(token.id, step.path, outcome, token.subject, True))
    go(run, token.id, target)


def _ask(run: Run, token: Token, step: Step, facts: Facts) -> bool:
    """Make the tasks of a step. Nobody to ask is an incident, never a skip."""
    approval, seats = step.approval, seats_of(run, token, facts)
    missing = unfilled_posts(step, facts, seats)
    if missing:
        run.incident(token, "nobody", missing)
        return False
    if approval is None:
        task = run.task(token, "task", "", seats[""])
        run.effects.append(Tell("task", token.id, task.id, seats[""]))
        return True
    run.keep(token, branches=wanted(approval, len(seats), facts.all_agree, facts.enough))
    for index, (post, people) in enumerate(seats.items()):
        held = approval.mode is ApprovalMode.ONE_BY_ONE and index > 0
        task = run.task(token, "vote", post, people, status="held" if held else "open")
        if not held:
            run.effects.append(Tell("task", token.id, task.id, people))
    return True


def seats_of(run: Run, token: Token, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Who can be asked for each post of a step; for a plain task under the empty name."""
    step = run.step_of(token)
    if step.approval is None:
        return {"": eligible(run, token, facts, facts.people, "")}
    posts = _posts(step.approval, facts)
    if step.approval.mode is ApprovalMode.ANY_SIGN:
        posts = posts[:1]
    return {post: eligible(run, token, facts, facts.people, post) for post in posts}


def _posts(approval: Approval, facts: Facts) -> tuple[str, ...]:
    return (*approval.posts, *(post for post, _ in approval.also if post in facts.also))


def _choose(run: Run, token: Token, step: Step, facts: Facts) -> None:
    """The first branch whose condition holds; the last has none."""
    for branch, holds in zip(step.branches, (*facts.conditions, *[False] * len(step.branches)), strict=False):
        if branch.when is None or holds:
            leave(run, token, branch.to, ())
            run.keep(run.state.tokens[token.id], trail=(*token.trail, step.name))
            go(run, token.id, branch.to)
            return
    run.incident(token, "failed", step.path)


def _spread(run: Run, token: Token, step: Step, facts: Facts) -> None:
    """One token below for each branch, or for each record."""
    if step.kind is StepKind.PARALLEL:
        below = [(name, flow, token.subject) for name, flow in step.flows.items()]
    else:
        flow = step.flows["each"]
        below = [(str(at), flow, subject) for at, subject in enumerate(facts.elements)]
    run.keep(token, branches=len(below))
    for name, flow, subject in below:
        started = run.token(flow.first.path, subject, token.id, name)
        run.effects.append(Advance(started.id))
    if not below:
        finish(run, run.state.tokens[token.id], DONE, ())


def _arrive(run: Run, token: Token, outcome: str) -> None:
    """A flow has come to its end: the process's own, or that of one branch."""
    if token.parent is None:
        left_out = missing(run.workflow, run.state, outcome)
        if left_out:
            run.incident(token, "checkpoint", "; ".join(f"{each.path}: {clauses_of(each)}" for each in left_out))
            return
        for each in [each for each in run.state.tokens.values() if each.parent is None]:
            remove(run, each)
        run.change(status="ended", outcome=outcome)
        run.effects.append(Ended(outcome))
        return
    above = run.state.tokens[token.parent]
    run.drop_timers(token.id)
    close_tasks(run, token)
    run.drop(token)
    above = run.keep(above, ended=(*above.ended, (token.branch, outcome)))
    step = run.step_of(above)
    needed = above.branches if step.needed is None else min(step.needed, above.branches)
    if len(above.ended) >= needed:
        finish(run, above, DONE, ())


def _comment(run: Run, token: Token, outcome: str) -> str:
    """What was said with an outcome: the comments of those who voted for it."""
    said = [
        each.comment
        for each in run.state.tasks.values()
        if (each.token, each.step, each.round) == (token.id, token.step, token.round)
        and each.status == "done"
        and each.outcome == outcome
        and each.comment
    ]
    return "; ".join(dict.fromkeys(said))


__all__ = [
    "Task",
    "again",
    "arrive_again",
    "called_off",
    "cancel",
    "eligible",
    "enter",
    "finish",
    "go",
    "leave",
    "limit",
    "release",
    "remove",
    "seats_of",
    "settle",
    "timer",
]
