"""The relational plan: what to read, independent of GraphQL and of SQL.

A plan names entities, fields and relations of the Blueprint only. Values come as `Slot` (known when the plan runs) or
`Const` (part of the plan). The plan says nothing about permission: the compiler adds that from the Decision at every
edge, so no plan can be written that forgets it.

Output keys (`key`) are the names in the JSON answer, in the order given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clew.expressions.tree import Checked


@dataclass(frozen=True, slots=True)
class Slot:
    """A value given when the plan runs."""

    name: str


@dataclass(frozen=True, slots=True)
class Const:
    """A value that is part of the plan."""

    value: object


Value = Slot | Const
Voided = Literal["exclude", "include", "only"]
Quantifier = Literal["one", "some", "every", "none"]


# ── conditions ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value` on this record. Total: a missing value compares false, and `not` of that is true.

    op: eq ne lt le gt ge in not_in starts_with ends_with contains, eq_fold starts_with_fold contains_fold (ASCII
    letters' case ignored), has (a set of codes contains), is_null (value: a constant boolean).
    `part` picks an inner value: `currency` of money, `zh`/`en` of a translated text, `entity`/`id` of an `any`.
    """

    field: str
    op: str
    value: Value
    part: str = ""


@dataclass(frozen=True, slots=True)
class And:
    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Or:
    items: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class Not:
    item: Predicate


@dataclass(frozen=True, slots=True)
class Through:
    """A condition on related records the caller may see. `one` for to-one relations; some/every/none for lists.

    `entity` picks the branch of an `any` field. No `where` means: there is such a record.
    """

    relation: str
    quantifier: Quantifier
    where: Predicate | None = None
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class Holds:
    """A checked expression of this record is true."""

    condition: Checked


@dataclass(frozen=True, slots=True)
class Granted:
    """The caller's grant for an action (`export`) holds for this record, over its values as they are."""

    action: str


@dataclass(frozen=True, slots=True)
class Search:
    """Some searchable field the caller may see holds all grams of one alternative.

    Each alternative is a slot with a list of grams, and a slot with their number.
    """

    alternatives: tuple[tuple[Value, Value], ...]


Predicate = Compare | And | Or | Not | Through | Holds | Granted | Search


# ── order and page ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Order:
    """One ordering term: a path over to-one relations to a scalar. Missing values sort as the largest."""

    path: tuple[str, ...]
    descending: bool = False
    part: str = ""


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a page begins or ends: the decoded cursor. One value per order term plus the id; `nulls` marks those
    that are missing, because the comparison has another shape for them."""

    values: tuple[Value, ...]
    nulls: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """`size` rows from the start (or after `after`), or from the end when `backward`."""

    size: Value
    after: Bound | None = None
    before: Bound | None = None
    backward: bool = False


WHOLE = Page(Const(2_000_000_000))
"""Everything there is: for copies of a record, which must be complete (21 CFR 11.10(b))."""


# ── what comes out of a record ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar. `part`: amount/currency of money, zh/en of a translated text, or empty for the whole value."""

    key: str
    field: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant text in the answer, such as `__typename`."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Nested:
    """An object of values of the same row; null when `field` is null (money, translated text)."""

    key: str
    field: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Elements:
    """The objects of a `files` field (or another list of objects), each with the chosen members."""

    key: str
    field: str
    members: tuple[tuple[str, str], ...]
    """(answer key, stored member); a member starting with `=` is a constant text."""


@dataclass(frozen=True, slots=True)
class One:
    """The related record of a to-one relation, or null."""

    key: str
    relation: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    entity: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class OneOf:
    """The record an `any` field points at, by entity."""

    key: str
    relation: str
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Many:
    """Related records of a to-many relation, as a connection."""

    key: str
    relation: str
    listing: Listing


