"""What each role may do, decided by Casbin once for everything that can be asked, with the policy lines that decide it.

What can be asked is finite: role × entity × (action, transition, field). One `enforce` costs milliseconds at hundreds
of lines, so Casbin is asked about each line by itself and the answers are kept; what several lines make together (an
allow and a deny) is put together here, and a test holds it equal to Casbin over the whole policy. `access.unite` makes
a Decision of the answers for a set of roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from clew.access.casbin_policy import Bench
from clew.access.connectors import connector_lines
from clew.access.lines import Asked, Line, lines_of
from clew.metadata.blueprint import Blueprint, Entity
from clew.metadata.policies import CONNECTOR

_ASKED = "?"
Lineage = tuple[tuple[str, tuple[str, ...]], ...]
"""Each role with the roles it inherits from."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Casbin says of one role and one question: the lines that allow it where they hold, and those that forbid."""

    allows: tuple[Line, ...] = ()
    denies: tuple[Line, ...] = ()


NOTHING = Verdict()


class Judgement:
    """The answers for one release, made when first asked for and kept. Safe to share between threads: an answer made
    twice is the same answer."""

    def __init__(self, blueprint: Blueprint) -> None:
        assert blueprint.policies is not None
        self.blueprint, self.policies = blueprint, blueprint.policies
        lineage: Lineage = tuple((name, role.inherits) for name, role in sorted(self.policies.roles.items()))
        self._court = _court(lineage)
        self._asked: dict[str, Asked] = {}
        self._verdicts: dict[tuple[str, str, str], Verdict] = {}

    def asked(self, entity: str) -> Asked:
        """The policy lines of an entity by question."""
        found = self._asked.get(entity)
        if found is None:
            found = self._asked[entity] = lines_of(self.policies, self.blueprint.entities[entity])
        return found

    def verdict(self, role: str, entity: str, question: str) -> Verdict:
        """What one role by itself may. Unknown roles and questions without lines get nothing."""
        key = (role, entity, question)
        known = self._verdicts.get(key)
        if known is not None:
            return known
        lines = self.asked(entity).lines.get(question, ()) if role in self.policies.roles else ()
        found = self._of(lines, role)
        if found is not NOTHING:  # most roles get nothing of most questions: that is not worth its memory
            self._verdicts[key] = found
        return found

    def _of(self, lines: Iterable[Line], role: str) -> Verdict:
        deciding = [line for line in lines if self._court.decides(line, role)]
        if not deciding:
            return NOTHING
        return Verdict(
            tuple(line for line in deciding if line.effect == "allow"),
            tuple(line for line in deciding if line.effect == "deny"),
        )

    def connector(self, role: str, connector: str, action: str) -> Verdict:
        """What one role by itself may do with a connector."""
        key = (role, CONNECTOR + connector, action)
        found = self._verdicts.get(key)
        if found is None:
            lines = connector_lines(self.policies, connector, action) if role in self.policies.roles else ()
            found = self._verdicts[key] = self._of(lines, role)
        return found

    def fill(self) -> int:
        """Ask Casbin now whatever it can be asked, so that nobody waits later; how many answers can be made of it."""
        for entity in self.blueprint.entities:
            self.fill_entity(entity)
        return sum(len(each.lines) for each in self._asked.values()) * len(self.policies.roles)

    def fill_entity(self, entity: str) -> None:
        """Write out an entity's lines, and ask Casbin about each role and all of them. What remains to be done for an
        answer takes microseconds; all answers together would take the memory of everything else."""
        lines = (line for of_question in self.asked(entity).lines.values() for line in of_question)
        for line in {(line.role, line.effect): line for line in lines}.values():
            for role in self.policies.roles:
                self._court.decides(line, role)


def questions(entity: Entity) -> Iterator[str]:
    """Every action that can be asked about records of an entity, fields left out."""
    yield from ("read", "create", "update", "void", "correct", "export", "audit")
    for name in entity.transitions:
        yield f"do:{name}"


class _Court:
    """Answers by Casbin for one set of roles, kept for as long as the roles and their inheritance are the same."""

    def __init__(self, lineage: Lineage) -> None:
        self._bench = Bench(dict(lineage))
        self._known: dict[tuple[str, str, str], bool] = {}
        self._lock = Lock()

    def decides(self, line: Line, role: str) -> bool:
        """Whether the line, where its condition holds, allows the role (or forbids it) what it is about.

        Lines of the same role and effect are the same line to Casbin, which knows nothing of what is asked.
        """
        key = (line.role, line.effect, role)
        found = self._known.get(key)
        if found is None:
            with self._lock:
                self._bench.load([(line.role, _ASKED, "0", line.effect)])
                found = self._known[key] = self._bench.deciding(role, _ASKED) != ((), ())
        return found


@lru_cache(maxsize=8)
def _court(lineage: Lineage) -> _Court:
    return _Court(lineage)
