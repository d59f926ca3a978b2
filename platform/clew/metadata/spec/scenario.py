"""The keys of a scenario: what an analyst expects of a process, played with the real runtime."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from clew.metadata.spec.words import Label, Name, OneOrMany, OneOrManyText, Spec, Text, doc

INSTANCE = ("cancel", "suspend", "resume", "retry")
"""Acts on the live process about a record."""
ACTS = ("create", "update", "move", "do", "start", *INSTANCE, "find", "wait", "then")


def _plain(value: Any) -> Any:
    """Values as they are written; which are names of records is known once the fields are."""
    return value


Values = Annotated[dict[Name, Any], BeforeValidator(_plain, json_schema_input_type=dict[str, Any])]


class ExpectSpec(Spec):
    state: dict[Name, Name] = doc("Record → the state it is in.", "记录 → 所处状态。", default={})
    record: dict[Name, Values] = doc("Record → values of its fields.", "记录 → 字段值。", default={})
    tasks: dict[Name, OneOrManyText] = doc(
        "Person → the steps they have to do, exactly these.", "人员 → 待办步骤(恰为这些)。", default={}
    )
    ended: dict[Name, Name] = doc("Workflow → its outcome.", "流程 → 结局。", default={})
    count: dict[Name, Annotated[int, Field(ge=0)]] = doc(
        "Entity → how many records there are.", "实体 → 记录数。", default={}
    )
    alerts: dict[Name, OneOrMany] = doc(
        "Record → the standing alerts on it, exactly these.", "记录 → 其上仍成立的预警(恰为这些)。", default={}
    )
    trail: tuple[Text, ...] = doc(
        "Actions of the trail that happened in this order (`nonconformance.create`), others between them.",
        "审计线索中按此顺序发生的动作(如 `nonconformance.create`),其间可有其他动作。",
        default=(),
    )


class ActSpec(Spec):
    """One thing that happens, or is expected."""

    by: Name | None = doc("Who, of `people`.", "由谁(`people` 中的人员)。", default=None)
    create: Name | None = doc("A record of this entity.", "新建该实体的记录。", default=None)
    name: Name | None = doc("What the record is called from here on.", "此后对该记录的称呼。", default=None)
    update: Name | None = doc("Fields of this record.", "修改该记录的字段。", default=None)
    move: Name | None = doc("A transition, of the record named in `of`.", "对 `of` 的记录执行迁移。", default=None)
    do: Text | None = doc("A step they have to do.", "办理某个待办步骤。", default=None)
    start: Name | None = doc(
        "A workflow, about the record named in `of`; without `by` as an event, the calendar or another process would.",
        "就 `of` 的记录发起流程;不写 `by` 则如同由事件、日历或其他流程发起。",
        default=None,
    )
    cancel: Name | None = doc(
        "The live process of this workflow about the record `of`, for the reason `because`.",
        "取消关于 `of` 记录、正在运行的该流程,原因写在 `because`。",
        default=None,
    )
    suspend: Name | None = doc(
        "Its clocks are stopped, as `cancel` names it.", "暂停流程,写法同 `cancel`。", default=None
    )
    resume: Name | None = doc("Its clocks go on, as `cancel` names it.", "恢复流程,写法同 `cancel`。", default=None)
    retry: Name | None = doc(
        "What stopped it is tried again, as `cancel` names it, for a reason as well.",
        "重试使流程停下的异常,写法同 `cancel`,也须写原因。",
        default=None,
    )
    find: Name | None = doc(
        "The one record of this entity that has the values of `with`; `name` is what it is called from here on.",
        "该实体中符合 `with` 取值的唯一记录,此后以 `name` 称呼。",
        default=None,
    )
    of: Name | None = doc("The record.", "记录。", default=None)
    with_: Values = doc("Values of fields.", "字段值。", default={}, alias="with")
    outcome: Name = doc("What they decide.", "决定的结果。", default="done")
    comment: Text = doc("What they say to it.", "意见。", default="")
    because: Text = doc("The reason for the change.", "变更原因。", default="")
    refused: Text | None = doc("The code with which it is refused.", "被拒绝时的错误码。", default=None)
    wait: Text | None = doc(
        "Time passes: `4 wh`, `3 wd`, `30 cd`, `2 h`.", "时间流逝:如 `4 wh`、`3 wd`、`30 cd`、`2 h`。", default=None
    )
    then: ExpectSpec | None = doc("What is so now.", "此时的预期。", default=None)

    @property
    def acts(self) -> tuple[str, ...]:
        """What it says: exactly one of ACTS, which the linker sees to."""
        return tuple(name for name in ACTS if getattr(self, name) is not None)


class ScenarioSpec(Spec):
    scenario: Name = doc("The scenario's name.", "场景名称。")
    label: Label | None = doc("What it shows.", "场景说明。", default=None)
    people: dict[Name, OneOrMany] = doc("Person → their roles.", "人员 → 角色。", default={})
    given: dict[Name, dict[Name, Values]] = doc(
        "Records there are: name → entity → values that matter; what else is required is made up.",
        "已有的记录:名称 → 实体 → 关键字段值,其余必填字段自动补全。",
        default={},
    )
    at: Text | None = doc("When it begins: `2026-03-02 09:00`, project time.", "起始时间(项目时区)。", default=None)
    steps: tuple[ActSpec, ...] = doc("What happens, in order.", "依次发生的事。", default=())
    workflow: Name | None = doc("With `moves`: the process.", "与 `moves` 一起:流程名称。", default=None)
    moves: tuple[dict[str, Any], ...] = doc(
        "A counterexample of `clew process prove`: the scenario holds once the way can no longer be walked, or an end "
        "can be reached from where it leads.",
        "`clew process prove` 的反例:该路径不再走得通,或从其终点能到达结束时,场景成立。",
        default=(),
    )
