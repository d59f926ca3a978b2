"""The machine: `(definition, state, command, facts) -> (state, effects)`. No I/O, no clock, no randomness.

The live engine, simulation, replay and proof all run this one function, so they cannot disagree. A command either is
refused with an error, and nothing has changed, or gives the next state and what is to be done in the same transaction,
in order. `Advance` asks to be called again with the facts of the step that now begins; `wanted` says which these are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from clew.metadata.processes import StepKind, Workflow
from clew.process import desk, moves, offers
from clew.process.errors import NoSuchIncident, ProcessEnded, ProcessNotSuspended, ProcessSuspended, SuspendedAbove
from clew.process.run import Run
from clew.process.state import State, Subject
from clew.process.words import (
    NO_FACTS,
    Act,
    ActionDone,
    ActionFailed,
    AddSigner,
    Advance,
    Begin,
    Cancel,
    ChildEnded,
    Claim,
    Command,
    Copy,
    Decide,
    Effect,
    Enter,
    EventArrived,
    Facts,
    Offer,
    Reoffer,
    Resume,
    RetryIncident,
    RingAgain,
    RunClocks,
    SendBack,
    StopClocks,
    Suspend,
    TimerFired,
    Transfer,
    Unclaim,
    Urge,
    Wanted,
    Withdraw,
)

_BY_ITSELF = (TimerFired, RingAgain, EventArrived, ActionDone, ActionFailed, ChildEnded, Enter, Reoffer)
_BY_PEOPLE = (Claim, Unclaim, Decide, AddSigner, Transfer, SendBack, Withdraw, Urge, Copy)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command has led to."""

    state: State
    effects: tuple[Effect, ...] = ()


def new(workflow: Workflow, subject: Subject, starter: str) -> State:
    """An instance that has not begun."""
    return State(workflow.name, workflow.digest, subject, starter)


def step(workflow: Workflow, state: State, command: Command, facts: Facts = NO_FACTS) -> Result:
    """The one transition function. Raises a `ClewError` that says why the command is refused."""
    if not state.live and isinstance(command, _BY_ITSELF):
        return Result(state)
    _at_work(state, command)
    run = Run(workflow, state, command.at)
    _HANDLERS[type(command)](run, command, facts)
    return Result(run.state, tuple(run.effects))


def may_decide(workflow: Workflow, state: State, command: Decide) -> None:
    """Raises what `step` will raise of a decision of somebody who may not make it."""
    _at_work(state, command)
    desk.may_decide(Run(workflow, state, command.at), command)


def _at_work(state: State, command: Command) -> None:
    if not state.live and not (isinstance(command, Decide) and desk.is_copy(state, command.task)):
        raise ProcessEnded
    if state.status == "suspended" and isinstance(command, _BY_PEOPLE):
        raise ProcessSuspended


def wanted(workflow: Workflow, state: State, command: Command) -> Wanted | None:
    """Which facts a command needs; None when it needs none."""
    if isinstance(command, Enter):
        token = state.tokens.get(command.token)
        return None if token is None else Wanted(token.step, token.subject, "entry")
    if isinstance(command, Reoffer):
        token = state.tokens.get(command.token)
        moment: Literal["entry", "offer"] = "entry" if command.token in state.unasked() else "offer"
        return None if token is None else Wanted(token.step, token.subject, moment)
    if isinstance(command, Decide | Transfer | AddSigner):
        task = state.tasks.get(command.task)
        token = state.tokens.get(task.token) if task else None
        return None if token is None else Wanted(token.step, token.subject, "exit")
    return None


def _begin(run: Run, command: Begin, facts: Facts) -> None:
    if run.state.serial:
        return
    token = run.token(run.workflow.flow.first.path, run.state.subject)
    run.effects.append(Advance(token.id))


def _enter(run: Run, command: Enter, facts: Facts) -> None:
    token = run.state.tokens.get(command.token)
    if token is not None and token.status == "due" and run.state.status == "running":
        moves.enter(run, token, facts)


def _timer(run: Run, command: TimerFired, facts: Facts) -> None:
    timer = run.state.timers.get(command.timer)
    # The law does not wait for a process that is suspended.
    if timer is not None and (run.state.status == "running" or timer.purpose == "legal"):
        moves.timer(run, timer)


