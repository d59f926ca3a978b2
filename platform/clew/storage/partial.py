"""Conditions of partial indexes: an expression over scalars of one row as SQL text with its constants in place.

Every comparison is made definite (`IS TRUE`), so that a null is false here as it is everywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from clew.expressions.tree import Base, Binary, Checked, ListOf, Literal, Member, Name, Node, Unary
from clew.kernel.errors import BadInput
from clew.storage.dialects import literal_text
from clew.storage.engine import DialectName
from clew.storage.types import Day, Exact, Id, Instant, Integer, Text, Truth

_COMPARE = {"==": "=", "!=": "=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class IndexCondition(BadInput):
    code = "INDEX_CONDITION"
    en = "The condition {source} cannot limit a unique constraint: only comparisons of the record's own fields can."
    zh = "条件 {source} 不能用于限定唯一约束:只能比较本记录自身的字段。"


def condition_sql(condition: Checked, columns: Mapping[str, str], dialect: DialectName) -> str:
    """SQL text of `condition`, for `CREATE INDEX … WHERE`. Raises IndexCondition when it needs more than one row."""
    return _Writer(condition, columns, dialect).truth(condition.root)


class _Writer:
    def __init__(self, condition: Checked, columns: Mapping[str, str], dialect: DialectName) -> None:
        self._source, self._columns, self._dialect = condition.source, columns, dialect

    def truth(self, node: Node) -> str:
        if isinstance(node, Binary) and node.op in ("&&", "||"):
            return f"({self.truth(node.left)} {'AND' if node.op == '&&' else 'OR'} {self.truth(node.right)})"
        if isinstance(node, Unary) and node.op == "!":
            return f"(NOT {self.truth(node.operand)})"
        if isinstance(node, Binary) and node.op == "in" and isinstance(node.right, ListOf):
            scale = max(each.type.scale for each in (node.left, *node.right.items))
            items = ", ".join(self._scalar(item, scale) for item in node.right.items)
            return f"(({self._scalar(node.left, scale)} IN ({items})) IS TRUE)"
        if isinstance(node, Binary) and node.op in _COMPARE:
            return self._comparison(node)
        return f"(({self._scalar(node)}) IS TRUE)"

    def _comparison(self, node: Binary) -> str:
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(one, Literal) and one.value is None and node.op in ("==", "!="):
                return f"({self._scalar(other)} IS {'NOT ' if node.op == '!=' else ''}NULL)"
        negated = node.op == "!="  # also true where one side is missing, as in memory
        scale = max(node.left.type.scale, node.right.type.scale)
        left, right = self._scalar(node.left, scale), self._scalar(node.right, scale)
        if node.op in ("==", "!=") and node.left.type.nullable and node.right.type.nullable:
            # Two that are missing are the same, as in memory.
            same = f"({left} {'IS NOT DISTINCT FROM' if self._dialect == 'postgresql' else 'IS'} {right})"
        else:
            same = f"(({left} {_COMPARE[node.op]} {right}) IS TRUE)"
        return f"(NOT {same})" if negated else same

    def _scalar(self, node: Node, scale: int = 0) -> str:
        """The value; a number in units of so many decimal places where they are stored so (SQLite)."""
        units = scale - node.type.scale if node.type.numeric and self._dialect == "sqlite" else 0
        found = self._value(node)
        return f"({found} * {10**units})" if units > 0 else found

    def _value(self, node: Node) -> str:
        if isinstance(node, Literal):
            return self._literal(node.value, node)
        if isinstance(node, Member) and isinstance(node.of, Name) and node.of.name == "this":
            return self._column(node.name)
        if isinstance(node, Name) and node.type.base is not Base.RECORD:
            return self._column(node.name)
        raise IndexCondition(source=self._source)

    def _column(self, name: str) -> str:
        if name not in self._columns:
            raise IndexCondition(source=self._source)
        return '"' + self._columns[name] + '"'

    def _literal(self, value: Any, node: Node) -> str:
        if isinstance(value, bool):
            kind: Any = Truth()
        elif isinstance(value, int):
            kind = Integer()
        elif isinstance(value, Decimal):
            kind = Exact(node.type.scale)
        elif isinstance(value, datetime):
            kind = Instant()
        elif isinstance(value, date):
            kind = Day()
        else:
            kind = Id() if node.type.base is Base.ID else Text()
        return literal_text(kind, value, self._dialect)
