"""What people do with tasks: claim, decide, add a signer, transfer, send back, withdraw, urge, copy."""

from __future__ import annotations

import math
from datetime import timedelta

from clew.kernel.scalars import parse_instant
from clew.kernel.text import Bilingual
from clew.metadata.processes import SEPARATOR, STARTED, STARTER, Action, Outcome, Step, StepKind
from clew.process import moves, offers
from clew.process.checkpoints import checkpoints
from clew.process.errors import (
    CommentRequired,
    NeededElsewhere,
    NotEligible,
    NotFinished,
    NothingToWithdraw,
    NotTakenBack,
    NotYourTask,
    NoWayBack,
    SamePerson,
    TaskGone,
    TaskHeld,
    TaskTaken,
    UnknownOutcome,
    UrgedAlready,
)
from clew.process.run import Run
from clew.process.state import State, Task, Token
from clew.process.words import (
    Actor,
    AddSigner,
    Claim,
    Copy,
    Decide,
    Facts,
    SendBack,
    Tell,
    Transfer,
    Unclaim,
    Urge,
    Withdraw,
)

URGE_EVERY = timedelta(minutes=30)
"""How soon the same person may urge the same task again."""
_UNFINISHED = Bilingual("该步骤尚未满足完成条件。", "What this step must bring about is not there yet.")


def claim(run: Run, command: Claim, facts: Facts) -> None:
    """Take a task of a group. Taking one's own again changes nothing."""
    task, token = _open(run, command.task)
    _mine(run, task, token, command.actor)
    run.mark(task, assignee=command.actor.person, behalf=_behalf(task, command.actor))


def unclaim(run: Run, command: Unclaim, facts: Facts) -> None:
    """Give a task back to its group."""
    task, _ = _open(run, command.task)
    if task.assignee != command.actor.person:
        raise NotYourTask
    if len(task.candidates) > 1 or task.candidates != (task.assignee,):
        run.mark(task, assignee=None, behalf=None)


def decide(run: Run, command: Decide, facts: Facts) -> None:
    """Complete a task or cast a vote."""
    if is_copy(run.state, command.task):
        _read(run, command)
        return
    task, token, step, outcome = may_decide(run, command)
    if not facts.exit and not outcome.against:
        say = step.exit.say if step.exit is not None else Bilingual()
        raise NotFinished(
            say=say or Bilingual("该步骤尚未满足完成条件。", "What this step must bring about is not there yet.")
        )
    voice = _voice(step, outcome, task, command.actor)
    needed = task.kind == "vote" and offers.needed_elsewhere(run, token, task, voice)
    if needed and offers.others_can(run, token, task, command.actor.both):
        raise NeededElsewhere(step=step.label)
    run.mark(
        task,
        status="done",
        outcome=command.outcome,
        comment=command.comment,
        actor=command.actor.person,
        behalf=_behalf(task, command.actor),
        assignee=command.actor.person,
        at=command.at,
    )
    moves.release(run, task)
    if step.approval is not None:
        _give_back(run, token, command.actor.person, _behalf(task, command.actor))
        if step.approval.once and not outcome.against:
            moves.again(run, token.id)
        moves.settle(run, token.id)
        offers.tell_short(run, token.id)
        return
    tasks = run.state.tasks_of(token.id)
    if outcome.against or all(each.status == "done" for each in tasks if each.kind in ("task", "added")):
        actors = tuple(dict.fromkeys(each for task in tasks for each in (task.actor, task.behalf) if each))
        main = command.outcome if outcome.against else _own(run, token, command.outcome)
        moves.finish(run, token, main, actors)


def may_decide(run: Run, command: Decide) -> tuple[Task, Token, Step, Outcome]:
    """The task, if it is this person's to decide so; what is yet to be filled in is not asked."""
    task, token = _open(run, command.task)
    _mine(run, task, token, command.actor)
    step = run.step_of(token)
    outcome = step.outcomes.get(command.outcome)
    if outcome is None:
        raise UnknownOutcome(path=["outcome"], known=", ".join(step.outcomes))
    if outcome.comment and not command.comment.strip():
        raise CommentRequired(path=["comment"])
    return task, token, step, outcome


