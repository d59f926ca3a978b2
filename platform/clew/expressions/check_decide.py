"""The checker's treatment of `decide('table', 'output', input, …)`: the table, the output and each input must fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clew.expressions import problems as found
from clew.expressions.syntax import Apply
from clew.expressions.tables import Table
from clew.expressions.tree import Base, Call, Literal, Node, Type
from clew.kernel.diagnostics import nearest

if TYPE_CHECKING:
    from clew.expressions.check_calls import CallChecker

DECIDE = "decide"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked: an output of a table. It stands in the tree, so an expression means the table as it was."""

    table: Table
    output: str


def asked(checker: CallChecker, tree: Apply, args: Sequence[Node]) -> Node | None:
    """The call, or None with what is wrong."""
    name = args[0] if args else None
    if not isinstance(name, Literal) or not isinstance(name.value, str):
        checker.refuse(tree, args, "('table', 'output', input, …)")
        return None
    table: Table | None = checker.schema.table(name.value)
    if table is None:
        known = checker.schema.tables()
        checker.problem(found.UNKNOWN_TABLE, name.span, nearest(name.value, known), name=name.value)
        return None
    at, inputs = _output(checker, table, args)
    if at is None:
        return None
    wanted = f"'{table.name}', '{table.outputs[at].name}', {', '.join(each.name for each in table.inputs)}"
    if len(inputs) != len(table.inputs):
        checker.refuse(tree, args, f"({wanted})")
        return None
    good = True
    for each, node in zip(table.inputs, inputs, strict=True):
        good &= _fits(checker, each.axis.type, node)
    if not good:
        return None
    type_ = table.result(at)
    first = Literal(Asked(table, table.outputs[at].name), Type(Base.NULL), name.span)
    return Call(DECIDE, (first, *inputs), type_, tree.span, f"{DECIDE}({table.name})", True)


def _output(checker: CallChecker, table: Table, args: Sequence[Node]) -> tuple[int | None, Sequence[Node]]:
    """Which output; a table with only one need not be told."""
    if len(table.outputs) == 1 and len(args) == 1 + len(table.inputs):
        return 0, args[1:]
    name = args[1] if len(args) > 1 else args[0]
    value = name.value if isinstance(name, Literal) and len(args) > 1 else ""
    at = table.output(str(value))
    if at is None:
        known = [each.name for each in table.outputs]
        text = str(value)
        checker.problem(found.UNKNOWN_CODE, name.span, nearest(text, known), value=text, values=", ".join(known))
    return at, args[2:]


def _fits(checker: CallChecker, wanted: Type, node: Node) -> bool:
    given = node.type
    if given.base is Base.NULL:
        if wanted.nullable:
            return True
        checker.problem(found.RESULT_NULL, node.span)
        return False
    numbers = wanted.base is Base.DECIMAL and given.base is Base.INTEGER
    if given.base is not wanted.base and not numbers:
        checker.problem(found.RESULT, node.span, type=given, wanted=wanted)
        return False
    if wanted.base is Base.DECIMAL and given.scale > wanted.scale:
        checker.problem(found.RESULT_SCALE, node.span, scale=given.scale, wanted=wanted.scale)
        return False
    if wanted.codes is not None:
        checker.codes(node, wanted)
    return wanted.nullable or checker.sure(node)
