"""The keys of a workflow: its beginnings, its steps, who does them, by when, and what happens with them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from clew.metadata.spec.entity import Meaning
from clew.metadata.spec.others import ActiveSpec
from clew.metadata.spec.words import (
    Expression,
    Flag,
    Label,
    Literal_,
    Name,
    OneOrMany,
    OneOrManyText,
    Path,
    Spec,
    Text,
    Whole,
    doc,
    listed_or_inline,
)

_LIMIT = re.compile(r"([1-9]\d{0,4}) (wh|wd|cd|h)")
_SHARE = re.compile(r"([1-9]\d{0,2})%")
_BY = re.compile(r"(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])|[1-9]|[12]\d|3[01]")
UNITS = ("wh", "wd", "cd", "h")


def _limit(value: Any) -> str:
    if not isinstance(value, str) or not _LIMIT.fullmatch(value):
        raise PydanticCustomError("limit_type", "not a time limit")
    return value


def limit_of(text: str) -> tuple[int, str]:
    """`4 wh` as amount and unit."""
    match = _LIMIT.fullmatch(text)
    assert match
    return int(match[1]), match[2]


def _moment(value: Any) -> str:
    if value == "late" or (isinstance(value, str) and (match := _SHARE.fullmatch(value)) and int(match[1]) <= 500):
        return str(value)
    raise PydanticCustomError("share_type", "not a share of the time limit")


def share_of(text: str) -> int:
    """`80%` as 80; `late` is 100."""
    return 100 if text == "late" else int(text[:-1])


def _enough(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, int) and value < 1):
        raise PydanticCustomError("enough_type", "not a number of votes")
    return value


def _who(value: Any) -> Any:
    """A role, or several, are short for a mapping."""
    if isinstance(value, str):
        return {"role": [value]}
    return {"role": value} if isinstance(value, list) else value


def _next(value: Any) -> Any:
    return {"any": value} if isinstance(value, str) else value


LimitText = Annotated[str, BeforeValidator(_limit), Field(json_schema_extra={"examples": ["4 wh", "5 wd", "7 cd"]})]
Share = Annotated[str, BeforeValidator(_moment)]
Enough = Annotated[Any, BeforeValidator(_enough, json_schema_input_type=int | str)]


class WhoSpec(Spec):
    role: OneOrMany = doc("Anybody who holds one of these roles.", "持有任一角色的人。", default=())
    position: OneOrManyText = doc("Anybody in one of these positions.", "任一岗位上的人。", default=())
    person: Expression | None = doc("A person the record names.", "记录所指的人。", default=None)
    manager_of: Expression | None = doc(
        "The manager of a person the record names.", "记录所指之人的上级。", default=None
    )
    starter: Flag = doc("Whoever started the process.", "流程发起人。", default=False)
    actor_of: Name | None = doc("Whoever did an earlier step.", "前面某步骤的办理人。", default=None)
    least_loaded: Flag = doc("Of these the one with fewest open tasks.", "其中待办最少的人。", default=False)
    qualified_for: Expression | None = doc(
        "Only those with valid training in this course.", "仅限该课程培训有效的人。", default=None
    )


AnyWho = Annotated[WhoSpec, BeforeValidator(_who, json_schema_input_type=WhoSpec | str | list[str])]


class ApprovalSpec(Spec):
    posts: OneOrMany = doc("One vote for each of these roles.", "每个角色一票。")
    also: dict[Name, Expression] = doc("A further role while a condition holds.", "满足条件时另加的角色。", default={})
    enough: Enough | None = doc(
        "Votes needed: a number, a share such as 60%, or an expression.",
        "所需票数:数字、比例(如 60%)或表达式。",
        default=None,
    )
    all_when: Expression | None = doc("Everybody must agree while this holds.", "满足条件时须全体同意。", default=None)
    must: OneOrMany = doc("Roles that must be among those who agree.", "必须同意的角色。", default=())
    veto: OneOrMany = doc("Roles whose refusal decides at once.", "一票否决的角色。", default=())
    among: Name | None = doc(
        "Only those of them who hold this role as well, such as the membership of a board.",
        "仅限同时担任该角色(如委员会成员)的人。",
        default=None,
    )
    once: Flag = doc(
        "Who has agreed once is not asked again for another post.", "同一人已同意的不再重复审批。", default=False
    )


class OutcomeSpec(Spec):
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    against: Flag = doc("It is a vote against.", "表示反对。", default=False)
    comment: Literal["required"] | None = doc("A comment must be given.", "须填写意见。", default=None)


class GuardSpec(Spec):
    when: Expression = doc("What must hold.", "必须成立的条件。")
    say: Label | None = doc("What to tell a person when it does not.", "不成立时的提示。", default=None)


class ActionSpec(Spec):
    set: dict[Name, Literal_] = doc("Fields of this record that are set.", "写入本记录的字段。", default={})
    create: Name | None = doc("The entity of which a record is made.", "要新建记录的实体。", default=None)
    with_: dict[Name, Literal_] = doc("Its values.", "其字段值。", alias="with", default={})
    move: Name | None = doc("A transition that is made.", "要执行的状态迁移。", default=None)
    of: Path | None = doc(
        "The relation whose records are meant, instead of this record.", "所指的关联记录。", default=None
    )
    where: Expression | None = doc("Only those of them for which this holds.", "仅限满足条件的关联记录。", default=None)
    start: Name | None = doc("The process that is started about it.", "就其发起的流程。", default=None)
    run: Name | None = doc(
        "What a plugin does with the record, by its name in clew.yaml.",
        "由插件对记录执行的动作(clew.yaml 中的名称)。",
        default=None,
    )
    notify: AnyWho | None = doc("Who is told.", "通知的人。", default=None)
    say: Label | None = doc("What they are told.", "通知内容。", default=None)
    when: Expression | None = doc("Only when this holds.", "仅在满足条件时。", default=None)
    because: Text | None = doc("The reason given for it.", "所填写的原因。", default=None)


class WaitSpec(Spec):
    for_: LimitText | None = doc("How long.", "等待时长。", alias="for", default=None)
    until: Expression | None = doc("Until this date or instant.", "等到该日期或时刻。", default=None)
    event: Text | None = doc(
        "Until something happens, such as material_certificate.create.", "等到某事发生。", default=None
    )
    where: Expression | None = doc("Only to a record for which this holds.", "仅限满足条件的记录。", default=None)
    same: Path | None = doc(
        "The field of that record that must refer to this one.", "该记录中须指向本记录的字段。", default=None
    )


class CallSpec(Spec):
    workflow: Name = doc("The process that is run.", "要运行的流程。")
    about: Path | None = doc("The record it is about, instead of this one.", "其对象记录,缺省为本记录。", default=None)


class WhenSpec(Spec):
    when: Expression | None = doc("The condition; the last one may have none.", "条件;最后一项可不写。", default=None)
    then: Name = doc("The step that follows.", "后续步骤。")


class AskSpec(Spec):
    table: Name = doc("The decision table that is asked.", "所用的决策表。")
    with_: dict[Name, Literal_] = doc(
        "A value for each input; left out: the field of that name.",
        "每个输入的值;缺省为同名字段。",
        alias="with",
        default={},
    )
    set: dict[Name, Name] = doc("Fields that take an output's value.", "写入输出值的字段。", default={})
    by: Name | None = doc("The output that says where it goes on.", "决定后续步骤的输出。", default=None)
    then: dict[Name, Name] = doc(
        "The step that follows, by that output's value; any for the others.",
        "按输出值的后续步骤;any 为其余。",
        default={},
    )


Next = Annotated[dict[Name, Name], BeforeValidator(_next, json_schema_input_type=str | dict[str, str])]
Ways = Annotated[
    Annotated[tuple[WhenSpec, ...], Tag("listed")] | Annotated[AskSpec, Tag("inline")],
    Discriminator(listed_or_inline),
]
Actions = tuple[ActionSpec, ...]


class LegalSpec(Spec):
    from_: Expression = doc(
        "Since when it counts, such as the moment of awareness.", "起算时刻,如获知时间。", alias="from"
    )
    until: Expression = doc("When it is over.", "期限届满的时刻。")
    alert: dict[Share, OneOrMany] = doc(
        "Who is told when how much of it has passed.", "期限用去多少时提醒谁。", default={}
    )


class CheckpointSpec(Spec):
    clause: OneOrManyText = doc(
        "What the step fulfils, such as ISO 13485:2016 8.2.6.", "该步骤所满足的条款,如 ISO 13485:2016 8.2.6。"
    )
    before: OneOrMany = doc(
        "Outcomes of the process that it cannot reach without this step.", "未经该步骤不得到达的流程结果。"
    )


class StepSpec(Spec):
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    # what it is
    who: AnyWho | None = doc("Who does it.", "由谁办理。", default=None)
    countersign: ApprovalSpec | None = doc("All of several posts approve (会签).", "会签。", default=None)
    any_sign: ApprovalSpec | None = doc("One of several approves for all (或签).", "或签。", default=None)
    one_by_one: ApprovalSpec | None = doc("They approve one after the other.", "依次审批。", default=None)
    do: Actions = doc("What the platform does by itself.", "由平台自动执行的动作。", default=())
    decide: Ways = doc("Where to go on, by condition or decision table.", "按条件或决策表分支。", default=())
    parallel: dict[Name, dict[Name, StepSpec]] = doc("Branches that run side by side.", "并行分支。", default={})
    for_each: Path | None = doc("Once for each record of this relation.", "对关联的每条记录各执行一次。", default=None)
    steps: dict[Name, StepSpec] = doc("What is done with each.", "每条记录执行的步骤。", default={})
    wait: WaitSpec | None = doc("What it waits for.", "等待什么。", default=None)
    call: CallSpec | None = doc("A process that is run as part of this one.", "作为子流程运行。", default=None)
    end: Name | None = doc("The process ends with this outcome.", "流程以该结果结束。", default=None)
    # who and how
    not_same_person_as: OneOrMany = doc(
        "Steps whose actors may not do this one; starter is whoever began.",
        "不得由这些步骤的办理人办理;starter 指发起人。",
        default=(),
    )
    sign: Meaning | None = doc("Meaning of the electronic signature it takes.", "所需电子签名的含义。", default=None)
    outcomes: dict[Name, OutcomeSpec | None] = doc("What may be decided.", "可作出的决定。", default={})
    choose: Name | None = doc("The field whose value is decided.", "由决定确定取值的字段。", default=None)
    form: Name | None = doc("The form that is shown.", "所用表单。", default=None)
    phrases: tuple[Label, ...] = doc("Words offered for the comment.", "意见的常用语。", default=())
    entry: GuardSpec | None = doc("What must hold before it begins.", "开始前须成立的条件。", default=None)
    exit: GuardSpec | None = doc("What must hold before it is done.", "完成前须成立的条件。", default=None)
    # the five things
    input: OneOrMany = doc("The fields it works from.", "所依据的字段。", default=())
    output: OneOrMany = doc("The fields it fills in.", "所填写的字段。", default=())
    must_output: OneOrMany = doc("Those of them that must be filled in.", "其中必须填写的字段。", default=())
    owner: Name | None = doc("The role that answers for it.", "负责的角色。", default=None)
    within: LimitText | None = doc(
        "Its time limit: wh working hours, wd working days, cd calendar days, h hours.",
        "时限:wh 工时、wd 工作日、cd 自然日、h 小时。",
        default=None,
    )
    within_minutes: Expression | None = doc(
        "Working minutes it may take on its record, such as 1.3 times a standard time; `within` where that is missing.",
        "该记录允许的工作分钟数,如标准工时的 1.3 倍;算不出时用 `within`。",
        default=None,
    )
    alert: dict[Share, OneOrMany] = doc(
        "Who is told when how much of it has passed.", "时限用去多少时提醒谁。", default={}
    )
    when_late: Name | None = doc("The step that follows when time is up.", "超时后转入的步骤。", default=None)
    legal: LegalSpec | None = doc(
        "A time limit of the law: calendar time, never paused, also while the process is suspended.",
        "法定时限:按日历时间计,从不暂停,流程暂停时亦然。",
        default=None,
    )
    checkpoint: CheckpointSpec | None = doc(
        "What a regulation or standard demands and this step fulfils: nothing goes past it to the outcomes named.",
        "法规或标准所要求、由该步骤满足的检查点:未经此步不得到达所列结果。",
        default=None,
    )
    # what follows
    state: dict[Name, Name] = doc("The state the record reaches, by moment.", "记录随之到达的状态。", default={})
    effects: dict[Name, Actions] = doc("What the platform does with it, by moment.", "随之自动执行的动作。", default={})
    then: Next | None = doc("The step that follows, or one by outcome.", "后续步骤,可按结果分。", default=None)
    returns_to: OneOrMany | None = doc(
        "Earlier steps it may be sent back to; every one unless said.",
        "可退回的步骤,缺省为前面任一步骤。",
        default=None,
    )
    wait_for: Literal["all", "any"] | Whole = doc(
        "How many branches must be done: all, any, or a number.", "须完成的分支:all、any 或个数。", default="all"
    )
    retries: Annotated[Whole, Field(ge=0, le=20)] = doc("Attempts after the first.", "失败后的重试次数。", default=3)
    on_error: Name | None = doc("The step that follows when they all failed.", "全部失败后转入的步骤。", default=None)
    compensate: Actions = doc("What undoes it when the process is cancelled.", "流程取消时的补偿动作。", default=())


def _day_of_period(value: Any) -> str:
    if not isinstance(value, str) or not _BY.fullmatch(value):
        raise PydanticCustomError("by_type", "not a day of a period")
    return value


class ScheduleSpec(Spec):
    every: Literal["year", "quarter", "month", "week", "day"] = doc(
        "How often; day is each working day of the default calendar.", "周期;day 为默认日历的每个工作日。"
    )
    by: Annotated[str, BeforeValidator(_day_of_period)] | None = doc(
        "The day it must be done by: 03-31 in a year, the day of the month (of a quarter's last one), the day of the"
        " week (1 is Monday); left out: the last day.",
        "应完成的日期:一年中为 03-31;月(或季度末月)中为几日;周中为星期几(1 为星期一);缺省为最后一天。",
        default=None,
    )
    ahead: LimitText | None = doc(
        "How long before that it starts: working days or calendar days.", "提前多久启动(wd 或 cd)。", default=None
    )
    each: Name | None = doc(
        "Once for each record of this entity, such as site.", "对该实体的每条记录各启动一次。", default=None
    )
    where: Expression | None = doc("Only for those for which this holds.", "仅限满足条件的记录。", default=None)
    create: dict[Name, Literal_] = doc(
        "Values of the new record it is about; left out: it is about each record itself.",
        "所针对的新记录的字段值;缺省则针对每条记录本身。",
        default={},
    )


class StartSpec(Spec):
    person: OneOrMany = doc("Roles that may start it.", "可发起的角色。", default=())
    event: Text | None = doc("It starts when this happens, such as complaint.create.", "发生时自动启动。", default=None)
    when: Expression | None = doc("Only for a record for which this holds.", "仅限满足条件的记录。", default=None)
    calendar: ScheduleSpec | None = doc("It starts by the calendar.", "按日历启动。", default=None)


class WorkflowSpec(Spec):
    workflow: Name = doc("The process's name.", "流程名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    for_: Name = doc("The entity it is about.", "所针对的实体。", alias="for")
    sop: Text = doc("The controlled document this implements.", "所落实的受控文件。", default="")
    owner: Name | None = doc("The role that answers for the process.", "流程负责角色。", default=None)
    starts: tuple[StartSpec, ...] = doc("How it begins.", "如何启动。", default=())
    active: ActiveSpec | None = doc(
        "Where and since when it may begin; what has begun goes on.",
        "可启动的场所与起始日期;已启动的继续办理。",
        default=None,
    )
    at_start: Actions = doc("What the platform does at once.", "启动时立即执行的动作。", default=())
    on_cancel: Actions = doc(
        "What the platform does when it is cancelled, wherever it stands, after what its steps undo.",
        "流程取消时(无论进行到何处)在各步骤补偿之后执行的动作。",
        default=(),
    )
    phrases: tuple[Label, ...] = doc(
        "Words offered for the comment at every step people do.", "每个由人办理的步骤的意见常用语。", default=()
    )
    steps: dict[Name, StepSpec] = doc("Its steps, in the order they usually follow.", "步骤,按通常顺序排列。")


StepSpec.model_rebuild()
WorkflowSpec.model_rebuild()
