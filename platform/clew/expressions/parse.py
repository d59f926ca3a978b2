"""Tokens to an untyped tree: a Pratt parser for the CEL grammar. Linear time, bounded depth, no recursion beyond it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from clew.expressions.lexer import Token, tokens
from clew.expressions.problems import CUT_SHORT, SYNTAX, TOO_DEEP, UNSUPPORTED, ExpressionError, problem
from clew.expressions.syntax import Apply, Choice, Identifier, Infix, Prefix, Select, Sequence, Syntax, Value
from clew.expressions.tree import Span
from clew.kernel.diagnostics import Rule

MAX_DEPTH = 64

RESERVED = frozenset({"this", "old", "user", "now", "today", "true", "false", "null", "in"})
"""Names an entity's field or a list variable cannot have."""

_POWER = {"||": 2, "&&": 3, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "in": 4, "+": 5, "-": 5}
_POWER |= {"*": 6, "/": 6, "%": 6}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


@lru_cache(maxsize=4096)
def parse(source: str) -> Syntax:
    """The untyped tree of an expression. Raises ExpressionError with one problem: where the text stops making sense.

    Pure, so an unchanged expression is not read again at a reload.
    """
    parser = _Parser(source)
    tree, _ = parser.expression(0)
    parser.expect("end", "")
    return tree


class _Parser:
    """Each method returns a tree and its height, so that long chains count as depth too."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._tokens = tokens(source)
        self._at = 0
        self._open = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _is(self, op: str) -> bool:
        return self._next.kind == "op" and self._next.value == op

    def expect(self, kind: str, value: str) -> Token:
        token = self._next
        if token.kind != kind or (value and token.value != value):
            raise self._unexpected()
        return self._take()

    def _fail(self, rule: Rule, span: Span, **params: Any) -> ExpressionError:
        return ExpressionError(self._source, [problem(rule, span, **params)])

    def _unexpected(self) -> ExpressionError:
        span = self._next.span
        found = self._source[span.start : span.end][:40]
        return self._fail(SYNTAX, span, found=found) if found else self._fail(CUT_SHORT, span)

    def _bounded(self, height: int, span: Span) -> int:
        if height > MAX_DEPTH:
            raise self._fail(TOO_DEEP, span, limit=MAX_DEPTH)
        return height

    def expression(self, power: int) -> tuple[Syntax, int]:
        self._open += 1
        self._bounded(self._open, self._next.span)
        tree, height = self._operators(power)
        if power == 0 and self._is("?"):
            tree, height = self._choice(tree, height)
        self._open -= 1
        return tree, height

    def _choice(self, condition: Syntax, height: int) -> tuple[Syntax, int]:
        self._take()
        then, left = self.expression(0)
        self.expect("op", ":")
        otherwise, right = self.expression(0)
        span = Span(condition.span.start, otherwise.span.end)
        return Choice(condition, then, otherwise, span), self._bounded(max(height, left, right) + 1, span)

    def _operators(self, power: int) -> tuple[Syntax, int]:
        tree, height = self._prefix()
        while True:
            token = self._next
            op = str(token.value) if token.kind == "op" or token.value == "in" else ""
            binding = _POWER.get(op, -1)
            if binding <= power:
                return tree, height
            if op in ("&&", "||"):
                tree, height = self._junction(op, binding, tree, height)
                continue
            self._take()
            right, right_height = self.expression(binding)
            span = Span(tree.span.start, right.span.end)
            tree, height = Infix(op, tree, right, span, token.span), self._bounded(max(height, right_height) + 1, span)

    def _junction(self, op: str, binding: int, first: Syntax, height: int) -> tuple[Syntax, int]:
        """A chain of && or ||, as a balanced tree: both are associative, and a long list of conditions is not deep."""
        terms, places, heights = [first], [], [height]
        while self._is(op):
            places.append(self._take().span)
            term, term_height = self.expression(binding)
            terms.append(term)
            heights.append(term_height)

        def balanced(low: int, high: int) -> Syntax:
            if high - low == 1:
                return terms[low]
            middle = (low + high + 1) // 2
            left, right = balanced(low, middle), balanced(middle, high)
            return Infix(op, left, right, Span(left.span.start, right.span.end), places[middle - 1])

        tree = balanced(0, len(terms))
        return tree, self._bounded(max(heights) + (len(terms) - 1).bit_length(), tree.span)

    def _prefix(self) -> tuple[Syntax, int]:
        if self._is("!") or self._is("-"):
            token = self._take()
            self._open += 1
            self._bounded(self._open, token.span)
            operand, height = self._prefix()
            self._open -= 1
            span = Span(token.span.start, operand.span.end)
            if token.value == "-" and isinstance(operand, Value) and _number(operand.value):
                return Value(-operand.value, span), height  # type: ignore[operator]
            return Prefix(str(token.value), operand, span), self._bounded(height + 1, span)
        return self._postfix(*self._primary())

    def _postfix(self, tree: Syntax, height: int) -> tuple[Syntax, int]:
        while True:
            if self._is("["):
                raise self._fail(UNSUPPORTED, self._next.span, what="x[…]")
            if not self._is("."):
                return tree, height
            self._take()
            name = self.expect("name", "")
            span = Span(tree.span.start, name.span.end)
            if self._is("("):
                args, end, args_height = self._arguments()
                tree = Apply(str(name.value), tree, args, Span(tree.span.start, end), name.span)
                height = max(height, args_height)
            else:
                tree = Select(tree, str(name.value), span, name.span)
            height = self._bounded(height + 1, tree.span)

    def _arguments(self, close: str = ")") -> tuple[tuple[Syntax, ...], int, int]:
        self._take()
        args: list[Syntax] = []
        height = 0
        while not self._is(close):
            if args:
                self.expect("op", ",")
            arg, arg_height = self.expression(0)
            args.append(arg)
            height = max(height, arg_height)
        return tuple(args), self._take().span.end, height

    def _primary(self) -> tuple[Syntax, int]:
        token = self._next
        if token.kind in ("integer", "decimal", "text"):
            self._take()
            return Value(token.value, token.span), 1
        if token.kind == "name" and token.value != "in":
            return self._named()
        if self._is("("):
            self._take()
            tree, height = self.expression(0)
            self.expect("op", ")")
            return tree, height
        if self._is("["):
            items, end, height = self._arguments("]")
            return Sequence(items, Span(token.span.start, end)), self._bounded(height + 1, token.span)
        raise self._unexpected()

    def _named(self) -> tuple[Syntax, int]:
        token = self._take()
        name = str(token.value)
        if self._is("("):
            args, end, height = self._arguments()
            return Apply(name, None, args, Span(token.span.start, end), token.span), self._bounded(
                height + 1, token.span
            )
        if name in _CONSTANTS:
            return Value(_CONSTANTS[name], token.span), 1
        return Identifier(name, token.span), 1


def _number(value: object) -> bool:
    return not isinstance(value, bool | str) and value is not None
