"""What is known of a record while nothing is fixed: three-valued judgement of conditions, with assumptions.

A condition is taken apart at `&&`, `||`, `!` and `? :` into atoms. An atom whose facts are known is evaluated as the
engine would; of any other both answers are followed, and the answer is kept until something it reads is written. So no
path that can happen is left out; a path may be walked that the data would never allow, and then the assumptions in its
story say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast

from clew.expressions.interpret import compile_memory
from clew.expressions.problems import Undecidable
from clew.expressions.reads import reads_of
from clew.expressions.tree import AnyNode, Base, Binary, Checked, Conditional, Literal, Member, Name, Unary, walk

PRESENT = "\x00present"
"""The value of a field that is filled in, with what is unknown."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Assumption:
    """An atom taken to be so. `fields` are those of the record it reads; `fleeting` when it reads further, or the
    time, or the person: then it holds only until the next thing happens."""

    truth: bool
    fields: frozenset[str]
    fleeting: bool


@dataclass(frozen=True, slots=True)
class Known:
    """Of one record: values of fields, and what was assumed."""

    values: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    assumed: Mapping[str, Assumption] = field(default_factory=lambda: _NOTHING)

    @property
    def key(self) -> tuple[Any, ...]:
        """Two records of which the same is known have the same."""
        return (
            tuple(sorted((name, repr(value)) for name, value in self.values.items())),
            tuple(sorted((text, each.truth) for text, each in self.assumed.items())),
        )

    def told(self, values: Mapping[str, Any]) -> Known:
        """After these fields have got these values."""
        return replace(self.forgets(values), values=MappingProxyType({**self.forgets(values).values, **values}))

    def forgets(self, names: Mapping[str, Any] | frozenset[str] | tuple[str, ...]) -> Known:
        """After these fields may have got any value."""
        gone = frozenset(names)
        return Known(
            MappingProxyType({name: value for name, value in self.values.items() if name not in gone}),
            MappingProxyType({text: each for text, each in self.assumed.items() if not each.fields & gone}),
        )

    def overwritten(self, fields: frozenset[str] | None) -> Known:
        """After these fields, or everything but its state, may have got any value."""
        if fields is not None:
            return self.forgets(fields)
        read = frozenset[str]().union(*(each.fields for each in self.assumed.values()))
        return self.forgets((read | frozenset(self.values)) - {"state"})

    def later(self) -> Known:
        """After something has happened elsewhere, or time has passed."""
        kept = {text: each for text, each in self.assumed.items() if not each.fleeting}
        return self if len(kept) == len(self.assumed) else replace(self, assumed=MappingProxyType(kept))


NOTHING_KNOWN = Known()


def possible(checked: Checked, known: Known) -> list[tuple[bool, Known]]:
    """Every answer the condition can have, with what is known then. Undecidable counts as false, as in a guard."""
    found: dict[tuple[Any, ...], tuple[bool, Known]] = {}
    for truth, after in _answers(checked, cast(AnyNode, checked.root), known):
        found.setdefault((truth, after.key), (truth, after))
    return list(found.values())


def value_of(checked: Checked, known: Known) -> Any:
    """The expression's value if it is known, PRESENT if at least that it has one, else None."""
    found = _value(checked, cast(AnyNode, checked.root), known)
    if found is not None:
        return found[0]
    return None if checked.type.nullable else PRESENT


def _answers(checked: Checked, node: AnyNode, known: Known) -> Iterator[tuple[bool, Known]]:
    match node:
        case Binary(op="&&", left=left, right=right):
            for truth, after in _answers(checked, cast(AnyNode, left), known):
                if truth:
                    yield from _answers(checked, cast(AnyNode, right), after)
                else:
                    yield False, after
        case Binary(op="||", left=left, right=right):
            for truth, after in _answers(checked, cast(AnyNode, left), known):
                if truth:
                    yield True, after
                else:
                    yield from _answers(checked, cast(AnyNode, right), after)
        case Unary(op="!", operand=operand):
            for truth, after in _answers(checked, cast(AnyNode, operand), known):
                yield not truth, after
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            for truth, after in _answers(checked, cast(AnyNode, condition), known):
                yield from _answers(checked, cast(AnyNode, then if truth else otherwise), after)
        case _:
            truth_ = _atom(checked, node, known)
            for truth in (True, False) if truth_ is None else (truth_,):
                yield truth, known if truth_ is not None else _assume(checked, node, known, truth)


