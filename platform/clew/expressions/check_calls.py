"""The checker's treatment of functions, `coalesce` and the list macros."""

from __future__ import annotations

from collections.abc import Sequence

from clew.expressions import problems as found
from clew.expressions.algebra import BOOLEAN, INTEGER, NULL, ORDERED
from clew.expressions.builtin import FOLDED
from clew.expressions.check_decide import DECIDE, asked
from clew.expressions.check_tree import Surroundings, TreeChecker
from clew.expressions.functions import Signature
from clew.expressions.parse import RESERVED
from clew.expressions.syntax import Apply, Identifier
from clew.expressions.tree import Base, Call, Literal, Macro, Node, Type
from clew.kernel.diagnostics import nearest

CONDITIONS = frozenset({"exists", "all", "exists_one", "filter", "count"})
"""Macros whose body is a condition on each element."""
MACROS = CONDITIONS | {"map", "sum", "min", "max"}


class CallChecker(TreeChecker):
    """The whole checker."""

    def call(self, tree: Apply, around: Surroundings) -> Node | None:
        if tree.receiver is not None and tree.name in MACROS:
            return self._macro(tree, around)
        if tree.name not in ("coalesce", DECIDE) and tree.name not in self.functions.by_name:
            self._unknown(tree, around)
            return None
        given = (tree.receiver, *tree.args) if tree.receiver is not None else tree.args
        args = [self.expression(each, around) for each in given]
        sure = [each for each in args if each is not None]
        if len(sure) < len(args):
            return None
        if tree.name == "coalesce":
            return self._coalesce(tree, sure)
        if tree.name in ("was", "entered"):
            return self._state(tree, sure)
        if tree.name == DECIDE:
            return asked(self, tree, sure)
        return self._function(tree, sure)

    def _unknown(self, tree: Apply, around: Surroundings) -> None:
        candidates = (*self.functions.by_name, "coalesce", DECIDE, *MACROS)
        self.problem(found.UNKNOWN_FUNCTION, tree.name_span, nearest(tree.name, candidates), name=tree.name)
        if tree.receiver is not None:
            self.expression(tree.receiver, around)

    def refuse(self, tree: Apply, args: Sequence[Node], wanted: str) -> None:
        given = ", ".join(str(each.type) for each in args)
        self.problem(found.ARGUMENTS, tree.name_span, name=tree.name, given=given, wanted=wanted)

    def _function(self, tree: Apply, args: Sequence[Node]) -> Node | None:
        overloads = self.functions.by_name[tree.name]
        signature = next((each for each in overloads if _accepts(each, args)), None)
        if signature is None:
            self.refuse(tree, args, "; ".join(each.id for each in overloads))
            return None
        if not self._literals(tree, signature, args):
            return None
        if not signature.predicate:
            missing = [each for each in args if each.type.base is not Base.LIST and not self.sure(each)]
            if missing:
                return None
        if tree.name in FOLDED and signature.valid is not None:
            value = FOLDED[tree.name](str(args[0].value)) if isinstance(args[0], Literal) else None
            return Literal(value, signature.result_type(args), tree.span)
        type_ = signature.result_type(args)
        return Call(tree.name, tuple(args), type_, tree.span, signature.id, signature.fallible)

    def _literals(self, tree: Apply, signature: Signature, args: Sequence[Node]) -> bool:
        good = True
        for parameter, arg in zip(signature.parameters, args, strict=True):
            if not parameter.literal:
                continue
            if not isinstance(arg, Literal):
                self.problem(found.LITERAL_ONLY, arg.span, name=tree.name)
                good = False
            elif signature.valid is not None:
                try:
                    signature.valid(arg.value)
                except ValueError:
                    self.problem(found.BAD_LITERAL, arg.span, value=arg.value, type=tree.name)
                    good = False
        return good

    def _state(self, tree: Apply, args: list[Node]) -> Node | None:
        """`x.was('s')`, `entered('s')`: the state must be one the entity has."""
        if len(args) == 1 and self.entity is not None:
            args = [self.this(tree.name_span), *args]
        if len(args) != 2 or args[0].type.base is not Base.RECORD or args[1].type.base is not Base.TEXT:
            self.refuse(tree, args, f"record.{tree.name}('state')")
            return None
        record, state = args
        if not isinstance(state, Literal):
            self.problem(found.LITERAL_ONLY, state.span, name=tree.name)
            return None
        states = tuple(dict.fromkeys(each for name in record.type.entities for each in self.schema.states(name)))
        if state.value not in states:
            value = str(state.value)
            self.problem(found.UNKNOWN_CODE, state.span, nearest(value, states), value=value, values=", ".join(states))
            return None
        signature = self.functions.by_name[tree.name][0]
        return Call(tree.name, (record, state), signature.result_type(args), tree.span, signature.id)

    def _coalesce(self, tree: Apply, args: Sequence[Node]) -> Node | None:
        if len(args) < 2:
            self.refuse(tree, args, "coalesce(a, b, …)")
            return None
        met = self.together(args, tree.span)
        if met is None:
            return None
        if met.base is Base.LIST:
            self.refuse(tree, args, "coalesce(a, b, …)")
            return None
        for arg in args:
            self.codes(arg, met)
        type_ = met if args[-1].type.nullable and all(each.type.nullable for each in args) else met.sure()
        return Call("coalesce", tuple(args), type_, tree.span, "coalesce")

    def _macro(self, tree: Apply, around: Surroundings) -> Node | None:
        assert tree.receiver is not None  # the caller looked
        over = self.expression(tree.receiver, around)
        if over is None:
            return None
        if over.type.base is not Base.LIST:
            self.problem(found.OPERAND, tree.name_span, op=tree.name, type=over.type)
            return None
        variable = tree.args[0] if tree.args else None
        if len(tree.args) != 2 or not isinstance(variable, Identifier):
            wanted = "condition" if tree.name in CONDITIONS else "value"
            self.problem(found.ARGUMENTS, tree.name_span, name=tree.name, given="…", wanted=f"(x, {wanted})")
            return None
        if variable.name in RESERVED:
            self.problem(found.VARIABLE, variable.span, name=variable.name)
            return None
        inside = around.binding(variable.name, over.type.element or NULL)
        check = self.condition if tree.name in CONDITIONS else self.expression
        body = check(tree.args[1], inside)
        type_ = self._macro_type(tree, over, body) if body is not None else None
        return Macro(tree.name, over, variable.name, body, type_, tree.span) if body and type_ else None

    def _macro_type(self, tree: Apply, over: Node, body: Node) -> Type | None:
        kind, value = tree.name, body.type
        if kind in ("exists", "all", "exists_one"):
            return BOOLEAN
        if kind == "count":
            return INTEGER
        if kind == "filter":
            return over.type
        if kind == "map":
            if value.base is Base.LIST:
                self.problem(found.OPERAND, body.span, op=kind, type=value)
                return None
            return Type(Base.LIST, element=value)
        allowed = value.numeric or value.base is Base.DURATION if kind == "sum" else value.base in ORDERED
        if not allowed:
            self.problem(found.OPERAND, body.span, op=kind, type=value)
            return None
        if kind == "sum":
            return value if self.sure(body) else None
        return value.maybe()


def _accepts(signature: Signature, args: Sequence[Node]) -> bool:
    if len(signature.parameters) != len(args):
        return False
    return all(
        each.type.base in parameter.bases
        or (each.type.base is Base.NULL and signature.predicate and not parameter.literal)
        for parameter, each in zip(signature.parameters, args, strict=True)
    )