def add_signer(run: Run, command: AddSigner, facts: Facts) -> None:
    """Ask one person more. Their agreement is needed: adding can only make it stricter."""
    task, token = _open(run, command.task)
    _mine(run, task, token, command.actor)
    step = run.step_of(token)
    _eligible(run, step, token, command.person, facts)
    before = command.where == "before"
    if command.person in offers.spoken_for(run, token) or not offers.can_spare(
        run, token, task, command.actor, command.person, after=not before
    ):
        raise NotEligible(path=["person"])
    added = run.task(
        token,
        "added",
        task.post,
        (command.person,),
        status="open" if before else "held",
        added_by=command.actor.person,
        holds=task.id if before else task.holds,
    )
    if before:
        run.mark(task, status="held", assignee=command.actor.person, behalf=_behalf(task, command.actor))
        run.effects.append(Tell("added", token.id, added.id, added.candidates, comment=command.comment))
    else:
        run.mark(task, assignee=command.actor.person, behalf=_behalf(task, command.actor), holds=added.id)
    if step.approval is not None:
        run.keep(run.state.tokens[token.id], branches=run.state.tokens[token.id].branches + 1)


def transfer(run: Run, command: Transfer, facts: Facts) -> None:
    """Give a task to another who could have been asked."""
    task, token = _open(run, command.task)
    _mine(run, task, token, command.actor)
    step = run.step_of(token)
    if task.kind != "added" and command.person not in facts.people.get(task.post, ()):
        raise NotEligible(path=["person"])
    _eligible(run, step, token, command.person, facts)
    behalf = (_behalf(task, command.actor) or command.actor.person) if command.delegated else None
    if task.kind != "task":
        voice = {command.person, *filter(None, [behalf])}
        if offers.spoken_for(run, token, task) & voice or offers.needed_elsewhere(run, token, task, voice):
            raise NotEligible(path=["person"])
    run.mark(task, candidates=(command.person,), assignee=command.person, behalf=behalf)
    run.effects.append(Tell("transfer", token.id, task.id, (command.person,), comment=command.comment))


def send_back(run: Run, command: SendBack, facts: Facts) -> None:
    """To an earlier step of the same flow; this round is over, and stays in what was done. Straight back is not past a
    checkpoint or a signature, and whoever asked for it earlier waits for who sends it back now."""
    task, token = _open(run, command.task)
    _mine(run, task, token, command.actor)
    if not command.comment.strip():
        raise CommentRequired(path=["comment"])
    step = run.step_of(token)
    steps = run.flow_of(token).steps
    ways = [
        name
        for name in dict.fromkeys(token.trail)
        if name in steps
        and steps[name].kind.human
        and name != step.name
        and (step.returns_to is None or name in step.returns_to)
    ]
    if command.to not in ways:
        raise NoWayBack(path=["to"], known=", ".join(ways) or "–")
    run.mark(
        task,
        status="done",
        outcome="returned",
        comment=command.comment,
        actor=command.actor.person,
        behalf=_behalf(task, command.actor),
        assignee=command.actor.person,
        at=command.at,
    )
    moves.leave(run, token, "returned", command.actor.both)
    straight = command.straight and not _checked_between(run, token, command.to)
    _back(run, token, command.to)
    run.keep(run.state.tokens[token.id], back_to="")
    moves.go(run, token.id, command.to, reason=command.comment, back_to=step.name if straight else "")


