"""Parts an expression that neither memory nor the database can decide alone: what other records say is asked of the
database, and memory goes on from there. So a rule may hold a code of the trade against a value of another record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from clew.expressions.functions import MEMORY, SQL
from clew.expressions.reads import runs_in
from clew.expressions.rewrite import remade, rewrite
from clew.expressions.tree import AnyNode, Base, Call, Checked, Macro, Member, Name, Node, children, walk

_ROOTS = frozenset({"this", "old", "user", "now", "today"})

Own = Callable[[str], bool]
"""Whether a name is a value that the record itself holds."""


@dataclass(frozen=True, slots=True)
class Parted:
    """`rest` is evaluated in memory, with the value of each of `asked` under its name."""

    rest: Checked
    asked: tuple[tuple[str, Checked], ...]


def parted(checked: Checked, own: Own = lambda name: True) -> Parted | None:
    """The expression in two parts; None where what only memory can do stands inside a list of other records."""
    if MEMORY not in checked.runs_in:
        return None
    asked: list[tuple[str, Checked]] = []

    def part(node: Node) -> Node | None:
        if not _reads_others(node, own):
            return node
        if SQL not in runs_in(node, checked.functions) or node.type.base is Base.LIST or _loops(node):
            return None
        name = f"@{len(asked) + 1}"
        asked.append((name, remade(checked, node, checked.source)))
        return Name(name, node.type, node.span)

    rest = remade(checked, rewrite(checked.root, part), checked.source)
    if any(_reads_others(node, own) for node in walk(rest.root)):
        return None
    return Parted(rest, tuple(asked))


def decidable(checked: Checked) -> bool:
    """Whether a condition on a record that is being written can be decided at all."""
    return SQL in checked.runs_in or parted(checked) is not None


def _reads_others(node: Node, own: Own) -> bool:
    match cast(AnyNode, node):
        case Call(function="was" | "entered"):
            return True
        case Macro(over=over) if over.type.element is not None and over.type.element.base is Base.RECORD:
            return True
        case Member(of=Name(name="this"), name=name):
            return not own(name)
        case Member(of=of) if of.type.base is Base.JSON:
            return _reads_others(of, own)
        case Member(of=of) if of.type.base is Base.RECORD and not isinstance(of, Name):
            return True
        case _:
            return any(_reads_others(child, own) for child in children(node))


def _loops(node: Node) -> bool:
    """Whether it speaks of a list's element from outside that list's loop."""
    bound = {each.variable for each in walk(node) if isinstance(each, Macro)}
    return any(isinstance(each, Name) and each.name not in _ROOTS | bound for each in walk(node))
