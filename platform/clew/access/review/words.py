"""A condition as a sentence in Chinese and English, in the words of the project: labels of fields, states and codes.

It is made from the typed tree, so it says what is evaluated and not what somebody wrote about it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

from clew.access.review.function_words import FACTS, ROLE_FACTS, call_words
from clew.expressions.check_decide import Asked
from clew.expressions.tree import (
    AnyNode,
    Base,
    Binary,
    Call,
    Checked,
    Conditional,
    ListOf,
    Literal,
    Macro,
    Member,
    Name,
    Node,
    Unary,
)
from clew.kernel.scalars import to_wire
from clew.kernel.text import Bilingual, Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.naming import human

ALWAYS = Bilingual("始终", "always")

_COMPARE: Mapping[str, Bilingual] = {
    "==": Bilingual("{}为{}", "{} is {}"),
    "!=": Bilingual("{}不是{}", "{} is not {}"),
    "<": Bilingual("{}小于{}", "{} is less than {}"),
    "<=": Bilingual("{}不大于{}", "{} is at most {}"),
    ">": Bilingual("{}大于{}", "{} is more than {}"),
    ">=": Bilingual("{}不小于{}", "{} is at least {}"),
}
_IN_TIME: Mapping[str, Bilingual] = {
    "<": Bilingual("{}早于{}", "{} is before {}"),
    "<=": Bilingual("{}不晚于{}", "{} is not after {}"),
    ">": Bilingual("{}晚于{}", "{} is after {}"),
    ">=": Bilingual("{}不早于{}", "{} is not before {}"),
}
_JOINS: Mapping[str, Bilingual] = {"&&": Bilingual(",且", ", and "), "||": Bilingual(",或", ", or ")}
_OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MACROS: Mapping[str, Bilingual] = {
    "exists": Bilingual("{}中至少有一项满足({})", "at least one of {} has ({})"),
    "all": Bilingual("{}中每一项均满足({})", "every one of {} has ({})"),
    "exists_one": Bilingual("{}中恰有一项满足({})", "exactly one of {} has ({})"),
    "filter": Bilingual("{}中满足({})的各项", "those of {} that have ({})"),
    "map": Bilingual("{}的({})", "({1}) of each of {0}"),
    "count": Bilingual("{}中满足({})的数量", "the number of {} that have ({})"),
    "sum": Bilingual("{}的({})之和", "the sum of ({1}) over {0}"),
    "min": Bilingual("{}的({})最小值", "the least ({1}) of {0}"),
    "max": Bilingual("{}的({})最大值", "the greatest ({1}) of {0}"),
}


def in_words(blueprint: Blueprint, condition: Checked | None) -> Bilingual:
    """The condition as a sentence; `always` for none."""
    if condition is None:
        return ALWAYS
    return Bilingual(*(Words(blueprint, locale).sentence(condition.root) for locale in ("zh", "en")))


def any_in_words(blueprint: Blueprint, conditions: Sequence[Checked | None]) -> Bilingual:
    """Several of which any may hold; one that always holds makes the others needless."""
    if not conditions or any(each is None for each in conditions):
        return ALWAYS if conditions else Bilingual("从不", "never")
    found = list(dict.fromkeys(in_words(blueprint, each) for each in conditions))
    return Bilingual(";或".join(each.zh for each in found), "; or ".join(each.en for each in found))


@dataclass(frozen=True, slots=True)
class Words:
    """Speaks one language about one project."""

    blueprint: Blueprint
    locale: Locale
    inside: bool = False
    """Inside a list's condition a bare label is the element's; the record's own fields are then said to be so."""

    def sentence(self, node: Node) -> str:
        """A truth value as a sentence."""
        match cast(AnyNode, node):
            case Binary(op="&&" | "||" as op, left=left, right=right):
                parts = [self._inside(each, op) for each in (*_flat(op, left), *_flat(op, right))]
                return self.text(_JOINS[op]).join(parts)
            case Unary(op="!", operand=operand):
                return self._negated(operand)
            case Binary(op="in") as binary:
                return self._among(binary)
            case Binary(op=op, left=Member() as flag, right=Literal(value=True | False as wanted)) if op in _COMPARE:
                return self._flag(flag, wanted is (op == "=="))
            case Binary(op=op) as binary if op in _COMPARE:
                return self._comparison(binary)
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                said = [self.sentence(each) for each in (condition, then, otherwise)]
                return self._of(Bilingual("若({})则({}),否则({})", "if ({}) then ({}), otherwise ({})"), *said)
            case Macro() as macro:
                return self.value(macro)
            case Literal(value=True):
                return self.text(ALWAYS)
            case Literal(value=False):
                return self.text(Bilingual("从不", "never"))
            case Member() | Name() as flag:
                return self._flag(flag, True)
            case other:
                return self.value(other)

    def value(self, node: Node, codes: Mapping[str, Bilingual] | None = None) -> str:
        """A value as a phrase. `codes` says what a text literal stands for."""
        match cast(AnyNode, node):
            case Literal(value=value):
                return self._literal(value, codes or {})
            case Name(name=name, type=type_):
                return self._root(name, type_.entities)
            case Member() as member:
                return self._path(member)
            case Unary(op="-", operand=operand):
                return f"-{self.value(operand)}"
            case Binary(op=op, left=left, right=right) if node.type.base is not Base.BOOLEAN:
                return f"{self._operand(left, codes)} {op} {self._operand(right, codes)}"
            case ListOf(items=items):
                return self._listed([self.value(each, codes) for each in items])
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                pattern = Bilingual("若({})则为{},否则为{}", "{1} if ({0}), otherwise {2}")
                return self._of(
                    pattern, self.sentence(condition), self.value(then, codes), self.value(otherwise, codes)
                )
            case Macro(kind=kind, over=over, body=body):
                element = replace(self, inside=True)
                said = element.sentence(body) if body.type.base is Base.BOOLEAN else element.value(body)
                return self._of(_MACROS[kind], self.value(over), said)
            case Call(function="decide", args=(Literal(value=Asked() as asked), *inputs)):
                return self._table(asked, [self.value(each) for each in inputs])
            case Call(function=function, args=args, overload=overload):
                states = self._states(args[0]) if function in ("was", "entered") else codes
                said_args = [self.value(each, states) for each in args]
                return self._of(call_words(function, overload, len(args)), *said_args)
            case other:
                return self.sentence(other)

    def _table(self, asked: Asked, inputs: Sequence[str]) -> str:
        """What a decision table says of these inputs."""
        known = self.blueprint.decisions.get(asked.table.name)
        table = known.label.to(self.locale) if known else asked.table.name
        output = known.labels[asked.output].to(self.locale) if known and asked.output in known.labels else asked.output
        comma = "、" if self.locale == "zh" else ", "
        pattern = Bilingual("决策表“{}”就{}给出的{}", 'what the table "{}" says for {}: {}')
        return self._of(pattern, table, comma.join(inputs), output)

    def text(self, words: Bilingual) -> str:
        return words.to(self.locale)

    def field_label(self, entity: str, name: str) -> str:
        """What people call a field or a way back, as it stands inside a sentence."""
        found = self.blueprint.entities.get(entity)
        known = (found.fields.get(name) or found.inverses.get(name)) if found else None
        label = known.label.to(self.locale) if known and known.label else human(name)
        return label if self.locale == "zh" else _lowered(label)

    # ── sentences ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _inside(self, node: Node, op: str) -> str:
        mixed = isinstance(node, Binary) and node.op in ("&&", "||") and node.op != op
        said = self.sentence(node)
        return self._of(Bilingual("({})", "({})"), said) if mixed or isinstance(node, Conditional) else said

    def _negated(self, node: Node) -> str:
        match cast(AnyNode, node):
            case Unary(op="!", operand=operand):
                return self.sentence(operand)
            case Binary(op=op) as binary if op in _COMPARE and not _is_truth(binary):
                return self._comparison(binary, _OPPOSITE[op])
            case Binary(op="in") as binary:
                return self._among(binary, denied=True)
            case Member() as flag if flag.type.base is Base.BOOLEAN:
                return self._flag(flag, False)
            case Macro(kind="exists", over=over, body=body):
                none = Bilingual("{}中没有一项满足({})", "none of {} has ({})")
                return self._of(none, self.value(over), replace(self, inside=True).sentence(body))
            case _:
                return self._of(Bilingual("并非({})", "not ({})"), self.sentence(node))

    def _comparison(self, node: Binary, op: str = "") -> str:
        op = op or node.op
        if _is_null(node.right) or _is_null(node.left):
            kept = node.left if _is_null(node.right) else node.right
            empty = Bilingual("{}为空", "{} is empty") if op == "==" else Bilingual("{}不为空", "{} is not empty")
            return self._of(empty, self.value(kept))
        in_time = node.left.type.base in (Base.DATE, Base.DATETIME)
        pattern = (_IN_TIME if in_time and op in _IN_TIME else _COMPARE)[op]
        codes = self._codes(node.left) or self._codes(node.right)
        return self._of(pattern, self.value(node.left, codes), self.value(node.right, codes))

    def _among(self, node: Binary, denied: bool = False) -> str:
        codes = self._codes(node.left)
        left = self.value(node.left, codes)
        match node.right:
            case ListOf(items=items):
                pattern = Bilingual("{}不是{}", "{} is not {}") if denied else Bilingual("{}为{}", "{} is {}")
                return self._of(pattern, left, self._listed([self.value(each, codes) for each in items]))
            case other:
                pattern = (
                    Bilingual("{}不属于{}", "{} is not one of {}")
                    if denied
                    else Bilingual("{}属于{}", "{} is one of {}")
                )
                return self._of(pattern, left, self.value(other, codes))

    def _flag(self, node: Node, wanted: bool) -> str:
        pattern = Bilingual("{}为是", "{} is yes") if wanted else Bilingual("{}为否", "{} is no")
        return self._of(pattern, self.value(node))

    # ── values ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _operand(self, node: Node, codes: Mapping[str, Bilingual] | None) -> str:
        said = self.value(node, codes)
        return f"({said})" if isinstance(node, Binary) else said

    def _path(self, node: Member) -> str:
        of = node.of
        if isinstance(of, Name) and of.name == "user":
            return self._fact(node.name)
        if isinstance(of, Name) and of.name == "old":
            label = self._member(node)
            return self._of(Bilingual("原{}", "earlier {}"), label)
        if isinstance(of, Name):
            if node.name == "id":
                return self.text(Bilingual("该记录", "this record") if of.name == "this" else Bilingual("其", "it"))
            if self.inside and of.name == "this":
                return self._of(Bilingual("该记录的{}", "{} of this record"), self._member(node))
            return self._member(node)
        if node.name == "id":
            return self.value(of)
        return self._of(Bilingual("{0}的{1}", "{1} of {0}"), self.value(of), self._member(node))

    def _member(self, node: Member) -> str:
        for entity in node.of.type.entities:
            if entity in self.blueprint.entities:
                return self.field_label(entity, node.name)
        return human(node.name).lower() if self.locale == "en" else node.name

    def _fact(self, name: str) -> str:
        fact, _, role = name.partition("@")
        if not role:
            return self.text(FACTS[fact])
        policies = self.blueprint.policies
        known = policies.roles.get(role) if policies else None
        label = known.label.to(self.locale) if known else role
        return self._of(ROLE_FACTS[fact], label)

    def _root(self, name: str, entities: Sequence[str]) -> str:
        known = {
            "this": Bilingual("该记录", "this record"),
            "old": Bilingual("原记录", "the earlier version"),
            "now": Bilingual("当前时刻", "now"),
            "today": Bilingual("今天", "today"),
            "user": Bilingual("本人", "the person"),
        }
        if name in known:
            return self.text(known[name])
        labels = [self.blueprint.entities[each].label.to(self.locale) for each in entities if self._knows(each)]
        return self._of(Bilingual("该{}", "that {}"), _lowered(labels[0]) if labels else name)

    def _knows(self, entity: str) -> bool:
        return entity in self.blueprint.entities

    def _literal(self, value: Any, codes: Mapping[str, Bilingual]) -> str:
        if isinstance(value, str):
            label = codes[value].to(self.locale) if codes.get(value) else value
            return f"“{label}”" if self.locale == "zh" else f'"{label}"'
        if isinstance(value, bool):
            return self.text(Bilingual("是", "yes") if value else Bilingual("否", "no"))
        if value is None:
            return self.text(Bilingual("空", "nothing"))
        if isinstance(value, int | Decimal | date | datetime):
            return str(value)
        return str(to_wire(value))

    def _listed(self, items: Sequence[str]) -> str:
        if not items:
            return self.text(Bilingual("(无)", "(none)"))
        comma, last = ("、", "或") if self.locale == "zh" else (", ", " or ")
        return items[0] if len(items) == 1 else comma.join(items[:-1]) + last + items[-1]

    def _codes(self, node: Node) -> Mapping[str, Bilingual] | None:
        """What the codes of a field are called, when the node is one."""
        match cast(AnyNode, node):
            case Member(of=of, name=name):
                for entity in of.type.entities:
                    known = self.blueprint.entities.get(entity)
                    field = known.fields.get(name) if known else None
                    listed = self.blueprint.code_lists.get(field.code_list or "") if field is not None else None
                    if listed is not None:
                        codes = listed.codes
                        return {value: code.label for value, code in codes.items()}
            case Call(function="coalesce", args=args):
                return self._codes(args[0])
            case Macro(kind="map", body=body):
                return self._codes(body)
        return None

    def _states(self, node: Node) -> Mapping[str, Bilingual]:
        found: dict[str, Bilingual] = {}
        for entity in node.type.entities:
            known = self.blueprint.entities.get(entity)
            found.update({name: state.label for name, state in known.states.items()} if known else {})
        return found

    def _of(self, pattern: Bilingual, *said: str) -> str:
        return pattern.to(self.locale).format(*said)


def _flat(op: str, node: Node) -> list[Node]:
    """`a && b && c` as three parts."""
    if isinstance(node, Binary) and node.op == op:
        return [*_flat(op, node.left), *_flat(op, node.right)]
    return [node]


def _is_null(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is None


def _is_truth(node: Binary) -> bool:
    return isinstance(node.right, Literal) and isinstance(node.right.value, bool)


def _lowered(label: str) -> str:
    """`Purchase order` inside a sentence; `UDI` and `QC inspector` stay."""
    return label[:1].lower() + label[1:] if label[1:2].islower() or not label[1:2].isalpha() else label