@dataclass(frozen=True, slots=True)
class VersionItem:
    """A member of a version or an audit leaf.

    Version: tx_from, tx_to, row_version, by, action, reason, record (with `items`). Leaf: id, at, row_version, by,
    action, reason, channel, release, digest, changes (with `members`: field, old, new). Both: text, a constant.
    """

    key: str
    what: str
    items: tuple[Item, ...] = ()
    members: tuple[VersionItem, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of this record, newest first."""

    key: str
    items: tuple[VersionItem, ...]
    size: Value


@dataclass(frozen=True, slots=True)
class Signatures:
    """The electronic signatures of the record, oldest first: `nodes`, `edges`, `totalCount`, `pageInfo`."""

    key: str
    items: tuple[VersionItem, ...]
    size: Value
    after: Value | None = None


@dataclass(frozen=True, slots=True)
class Signable:
    """What there is to sign: the version shown and the digest of its content."""

    key: str
    items: tuple[VersionItem, ...]


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit leaves of this record, newest first."""

    key: str
    items: tuple[VersionItem, ...]
    size: Value


Item = Leaf | Fixed | Nested | Elements | One | OneOf | Many | Versions | Trail | Signatures | Signable


# ── what comes out of a list ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class EdgeNode:
    key: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class EdgeCursor:
    key: str


@dataclass(frozen=True, slots=True)
class Edges:
    key: str
    items: tuple[EdgeNode | EdgeCursor | Fixed, ...]


@dataclass(frozen=True, slots=True)
class Nodes:
    key: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class PageInfo:
    """Members: hasNextPage, hasPreviousPage, startCursor, endCursor, or a text as (key, '=text')."""

    key: str
    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TotalCount:
    key: str


@dataclass(frozen=True, slots=True)
class Measure:
    """One aggregated value: count (no field), min, max, sum, avg, count_distinct."""

    key: str
    function: str
    field: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class Measures:
    """An inner object of measures (`sum { qty }`)."""

    key: str
    items: tuple[Measure | Fixed, ...]


MeasureItem = Measure | Measures | Fixed


@dataclass(frozen=True, slots=True)
class Aggregate:
    key: str
    items: tuple[MeasureItem, ...]


@dataclass(frozen=True, slots=True)
class GroupKey:
    """The values a group has in common: leaves, to-one records, parts."""

    key: str
    items: tuple[Item, ...]


Unit = Literal["day", "week", "month", "quarter", "year"]
PERIODS: tuple[Unit, ...] = ("day", "week", "month", "quarter", "year")


@dataclass(frozen=True, slots=True)
class Period:
    """The first day of the period a date or moment falls into; a moment's day is that of the project's time zone.
    In the key it is the `Leaf` of the field whose `part` is the unit. Weeks begin on Monday."""

    field: str
    unit: Unit


@dataclass(frozen=True, slots=True)
class Groups:
    """The list, grouped by fields (scalars or to-one relations) and periods, in order of the group key."""

    key: str
    by: tuple[str | Period, ...]
    items: tuple[GroupKey | MeasureItem, ...]
    size: Value


ListItem = Edges | Nodes | PageInfo | TotalCount | Aggregate | Groups | Fixed


@dataclass(frozen=True, slots=True)
class Listing:
    """Records of one entity: which, in what order, which page, and what to say about them."""

    entity: str
    items: tuple[ListItem, ...]
    page: Page
    where: Predicate | None = None
    order: tuple[Order, ...] = ()
    voided: Voided = "exclude"


# ── the roots ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RecordRoot:
    """One record by id or by its key; null when there is none the caller may see."""

    key: str
    entity: str
    by: tuple[tuple[str, Value], ...]
    items: tuple[Item, ...]
    as_of: Value | None = None


@dataclass(frozen=True, slots=True)
class ListRoot:
    key: str
    listing: Listing
    as_of: Value | None = None


@dataclass(frozen=True, slots=True)
class NodeRoot:
    """The record with this id, whatever its entity."""

    key: str
    id: Value
    branches: tuple[Branch, ...]
    as_of: Value | None = None


Root = RecordRoot | ListRoot | NodeRoot | Fixed


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one operation reads: one statement, one snapshot."""

    roots: tuple[Root, ...]
