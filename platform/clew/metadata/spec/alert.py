"""The keys of an alert: a standing condition over records, when it is looked at, who is told, what begins."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from clew.metadata.spec.words import Expression, Label, Name, Spec, Text, Whole, doc
from clew.metadata.spec.workflow import AnyWho


class WhenChangedSpec(Spec):
    event: Text = doc("What happens, such as complaint.create.", "发生的事,如 complaint.create。")
    of: Name | None = doc(
        "The field of that record that refers to the one looked at; left out: that record itself.",
        "该记录中指向被看护记录的字段;缺省为该记录本身。",
        default=None,
    )


class AlertSpec(Spec):
    alert: Name = doc("The alert's name.", "预警名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("What to do when it is raised.", "触发后的处置说明。", default=None)
    severity: Literal["low", "medium", "high"] = doc("How grave.", "严重程度。", default="medium")
    for_: Name = doc("The entity whose records are looked at.", "所看护的实体。", alias="for")
    when: Expression = doc("What raises it, once for each record.", "触发条件,对每条记录各触发一次。")
    at_once: tuple[WhenChangedSpec, ...] = doc(
        "Changes at which it is looked at at once; all of them are looked at every hour.",
        "立即检查的变更;此外每小时全部检查一次。",
        default=(),
    )
    again_after_days: Annotated[Whole, Field(ge=1, le=3650)] | None = doc(
        "Raised again while it still holds; left out: not before it has ceased to hold.",
        "仍成立时再次触发的天数;缺省为不再成立之前不重复。",
        default=None,
    )
    tell: AnyWho = doc("Who is told.", "通知的人。")
    say: Label | None = doc("What they are told.", "通知内容。", default=None)
    start: Name | None = doc("The process that is started about the record.", "就该记录发起的流程。", default=None)
