"""The Blueprint: a project compiled into one frozen, linked, content-addressed value.

Every other room reads this and never the YAML. Names here are the analyst's (`snake_case`); how they look in GraphQL
or in the database is decided by `metadata.naming` and `storage.naming`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from clew.expressions.tree import Checked
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata.alerts import StandingAlert
from clew.metadata.decisions import DecisionTable
from clew.metadata.forms import Form
from clew.metadata.policies import Policies
from clew.metadata.processes import Workflow
from clew.metadata.project import Project
from clew.metadata.watches import Watch
from clew.metadata.working_time import WorkingCalendar


class FieldKind(StrEnum):
    """What `type:` may say. `computed` is not a kind: any scalar kind with `is:` is computed."""

    TEXT = "text"
    LONG_TEXT = "long_text"
    TRANSLATED = "translated"
    INTEGER = "integer"
    DECIMAL = "decimal"
    MONEY = "money"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    DURATION = "duration"
    CHOICE = "choice"
    CHOICES = "choices"
    JSON = "json"
    NUMBER = "number"
    REF = "ref"
    MANY = "many"
    LINES = "lines"
    ANY = "any"
    FILES = "files"
    ID = "id"
    """Envelope only: the record's own UUID."""


SCALARS = frozenset(FieldKind) - {FieldKind.REF, FieldKind.MANY, FieldKind.LINES, FieldKind.ANY}
TEXTUAL = frozenset({FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.NUMBER, FieldKind.CHOICE})


class EntityClass(StrEnum):
    MASTER = "master"
    TRANSACTION = "transaction"
    RECORD = "record"


class Origin(StrEnum):
    """Who put a field there: the analyst, the platform's envelope, or a trait of the entity."""

    DECLARED = "declared"
    ENVELOPE = "envelope"
    TRAIT = "trait"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an entity. Attributes that do not apply to its kind keep their defaults."""

    name: str
    kind: FieldKind
    label: Bilingual
    place: Place
    help: Bilingual = Bilingual()
    origin: Origin = Origin.DECLARED
    required: bool = False
    required_when: Checked | None = None
    unique: bool = False
    regulated: bool = False
    personal: bool = False
    immutable: bool = False
    """Set at creation, never changed after."""
    keep_when: Checked | None = None
    """While it holds of the record before a change, nothing is taken out of a `many`, and `lines` are neither taken out
    nor changed."""
    default: Checked | None = None
    computed: Checked | None = None
    """`is:`; the field is then read-only and never stored."""
    min: Decimal | None = None
    max: Decimal | None = None
    """Bounds of a number, of a `many`/`lines`/`files`/`choices` count."""
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    scale: int = 0
    """Decimal places of a decimal or money."""
    big: bool = False
    """An integer that may pass 32 bits: a string on the wire."""
    unit: str | None = None
    """A unit code (`mm`, `day`, `%`) or a path to one (`item.base_uom`)."""
    code_list: str | None = None
    schema: Mapping[str, Any] | None = None
    """JSON Schema (2020-12) of a json field."""
    schema_version: int = 1
    """The version of that schema: a later one means values that earlier releases accepted may not fit."""
    coding_rule: str | None = None
    targets: tuple[str, ...] = ()
    """Target entity of ref/many/lines; the allowed entities of an `any`."""
    where: Checked | None = None
    """What a referenced record must satisfy; evaluated on the target record."""
    inverse: str | None = None
    """Name of the way back on the target (`ref`, `many`); None when no way back is wanted."""
    accept: tuple[str, ...] = ()
    sort: str | None = None
    """`pinyin`: keeps a stored sort key."""
    search: bool = False
    """Its text is found by the entity's `search`."""
    physical: str | None = None
    renamed_from: tuple[str, ...] = ()

    @property
    def known_as(self) -> tuple[str, ...]:
        """Its name and those it had before: what the trail calls it by."""
        return (self.name, *self.renamed_from)

    @property
    def target(self) -> str:
        """The one target of a ref, many or lines field."""
        return self.targets[0]

    @property
    def stored(self) -> bool:
        """True when the field has columns in the entity's own table."""
        return self.computed is None and self.kind not in (FieldKind.MANY, FieldKind.LINES)


@dataclass(frozen=True, slots=True)
class Inverse:
    """The way back of a ref or many: `supplier.lots` for `lot.supplier`."""

    name: str
    label: Bilingual
    source: str
    """The entity that declares the forward field."""
    field: str
    single: bool = False
    """True when the forward ref is unique, so at most one record points here."""


@dataclass(frozen=True, slots=True)
class State:
    name: str
    label: Bilingual
    place: Place


@dataclass(frozen=True, slots=True)
class Transition:
    """A named move between states. `moved_by` names the process that may make it while an instance lives."""

    name: str
    label: Bilingual
    sources: tuple[str, ...]
    target: str
    place: Place
    when: Checked | None = None
    say: Bilingual = Bilingual()
    sign: str | None = None
    """The meaning of the electronic signature it takes (21 CFR 11.50): `approval`, `release`, `review` …"""
    reason: bool = False
    moved_by: str | None = None
    sets: tuple[tuple[str, Checked], ...] = ()
    protects: bool = False
    """Takes something out of use: a gap the record had, or a rule it broke before, does not refuse it."""


