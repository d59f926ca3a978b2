"""How the votes of an approval become one outcome. Pure counting, exact at every number of votes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from clew.metadata.processes import Approval, ApprovalMode, Outcome, Step
from clew.process.state import Task
from clew.process.words import Facts


def wanted(approval: Approval, seats: int, all_agree: bool, enough: int | None) -> int:
    """How many votes decide, of so many seats. `enough` is the value of the expression, where one is declared."""
    if all_agree:
        return seats
    if approval.mode is ApprovalMode.ANY_SIGN:
        return 1
    if approval.enough is not None:
        return min(approval.enough, seats)
    if approval.share is not None:
        return max(1, -(-approval.share * seats // 100))
    if approval.enough_of is not None:
        return seats if enough is None else max(1, min(enough, seats))
    return seats


def tally(approval: Approval, outcomes: Mapping[str, Outcome], votes: Sequence[Task], needed: int) -> str | None:
    """The outcome the votes have come to; None while it is open.

    An outcome that is not against wins with `needed` votes for it, once everybody who must agree and everybody who was
    added has voted for it. When none can win any more, the outcome against with most votes has won; if nobody voted
    against, the voters have split and the first outcome against stands for that. A veto decides at once.
    """
    cast: dict[str, int] = {}
    for vote in votes:
        if vote.status == "done":
            cast[vote.outcome] = cast.get(vote.outcome, 0) + 1
            if vote.post in approval.veto and outcomes[vote.outcome].against:
                return vote.outcome
    pending = [each for each in votes if each.status in ("open", "held")]
    possible = False
    for name, outcome in outcomes.items():
        if outcome.against:
            continue
        binding = [each for each in votes if each.kind == "added" or each.post in approval.must]
        if any(each.status == "done" and each.outcome != name for each in binding):
            continue
        if cast.get(name, 0) + len(pending) < needed:
            continue
        if cast.get(name, 0) >= needed and not any(each in pending for each in binding):
            return name
        possible = possible or bool(pending)
    if possible:
        return None
    against = [each for each, outcome in outcomes.items() if outcome.against]
    # Without any there is one outcome alone, for which all can only vote: the definition is checked for that.
    return max(against, key=lambda name: cast.get(name, 0), default=None)


def have_a_voice(approval: Approval, outcomes: Mapping[str, Outcome], tasks: Sequence[Task]) -> frozenset[str]:
    """Whose word is given in a round: whoever has voted, and whoever is to vote as a signer who was added. Where one
    agreement stands for all posts of the same person, whoever has agreed may fill another."""
    found: set[str | None] = set()
    for each in tasks:
        if each.kind == "added" and each.status in ("open", "held"):
            found |= {each.assignee, each.behalf}
        elif each.kind in ("vote", "added") and each.status == "done":
            spared = approval.once and each.kind == "vote" and not outcomes[each.outcome].against
            found |= {each.behalf} if spared else {each.actor, each.behalf}
    return frozenset(each for each in found if each is not None)


def may_win(approval: Approval, outcomes: Mapping[str, Outcome], votes: Sequence[Task], needed: int, name: str) -> bool:
    """Whether an outcome that is not against can still be what the votes come to."""
    binding = [each for each in votes if each.kind == "added" or each.post in approval.must]
    for_it = [each for each in votes if each.status in ("open", "held") or each.outcome == name]
    lost = any(each.status == "done" and each.outcome != name for each in binding)
    return not (outcomes[name].against or lost or len(for_it) < needed)


def unfilled(
    approval: Approval, seats: Mapping[str, Sequence[str]], needed: int, bound: Collection[str] = ()
) -> list[str]:
    """The posts that stay empty when each person fills one at most, where the votes needed could never be reached: the
    same few people hold several of the posts. Posts that must agree are filled first, with those that are `bound` to:
    a signer who was added after them waits for their vote."""
    if all(len(people) >= len(seats) for people in seats.values()):
        return []
    taken: dict[str, str] = {}

    def fills(post: str, tried: set[str]) -> bool:
        for person in seats[post]:
            if person not in tried:
                tried.add(person)
                if person not in taken or fills(taken[person], tried):
                    taken[person] = post
                    return True
        return False

    must = {*approval.must, *bound}
    # Where one agreement stands for all posts of the same person, it is enough that each has somebody.
    in_turn = sorted(seats, key=lambda each: each not in must)
    empty = [post for post in in_turn if not (seats[post] if approval.once else fills(post, set()))]
    return empty if len(seats) - len(empty) < needed or must & set(empty) else []


def unfilled_posts(step: Step, facts: Facts, seats: Mapping[str, tuple[str, ...]]) -> str:
    """A step that cannot begin, and which of its posts nobody can fill; empty where all can. `seats`: who can be asked,
    by post."""
    if step.approval is None:
        return "" if seats[""] else step.path
    needed = wanted(step.approval, len(seats), facts.all_agree, facts.enough)
    empty = [post for post, people in seats.items() if not people] or unfilled(step.approval, seats, needed)
    return f"{step.path}: {', '.join(empty)}" if empty else ""
