"""What a caller sends for a field becomes the field's canonical Python value, or a coded error at its path.

Canonical: see `kernel.scalars`; money is `Money`, a reference to one of several entities is `AnyRef`, `choices` is a
sorted tuple of codes, `files` a tuple of mappings. Text is normalised to NFC; control, bidirectional override and
invisible characters are refused, because what a signatory sees must be what is stored, and two lot numbers that look
the same must be the same; the separator a scanner sends becomes ␝.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from jsonschema import Draft202012Validator

from clew.expressions.element_strings import GS, VISIBLE_GS
from clew.expressions.pattern import whole
from clew.kernel.diagnostics import nearest
from clew.kernel.scalars import MAX_DECIMAL_DIGITS, parse_date, parse_decimal, parse_duration, parse_instant
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint, Field, FieldKind
from clew.metadata.json_schema import validator
from clew.records.errors import (
    BadJson,
    BadPattern,
    BadText,
    OutOfBounds,
    UnknownCode,
    WrongType,
)

Path = Sequence[str | int]
DEFAULT_TEXT = 200
DEFAULT_LONG_TEXT = 20_000
LONGEST = timedelta(microseconds=10**MAX_DECIMAL_DIGITS - 1)
"""The longest duration: 18 digits of microseconds, as expressions compute with."""
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})
"""Unicode categories: controls, format characters (zero-width, bidirectional), surrogates, separators, unassigned."""
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Letters and marks that show nothing."""
LONG_CONTROLS = frozenset("\n\t\u200c\u200d")
"""What running text may have besides: line breaks, tabs, and the joiners that some scripts are written with."""
_CURRENCY = re.compile(r"[A-Z]{3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILE_MEMBERS = frozenset({"name", "sha256", "size", "media_type"})


_PLAIN = frozenset({type(None), str, bool, int, Decimal, datetime, date, timedelta, UUID})
"""Types whose values are plain data by themselves."""


class Money(NamedTuple):
    """An exact amount in an ISO 4217 currency."""

    amount: Decimal
    currency: str


class AnyRef(NamedTuple):
    """A reference to a record of one of several entities."""

    entity: str
    id: UUID


def plain(value: Any) -> Any:
    """A canonical value as plain data for the trail, the outbox and JSON columns."""
    if type(value) in _PLAIN:  # most are, and every field of every write comes by here
        return value
    if isinstance(value, Money):
        return {"amount": value.amount, "currency": value.currency}
    if isinstance(value, AnyRef):
        return {"entity": value.entity, "id": value.id}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [plain(item) for item in value]
    return value


def coerce(field: Field, value: Any, path: Path, blueprint: Blueprint, today: date) -> Any:
    """The canonical value of a stored field. `None` passes: whether a value is required is asked elsewhere."""
    if value is None:
        return None
    return _COERCE[field.kind](field, value, path, blueprint, today)


def wrong_type(field: Field, path: Path, zh: str, en: str) -> WrongType:
    return WrongType(path=path, field=_named(field), expected=Bilingual(zh, en))


def _text(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> str:
    if not isinstance(value, str):
        raise wrong_type(field, path, "文本", "text")
    return _one_line(field, value, path, field.max_length or DEFAULT_TEXT)


def _one_line(field: Field, value: str, path: Path, longest: int) -> str:
    text = _clean(field, value.replace(GS, VISIBLE_GS), path, frozenset())
    if text != text.strip():
        raise BadText(path=path, field=_named(field), why=Bilingual("首尾不能有空格", "no space before or after it"))
    return _fits(field, text, path, longest)


def _long_text(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> str:
    if not isinstance(value, str):
        raise wrong_type(field, path, "文本", "text")
    text = _clean(field, value.replace("\r\n", "\n"), path, LONG_CONTROLS)
    return _fits(field, text, path, field.max_length or DEFAULT_LONG_TEXT)


def _clean(field: Field, value: str, path: Path, allowed: frozenset[str]) -> str:
    if value.isascii() and value.isprintable():
        return value
    text = unicodedata.normalize("NFC", value)
    wrong = refused_character(text, allowed)
    if wrong is not None:
        shown = f"U+{ord(wrong):04X}"
        why = Bilingual(f"含有不允许的字符 {shown}", f"the character {shown} is not allowed")
        raise BadText(path=path, field=_named(field), why=why)
    return text


def refused_character(text: str, allowed: frozenset[str]) -> str | None:
    """The first character that is not seen, or steers what is; but for those `allowed`."""
    for character in text:
        if character in allowed:
            continue
        if unicodedata.category(character) in _REFUSED or character in _UNSEEN:
            return character
    return None


def blank(text: str) -> bool:
    """Whether a text shows nothing: empty, spaces of any width, or marks without a letter to stand on."""
    return not text.strip() or (not text.isascii() and all(unicodedata.category(each)[0] in "MZC" for each in text))


def _fits(field: Field, text: str, path: Path, longest: int) -> str:
    if blank(text):
        why = Bilingual("不能为空文本;没有值请用 null", "empty text is not a value; use null")
        raise BadText(path=path, field=_named(field), why=why)
    shortest = field.min_length or 0
    if not shortest <= len(text) <= longest:
        bound = Bilingual(f"为 {shortest} 至 {longest} 个字符", f"{shortest} to {longest} characters long")
        raise OutOfBounds(path=path, field=_named(field), bound=bound)
    if field.pattern is not None and not whole(field.pattern).search(text):
        raise BadPattern(path=path, field=_named(field), pattern=field.pattern)
    return text


def _translated(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> dict[str, str]:
    if not isinstance(value, Mapping) or not value or not set(value) <= {"zh", "en"}:
        raise wrong_type(field, path, "{zh, en} 双语文本", "a text in both languages {zh, en}")
    texts = {}
    for locale in ("zh", "en"):
        if value.get(locale) is not None:
            if not isinstance(value[locale], str):
                raise wrong_type(field, [*path, locale], "文本", "text")
            cleaned = _clean(field, value[locale].replace("\r\n", "\n"), [*path, locale], LONG_CONTROLS)
            texts[locale] = _fits(field, cleaned, [*path, locale], field.max_length or DEFAULT_LONG_TEXT)
    if not texts:
        raise wrong_type(field, path, "{zh, en} 双语文本", "a text in both languages {zh, en}")
    return texts


def _integer(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,19}", value, re.ASCII):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(field, path, "整数", "a whole number")
    bits = 63 if field.big else 31
    if not -(2**bits) <= value < 2**bits:
        raise OutOfBounds(
            path=path, field=_named(field), bound=Bilingual(f"在 {bits + 1} 位以内", f"within {bits + 1} bits")
        )
    _within(field, value, path)
    return value


def _decimal(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> Decimal:
    exact = _exact(field, value, path)
    _within(field, exact, path)
    return exact


def _exact(field: Field, value: Any, path: Path) -> Decimal:
    if isinstance(value, float):
        value = repr(value)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise wrong_type(field, path, "十进制数", "a decimal number")
    try:
        if isinstance(value, str) and not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", value, re.ASCII):
            raise ValueError
        return parse_decimal(value, field.scale)
    except ValueError:
        places = Bilingual(
            f"十进制数,至多 {field.scale} 位小数、共 18 位", f"a decimal of at most {field.scale} places and 18 digits"
        )
        raise WrongType(path=path, field=_named(field), expected=places) from None


def _within(field: Field, value: int | Decimal, path: Path) -> None:
    if field.min is not None and value < field.min:
        raise OutOfBounds(
            path=path, field=_named(field), bound=Bilingual(f"不小于 {field.min}", f"at least {field.min}")
        )
    if field.max is not None and value > field.max:
        raise OutOfBounds(
            path=path, field=_named(field), bound=Bilingual(f"不大于 {field.max}", f"at most {field.max}")
        )


def _money(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> Money:
    if isinstance(value, Money):
        value = value._asdict()
    if not isinstance(value, Mapping) or set(value) != {"amount", "currency"}:
        raise wrong_type(field, path, "金额 {amount, currency}", "an amount of money {amount, currency}")
    amount = _exact(field, value["amount"], [*path, "amount"])
    _within(field, amount, [*path, "amount"])
    if not isinstance(value["currency"], str) or not _CURRENCY.fullmatch(value["currency"]):
        raise wrong_type(field, [*path, "currency"], "ISO 4217 货币代码", "an ISO 4217 currency code")
    return Money(amount, value["currency"])


def _boolean(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(field, path, "true 或 false", "true or false")
    return value


def _date(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if not isinstance(value, str):
            raise ValueError
        return parse_date(value)
    except ValueError:
        raise wrong_type(field, path, "日期 YYYY-MM-DD", "a date YYYY-MM-DD") from None


def _datetime(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> datetime:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    try:
        if not isinstance(value, str):
            raise ValueError
        return parse_instant(value)
    except (ValueError, OverflowError):
        raise wrong_type(field, path, "带时区的时刻", "an instant with a time zone") from None


def _duration(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> timedelta:
    if isinstance(value, timedelta):
        return value
    try:
        if not isinstance(value, str) or len(value) > 40:
            raise ValueError
        length = parse_duration(value)
        if not -LONGEST <= length <= LONGEST:
            raise ValueError
        return length
    except (ValueError, OverflowError):
        raise wrong_type(field, path, "时长 PT8H30M", "a duration PT8H30M") from None


def _choice(field: Field, value: Any, path: Path, blueprint: Blueprint, today: date) -> str:
    if not isinstance(value, str):
        raise wrong_type(field, path, "代码", "a code")
    codes = blueprint.code_lists[field.code_list or ""].codes
    code = codes.get(value)
    day = today.isoformat()
    if code is None or (code.valid_from or "") > day or day > (code.valid_to or "9999"):
        near = nearest(value, [each for each in codes if each != value])
        hint = Bilingual(f"是否想写 {near}?", f" Did you mean {near}?") if near else ""
        raise UnknownCode(path=path, field=_named(field), value=value[:60], nearest=hint)
    return value


def _choices(field: Field, value: Any, path: Path, blueprint: Blueprint, today: date) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise wrong_type(field, path, "代码列表", "a list of codes")
    codes = {_choice(field, each, [*path, at], blueprint, today) for at, each in enumerate(value)}
    check_count(field, len(codes), path)
    return tuple(sorted(codes))


def check_count(field: Field, count: int, path: Path) -> None:
    """The bounds of how many codes, files, links or lines there are."""
    if field.min is not None and count < field.min:
        raise OutOfBounds(
            path=path, field=_named(field), bound=Bilingual(f"至少 {field.min} 项", f"at least {field.min} of them")
        )
    if field.max is not None and count > field.max:
        raise OutOfBounds(
            path=path, field=_named(field), bound=Bilingual(f"至多 {field.max} 项", f"at most {field.max} of them")
        )


def _json(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> Any:
    exact = _exact_json(field, value, path, 0)
    if field.schema is not None:
        judge = _validator(json.dumps(field.schema, sort_keys=True, default=dict))
        error = next(iter(judge.iter_errors(_loose(exact))), None)
        if error is not None:
            where = "/".join(str(part) for part in error.absolute_path) or "/"
            raise BadJson(path=[*path, *error.absolute_path], field=_named(field), where=where, why=error.message[:200])
    return exact


def _exact_json(field: Field, value: Any, path: Path, depth: int) -> Any:
    """JSON with exact numbers; anything that is not JSON, or deeper than 40 levels, is refused."""
    if depth > 40:
        raise wrong_type(field, path, "层次不超过 40 的 JSON", "JSON of at most 40 levels")
    if isinstance(value, str):
        return _storable(field, value, path)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = Decimal(repr(value)) if isinstance(value, float) else value
        if not number.is_finite():
            raise wrong_type(field, path, "有限的数", "a finite number")
        return number
    if isinstance(value, Mapping):
        return {
            _storable(field, str(key), path): _exact_json(field, item, [*path, str(key)], depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_exact_json(field, item, [*path, at], depth + 1) for at, item in enumerate(value)]
    raise wrong_type(field, path, "JSON", "JSON")


def _storable(field: Field, text: str, path: Path) -> str:
    """Any text but what no database and no JSON can hold: U+0000 and half a character."""
    wrong = next((each for each in text if each == "\x00" or "\ud800" <= each <= "\udfff"), None)
    if wrong is not None:
        shown = f"U+{ord(wrong):04X}"
        why = Bilingual(f"含有不允许的字符 {shown}", f"the character {shown} is not allowed")
        raise BadText(path=path, field=_named(field), why=why)
    return unicodedata.normalize("NFC", text)


def _loose(value: Any) -> Any:
    """The same JSON with floats, which is what a JSON Schema validator understands."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {key: _loose(item) for key, item in value.items()}
    return [_loose(item) for item in value] if isinstance(value, list) else value


def _id(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> UUID:
    return as_id(field, value, path)


def as_id(field: Field, value: Any, path: Path) -> UUID:
    """A record's id; nothing but the hyphenated form is accepted as text."""
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and len(value) == 36:
        try:
            return UUID(value)
        except ValueError:
            pass
    raise wrong_type(field, path, "记录标识", "the id of a record")


def _any(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> AnyRef:
    if isinstance(value, AnyRef):
        value = value._asdict()
    if not isinstance(value, Mapping) or set(value) != {"entity", "id"} or value["entity"] not in field.targets:
        names = ", ".join(field.targets)
        raise wrong_type(
            field, path, f"{{entity, id}},其中 entity 为 {names} 之一", f"{{entity, id}} with entity one of {names}"
        )
    return AnyRef(value["entity"], as_id(field, value["id"], [*path, "id"]))


def _files(field: Field, value: Any, path: Path, _b: Blueprint, _t: date) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list | tuple):
        raise wrong_type(field, path, "文件列表", "a list of files")
    check_count(field, len(value), path)
    return tuple(_file(field, each, [*path, at]) for at, each in enumerate(value))


def _file(field: Field, value: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not {"name", "sha256"} <= set(value) <= _FILE_MEMBERS:
        raise wrong_type(field, path, "文件 {name, sha256}", "a file {name, sha256}")
    if not isinstance(value["sha256"], str) or not _SHA256.fullmatch(value["sha256"]):
        raise wrong_type(field, [*path, "sha256"], "SHA-256", "a SHA-256 in lower-case hexadecimal")
    if not isinstance(value["name"], str):
        raise wrong_type(field, [*path, "name"], "文本", "text")
    name = _one_line(field, value["name"], [*path, "name"], 255)
    if "/" in name or "\\" in name:
        raise BadText(
            path=[*path, "name"], field=_named(field), why=Bilingual("文件名不能含路径", "a file name has no path")
        )
    return {**value, "name": name}


@lru_cache(maxsize=500)
def _validator(schema: str) -> Draft202012Validator:
    return validator(json.loads(schema))


def _named(field: Field) -> Bilingual:
    """The field as a person knows it, with the name a program knows it by."""
    return Bilingual(f"{field.label.to('zh')}({field.name})", f"{field.label.to('en')} ({field.name})")


_Coerce = Callable[[Field, Any, Path, Blueprint, date], Any]
_COERCE: Mapping[FieldKind, _Coerce] = {
    FieldKind.TEXT: _text,
    FieldKind.NUMBER: _text,
    FieldKind.LONG_TEXT: _long_text,
    FieldKind.TRANSLATED: _translated,
    FieldKind.INTEGER: _integer,
    FieldKind.DECIMAL: _decimal,
    FieldKind.MONEY: _money,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.DATE: _date,
    FieldKind.DATETIME: _datetime,
    FieldKind.DURATION: _duration,
    FieldKind.CHOICE: _choice,
    FieldKind.CHOICES: _choices,
    FieldKind.JSON: _json,
    FieldKind.REF: _id,
    FieldKind.ID: _id,
    FieldKind.ANY: _any,
    FieldKind.FILES: _files,
}