@dataclass(frozen=True, slots=True)
class RecordRule:
    """A condition that every written record satisfies. `require` must be true; a `forbid` is stored negated."""

    name: str
    condition: Checked
    """True means the record is acceptable. An evaluation error counts as false (refuse)."""
    say: Bilingual
    place: Place
    warn: bool = False
    fields: tuple[str, ...] = ()
    openly: bool = False
    """Told in its own words also to who does not see all that it reads."""


@dataclass(frozen=True, slots=True)
class Unique:
    name: str
    fields: tuple[str, ...]
    place: Place
    while_: Checked | None = None
    """Only rows for which this holds take part (same-row scalars only: it becomes a partial index)."""
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class NoOverlap:
    """Ranges [from, to] of records equal in `per` must not overlap; an empty end is open."""

    start: str
    end: str
    per: tuple[str, ...]
    place: Place
    while_: Checked | None = None


@dataclass(frozen=True, slots=True)
class Acyclic:
    """Following source → target never comes back. For an edge entity both are paths; otherwise source is `id`."""

    source: str
    target: str
    place: Place
    while_: Checked | None = None


@dataclass(frozen=True, slots=True)
class Posting:
    """Each new record of this entity adds to one row of a balance entity, created when missing."""

    to: str
    key: tuple[tuple[str, Checked], ...]
    """Balance field → expression over the posting record."""
    add: tuple[tuple[str, Checked], ...]
    place: Place
    when: Checked | None = None


@dataclass(frozen=True, slots=True)
class Retention:
    years: int | None
    """None keeps for ever."""
    after: str | None
    basis: str


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity: its fields in declaration order (envelope first), traits, states, rules, ways back."""

    name: str
    label: Bilingual
    place: Place
    cls: EntityClass
    fields: Mapping[str, Field]
    plural: str
    help: Bilingual = Bilingual()
    system: str = ""
    steward: str = ""
    part_of: str | None = None
    """The owner of a line entity. Lines are written with, permitted as and locked by their owner."""
    part_field: str | None = None
    """The owner's `lines` field that lists these. The line's ref to the owner is the field named `owner`."""
    key: tuple[str, ...] = ()
    """The business key, for lookup and upsert."""
    title: Checked | None = None
    """A text expression that names a record to a person."""
    site_scoped: bool = False
    frozen_from: str | None = None
    states: Mapping[str, State] = field(default_factory=lambda: MappingProxyType({}))
    initial: str | None = None
    transitions: Mapping[str, Transition] = field(default_factory=lambda: MappingProxyType({}))
    moved_by: str | None = None
    inverses: Mapping[str, Inverse] = field(default_factory=lambda: MappingProxyType({}))
    rules: tuple[RecordRule, ...] = ()
    uniques: tuple[Unique, ...] = ()
    no_overlaps: tuple[NoOverlap, ...] = ()
    acyclics: tuple[Acyclic, ...] = ()
    postings: tuple[Posting, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    retention: Retention | None = None
    derived: bool = False
    """Rows come only from postings; no direct create, update or void."""
    thread: tuple[str, ...] = ()
    """References whose record's thread a new record goes on; the first that is filled in counts."""
    renamed_from: tuple[str, ...] = ()

    @property
    def known_as(self) -> tuple[str, ...]:
        """Its name and those it had before: what the trail, signatures and decisions call it by."""
        return (self.name, *self.renamed_from)

    @property
    def searchable(self) -> tuple[Field, ...]:
        return tuple(each for each in self.fields.values() if each.search)


@dataclass(frozen=True, slots=True)
class Code:
    """One value of a code list, valid in [valid_from, valid_to] (ISO dates, inclusive, None = open)."""

    value: str
    label: Bilingual
    valid_from: str | None = None
    valid_to: str | None = None


@dataclass(frozen=True, slots=True)
class CodeList:
    name: str
    label: Bilingual
    codes: Mapping[str, Code]
    place: Place


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a number: `literal`, `field` (a path), `date` (yyyy, yy, MM, dd) or `seq` with a width."""

    kind: str
    text: str = ""
    width: int = 0


@dataclass(frozen=True, slots=True)
class CodingRule:
    """How business keys are made. Counters restart for each distinct value of everything before the sequence."""

    name: str
    label: Bilingual
    segments: tuple[Segment, ...]
    gap_free: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The whole project. Two projects with the same meaning have the same `digest`."""

    project: Project
    entities: Mapping[str, Entity]
    code_lists: Mapping[str, CodeList]
    coding_rules: Mapping[str, CodingRule]
    digest: str
    """Lower-case hex SHA-256 over the canonical source bundle."""
    sources: Mapping[str, str]
    """Relative path → text: what a release stores."""
    policies: Policies | None = None
    """None while the project has no permissions/."""
    calendars: Mapping[str, WorkingCalendar] = field(default_factory=lambda: MappingProxyType({}))
    watches: Mapping[str, Watch] = field(default_factory=lambda: MappingProxyType({}))
    workflows: Mapping[str, Workflow] = field(default_factory=lambda: MappingProxyType({}))
    sites_named: tuple[tuple[str, Place], ...] = ()
    """Codes of sites that the project names (`active`), and where. Whether there are such sites, records say."""
    decisions: Mapping[str, DecisionTable] = field(default_factory=lambda: MappingProxyType({}))
    forms: Mapping[str, Form] = field(default_factory=lambda: MappingProxyType({}))
    alerts: Mapping[str, StandingAlert] = field(default_factory=lambda: MappingProxyType({}))

    def entity(self, name: str) -> Entity:
        return self.entities[name]
