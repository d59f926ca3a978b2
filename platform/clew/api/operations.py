"""Documents made ready: parsed, priced, validated once; planned and compiled once per shape of the variables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from graphql import (
    FragmentDefinitionNode,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
    Undefined,
    type_from_ast,
    value_from_ast_untyped,
)

from clew.api.build import entity_type
from clew.api.exchange import Caller
from clew.api.planner import Paging, Planner, Selected
from clew.api.trees import ABSENT, Coercion, Shape, from_shape, plain_argument
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
        found = {variable.name: given.get(variable.name, variable.default) for variable in self.variables}
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


def arguments_of(selected: Selected, variables: Mapping[str, Any]) -> dict[str, Any]:
    """A field's arguments as canonical Python values."""
    found: dict[str, Any] = {}
    for each in selected.nodes[0].arguments or ():
        definition = selected.definition.args[each.name.value]
        value = plain_argument(definition.type, each.value, variables, each.name.value)
        if value is not Undefined:
            found[each.name.value] = value
    return found


def plan_record_selection(planner: Planner, selected: Selected, entity: str) -> p.Plan:
    """The plan that reads one record (slot `read.id`) with what a payload's field selects of it."""
    items = planner.items(selected, planner.build.type(entity_type(entity)))
    return p.Plan((p.RecordRoot("r", entity, (("id", p.Slot(READ_ID)),), items),))


