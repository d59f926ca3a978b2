"""What can be wrong with an expression: every finding of one expression at once, with its place in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clew.expressions.tree import Span
from clew.kernel.diagnostics import Rule
from clew.kernel.errors import ClewError, fill
from clew.kernel.text import Locale

SYNTAX = Rule("EXPR_SYNTAX", "{found} is not expected here.", "此处不应出现 {found}。")
CUT_SHORT = Rule("EXPR_CUT_SHORT", "The expression is not finished.", "表达式没有写完。")
CHARACTER = Rule(
    "EXPR_CHARACTER",
    "The character {found} has no meaning here.",
    "字符 {found} 在此无意义。",
    "Equal is ==, unequal !=; and is &&, or is ||, not is !; text stands in single quotes.",
    "相等写 ==,不等写 !=;并且写 &&,或者写 ||,否定写 !;文字用单引号。",
)
TEXT_OPEN = Rule("EXPR_TEXT_OPEN", "The quoted text does not end.", "引号内的文本没有结束。")
ESCAPE = Rule("EXPR_ESCAPE", "Unknown escape {found} in a quoted text.", "文本中的转义 {found} 无效。")
TOO_LONG = Rule(
    "EXPR_TOO_LONG",
    "The expression has {length} characters; {limit} are allowed.",
    "表达式有 {length} 个字符,最多允许 {limit} 个。",
)
TOO_DEEP = Rule(
    "EXPR_TOO_DEEP",
    "The expression is nested deeper than {limit} levels.",
    "表达式嵌套超过 {limit} 层。",
    hint_en="Split it into computed fields, or compare with a list: x in ['a', 'b'].",
    hint_zh="可拆分为计算字段,或与列表比较:x in ['a', 'b']。",
)
NUMBER = Rule(
    "EXPR_NUMBER",
    "{found} has too many digits: 18 in all, 9 after the point.",
    "{found} 位数过多:总共最多 18 位,小数最多 9 位。",
)
UNKNOWN_NAME = Rule("EXPR_UNKNOWN_NAME", "{name} is not known here.", "此处没有名为 {name} 的内容。")
UNKNOWN_MEMBER = Rule("EXPR_UNKNOWN_MEMBER", "{of} has no {name}.", "{of} 没有 {name}。")
UNKNOWN_FUNCTION = Rule("EXPR_UNKNOWN_FUNCTION", "There is no function {name}.", "没有函数 {name}。")
UNKNOWN_TABLE = Rule("EXPR_UNKNOWN_TABLE", "There is no decision table {name}.", "没有决策表 {name}。")
NOT_A_RECORD = Rule(
    "EXPR_NOT_A_RECORD", "A {type} has no members, so .{name} is not possible.", "{type} 没有成员,不能使用 .{name}。"
)
OF_A_LIST = Rule(
    "EXPR_OF_A_LIST",
    ".{name} is not possible on a list; say which of its records.",
    "列表不能直接使用 .{name},请说明是其中哪些记录。",
    hint_en="For example: exists(x, x.{name} == …), all(x, …), sum(x, x.{name}).",
    hint_zh="例如:exists(x, x.{name} == …)、all(x, …)、sum(x, x.{name})。",
)
ARGUMENTS = Rule(
    "EXPR_ARGUMENTS", "{name} does not take ({given}).", "{name} 不接受参数 ({given})。",
    hint_en="It takes {wanted}.", hint_zh="它接受 {wanted}。",
)  # fmt: skip
LITERAL_ONLY = Rule("EXPR_LITERAL_ONLY", "{name} takes a literal here.", "{name} 在此只接受字面值。")
BAD_LITERAL = Rule("EXPR_BAD_LITERAL", "{value} is not a valid {type}.", "{value} 不是有效的 {type}。")
OPERANDS = Rule(
    "EXPR_OPERANDS", "{op} does not work between {left} and {right}.", "{op} 不能用于 {left} 与 {right} 之间。"
)
OPERAND = Rule("EXPR_OPERAND", "{op} does not work on {type}.", "{op} 不能用于 {type}。")
CONDITION = Rule(
    "EXPR_CONDITION", "A condition is needed here, this is {type}.", "此处需要条件(布尔值),得到的是 {type}。"
)
NULL_GUARD = Rule(
    "EXPR_NULL_GUARD",
    "{what} may be missing, so it cannot be computed with.",
    "{what} 可能为空,不能直接参与计算。",
    hint_en="Guard it: {what} == null || …, or give a substitute: coalesce({what}, …).",
    hint_zh="请先判断:{what} == null || …,或给出替代值:coalesce({what}, …)。",
)
RESULT_NULL = Rule(
    "EXPR_RESULT_NULL",
    "The result may be missing, but a value is needed.",
    "结果可能为空,但此处必须有值。",
    hint_en="Give a substitute: coalesce(…, …).",
    hint_zh="请给出替代值:coalesce(…, …)。",
)
RESULT = Rule("EXPR_RESULT", "The result is {type}, but {wanted} is needed.", "结果是 {type},此处需要 {wanted}。")
RESULT_SCALE = Rule(
    "EXPR_RESULT_SCALE",
    "The result has {scale} decimal places, {wanted} are allowed.",
    "结果有 {scale} 位小数,最多允许 {wanted} 位。",
    hint_en="Say how to round: round(…, {wanted}).",
    hint_zh="请说明修约:round(…, {wanted})。",
)
UNKNOWN_CODE = Rule(
    "EXPR_UNKNOWN_CODE", "'{value}' is not one of its values.", "“{value}” 不是它的取值之一。",
    hint_en="Values: {values}", hint_zh="取值:{values}",
)  # fmt: skip
MIXED = Rule("EXPR_MIXED", "{left} and {right} do not go together here.", "{left} 与 {right} 不能同时出现在此处。")
PERSON = Rule(
    "EXPR_PERSON",
    "user is not a value by itself; name one of its facts.",
    "user 本身不是一个值,请写明其中一项。",
    hint_en="Facts: {facts}",
    hint_zh="可用:{facts}",
)
NO_RECORD = Rule("EXPR_NO_RECORD", "{name} needs a record, there is none here.", "{name} 需要一条记录,此处没有记录。")
NO_OLD = Rule("EXPR_NO_OLD", "There is no earlier version of the record here.", "此处没有变更前的记录,不能使用 old。")
VARIABLE = Rule("EXPR_VARIABLE", "{name} cannot be the name of a list element.", "{name} 不能作为列表元素的名称。")
UNSUPPORTED = Rule("EXPR_UNSUPPORTED", "{what} is not part of the language.", "语言中没有{what}。")

RULES: tuple[Rule, ...] = tuple(value for value in dict(globals()).values() if isinstance(value, Rule))
"""Every kind of finding, for the documentation."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `span` holds 0-based offsets in the expression's source."""

    rule: Rule
    span: Span
    params: tuple[tuple[str, str], ...] = ()
    nearest: str = ""

    @property
    def code(self) -> str:
        return self.rule.code

    def message(self, locale: Locale) -> str:
        text = fill(self.rule.zh if locale == "zh" else self.rule.en, dict(self.params))
        if self.nearest:
            text += f" 是否想写 {self.nearest}?" if locale == "zh" else f" Did you mean {self.nearest}?"
        return text

    def hint(self, locale: Locale) -> str:
        return fill(self.rule.hint_zh if locale == "zh" else self.rule.hint_en, dict(self.params))


class ExpressionError(ClewError):
    """An expression that does not pass. `problems` holds all its findings in the order of the text."""

    code, status = "EXPRESSION", 400
    en, zh = "{what}", "{what}"

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems: tuple[Problem, ...] = tuple(
            sorted(dict.fromkeys(problems), key=lambda each: (each.span.start, each.span.end, each.code))
        )
        super().__init__(what="; ".join(each.message("en") for each in self.problems))

    def message(self, locale: Locale) -> str:
        return "; ".join(each.message(locale) for each in self.problems)

    def hint(self, locale: Locale) -> str:
        return "; ".join(dict.fromkeys(filter(None, (each.hint(locale) for each in self.problems))))


class Undecidable(ClewError):
    """An expression whose facts do not decide it: an overflow, a division by zero, a missing fact, too many steps."""

    code, status = "UNDECIDABLE", 422
    en = "The expression cannot be decided: {why}."
    zh = "表达式无法判定:{why}。"


def problem(rule: Rule, span: Span, nearest: str = "", **params: Any) -> Problem:
    return Problem(rule, span, tuple(sorted((name, str(value)) for name, value in params.items())), nearest)
