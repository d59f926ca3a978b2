"""The sentences of graphql-core and of our own input checks in Chinese.

graphql-core writes English only. A sentence is recognised by its pattern and said again with the same names; what is
not recognised stays as it is, and a test provokes every rule so that this does not happen unnoticed.
"""

from __future__ import annotations

import re

_SENTENCES: tuple[tuple[str, str], ...] = (
    # operations and fragments
    (r"The (\S+) definition is not executable\.", r"定义 \1 不可执行。"),
    (r"The (\w+) operation is not supported by the schema\.", r"此处不支持 \1 操作。"),
    (r"There can be only one operation named (.+)\.", r"操作名 \1 只能出现一次。"),
    (r"This anonymous operation must be the only defined operation\.", "匿名操作必须是文档中唯一的操作。"),
    (r"Anonymous Subscription must select (?:only )?one top level field\.", "匿名订阅只能选择一个顶层字段。"),
    (r"Subscription ('.+') must select (?:only )?one top level field\.", r"订阅 \1 只能选择一个顶层字段。"),
    (r"Anonymous Subscription must not select an introspection top level field\.", "匿名订阅不能选择内省字段。"),
    (r"Subscription ('.+') must not select an introspection top level field\.", r"订阅 \1 不能选择内省字段。"),
    (
        r"(?:Anonymous Subscription|Subscription ('.+')) must not use `@skip` or `@include` directives in the top "
        r"level selection\.",
        "订阅的顶层选择不能使用 `@skip` 或 `@include`。",
    ),
    (r"Unknown type ('.+?')\.", r"未知类型 \1。"),
    (r"Fragment cannot condition on non composite type ('.+?')\.", r"片段的类型条件 \1 不是对象、接口或联合类型。"),
    (
        r"Fragment ('.+?') cannot condition on non composite type ('.+?')\.",
        r"片段 \1 的类型条件 \2 不是对象、接口或联合类型。",
    ),
    (r"There can be only one fragment named ('.+?')\.", r"片段名 \1 只能出现一次。"),
    (r"Unknown fragment ('.+?')\.", r"未知片段 \1。"),
    (r"Fragment ('.+?') is never used\.", r"片段 \1 从未使用。"),
    (
        r"Fragment cannot be spread here as objects of type ('.+?') can never be of type ('.+?')\.",
        r"片段不能用在此处:\1 类型的对象不可能是 \2 类型。",
    ),
    (
        r"Fragment ('.+?') cannot be spread here as objects of type ('.+?') can never be of type ('.+?')\.",
        r"片段 \1 不能用在此处:\2 类型的对象不可能是 \3 类型。",
    ),
    (r"Cannot spread fragment ('.+?') within itself\.", r"片段 \1 包含其自身。"),
    (r"Cannot spread fragment ('.+?') within itself via (.+)\.", r"片段 \1 经由 \2 包含其自身。"),
    # fields
    (r"Cannot query field ('.+?') on type ('.+?')\.", r"类型 \2 没有字段 \1。"),
    (
        r"Field ('.+?') must not have a selection since type ('.+?') has no subfields\.",
        r"字段 \1 的类型 \2 没有子字段,不能再选择。",
    ),
    (r"Field ('.+?') of type ('.+?') must have a selection of subfields\.", r"字段 \1 的类型为 \2,必须选择子字段。"),
    (
        r"Field ('.+?') of type ('.+?') must have at least one field selected\.",
        r"字段 \1 的类型为 \2,至少选择一个字段。",
    ),
    # variables
    (r"There can be only one variable named ('.+?')\.", r"变量 \1 只能声明一次。"),
    (r"Variable ('.+?') is not defined by operation ('.+?')\.", r"操作 \2 没有声明变量 \1。"),
    (r"Variable ('.+?') is not defined\.", r"变量 \1 没有声明。"),
    (r"Variable ('.+?') is never used in (?:operation|fragment) ('.+?')\.", r"变量 \1 在 \2 中从未使用。"),
    (r"Variable ('.+?') is never used\.", r"变量 \1 从未使用。"),
    (r"Variable ('.+?') cannot be non-input type ('.+?')\.", r"变量 \1 的类型 \2 不是输入类型。"),
    (
        r"Variable ('.+?') of type ('.+?') used in position expecting type ('.+?')\.",
        r"变量 \1 的类型为 \2,而此处需要 \3。",
    ),
    (
        r"Variable ('.+?') is of type ('.+?') but must be non-nullable to be used for OneOf Input Object ('.+?')\.",
        r"变量 \1 的类型为 \2,用于 OneOf 输入 \3 时必须非空。",
    ),
    # directives
    (r"Directive ('.+?') may not be used on (\w+)\.", r"指令 \1 不能用在 \2 上。"),
    (r"Unknown directive ('.+?')\.", r"未知指令 \1。"),
    (r"The directive ('.+?') can only be used once at this location\.", r"指令 \1 在此处只能使用一次。"),
    # arguments and input values
    (r"Unknown argument ('.+?') on directive ('.+?')\.", r"指令 \2 没有参数 \1。"),
    (r"Unknown argument ('.+?') on (?:field|fragment) ('.+?')\.", r"\2 没有参数 \1。"),
    (r"There can be only one argument named ('.+?')\.", r"参数 \1 只能出现一次。"),
    (r"There can be only one input field named ('.+?')\.", r"输入字段 \1 只能出现一次。"),
    (r"Argument ('.+?') of type ('.+?') is required, but it was not provided\.", r"缺少必填参数 \1(类型 \2)。"),
    (
        r"Expected value of type ('.+?') to include required field ('.+?'), found: (.+)\.",
        r"类型 \1 的值缺少必填字段 \2,实际为:\3。",
    ),
    (
        r"Expected value of type ('.+?') not to include unknown field ('.+?')(?:, found|\. Found): (.+)\.",
        r"类型 \1 没有字段 \2,实际为:\3。",
    ),
    (r"Expected value of non-null type ('.+?') not to be None\.", r"类型 \1 的值不能为 null。"),
    (r"Expected value of type ('.+?') to be an object, found: (.+)\.", r"类型 \1 的值必须是对象,实际为:\2。"),
    (r"Expected value of type ('.+?'), found: (.+)\.", r"此处需要类型 \1 的值,实际为:\2。"),
    (
        r"Within OneOf Input Object type ('.+?'), exactly one field must be specified, and the value for that field "
        r"must be non-null\.",
        r"类型 \1 必须恰好给出一个字段,且其值不能为 null。",
    ),
    (r"Maximum introspection depth exceeded", "内省查询嵌套过深。"),
    # scalars and enums, also inside another sentence
    (r"(\w+) cannot represent non 32-bit signed integer value: (.+)", r"\1 必须是 32 位整数,实际为:\2"),
    (r"(\w+) cannot represent (?:a )?non[- ](?:string|integer|boolean|numeric)[^:]*: (.+)", r"不是有效的 \1 值:\2"),
    (r"(\w+) cannot represent value: (.+)", r"不是有效的 \1 值:\2"),
    (r"Value '(.+?)' does not exist in '(.+?)' enum\.", r"枚举 '\2' 没有值 '\1'。"),
    (r"Enum '(.+?)' cannot represent non-(?:enum|string) value: (.+?)\.", r"枚举 '\1' 不能取该值:\2。"),
    # our own input checks
    (r"(?:(\w+) )?must be a text", r"\1必须是文本"),
    (r"(?:(\w+) )?must not contain the character NUL", r"\1不能包含 NUL 字符"),
    (r"(?:(\w+) )?is not valid Unicode", r"\1不是有效的 Unicode"),
    (r"(?:(\w+) )?must be an id \(a UUID\)", r"\1必须是标识(UUID)"),
    (r"(?:(\w+) )?must be a whole number of 32 bits", r"\1必须是 32 位整数"),
    (r"(?:(\w+) )?must be a whole number of 64 bits, best given as a text", r"\1必须是 64 位整数,宜以文本给出"),
    (r'(?:(\w+) )?must be a decimal number as a text, such as "12\.50"', r'\1必须是文本形式的小数,例如 "12.50"'),
    (
        r'(?:(\w+) )?must be a decimal number as a text, such as "12\.50", of at most 18 digits',
        r'\1必须是文本形式的小数,例如 "12.50",最多 18 位',
    ),
    (r"(?:(\w+) )?must be true or false", r"\1必须是 true 或 false"),
    (r"(?:(\w+) )?must be a number", r"\1必须是数值"),
    (r"(?:(\w+) )?must be a date such as (\S+)", r"\1必须是日期,例如 \2"),
    (r"(?:(\w+) )?must be a moment with time zone such as (\S+)", r"\1必须是带时区的时刻,例如 \2"),
    (r"(?:(\w+) )?must be a duration such as (\S+)", r"\1必须是时长,例如 \2"),
    (r"must not be null", "不能为 null"),
    (r"must be an object", "必须是对象"),
    (r"is nested too deeply", "嵌套过深"),
    (r"is not known here", "在此处不存在"),
    (r"is required", "必填"),
    (r"must not contain null", "不能包含 null"),
    (r"is not a value of (\w+)", r"不是 \1 的值"),
    (r"must be a list of conditions", "必须是条件列表"),
    (r"must be one of the fields grouped by", "必须是分组所依据的字段之一"),
    (r"cannot be combined with first", "不能与 first 同时使用"),
    (r"must name exactly one field", "必须恰好指明一个字段"),
    (r"must have at most (\d+) terms", r"最多 \1 项"),
    # which operation, and what is too much
    (r"there is none", "文档中没有操作"),
    (r"there are several and operationName is missing", "有多个操作而未给出 operationName"),
    (r"there is none named (.+)", r"没有名为 \1 的操作"),
    (r"__typename is not a mutation", "__typename 不是变更操作"),
    (r"only queries are answered here", "此处只接受查询"),
    (r"subscribe over a socket", "订阅请使用 WebSocket"),
    (r"there is no query", "没有 query"),
    (r"characters", "字符数"),
    (r"tokens", "词元数"),
    (r"levels", "嵌套层数"),
    (r"fields", "字段数"),
    (r"aliases", "别名数"),
    (r"cost", "开销"),
    (r"definitions", "定义数"),
    (r"conditions", "条件数"),
    (r"directives", "指令数"),
    (r"repetitions of a field", "同一字段的重复次数"),
    (r"repetitions of fields", "重复字段的配对数"),
    (r"too many", "过多"),
    # the shape of the text
    (r"Syntax Error: Expected (.+), found (.+)\.", r"语法错误:此处应为 \1,实际为 \2。"),
    (r"Syntax Error: Unexpected variable (.+) in constant value\.", r"语法错误:常量中不能使用变量 \1。"),
    (r"Syntax Error: Unexpected description, .+", "语法错误:此处不能有描述。"),
    (r"Syntax Error: Unexpected '\.\.', did you mean '\.\.\.'\?", "语法错误:此处不应出现 '..',是否想用 '...'?"),
    (r"Syntax Error: Unexpected character: (.+)\.", r"语法错误:此处不应出现字符 \1。"),
    (r"Syntax Error: Unexpected single quote character .+", "语法错误:不能使用单引号,是否想用双引号?"),
    (r"Syntax Error: Unexpected (.+)\.", r"语法错误:此处不应出现 \1。"),
    (r"Syntax Error: Unterminated string\.", "语法错误:字符串没有结束。"),
    (r"Syntax Error: Invalid number, expected digit but got: (.+)\.", r"语法错误:数字无效,此处应为数位,实际为 \1。"),
    (r"Syntax Error: Invalid number, .*", "语法错误:数字无效。"),
    (r"Syntax Error: Invalid Unicode escape sequence: (.+)\.", r"语法错误:无效的 Unicode 转义 \1。"),
    (r"Syntax Error: Invalid character escape sequence: (.+)\.", r"语法错误:无效的转义 \1。"),
    (r"Syntax Error: Invalid character(?: within String)?: (.+)\.", r"语法错误:无效字符 \1。"),
    (r"Syntax Error: Document is nested too deeply\. Parsing aborted\.", "语法错误:嵌套过深。"),
)

