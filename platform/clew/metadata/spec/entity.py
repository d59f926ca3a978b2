"""The keys of an entity and of what stands inside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from clew.metadata.spec.field import AnyField, TightenedField
from clew.metadata.spec.others import ActiveSpec
from clew.metadata.spec.words import (
    Expression,
    Flag,
    Label,
    Literal_,
    Name,
    OneOrMany,
    Path,
    Spec,
    Text,
    Whole,
    doc,
    listed_or_inline,
    named_or_inline,
)

Meaning = Literal["authorship", "review", "approval", "verification", "release", "responsibility", "witness"]


class NumberRule(Spec):
    rule: Name = doc("The coding rule that makes it.", "编码规则。")


class RetentionSpec(Spec):
    years: Annotated[Whole, Field(ge=1, le=200), Tag("named")] | Annotated[Literal["forever"], Tag("text")] = Field(
        discriminator=Discriminator(lambda value: "text" if isinstance(value, str) else "named"),
        description="Years to keep, or forever. 保存年限,或 forever。",
    )
    after: Name | None = doc("The date it counts from.", "起算日期字段。", default=None)
    basis: Text = doc("The clause that demands it.", "依据条款。", default="")


class TransitionSpec(Spec):
    sources: OneOrMany = doc("The state or states it leaves.", "起始状态。", alias="from")
    to: Name = doc("The state it reaches.", "到达状态。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    when: Expression | None = doc("Allowed only when this holds.", "前提条件。", default=None)
    say: Label | None = doc("What to tell a person when it does not hold.", "条件不满足时的提示。", default=None)
    sign: Meaning | None = doc("Meaning of the electronic signature it takes.", "所需电子签名的含义。", default=None)
    reason: Literal["required"] | None = doc("A reason must be given.", "须填写原因。", default=None)
    sets: dict[Name, Literal_] = doc("Fields it sets.", "所设置的字段。", default={})
    moved_by: Name | None = doc("The process that makes this move.", "执行此迁移的流程。", default=None)
    protects: Flag = doc(
        "It takes something out of use, such as a block or a recall: what the record lacked before, or which of its "
        "rules it broke, is told and stops nothing.",
        "使其停用的迁移(如冻结、召回):记录此前缺少的必填内容、此前不符合的规则只提示,不阻止。",
        default=False,
    )


class UniqueSpec(Spec):
    fields: OneOrMany = doc("Fields that are unique together.", "联合唯一的字段。")
    while_: Expression | None = doc(
        "Only records for which this holds.", "仅限满足条件的记录。", alias="while", default=None
    )
    ignore_case: Flag = doc("Upper and lower case are the same.", "不区分大小写。", default=False)


class NoOverlapSpec(Spec):
    range: tuple[Name, Name] = doc("The fields that begin and end the range.", "区间的起止字段。")
    per: OneOrMany = doc("Only records equal in these.", "仅比较这些字段相同的记录。", default=())
    while_: Expression | None = doc(
        "Only records for which this holds.", "仅限满足条件的记录。", alias="while", default=None
    )


class AcyclicSpec(Spec):
    from_: Path | None = doc("Path to the beginning of the edge.", "边的起点路径。", alias="from", default=None)
    to: Path = doc("Path to the end of the edge.", "边的终点路径。")
    while_: Expression | None = doc(
        "Only records for which this holds.", "仅限满足条件的记录。", alias="while", default=None
    )


class RuleSpec(Spec):
    require: Expression | None = doc("Must hold.", "必须成立。", default=None)
    forbid: Expression | None = doc("Must not hold.", "不得成立。", default=None)
    name: Name | None = doc("A name for it.", "规则名称。", default=None)
    fields: OneOrMany = doc("The fields to point at.", "所指向的字段。", default=())
    say: Label | None = doc("What to tell a person.", "提示文字。", default=None)
    warn: Flag = doc("Reported, not refused.", "仅提示,不拒绝。", default=False)
    openly: Flag = doc(
        "Told in its own words also to who may not see all that it reads.",
        "对无权查看所涉全部内容的人也照原文提示。",
        default=False,
    )
    active: ActiveSpec | None = doc("Where and since when it is in force.", "生效的场所与日期。", default=None)


class PostingSpec(Spec):
    to: Name = doc("The balance entity.", "余额实体。")
    when: Expression | None = doc("Only when this holds.", "仅在满足条件时。", default=None)
    key_: dict[Name, Literal_] = doc("Which row of the balance.", "余额的哪一行。", alias="key")
    add: dict[Name, Literal_] = doc("What is added to which field.", "向哪些字段累加什么。")


class BelongsSpec(Spec):
    site: Path | None = doc("Path to its site.", "通向所属工厂的路径。", default=None)
    family: Path | None = doc("Path to its product family.", "通向所属产品族的路径。", default=None)


def _fields_only(value: object) -> object:
    return {"fields": value} if isinstance(value, list) else value


States = Annotated[
    Annotated[tuple[Name, ...], Tag("listed")] | Annotated[dict[Name, Label | None], Tag("inline")],
    Discriminator(listed_or_inline),
]
NumberFrom = Annotated[
    Annotated[Text, Tag("named")] | Annotated[NumberRule, Tag("inline")], Discriminator(named_or_inline)
]
AnyUnique = Annotated[UniqueSpec, BeforeValidator(_fields_only, json_schema_input_type=UniqueSpec | list[str])]


class Constraints(Spec):
    """What both an entity and an overlay may add."""

    unique: tuple[AnyUnique, ...] = doc("Fields that are unique together.", "联合唯一。", default=())
    no_overlap: tuple[NoOverlapSpec, ...] = doc("Ranges that must not overlap.", "不得重叠的区间。", default=())
    acyclic: tuple[AcyclicSpec, ...] = doc("Relations that must not come back.", "不得成环的关系。", default=())
    index: tuple[OneOrMany, ...] = doc("Fields often searched together.", "常一起查询的字段。", default=())
    rules: tuple[RuleSpec, ...] = doc("What every record must satisfy.", "每条记录须满足的规则。", default=())
    posts: tuple[PostingSpec, ...] = doc("Balances each new record adds to.", "新记录累加到的余额。", default=())


class EntitySpec(Constraints):
    entity: Name = doc("The entity's name.", "实体名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    plural: Name | None = doc("Plural of the name, where English needs one.", "名称的复数形式。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    system: Text = doc("The system it comes from.", "来源系统。", default="")
    steward: Name | None = doc("The role that answers for the data.", "数据负责角色。", default=None)
    class_: Literal["master", "transaction", "record"] = doc(
        "master, transaction or record.", "主数据、业务单据或记录。", alias="class", default="transaction"
    )
    scope: Literal["site", "group"] = doc(
        "site: each record belongs to one site.", "site:按工厂隔离。", default="group"
    )
    belongs_to: BelongsSpec | None = doc(
        "Whose it is where a role is limited to sites or product families.",
        "角色限于工厂或产品族时,记录的归属。",
        default=None,
    )
    number: NumberFrom | None = doc("Pattern of the business number.", "业务编号的模式。", default=None)
    key: OneOrMany = doc("The business key.", "业务主键。", default=())
    title: Expression | None = doc("Names a record to a person.", "记录的显示标题。", default=None)
    part_of: Name | None = doc("The owner of this line entity.", "所属的主实体。", default=None)
    per_site: dict[Name, AnyField] = doc("Values that differ by site.", "按工厂不同的值。", default={})
    derived: Flag = doc("Rows come only from postings.", "仅由过账产生。", default=False)
    frozen_from: Name | None = doc("From this state on it cannot be changed.", "自该状态起不可修改。", default=None)
    retention: RetentionSpec | None = doc("How long it is kept.", "保存期限。", default=None)
    renamed_from: OneOrMany = doc("Earlier name whose data it keeps.", "沿用旧名称的数据。", default=())
    moved_by: Name | None = doc("The process that moves its states.", "推动状态的流程。", default=None)
    thread: OneOrMany = doc(
        "References whose record it follows from: it goes on that record's thread. The first that is filled in counts.",
        "所承接记录的引用字段:沿用该记录的线索;以第一个已填写的为准。",
        default=(),
    )
    fields: dict[Name, AnyField] = doc("Its fields.", "字段。", default={})
    states: States = doc("Its states, the first is the initial one.", "状态,第一个为初始状态。", default=())
    transitions: dict[Name, TransitionSpec] = doc("Moves between states.", "状态迁移。", default={})


class OverlaySpec(Constraints):
    entity: Name = doc("The entity that is extended.", "被扩展的实体。")
    overlay: Literal[True] = doc("Says that this extends an entity.", "表示扩展已有实体。")
    fields: dict[Name, OverlayField] = doc("New fields, or tighter ones.", "新增或收紧的字段。", default={})


def _new_or_tighter(value: object) -> str:
    return "new" if isinstance(value, dict) and "type" in value else "tighter"


OverlayField = Annotated[
    Annotated[AnyField, Tag("new")] | Annotated[TightenedField, Tag("tighter")], Discriminator(_new_or_tighter)
]
OverlaySpec.model_rebuild()
