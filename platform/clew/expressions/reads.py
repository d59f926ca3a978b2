"""What an expression reads and where it can run: derived from the typed tree once, after checking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

from clew.expressions.functions import BROWSER, EVERYWHERE, SQL, Functions
from clew.expressions.tree import (
    ARITHMETIC,
    AnyNode,
    Base,
    Binary,
    Call,
    Conditional,
    ListOf,
    Literal,
    Macro,
    Member,
    Name,
    Node,
    Type,
    Unary,
    children,
    fallible,
    walk,
)

Path: TypeAlias = tuple[str, ...]
ENTERED = "@entered"
"""The fact `was` and `entered` read: state → first instant in it."""
OLD = "@old"

Variables: TypeAlias = Mapping[str, Path | None]


def reads_of(root: Node) -> frozenset[Path]:
    """Every path read from `this`; see `Checked.reads`."""
    return frozenset(path for path in _reads(root, {}) if path and not (path[0] == OLD and len(path) == 2))


def _reads(node: Node, variables: Variables) -> Iterator[Path]:
    match cast(AnyNode, node):
        case Name() | Member():
            path = _path(node, variables)
            if path is not None:
                yield (*path, "id") if node.type.base is Base.LIST and _of_records(node.type) else path
            elif isinstance(node, Member):
                yield from _reads(node.of, variables)
        case Call(function="was" | "entered", args=(record, Literal(value=state))):
            path = _path(record, variables)
            if path is not None:
                yield (*path, ENTERED, str(state))
        case Macro(over=over, body=body, variable=variable):
            yield from _reads(over, variables)
            yield from _reads(body, {**variables, variable: _path(over, variables)})
        case _:
            for child in children(node):
                yield from _reads(child, variables)


def _of_records(type_: Type) -> bool:
    return type_.element is not None and type_.element.base is Base.RECORD


def _path(node: Node, variables: Variables) -> Path | None:
    """Where a node's records come from, seen from `this`; None when not from there."""
    match cast(AnyNode, node):
        case Name(name=name) if name in variables:
            return variables[name]
        case Name(name="this"):
            return ()
        case Name(name="old"):
            return (OLD,)
        case Member(of=of, name=name):
            path = _path(of, variables)
            return None if path is None else (*path, name)
        case Macro(kind="filter", over=over):
            return _path(over, variables)
        case _:
            return None


def uses_of(root: Node) -> frozenset[str]:
    """Which of user, old, now, today appear."""
    names = {node.name for node in walk(root) if isinstance(node, Name)}
    return frozenset(names & {"user", "old", "now", "today"})


def runs_in(root: Node, functions: Functions) -> frozenset[str]:
    """Where the expression can run with the same result everywhere."""
    places, nodes = EVERYWHERE, tuple(walk(root))
    for node in nodes:
        if isinstance(node, Call) and node.function == "decide":
            places -= {BROWSER}
        elif isinstance(node, Call) and node.function != "coalesce":
            places &= functions.by_id[node.overload].runs_in
    if not _sql(root) or _doubling(nodes) > MAX_DOUBLING or _nesting(root) > MAX_NESTING:
        places -= {SQL}
    if not all(map(_browser, nodes)):
        places -= {BROWSER}
    return places


MAX_DOUBLING = 8
"""In SQL a value that may be both missing and undecidable is written out twice; so many times at most."""


MAX_NESTING = 70
"""How deep the SQL may nest, in entries of SQLite's parser stack: it has 100, and the statement around needs some."""


def _nesting(node: Node) -> int:
    return _weight(node) + max((_nesting(child) for child in children(node)), default=0)


def _weight(node: Node) -> int:
    match cast(AnyNode, node):
        case Macro(kind="exists" | "all" | "filter" | "map"):
            return 14
        case Macro() | Call(function="was" | "entered"):
            return 20
        case Member(name="id"):
            return 1
        case Member(of=Member()) | Member(type=Type(base=Base.LIST)):
            return 10
        case Binary(op="&&" | "||"):
            return 2
        case Literal() | Name() | Member():
            return 1
        case _:
            return 5


