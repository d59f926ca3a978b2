"""The data dictionary as a static site in both languages: entities, fields, states, rules and a diagram of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from html import escape

from clew.kernel.text import LOCALES, Bilingual, Locale
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind, Origin

_STYLE = """\
body{font:15px/1.55 system-ui,"Noto Sans CJK SC",sans-serif;color:#1f2933;
max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #e3e8ee;padding:.3rem .5rem;text-align:left;
vertical-align:top}th{color:#61707f;font-weight:600}a{color:#0b5cad;text-decoration:none}code{background:#f0f3f6}
h2{margin-top:2rem}nav{color:#61707f}svg{max-width:100%;height:auto}svg text{font:13px system-ui,sans-serif}
svg rect{fill:#f7f9fb;stroke:#9fb0c0}svg rect.self{fill:#e3eefa;stroke:#0b5cad}svg path{stroke:#9fb0c0;fill:none}
"""
_POLICY = "default-src 'none'; style-src 'self'; img-src data:"
_RELATIONS = (FieldKind.REF, FieldKind.MANY, FieldKind.LINES, FieldKind.ANY)
_WORDS = {
    "dictionary": Bilingual("数据字典", "Data dictionary"),
    "field": Bilingual("字段", "Field"),
    "type": Bilingual("类型", "Type"),
    "label": Bilingual("名称", "Label"),
    "meaning": Bilingual("说明", "Meaning"),
    "states": Bilingual("状态", "States"),
    "rules": Bilingual("规则", "Rules"),
    "diagram": Bilingual("关系图", "Diagram"),
    "codes": Bilingual("代码表", "Code lists"),
    "moves": Bilingual("流转", "Transitions"),
    "required": Bilingual("必填", "required"),
    "unique": Bilingual("唯一", "unique"),
    "regulated": Bilingual("受控(修改须说明原因)", "regulated (a change needs a reason)"),
    "personal": Bilingual("个人信息", "personal data"),
    "computed": Bilingual("计算得出", "computed"),
    "other": Bilingual("English", "中文"),
}


def site(blueprint: Blueprint) -> dict[str, str]:
    """File name → page. No script, no request to another host."""
    pages = {"style.css": _STYLE}
    for locale in LOCALES:
        pages[f"{locale}/index.html"] = _index(blueprint, locale)
        pages[f"{locale}/codes.html"] = _codes(blueprint, locale)
        for entity in blueprint.entities.values():
            pages[f"{locale}/{entity.name}.html"] = _entity(blueprint, entity, locale)
    first = blueprint.project.locale
    pages["index.html"] = f'<!doctype html><meta http-equiv="refresh" content="0; url={first}/index.html">\n'
    return pages


def _page(title: str, body: str, locale: Locale, file: str) -> str:
    other: Locale = "en" if locale == "zh" else "zh"
    language = "zh-CN" if locale == "zh" else "en"
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="../style.css"><title>{escape(title)}</title>'
        f'<nav><a href="index.html">{_WORDS["dictionary"].to(locale)}</a> · <a href="codes.html">'
        f'{_WORDS["codes"].to(locale)}</a> · <a href="../{other}/{file}">{_WORDS["other"].to(locale)}</a></nav>'
        f"<h1>{escape(title)}</h1>{body}</html>\n"
    )


def _index(blueprint: Blueprint, locale: Locale) -> str:
    systems: dict[str, list[Entity]] = defaultdict(list)
    for entity in blueprint.entities.values():
        systems[entity.system or "…"].append(entity)
    body = ""
    for system in sorted(systems):
        rows = "".join(
            f'<tr><td><a href="{each.name}.html"><code>{each.name}</code></a></td><td>{_text(each.label, locale)}</td>'
            f"<td>{_text(each.help, locale)}</td></tr>"
            for each in systems[system]
        )
        body += f"<h2>{escape(system)}</h2><table>{rows}</table>"
    return _page(blueprint.project.label.to(locale), body, locale, "index.html")


def _codes(blueprint: Blueprint, locale: Locale) -> str:
    body = ""
    for found in blueprint.code_lists.values():
        rows = "".join(
            f"<tr><td><code>{escape(code.value)}</code></td><td>{_text(code.label, locale)}</td></tr>"
            for code in found.codes.values()
        )
        body += (
            f'<h2 id="{found.name}">{_text(found.label, locale)} <code>{found.name}</code></h2><table>{rows}</table>'
        )
    return _page(_WORDS["codes"].to(locale), body, locale, "codes.html")


def _entity(blueprint: Blueprint, entity: Entity, locale: Locale) -> str:
    say = {name: words.to(locale) for name, words in _WORDS.items()}
    body = f"<p>{_text(entity.help, locale)}</p><h2>{say['diagram']}</h2>{diagram(blueprint, entity, locale)}"
    head = "".join(f"<th>{say[name]}</th>" for name in ("field", "type", "label", "meaning"))
    rows = "".join(_row(field, locale) for field in entity.fields.values() if field.origin is not Origin.ENVELOPE)
    body += f"<h2>{say['field']}</h2><table><tr>{head}</tr>{rows}</table>"
    if entity.states:
        shown = "".join(
            f"<li><code>{each.name}</code> {_text(each.label, locale)}</li>" for each in entity.states.values()
        )
        moves = "".join(
            f"<li><code>{move.name}</code> {_text(move.label, locale)}: {', '.join(move.sources)} → {move.target}</li>"
            for move in entity.transitions.values()
        )
        body += f"<h2>{say['states']}</h2><ul>{shown}</ul><h2>{say['moves']}</h2><ul>{moves}</ul>"
    if entity.rules:
        shown = "".join(f"<li><code>{each.name}</code> {_text(each.say, locale)}</li>" for each in entity.rules)
        body += f"<h2>{say['rules']}</h2><ul>{shown}</ul>"
    return _page(f"{entity.label.to(locale)} ({entity.name})", body, locale, f"{entity.name}.html")


def _row(field: Field, locale: Locale) -> str:
    kind = escape(str(field.kind))
    if field.kind in _RELATIONS:
        kind += " → " + ", ".join(f'<a href="{name}.html">{name}</a>' for name in field.targets)
    elif field.code_list:
        kind += f' <a href="codes.html#{field.code_list}">{field.code_list}</a>'
    if field.unit:
        kind += f" [{escape(field.unit)}]"
    traits = ("required", "unique", "regulated", "personal", "computed")
    marks = [_WORDS[name].to(locale) for name in traits if getattr(field, name)]
    meaning = " · ".join(filter(None, [_text(field.help, locale), *marks]))
    cells = (f"<code>{field.name}</code>", kind, _text(field.label, locale), meaning)
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _text(words: Bilingual, locale: Locale) -> str:
    return escape(words.to(locale))


# ── the diagram ───────────────────────────────────────────────────────────────────────────────────────────────────

_WIDTH, _HEIGHT, _STEP, _COLUMN = 220, 26, 34, 330


def diagram(blueprint: Blueprint, entity: Entity, locale: Locale) -> str:
    """Who points at this entity, and what it points at: three columns of boxes, as SVG."""
    left = _unique(back.source for back in entity.inverses.values())
    right = _unique(name for field in entity.fields.values() if field.kind in _RELATIONS for name in field.targets)
    tallest = max(len(left), len(right), 1)
    height = tallest * _STEP + 10
    middle = (height - _HEIGHT) / 2
    parts = []
    for column, names in ((0, left), (2, right)):
        top = (height - len(names) * _STEP) / 2
        for at, name in enumerate(names):
            y = top + at * _STEP
            parts.append(_line(column, y, middle))
            parts.append(_box(blueprint.entities[name], column, y, locale))
    parts.append(_box(entity, 1, middle, locale, own=True))
    width = 2 * _COLUMN + _WIDTH
    return f'<svg viewBox="0 0 {width + 2} {height:.0f}" width="{width}">{"".join(parts)}</svg>'


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _box(entity: Entity, column: int, y: float, locale: Locale, own: bool = False) -> str:
    x = column * _COLUMN + 1
    kind = ' class="self"' if own else ""
    return (
        f'<a href="{entity.name}.html"><rect{kind} x="{x}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="4"/>'
        f'<text x="{x + 8}" y="{y + 18:.1f}">{escape(entity.label.to(locale)[:26])}</text></a>'
    )


def _line(column: int, y: float, middle: float) -> str:
    begin, end = (_WIDTH, _COLUMN) if column == 0 else (_COLUMN + _WIDTH, 2 * _COLUMN)
    start, stop = (y, middle) if column == 0 else (middle, y)
    half, low, high = (begin + end) / 2, start + _HEIGHT / 2, stop + _HEIGHT / 2
    return f'<path d="M{begin} {low:.1f} C{half} {low:.1f} {half} {high:.1f} {end} {high:.1f}"/>'
