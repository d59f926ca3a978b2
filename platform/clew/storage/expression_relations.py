"""Paths, lists and the person in SQL: references as ids, related fields as scalar subqueries, macros as EXISTS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from clew.expressions.tree import AnyNode, Base, Call, Conditional, ListOf, Macro, Member, Name, Node, fallible
from clew.metadata.blueprint import Field, FieldKind
from clew.storage.dialects import AnyOf
from clew.storage.formula import Sql, formula, no
from clew.storage.types import Day, Id, Instant, Integer, Text
from clew.storage.types import ListOf as ListBind

if TYPE_CHECKING:
    from clew.storage.expression_translator import Translator

_ONE: sa.ColumnElement[Any] = sa.literal_column("1")


@dataclass(frozen=True, slots=True)
class Record:
    """A record in SQL: its id, the entities it may belong to, the rows it is in if the statement has them.

    `entity` is the column that says which entity it is, for a reference to one of several.
    """

    entities: tuple[str, ...]
    id: Sql
    rows: Any = None
    entity: Sql | None = None


@dataclass(frozen=True, slots=True)
class Elements:
    """A list in SQL: where its rows come from, what limits them, and each element as a record."""

    source: Any
    own: tuple[Any, ...]
    conditions: list[Sql]
    element: Record

    def select(self, *columns: Any, where: Any = ()) -> sa.Select[Any]:
        """Everything else the statement mentions belongs to the enclosing ones."""
        chosen = sa.select(*columns).select_from(self.source).where(*self.conditions, *where)
        return chosen.correlate_except(*self.own)

    def gather(self, value: Sql, build: Callable[[Sql], Sql]) -> Sql:
        """An aggregate of a value over the elements. The values are selected first: an aggregate whose argument names
        only columns of the enclosing statement would belong to that statement."""
        values = self.select(value.label("v")).subquery()
        return sa.select(build(values.c.v)).select_from(values).correlate_except(values).scalar_subquery()


class Relations:
    """The translator's way to other records."""

    def __init__(self, translator: Translator) -> None:
        self._up = translator
        self._rows = translator.rows

    # ── single values ─────────────────────────────────────────────────────────────────────────────────────────────

    def value(self, node: Node) -> Sql:
        """A root or member as a value; a record is its id."""
        match cast(AnyNode, node):
            case Name(name="now"):
                return sa.bindparam("now", type_=Instant())
            case Name(name="today"):
                return sa.bindparam("today", type_=Day())
            case Member(of=Name(name="user"), name=name):
                return sa.bindparam(f"user.{name}", type_=Id() if node.type.base is Base.ID else Text())
            case Member(of=Name(name="old"), name=name):
                from clew.storage.expression_translator import sql_type

                return sa.bindparam(f"old.{name}", type_=sql_type(node.type))
            case Member(of=of, name=name) if node.type.base is not Base.RECORD:
                return self._read(self.record(of), name)
            case _:
                return self.record(node).id

    def record(self, node: Node) -> Record:
        rows = self._rows
        match cast(AnyNode, node):
            case Name(name="this"):
                return Record((rows.entity,), cast(Any, rows.rows).c.id, rows.rows)
            case Name(name="old"):
                return Record((rows.entity,), sa.bindparam("old.id", type_=Id()))
            case Name(name=name):
                return self._up.variables[name]
            case Member(of=Name(name="old"), name=name):
                one = sa.bindparam(f"old.{name}_entity", type_=Text()) if len(node.type.entities) > 1 else None
                return Record(node.type.entities, sa.bindparam(f"old.{name}", type_=Id()), entity=one)
            case Member(of=of, name=name):
                return self._follow(self.record(of), name, node.type.entities)
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                test = self._up.condition(condition, loose=False)
                return self._either(node, [(test, self.record(then))], self.record(otherwise))
            case Call(args=args):
                records = [self.record(arg) for arg in args]
                return self._either(node, [(each.id.is_not(None), each) for each in records[:-1]], records[-1])
            case _:
                return Record((), sa.null())

    def _either(self, node: Node, cases: list[tuple[Sql, Record]], last: Record) -> Record:
        id_ = sa.case(*((test, each.id) for test, each in cases), else_=last.id)
        if len(node.type.entities) < 2:
            return Record(node.type.entities, id_)
        kinds = [(test, _kind(each)) for test, each in cases]
        return Record(node.type.entities, id_, entity=sa.case(*kinds, else_=_kind(last)))

    def _follow(self, of: Record, name: str, entities: tuple[str, ...]) -> Record:
        field = self._field(of, name)
        if field is not None and field.kind is FieldKind.ANY:
            return Record(entities, self._read(of, name, f"{name}_id"), entity=self._read(of, name, f"{name}_entity"))
        if field is not None:
            return Record(entities, self._read(of, name))
        elements = self._back(of, name)
        return Record(entities, elements.select(elements.element.id).limit(1).scalar_subquery())

    def _field(self, of: Record, name: str) -> Field | None:
        return self._rows.blueprint.entities[of.entities[0]].fields.get(name)

    def _read(self, of: Record, name: str, column: str = "") -> Sql:
        """A field of a record: a column of its rows, or a scalar subquery by its id."""
        if of.rows is not None:
            return self._own(of.entities[0], of.rows, name, column)
        if name == "id":
            return of.id
        found = []
        for entity in of.entities:
            rows, limits = self._rows.open(entity)
            read = sa.select(self._own(entity, rows, name, column)).select_from(rows).where(rows.c.id == of.id, *limits)
            found.append((entity, read.correlate_except(rows).scalar_subquery()))
        if len(found) == 1 or of.entity is None:
            return found[0][1]
        return sa.case(*((of.entity == entity, read) for entity, read in found))

    def _own(self, entity: str, rows: Any, name: str, column: str) -> Sql:
        field = self._rows.blueprint.entities[entity].fields.get(name)
        if field is None:
            return self._back(Record((entity,), rows.c.id, rows), name).element.id
        if field.computed is not None:
            value = self._up.over(self._rows.of(entity, rows)).value(field.computed.root)
        else:
            value = rows.c[column or (f"{name}_id" if field.kind is FieldKind.ANY else name)]
        mask = self._rows.mask
        return value if mask is None else mask(entity, rows, name, value)

    # ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _json(self, node: Node) -> tuple[Sql, list[str]]:
        path: list[str] = []
        while isinstance(node, Member) and node.of.type.base is Base.JSON:
            path.insert(0, node.name)
            node = node.of
        return self.value(node), path

    def json_member(self, node: Node) -> Sql:
        """A member as text; NULL when it is missing or JSON's null."""
        value, path = self._json(node)
        if not path:
            return value
        return formula(
            f"{{0}} #>> ARRAY[{_texts(path)}]", value, type_=Text(), sqlite=f"json_extract({{0}}, '{_json_path(path)}')"
        )

    def json_text(self, node: Node) -> Sql:
        """A member that is a JSON string; NULL when it is anything else."""
        value, path = self._json(node)
        steps, jpath = f"ARRAY[{_texts(path)}]::text[]", _json_path(path)
        return formula(
            f"CASE WHEN jsonb_typeof({{0}} #> {steps}) = 'string' THEN {{0}} #>> {steps} END",
            value,
            type_=Text(),
            sqlite=f"CASE WHEN json_type({{0}}, '{jpath}') = 'text' THEN json_extract({{0}}, '{jpath}') END",
        )

    # ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def elements(self, node: Node) -> Elements:
        match cast(AnyNode, node):
            case Macro(kind="filter", over=over, variable=variable, body=body):
                found = self.elements(over)
                taken = self._up.inside(variable, found.element).condition(body, loose=True)
                return Elements(found.source, found.own, [*found.conditions, taken], found.element)
            case Member(of=of, name=name):
                return self._list(self.record(of), name)
            case _:
                raise AssertionError("the checker lets only lists of records through")

    def _list(self, of: Record, name: str) -> Elements:
        field = self._field(of, name)
        if field is None:
            return self._back(of, name)
        rows, limits = self._rows.open(field.target)
        if field.kind is FieldKind.MANY:
            return self._linked(of.entities[0], name, of.id, "owner", "target", rows, limits, field.target)
        return _elements(rows, (rows,), [rows.c.owner == of.id, *limits], field.target)

    def _back(self, of: Record, name: str) -> Elements:
        """A way back: rows of the entity whose field points here."""
        inverse = self._rows.blueprint.entities[of.entities[0]].inverses[name]
        forward = self._rows.blueprint.entities[inverse.source].fields[inverse.field]
        rows, limits = self._rows.open(inverse.source)
        if forward.kind is FieldKind.MANY:
            return self._linked(inverse.source, forward.name, of.id, "target", "owner", rows, limits, inverse.source)
        if forward.kind is FieldKind.ANY:
            here = [rows.c[f"{forward.name}_entity"] == of.entities[0], rows.c[f"{forward.name}_id"] == of.id]
        else:
            here = [rows.c[forward.name] == of.id]
        return _elements(rows, (rows,), [*here, *limits], inverse.source)

    def _linked(
        self, entity: str, field: str, of: Sql, near: str, far: str, rows: Any, limits: list[Sql], target: str
    ) -> Elements:
        tables, as_of = self._rows.tables, self._rows.as_of
        link = self._rows.alias(tables.link(entity, field) if as_of is None else tables.link_history(entity, field))
        source = rows.join(link, link.c[far] == rows.c.id)
        return _elements(source, (rows, link), [link.c[near] == of, *self._rows.interval(link), *limits], target, rows)

    def contains(self, over: Node, wanted: Node) -> Sql:
        """`wanted in over`; NULL or false when not."""
        value = self._up.value(wanted)
        match cast(AnyNode, over):
            case Member(of=Name(name="user"), name=name):
                item = Id() if over.type.element and over.type.element.base is Base.ID else Text()
                return AnyOf(value, sa.bindparam(f"user.{name}", type_=ListBind(item)))
            case Macro(kind="map", over=inner, variable=variable, body=body):
                found = self.elements(inner)
                within = self._up.inside(variable, found.element)
                if wanted.type.numeric:
                    scale = max(wanted.type.scale, body.type.scale)
                    return sa.exists(
                        found.select(_ONE, where=[within.at_scale(body, scale) == self._up.at_scale(wanted, scale)])
                    )
                return sa.exists(found.select(_ONE, where=[within.value(body) == value]))
            case Member(type=type_) if type_.element is not None and type_.element.base is Base.TEXT:
                codes = self.value(over)
                sqlite = "EXISTS (SELECT 1 FROM json_each({0}) WHERE value = {1})"
                return formula("{0} @> to_jsonb({1})", codes, value, type_=sa.Boolean(), sqlite=sqlite)
            case _:
                found = self.elements(over)
                return sa.exists(found.select(_ONE, where=[found.element.id == value]))

    def size(self, over: Node) -> Sql:
        match cast(AnyNode, over):
            case ListOf(items=items):
                return sa.literal(len(items), Integer())
            case Member(of=Name(name="user"), name=name):
                item = Id() if over.type.element and over.type.element.base is Base.ID else Text()
                bound = sa.bindparam(f"user.{name}", type_=ListBind(item))
                return formula("cardinality({0})", bound, type_=Integer(), sqlite="json_array_length({0})")
            case Macro(kind="map", over=inner):
                return self.size(inner)
            case Member(type=type_) if type_.element is not None and type_.element.base is not Base.RECORD:
                lengths = "coalesce({}_array_length({{0}}), 0)"
                return formula(
                    lengths.format("jsonb"), self.value(over), type_=Integer(), sqlite=lengths.format("json")
                )
            case _:
                return self.elements(over).select(sa.func.count()).scalar_subquery()

    def quantified(self, node: Macro, loose: bool) -> Sql:
        """exists, all, exists_one."""
        found = self.elements(node.over)
        inner = self._up.inside(node.variable, found.element)
        if node.kind == "exists_one":
            return self.aggregate(node) == 1
        if not fallible(node.body) or (loose and node.kind == "exists"):
            if node.kind == "exists":
                return sa.exists(found.select(_ONE, where=[inner.condition(node.body, loose=True)]))
            failing = no(inner.condition(node.body, loose=False))
            return no(sa.exists(found.select(_ONE, where=[failing])))
        grade = formula(
            "CASE {0} WHEN true THEN 2 WHEN false THEN 0 ELSE 1 END",
            inner.condition(node.body, loose=False),
            type_=sa.Integer(),
        )
        if node.kind == "exists":
            verdict = "CASE max({0}) WHEN 2 THEN true WHEN 1 THEN NULL ELSE false END"
        else:
            verdict = "CASE min({0}) WHEN 0 THEN false WHEN 1 THEN NULL ELSE true END"
        return found.gather(grade, lambda values: formula(verdict, values, type_=sa.Boolean()))

    def aggregate(self, node: Macro) -> Sql:
        """count (and exists_one), sum, min, max. NULL when the body is undecided for any element."""
        found = self.elements(node.over)
        inner = self._up.inside(node.variable, found.element)
        if node.kind in ("count", "exists_one"):
            if not fallible(node.body):
                counted = found.select(sa.func.count(), where=[inner.condition(node.body, loose=True)])
                return counted.scalar_subquery()
            one = formula(
                "CASE {0} WHEN true THEN 1 WHEN false THEN 0 END",
                inner.condition(node.body, loose=False),
                type_=Integer(),
            )
            return found.gather(one, lambda ones: _whole(ones, sa.func.coalesce(sa.func.sum(ones), 0, type_=Integer())))
        value = inner.value(node.body)
        numbers = self._up.numbers
        if node.kind == "sum":
            total = found.gather(value, lambda values: _whole(values, numbers.total(values, node.type)))
            return numbers.checked(total, node.type)
        choose = sa.func.min if node.kind == "min" else sa.func.max
        collated = node.type.base is Base.TEXT and self._rows.dialect == "postgresql"
        return found.gather(
            value, lambda values: sa.type_coerce(choose(sa.collate(values, "C") if collated else values), value.type)
        )

    # ── history ───────────────────────────────────────────────────────────────────────────────────────────────────

    def entered(self, record: Node, state: str) -> Sql:
        """The first instant a record was in a state; NULL when it never was."""
        of = self.record(record)
        found = [(entity, self._first(entity, of.id, state)) for entity in of.entities]
        if len(found) == 1 or of.entity is None:
            return found[0][1]
        return sa.case(*((of.entity == entity, first) for entity, first in found))

    def _first(self, entity: str, id_: Sql, state: str) -> Sql:
        if "state" not in self._rows.blueprint.entities[entity].fields:
            return sa.null()
        past = self._rows.alias(self._rows.tables.history(entity))
        until = [] if self._rows.as_of is None else [past.c.tx_from <= self._rows.as_of]
        first = sa.select(sa.type_coerce(sa.func.min(past.c.tx_from), Instant())).select_from(past)
        return first.where(past.c.id == id_, past.c.state == state, *until).correlate_except(past).scalar_subquery()


def _elements(source: Any, own: tuple[Any, ...], conditions: list[Sql], entity: str, rows: Any = None) -> Elements:
    """Void records are no elements of a list."""
    rows = source if rows is None else rows
    alive = [rows.c.voided_at.is_(None)] if "voided_at" in rows.c else []
    return Elements(source, own, [*conditions, *alive], Record((entity,), rows.c.id, rows))


def _whole(each: Sql, result: Sql) -> Sql:
    """The aggregate, or NULL when some element had no value."""
    return sa.case((sa.func.count() == sa.func.count(each), result), else_=sa.null())


def _kind(record: Record) -> Sql:
    return record.entity if record.entity is not None else sa.literal(record.entities[0], Text())


def _texts(path: list[str]) -> str:
    """Names are letters, digits and underscores: the lexer knows no others."""
    return ", ".join(f"'{each}'" for each in path)


def _json_path(path: list[str]) -> str:
    return "$" + "".join(f'."{each}"' for each in path)
