"""A person's roles united into one Decision: allowed by any of them, unless forbidden by one.

Which conditions apply depends on the roles and on whether each assignment is limited to sites or product families,
never on which sites those are: these are facts of the person, asked when the decision is used. So people with the same
roles share one Decision, one view of the API and one set of compiled statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from clew.access.connectors import connectors_named
from clew.access.decision import (
    ALWAYS,
    NEVER,
    ConnectorAccess,
    Decision,
    EntityAccess,
    FieldAccess,
    Grant,
    ProcessAccess,
)
from clew.access.judgement import NOTHING, Judgement
from clew.access.lazily import Lazily
from clew.access.lines import REST, Line
from clew.expressions.rewrite import assigned, both, negated, truth
from clew.expressions.tree import Checked
from clew.kernel.canonical import digest
from clew.kernel.context import Person
from clew.kernel.diagnostics import Place
from clew.metadata.blueprint import Entity
from clew.metadata.policies import (
    CONNECTOR_ACTIONS,
    DO,
    PROCESS_ACTIONS,
    RECORD_ACTIONS,
    Clause,
    Policies,
    process_question,
)
from clew.metadata.processes import Workflow

KEPT_GRANTS = 50_000
"""Grants worked out and kept for the next set of roles that comes to the same lines."""


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """A role as it is held: whether the assignment is limited to some sites and to some product families."""

    role: str
    sites: bool = True
    families: bool = True


@dataclass(frozen=True, slots=True)
class Applied:
    """A policy line as it applies to a held role."""

    line: Line
    held: Held


def held_by(person: Person, policies: Policies) -> frozenset[Held]:
    """The roles a person holds, as far as the policies know them."""
    found = set()
    for role in person.roles:
        if role in policies.roles:
            scope = person.scope(role)
            found.add(Held(role, scope.sites is not None, scope.families is not None))
    return frozenset(found)


class Unite:
    """Makes Decisions for sets of held roles."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement, self.policies = judgement, judgement.policies
        self._release = judgement.blueprint.digest
        self._conditions: dict[_Key, tuple[Line, Checked | bool]] = {}
        self._grants: dict[Any, tuple[Grant, tuple[Applied, ...], tuple[Applied, ...]]] = {}
        """By what the lines depend on, with the lines, so that the identities in the key stay their own."""

    def decision(self, roles: frozenset[Held]) -> Decision:
        """What holders of these roles may. No role, no grant. Each entity and field is answered when it is first asked
        about: a request asks about few of them, and nobody should wait for all."""
        known, blueprint = sorted(roles), self.judgement.blueprint
        names = [self.policies.roles[each.role] for each in known]
        return Decision(
            digest([self._release, [[each.role, each.sites, each.families] for each in known]]),
            Lazily(sorted(blueprint.entities), lambda name: self._entity(blueprint.entities[name], known)),
            frozenset(meaning for role in names for meaning in role.signs),
            frozenset(action for role in names for action in role.administer),
            Lazily(sorted(blueprint.workflows), lambda name: self._process(blueprint.workflows[name], known)),
            Lazily(connectors_named(self.policies), lambda name: self.connector(name, known)),
        )

    def connector(self, name: str, roles: Iterable[Held]) -> ConnectorAccess:
        """What holders of these roles may do with a connector."""
        found = []
        for action in CONNECTOR_ACTIONS:
            verdicts = [(held, self.judgement.connector(held.role, name, action)) for held in roles]
            allows = [Applied(line, held) for held, each in verdicts for line in each.allows]
            found.append(self.grant(allows, [Applied(line, held) for held, each in verdicts for line in each.denies]))
        return ConnectorAccess(*found)

    def _process(self, workflow: Workflow, roles: Sequence[Held]) -> ProcessAccess:
        def ask(action: str) -> Grant:
            return self.grant(*self.applied(workflow.entity, process_question(workflow.name, action), roles))

        return ProcessAccess(*map(ask, PROCESS_ACTIONS))

    def applied(self, entity: str, question: str, roles: Sequence[Held]) -> tuple[list[Applied], list[Applied]]:
        """The lines that allow and those that forbid, for all roles together."""
        allows: list[Applied] = []
        denies: list[Applied] = []
        for held in roles:
            verdict = self.judgement.verdict(held.role, entity, question)
            if verdict is NOTHING:
                continue
            allows += [Applied(line, held) for line in verdict.allows]
            denies += [Applied(line, held) for line in verdict.denies]
        return allows, denies

    def condition(self, applied: Applied) -> Checked | bool:
        """When the line applies: True always, or a condition; False never. Worked out once for all lines of a role
        that stand on the same clauses, as those of the fields of one entity do."""
        key = _key(applied)
        known = self._conditions.get(key)
        if known is None:
            known = self._conditions[key] = (applied.line, self._condition(applied))
        return known[1]

    def _condition(self, applied: Applied) -> Checked | bool:
        line, held = applied.line, applied.held
        parts = [*line.conditions, *self._reach(line, held)]
        limits = {"sites": held.sites, "families": held.families}
        bound = [assigned(each, held.role, limits) for each in parts]
        known = [truth(each) for each in bound]
        if False in known:
            return False
        left = [each for each, always in zip(bound, known, strict=True) if always is None]
        return reduce(both, left) if left else True

    def _reach(self, line: Line, held: Held) -> Iterator[Checked]:
        reach = self.policies.reach.get(line.entity)
        if reach is None:
            return
        if line.own_sites and held.sites and reach.site is not None:
            yield reach.site
        if line.own_families and held.families and reach.family is not None:
            yield reach.family

    # ── grants ────────────────────────────────────────────────────────────────────────────────────────────────────

    def grant(self, allows: Iterable[Applied], denies: Iterable[Applied]) -> Grant:
        """One grant from lines that allow and lines that forbid."""
        allowing, denying = tuple(allows), tuple(denies)
        key = (tuple(map(_key, allowing)), tuple(map(_key, denying)))
        found = self._grants.get(key)
        if found is None:
            if len(self._grants) >= KEPT_GRANTS:
                self._grants.clear()
            found = self._grants[key] = (self._grant(allowing, denying), allowing, denying)
        return found[0]

    def _grant(self, allows: Iterable[Applied], denies: Iterable[Applied]) -> Grant:
        forbidden = [self.condition(each) for each in denies]
        if True in forbidden:
            return NEVER
        unless = [negated(each) for each in _distinct(forbidden)]
        found = [self.condition(each) for each in allows]
        if True in found:
            return Grant(True, (reduce(both, unless),)) if unless else ALWAYS
        conditions = tuple(reduce(both, unless, each) for each in _distinct(found))
        return Grant(True, conditions) if conditions else NEVER

    def field(
        self, entity: Entity, name: str, roles: Sequence[Held], rows_by: dict[str, list[Applied]] | None = None
    ) -> FieldAccess:
        """What holders of these roles may do with one field, on records they may read or write. `rows_by` keeps the
        lines that grant the rows, by action, for whoever asks about many fields."""
        granting = {} if rows_by is None else rows_by

        def ask(verb: str, action: str) -> Grant:
            question = self.judgement.asked(entity.name).question(verb, name)
            # Whether a line may be written is asked of its owner.
            rows_of = entity.part_of if entity.part_of is not None and verb != "see" else entity.name
            rows = granting.get(action)
            if rows is None:
                rows = granting[action] = self.applied(rows_of, action, roles)[0]
            if not rows and entity.part_of is None:
                # A field goes with rows of the same role: without any there is nothing to give.
                return NEVER
            return self._on_rows(rows, *self.applied(entity.name, question, roles))

        return FieldAccess(
            read=ask("see", "read"),
            write=ask("update", "update"),
            create=ask("create", "create"),
            correct=ask("correct", "correct"),
        )

    def _entity(self, entity: Entity, roles: Sequence[Held]) -> EntityAccess:
        grants = {each: self.grant(*self.applied(entity.name, each, roles)) for each in RECORD_ACTIONS}
        named = self.judgement.asked(entity.name).named
        rows: dict[str, list[Applied]] = {}
        # The fields that no line names are all alike.
        rest = Lazily((REST,), lambda name: self.field(entity, name, roles, rows))
        fields = Lazily(
            (*entity.fields, *entity.inverses),
            lambda name: self.field(entity, name, roles, rows) if name in named else rest[REST],
        )
        return EntityAccess(
            read=grants["read"],
            create=grants["create"],
            update=grants["update"],
            void=grants["void"],
            correct=grants["correct"],
            transitions=Lazily(
                entity.transitions, lambda name: self.grant(*self.applied(entity.name, DO + name, roles))
            ),
            fields=fields,
            audit=grants["audit"],
            export=grants["export"],
            as_owner=entity.part_of is not None and self._as_owner(entity, roles),
        )

    def _as_owner(self, entity: Entity, roles: Sequence[Held]) -> bool:
        """Whether nothing is said of the lines themselves by any of the roles."""
        lineage = [role for held in roles for role in self.policies.lineage(held.role)]
        said = [part.get(entity.name) for role in lineage for part in (role.may, role.never)]
        owner = self.judgement.blueprint.entities[entity.part_of or ""]
        listed = [part.get(owner.name) for role in lineage for part in (role.may, role.never)]
        hidden = any(each and (entity.part_field in each.hide or entity.part_field in each.mask) for each in listed)
        limited = any(each and each.show is not None and entity.part_field not in each.show for each in listed)
        return not hidden and not limited and all(each is None or each.owner for each in said)

    def _on_rows(self, rows: list[Applied], allows: list[Applied], denies: list[Applied]) -> Grant:
        """A field's grant on rows that are granted already. Where every line that grants rows grants the field too,
        nothing is left to ask of the row; where all rows come from one role, only the field's own condition is."""
        granting = {_row(each) for each in rows}
        if granting and granting <= {_row(each) for each in allows if not each.line.masked}:
            return self.grant([_bare(rows[0], ())], denies)
        sources = {(each.line.role, each.held) for each in rows}
        if len(sources) == 1 and allows and all(each.line.masked for each in allows):
            return self.grant([_bare(each, each.line.clauses[1:]) for each in allows], denies)
        return self.grant(allows, denies)


_Key = tuple[tuple[int, ...], str, bool, bool, Held]


def _key(applied: Applied) -> _Key:
    """What a line's condition depends on. Clauses are told apart by identity: they live as long as the policies."""
    line = applied.line
    return tuple(map(id, line.clauses)), line.entity, line.own_sites, line.own_families, applied.held


def _row(applied: Applied) -> tuple[str, Held, Place]:
    """Which rows a line is about: by where their clause stands, which a line of an entity shares with its owner."""
    return applied.line.role, applied.held, applied.line.clauses[0].place


def _bare(applied: Applied, clauses: tuple[Clause, ...]) -> Applied:
    """The line with other conditions and without limits, because its row is granted already."""
    line = applied.line
    return Applied(Line(line.number, line.role, line.entity, line.question, "allow", clauses), applied.held)


def _distinct(conditions: Iterable[Checked | bool]) -> list[Checked]:
    """Without repetitions and without what is never so."""
    found: dict[object, Checked] = {}
    for each in conditions:
        if isinstance(each, Checked):
            found.setdefault((each.source, each.root), each)
    return list(found.values())