_TABLE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), chinese) for pattern, chinese in _SENTENCES
)
_SUGGESTION = re.compile(r"(.+?)\.? Did you mean (.+?)\?(?P<rest> Found: .*)?", re.DOTALL)
_INNER = re.compile(r"Expected value of type ('.+?'), but encountered error '(.+)'; found: (.+)\.", re.DOTALL)
_CONFLICT = re.compile(r"Fields ('.+?') conflict because (.+)\. Use different aliases on the fields to fetch both .*")
_CONFLICT_WORDS: tuple[tuple[str, str], ...] = (
    (r"subfields ('.+?') conflict because ", r"子字段 \1 冲突,因为"),
    (r"('\S+?') and ('\S+?') are different fields", r"\1 与 \2 是不同的字段"),
    (r"they have differing arguments", "参数不同"),
    (r"they return conflicting types ('.+?') and ('.+?')", r"返回类型 \1 与 \2 冲突"),
    (r" and ", ";且"),
)
_SUGGESTED: tuple[tuple[str, str], ...] = (
    (r"^to use an inline fragment on ", "针对类型的内联片段 "),
    (r"^the enum value ", "枚举值 "),
    (r",? or ", " 或 "),
)


_TOKENS = {
    "<EOF>": "文档结尾", "Name": "名称", "Int": "整数", "Float": "小数", "String": "字符串", "BlockString": "字符串",
    "Comment": "注释",
}  # fmt: skip
_TOKEN = re.compile("(?<=此处应为 |不应出现 |,实际为 )(" + "|".join(_TOKENS) + r")(?![\w'])")
"""What graphql-core calls the kinds of signs that a text consists of."""


