"""Documents made ready: parsed, priced, validated once; planned and compiled once per shape of the variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol
from uuid import UUID

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    Undefined,
    VariableNode,
    Visitor,
    type_from_ast,
    value_from_ast_untyped,
    visit,
)

from clew.api.build import entity_type
from clew.api.exchange import Caller
from clew.api.planner import Paging, Planner, Selected
from clew.api.trees import ABSENT, Coercion, Shape, from_shape, plain, plain_argument, taker
from clew.api.view import View
from clew.records.query import plan as p
from clew.records.query.run import Prepared
from clew.storage.engine import Connection

READ_ID = "read.id"


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable: its type, and the default when it has one."""

    name: str
    type: Any
    default: Any


@dataclass(slots=True)
class Operation:
    """One operation of one document, for one view."""

    view: View
    node: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: tuple[Variable, ...]
    priced: bool
    """Whether the price depends on variables, so that each request is weighed."""
    weigh: Callable[[Mapping[str, Any]], object]
    discovers: bool
    """Whether it may ask about the schema itself."""
    reads: dict[Any, Prepared] = field(default_factory=dict)
    chosen: dict[Shape, tuple[list[Selected], dict[tuple[int, str], list[Selected]]]] = field(default_factory=dict)
    """The fields of a mutation for one shape of its variables, and what is selected inside them (`Planner.walked`)."""
    whole: tuple[Variable, ...] = ()
    """Variables of a mutation that are whole arguments of its fields and nothing else: they take no part in planning,
    so they are read once, as commands take them. `variables` are the others."""
    live: bool = False
    """Whether it has fields that are answered by a room of the platform instead of the read plan."""

    @property
    def kind(self) -> OperationType:
        return self.node.operation

    @property
    def root(self) -> GraphQLObjectType:
        found = self.view.schema.get_root_type(self.kind)
        assert found is not None
        return found

    def coerce(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], Shape]:
        """The request's variables: values by slot name, and their shape."""
        args: dict[str, Any] = {}
        take = Coercion(args).take
        shape: list[Shape] = []
        for variable in self.variables:
            value = given.get(variable.name, variable.default)
            name = "$" + variable.name
            if value is Undefined:
                shape.append(take(variable.type, None, name) if _required(variable.type) else ABSENT)
            else:
                shape.append(take(variable.type, value, name))
        return args, tuple(shape)

    def wholes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values of `whole` variables as commands take them; what was not given is not there."""
        found: dict[str, Any] = {}
        for variable in self.whole:
            value = given.get(variable.name, variable.default)
            if value is not Undefined:
                found[variable.name] = taker(variable.type)(value, "$" + variable.name)
            elif _required(variable.type):
                taker(variable.type)(None, "$" + variable.name)
        return found

    def planner(self, shape: Shape, paging: Paging, conditions: int) -> Planner:
        """A planner for one shape of the variables."""
        trees = {
            variable.name: from_shape(each, "$" + variable.name)
            for variable, each in zip(self.variables, shape, strict=True)
        }
        flags = {name: tree.value for name, tree in trees.items() if isinstance(tree, p.Const)}
        return Planner(self.view.build, self.fragments, trees, flags, paging, conditions)

    def plain(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The request's variables with their defaults, as they came."""
        all_of_them = (*self.variables, *self.whole)
        found = {variable.name: given.get(variable.name, variable.default) for variable in all_of_them}
        return {name: value for name, value in found.items() if value is not Undefined}


def _required(type_: Any) -> bool:
    return bool(getattr(type_, "of_type", None)) and str(type_).endswith("!")


def declared(view: View, node: OperationDefinitionNode) -> tuple[Variable, ...]:
    """The variables an operation declares."""
    found: list[Variable] = []
    for each in node.variable_definitions or ():
        type_ = type_from_ast(view.schema, each.type)
        default = Undefined if each.default_value is None else value_from_ast_untyped(each.default_value)
        found.append(Variable(each.variable.name.value, type_, default))
    return tuple(found)


