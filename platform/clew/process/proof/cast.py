"""Who plays: the people a process could be given at best, by the roles and separations of the project.

Every role named has three holders, each of whom holds nothing else, so nobody is barred by what another role of theirs
did. Whatever such a staff cannot do, no staff of these roles can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clew.metadata.policies import Policies
from clew.metadata.processes import Step, Who, Workflow

HOLDERS = 3
STARTER = "starter"


@dataclass(frozen=True, slots=True)
class Cast:
    """The people of one process. `policies` None: everybody may sign everything."""

    workflow: Workflow
    policies: Policies | None
    staff: Mapping[str, int] = field(default_factory=dict)
    """How many hold a role, where it is not HOLDERS."""

    def starter(self) -> str:
        """Who begins it: somebody of the first role that may, who does nothing else; else whoever caused the event."""
        for start in self.workflow.starts:
            if start.roles:
                return f"{start.roles[0]} 0"
        return STARTER

    def holders(self, role: str) -> tuple[str, ...]:
        return tuple(f"{role} {number}" for number in range(1, self.staff.get(role, HOLDERS) + 1))

    def asked(self, who: Who, starter: str, actors: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
        """Whom a task can be given to. `actors` by the name of the step they did last."""
        found = [person for role in who.roles for person in self.holders(role)]
        found += [person for name in who.positions for person in (f"position {name} 1", f"position {name} 2")]
        if who.person is not None:
            found.append(f"({who.person.source})")
        if who.manager_of is not None:
            found.append(f"(manager of {who.manager_of.source})")
        if who.starter:
            found.append(starter)
        if who.actor_of is not None:
            found += actors.get(who.actor_of, ())[:1]
        return tuple(dict.fromkeys(found))

    def may_sign(self, person: str, step: Step) -> bool:
        """Whether the roles of this person allow the signature of a step, or could together with another role that may
        be held beside theirs. People known only from data are taken to be allowed."""
        role = self.role_of(person)
        if self.policies is None or role is None or step.sign is None or self.signs_alone(role, step):
            return True
        return any(
            step.sign in other.signs and other.kind == "person" and self._together(role, other.name)
            for other in self.policies.roles.values()
        )

    def signs_alone(self, role: str, step: Step) -> bool:
        """Whether holders of this role, and of what the step asks for beside it, may sign as the step demands."""
        if self.policies is None or role not in self.policies.roles:
            return True
        held = [role, *([step.approval.among] if step.approval is not None and step.approval.among else [])]
        return any(step.sign in self.policies.roles[each].signs for each in held if each in self.policies.roles)

    def alone(self, person: str) -> bool:
        """Whether nobody else could be asked in this person's place, somewhere in the process."""
        by_name = any(each.who is not None and each.who.actor_of is not None for _, each in self.workflow.walk())
        return by_name or person == self.starter() or self.role_of(person) is None

    def role_of(self, person: str) -> str | None:
        name, _, number = person.rpartition(" ")
        known = self.policies.roles if self.policies is not None else {}
        return name if number.isdigit() and name in known else None

    def _together(self, one: str, other: str) -> bool:
        assert self.policies is not None
        both = frozenset(self.policies.roles[one].lineage) | frozenset(self.policies.roles[other].lineage)
        return not any(
            sum(bool(group & both) for group in each.groups) > 1 for each in self.policies.separations.values()
        )


def roles_of(step: Step) -> tuple[str, ...]:
    """The roles a step asks."""
    if step.approval is not None:
        return (*step.approval.posts, *(post for post, _ in step.approval.also))
    return step.who.roles if step.who is not None else ()
