"""Checking the expressions of a project, with every problem at its own line and column."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from clew.expressions.check import check
from clew.expressions.functions import SQL
from clew.expressions.parting import decidable
from clew.expressions.problems import ExpressionError
from clew.expressions.tree import Base, Checked, Schema, Type
from clew.metadata import rules
from clew.metadata.blueprint import Field, FieldKind
from clew.metadata.link.project import Linking
from clew.metadata.positions import place_in
from clew.metadata.schema import field_type
from clew.metadata.source import AnyNode, ScalarNode

CONDITION = Type(Base.BOOLEAN)
TITLE = Type(Base.TEXT, nullable=True)
_TEXTS = frozenset({FieldKind.TEXT, FieldKind.LONG_TEXT})
_WORD = re.compile(r"[A-Za-z]\w*")
_ROOTS = ("now", "today", "user", "old", "true", "false", "null")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Expressions:
    """The checker with the linker's findings: a wrong expression is reported and gives None."""

    def __init__(self, linking: Linking, schema: Schema) -> None:
        self.linking = linking
        self.schema = schema
        self._right: dict[tuple[str, str, Type, bool], Checked] = {}
        """What was found right, by everything that it depends on beside the schema: roles and rules say the same thing
        in many places, and it is the same tree in all of them. What is wrong is checked and reported each time."""

    def check(
        self, text: str, node: AnyNode, entity: str, expect: Type, path: str = "", *, old: bool = False, shift: int = 0
    ) -> Checked | None:
        """Check one expression. `shift` is how many characters stand in `text` before what is written in `node`."""
        if isinstance(node, ScalarNode) and node.suspect:
            return None
        known = self._right.get((text, entity, expect, old))
        if known is not None:
            return known
        try:
            checked = check(text, self.schema, entity, expect=expect, old=old)
            self._right[text, entity, expect, old] = checked
            return checked
        except ExpressionError as error:
            for problem in error.problems:
                params: dict[str, Any] = dict(problem.params)
                names = [value for name, value in problem.params if name in ("name", "what")]
                if any(name in self.linking.holes for name in names):
                    continue
                self.linking.findings.add(
                    problem.rule,
                    place_in(node, problem.span.start - shift),
                    path=path,
                    nearest=problem.nearest,
                    **params,
                )
        return None

    def condition(
        self, text: str | None, node: AnyNode, entity: str, path: str, *, old: bool = False, database: bool = False
    ) -> Checked | None:
        """Check what must be true or false; None stays None. `database`: it becomes part of a statement."""
        checked = None if text is None else self.check(text, node, entity, CONDITION, path, old=old)
        if checked is None or (SQL in checked.runs_in if database else decidable(checked)):
            return checked
        self.linking.findings.add(rules.CONDITION_NOT_IN_SQL, node.place, path=path, source=checked.source)
        return None

    def value(
        self,
        given: object,
        node: AnyNode,
        entity: str,
        field: Field,
        path: str,
        *,
        must: bool = False,
        old: bool = False,
    ) -> Checked | None:
        """Check a value for a field: a literal, or an expression of the field's type. `must`: null is not taken."""
        wanted = field_type(field, self.linking.code_lists)
        if not must and not wanted.nullable and wanted.base is not Base.LIST:
            wanted = Type(wanted.base, True, wanted.entities, wanted.element, wanted.scale, wanted.codes)
        text, shift = source_of(given, field, wanted)
        if field.kind in _TEXTS and _WORD.fullmatch(text) and text not in (*self.schema.members(entity), *_ROOTS):
            self.linking.findings.add(rules.DEFAULT_TEXT, node.place, path=path, text=text)
            return None
        return self.check(text, node, entity, wanted, path, old=old, shift=shift)


def source_of(given: object, field: Field, wanted: Type) -> tuple[str, int]:
    """A YAML value as expression text, and how many characters were put before it. Text is an expression already,
    except a code of the field's own list and a date."""
    if isinstance(given, bool):
        return ("true" if given else "false"), 0
    if isinstance(given, int):
        return str(given), 0
    if isinstance(given, Decimal):
        return f"{given:f}", 0
    text = str(given)
    if wanted.codes is not None and text in wanted.codes:
        return f"'{text}'", 1
    if field.kind is FieldKind.DATE and _DATE.fullmatch(text):
        return f"date('{text}')", 6
    return text, 0
