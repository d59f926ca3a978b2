"""The decision object every plan and every command asks. There is no other door.

A decision is computed once per set of grants and is immutable; `digest` names it in plan caches. Row conditions are
checked expressions over the record (and `user.`), so the same condition is interpreted for a command and compiled
into SQL for a read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import get_args

from clew.expressions.tree import Checked
from clew.metadata.blueprint import Blueprint
from clew.metadata.spec.entity import Meaning
from clew.metadata.spec.permissions import Administered


@dataclass(frozen=True, slots=True)
class Grant:
    """Whether an action is allowed: never, always, or on records for which any of the conditions holds.

    No conditions and `allowed` means always. Empty means deny (threat 19).
    """

    allowed: bool = False
    conditions: tuple[Checked, ...] = ()

    @property
    def always(self) -> bool:
        return self.allowed and not self.conditions


ALWAYS = Grant(True)
NEVER = Grant()


@dataclass(frozen=True, slots=True)
class FieldAccess:
    """What a caller may do with one field.

    `read` NEVER hides the field altogether: it does not exist for the caller. A conditional `read` masks it: on rows
    where no condition holds the value is null, in selection, filter, order, group, search and cursor alike.
    """

    read: Grant = NEVER
    write: Grant = NEVER
    """Writing it in a record that is there."""
    create: Grant | None = None
    """Writing it in a new record; as `write` when not given."""
    correct: Grant | None = None
    """Writing it in a record that corrects another; as `write` when not given."""

    def giving(self, verb: str) -> Grant:
        """What writing the field by a verb (`create`, `update`, `correct`) takes."""
        found = self.create if verb == "create" else self.correct if verb == "correct" else None
        return self.write if found is None else found


@dataclass(frozen=True, slots=True)
class EntityAccess:
    """What a caller may do with one entity. A field that is not listed is hidden."""

    read: Grant = NEVER
    create: Grant = NEVER
    update: Grant = NEVER
    void: Grant = NEVER
    correct: Grant = NEVER
    transitions: Mapping[str, Grant] = field(default_factory=lambda: MappingProxyType({}))
    fields: Mapping[str, FieldAccess] = field(default_factory=lambda: MappingProxyType({}))
    audit: Grant = NEVER
    """Reading the record's history and audit trail."""
    export: Grant = NEVER
    as_owner: bool = False
    """Of a line entity: a line is seen wherever its owner is."""

    def sees(self, name: str) -> bool:
        access = self.fields.get(name)
        return access is not None and access.read.allowed


NOTHING = EntityAccess()


@dataclass(frozen=True, slots=True)
class ProcessAccess:
    """What a caller may do with one process; conditions are over the record that it is about."""

    start: Grant = NEVER
    cancel: Grant = NEVER
    """Cancelling, suspending and resuming instances, and trying again what an incident stopped."""
    oversee: Grant = NEVER
    """Seeing instances without a part in them."""


NO_PROCESS = ProcessAccess()


@dataclass(frozen=True, slots=True)
class ConnectorAccess:
    """What a caller may do with one connector. It is about no record, so there is nothing between always and never."""

    read: Grant = NEVER
    """Seeing its state, its runs and what is parked."""
    run: Grant = NEVER
    administer: Grant = NEVER


NO_CONNECTOR = ConnectorAccess()
EVERY_CONNECTOR = "*"


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything a caller with certain grants may do in one release."""

    digest: str
    entities: Mapping[str, EntityAccess]
    signs: frozenset[str] = frozenset()
    """Signature meanings the caller may give."""
    administers: frozenset[str] = frozenset()
    """What of the platform itself the caller looks after: accounts, assignments, connectors, releases …"""

    processes: Mapping[str, ProcessAccess] = field(default_factory=lambda: MappingProxyType({}))

    connectors: Mapping[str, ConnectorAccess] = field(default_factory=lambda: MappingProxyType({}))
    """By connector; `*` is every one that no role names."""

    def connector(self, name: str) -> ConnectorAccess:
        return self.connectors.get(name) or self.connectors.get(EVERY_CONNECTOR, NO_CONNECTOR)

    def process(self, workflow: str) -> ProcessAccess:
        return self.processes.get(workflow, NO_PROCESS)

    def on(self, entity: str) -> EntityAccess:
        return self.entities.get(entity, NOTHING)


def permit_all(blueprint: Blueprint) -> Decision:
    """The decision of the loopback-only server while a project declares no policies: everything, still audited."""
    open_field = FieldAccess(ALWAYS, ALWAYS)
    entities = {
        name: EntityAccess(
            read=ALWAYS,
            create=ALWAYS,
            update=ALWAYS,
            void=ALWAYS,
            correct=ALWAYS,
            transitions=MappingProxyType(dict.fromkeys(entity.transitions, ALWAYS)),
            fields=MappingProxyType(dict.fromkeys((*entity.fields, *entity.inverses), open_field)),
            audit=ALWAYS,
            export=ALWAYS,
            as_owner=True,
        )
        for name, entity in blueprint.entities.items()
    }
    return Decision(
        "permit-all",
        MappingProxyType(entities),
        frozenset(get_args(Meaning)),
        frozenset(get_args(Administered)),
        MappingProxyType(dict.fromkeys(blueprint.workflows, ProcessAccess(ALWAYS, ALWAYS, ALWAYS))),
        MappingProxyType({EVERY_CONNECTOR: ConnectorAccess(ALWAYS, ALWAYS, ALWAYS)}),
    )