def in_chinese(text: str) -> str:
    """The sentence in Chinese, with its names; unchanged when it is not one of ours or of graphql-core."""
    for found, say in ((_INNER.fullmatch(text), _inner), (_CONFLICT.fullmatch(text), _conflict)):
        if found:
            return say(found)
    suggested = _SUGGESTION.fullmatch(text)
    if suggested:
        body = suggested[1] + (f".{suggested['rest']}" if suggested["rest"] else ".")
        return f"{in_chinese(body)}是否想用 {_words(suggested[2], _SUGGESTED)}?"
    for pattern, chinese in _TABLE:
        match = pattern.fullmatch(text)
        if match:
            return _filled(match, chinese)
    return text


def _filled(match: re.Match[str], chinese: str) -> str:
    """A name at the very beginning of a Chinese sentence is followed by a space."""
    said = match.expand(chinese)
    if chinese.startswith("语法错误"):
        return _TOKEN.sub(lambda token: _TOKENS[token[1]], said)
    return f"{match[1]} {said[len(match[1]) :]}" if chinese.startswith(r"\1必") and match[1] else said


def _inner(match: re.Match[str]) -> str:
    return f"此处需要类型 {match[1]} 的值:{in_chinese(match[2]).rstrip('。')};实际为:{match[3]}。"


def _conflict(match: re.Match[str]) -> str:
    return f"字段 {match[1]} 冲突,因为{_words(match[2], _CONFLICT_WORDS)}。若需要两者,请使用不同的别名。"


def _words(text: str, table: tuple[tuple[str, str], ...]) -> str:
    for pattern, chinese in table:
        text = re.sub(pattern, chinese, text)
    return text