# ── writing and streaming fields ──────────────────────────────────────────────────────────────────────────────────


class ReadBack(Protocol):
    """Reads the record a payload selects, on the connection that wrote it."""

    async def __call__(self, connection: Connection, id: UUID) -> str:
        """The selected record as JSON text, or `null`."""
        ...


Reading = Callable[[Connection, Mapping[str, Any]], Awaitable[str]]
"""Runs a compiled plan with further slots; its roots as JSON text."""


@dataclass(frozen=True, slots=True)
class Call:
    """One mutation or subscription field of one request."""

    caller: Caller
    selected: Selected
    """The field: its response key, definition and selections (`planner.children(selected)`)."""
    arguments: Mapping[str, Any]
    """Canonical Python values by API name; what was not given is not there."""
    planner: Planner
    reader: Callable[[Selected, str], ReadBack]
    """`reader(selected, entity)`: how to read back what a payload's record field selects."""
    read: Callable[[p.Plan], Reading]
    """`read(plan)`: compile a plan made with `planner`, to be run many times with the request's variables."""


class MutationSpec(Protocol):
    """What a mutation field keeps as its spec (`build.field(type, spec, …)`)."""

    async def run(self, call: Call) -> str:
        """Do it in a unit of work of its own; the payload as JSON text. Raises ClewError."""
        ...


class AnswerSpec(Protocol):
    """What a query field keeps as its spec that no plan of records answers: tasks, processes, notices."""

    async def answer(self, call: Call, connection: Connection) -> str:
        """The field's value as JSON text, read on the connection of the request."""
        ...


def answered_live(selected: Selected) -> bool:
    """Whether a field is answered by its spec."""
    return hasattr(selected.spec, "answer")


class SubscriptionSpec(Protocol):
    """What a subscription field keeps as its spec."""

    def events(self, call: Call) -> AsyncIterator[str]:
        """The payload of each event as JSON text."""
        ...


def arguments_of(
    selected: Selected, variables: Mapping[str, Any], wholes: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """A field's arguments as canonical Python values. `wholes`: variables that have been read already."""
    found: dict[str, Any] = {}
    for each in selected.nodes[0].arguments or ():
        name, node = each.name.value, each.value
        definition = selected.definition.args[name]
        if isinstance(node, VariableNode) and node.name.value in wholes:
            value = wholes[node.name.value]
            if value is None:  # a variable that may be null where there is a default: the argument decides
                value = plain(definition.type, None, name)
        else:
            value = plain_argument(definition.type, node, variables, name)
        if value is not Undefined:
            found[name] = value
    return found


def whole_arguments(node: OperationDefinitionNode, fragments: Iterable[FragmentDefinitionNode]) -> frozenset[str]:
    """The variables of a mutation that stand nowhere but as whole arguments of its own fields."""
    if node.operation is not OperationType.MUTATION:
        return frozenset()
    found: dict[str, int] = {}
    for field_node in node.selection_set.selections:
        if isinstance(field_node, FieldNode):
            for each in field_node.arguments or ():
                if isinstance(each.value, VariableNode):
                    found[each.value.name.value] = found.get(each.value.name.value, 0) + 1
    everywhere = _Occurrences()
    for part in (node.selection_set, *(node.directives or ()), *fragments):
        visit(part, everywhere)
    return frozenset(name for name, count in found.items() if everywhere.counts[name] == count)


class _Occurrences(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.counts[node.name.value] += 1


def plan_record_selection(planner: Planner, selected: Selected, entity: str) -> p.Plan:
    """The plan that reads one record (slot `read.id`) with what a payload's field selects of it."""
    items = planner.items(selected, planner.build.type(entity_type(entity)))
    return p.Plan((p.RecordRoot("r", entity, (("id", p.Slot(READ_ID)),), items),))
