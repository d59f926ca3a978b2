"""Whom the open tasks of a step are offered to as people come and go, and whether they can still be done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from clew.process import moves
from clew.process.run import Run
from clew.process.state import Task, Token, put, replace, without
from clew.process.votes import have_a_voice, unfilled, unfilled_posts
from clew.process.words import Actor, Facts, Tell


def reoffer(run: Run, token: Token, facts: Facts) -> None:
    """Offer the open tasks of a step to whoever can do them now. Who has one and still can keeps it; its clock goes on.
    When nobody can, that is an incident, which ends when somebody can again, or when the votes need nobody more."""
    left = run.left(token)
    if token.id in run.state.unasked():
        _ask_again(run, token, facts)
        return
    if not run.step_of(token).kind.human or (token.status != "open" and not left):
        return
    nobody, seats, spent = [], dict[str, tuple[str, ...]](), spoken_for(run, token)
    for task in run.state.tasks_of(token.id):
        if task.status not in ("open", "held") or task.kind not in ("task", "vote"):
            continue
        able = tuple(each for each in moves.eligible(run, token, facts, facts.able, task.post) if each not in spent)
        if not able:
            nobody.append(task.post)
            run.mark(task, candidates=(), assignee=None, behalf=None)
            continue
        seats[task.post] = able if task.assignee not in able else (task.assignee,)
        if task.assignee not in able:
            asked = moves.eligible(run, token, facts, facts.people, task.post)
            asked = tuple(each for each in asked if each not in spent) or able
            if asked != task.candidates or task.assignee is not None:
                task = run.mark(task, candidates=asked, assignee=asked[0] if len(asked) == 1 else None, behalf=None)
                if task.status == "open":
                    run.effects.append(Tell("task", token.id, task.id, asked))
    nobody += short_of(run, token, seats)
    if nobody and not left:
        run.incident(token, "left", f"{token.step}: {', '.join(nobody)}".removesuffix(": "))
    elif left and not nobody:
        for incident in left:
            run.change(incidents=without(run.state.incidents, incident.id))
        run.keep(run.state.tokens[token.id], status="open")
    approval = run.step_of(token).approval
    if approval is not None and approval.once:
        moves.again(run, token.id)
    moves.settle(run, token.id)


def _ask_again(run: Run, token: Token, facts: Facts) -> None:
    """A step that found nobody to ask begins, if there is somebody now. If not its incident stands, and nobody is told
    of it a second time."""
    missing = unfilled_posts(run.step_of(token), facts, moves.seats_of(run, token, facts))
    for incident in [each for each in run.state.incidents.values() if (each.token, each.kind) == (token.id, "nobody")]:
        if not missing:
            run.change(incidents=without(run.state.incidents, incident.id))
        elif incident.detail != missing:
            run.change(incidents=put(run.state.incidents, incident.id, replace(incident, detail=missing)))
    if not missing:
        moves.enter(run, run.keep(token, status="due"), facts)


def spoken_for(run: Run, token: Token, but: Task | None = None) -> frozenset[str]:
    """Who casts no vote for a post any more in the present round of an approval; `but` for one who is to vote."""
    step, tasks = run.step_of(token), run.state.tasks_of(token.id)
    if step.approval is None:
        return frozenset()
    return have_a_voice(step.approval, step.outcomes, [each for each in tasks if each != but])


def needed_elsewhere(run: Run, token: Token, task: Task, people: Iterable[str]) -> bool:
    """Whether nobody would be left for another post whose vote is needed, once these people have voted here."""
    seats = _seats(run, token, {*spoken_for(run, token), *people}, task)
    return not run.left(token) and bool(short_of(run, token, seats, int(task.kind == "vote")))


def others_can(run: Run, token: Token, task: Task, people: Collection[str]) -> bool:
    """Whether a vote can be cast by somebody else of those who are asked."""
    return not set(task.candidates) <= {*spoken_for(run, token), *people}


def tell_short(run: Run, token_id: int) -> None:
    """Say so when the last who could fill a post has voted for another: nobody waits for a vote that cannot come."""
    token = run.state.tokens.get(token_id)
    if token is None or token.status != "open" or run.step_of(token).approval is None:
        return
    short = short_of(run, token, _seats(run, token, spoken_for(run, token)))
    if short:
        run.incident(token, "left", f"{token.step}: {', '.join(short)}")


def can_spare(run: Run, token: Token, task: Task, actor: Actor, person: str, *, after: bool) -> bool:
    """Whether the posts can still be filled once somebody more is asked beside whoever votes, or `after` them: they
    cast no vote for a post."""
    if person in actor.both:
        return False
    seats = _seats(run, token, {*spoken_for(run, token), person}, task)
    if task.kind == "vote":
        seats = {task.post: (actor.person,), **seats}
    return not short_of(run, token, seats, bound=[task.post] if after else ())


def _seats(run: Run, token: Token, spent: Collection[str], but: Task | None = None) -> dict[str, tuple[str, ...]]:
    """Who can fill the posts that are open, of all but one. What somebody has taken for another goes back when either
    votes elsewhere (`desk.decide`)."""
    return {
        each.post: tuple(at for at in (each.candidates if each.lent else each.asked) if at not in spent)
        for each in run.state.tasks_of(token.id)
        if each.kind == "vote" and each.status in ("open", "held") and each != but
    }


def short_of(
    run: Run, token: Token, seats: Mapping[str, tuple[str, ...]], more: int = 0, bound: Collection[str] = ()
) -> list[str]:
    """The posts that stay empty, although their votes are still needed, when each of these people fills one at most.
    `more`: votes that come besides. `bound`: posts whose vote is needed whatever the others come to, besides those
    after whose vote a signer was added."""
    step = run.step_of(token)
    if step.approval is None:
        return []
    votes = [each for each in run.state.tasks_of(token.id) if each.kind in ("vote", "added")]
    cast = [each.outcome for each in votes if each.status == "done"]
    best = max((cast.count(name) for name, each in step.outcomes.items() if not each.against), default=0)
    added = sum(each.kind == "added" and each.status in ("open", "held") for each in votes)
    waited_for = [each.post for each in votes if each.kind == "vote" and each.holds is not None]
    needed = run.state.tokens[token.id].branches - best - added - more
    return unfilled(step.approval, seats, needed, [*waited_for, *bound])
