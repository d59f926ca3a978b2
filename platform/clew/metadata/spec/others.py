"""The keys of clew.yaml, code lists, coding rules and label files."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from clew.kernel.scalars import parse_date
from clew.metadata.spec.identity import IdentitySpec
from clew.metadata.spec.words import CodeName, Flag, Label, Name, OneOrManyText, Spec, Text, doc


def _date(value: Any) -> str:
    try:
        return parse_date(value).isoformat()
    except (TypeError, ValueError):
        raise PydanticCustomError("date_type", "not a date") from None


def _label_or_more(value: Any) -> Any:
    """`minor: {zh: …}` is short for `minor: {label: {zh: …}}`."""
    if value is None:
        return {}
    if isinstance(value, dict) and value and set(value) <= {"zh", "en"}:
        return {"label": value}
    return value


Date = Annotated[str, BeforeValidator(_date), Field(json_schema_extra={"format": "date"})]


class ActiveSpec(Spec):
    """Switching on site by site: outside of this, what carries it does not exist."""

    sites: OneOrManyText = doc("Keys of the sites where it is in force.", "生效场所的代码。", default=())
    from_: Date | None = doc("First day it is in force.", "生效日期。", alias="from", default=None)


class PluginActionSpec(Spec):
    plugin: Name = doc("The plugin that does it.", "执行动作的插件。")
    for_: Name = doc("The entity it is about.", "所针对的实体。", alias="for")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    writes: tuple[Name, ...] | None = doc(
        "The only fields of that record it may write; left out: any.",
        "只可写入该记录的这些字段;缺省为任意字段。",
        default=None,
    )
    makes: tuple[Text, ...] | None = doc(
        "The only entities it makes records of, and moves (`entity.transition`); left out: any, and no map shows them.",
        "只可新建这些实体的记录,或作这些迁移(`实体.迁移`);缺省为任意,流程图不显示。",
        default=None,
    )


NoticeKind = Literal[
    "task", "added", "transfer", "returned", "alert", "legal", "urge", "copy", "mention", "notice", "incident",
    "standing_alert", "review_due_soon", "review_overdue",
]  # fmt: skip


class ChannelSpec(Spec):
    plugin: Name = doc("The plugin that carries the notices.", "发送通知的插件。")
    about: tuple[NoticeKind, ...] = doc(
        "Kinds of notices it carries; empty: all.", "所发送的通知种类,空为全部。", default=()
    )


class ProjectSpec(Spec):
    project: Name = doc("The project's name.", "项目名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    version: Text = doc("Version of the project, in quotes if it looks like a number.", "项目版本。", default="0.1.0")
    locale: Literal["zh", "en"] = doc("Default language.", "默认语言。", default="zh")
    time_zone: Text = doc("IANA time zone.", "时区。", default="UTC")
    company: Text = doc("The company's name.", "公司名称。", default="")
    identity: IdentitySpec | None = doc(
        "Which records are people, roles given, positions.", "哪些记录是人员、授权与岗位。", default=None
    )
    actions: dict[Name, PluginActionSpec] = doc(
        "What plugins do in automatic steps (`run`).", "自动步骤中由插件执行的动作(`run`)。", default={}
    )
    channels: dict[Name, ChannelSpec] = doc(
        "How plugins carry notices to people, beside the application.",
        "除系统内通知外,由插件发送通知的通道。",
        default={},
    )
    overlays: tuple[Text, ...] = doc("Folders below overlays/, in order.", "overlays/ 下的文件夹,按顺序。", default=())


class CodeSpec(Spec):
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    from_: Date | None = doc("First day it may be used.", "启用日期。", alias="from", default=None)
    to: Date | None = doc("Last day it may be used.", "停用日期。", default=None)


AnyCode = Annotated[CodeSpec, BeforeValidator(_label_or_more, json_schema_input_type=CodeSpec | Label)]


class CodeListSpec(Spec):
    code_list: Name = doc("The list's name.", "代码表名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    values: dict[CodeName, AnyCode] = doc("The codes.", "代码。")


class CodingRuleSpec(Spec):
    coding_rule: Name = doc("The rule's name.", "编码规则名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    pattern: Text = doc("Text, {field.path}, {yyyy} {yy} {MM} {dd}, {seq:width}.", "文字、{字段}、日期与 {seq:宽度}。")
    gap_free: Flag = doc("Numbers are never skipped.", "不跳号。", default=False)


class LabelsSpec(Spec):
    labels: Literal["zh", "en"] = doc("The language of this file.", "本文件的语言。")
    texts: dict[str, Text] = doc("Name of the thing: its label.", "对象名称:标签。")
