"""What the review answers about one person: may or may not, the chains behind it, and what stands in the way."""

from __future__ import annotations

from dataclasses import dataclass

from clew.access.review.explain import Holding, Link
from clew.kernel.text import Bilingual
from clew.records.review.desk import ConnectorQuestion, Question
from clew.records.review.people import Known


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that stands in the way. `code` is stable: no_account, no_grant, condition, never, not_visible, state,
    guard, moved_by, frozen, void, derived, signature, duty, running, not_running; of a step also by_case, not_there,
    held, taken, not_asked, apart."""

    code: str
    text: Bilingual


@dataclass(frozen=True, slots=True)
class Standing:
    """How one person stands to one question."""

    known: Known
    question: Question | ConnectorQuestion
    allowed: bool
    links: tuple[Link, ...]
    """Chains to lines that allow it, in force or not."""
    forbids: tuple[Link, ...]
    reasons: tuple[Reason, ...]
    could: tuple[str, ...] = ()
    """Roles that would give it."""
    words: Bilingual = Bilingual()
    """What people call what is asked."""

    @property
    def through(self) -> tuple[Link, ...]:
        """The chains that do allow it now."""
        return tuple(each for each in self.links if each.holding.force == "in force" and each.holds)


NO_ACCOUNT = Reason("no_account", Bilingual("账号已停用", "the account is disabled"))
NO_GRANT = Reason("no_grant", Bilingual("没有任何角色授予该操作", "no role of theirs grants it"))

_FORCE = {
    "not yet": Bilingual("尚未生效", "is not in force yet"),
    "expired": Bilingual("已过期", "has expired"),
    "ended": Bilingual("已终止", "was ended"),
    "requested": Bilingual("尚未批准", "is only requested"),
    "refused": Bilingual("已被拒绝", "was refused"),
    "unknown role": Bilingual("的角色已不存在", "names a role that does not exist"),
    "account disabled": Bilingual("的账号已停用", "belongs to a disabled account"),
}


def dormant(holding: Holding) -> Reason:
    """An assignment that would give it and is not in force."""
    said = _FORCE[holding.force]
    text = Bilingual(f"“{holding.role}”的授权{said.zh}", f"the assignment as {holding.role} {said.en}")
    return Reason("no_grant", text)


def forbidden(link: Link) -> Reason:
    """A line that forbids it whatever other roles allow."""
    place = link.line.place
    return Reason("never", Bilingual(f"被策略明令禁止:{place}", f"a policy forbids it: {place}"))
