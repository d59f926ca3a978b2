"""The keys of permissions/*.yaml: roles with what they may and never may, separations of duties, policy tests."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from clew.metadata.spec.entity import Meaning
from clew.metadata.spec.others import ActiveSpec
from clew.metadata.spec.words import NAME_PATTERN, Label, Name, OneOrMany, OneOrManyText, Path, Spec, Text, doc

ALWAYS = "always"
ANYTHING = "*"
_ENTITY = re.compile(NAME_PATTERN)

ACTIONS = ("read", "create", "update", "void", "correct", "export", "audit")
"""What a role may do with records of an entity, besides moving them by transitions."""

Administered = Literal["accounts", "assignments", "connectors", "releases", "reviews", "jobs", "audit", "identities"]
"""What of the platform itself a role looks after."""


def _entity_or_all(value: Any) -> str:
    if value == ANYTHING:
        return ANYTHING
    if not isinstance(value, str) or not _ENTITY.fullmatch(value) or "__" in value or value.endswith("_"):
        raise PydanticCustomError("bad_name", "bad name", {"name": str(value)})
    return value


def _conditions(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _moves_form(value: Any) -> str:
    if isinstance(value, dict):
        return "inline"
    return "listed" if isinstance(value, list | tuple) else "named"


EntityOrAll = Annotated[str, BeforeValidator(_entity_or_all, json_schema_input_type=str)]
Conditions = Annotated[
    Annotated[tuple[Text, ...], Field(min_length=1)],
    BeforeValidator(_conditions, json_schema_input_type=str | list[str]),
]
"""`always`, one condition, or several of which any may hold."""
Moves = Annotated[
    Annotated[Literal["always"], Tag("named")]
    | Annotated[tuple[Name, ...], Tag("listed")]
    | Annotated[dict[Name, Conditions], Tag("inline")],
    Discriminator(_moves_form),
]
"""Transitions: `always` for all of them, a list of names, or a condition for each."""


class ProcessSpec(Spec):
    """Actions on a process, each `always` or under a condition over the record that it is about."""

    start: Conditions | None = doc("About which records it may be begun.", "可就哪些记录发起。", default=None)
    cancel: Conditions | None = doc(
        "About which records its instances may be cancelled, suspended and resumed.",
        "可取消、暂停和恢复哪些记录的流程实例。",
        default=None,
    )
    oversee: Conditions | None = doc(
        "About which records its instances are seen without a part in them.",
        "未参与时可查看哪些记录的流程实例。",
        default=None,
    )


class ActionsSpec(Spec):
    """Actions on records of one entity, each `always` or under a condition."""

    read: Conditions | None = doc("Which records are seen.", "可查看哪些记录。", default=None)
    create: Conditions | None = doc("Which records may be made.", "可新建哪些记录。", default=None)
    update: Conditions | None = doc("Which records may be changed.", "可修改哪些记录。", default=None)
    void: Conditions | None = doc("Which records may be declared void.", "可作废哪些记录。", default=None)
    correct: Conditions | None = doc("Which frozen records may be corrected.", "可更正哪些已定稿记录。", default=None)
    export: Conditions | None = doc("Which records may be exported.", "可导出哪些记录。", default=None)
    audit: Conditions | None = doc(
        "Whose history and trail are seen.", "可查看哪些记录的历史与审计追踪。", default=None
    )
    do: Moves | None = doc("Transitions.", "状态迁移。", default=None)
    processes: dict[Name, ProcessSpec] = doc("Processes about these records.", "针对这些记录的流程。", default={})


class MaySpec(ActionsSpec):
    hide: OneOrMany = doc("Fields that do not exist for the role.", "对该角色不存在的字段。", default=())
    mask: dict[Name, Conditions] = doc(
        "Fields shown only where a condition holds.", "仅在条件成立时显示的字段。", default={}
    )
    show: OneOrMany | None = doc("Only these fields exist for the role.", "仅这些字段对该角色存在。", default=None)
    write: OneOrMany | None = doc(
        "Only these fields may be written; every visible one when left out.",
        "仅可填写这些字段;省略时为全部可见字段。",
        default=None,
    )


class NeverSpec(ActionsSpec):
    hide: OneOrMany = doc(
        "Fields that stay hidden whatever other roles show.", "无论其他角色如何均隐藏的字段。", default=()
    )
    write: OneOrMany = doc("Fields that may never be written.", "永不可填写的字段。", default=())
    active: ActiveSpec | None = doc("Where and since when this is forbidden.", "禁止生效的场所与日期。", default=None)


Said = Literal["always", "never"]


class ConnectorSpec(Spec):
    """Actions on a connector, each `always`, or `never` whatever other roles allow."""

    read: Said | None = doc(
        "Seeing its state, its runs and what is parked.", "查看其状态、运行记录与暂存的消息。", default=None
    )
    run: Said | None = doc("Beginning a run.", "启动运行。", default=None)
    administer: Said | None = doc(
        "Setting it up, switching it on and off, deciding about what is parked.",
        "设置、启停,并处理暂存的消息。",
        default=None,
    )


class RoleSpec(Spec):
    role: Name = doc("The role's name.", "角色名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    inherits: OneOrMany = doc("Roles whose grants it has too.", "继承其授权的角色。", default=())
    kind: Literal["person", "service", "external"] = doc(
        "Whom it may be given to.", "可授予何种账号。", default="person"
    )
    sites: Literal["own", "all"] = doc(
        "own: only records of the sites that the assignment names.", "own:仅限任命所列工厂的记录。", default="all"
    )
    families: Literal["own", "all"] = doc(
        "own: only records of the product families that the assignment names.",
        "own:仅限任命所列产品族的记录。",
        default="all",
    )
    signs: tuple[Meaning, ...] = doc("Signature meanings its holder may give.", "可签署的签名含义。", default=())
    may: dict[EntityOrAll, MaySpec] = doc(
        "What it may do, by entity; * is every entity not named.", "按实体的授权;* 表示未列出的全部实体。", default={}
    )
    never: dict[EntityOrAll, NeverSpec] = doc(
        "What it forbids, whatever other roles allow.", "无论其他角色如何均禁止的操作。", default={}
    )
    connectors: dict[EntityOrAll, ConnectorSpec] = doc(
        "What it may do with connectors; * is every one not named.",
        "对连接器的授权;* 表示未列出的全部连接器。",
        default={},
    )
    administer: tuple[Administered, ...] = doc("What of the platform it looks after.", "可管理的平台事项。", default=())
    active: ActiveSpec | None = doc("Where and since when it is in force.", "生效的场所与日期。", default=None)


class DutySpec(Spec):
    of: Name = doc("The entity that is acted on.", "所操作的实体。")
    do: OneOrMany = doc("Actions or transitions that are this duty.", "构成该职责的操作或状态迁移。")
    about: Path | None = doc(
        "Path to the record the duty is about; the record itself when left out.",
        "通向职责所涉记录的路径;省略时为记录本身。",
        default=None,
    )


class SeparationSpec(Spec):
    separation: Name = doc("The separation's name.", "职责分离名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    roles: tuple[OneOrMany, ...] = doc(
        "Groups of roles; nobody holds roles of two groups.", "角色组;任何人不得同时持有两组中的角色。", default=()
    )
    duties: dict[Name, tuple[DutySpec, ...]] = doc(
        "Duties of which nobody performs two on the same record.",
        "同一人不得对同一记录履行其中两项的职责。",
        default={},
    )
    source: Text = doc("The clause that demands it.", "依据条款。", default="")
    active: ActiveSpec | None = doc("Where and since when it is in force.", "生效的场所与日期。", default=None)
    renamed_from: OneOrMany = doc("Earlier name whose ledger it keeps.", "沿用旧名称的职责台账。", default=())


class AsSpec(Spec):
    roles: OneOrMany = doc("The roles the person holds.", "该人员持有的角色。")
    sites: Literal["own", "all"] = doc(
        "own: each role for one site; all: for every site.", "own:各角色限一个工厂;all:所有工厂。", default="own"
    )
    families: Literal["own", "all"] = doc(
        "own: each role for one product family; all: for every one.",
        "own:各角色限一个产品族;all:所有产品族。",
        default="own",
    )


Reason = Literal["no_grant", "condition", "never", "site", "family", "hidden", "masked", "separation"]


class CaseSpec(Spec):
    try_: Text | None = doc(
        "What is tried: entity.action or entity.transition.",
        "尝试的操作:实体.操作 或 实体.状态迁移。",
        alias="try",
        default=None,
    )
    read: Text | None = doc("What is read: entity or entity.field.", "读取:实体 或 实体.字段。", default=None)
    write: Text | None = doc("The field that is written: entity.field.", "填写的字段:实体.字段。", default=None)
    connector: Text | None = doc(
        "What is tried on a connector: connector.action.", "对连接器的尝试:连接器.操作。", default=None
    )
    assign: Name | None = doc("The role that is given to the person as well.", "再授予该人员的角色。", default=None)
    given: dict[str, Any] = doc("The record, as far as conditions ask for it.", "条件所需的记录内容。", default={})
    already: OneOrManyText = doc(
        "What the person has done about the same subject: entity.action or entity.transition.",
        "该人员已就同一对象做过的事:实体.操作 或 实体.状态迁移。",
        default=(),
    )
    site: Literal["own", "other"] = doc(
        "Whether the record is of the person's site.", "记录是否属于本人工厂。", default="own"
    )
    family: Literal["own", "other"] = doc(
        "Whether the record is of the person's product family.", "记录是否属于本人产品族。", default="own"
    )
    expect: Literal["allow", "deny", "shown", "masked", "hidden"] = doc("What must come out.", "应有的结果。")
    because: Reason | None = doc("Why it is refused.", "拒绝的原因。", default=None)
    separation: Name | None = doc("The separation that refuses it.", "作出拒绝的职责分离。", default=None)


class PolicyTestSpec(Spec):
    policy_test: Name = doc("The test's name.", "策略测试名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    as_: AsSpec = doc("Who tries.", "由谁尝试。", alias="as")
    cases: tuple[CaseSpec, ...] = doc("What is tried and what must come out.", "尝试的内容与应有结果。", min_length=1)