def _atom(checked: Checked, node: AnyNode, known: Known) -> bool | None:
    atom = _looked_at(checked, node)
    earlier = known.assumed.get(atom.text)
    if earlier is not None:
        return earlier.truth
    if atom.field is not None and atom.literal is not None and known.values.get(atom.field) == PRESENT:
        return not atom.same if atom.literal.value is None else None
    found = _value(checked, node, known)
    return None if found is None else found[0] is True


def _value(checked: Checked, node: AnyNode, known: Known) -> tuple[Any] | None:
    """The value in a tuple; None when it is not known."""
    if isinstance(node, Literal):
        return (node.value,)
    atom = _looked_at(checked, node)
    if atom.others:
        return None
    for path in atom.reads:
        if len(path) != 1 or path[0] not in known.values or known.values[path[0]] == PRESENT:
            return None
    try:
        return (compile_memory(atom.part).run(known.values, now=_NO_TIME),)
    except Undecidable:
        return (False,)


def _assume(checked: Checked, node: AnyNode, known: Known, truth: bool) -> Known:
    atom = _looked_at(checked, node)
    if atom.flag is not None:
        return known.told({atom.flag: truth})
    if atom.field is not None and atom.literal is not None:
        if truth is atom.same:
            return known.told({atom.field: atom.literal.value})
        if atom.literal.value is None:
            return known.told({atom.field: PRESENT})
    made = atom.true if truth else atom.false
    return replace(known, assumed=MappingProxyType({**known.assumed, atom.text: made}))


@dataclass(frozen=True, slots=True)
class _Atom:
    """What a part of a condition says by itself, found once: the proof comes by it in every state."""

    text: str
    reads: frozenset[tuple[str, ...]]
    others: bool
    """It reads something else than the record: the person, the time."""
    part: Checked
    field: str | None
    literal: Literal | None
    """The field of the record that is compared with a constant, if it is nothing but that, and `same` if by `==`."""
    same: bool
    flag: str | None
    """The boolean field that it is, if it is nothing else."""
    true: Assumption
    false: Assumption


def _looked_at(checked: Checked, node: AnyNode) -> _Atom:
    known: dict[int, _Atom] = checked.memo.setdefault("atoms", {})
    found = known.get(id(node))  # its expression keeps it, so nothing else can come to have this id
    if found is None:
        found = known[id(node)] = _look_at(checked, node)
    return found


def _look_at(checked: Checked, node: AnyNode) -> _Atom:
    reads = reads_of(node)
    others = any(isinstance(each, Name) and each.name != "this" for each in walk(node))
    fields = frozenset("state" if path[0] == "@entered" else path[0] for path in reads)
    fleeting = others or any(len(path) > 1 for path in reads)
    name, literal = _field_and_literal(node) if isinstance(node, Binary) and node.op in ("==", "!=") else (None, None)
    flag = isinstance(node, Member) and _plain(node) and node.type.base is Base.BOOLEAN
    return _Atom(
        text=" ".join(checked.source[node.span.start : node.span.end].split()),
        reads=reads,
        others=others,
        part=replace(checked, root=node, memo={}),
        field=name,
        literal=literal,
        same=isinstance(node, Binary) and node.op == "==",
        flag=node.name if flag and isinstance(node, Member) else None,
        true=Assumption(True, fields, fleeting),
        false=Assumption(False, fields, fleeting),
    )


def _field_and_literal(node: Binary) -> tuple[str | None, Literal | None]:
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(one, Member) and _plain(one) and isinstance(other, Literal):
            return one.name, other
    return None, None


def _plain(node: Member) -> bool:
    return isinstance(node.of, Name) and node.of.name == "this"
