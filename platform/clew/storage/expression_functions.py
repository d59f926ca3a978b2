"""The functions of the language in SQL, by signature. A test holds this table equal to what the registry promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from clew.expressions.builtin import BLANKS
from clew.expressions.check_decide import DECIDE
from clew.expressions.tree import Base, Call, Literal
from clew.storage.expression_decisions import table_sql
from clew.storage.expression_moments import days_later
from clew.storage.formula import Sql, formula, let
from clew.storage.types import Day, Integer, Text

if TYPE_CHECKING:
    from clew.storage.expression_translator import Translator

Builder = Callable[["Translator", Call], Sql]

_TRUTH = sa.Boolean()


def call_sql(up: Translator, node: Call) -> Sql:
    """A call of a declared function. NULL when an argument is, or when it fails."""
    if node.function == DECIDE:
        return table_sql(up, node)
    return BUILDERS[node.function](up, node)


def _template(pg: str, type_: Any, sqlite: str | None = None) -> Builder:
    return lambda up, node: formula(pg, *(up.value(each) for each in node.args), type_=type_, sqlite=sqlite)


def _size(up: Translator, node: Call) -> Sql:
    over = node.args[0]
    if over.type.base is Base.LIST:
        return up.relations.size(over)
    return formula("length({0})", up.value(over), type_=Integer())


def _state(up: Translator, node: Call) -> Sql:
    first = up.relations.entered(node.args[0], str(cast(Literal, node.args[1]).value))
    return first.is_not(None) if node.function == "was" else first


def _round(up: Translator, node: Call) -> Sql:
    return up.numbers.round(up.value(node.args[0]), node.args[0].type.scale, node.type.scale)


def _whole(mode: str) -> Builder:
    return lambda up, node: up.numbers.whole(up.value(node.args[0]), node.args[0].type.scale, mode)


def _text(up: Translator, node: Call) -> Sql:
    value, type_ = node.args[0], node.args[0].type
    if type_.base is Base.JSON:
        return up.relations.json_text(value)
    if type_.base is Base.DATE:
        return formula("to_char({0}, 'YYYY-MM-DD')", up.value(value), type_=Text(), sqlite="{0}")
    return formula(up.numbers.text(up.value(value), type_), up.value(value), type_=Text())


def _extreme(up: Translator, node: Call) -> Sql:
    """Of two values. LEAST and GREATEST skip NULL, which here means undecided."""
    first, second = (up.aligned(each, node.type) for each in node.args)
    op = "<=" if node.function == "min" else ">="
    collate = ' COLLATE "C"' if node.type.base is Base.TEXT else ""
    pg = let("a b", f"CASE WHEN a{collate} {op} b{collate} THEN a WHEN b{collate} {op} a{collate} THEN b END")
    return formula(pg, first, second, type_=first.type, sqlite=f"{node.function}({{0}}, {{1}})")


_ADD_DAYS = let("d n", "CASE WHEN (d - date '0001-01-01') + n BETWEEN 0 AND 3652058 THEN d + CAST(n AS integer) END")
_ADD_MONTHS = (
    "SELECT CASE WHEN m BETWEEN 12 AND 119999 THEN CAST(d + make_interval(months => CAST(n AS integer)) AS date) END"
    " FROM (SELECT d, n, extract(year FROM d) * 12 + extract(month FROM d) - 1 + n AS m"
    " FROM (SELECT {0} AS d, {1} AS n OFFSET 0) AS a OFFSET 0) AS b"
)


def _add_days(up: Translator, node: Call) -> Sql:
    start, count = (up.value(each) for each in node.args)
    if node.type.base is Base.DATETIME:
        return days_later(start, count)
    return formula(_ADD_DAYS, start, count, type_=Day(), sqlite="clew_add_days({0}, {1})")


def _part(field: str, start: int, length: int) -> Builder:
    sqlite = f"CAST(substr({{0}}, {start}, {length}) AS INTEGER)"
    return _template(f"CAST(extract({field} FROM {{0}}) AS bigint)", Integer(), sqlite)


def _decimal(up: Translator, node: Call) -> Sql:
    return up.value(node.args[0])


_BLANKS = "".join(f" || {{}}({ord(blank)})" for blank in BLANKS)[4:]
_CLAMP = "CASE WHEN {0} < 0 THEN 0 WHEN {0} > 1000000 THEN 1000000 ELSE CAST({0} AS integer) END AS {0}"
_SUBSTRING = (
    "SELECT substr(s, f + 1, CASE WHEN t < f THEN 0 ELSE t - f END) FROM"
    f" (SELECT s, {_CLAMP.replace('{0}', 'f')}, {_CLAMP.replace('{0}', 't')}"
    " FROM (SELECT {0} AS s, {1} AS f, {2} AS t LIMIT 1 OFFSET 0) AS a LIMIT 1 OFFSET 0) AS b"
)

BUILDERS: Mapping[str, Builder] = {
    "size": _size,
    "startsWith": _template(let("s b", "substr(s, 1, length(b)) = b"), _TRUTH),
    "endsWith": _template(let("s e", "length(s) >= length(e) AND substr(s, length(s) - length(e) + 1) = e"), _TRUTH),
    "contains": _template("strpos({0}, {1}) > 0", _TRUTH, "instr({0}, {1}) > 0"),
    "lower": _template('lower({0} COLLATE "C")', Text(), "lower({0})"),
    "upper": _template('upper({0} COLLATE "C")', Text(), "upper({0})"),
    "trim": _template(
        "btrim({0}, " + _BLANKS.replace("{}", "chr") + ")", Text(), "trim({0}, " + _BLANKS.replace("{}", "char") + ")"
    ),
    "substring": _template(_SUBSTRING, Text(), "clew_substring({0}, {1}, {2})"),
    "date": _template("CAST({0} AT TIME ZONE 'UTC' AS date)", Day(), "substr({0}, 1, 10)"),
    "days": _template("CAST({1} - {0} AS bigint)", Integer(), "CAST(julianday({1}) - julianday({0}) AS INTEGER)"),
    "addDays": _add_days,
    "addMonths": _template(_ADD_MONTHS, Day(), "clew_add_months({0}, {1})"),
    "year": _part("year", 1, 4),
    "month": _part("month", 6, 2),
    "day": _part("day", 9, 2),
    "abs": lambda up, node: up.numbers.absolute(up.value(node.args[0]), node.type),
    "round": _round,
    "floor": _whole("floor"),
    "ceil": _whole("ceil"),
    "integer": _whole("cut"),
    "decimal": _decimal,
    "text": _text,
    "min": _extreme,
    "max": _extreme,
    "was": _state,
    "entered": _state,
}