def withdraw(run: Run, command: Withdraw, facts: Facts) -> None:
    """Take back the last step of this flow while nobody has begun on the next."""
    token = run.state.tokens.get(command.token)
    if token is None or not run.step_of(token).kind.human or token.status == "blocked":
        raise NothingToWithdraw
    automatic = {name for name, each in run.flow_of(token).steps.items() if each.kind is StepKind.DECISION}
    mine = [
        each
        for each in run.state.done
        if each.token == token.id and each.step.rpartition(SEPARATOR)[2] not in automatic
    ]
    trail = [each for each in token.trail if each not in automatic]
    last = mine[-1] if mine else None
    if last is None or not trail or _touched(run, token) or last.outcome in ("returned", "withdrawn"):
        raise NothingToWithdraw
    step = run.known(last.step)
    if step is None or command.actor.person not in last.actors or not step.kind.human or trail[-1] != step.name:
        raise NothingToWithdraw
    if step.sign is not None or lasting(step.effects_of(last.outcome)) or _begun(run.step_of(token)):
        raise NotTakenBack
    name = step.name
    moves.leave(run, token, "withdrawn", ())
    _back(run, token, name)
    moves.go(run, token.id, name, reason=command.comment)


def urge(run: Run, command: Urge, facts: Facts) -> None:
    """Remind whoever has the task; each person once in URGE_EVERY, so that nobody's notices are flooded."""
    task, token = _open(run, command.task, held=True)
    person, at = command.actor.person, parse_instant(command.at)
    # Where the clock was set back, what is from later counts no more.
    recent = {who: when for who, when in task.urged if at - URGE_EVERY < parse_instant(when) <= at}
    if person in recent:
        again = parse_instant(recent[person]) + URGE_EVERY
        minutes = math.ceil((again - at) / timedelta(minutes=1))
        raise UrgedAlready(minutes=minutes, again=f"{again.isoformat(sep=' ', timespec='seconds')[:19]} UTC")
    run.mark(task, urged=tuple({**recent, person: command.at}.items()))
    run.effects.append(Tell("urge", token.id, task.id, task.asked, comment=command.comment))


def copy(run: Run, command: Copy, facts: Facts) -> None:
    """Show the case to people; each has a task of their own to confirm having read it, and one is enough."""
    token = run.state.tokens.get(command.token)
    if token is None:
        raise TaskGone
    unread = {
        person
        for each in run.state.tasks.values()
        if each.kind == "copy" and each.status == "open"
        for person in each.candidates
    }
    for person in [each for each in dict.fromkeys(command.people) if each not in unread]:
        task = run.task(token, "copy", "", (person,), added_by=command.actor.person, comment=command.comment)
        run.effects.append(Tell("copy", token.id, task.id, (person,), comment=command.comment))


def is_copy(state: State, number: int) -> bool:
    """Whether a task only asks to be read. It may be read even when the process has ended."""
    task = state.tasks.get(number)
    return task is not None and task.kind == "copy"


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read(run: Run, command: Decide) -> None:
    task = run.state.tasks[command.task]
    if command.actor.person not in task.candidates:
        raise NotYourTask
    if task.status != "open":
        raise TaskGone
    run.mark(task, status="done", outcome="read", actor=command.actor.person, at=command.at)


def _open(run: Run, number: int, *, held: bool = False) -> tuple[Task, Token]:
    task = run.state.tasks.get(number)
    if task is None or task.kind == "copy" or task.status in ("done", "closed"):
        raise TaskGone
    if task.status == "held" and not held:
        raise TaskHeld
    token = run.state.tokens.get(task.token)
    if token is None:
        raise TaskGone
    return task, token


def _mine(run: Run, task: Task, token: Token, actor: Actor) -> None:
    """The task is this person's, or of a group they belong to; and nothing they did before bars them."""
    if task.assignee is not None and task.assignee not in actor.both:
        raise TaskTaken if any(each in task.candidates for each in actor.both) else NotYourTask
    if task.assignee is None and not any(each in task.candidates for each in actor.both):
        raise NotYourTask
    step = run.step_of(token)
    # Whoever it was given to acts for the one who gave it away, whose duty it stays.
    given = _behalf(task, actor)
    acting = actor.both if given is None else (*actor.both, given)
    _apart(run, step, acting)
    if task.kind in ("vote", "added"):
        for each in run.state.tasks_of(token.id):
            if each.id == task.id or each.kind not in ("vote", "added"):
                continue
            # Who is to vote as a signer who was added could not do so once they had voted for a post.
            waits = each.kind == "added" and each.status in ("open", "held")
            voice = {each.actor, each.behalf} if each.status == "done" else {each.assignee} if waits else set()
            if voice & set(acting):
                raise SamePerson(step=step.label)


