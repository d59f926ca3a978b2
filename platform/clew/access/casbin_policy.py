"""Policy lines as a Casbin model and policy, loaded strictly. Casbin is known in this file only.

No `eval()`, no pattern matching: a line applies when the role asked is, or inherits from, the line's role and the
line's condition holds on the record at hand. Which conditions hold is given with the request as a set of line numbers,
because the conditions are ours to evaluate, in memory or in SQL. Deny overrides; without an allowing line the answer
is no, and an empty policy is never asked (Casbin would say yes to some).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import casbin
from casbin.model import Model
from casbin.persist import Adapter

from clew.kernel.errors import ClewError

_MODEL = """
[request_definition]
r = role, question, facts

[policy_definition]
p = role, question, line, eft

[role_definition]
g = _, _

[policy_effect]
e = {effect}

[matchers]
m = holds(p.line, r.facts) && r.question == p.question && g(r.role, p.role)
"""
ALLOWED = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
NOT_DENIED = "!some(where (p.eft == deny))"
EFFECTS = ("allow", "deny")
MAX_DEPTH = 50
"""How deep roles may inherit; Casbin by itself stops at 10 and then says no without a word."""

PolicyRow = tuple[str, str, str, str]
"""Role, question, line number, effect."""


class PolicyRefused(ClewError):
    """A policy line that is not exactly what it must be. It is not loaded, and nothing else of it is either."""

    code, status = "POLICY_REFUSED", 500
    en = "The policy line {line} was refused: {why}"
    zh = "策略行 {line} 被拒绝:{why}"
    hint_en = "This is a fault of the platform, not of your project. The policies in force stay."
    hint_zh = "这是平台的缺陷,与您的项目无关;现行策略继续有效。"


class _Lines(Adapter):  # type: ignore[misc]
    """Gives Casbin checked rows; reads no text and no file."""

    def __init__(self, rows: Sequence[PolicyRow], inherits: Mapping[str, Iterable[str]]) -> None:
        self._rows, self._inherits = rows, inherits

    def load_policy(self, model: Model) -> None:
        seen: set[tuple[str, str]] = set()
        for row in self._rows:
            refuse_bad(row, self._inherits, seen)
            model.add_policy("p", "p", list(row))
        for role, parents in self._inherits.items():
            for parent in parents:
                if parent not in self._inherits:
                    raise PolicyRefused(line=f"{role} → {parent}", why="there is no such role")
                model.add_policy("g", "g", [role, parent])


def refuse_bad(row: Sequence[Any], roles: Mapping[str, Any], seen: set[tuple[str, str]]) -> None:
    """Raise PolicyRefused for a row Casbin would silently understand as something else."""
    if len(row) != 4 or not all(isinstance(each, str) and each for each in row):
        raise PolicyRefused(line=row, why="it does not have four parts")
    role, question, number, effect = row
    if role not in roles:
        raise PolicyRefused(line=row, why=f"there is no role {role}")
    if effect not in EFFECTS:
        raise PolicyRefused(line=row, why=f"{effect} is neither allow nor deny")
    if (question, number) in seen or not number.isdecimal():
        raise PolicyRefused(line=row, why="its number is not its own")
    seen.add((question, number))


class Bench:
    """Casbin over the roles of a project and, one after another, the lines of each question."""

    def __init__(self, inherits: Mapping[str, Iterable[str]], rows: Sequence[PolicyRow] = ()) -> None:
        self._inherits = inherits
        self._grants, self._bans = (_enforcer(effect, rows, inherits) for effect in (ALLOWED, NOT_DENIED))
        self._rows: Sequence[PolicyRow] = rows

    def load(self, rows: Sequence[PolicyRow]) -> None:
        """Put other lines in the place of those before."""
        seen: set[tuple[str, str]] = set()
        for row in rows:
            refuse_bad(row, self._inherits, seen)
        for enforcer in (self._grants, self._bans):
            policy = enforcer.model["p"]["p"]
            policy.policy, policy.policy_map = [], {}
            for row in rows:
                enforcer.model.add_policy("p", "p", list(row))
        self._rows = rows

    def allowed(self, role: str, question: str, facts: frozenset[str]) -> bool:
        """Whether the role may, where exactly these lines' conditions hold."""
        return bool(self._rows) and bool(self._grants.enforce(role, question, facts))

    def deciding(self, role: str, question: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The numbers of the lines that allow it to the role where they hold, and of those that forbid it."""
        allows, denies = [], []
        left = {row[2] for row in self._rows if row[3] == "allow"}
        while left:
            yes, line = self._grants.enforce_ex(role, question, frozenset(left))
            if not yes:
                break
            left.discard(line[2])
            allows.append(int(line[2]))
        left = {row[2] for row in self._rows if row[3] == "deny"}
        while left:
            yes, line = self._bans.enforce_ex(role, question, frozenset(left))
            if yes:
                break
            left.discard(line[2])
            denies.append(int(line[2]))
        return tuple(sorted(allows)), tuple(sorted(denies))


def _enforcer(effect: str, rows: Sequence[PolicyRow], inherits: Mapping[str, Iterable[str]]) -> Any:
    model = Model()
    model.load_model_from_text(_MODEL.format(effect=effect))
    enforcer = casbin.Enforcer(model)
    enforcer.set_role_manager(casbin.rbac.default_role_manager.RoleManager(MAX_DEPTH))
    enforcer.adapter = _Lines(rows, inherits)
    enforcer.load_policy()
    enforcer.add_function("holds", _holds)
    logging.getLogger("casbin").setLevel(logging.ERROR)
    return enforcer


def _holds(line: str, facts: frozenset[str]) -> bool:
    return line in facts
