"""One declared field to one blueprint field, without its expressions (they need every entity to be known)."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from clew.expressions.pattern import whole
from clew.kernel.text import Bilingual
from clew.metadata import naming, rules
from clew.metadata.blueprint import Field, FieldKind
from clew.metadata.json_schema import wrong_with
from clew.metadata.link.drafts import EntityDraft, FieldDraft
from clew.metadata.link.project import Linking
from clew.metadata.spec.field import (
    AnySpec,
    ChoiceSpec,
    ChoicesSpec,
    DecimalSpec,
    FilesSpec,
    JsonSpec,
    LinesSpec,
    ManySpec,
    MoneySpec,
    NumberSpec,
    RefSpec,
    ScalarSpec,
    TranslatedSpec,
)
from clew.metadata.spec.words import text_of


def build_field(linking: Linking, entity: EntityDraft, draft: FieldDraft) -> Field:
    """Everything about a field that does not need an expression. Wrong parts are reported and left out."""
    spec = draft.spec
    kind = FieldKind(spec.type)
    low, high = _bounds(linking, draft)
    path = f"entity.{entity.name}.field.{draft.name}"
    field = Field(
        name=draft.name,
        kind=kind,
        label=linking.label(path, text_of(spec.label), _default_label(linking, draft)),
        help=linking.label(f"{path}.help", text_of(spec.help)),
        place=draft.key_place,
        required=spec.required,
        unique=bool(getattr(spec, "unique", False)),
        regulated=spec.regulated,
        personal=spec.personal,
        immutable=spec.immutable,
        min=low,
        max=high,
        min_length=getattr(spec, "min_length", None),
        max_length=100 if kind is FieldKind.NUMBER else getattr(spec, "max_length", None),
        pattern=_pattern(linking, draft),
        scale=spec.scale if isinstance(spec, DecimalSpec | MoneySpec) else 0,
        big=bool(getattr(spec, "big", False)),
        unit=getattr(spec, "unit", None),
        code_list=_code_list(linking, entity, draft),
        schema=_json_schema(linking, draft),
        schema_version=getattr(spec, "version", 1),
        coding_rule=_coding_rule(entity, draft),
        targets=_targets(linking, entity, draft),
        accept=_accept(linking, draft) if isinstance(spec, FilesSpec) else (),
        sort=getattr(spec, "sort", None),
        search=bool(getattr(spec, "search", False)),
        renamed_from=spec.renamed_from,
    )
    _check_combination(linking, draft)
    return field


def _default_label(linking: Linking, draft: FieldDraft) -> Bilingual:
    """Where none is given: the target entity's or code list's label if it bears the same name, else the name."""
    spec = draft.spec
    english = naming.human(draft.name)
    of = getattr(spec, "of", None)
    if of == draft.name and isinstance(of, str):
        if isinstance(spec, RefSpec) and of in linking.drafts:
            return text_of(linking.drafts[of].label) or Bilingual("", english)
        if isinstance(spec, ChoiceSpec | ChoicesSpec) and of in linking.code_lists:
            return linking.code_lists[of].label
    return Bilingual("", english)


def _bounds(linking: Linking, draft: FieldDraft) -> tuple[Decimal | None, Decimal | None]:
    """Inclusive bounds. An exclusive one becomes the next value that the scale can hold."""
    spec = draft.spec
    given_low, given_high = getattr(spec, "min", None), getattr(spec, "max", None)
    low = None if given_low is None else Decimal(given_low)
    high = None if given_high is None else Decimal(given_high)
    if isinstance(spec, DecimalSpec):
        step = Decimal(1).scaleb(-spec.scale)
        if spec.above is not None:
            above = spec.above.quantize(step, rounding=ROUND_FLOOR) + step
            low = above if low is None else max(low, above)
        if spec.below is not None:
            below = spec.below.quantize(step, rounding=ROUND_CEILING) - step
            high = below if high is None else min(high, below)
    if low is not None and high is not None and low > high:
        linking.findings.add(rules.BOUNDS_CROSSED, draft.at("min"), path=draft.name, low=low, high=high)
    shortest, longest = getattr(spec, "min_length", None), getattr(spec, "max_length", None)
    if shortest is not None and longest is not None and shortest > longest:
        linking.findings.add(rules.BOUNDS_CROSSED, draft.at("min_length"), path=draft.name, low=shortest, high=longest)
    return low, high


def _pattern(linking: Linking, draft: FieldDraft) -> str | None:
    pattern: str | None = getattr(draft.spec, "pattern", None)
    if pattern is None or isinstance(draft.spec, NumberSpec):
        return None
    try:
        whole(pattern)
        re.compile(pattern)
    except (ValueError, re.error) as error:
        linking.findings.add(rules.BAD_REGEX, draft.at("pattern"), reason=str(error))
        return None
    return pattern


def _code_list(linking: Linking, entity: EntityDraft, draft: FieldDraft) -> str | None:
    spec = draft.spec
    if not isinstance(spec, ChoiceSpec | ChoicesSpec):
        return None
    if isinstance(spec.of, dict):
        return f"{entity.name}_{draft.name}"
    if spec.of not in linking.code_lists:
        linking.unknown(rules.UNKNOWN_CODE_LIST, draft.at("of"), spec.of, linking.code_lists, f"fields.{draft.name}.of")
        return None
    return spec.of


def _coding_rule(entity: EntityDraft, draft: FieldDraft) -> str | None:
    if not isinstance(draft.spec, NumberSpec):
        return None
    return draft.spec.rule or f"{entity.name}_{draft.name}"


def _json_schema(linking: Linking, draft: FieldDraft) -> dict[str, object] | None:
    if not isinstance(draft.spec, JsonSpec):
        return None
    if wrong := wrong_with(draft.spec.json_schema):
        linking.findings.add(rules.BAD_JSON_SCHEMA, draft.at("schema"), reason=wrong)
    return draft.spec.json_schema


def _targets(linking: Linking, entity: EntityDraft, draft: FieldDraft) -> tuple[str, ...]:
    spec = draft.spec
    if isinstance(spec, AnySpec):
        names = spec.of
    elif isinstance(spec, RefSpec | ManySpec):
        names = (spec.of,)
    elif isinstance(spec, LinesSpec) and (spec.of or (spec.fields and not entity.generated_by)):
        names = (spec.of or f"{entity.name}_{draft.name}",)
    else:
        return ()
    found = []
    for index, name in enumerate(names):
        place = draft.at("of", index) if isinstance(spec, AnySpec) else draft.at("of")
        if linking.known_entity(name, place, f"fields.{draft.name}.of"):
            found.append(name)
    if not found:
        linking.holes.add(draft.name)
    return tuple(found)


def _accept(linking: Linking, draft: FieldDraft) -> tuple[str, ...]:
    assert isinstance(draft.spec, FilesSpec)
    for index, each in enumerate(draft.spec.accept):
        if each not in ("image", "pdf", "any") and not re.fullmatch(r"[a-z]+/[a-z0-9.+*-]+", each):
            linking.findings.add(
                rules.NOT_ONE_OF, draft.at("accept", index), value=each, known="image, pdf, any, type/subtype"
            )
    return draft.spec.accept


def _check_combination(linking: Linking, draft: FieldDraft) -> None:
    """Keys that contradict each other."""
    spec = draft.spec

    def wrong(key: str, en: str, zh: str) -> None:
        linking.findings.add(
            rules.NOT_FOR_KIND, draft.at(key, key=True), path=f"fields.{draft.name}.{key}", key=key, what=en, what_zh=zh
        )

    if isinstance(spec, ScalarSpec) and spec.computed is not None:
        for key in ("required", "required_when", "unique", "default", "immutable", "regulated"):
            if getattr(spec, key):
                wrong(key, "a computed field", "计算字段")
    if isinstance(spec, LinesSpec):
        if (spec.of is None) == (spec.fields is None):
            linking.findings.add(rules.MISSING_KEY, draft.key_place, path=f"fields.{draft.name}", key="of / fields")
        for key in ("required_when", "regulated", "personal", "immutable"):
            if getattr(spec, key):
                wrong(key, "lines (declare it on the line's fields)", "明细字段(请在明细的字段上声明)")
    if isinstance(spec, NumberSpec) and (spec.rule is None) == (spec.pattern is None):
        linking.findings.add(rules.MISSING_KEY, draft.key_place, path=f"fields.{draft.name}", key="rule / pattern")
    if isinstance(spec, TranslatedSpec) and spec.personal and spec.search:
        wrong("search", "personal data", "个人信息")
