"""From text to a ready operation: token limit, parse, price, validate, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    NoUnusedFragmentsRule,
    NoUnusedVariablesRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from clew.api.cost import Limits, Meter
from clew.api.errors import NoOperation, NotParsed, TooLarge
from clew.api.merging import check_merging
from clew.api.operations import Operation, declared, whole_arguments
from clew.api.planner import DISCOVERY
from clew.api.view import View
from clew.api.visible import NAME, leave_out_hidden

_RELAXED = tuple(rule for rule in specified_rules if rule not in (NoUnusedVariablesRule, NoUnusedFragmentsRule))
MAX_ERRORS = 20


class Invalid(Exception):
    """The document does not fit the view; carries every finding."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("invalid")
        self.errors = errors


def make_operation(
    view: View, text: str, name: str | None, limits: Limits, variables: Mapping[str, Any], *, suggestions: bool
) -> Operation:
    """The operation a request names, ready to be planned. Raises ClewError or Invalid."""
    document = _parsed(text, limits)
    node = _chosen(document, name)
    weight = Meter(document, limits, variables).weigh(node)
    check_merging(document, limits.pairs, 4 * limits.fields)
    rules = specified_rules
    if NAME in text:
        document = leave_out_hidden(document, view.schema)
        node = _chosen(document, name)
        rules = _RELAXED
    errors = validate(view.schema, document, rules, max_errors=MAX_ERRORS, hide_suggestions=not suggestions)
    if errors:
        raise Invalid(errors)
    fragments = {each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)}

    def weigh(given: Mapping[str, Any]) -> object:
        return Meter(document, limits, given).weigh(node)

    discovers = any(each in text for each in DISCOVERY)
    known, names = declared(view, node), whole_arguments(node, fragments.values())
    planned = tuple(each for each in known if each.name not in names)
    whole = tuple(each for each in known if each.name in names)
    return Operation(view, node, fragments, planned, weight.priced, weigh, discovers, whole=whole)


def _parsed(text: str, limits: Limits) -> DocumentNode:
    if len(text) > limits.characters:
        raise TooLarge(what="characters", count=len(text), limit=limits.characters)
    try:
        return parse(text, max_lexical_tokens=limits.tokens, max_tokens=limits.tokens)
    except GraphQLSyntaxError as error:
        if "max" in error.message.lower() or "more than" in error.message:
            raise TooLarge(what="tokens", count="too many", limit=limits.tokens) from None
        raise NotParsed(what=error.message[:200]) from None
    except RecursionError:
        raise TooLarge(what="levels", count="too many", limit=limits.depth) from None


def _chosen(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if name is None and len(operations) == 1:
        return operations[0]
    if not operations:
        raise NoOperation(what="there is none")
    if name is None:
        raise NoOperation(what="there are several and operationName is missing")
    for each in operations:
        if each.name is not None and each.name.value == name:
            return each
    raise NoOperation(what=f"there is none named {name[:60]}")