def _voice(step: Step, outcome: Outcome, task: Task, actor: Actor) -> set[str]:
    """Whose one vote it is. Where one agreement stands for all posts of the same person, they agree for the others."""
    spared = step.approval is not None and step.approval.once and not outcome.against
    people = {_behalf(task, actor), None if spared else actor.person}
    return {each for each in people if each is not None}


def _give_back(run: Run, token: Token, *voted: str | None) -> None:
    """What was taken from its group for somebody else goes back to it, where whoever took it or whose duty it is has
    now voted for another post: they could not do it any more."""
    gone = {each for each in voted if each is not None}
    for each in run.state.tasks_of(token.id):
        if each.lent and each.status in ("open", "held") and gone & {each.assignee, each.behalf}:
            run.mark(each, assignee=None, behalf=None)


def _behalf(task: Task, actor: Actor) -> str | None:
    """Whose duty it is that somebody does with a task, when it is not their own: it was given to them for another, or
    they stand in for one."""
    return actor.behalf or (task.behalf if task.assignee == actor.person else None)


def _touched(run: Run, token: Token) -> bool:
    """Whether anybody has begun on the tasks of a step: done one, or taken one from its group."""
    for task in run.state.tasks_of(token.id):
        if task.kind != "copy" and task.status != "held":
            taken = task.assignee is not None and len(task.candidates) > 1
            if task.status != "open" or taken:
                return True
    return False


def lasting(actions: tuple[Action, ...]) -> bool:
    """Whether actions did something to other records that stays when the step is done again."""
    return any(each.kind not in ("set", "notify") for each in actions)


def _begun(step: Step) -> bool:
    """Whether the beginning of a step has moved records on, its own or others."""
    return STARTED in step.states or lasting(step.effects_of(STARTED))


def _apart(run: Run, step: Step, people: tuple[str, ...]) -> None:
    barred = run.apart(step)
    for person in people:
        if person in barred:
            at = barred[person]
            label = Bilingual("发起", "starting it") if at == STARTER else run.workflow.step(at).label
            raise SamePerson(step=label)


def _eligible(run: Run, step: Step, token: Token, person: str, facts: Facts) -> None:
    """Somebody who may be given a part in a step: known, not barred, and not in it already."""
    if person in run.apart(step) or person not in facts.people.get("*", ()):
        raise NotEligible(path=["person"])
    for each in run.state.tasks_of(token.id):
        if each.kind in ("vote", "added", "task") and person in (each.actor, each.assignee):
            raise NotEligible(path=["person"])


def _own(run: Run, token: Token, outcome: str) -> str:
    """The outcome of a plain task is that of the one it was asked of, not of somebody who was added."""
    main = next((each for each in run.state.tasks_of(token.id) if each.kind == "task"), None)
    return main.outcome if main is not None else outcome


def _checked_between(run: Run, token: Token, name: str) -> bool:
    """Whether a checkpoint stands on the way from a step to where the token is, or within a step on it; or a signature,
    which was given for what was there before it is reworked (21 CFR 11.70)."""
    at = len(token.trail) - 1 - token.trail[::-1].index(name)
    steps = run.flow_of(token).steps
    passed = [f"{steps[each].path}/" for each in token.trail[at + 1 :] if each in steps]
    binding = [*checkpoints(run.workflow), *(each for _, each in run.workflow.walk() if each.sign is not None)]
    return any(f"{each.path}/".startswith(way) for each in binding for way in passed)


def _back(run: Run, token: Token, name: str) -> None:
    """Forget the way from a step on: it is walked again."""
    token = run.state.tokens[token.id]
    at = len(token.trail) - 1 - token.trail[::-1].index(name)
    run.keep(token, trail=token.trail[:at])
