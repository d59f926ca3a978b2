"""Lists: connections with pages, cursors, counts, aggregates and groups."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from clew.records.query.aggregates import aggregate_json, groups_json
from clew.records.query.items import aggregated, record_json
from clew.records.query.json_text import Sql, Text, as_text, constant, json_object, piece
from clew.records.query.ordering import Term, beyond, cursor_text, terms
from clew.records.query.plan import (
    Aggregate,
    EdgeCursor,
    EdgeNode,
    Edges,
    Fixed,
    Groups,
    Listing,
    ListItem,
    Many,
    Nodes,
    Order,
    PageInfo,
    TotalCount,
)
from clew.records.query.predicates import condition, unvoided
from clew.records.query.relations import relate
from clew.records.query.scope import NotVisible, Scope, select_from
from clew.records.query.values import size_of

_MANY = 1_000_000_000
"""A limit that is none: SQLite keeps the order of a subselect only when it has a limit."""


@dataclass(frozen=True, slots=True)
class Source:
    """How to open the rows a listing is about, as often as its parts need them."""

    scope: Scope
    relation: str | None
    listing: Listing

    def open(self) -> tuple[Scope, list[Sql]]:
        if self.relation is None:
            found = self.scope.open(self.listing.entity)
            conditions = found.conditions()
        else:
            found, conditions = relate(self.scope, self.relation)
        if self.listing.voided == "exclude":
            conditions += unvoided(found)
        elif self.listing.voided == "only":
            conditions += [sa.not_(each) for each in unvoided(found)]
        if self.listing.where is not None:
            conditions.append(condition(found, self.listing.where))
        return found, conditions


def related_json(scope: Scope, item: Many) -> Sql:
    """The connection of a record's relation."""
    return connection_json(Source(scope, item.relation, item.listing))


def order_digest(entity: str, order: tuple[Order, ...]) -> str:
    """Names the order a cursor belongs to; a cursor of another order is refused."""
    text = repr((entity, [(each.path, each.descending, each.part) for each in order]))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def connection_json(source: Source) -> Sql:
    """A connection as JSON text: its page, and what is said about the whole list."""
    page_items = [item for item in source.listing.items if isinstance(item, Edges | Nodes | PageInfo)]
    if not page_items:
        return json_object([(item.key, _whole(source, item)) for item in source.listing.items])
    return _PageQuery(source).json()


def _whole(source: Source, item: ListItem) -> str | Sql:
    if isinstance(item, Fixed):
        return constant(item.text)
    if isinstance(item, TotalCount):
        scope, conditions = source.open()
        counted: Sql = select_from(scope, [as_text(sa.func.count())], conditions).scalar_subquery()
        return counted
    if isinstance(item, Aggregate):
        return aggregate_json(*source.open(), item)
    if isinstance(item, Groups):
        return groups_json(*source.open(), item)
    raise NotVisible(name=item.key, what=source.listing.entity)