def _doubling(nodes: tuple[Node, ...]) -> int:
    if not fallible(nodes[0]):  # nor is anything below it
        return 0
    # What walks down from each node is asked last.
    return sum(
        1 for node in nodes if (node.type.nullable or isinstance(node, Macro) or _chooses(node)) and fallible(node)
    )


def _chooses(node: Node) -> bool:
    if isinstance(node, Call):
        return node.function == "coalesce"
    return isinstance(node, Conditional) and fallible(node.condition)


def _sql(node: Node) -> bool:
    match cast(AnyNode, node):
        case Binary(op="in", left=left, right=right):
            return _sql(left) and _sql_list(right)
        case Call(function="size", args=(over,)) if over.type.base is Base.LIST:
            return _sql_list(over)
        case Call(function="text", args=(member,)) if member.type.base is Base.JSON:
            return _json_path(member)
        case Call(function="decide", args=(Literal(value=asked), *inputs)):
            columns = zip(inputs, cast(Any, asked).table.inputs, strict=True)
            return node.type.base is not Base.LIST and all(
                _sql(given) and not (fallible(given) and column.axis.type.nullable) for given, column in columns
            )
        case Macro(kind="filter" | "map"):
            return False
        case Macro(kind="min" | "max", over=over, body=body):
            return _relation(over) and _sql(body) and not fallible(body)
        case Macro(over=over, body=body):
            return _relation(over) and _sql(body)
        case Member(of=of, type=type_):
            if type_.base is Base.JSON and of.type.base is Base.JSON:
                return False
            return type_.base is not Base.LIST and _sql(of)
        case ListOf():
            return False
        case Conditional(type=type_):
            return type_.base is not Base.LIST and all(_sql(child) for child in children(node))
        case Binary(op="==" | "!=", left=left, right=right):
            return all(_sql(child) or _json_path(child) for child in (left, right))
        case _:
            return all(_sql(child) for child in children(node))


def _json_path(node: Node) -> bool:
    current = node
    while isinstance(current, Member) and current.of.type.base is Base.JSON:
        current = current.of
    return current.type.base is Base.JSON and _sql(current)


def _sql_list(node: Node) -> bool:
    match cast(AnyNode, node):
        case ListOf(items=items):
            return all(_sql(item) and not fallible(item) for item in items)
        case Member(of=Name(name="user")):
            return True
        case Member(of=of, type=type_) if type_.element is not None and type_.element.base is Base.TEXT:
            return _sql(of)
        case Macro(kind="map", over=over, body=body):
            return _relation(over) and _sql(body) and not fallible(body)
        case _:
            return _relation(node)


def _relation(node: Node) -> bool:
    """A list the database can range over: of records, reached from a record it has, filtered by sure conditions."""
    match cast(AnyNode, node):
        case Member(of=of, type=type_):
            return _of_records(type_) and len(of.type.entities) == 1 and _sql(of) and not _from_old(of)
        case Macro(kind="filter", over=over, body=body):
            return _relation(over) and _sql(body) and not fallible(body)
        case _:
            return False


def _from_old(node: Node) -> bool:
    """`old` itself is bound value by value; what it pointed at is an ordinary record."""
    return isinstance(node, Name) and node.name == "old"


_IN_BROWSER = frozenset({Base.BOOLEAN, Base.TEXT, Base.INTEGER, Base.DATE, Base.DATETIME, Base.NULL, Base.ID})


def _browser(node: Node) -> bool:
    """Own fields, the person and comparisons of values that JavaScript holds exactly."""
    match cast(AnyNode, node):
        case Macro():
            return False
        case Name(name=name):
            return name in ("this", "old", "user", "now", "today")
        case Member(of=Name(), type=type_):
            return type_.base in _IN_BROWSER or (type_.element is not None and type_.element.base in _IN_BROWSER)
        case Member():
            return False
        case Binary(op=op) | Unary(op=op) if op in ARITHMETIC:
            return False
        case ListOf():
            return True
        case _:
            return node.type.base in _IN_BROWSER
