"""Code lists and coding rules: the declared ones, and those that inline codes, states and patterns generate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata import naming, rules
from clew.metadata.blueprint import Code, CodeList, CodingRule, Segment
from clew.metadata.link.drafts import EntityDraft, FieldDraft
from clew.metadata.link.project import Linking
from clew.metadata.spec.entity import NumberRule
from clew.metadata.spec.field import ChoiceSpec, ChoicesSpec, NumberSpec
from clew.metadata.spec.others import CodeListSpec, CodingRuleSpec
from clew.metadata.spec.words import Label, text_of

_PART = re.compile(r"\{([^{}]*)\}|([^{}]+)|([{}])")
_DATES = frozenset({"yyyy", "yy", "MM", "dd"})


def link_codes(linking: Linking) -> None:
    """Everything that has codes or makes numbers, before fields refer to it."""
    for document in linking.documents.get("code_list", ()):
        spec = document.spec
        assert isinstance(spec, CodeListSpec)
        codes = {}
        for value, code in spec.values.items():
            label = linking.label(
                f"code_list.{spec.code_list}.{value}", text_of(code.label), Bilingual("", naming.human(value))
            )
            if code.from_ and code.to and code.from_ > code.to:
                linking.findings.add(rules.BOUNDS_CROSSED, document.at("values", value), low=code.from_, high=code.to)
            codes[value] = Code(value, label, code.from_, code.to)
        label = linking.label(f"code_list.{spec.code_list}", text_of(spec.label), _human(spec.code_list))
        _add_list(linking, spec.code_list, label, codes, document.place)
    for document in linking.documents.get("coding_rule", ()):
        rule = document.spec
        assert isinstance(rule, CodingRuleSpec)
        label = linking.label(f"coding_rule.{rule.coding_rule}", text_of(rule.label), _human(rule.coding_rule))
        _add_rule(linking, rule.coding_rule, label, rule.pattern, rule.gap_free, document.at("pattern"), document.place)
    for draft in linking.drafts.values():
        _generated(linking, draft)


def _human(name: str) -> Bilingual:
    return Bilingual("", naming.human(name))


def _generated(linking: Linking, draft: EntityDraft) -> None:
    for name, each in draft.fields.items():
        if isinstance(each.spec, ChoiceSpec | ChoicesSpec) and isinstance(each.spec.of, dict):
            _inline(linking, draft, each, each.spec.of)
        if isinstance(each.spec, NumberSpec) and each.spec.pattern is not None:
            rule = f"{draft.name}_{name}"
            _add_rule(
                linking,
                rule,
                text_of(each.spec.label) or _human(rule),
                each.spec.pattern,
                False,
                each.at("pattern"),
                each.key_place,
            )
    if draft.spec.states:
        _states(linking, draft)
    if isinstance(draft.spec.number, str):
        rule = f"{draft.name}_number"
        place = draft.at("number")
        _add_rule(linking, rule, text_of(draft.label) or _human(rule), draft.spec.number, False, place, place)


def _inline(linking: Linking, draft: EntityDraft, field: FieldDraft, given: Mapping[str, Label | None]) -> None:
    name = f"{draft.name}_{field.name}"
    label = linking.label(f"entity.{draft.name}.field.{field.name}", text_of(field.spec.label), _human(field.name))
    codes = {
        value: Code(value, linking.label(f"code_list.{name}.{value}", text_of(code), _human(value)))
        for value, code in given.items()
    }
    _add_list(linking, name, label, codes, field.key_place)


def _states(linking: Linking, draft: EntityDraft) -> None:
    """The generated list `<entity>_state`. Labels: inline, else i18n/, else the shared code list `state`."""
    states = draft.spec.states
    shared = linking.code_lists.get("state")
    codes: dict[str, Code] = {}
    listed = not isinstance(states, dict)
    for index, value in enumerate(states):
        given = text_of(states[value]) if isinstance(states, dict) else Bilingual()
        label = linking.label(f"entity.{draft.name}.state.{value}", given)
        step = index if listed else value
        if not label and shared and value in shared.codes:
            label = shared.codes[value].label
        if not label:
            linking.findings.add(rules.STATE_NO_LABEL, draft.at("states", step), path=f"states.{step}", name=value)
            label = _human(value)
        if value in codes:
            linking.findings.add(
                rules.DUPLICATE_NAME, draft.at("states", step), kind="states", kind_zh="状态", name=value
            )
        codes[value] = Code(value, label)
    _add_list(linking, f"{draft.name}_state", Bilingual("状态", "State"), codes, draft.at("states", key=True))


def _add_list(linking: Linking, name: str, label: Bilingual, codes: dict[str, Code], place: Place) -> None:
    earlier = linking.code_lists.get(name)
    if earlier is not None:
        linking.findings.add(
            rules.DUPLICATE_NAME, place, kind="code lists", kind_zh="代码表", name=name, related=[earlier.place]
        )
        return
    linking.code_lists[name] = CodeList(name, label, MappingProxyType(codes), place)


def _add_rule(
    linking: Linking, name: str, label: Bilingual, pattern: str, gap_free: bool, at: Place, place: Place
) -> None:
    earlier = linking.coding_rules.get(name)
    if earlier is not None:
        linking.findings.add(
            rules.DUPLICATE_NAME, place, kind="coding rules", kind_zh="编码规则", name=name, related=[earlier.place]
        )
        return
    linking.coding_rules[name] = CodingRule(name, label, _segments(linking, pattern, at), gap_free, place)


def _segments(linking: Linking, pattern: str, at: Place) -> tuple[Segment, ...]:
    """`LOT-{site.code}-{yy}{seq:4}` in pieces. Exactly one sequence, at the end."""
    found: list[Segment] = []

    def wrong(part: str, en: str, zh: str) -> None:
        linking.findings.add(rules.BAD_PATTERN, at, part=part, reason=en, reason_zh=zh)

    for hole, literal, stray in _PART.findall(pattern):
        if literal:
            found.append(Segment("literal", literal))
        elif stray:
            wrong(stray, "a brace without its partner", "花括号不成对")
        elif hole in _DATES:
            found.append(Segment("date", hole))
        elif hole.split(":")[0] == "seq":
            width = hole.partition(":")[2] or "1"
            if not width.isdecimal() or not 1 <= int(width) <= 12:
                wrong(hole, "the width of a sequence is 1 to 12", "序号宽度为 1 到 12")
                width = "1"
            found.append(Segment("seq", "", int(width)))
        elif re.fullmatch(rf"{naming.PATH}", hole):
            found.append(Segment("field", hole))
        else:
            wrong(
                hole, "write a field path, yyyy, yy, MM, dd or seq:width", "应为字段路径、yyyy、yy、MM、dd 或 seq:宽度"
            )
    if sum(segment.kind == "seq" for segment in found) != 1 or found[-1].kind != "seq":
        wrong(pattern, "one {seq:width} must stand at the end", "末尾须有且仅有一个 {seq:宽度}")
    return tuple(found)


def check_patterns(linking: Linking) -> None:
    """Every path in a number pattern leads to a plain value, for each entity that uses the rule."""
    for name, draft in linking.drafts.items():
        uses: list[tuple[str, Place]] = []
        if isinstance(draft.spec.number, str):
            uses.append((f"{name}_number", draft.at("number")))
        elif isinstance(draft.spec.number, NumberRule):
            uses.append((draft.spec.number.rule, draft.at("number", "rule")))
        for field in draft.fields.values():
            if isinstance(field.spec, NumberSpec) and (field.spec.rule or field.spec.pattern):
                uses.append(
                    (field.spec.rule or f"{name}_{field.name}", field.at("rule" if field.spec.rule else "pattern"))
                )
        for rule, place in uses:
            found = linking.coding_rules.get(rule)
            if found is None:
                linking.unknown(rules.UNKNOWN_CODING_RULE, place, rule, linking.coding_rules)
                continue
            for segment in found.segments:
                if segment.kind == "field":
                    linking.walk(name, segment.text, place)