class _PageQuery:
    """One page: an inner SELECT of the ordered rows with their JSON, an outer one that strings them together."""

    def __init__(self, source: Source) -> None:
        self.source, self.listing, self.page = source, source.listing, source.listing.page
        self.scope, self.conditions = source.open()
        self.dialect = self.scope.build.dialect
        self.order = terms(self.scope, self.listing.order)
        self.digest = order_digest(self.listing.entity, self.listing.order)
        self.columns: list[Any] = []
        infos = [item for item in self.listing.items if isinstance(item, PageInfo)]
        self.wanted = {what for info in infos for _, what in info.members}
        self.extra = bool(self.wanted & {"hasNextPage", "hasPreviousPage"})
        self.numbered = bool(self.extra or self.wanted & {"startCursor", "endCursor"} or self.page.backward)

    def json(self) -> Sql:
        labels = {item.key: self._column(item) for item in self.listing.items if isinstance(item, Edges | Nodes)}
        cursor = self._label(self._cursor()) if self.wanted & {"startCursor", "endCursor"} else None
        rows = self._rows()
        number = rows.c.rn if self.numbered else None
        kept = None if number is None else number <= size_of(self.page.size)
        text = Text().add("{")
        for at, item in enumerate(self.listing.items):
            text.add(("," if at else "") + constant(item.key) + ":")
            if isinstance(item, Edges | Nodes):
                value = aggregated(rows.c[labels[item.key]], self.dialect)
                shown = value if kept is None or not self.extra else value.filter(kept)
                text.add("[").add(sa.func.coalesce(shown, piece(""), type_=sa.Text())).add("]")
            elif isinstance(item, PageInfo):
                text.add(self._page_info(item, rows, None if cursor is None else rows.c[cursor], kept))
            else:
                text.add(_whole(self.source, item))
        statement = sa.select(text.add("}").sql()).select_from(rows).correlate_except(rows)
        found: Sql = statement.scalar_subquery()
        return found

    def _label(self, value: Sql) -> str:
        name = f"c{len(self.columns)}"
        self.columns.append(value.label(name))
        return name

    def _column(self, item: Edges | Nodes) -> str:
        if isinstance(item, Nodes):
            return self._label(record_json(self.scope, item.items))
        members: list[tuple[str, str | Sql]] = []
        for each in item.items:
            if isinstance(each, EdgeNode):
                members.append((each.key, record_json(self.scope, each.items)))
            elif isinstance(each, EdgeCursor):
                members.append((each.key, json_quoted(self._cursor())))
            else:
                members.append((each.key, constant(each.text)))
        return self._label(json_object(members))

    def _cursor(self) -> Sql:
        return cursor_text(self.order, self.digest, self.scope)

    def _rows(self) -> Any:
        backward = self.page.backward
        ordered = [term.ordered(reverse=backward) for term in self.order]
        if self.numbered:
            self.columns.append(sa.func.row_number().over(order_by=ordered).label("rn"))
        conditions = [*self.conditions, *self._bounds(self.order)]
        size = size_of(self.page.size)
        inner = select_from(self.scope, self.columns or [sa.literal_column("1").label("c0")], conditions)
        inner = inner.order_by(*ordered).limit(size + 1 if self.extra else size)
        if not backward:
            return inner.subquery(f"t{next(self.scope.build.numbers)}")
        page = inner.subquery(f"t{next(self.scope.build.numbers)}")
        turned = sa.select(*page.c).select_from(page).order_by(page.c.rn.desc()).limit(_MANY)
        return turned.correlate_except(page).subquery(f"t{next(self.scope.build.numbers)}")

    def _bounds(self, order: list[Term]) -> list[Sql]:
        found: list[Sql] = []
        if self.page.after is not None:
            found.append(beyond(order, self.page.after))
        if self.page.before is not None:
            found.append(beyond(order, self.page.before, before=True))
        return found

    def _page_info(self, item: PageInfo, rows: Any, cursor: Any, kept: Any) -> Sql:
        more = as_flag(sa.func.count() > size_of(self.page.size))
        backward = self.page.backward
        members: list[tuple[str, str | Sql]] = []
        for key, what in item.members:
            if what.startswith("="):
                members.append((key, constant(what[1:])))
            elif what == "hasNextPage":
                members.append((key, self._past(before=False) if backward else more))
            elif what == "hasPreviousPage":
                members.append((key, more if backward else self._past(before=True)))
            else:
                members.append((key, _edge_cursor(rows.c.rn, cursor, kept, last=(what == "endCursor") != backward)))
        return json_object(members)

    def _past(self, *, before: bool) -> str | Sql:
        """Whether there are rows on the far side of the cursor the page started from."""
        edge = self.page.after if before else self.page.before
        if edge is None:
            return "false"
        scope, conditions = self.source.open()
        order = terms(scope, self.listing.order)
        outside = sa.not_(beyond(order, edge, before=not before))
        return as_flag(sa.exists(select_from(scope, [sa.literal_column("1")], [*conditions, outside])))


def json_quoted(value: Sql) -> Sql:
    return Text().add('"').add(value).add('"').sql()


def as_flag(value: Sql) -> Sql:
    return sa.case((value, piece("true")), else_=piece("false"))


def _edge_cursor(number: Sql, cursor: Sql, kept: Any, *, last: bool) -> Sql:
    """The cursor of the first or last row of the page: the row numbers are made equally long, so text order serves."""
    tagged = as_text(number + 1_000_000).concat(cursor)
    pick = (sa.func.max if last else sa.func.min)(tagged, type_=sa.Text())
    value = sa.func.substr(pick.filter(kept), 8)
    return sa.func.coalesce(json_quoted(value), piece("null"), type_=sa.Text())
