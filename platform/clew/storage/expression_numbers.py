"""Exact arithmetic in SQL: numeric on PostgreSQL, scaled 64-bit integers on SQLite, the same digits.

Every result is checked to have at most 18 digits; otherwise it is NULL, and so is everything computed from it.
On SQLite `storage.sqlite_functions` computes: its own operators turn an overflow into a float, and its parser gives up
on deeply nested checks.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from clew.expressions.numbers import LIMIT
from clew.expressions.tree import Base, Type
from clew.storage.engine import DialectName
from clew.storage.formula import Sql, formula, let
from clew.storage.types import Duration, Exact, Integer, StoredType


def number_type(type_: Type) -> StoredType:
    if type_.base is Base.DURATION:
        return Duration()
    return Exact(type_.scale) if type_.base is Base.DECIMAL else Integer()


class Numbers:
    """Builds numeric SQL for one engine."""

    def __init__(self, dialect: DialectName) -> None:
        self._scaled = dialect == "sqlite"

    def literal(self, value: Any, type_: Type) -> Sql:
        return sa.literal(value, number_type(type_))

    def align(self, value: Sql, scale: int, to: int) -> Sql:
        """The same number with more decimal places: a change of form on SQLite, nothing on PostgreSQL."""
        if not self._scaled or scale == to:
            return value
        return formula(f"{{0}} * {10 ** (to - scale)}", value, type_=Exact(to))

    def operate(self, op: str, left: Sql, left_scale: int, right: Sql, right_scale: int, type_: Type) -> Sql:
        """`left op right`, checked."""
        target, scale = number_type(type_), type_.scale
        if op == "/":
            return self._divide(left, left_scale, right, right_scale, scale)
        if op == "%":
            pg = "mod(CAST({0} AS numeric), NULLIF(CAST({1} AS numeric), 0))"
            return formula(pg, left, right, type_=target, sqlite="{0} % NULLIF({1}, 0)")
        if op == "*":
            drop = left_scale + right_scale - scale
            if drop or self._scaled:
                return self._multiply(left, right, drop, type_)
        else:
            left, right = self.align(left, left_scale, scale), self.align(right, right_scale, scale)
        if self._scaled:
            call = sa.func.clew_add if op == "+" else sa.func.clew_subtract
            return call(left, right, type_=target)
        return self.checked(
            formula(f"CAST({{0}} AS numeric) {op} CAST({{1}} AS numeric)", left, right, type_=target), type_
        )

    def checked(self, value: Sql, type_: Type) -> Sql:
        """The number when it has at most 18 digits, otherwise NULL."""
        if self._scaled:
            return sa.func.clew_fit(value, type_=number_type(type_))
        bound = 10 ** (18 - type_.scale)
        pg = let("v", f"CASE WHEN v > -{bound} AND v < {bound} THEN v END")
        return formula(pg, value, type_=number_type(type_))

    def negate(self, value: Sql, type_: Type) -> Sql:
        if self._scaled:
            return sa.func.clew_subtract(_constant(0), value, type_=number_type(type_))
        return self.checked(formula("0 - CAST({0} AS numeric)", value, type_=number_type(type_)), type_)

    def absolute(self, value: Sql, type_: Type) -> Sql:
        if self._scaled:
            return sa.func.abs(sa.func.clew_fit(value), type_=number_type(type_))
        pg = let("v", f"CASE WHEN v > -{LIMIT} AND v < {LIMIT} THEN abs(v) END")
        return formula(pg, value, type_=number_type(type_))

    def _divide(self, left: Sql, left_scale: int, right: Sql, right_scale: int, scale: int) -> Sql:
        shift = scale - left_scale + right_scale
        if self._scaled:
            return sa.func.clew_divide(left, right, _constant(shift), type_=Exact(scale))
        rounded = (
            "(q + CASE WHEN 2 * abs(n - q * d) > abs(d) OR (2 * abs(n - q * d) = abs(d) AND mod(q, 2) <> 0)"
            f" THEN sign(n) * sign(d) ELSE 0 END) * {_unit(scale)}"
        )
        units = f"SELECT CAST({{0}} AS numeric) * {10 ** (left_scale + shift)} AS n, "
        units += f"NULLIF(CAST({{1}} AS numeric) * {10**right_scale}, 0) AS d OFFSET 0"
        pg = f"SELECT {rounded} FROM (SELECT n, d, div(n, d) AS q FROM ({units}) AS a OFFSET 0) AS b"
        return self.checked(formula(pg, left, right, type_=Exact(scale)), Type(Base.DECIMAL, scale=scale))

    def _multiply(self, left: Sql, right: Sql, drop: int, type_: Type) -> Sql:
        if self._scaled:
            return sa.func.clew_multiply(left, right, _constant(drop), type_=number_type(type_))
        product = formula("{0} * {1}", left, right, type_=Exact(type_.scale))
        return self.round(product, type_.scale + drop, type_.scale)

    def round(self, value: Sql, scale: int, places: int) -> Sql:
        """Half to even at `places` decimals."""
        type_ = Type(Base.DECIMAL, scale=places)
        if self._scaled:
            return _rescaled(value, scale - places, "even", Exact(places))
        unit = _unit(places)
        body = (
            f"CASE WHEN abs(v - trunc(v, {places})) * 2 = {unit} AND mod(trunc(v, {places}) * {10**places}, 2) = 0"
            f" THEN trunc(v, {places}) ELSE round(v, {places}) END"
        )
        rounded = formula("SELECT " + body + " FROM (SELECT CAST({0} AS numeric) AS v OFFSET 0) AS a", value,
                          type_=Exact(places))  # fmt: skip
        return self.checked(rounded, type_)

    def whole(self, value: Sql, scale: int, mode: str) -> Sql:
        """The integer below (`floor`), above (`ceil`) or toward zero (`cut`)."""
        function = {"floor": "floor", "ceil": "ceil", "cut": "trunc"}[mode]
        if self._scaled:
            return _rescaled(value, scale, mode, Integer())
        return self.checked(formula(f"{function}(CAST({{0}} AS numeric))", value, type_=Integer()), Type(Base.INTEGER))

    def total(self, value: Sql, type_: Type) -> Sql:
        """The sum over rows, unchecked; zero over none. In two halves on SQLite, which fails on an overflow."""
        target = number_type(type_)
        if not self._scaled:
            return sa.func.coalesce(sa.func.sum(value), 0, type_=target)
        half = 10**9
        halves = f"coalesce(sum({{0}} / {half}), 0) * {half} + coalesce(sum({{0}} % {half}), 0)"
        return formula(halves, value, type_=target)

    def text(self, value: Sql, type_: Type) -> str:
        """A template for the number as text with exactly its decimal places."""
        if not self._scaled:
            return f"CAST(round(CAST({{0}} AS numeric), {type_.scale}) AS text)"
        if not type_.scale:
            return "CAST({0} AS TEXT)"
        unit = 10**type_.scale
        digits = f"printf('%d.%0{type_.scale}d', abs(v) / {unit}, abs(v) % {unit})"
        # printf writes NULL as 0
        return let("v", f"CASE WHEN v < 0 THEN '-' || {digits} WHEN v >= 0 THEN {digits} END")


def _constant(value: int) -> Sql:
    return sa.literal_column(str(value), sa.Integer())


def _rescaled(value: Sql, drop: int, mode: str, type_: StoredType) -> Sql:
    return sa.func.clew_rescale(value, _constant(drop), sa.literal_column(f"'{mode}'", sa.Text()), type_=type_)


def _unit(places: int) -> str:
    return "1" if not places else "0." + "0" * (places - 1) + "1"
