"""A condition in words: fields, relations, states and codes by their labels, in the caller's language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from clew.expressions.tree import (
    AnyNode,
    Base,
    Binary,
    Call,
    ListOf,
    Literal,
    Macro,
    Member,
    Name,
    Node,
    Unary,
)
from clew.kernel.text import Bilingual, Locale
from clew.metadata.blueprint import Blueprint

_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_SAYS: Mapping[str, tuple[str, str]] = {
    "==": ("{0}为{1}", "{0} is {1}"),
    "!=": ("{0}不为{1}", "{0} is not {1}"),
    "<": ("{0}小于{1}", "{0} is less than {1}"),
    "<=": ("{0}不大于{1}", "{0} is at most {1}"),
    ">": ("{0}大于{1}", "{0} is more than {1}"),
    ">=": ("{0}不小于{1}", "{0} is at least {1}"),
    "in": ("{0}为{1}之一", "{0} is one of {1}"),
    "not in": ("{0}不为{1}之一", "{0} is none of {1}"),
    "&&": ("{0}且{1}", "{0} and {1}"),
    "||": ("({0}或{1})", "({0} or {1})"),
    "exists": ("有{0},其{1}", "there is one of {0} with: {1}"),
    "not exists": ("没有{0},其{1}", "there is none of {0} with: {1}"),
    "all": ("每条{0}均满足:{1}", "each of {0} has: {1}"),
    "not all": ("有{0}不满足:{1}", "one of {0} does not have: {1}"),
}
_NAMES = {"today": ("今天", "today"), "now": ("现在", "now"), "user": ("办理人", "the person acting")}


@dataclass(frozen=True, slots=True)
class Words:
    """Speaks of one project's conditions. `source` is the text where there are no better words."""

    blueprint: Blueprint
    locale: Locale
    source: str

    def say(self, node: Node, negated: bool = False) -> str:
        match cast(AnyNode, node):
            case Unary(op="!", operand=operand):
                return self.say(operand, not negated)
            case Binary(op="&&" | "||" as op, left=left, right=right):
                op = op if not negated else "||" if op == "&&" else "&&"
                return self._fill(op, self.say(left, negated), self.say(right, negated))
            case Binary(op="==" | "!=" as op, left=left, right=Literal(value=None)):
                empty = (op == "==") is not negated
                what = self.name(left)
                return self.of(
                    f"{what}为空" if empty else f"{what}已填写", f"{what} is {'empty' if empty else 'filled in'}"
                )
            case Binary(op=op, left=left, right=right) if op in _OPPOSITE:
                return self._fill(_OPPOSITE[op] if negated else op, self.name(left), self.name(right, left))
            case Binary(op="in", left=left, right=right):
                return self._fill("not in" if negated else "in", self.name(left), self.name(right, left))
            case Macro(kind="exists" | "all" as kind, over=over, body=body):
                inner = self.say(body)
                return self._fill(f"not {kind}" if negated else kind, self.name(over), inner)
            case _ if node.type.base is Base.BOOLEAN:
                what = self.name(node)
                if negated:
                    return self.of(f"{what}:否", f"{what}: no")
                return self.of(f"{what}:是", f"{what}: yes")
            case _:
                return self.name(node)

    def name(self, node: Node, beside: Node | None = None) -> str:
        """A value in words; `beside` is what it is compared with, whose codes have labels."""
        match cast(AnyNode, node):
            case Literal(value=value):
                return self._value(value, beside)
            case Name(name=name) if name in _NAMES:
                return self.of(*_NAMES[name])
            case Member(of=of, name=name):
                label = self._label(of, name)
                inner = cast(AnyNode, of)
                plain = isinstance(inner, Name) and inner.name not in ("user", "old")
                return label if plain else self.of(f"{self.name(of)}的{label}", f"{self.name(of)}: {label}")
            case ListOf(items=items):
                return self.of("、", ", ").join(self.name(each, beside) for each in items)
            case Macro(kind="filter", over=over, body=body):
                return self.of(f"{self.name(over)}({self.say(body)})", f"{self.name(over)} ({self.say(body)})")
            case Call(function="size", args=(of,)):
                return self.of(f"{self.name(of)}的数量", f"the number of {self.name(of)}")
            case _:
                return self.source[node.span.start : node.span.end]

    def of(self, zh: str, en: str) -> str:
        return zh if self.locale == "zh" else en

    def _fill(self, op: str, *values: str) -> str:
        return self.of(*_SAYS[op]).format(*values)

    def _label(self, of: Node, name: str) -> str:
        for entity in of.type.entities:
            known = self.blueprint.entities.get(entity)
            found: Any = (known.fields.get(name) or known.inverses.get(name)) if known is not None else None
            if found is not None and found.label != Bilingual():
                return str(found.label.to(self.locale))
        return name

    def _value(self, value: object, beside: Node | None) -> str:
        if isinstance(value, bool):
            return self.of("是", "yes") if value else self.of("否", "no")
        if value is None:
            return self.of("空", "empty")
        member = cast(AnyNode, beside) if beside is not None else None
        if isinstance(member, Member) and isinstance(value, str):
            for entity in member.of.type.entities:
                known = self.blueprint.entities[entity]
                if member.name == "state" and value in known.states:
                    return known.states[value].label.to(self.locale)
                field = known.fields.get(member.name)
                codes = self.blueprint.code_lists.get(field.code_list or "") if field is not None else None
                if codes is not None and value in codes.codes:
                    return codes.codes[value].label.to(self.locale)
        return str(value)
