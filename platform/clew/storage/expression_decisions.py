"""A decision table in SQL: one CASE over its inputs, each written out once, however many rows there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from clew.expressions.cells import NULL, Axis, Points
from clew.expressions.check_decide import Asked
from clew.expressions.tables import Hit, Input, Row, Table, Together
from clew.expressions.tree import Base, Call, Literal, Node, Type
from clew.storage.formula import Formula, Sql, let
from clew.storage.types import Day, Exact, Integer, Text, Truth

if TYPE_CHECKING:
    from clew.storage.expression_translator import Translator


def table_sql(up: Translator, node: Call) -> Sql:
    """The output that is asked for; NULL when no row holds, or when an input is no value the table knows."""
    asked = cast(Asked, cast(Literal, node.args[0]).value)
    at = asked.table.output(asked.output)
    assert at is not None  # the checker looked
    given = [_given(up, each, arg) for each, arg in zip(asked.table.inputs, node.args[1:], strict=True)]
    both = {dialect: _Writer(dialect, len(given)) for dialect in ("postgresql", "sqlite")}
    names = " ".join(f"i{number}" for number in range(len(given)))
    texts = {dialect: let(names, writer.body(asked.table, at)) for dialect, writer in both.items()}
    words = [sa.literal(each, Text()) for each in both["sqlite"].words]
    return Formula(f"({texts['postgresql']})", f"({texts['sqlite']})", (*given, *words), _type(asked.table.result(at)))


def _given(up: Translator, known: Input, arg: Node) -> Sql:
    if arg.type.base is Base.NULL:
        return sa.cast(sa.null(), _type(known.axis.type))
    return up.at_scale(arg, known.axis.type.scale) if arg.type.numeric else up.value(arg)


def _type(type_: Type) -> Any:
    return {
        Base.BOOLEAN: Truth(),
        Base.INTEGER: Integer(),
        Base.DECIMAL: Exact(type_.scale),
        Base.DATE: Day(),
    }.get(type_.base, Text())


@dataclass(slots=True)
class _Writer:
    """Writes for one engine. Texts are bound: `words` follow the inputs among the arguments."""

    dialect: str
    inputs: int
    words: list[str] = field(default_factory=list)

    def body(self, table: Table, at: int) -> str:
        known = " AND ".join(self._points(number, each.axis, each.axis.domain) for number, each in _numbered(table))
        type_ = table.outputs[at].type
        rows = [(self._row(table, row), self._value(row.then[at], type_)) for row in self._order(table, at)]
        default = "NULL" if table.default is None else self._value(table.default[at], type_)
        if table.hit is Hit.COLLECT and table.together in (Together.SUM, Together.COUNT):
            one = [(when, "1" if table.together is Together.COUNT else value) for when, value in rows]
            found = " + ".join(f"CASE WHEN {when} THEN {value} ELSE 0 END" for when, value in one)
            if table.default is not None and table.together is Together.SUM:
                none = " OR ".join(f"({when})" for when, _ in rows)
                found = f"CASE WHEN {none} THEN {found} ELSE {default} END"
            return f"CASE WHEN {known} THEN {found} END"
        cases = "".join(f" WHEN {when} THEN {value}" for when, value in rows)
        return f"CASE WHEN {known} THEN CASE{cases} ELSE {default} END END"

    def _order(self, table: Table, at: int) -> list[Row]:
        """The order in which the first row that holds has the value."""
        if table.together is Together.MIN:
            return sorted(table.rows, key=lambda row: row.then[at])
        if table.together is Together.MAX:
            return sorted(table.rows, key=lambda row: row.then[at], reverse=True)
        return list(table.rows)

    def _row(self, table: Table, row: Row) -> str:
        parts = [
            self._points(number, each.axis, row.when[number])
            for number, each in _numbered(table)
            if row.when[number] != each.axis.domain
        ]
        return " AND ".join(parts) or "1 = 1"

    def _points(self, number: int, axis: Axis, points: Points) -> str:
        name = f"i{number}"
        if axis.type.base is Base.TEXT:
            return self._texts(name, axis, points)
        return _any(self._interval(name, axis, low, high) for low, high in points)

    def _interval(self, name: str, axis: Axis, low: int, high: int) -> str:
        if low == NULL:
            return f"{name} IS NULL"
        if low == high:
            return f"{name} = {self._value(axis.value(low), axis.type)}"
        begin, end = (self._value(axis.value(each), axis.type) for each in (low, high))
        return f"{name} BETWEEN {begin} AND {end}"

    def _texts(self, name: str, axis: Axis, points: Points) -> str:
        """Known texts by name; what no row names is every other text."""
        found = [each for low, high in points for each in range(low, high + 1) if low != NULL]
        listed = ", ".join(self._word(axis.texts[each]) for each in found if each < len(axis.texts))
        parts = [f"{name} IS NULL"] if (NULL, NULL) in points else []
        parts += [f"{name} IN ({listed})"] if listed else []
        if len(axis.texts) in found:
            others = ", ".join(self._word(each) for each in axis.texts)
            parts.append(f"{name} NOT IN ({others})" if others else f"{name} IS NOT NULL")
        return _any(iter(parts))

    def _word(self, text: str) -> str:
        if text not in self.words:
            self.words.append(text)
        return f"{{{self.inputs + self.words.index(text)}}}"

    def _value(self, value: Any, type_: Type) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return str(value).lower() if self.dialect == "postgresql" else str(int(value))
        if isinstance(value, date):
            return f"date '{value.isoformat()}'" if self.dialect == "postgresql" else f"'{value.isoformat()}'"
        if isinstance(value, str):
            return self._word(value)
        if type_.base is Base.DECIMAL:
            if self.dialect == "sqlite":
                return str(int(Decimal(value).scaleb(type_.scale)))
            return f"CAST({Decimal(value):f} AS numeric(38, {type_.scale}))"
        return str(value) if self.dialect == "sqlite" else f"CAST({value} AS bigint)"


def _numbered(table: Table) -> Iterator[tuple[int, Input]]:
    return iter(enumerate(table.inputs))


def _any(parts: Iterator[str]) -> str:
    found = list(parts)
    return found[0] if len(found) == 1 else f"({' OR '.join(found)})"
