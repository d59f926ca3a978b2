"""Who may what in one release: the Decision for the roles in a context, made once per set of roles and kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from uuid import UUID

from clew.access.decision import Decision, permit_all
from clew.access.judgement import Judgement
from clew.access.unite import Held, Unite, held_by
from clew.kernel.context import Context
from clew.metadata.blueprint import Blueprint

OPERATOR_ROLE = "platform_operator"
"""The role of whoever works at this machine. A project may declare it and so say what the command line may do. Its
name is none that a plant gives to people who operate its equipment."""
KEPT_DECISIONS = 512
_STEP = 16
"""Entities of a decision worked out in one step."""


class Deciding:
    """The decisions of one release.

    Without policies everything is allowed (the server then listens to this machine only). With policies the operator
    keeps that on the command line, where the database lies open anyway, unless the project declares the role
    `platform_operator`; through any other door the operator is nobody.
    """

    def __init__(self, blueprint: Blueprint, operator: UUID) -> None:
        self.open = permit_all(blueprint)
        self._operator = operator
        self.judgement = Judgement(blueprint) if blueprint.policies is not None else None
        self._unite = Unite(self.judgement) if self.judgement is not None else None
        self._kept: OrderedDict[frozenset[Held], Decision] = OrderedDict()

    @property
    def nothing(self) -> Decision:
        """What a stranger may."""
        return self._for(frozenset())

    def __call__(self, context: Context) -> Decision:
        """What the person in this context may. Never asks who else it is about: a delegation is a role held."""
        if self.judgement is None:
            return self.open
        person, policies = context.person, self.judgement.policies
        if person.id == self._operator:
            if context.channel != "cli":
                return self.nothing
            if OPERATOR_ROLE not in policies.roles:
                return self.open
        return self._for(held_by(person, policies))

    @property
    def kept(self) -> tuple[frozenset[Held], ...]:
        """The sets of roles decisions were made for, the newest first."""
        return tuple(reversed(self._kept))

    def warming(self, expected: Iterable[frozenset[Held]] = ()) -> Iterator[Callable[[], object]]:
        """What can be worked out before anybody asks, in steps of milliseconds: every policy line's answers, then the
        decisions for the sets of roles that are expected."""
        if self.judgement is None:
            return
        for entity in self.judgement.blueprint.entities:
            yield partial(self.judgement.fill_entity, entity)
        for roles in expected:
            if all(each.role in self.judgement.policies.roles for each in roles):
                decision = self._for(roles)
                names = list(decision.entities)
                for at in range(0, len(names), _STEP):
                    yield partial(_complete, decision, names[at : at + _STEP])
                yield partial(dict, decision.processes)
                yield partial(dict, decision.connectors)

    def _for(self, roles: frozenset[Held]) -> Decision:
        assert self._unite is not None
        found = self._kept.get(roles)
        if found is None:
            found = self._kept[roles] = self._unite.decision(roles)
            while len(self._kept) > KEPT_DECISIONS:
                self._kept.popitem(last=False)
        return found


def _complete(decision: Decision, entities: Iterable[str]) -> None:
    """Ask about everything of these entities, so that it is known."""
    for access in map(decision.on, entities):
        for known in (access.fields, access.transitions):
            for name in known:
                known.get(name)
