"""The functions of the language: names, typed signatures, where each can run, and how it runs in memory.

`BUILTIN` is the platform's own set; plugins extend it with `Functions.extended`. SQL for a signature that says `sql`
lives in `storage.expressions`, keyed by the signature's id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from clew.expressions.tree import Base, Node, Type
from clew.kernel.text import Bilingual

MEMORY, SQL, BROWSER = "memory", "sql", "browser"
EVERYWHERE = frozenset({MEMORY, SQL, BROWSER})
IN_SQL = frozenset({MEMORY, SQL})
IN_MEMORY = frozenset({MEMORY})

ResultOf = Callable[[Sequence[Node]], Type]
Implementation = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument: the types it may have; `literal` when it must be written out in the expression."""

    bases: frozenset[Base]
    literal: bool = False

    def __str__(self) -> str:
        return "|".join(sorted(self.bases))


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a function.

    A missing (null) argument: `predicate` functions answer false, others demand a guard from the checker.
    `check` may object to literal arguments (returns what is wrong); `prepare` builds the implementation from the
    argument nodes when `run` alone does not suffice.
    """

    name: str
    parameters: tuple[Parameter, ...]
    result: Type | ResultOf
    run: Implementation
    runs_in: frozenset[str] = IN_MEMORY
    predicate: bool = False
    fallible: bool = False
    prepare: Callable[[Sequence[Node]], Implementation] | None = None
    valid: Callable[[Any], object] | None = None
    """For a function of one literal: raises ValueError when the literal cannot be taken."""
    cost: Callable[[Sequence[Any]], int] | None = None
    """Steps beyond one, from the argument values."""
    explain: Callable[..., Bilingual | None] | None = None
    """What is wrong with the arguments where the answer is no: told with the rule that asked."""
    help: str = ""

    @property
    def id(self) -> str:
        return f"{self.name}({','.join(map(str, self.parameters))})"

    def result_type(self, args: Sequence[Node]) -> Type:
        return self.result if isinstance(self.result, Type) else self.result(args)


@dataclass(frozen=True, slots=True)
class Functions:
    """A registry. Immutable: extending gives a new one."""

    by_name: Mapping[str, tuple[Signature, ...]]
    by_id: Mapping[str, Signature] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = {each.id: each for overloads in self.by_name.values() for each in overloads}
        object.__setattr__(self, "by_id", MappingProxyType(table))

    def extended(self, signatures: Iterable[Signature]) -> Functions:
        """This registry and more. Raises ValueError when a signature exists already."""
        by_name = dict(self.by_name)
        for each in signatures:
            known = by_name.get(each.name, ())
            if each.id in {other.id for other in known}:
                raise ValueError(f"the function {each.id} exists already")
            by_name[each.name] = (*known, each)
        return Functions(MappingProxyType(by_name))


def parameter(*bases: Base, literal: bool = False) -> Parameter:
    return Parameter(frozenset(bases), literal)


def registry(signatures: Iterable[Signature]) -> Functions:
    return Functions(MappingProxyType({})).extended(signatures)
