"""Policies: what permissions/*.yaml says, linked and frozen. `access` judges by them; nobody else reads the YAML.

Every name in here exists and every condition is type-checked over the entity it stands for. A grant for `*` is written
out for each entity it covers, and a line entity that is not named itself is granted as its owner is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual

RoleKind = Literal["person", "service", "external"]

RECORD_ACTIONS = ("read", "create", "update", "void", "correct", "export", "audit")
"""Actions on records that every entity has. A transition is asked as `do:<name>`."""

DO = "do:"
ASSIGN = "assign"
"""Of a policy test: giving a role, which is about no record."""
PROCESS_ACTIONS = ("start", "cancel", "oversee")
"""What is asked about a process, of the record it is about: beginning one; cancelling, suspending and resuming it;
seeing its instances without a part in them."""


CONNECTOR = "connector:"
CONNECTOR_ACTIONS = ("read", "run", "administer")
"""What is asked about a connector: seeing its state, its runs and what is parked; beginning a run; setting it up,
switching it on and off, and deciding what becomes of what is parked."""


def process_question(workflow: str, action: str) -> str:
    """How an action on a process is asked: of the entity that the process is about."""
    return f"process:{workflow}:{action}"


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition of a grant; `condition` None is always. `place` is where it stands in the YAML."""

    place: Place
    condition: Checked | None = None
    text: str = "always"
    written: Clause | None = None
    """The clause as it is written, where `active` of the role has been put before it."""


Clauses = tuple[Clause, ...]
"""Any of them may hold."""


@dataclass(frozen=True, slots=True)
class EntityGrants:
    """What a role may do with records of one entity, or, under `never`, what it forbids.

    `actions` are keyed by RECORD_ACTIONS, `do:<transition>` and `process:<workflow>:<action>`. Under
    `never`, `hide` and `write` list the fields that stay hidden and unwritable.
    """

    entity: str
    place: Place
    actions: Mapping[str, Clauses] = field(default_factory=lambda: MappingProxyType({}))
    hide: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    mask: Mapping[str, Clauses] = field(default_factory=lambda: MappingProxyType({}))
    show: Mapping[str, Place] | None = None
    """When given, only these fields exist for the role."""
    write: Mapping[str, Place] | None = None
    """When given, only these fields may be written."""
    wildcard: bool = False
    """Covered by `*`, not named."""
    owner: str = ""
    """For a line entity that is granted as its owner is: the owner."""
    active: Clause | None = None
    """Where it is in force, said of `never` or of the role: `actions` have it in their clauses already; what `never`
    says of fields goes with it."""


@dataclass(frozen=True, slots=True)
class ConnectorGrants:
    """What a role may do with a connector, and what it forbids whatever other roles allow: CONNECTOR_ACTIONS, each
    with where it is written. `connector` is `*` for all that the role does not name."""

    connector: str
    place: Place
    may: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))
    never: Mapping[str, Place] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Role:
    """A role. `inherits` are the roles it names itself; `lineage` is itself and all it inherits from, nearest first."""

    name: str
    label: Bilingual
    place: Place
    help: Bilingual = Bilingual()
    kind: RoleKind = "person"
    inherits: tuple[str, ...] = ()
    lineage: tuple[str, ...] = ()
    own_sites: bool = False
    """Its own grants reach only records of the sites that the assignment names."""
    own_families: bool = False
    signs: frozenset[str] = frozenset()
    """Signature meanings, inherited ones included."""
    administer: frozenset[str] = frozenset()
    """Platform actions, inherited ones included."""
    may: Mapping[str, EntityGrants] = field(default_factory=lambda: MappingProxyType({}))
    never: Mapping[str, EntityGrants] = field(default_factory=lambda: MappingProxyType({}))
    connectors: Mapping[str, ConnectorGrants] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Reach:
    """How a record is found to belong to a site and to a product family; None where nothing is declared.

    Conditions over `user.sites` and `user.families`; whose they are (of which assignment) is filled in by `access`.
    """

    site: Checked | None = None
    family: Checked | None = None


@dataclass(frozen=True, slots=True)
class Duty:
    """An action on an entity that counts as a duty about a subject record.

    `actions` are verbs or transition names; `about` is the way from the record to its subject, step by step, empty for
    the record itself; `subject` is the entity it ends at. `active`, over the record, is when the separation is in force
    for this act; None is always.
    """

    name: str
    entity: str
    actions: frozenset[str]
    about: tuple[str, ...]
    subject: str
    place: Place
    active: Checked | None = None

    def covers(self, act: Act) -> bool:
        return act.entity == self.entity and act.action in self.actions


@dataclass(frozen=True, slots=True)
class Act:
    """Something done to a record: `action` is a verb or the name of a transition."""

    entity: str
    action: str


@dataclass(frozen=True, slots=True)
class Separation:
    """Of `groups` nobody holds roles of two; of `duties` nobody performs two, differently named, on one subject.

    `begins` is its first day, None for always. The ledger has it under its name and under those it was `renamed_from`.
    """

    name: str
    label: Bilingual
    place: Place
    help: Bilingual = Bilingual()
    groups: tuple[frozenset[str], ...] = ()
    duties: tuple[Duty, ...] = ()
    source: str = ""
    begins: date | None = None
    renamed_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """One expectation. `action` is one of RECORD_ACTIONS, `do:<transition>`, `process:<workflow>:<action>`, or
    `read_field` / `write_field` of `member`. `given` is the record as plain values; `own_site` and `own_family` place
    it; `already` is what the person did before about the same subject. Two are about no record: with `assign` the role
    `member` is given to the person as well, with `connector:<action>` it is tried on the connector `member`.
    `separation` is the one that must refuse."""

    place: Place
    entity: str
    action: str
    expect: str
    member: str = ""
    given: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    own_site: bool = True
    own_family: bool = True
    because: str = ""
    already: tuple[Act, ...] = ()
    separation: str = ""


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """Cases tried by a person with these roles. `all_sites`: assigned for every site, else each role for one."""

    name: str
    label: Bilingual
    place: Place
    roles: tuple[str, ...]
    cases: tuple[PolicyCase, ...]
    all_sites: bool = False
    all_families: bool = False


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies of a project."""

    roles: Mapping[str, Role]
    separations: Mapping[str, Separation] = field(default_factory=lambda: MappingProxyType({}))
    tests: Mapping[str, PolicyTest] = field(default_factory=lambda: MappingProxyType({}))
    reach: Mapping[str, Reach] = field(default_factory=lambda: MappingProxyType({}))
    """By entity; an entity without an entry belongs to no site and no family."""

    def in_force(self) -> Policies:
        """The same with every role and separation in force everywhere: what policy tests try, whatever day and site
        it is."""
        roles = {
            name: replace(role, may=_as_written(role.may), never=_as_written(role.never))
            for name, role in self.roles.items()
        }
        separations = {name: replace(each, begins=None) for name, each in self.separations.items()}
        return replace(self, roles=MappingProxyType(roles), separations=MappingProxyType(separations))

    def lineage(self, role: str) -> tuple[Role, ...]:
        """The role and all it inherits from; empty for a role that does not exist."""
        found = self.roles.get(role)
        return tuple(self.roles[each] for each in found.lineage) if found else ()


def _as_written(grants: Mapping[str, EntityGrants]) -> Mapping[str, EntityGrants]:
    def plain(clauses: Clauses) -> Clauses:
        return tuple(each.written or each for each in clauses)

    return MappingProxyType(
        {
            name: replace(
                each,
                actions=MappingProxyType({key: plain(found) for key, found in each.actions.items()}),
                active=None,
            )
            for name, each in grants.items()
        }
    )
