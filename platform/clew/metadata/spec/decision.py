"""The keys of a decision table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from clew.metadata.spec.words import Flag, Label, Literal_, Name, OneOrManyText, Spec, Text, Whole, doc

Kind = Literal["integer", "decimal", "boolean", "date", "text", "choice"]


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, dict | list):
        raise PydanticCustomError("cell_type", "not a cell")
    return value


Cell = Annotated[Literal_, BeforeValidator(_cell, json_schema_input_type=str | bool | int | float)]
Cells = tuple[Cell, ...]


class InputSpec(Spec):
    type: Kind = doc("What kind of value it is.", "值的类型。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    of: OneOrManyText = doc("A code list, or the codes themselves.", "代码表名称,或逐个列出代码。", default=())
    scale: Annotated[Whole, Field(ge=0, le=9)] = doc("Decimal places.", "小数位数。", default=0)
    min: Literal_ | None = doc("The smallest value there is.", "最小值。", default=None)
    max: Literal_ | None = doc("The largest value there is.", "最大值。", default=None)
    values: Cells = doc("The only values there are.", "仅有的取值。", default=())
    optional: Flag = doc("It may be missing: a cell for that is `null`.", "可为空:单元格写 `null`。", default=False)


class OutputSpec(Spec):
    type: Kind = doc("What kind of value it is.", "值的类型。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    of: OneOrManyText = doc("A code list, or the codes themselves.", "代码表名称,或逐个列出代码。", default=())
    scale: Annotated[Whole, Field(ge=0, le=9)] = doc("Decimal places.", "小数位数。", default=0)


class DecisionSpec(Spec):
    decision: Name = doc("The table's name.", "决策表名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    source: Text = doc("The document or standard it is taken from.", "所依据的文件或标准。", default="")
    owner: Name | None = doc("The role that answers for it.", "负责角色。", default=None)
    inputs: dict[Name, InputSpec] = doc("What is known, in the order of the columns.", "输入列,按顺序。", min_length=1)
    outputs: dict[Name, OutputSpec] = doc("What is decided, in the order.", "输出列,按顺序。", min_length=1)
    hit: Literal["unique", "first", "any", "priority", "collect"] = doc(
        "When several rows hold: none may (unique), the first counts, all must say the same (any), the one whose first"
        " output stands first in `priority` counts, or all count (collect).",
        "多行命中时:unique 不允许;first 取首行;any 各行结果须相同;priority 按首个输出的优先次序;collect 全部取用。",
        default="unique",
    )
    together: Literal["list", "sum", "min", "max", "count"] = doc(
        "How collected rows become one value.", "collect 时如何汇总。", default="list"
    )
    priority: Cells = doc("Values of the first output, the strongest first.", "首个输出的取值,优先者在前。", default=())
    rows: tuple[Cells, ...] = doc(
        "The rows: a cell for each input, then a value for each output.", "各行:先是每个输入的条件,再是每个输出的值。"
    )
    default: Literal["refuse"] | Cells | None = doc(
        "The outputs when no row holds; refuse: such a case is not decided.",
        "没有行命中时的输出;refuse 表示不作决定。",
        default=None,
    )
    examples: tuple[Cells, ...] = doc(
        "Cases the check tries: a value for each input, then what must come out.",
        "校验时核对的例子:每个输入的值,随后是应得的输出。",
        default=(),
    )
