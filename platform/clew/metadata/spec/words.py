"""The small types that every kind shares: names, codes, labels, numbers, one-or-many lists."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticUndefined

from clew.kernel.text import Bilingual

NAME_PATTERN = r"[a-z][a-z0-9_]{0,47}"
CODE_PATTERN = r"[A-Za-z][A-Za-z0-9_]{0,47}"
REFUSED_CODES = frozenset({"true", "false", "null", "yes", "no", "on", "off"})
_NAME = re.compile(NAME_PATTERN)
_CODE = re.compile(CODE_PATTERN)


class Spec(BaseModel):
    """A mapping of known keys; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys_only(cls, value: Any) -> Any:
        """Report unknown keys together with the known ones, so that the nearest can be suggested."""
        if isinstance(value, dict):
            known = cls.known_keys()
            unknown = [name for name in value if name not in known]
            if unknown:
                raise PydanticCustomError("unknown_keys", "unknown keys", {"keys": unknown, "known": sorted(known)})
        return value

    @classmethod
    @cache
    def known_keys(cls) -> frozenset[str]:
        """The keys as written in YAML."""
        return frozenset(info.alias or name for name, info in cls.model_fields.items())


def doc(en: str, zh: str, *, default: Any = PydanticUndefined, alias: str | None = None, **more: Any) -> Any:
    """A documented key. The description appears in editors, in both languages."""
    return Field(default, alias=alias, description=f"{en} {zh}", **more)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value) or value.endswith("__") or "__" in value:
        raise PydanticCustomError("bad_name", "bad name", {"name": str(value)})
    return value


def _code(value: Any) -> str:
    if not isinstance(value, str) or not _CODE.fullmatch(value) or value.lower() in REFUSED_CODES:
        raise PydanticCustomError("bad_code", "bad code", {"name": str(value)})
    return value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PydanticCustomError("decimal_type", "not a number")
    return Decimal(value)


def _literal(value: Any) -> str | bool | int | Decimal:
    if isinstance(value, str | bool | int | Decimal):
        return value
    raise PydanticCustomError("string_type", "not a literal")


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = StrictStr
Flag = StrictBool
Whole = StrictInt
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", json_schema_extra={"x-clew": "name"}), BeforeValidator(_name)]
CodeName = Annotated[str, Field(pattern=f"^{CODE_PATTERN}$"), BeforeValidator(_code)]
Number = Annotated[Decimal, BeforeValidator(_number, json_schema_input_type=float)]
Literal_ = Annotated[Any, BeforeValidator(_literal, json_schema_input_type=str | bool | int | float)]
OneOrMany = Annotated[tuple[Name, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])]
OneOrManyText = Annotated[tuple[Text, ...], BeforeValidator(_one_or_many, json_schema_input_type=str | list[str])]
Expression = Annotated[StrictStr, Field(json_schema_extra={"x-clew": "expression"})]
Path = StrictStr


class Label(Spec):
    """A text in Chinese, English or both."""

    zh: Text | None = doc("In Chinese.", "中文。", default=None)
    en: Text | None = doc("In English.", "英文。", default=None)

    @property
    def text(self) -> Bilingual:
        return Bilingual(self.zh or "", self.en or "")


def text_of(label: Label | None) -> Bilingual:
    return label.text if label else Bilingual()


def named_or_inline(value: Any) -> str:
    """Which form a value has that is either one name or a mapping of its own."""
    return "inline" if isinstance(value, dict) else "named"


def listed_or_inline(value: Any) -> str:
    """Which form a value has that is either a list of names or a mapping of names."""
    return "inline" if isinstance(value, dict) else "listed"


Codes = Annotated[
    Annotated[Name, Tag("named")] | Annotated[dict[CodeName, Label | None], Tag("inline")],
    Discriminator(named_or_inline),
]
