"""The checker: an expression's text against the fields of an entity. Every finding at once, or a typed tree."""

from __future__ import annotations

from clew.expressions.builtin import BUILTIN
from clew.expressions.check_calls import CallChecker
from clew.expressions.functions import Functions
from clew.expressions.parse import parse
from clew.expressions.problems import (
    RESULT,
    RESULT_NULL,
    RESULT_SCALE,
    ExpressionError,
)
from clew.expressions.reads import reads_of, runs_in, uses_of
from clew.expressions.tree import Base, Checked, Node, Schema, Type


def check(
    source: str,
    schema: Schema,
    entity: str | None,
    *,
    expect: Type | None = None,
    old: bool = True,
    functions: Functions = BUILTIN,
) -> Checked:
    """Type-check an expression. Raises ExpressionError with all its problems.

    `entity` is the entity bare names belong to; None means that there is no record, only `user`, `now`, `today` and
    literals. `expect` is the type the place wants: a boolean is taken even when it may be missing (missing is not
    true), anything else must fit, including null and decimal places. `old` says whether there is an earlier version.
    """
    checker = CallChecker(source, schema, entity, functions, old)
    root = checker.expression(parse(source), checker.outermost())
    if root is not None and expect is not None:
        _result(checker, root, expect)
    if checker.problems or root is None:
        raise ExpressionError(source, checker.problems)
    return Checked(
        source=source,
        root=root,
        entity=entity,
        reads=reads_of(root),
        uses=uses_of(root),
        runs_in=runs_in(root, functions),
        functions=functions,
    )


def _result(checker: CallChecker, root: Node, expect: Type) -> None:
    given = root.type
    if given.base is Base.NULL:
        if not expect.nullable:
            checker.problem(RESULT_NULL, root.span)
        return
    if not _fits(given, expect):
        checker.problem(RESULT, root.span, type=given, wanted=expect)
        return
    if given.nullable and not expect.nullable and expect.base is not Base.BOOLEAN:
        checker.problem(RESULT_NULL, root.span)
    if expect.base is Base.DECIMAL and given.scale > expect.scale:
        checker.problem(RESULT_SCALE, root.span, scale=given.scale, wanted=expect.scale)
    checker.codes(root, expect)


def _fits(given: Type, expect: Type) -> bool:
    if expect.base is Base.DECIMAL and given.base is Base.INTEGER:
        return True
    if {given.base, expect.base} == {Base.ID, Base.RECORD}:
        return True
    if given.base is not expect.base:
        return False
    if expect.base is Base.RECORD and expect.entities:
        return set(given.entities) <= set(expect.entities)
    if expect.base is Base.LIST and expect.element and given.element:
        return given.element.base is Base.NULL or _fits(given.element, expect.element)
    return True
