"""The keys of a watch: what of the trail raises an alert."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clew.metadata.spec.calendar import Hours
from clew.metadata.spec.words import Flag, Label, Name, OneOrMany, OneOrManyText, Spec, Whole, doc


class WatchSpec(Spec):
    watch: Name = doc("The watch's name.", "监视规则名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("What to do when it is raised.", "触发后的处置说明。", default=None)
    severity: Literal["low", "medium", "high"] = doc("How grave.", "严重程度。", default="medium")
    of: OneOrManyText = doc(
        "Actions of the trail; `transition:` means all of them, `any` everything.",
        "审计动作;`transition:` 表示所有迁移,`any` 表示全部。",
    )
    entities: OneOrMany = doc("Only about these entities.", "仅限这些实体。", default=())
    times: Annotated[Whole, Field(ge=1, le=1000)] = doc("How often.", "触发次数。", default=1)
    within_minutes: Annotated[Whole, Field(ge=1, le=1440)] = doc("In how many minutes.", "时间窗(分钟)。", default=15)
    per: Literal["subject", "actor"] = doc(
        "Counted by whom it is about, or who did it.", "按对象或按操作人计数。", default="subject"
    )
    outside: Hours | None = doc(
        "Only outside these hours, in the project's time zone.", "仅限该时段之外(项目时区)。", default=None
    )
    elsewhere: Flag = doc(
        "Only on records of a site that is none of the actor's.", "仅限不属于操作人所辖场所的记录。", default=False
    )
