"""Policies as policy lines: one line per role, entity, question and clause. What Casbin judges by.

A question is an action (`read`, `do:release` …) or concerns a field: `see:<field>`, and `update:<field>`,
`create:<field>`, `correct:<field>` for writing it. `see:*` stands for every field no role says anything about.
A field's lines carry the row they go with: whoever sees or writes a field does so on the rows of the same role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.metadata.blueprint import Entity
from clew.metadata.policies import Clause, EntityGrants, Policies

Effect = Literal["allow", "deny"]
REST = "*"
"""Every field that no role says anything about."""
KEPT = frozenset({"id", "row_version"})
WRITES = ("update", "create", "correct")
ONLY_WHERE_SAID = frozenset({"legal_hold"})
"""Fields that are written by roles that list them under `write`, never by leaving `write` out."""
_WITH_READ = frozenset({"export", "audit"})
"""Ways of reading: they reach only what the same role reads."""


@dataclass(frozen=True, slots=True)
class Line:
    """One policy line. `clauses` all hold where the line applies: a row's condition, and a mask's. `own_sites` and
    `own_families` limit it to what the assignment names. A denying line is never limited."""

    number: int
    role: str
    entity: str
    question: str
    effect: Effect
    clauses: tuple[Clause, ...]
    own_sites: bool = False
    own_families: bool = False
    masked: bool = False
    """For a field: its value is shown or written only where its own condition holds."""

    @property
    def place(self) -> Place:
        return self.clauses[-1].place

    @property
    def conditions(self) -> tuple[Checked, ...]:
        return tuple(each.condition for each in self.clauses if each.condition is not None)


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything that can be asked about one entity. A question without lines is denied."""

    entity: str
    lines: Mapping[str, tuple[Line, ...]]
    named: frozenset[str]
    """Fields and ways back that some role says something about; all others are asked as REST."""

    def question(self, verb: str, field: str) -> str:
        return f"{verb}:{field if field in self.named else REST}"


def lines_of(policies: Policies, entity: Entity) -> Asked:
    """All lines about an entity, in the order of role names."""
    grants = [(role, role.may.get(entity.name), role.never.get(entity.name)) for role in policies.roles.values()]
    kept = (*KEPT, *ONLY_WHERE_SAID, *(("owner",) if entity.part_of is not None else ()))
    named = frozenset(
        (*kept, *(name for _, may, never in grants for each in (may, never) if each for name in _named(each)))
    )
    fields = (*sorted(named), REST)
    found: dict[str, list[Line]] = {}
    for role, may, never in grants:
        for question, effect, clauses, masked in (*_allowed(may, fields, entity), *_forbidden(never)):
            allows = effect == "allow"
            lines = found.setdefault(question, [])
            lines.append(
                Line(
                    len(lines),
                    role.name,
                    entity.name,
                    question,
                    effect,
                    clauses,
                    allows and role.own_sites,
                    allows and role.own_families,
                    masked,
                )
            )
    return Asked(entity.name, {name: tuple(lines) for name, lines in sorted(found.items())}, named)


def _named(grants: EntityGrants) -> Iterator[str]:
    yield from grants.hide
    yield from grants.mask
    yield from grants.show or ()
    yield from grants.write or ()


_Said = tuple[str, Effect, tuple[Clause, ...], bool]


def _allowed(may: EntityGrants | None, fields: tuple[str, ...], entity: Entity) -> Iterator[_Said]:
    if may is None:
        return
    reads = may.actions.get("read", ())
    for action, clauses in may.actions.items():
        for clause in clauses:
            if action not in _WITH_READ:
                yield action, "allow", (clause,), False
                continue
            for read in reads:
                yield action, "allow", (read, clause), False
    for field in fields:
        if not _shown(may, field, entity):
            continue
        masks: tuple[Clause | None, ...] = may.mask.get(field, (None,))
        writable = field in may.write if may.write is not None else field not in ONLY_WHERE_SAID
        for verb, action in (("see", "read"), *((each, each) for each in WRITES)):
            if verb != "see" and not writable:
                continue
            for row in may.actions.get(action, ()):
                for mask in masks:
                    clauses = (row,) if mask is None else (row, mask)
                    yield f"{verb}:{field}", "allow", clauses, mask is not None


def _shown(may: EntityGrants, field: str, entity: Entity) -> bool:
    if field in KEPT or (field == "owner" and entity.part_of is not None):
        return True
    return field not in may.hide and (may.show is None or field in may.show)


def _forbidden(never: EntityGrants | None) -> Iterator[_Said]:
    if never is None:
        return
    for action, clauses in never.actions.items():
        for clause in clauses:
            yield action, "deny", (clause,), False
    for field, place in never.hide.items():
        for verb in ("see", *WRITES):
            yield f"{verb}:{field}", "deny", (_at(place, never.active),), False
    for field, place in (never.write or {}).items():
        for verb in WRITES:
            yield f"{verb}:{field}", "deny", (_at(place, never.active),), False


def _at(place: Place, active: Clause | None) -> Clause:
    return Clause(place) if active is None else replace(active, place=place)
