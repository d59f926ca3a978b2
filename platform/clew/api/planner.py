"""GraphQL to plan: walks a validated operation and asks each field's spec for its plan item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    InlineFragmentNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    TypeNameMetaFieldDef,
    get_named_type,
)

from clew.api.build import Build, spec_of
from clew.api.errors import BadPage, BadVariable, TooLarge
from clew.api.trees import ABSENT, Tree, from_literal
from clew.records.query import plan as p
from clew.records.query.plan import Const, Slot, Value

Late = Callable[[dict[str, Any]], None]
"""Work on the arguments left for every request: checking a page size, reading a cursor's values."""


@dataclass(slots=True)
class Selected:
    """One response key: the field, all its nodes (merged), its type."""

    key: str
    name: str
    definition: GraphQLField
    nodes: list[FieldNode] = field(default_factory=list)

    @property
    def spec(self) -> Any:
        return spec_of(self.definition)

    @property
    def type(self) -> GraphQLNamedType:
        return get_named_type(self.definition.type)


@dataclass(frozen=True, slots=True)
class Paging:
    """Page sizes: what is taken when none is asked for, and the most that may be asked for."""

    default: int = 50
    most: int = 500


_META: Mapping[str, GraphQLField] = {
    "__typename": TypeNameMetaFieldDef,
    "__schema": SchemaMetaFieldDef,
    "__type": TypeMetaFieldDef,
}
DISCOVERY = ("__schema", "__type")


class Planner:
    """Plans one operation for one shape of its variables."""

    def __init__(
        self,
        build: Build,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Tree],
        flags: Mapping[str, Any],
        paging: Paging,
        conditions: int = 300,
    ) -> None:
        self.build, self.paging = build, paging
        self._fragments, self._variables, self._flags = fragments, variables, flags
        self.late: list[Late] = []
        self.incomplete = False
        """Whether the answer holds tokens that are to be replaced (`records.signing.answers`)."""
        self._conditions, self._most_conditions = 0, conditions
        self.walked: dict[tuple[int, str], list[Selected]] = {}
        """What is selected inside fields, as far as somebody has looked; the fields live as long as this does."""

    # ── selections ────────────────────────────────────────────────────────────────────────────────────────────────

    def collect(self, type_: GraphQLNamedType, sets: Iterable[SelectionSetNode | None]) -> list[Selected]:
        """The fields selected on a concrete type, merged by response key, in the order of their first appearance."""
        found: dict[str, Selected] = {}
        for selection_set in sets:
            if selection_set is not None:
                self._collect(type_, selection_set, found, set())
        return list(found.values())

    def _collect(
        self, type_: GraphQLNamedType, selections: SelectionSetNode, found: dict[str, Selected], seen: set[str]
    ) -> None:
        for node in selections.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                known = found.get(key)
                if known is None:
                    known = found[key] = Selected(key, node.name.value, self._definition(type_, node.name.value))
                known.nodes.append(node)
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._applies(type_, node.type_condition.name.value):
                    self._collect(type_, node.selection_set, found, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                fragment = self._fragments[node.name.value]
                if self._applies(type_, fragment.type_condition.name.value):
                    self._collect(type_, fragment.selection_set, found, seen)

    def _definition(self, type_: GraphQLNamedType, name: str) -> GraphQLField:
        if name.startswith("__"):
            return _META[name]
        assert isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        found: GraphQLField = type_.fields[name]
        return found

    def _applies(self, type_: GraphQLNamedType, condition: str) -> bool:
        if condition == type_.name:
            return True
        abstract = self.build.type(condition)
        if isinstance(abstract, GraphQLUnionType):
            return any(each.name == type_.name for each in abstract.types)
        return isinstance(abstract, GraphQLInterfaceType) and abstract in getattr(type_, "interfaces", ())

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name not in ("include", "skip"):
                continue
            value = directive.arguments[0].value
            flag = self._flags[value.name.value] if hasattr(value, "name") else value.value
            if flag is not (name == "include"):
                return False
        return True

    def children(self, selected: Selected, type_: GraphQLNamedType | None = None) -> list[Selected]:
        """What is selected inside a field, for its type or a concrete type of its union."""
        of = type_ or selected.type
        key = id(selected), of.name
        found = self.walked.get(key)
        if found is None:
            found = self.walked[key] = self.collect(of, (node.selection_set for node in selected.nodes))
        return found

    def items(self, selected: Selected, type_: GraphQLNamedType | None = None) -> tuple[p.Item, ...]:
        """The record items selected inside a field."""
        of = type_ or selected.type
        return tuple(self.item(each, of) for each in self.children(selected, of))

    def item(self, selected: Selected, parent: GraphQLNamedType) -> Any:
        """The plan item of one selected field."""
        if selected.name == "__typename":
            return p.Fixed(selected.key, parent.name)
        return selected.spec.item(self, selected)

    # ── arguments ─────────────────────────────────────────────────────────────────────────────────────────────────

    def argument(self, selected: Selected, name: str) -> Tree:
        """The tree of an argument; ABSENT when not given."""
        definition = selected.definition.args.get(name)
        for each in selected.nodes[0].arguments or ():
            if each.name.value == name and definition is not None:
                return from_literal(definition.type, each.value, self._variable, name)
        return ABSENT

    def given(self, selected: Selected, name: str) -> Tree:
        """The tree of an argument; None when not given or null."""
        found = self.argument(selected, name)
        return None if found is ABSENT else found

    def _variable(self, name: str) -> Tree:
        return self._variables.get(name, ABSENT)

    def size(self, selected: Selected, name: str = "first") -> Value | None:
        """A page size, bounded now or at every request; None when not given."""
        tree = self.given(selected, name)
        most = self.paging.most
        if isinstance(tree, Const):
            check_size(tree.value, name, most)
        elif isinstance(tree, Slot):
            slot = tree.name
            self.late.append(lambda args: check_size(args[slot], name, most))
        return tree if isinstance(tree, Const | Slot) else None

    def condition(self) -> None:
        """Count one more condition of a filter; a filter of thousands would only burden the database."""
        self._conditions += 1
        if self._conditions > self._most_conditions:
            raise TooLarge(what="conditions", count=self._conditions, limit=self._most_conditions)

    def refuse(self, where: str, why: str) -> BadVariable:
        """An input that fits the schema but makes no sense."""
        return BadVariable(where=where, why=why, path=(where,))


def check_size(size: Any, name: str, most: int) -> None:
    if not 0 <= size <= most:
        raise BadPage(name=name, limit=most, path=(name,))
