"""The keys of one field, by its `type`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from clew.metadata.spec.words import (
    Codes,
    Expression,
    Flag,
    Label,
    Literal_,
    Name,
    Number,
    OneOrMany,
    OneOrManyText,
    Path,
    Spec,
    Text,
    Whole,
    doc,
)


class FieldSpec(Spec):
    """Keys that every field may have."""

    type: str
    label: Label | None = doc("What people call it.", "显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    required: Flag = doc("Must always have a value.", "必填。", default=False)
    required_when: Expression | None = doc("Must have a value when this holds.", "满足条件时必填。", default=None)
    regulated: Flag = doc("A change needs a reason.", "修改须填写原因。", default=False)
    personal: Flag = doc("Personal data.", "个人信息。", default=False)
    immutable: Flag = doc("Set once, never changed.", "一经填写不可修改。", default=False)
    renamed_from: OneOrMany = doc("Earlier name whose data it keeps.", "沿用旧名称的数据。", default=())


class ScalarSpec(FieldSpec):
    unique: Flag = doc("No two records share the value.", "值不可重复。", default=False)
    default: Literal_ | None = doc(
        "A value or an expression used when none is given.", "默认值或表达式。", default=None
    )
    computed: Expression | None = doc(
        "Computed from this expression, never stored.", "按表达式计算,不存储。", alias="is", default=None
    )


class TextSpec(ScalarSpec):
    type: Literal["text"]
    min_length: Whole | None = doc("At least so many characters.", "最少字符数。", default=None, ge=0)
    max_length: Whole = doc("At most so many characters (200).", "最多字符数(默认 200)。", default=200, ge=1, le=4000)
    pattern: Text | None = doc("A regular expression for the whole value.", "整个值须匹配的正则表达式。", default=None)
    sort: Literal["pinyin"] | None = doc("Sort Chinese by pinyin.", "按拼音排序。", default=None)
    search: Flag = doc("Found by full-text search.", "可全文搜索。", default=False)
    unit: Text | None = doc("Unit code or path to a unit.", "单位代码或路径。", default=None)


class LongTextSpec(ScalarSpec):
    type: Literal["long_text"]
    min_length: Whole | None = doc("At least so many characters.", "最少字符数。", default=None, ge=0)
    max_length: Whole = doc(
        "At most so many characters (20000).", "最多字符数(默认 20000)。", default=20000, ge=1, le=1_000_000
    )
    search: Flag = doc("Found by full-text search.", "可全文搜索。", default=False)


class TranslatedSpec(FieldSpec):
    type: Literal["translated"]
    max_length: Whole = doc(
        "At most so many characters in each language.", "每种语言最多字符数。", default=2000, ge=1, le=1_000_000
    )
    search: Flag = doc("Found by full-text search.", "可全文搜索。", default=False)


class IntegerSpec(ScalarSpec):
    type: Literal["integer"]
    min: Whole | None = doc("Smallest value.", "最小值。", default=None)
    max: Whole | None = doc("Largest value.", "最大值。", default=None)
    big: Flag = doc("May pass 32 bits.", "可超过 32 位。", default=False)
    unit: Text | None = doc("Unit code or path to a unit.", "单位代码或路径。", default=None)


class DecimalSpec(ScalarSpec):
    type: Literal["decimal"]
    scale: Whole = doc("Decimal places, 0 to 9.", "小数位数,0 到 9。", ge=0, le=9)
    min: Number | None = doc("Smallest value.", "最小值。", default=None)
    max: Number | None = doc("Largest value.", "最大值。", default=None)
    above: Number | None = doc("Greater than this.", "大于该值。", default=None)
    below: Number | None = doc("Less than this.", "小于该值。", default=None)
    unit: Text | None = doc("Unit code or path to a unit.", "单位代码或路径。", default=None)


class MoneySpec(ScalarSpec):
    type: Literal["money"]
    scale: Whole = doc("Decimal places (2).", "小数位数(默认 2)。", default=2, ge=0, le=9)
    min: Number | None = doc("Smallest amount.", "最小金额。", default=None)
    max: Number | None = doc("Largest amount.", "最大金额。", default=None)


class BooleanSpec(ScalarSpec):
    type: Literal["boolean"]


class DateSpec(ScalarSpec):
    type: Literal["date"]


class DatetimeSpec(ScalarSpec):
    type: Literal["datetime"]


class DurationSpec(ScalarSpec):
    type: Literal["duration"]


class ChoiceSpec(ScalarSpec):
    type: Literal["choice"]
    of: Codes = doc("A code list, or codes with labels.", "代码表名,或代码与标签。")


class ChoicesSpec(FieldSpec):
    type: Literal["choices"]
    of: Codes = doc("A code list, or codes with labels.", "代码表名,或代码与标签。")
    min: Whole | None = doc("At least so many.", "最少个数。", default=None, ge=0)
    max: Whole | None = doc("At most so many.", "最多个数。", default=None, ge=1)


class JsonSpec(FieldSpec):
    type: Literal["json"]
    json_schema: dict[str, Any] = doc("JSON Schema of the value.", "值的 JSON Schema。", alias="schema")
    version: Whole = doc(
        "Version of the schema: raise it when the schema changes.", "Schema 的版本;修改 Schema 时须递增。",
        default=1, ge=1,
    )  # fmt: skip


class NumberSpec(FieldSpec):
    type: Literal["number"]
    rule: Name | None = doc("The coding rule that makes it.", "编码规则。", default=None)
    pattern: Text | None = doc("The pattern that makes it.", "编号模式。", default=None)
    unique: Flag = doc("No two records share the value.", "值不可重复。", default=False)
    search: Flag = doc("Found by full-text search.", "可全文搜索。", default=False)


class RefSpec(FieldSpec):
    type: Literal["ref"]
    of: Name = doc("The entity referred to.", "引用的实体。", json_schema_extra={"x-clew": "entity"})
    where: Expression | None = doc("What the referenced record must satisfy.", "被引用记录须满足的条件。", default=None)
    inverse: Text | None = doc("Name of the way back, or none.", "反向名称,或 none。", default=None)
    unique: Flag = doc("At most one record refers to each.", "每条目标至多被引用一次。", default=False)
    default: Expression | None = doc("An expression used when none is given.", "默认值表达式。", default=None)


class ManySpec(FieldSpec):
    type: Literal["many"]
    of: Name = doc("The entity referred to.", "引用的实体。", json_schema_extra={"x-clew": "entity"})
    where: Expression | None = doc(
        "What each referenced record must satisfy.", "被引用记录须满足的条件。", default=None
    )
    inverse: Text | None = doc("Name of the way back, or none.", "反向名称,或 none。", default=None)
    min: Whole | None = doc("At least so many.", "最少个数。", default=None, ge=0)
    max: Whole | None = doc("At most so many.", "最多个数。", default=None, ge=1)
    keep_when: Expression | None = doc(
        "While this holds of the record as it is, nothing is taken out of the list.",
        "记录满足条件期间,列表中已有的不可移除。",
        default=None,
    )


class LinesSpec(FieldSpec):
    type: Literal["lines"]
    of: Name | None = doc(
        "The line entity (with part_of).",
        "明细实体(带 part_of)。",
        default=None,
        json_schema_extra={"x-clew": "entity"},
    )
    fields: dict[Name, AnyField] | None = doc("The fields of each line, inline.", "内联明细字段。", default=None)
    min: Whole | None = doc("At least so many.", "最少行数。", default=None, ge=0)
    max: Whole | None = doc("At most so many.", "最多行数。", default=None, ge=1)
    keep_when: Expression | None = doc(
        "While this holds of the record as it is, its lines are neither taken out nor changed.",
        "记录满足条件期间,已有的行不可移除或更改。",
        default=None,
    )


class AnySpec(FieldSpec):
    type: Literal["any"]
    of: OneOrMany = doc("The entities it may refer to.", "可引用的实体。", json_schema_extra={"x-clew": "entity"})


class FilesSpec(FieldSpec):
    type: Literal["files"]
    accept: OneOrManyText = doc("image, pdf, any or a media type.", "image、pdf、any 或媒体类型。", default=("any",))
    min: Whole | None = doc("At least so many.", "最少个数。", default=None, ge=0)
    max: Whole | None = doc("At most so many.", "最多个数。", default=None, ge=1)


AnyField = Annotated[
    TextSpec
    | LongTextSpec
    | TranslatedSpec
    | IntegerSpec
    | DecimalSpec
    | MoneySpec
    | BooleanSpec
    | DateSpec
    | DatetimeSpec
    | DurationSpec
    | ChoiceSpec
    | ChoicesSpec
    | JsonSpec
    | NumberSpec
    | RefSpec
    | ManySpec
    | LinesSpec
    | AnySpec
    | FilesSpec,
    Field(discriminator="type"),
]
LinesSpec.model_rebuild()

FIELD_TYPES = (
    "text",
    "long_text",
    "translated",
    "integer",
    "decimal",
    "money",
    "boolean",
    "date",
    "datetime",
    "duration",
    "choice",
    "choices",
    "json",
    "number",
    "ref",
    "many",
    "lines",
    "any",
    "files",
)


class TightenedField(Spec):
    """What an overlay may say about a field that exists: only stricter than before."""

    label: Label | None = doc("What people call it here.", "本级显示名称。", default=None)
    help: Label | None = doc("One sentence that explains it.", "一句话说明。", default=None)
    required: Literal[True] | None = doc("Must always have a value.", "必填。", default=None)
    required_when: Expression | None = doc("Must have a value when this holds.", "满足条件时必填。", default=None)
    regulated: Literal[True] | None = doc("A change needs a reason.", "修改须填写原因。", default=None)
    personal: Literal[True] | None = doc("Personal data.", "个人信息。", default=None)
    immutable: Literal[True] | None = doc("Set once, never changed.", "一经填写不可修改。", default=None)
    keep_when: Expression | None = doc(
        "While this holds nothing is taken out of the list.", "满足条件期间列表中已有的不可移除。", default=None
    )
    unique: Literal[True] | None = doc("No two records share the value.", "值不可重复。", default=None)
    min: Number | None = doc("A higher smallest value or count.", "更高的下限。", default=None)
    max: Number | None = doc("A lower largest value or count.", "更低的上限。", default=None)
    min_length: Whole | None = doc("More characters at least.", "更多的最少字符数。", default=None)
    max_length: Whole | None = doc("Fewer characters at most.", "更少的最多字符数。", default=None)
    where: Path | None = doc("A further condition on the referenced record.", "对被引用记录的附加条件。", default=None)
