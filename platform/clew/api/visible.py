"""`@ifVisible`: fields and fragments that do not exist for the caller are left out before validation."""

from __future__ import annotations

from typing import Any

from graphql import (
    REMOVE,
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    visit,
)
from graphql.type import GraphQLSchema

NAME = "ifVisible"


def marked(node: Any) -> bool:
    """Whether a selection carries `@ifVisible`."""
    return any(each.name.value == NAME for each in node.directives or ())


def leave_out_hidden(document: DocumentNode, schema: GraphQLSchema) -> DocumentNode:
    """The document without the marked selections that mean nothing in this view."""
    info = TypeInfo(schema)
    found: DocumentNode = visit(document, TypeInfoVisitor(info, _Pruner(schema, info, document)))
    return found


class _Pruner(Visitor):
    def __init__(self, schema: GraphQLSchema, info: TypeInfo, document: DocumentNode) -> None:
        super().__init__()
        self._schema, self._info = schema, info
        self._conditions = {
            each.name.value: each.type_condition.name.value  # type: ignore[attr-defined]
            for each in document.definitions
            if each.kind == "fragment_definition"
        }

    def enter_field(self, node: FieldNode, *_: Any) -> Any:
        return REMOVE if marked(node) and self._info.get_field_def() is None else None

    def enter_inline_fragment(self, node: InlineFragmentNode, *_: Any) -> Any:
        condition = node.type_condition
        hidden = condition is not None and self._schema.get_type(condition.name.value) is None
        return REMOVE if marked(node) and hidden else None

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> Any:
        name = self._conditions.get(node.name.value)
        return REMOVE if marked(node) and name is not None and self._schema.get_type(name) is None else None
