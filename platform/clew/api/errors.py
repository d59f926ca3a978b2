"""What the GraphQL door refuses, each with its code."""

from __future__ import annotations

from clew.api.messages import in_chinese
from clew.kernel.errors import BadInput, ClewError
from clew.kernel.text import Locale

_SENTENCES = ("what", "why", "count")


class Explained(BadInput):
    """Carries a sentence of graphql-core or of an input check, said in the caller's language."""

    def params_in(self, locale: Locale) -> dict[str, object]:
        found = super().params_in(locale)
        if locale == "zh":
            found.update({name: in_chinese(str(found[name])) for name in _SENTENCES if name in found})
        return found


class NotParsed(Explained):
    code = "GRAPHQL_SYNTAX"
    en = "{what}"
    zh = "{what}"


class NotValid(Explained):
    """The document does not fit the schema the caller sees."""

    code = "GRAPHQL_INVALID"
    en = "{what}"
    zh = "{what}"


class NoOperation(Explained):
    code = "GRAPHQL_OPERATION"
    en = "The document does not say which operation to run: {what}"
    zh = "无法确定要执行的操作:{what}"


class BadRequestBody(Explained):
    code = "GRAPHQL_REQUEST"
    en = "The request is not a GraphQL request: {what}"
    zh = "该请求不是有效的 GraphQL 请求:{what}"


class BatchRefused(BadInput):
    code = "GRAPHQL_BATCH"
    en = "Send one operation per request."
    zh = "每个请求只能包含一个操作。"


class TooLarge(Explained):
    """The document is larger, deeper or dearer than allowed. Said before anything is validated."""

    code = "GRAPHQL_LIMIT"
    en = "The query has {what} {count}; at most {limit} are allowed."
    zh = "查询的{what}为 {count},最多允许 {limit}。"
    hint_en = "Ask for smaller pages or split the query."
    hint_zh = "请减小分页或拆分查询。"


class FragmentCycle(BadInput):
    code = "GRAPHQL_CYCLE"
    en = "The fragment {name} contains itself."
    zh = "片段 {name} 包含其自身。"


class DiscoveryOff(BadInput):
    code = "GRAPHQL_DISCOVERY_OFF"
    en = "Introspection is switched off here."
    zh = "此处已关闭内省查询。"
    hint_en, hint_zh = "Use the schema file: clew schema --graphql", "请使用 clew schema --graphql 导出的文件"


class UnknownDocument(BadInput):
    code = "GRAPHQL_UNKNOWN_DOCUMENT"
    en = "Only known documents are accepted here."
    zh = "此处仅接受已登记的查询文档。"


class BadVariable(Explained):
    code = "BAD_INPUT"
    en = "{where}: {why}"
    zh = "{where}:{why}"


class BadPage(BadInput):
    code = "BAD_PAGE"
    en = "{name} must be a whole number from 0 to {limit}."
    zh = "{name} 必须是 0 到 {limit} 之间的整数。"


class BadCursor(BadInput):
    code = "BAD_CURSOR"
    en = "This cursor does not belong to this list and order."
    zh = "该游标不属于此列表及排序。"


class NameClash(ClewError):
    """Two things would get the same name in the API."""

    code, status = "API_NAME_CLASH", 500
    en = "The name {name} would mean both {first} and {second}."
    zh = "名称 {name} 同时指向{first}与{second}。"
    hint_en, hint_zh = "Rename one of them, or give it another plural.", "请重命名其中之一,或指定其他复数形式。"
