"""Every rule of graphql-core, provoked: a Chinese caller reads Chinese, with the same names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from graphql import GraphQLSyntaxError, build_schema, parse, specified_rules, validate

import clew.api
from clew.api.errors import BadVariable, NotParsed, NotValid, TooLarge
from clew.api.messages import in_chinese

SCHEMA = build_schema("""
directive @once on FIELD
directive @needs(a: Int!) on FIELD
enum Size { BIG SMALL }
input Where { name: String! size: Size }
input Choice @oneOf { a: Int b: Int }
interface Node { id: ID }
type Lot implements Node { id: ID name: String other: Lot sized(size: Size): Int count(n: Int!): Int }
type Item implements Node { id: ID name: Int code: String }
union Any = Lot | Item
type Query { lot(id: ID): Lot lots(where: Where, n: Int, pick: Choice): [Lot!]! any: Any b(v: Boolean, s: String): Int }
type Subscription { one: Int two: Int }
""")

PROVOKED = {
    "type T { a: Int } { lot { id } }": "ExecutableDefinitionsRule",
    "mutation { a }": "KnownOperationTypesRule",
    "query A { lot { id } } query A { lot { id } }": "UniqueOperationNamesRule",
    "{ lot { id } } query A { lot { id } }": "LoneAnonymousOperationRule",
    "subscription { one two }": "SingleFieldSubscriptionsRule",
    "subscription S { one two }": "SingleFieldSubscriptionsRule",
    "subscription { __typename }": "SingleFieldSubscriptionsRule",
    "subscription { one @skip(if: true) }": "SingleFieldSubscriptionsRule",
    "query($a: Lott) { lot(id: $a) { id } }": "KnownTypeNamesRule",
    "{ lot { ... on Size { id } } }": "FragmentsOnCompositeTypesRule",
    "{ lot { ...F } } fragment F on Size { id }": "FragmentsOnCompositeTypesRule",
    "query($a: Lot) { lot(id: $a) { id } }": "VariablesAreInputTypesRule",
    "{ lot { id { x } } }": "ScalarLeafsRule",
    "{ lot }": "ScalarLeafsRule",
    "{ lot { nam } }": "FieldsOnCorrectTypeRule",
    "{ any { code } }": "FieldsOnCorrectTypeRule",
    "{ lot { zzz } }": "FieldsOnCorrectTypeRule",
    "{ lot { ...F } } fragment F on Lot { id } fragment F on Lot { id }": "UniqueFragmentNamesRule",
    "{ lot { ...G } }": "KnownFragmentNamesRule",
    "{ lot { id } } fragment F on Lot { id }": "NoUnusedFragmentsRule",
    "{ lot { ... on Item { id } } }": "PossibleFragmentSpreadsRule",
    "{ lot { ...F } } fragment F on Item { id }": "PossibleFragmentSpreadsRule",
    "{ lot { ...F } } fragment F on Lot { id ...F }": "NoFragmentCyclesRule",
    "{ lot { ...F } } fragment F on Lot { ...G } fragment G on Lot { id ...F }": "NoFragmentCyclesRule",
    "query($a: ID, $a: ID) { lot(id: $a) { id } }": "UniqueVariableNamesRule",
    "{ lot(id: $a) { id } }": "NoUndefinedVariablesRule",
    "query Q { lot(id: $a) { id } }": "NoUndefinedVariablesRule",
    "query($a: ID) { lot { id } }": "NoUnusedVariablesRule",
    "query Q($a: ID) { lot { id } }": "NoUnusedVariablesRule",
    "{ lot { id @nope } }": "KnownDirectivesRule",
    "query @once { lot { id } }": "KnownDirectivesRule",
    "{ lot { id @once @once } }": "UniqueDirectivesPerLocationRule",
    "{ lot(idd: 1) { id } }": "KnownArgumentNamesRule",
    "{ lot { id @needs(a: 1, bb: 2) } }": "KnownArgumentNamesRule",
    "{ lot(id: 1, id: 2) { id } }": "UniqueArgumentNamesRule",
    "{ lots(n: \"x\") { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(n: 99999999999) { id } }": "ValuesOfCorrectTypeRule",
    "{ b(v: 1) }": "ValuesOfCorrectTypeRule",
    "{ b(s: 1) }": "ValuesOfCorrectTypeRule",
    "{ lot(id: 1.5) { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(where: {name: null}) { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(where: {}) { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(where: {name: \"a\", nome: 1}) { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(where: 5) { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(where: {name: \"a\", size: BIGG}) { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(where: {name: \"a\", size: \"BIG\"}) { id } }": "ValuesOfCorrectTypeRule",
    "{ lots(pick: {a: 1, b: 2}) { id } }": "ValuesOfCorrectTypeRule",
    "{ lot { count } }": "ProvidedRequiredArgumentsRule",
    "{ lot { id @needs } }": "ProvidedRequiredArgumentsRule",
    "query($a: Int) { lot { count(n: $a) } }": "VariablesInAllowedPositionRule",
    "query($a: Int) { lots(pick: {a: $a}) { id } }": "VariablesInAllowedPositionRule",
    "{ lot { a: id a: name } }": "OverlappingFieldsCanBeMergedRule",
    "{ lot { count(n: 1) count(n: 2) } }": "OverlappingFieldsCanBeMergedRule",
    "{ any { ... on Lot { name } ... on Item { name } } }": "OverlappingFieldsCanBeMergedRule",
    "{ lot { x: other { a: id } x: other { a: name } } }": "OverlappingFieldsCanBeMergedRule",
    "{ lots(where: {name: \"a\", name: \"b\"}) { id } }": "UniqueInputFieldNamesRule",
}  # fmt: skip
NOT_OURS = {
    # @defer and @stream do not exist here; introspection is bounded by price first.
    "DeferStreamDirectiveOnRootField", "DeferStreamDirectiveOnValidOperationsRule", "DeferStreamDirectiveLabel",
    "StreamDirectiveOnListField", "MaxIntrospectionDepthRule",
}  # fmt: skip
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\{.*\}")
NAME = re.compile(r"'([^'\s]+)'")


def english_in(text: str) -> list[str]:
    """Latin words outside quotes; technical words may stand."""
    words = re.findall(r"[A-Za-z]{2,}", QUOTED.sub("", text))
    return [
        word for word in words if word not in {"null", "OneOf", "Int", "ID", "Boolean", "String", "BIGG", "QUERY", "T"}
    ]


@pytest.mark.parametrize(("document", "rule"), PROVOKED.items())
def test_every_finding_is_said_in_chinese(document: str, rule: str) -> None:
    [wanted] = [each for each in specified_rules if each.__name__ == rule]
    found = validate(SCHEMA, parse(document), [wanted])
    assert found, f"{rule} was not provoked"
    for error in found:
        said = NotValid(what=error.message).message("zh")
        allowed = {"mutation", "subscription", "query"}
        assert [word for word in english_in(said) if word not in allowed] == [], (error.message, said)
        assert set(NAME.findall(error.message.split(" Did you mean ")[0])) <= set(NAME.findall(said)), said
        assert NotValid(what=error.message).message("en") == error.message


def test_no_rule_is_left_out() -> None:
    assert {each.__name__ for each in specified_rules} == set(PROVOKED.values()) | NOT_OURS


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        '{ a(b: "x) }',
        "{ a(b: 01) }",
        "{ a..b }",
        "query($a: Int = $b) { a }",
        "{ a ? }",
        "{ a(b: 'x') }",
        '{ a(b: "\\q") }',
        "subscription",
    ],
)
def test_what_is_not_graphql_is_said_in_chinese(text: str) -> None:
    with pytest.raises(GraphQLSyntaxError) as refused:
        parse(text)
    said = NotParsed(what=refused.value.message).message("zh")
    assert said.startswith("语法错误:")
    assert set(english_in(said)) <= {"U"}, said


REFUSED = {"BadVariable", "NoOperation", "BadRequestBody", "TooLarge", "refuse", "_bad"}


def test_every_sentence_of_the_api_has_a_chinese_one() -> None:
    """Those that are written out where something is refused: the last argument, or `what` or `why`."""
    told = set[str]()
    for file in Path(clew.api.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = getattr(getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", ""))
            if isinstance(node, ast.Call) and name in REFUSED:
                said = [*node.args[-1:], *(each.value for each in node.keywords if each.arg in ("what", "why"))]
                told |= {each.value for each in said if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    assert len(told) > 20
    assert [each for each in sorted(told) if in_chinese(each) == each] == []


def test_suggestions_keep_their_names() -> None:
    said = in_chinese("Cannot query field 'nam' on type 'Lot'. Did you mean 'name', 'same', or 'id'?")
    assert said == "类型 'Lot' 没有字段 'nam'。是否想用 'name', 'same' 或 'id'?"
    said = in_chinese("Field 'lot' of type 'Lot' must have a selection of subfields. Did you mean 'lot { ... }'?")
    assert said == "字段 'lot' 的类型为 'Lot',必须选择子字段。是否想用 'lot { ... }'?"


def test_our_own_findings_are_said_in_both() -> None:
    found = BadVariable(where="$w.qty", why="must be a whole number of 32 bits")
    assert found.message("en") == "$w.qty: must be a whole number of 32 bits"
    assert found.message("zh") == "$w.qty:必须是 32 位整数"
    large = TooLarge(what="tokens", count="too many", limit=5)
    assert large.message("zh") == "查询的词元数为 过多,最多允许 5。"
    assert in_chinese(
        "Expected value of type 'Decimal', but encountered error 'Decimal must be a number'; found: {}."
    ) == ("此处需要类型 'Decimal' 的值:Decimal 必须是数值;实际为:{}。")
