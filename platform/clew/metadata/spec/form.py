"""The keys of a form: what is shown of a record or a step, in which order, with what control, and when."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from clew.metadata.spec.words import Expression, Flag, Label, Literal_, Name, OneOrMany, OneOrManyText, Spec, Whole, doc

Widget = Literal[
    "text", "long_text", "number", "money", "toggle", "date", "datetime", "duration", "select", "radio", "checkboxes",
    "picker", "pickers", "table", "files", "camera", "scan", "json", "translated", "readout",
]  # fmt: skip


def _field(value: Any) -> Any:
    """A bare name is short for a mapping."""
    return {"field": value} if isinstance(value, str) else value


class FormFieldSpec(Spec):
    field: Name | None = doc("The field that is shown.", "显示的字段。", default=None)
    scan: Name | None = doc("The field, filled in by scanning a code.", "通过扫码填写的字段。", default=None)
    camera: Name | None = doc("The field, filled in with the camera.", "通过拍照填写的字段。", default=None)
    accept: OneOrManyText = doc(
        "What a scan may give, such as udi or lot_no.", "扫码可接受的内容,如 udi、lot_no。", default=()
    )
    label: Label | None = doc("What it is called here.", "在此处的名称。", default=None)
    help: Label | None = doc("One sentence for whoever fills it in.", "填写提示。", default=None)
    widget: Widget | None = doc("The control; left out: what suits the field.", "控件,缺省按字段类型。", default=None)
    width: Literal["full", "half", "third"] = doc("How wide it is.", "宽度。", default="full")
    columns: OneOrMany = doc("The columns of a table of lines.", "明细表的列。", default=())
    visible_when: Expression | None = doc("It is shown while this holds.", "满足条件时显示。", default=None)
    required_when: Expression | None = doc("It must be filled in while this holds.", "满足条件时必填。", default=None)
    read_only_when: Expression | None = doc("It cannot be changed while this holds.", "满足条件时只读。", default=None)
    required: Flag = doc("It must be filled in.", "必填。", default=False)
    default: Literal_ | None = doc("What is suggested, an expression.", "建议值(表达式)。", default=None)


AnyFormField = Annotated[FormFieldSpec, BeforeValidator(_field, json_schema_input_type=FormFieldSpec | str)]


class SectionSpec(Spec):
    title: Label | None = doc("Its heading.", "标题。", default=None)
    help: Label | None = doc("One sentence below the heading.", "标题下的说明。", default=None)
    visible_when: Expression | None = doc("It is shown while this holds.", "满足条件时显示。", default=None)
    columns: Annotated[Whole, Field(ge=1, le=3)] = doc("Columns on a wide screen.", "宽屏时的列数。", default=1)
    folded: Flag = doc("It is folded at first.", "默认折叠。", default=False)
    fields: tuple[AnyFormField, ...] = doc("Its fields, in order.", "字段,按顺序。", min_length=1)


class FormSpec(Spec):
    form: Name = doc("The form's name.", "表单名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    for_: Name = doc("The entity it shows.", "所显示的实体。", alias="for")
    phone: Flag = doc(
        "It is meant for a phone too: one column, big targets.", "也用于手机:单列、大按钮。", default=False
    )
    sections: tuple[SectionSpec, ...] = doc("Its parts, in order.", "各部分,按顺序。", min_length=1)
    read_only: OneOrMany = doc("Fields that are shown and not changed.", "只显示不修改的字段。", default=())