def _ring_again(run: Run, command: RingAgain, facts: Facts) -> None:
    token = run.state.tokens.get(command.token)
    # Nor does the law wait for one that is suspended to be corrected.
    if token is not None and run.state.begun(token):
        for alert in command.alerts:
            run.timer(token, purpose="legal", share=alert.share, whom=alert.whom)


def _event(run: Run, command: EventArrived, facts: Facts) -> None:
    token = run.state.tokens.get(command.token)
    if token is not None and token.status == "open" and run.step_of(token).wait is not None:
        moves.finish(run, token, "done", ())


def _child(run: Run, command: ChildEnded, facts: Facts) -> None:
    token = run.state.tokens.get(command.token)
    if token is None or token.status != "open" or not run.step_of(token).call:
        return
    if command.cancelled:
        moves.called_off(run, token)
    else:
        moves.finish(run, token, command.outcome, ())


def _acted(run: Run, command: ActionDone, facts: Facts) -> None:
    token = run.state.tokens.get(command.token)
    if token is not None and token.status == "working":
        moves.finish(run, token, "done", ())


def _failed(run: Run, command: ActionFailed, facts: Facts) -> None:
    token = run.state.tokens.get(command.token)
    if token is None or token.status != "working":
        return
    target = run.step_of(token).on_error
    if target is not None and not command.stays:
        moves.leave(run, token, "failed", ())
        moves.go(run, token.id, target)
    else:
        run.incident(token, "failed", command.error)


def _cancel(run: Run, command: Cancel, facts: Facts) -> None:
    moves.cancel(run, command.reason)


def _suspend(run: Run, command: Suspend, facts: Facts) -> None:
    why = "above" if command.above else "own"
    halted = _halted(run.state)
    if why in halted and not command.above:
        raise ProcessSuspended
    run.change(status="suspended", halted=tuple(sorted({*halted, why})))
    if not halted:
        run.effects.append(StopClocks())


def _resume(run: Run, command: Resume, facts: Facts) -> None:
    why = "above" if command.above else "own"
    halted = _halted(run.state)
    if why not in halted:
        if command.above:
            return
        raise SuspendedAbove if halted else ProcessNotSuspended
    left = tuple(each for each in halted if each != why)
    run.change(status="suspended" if left else "running", halted=left)
    if left:
        return
    run.effects.append(RunClocks())
    for token in run.state.tokens.values():
        if token.status == "due":
            run.effects.append(Advance(token.id))
        elif token.status == "working":
            run.effects.append(Act(token.id, token.step))
        elif run.step_of(token).kind.human:
            # Who came and went meanwhile was not looked at.
            run.effects.append(Offer(token.id, "resumed"))


def _halted(state: State) -> tuple[str, ...]:
    """Why an instance is suspended; one that was before this was written down, by itself."""
    return state.halted or (("own",) if state.status == "suspended" else ())


def _reoffer(run: Run, command: Reoffer, facts: Facts) -> None:
    token = run.state.tokens.get(command.token)
    if token is not None and run.state.status == "running":
        offers.reoffer(run, token, facts)


def _retry(run: Run, command: RetryIncident, facts: Facts) -> None:
    incident = run.state.incidents.get(command.incident)
    if incident is None:
        raise NoSuchIncident
    token = run.state.tokens.get(incident.token)
    if incident.kind == "checkpoint" and token is not None and run.step_of(token).kind is not StepKind.END:
        if run.state.status == "suspended":
            raise ProcessSuspended
        run.forget(token)
        moves.arrive_again(run, token)
        return
    run.settle(incident)


_HANDLERS: dict[type[Any], Callable[[Run, Any, Facts], None]] = {
    Begin: _begin,
    Enter: _enter,
    Claim: desk.claim,
    Unclaim: desk.unclaim,
    Decide: desk.decide,
    AddSigner: desk.add_signer,
    Transfer: desk.transfer,
    SendBack: desk.send_back,
    Withdraw: desk.withdraw,
    Urge: desk.urge,
    Copy: desk.copy,
    TimerFired: _timer,
    RingAgain: _ring_again,
    EventArrived: _event,
    ChildEnded: _child,
    ActionDone: _acted,
    ActionFailed: _failed,
    Cancel: _cancel,
    Suspend: _suspend,
    Resume: _resume,
    Reoffer: _reoffer,
    RetryIncident: _retry,
}
