"""The pages of the site: an index by system, one per entity, the code lists; and what the search box knows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from html import escape

from clew.cli.dictionary.assets import SEARCH, STYLE
from clew.cli.dictionary.diagrams import overview
from clew.cli.dictionary.entity import entity_body
from clew.cli.dictionary.parts import code, mark, section, table, text
from clew.cli.dictionary.words import WORDS
from clew.kernel.text import LOCALES, Locale
from clew.metadata.blueprint import Blueprint, Entity, Origin, Segment
from clew.records.search import initials

_POLICY = "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:"


def site(blueprint: Blueprint) -> dict[str, str]:
    """File name → page. Works from a folder as well as from a server; asks no other host for anything."""
    pages = {"style.css": STYLE}
    for locale in LOCALES:
        pages[f"{locale}/search.js"] = f"const ENTRIES = {_entries(blueprint, locale)};\n{SEARCH}"
        pages[f"{locale}/index.html"] = _index(blueprint, locale)
        pages[f"{locale}/codes.html"] = _codes(blueprint, locale)
        for entity in blueprint.entities.values():
            title = f"{text(entity.label, locale)} {code(entity.name)}"
            body = f"<h1>{title}</h1>{entity_body(blueprint, entity, locale)}"
            name = f"{entity.label.to(locale)} ({entity.name})"
            pages[f"{locale}/{entity.name}.html"] = _page(blueprint, name, body, locale, f"{entity.name}.html")
    first: Locale = "zh" if blueprint.project.locale == "zh" else "en"
    pages["index.html"] = (
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={first}/index.html">'
        f'<title>Clew</title><a href="{first}/index.html">{WORDS["dictionary"].to(first)}</a>\n'
    )
    return pages


def _page(blueprint: Blueprint, title: str, body: str, locale: Locale, file: str) -> str:
    other: Locale = "en" if locale == "zh" else "zh"
    say = {name: escape(words.to(locale), quote=True) for name, words in WORDS.items()}
    project = text(blueprint.project.label, locale)
    return (
        f'<!doctype html><html lang="{"zh-CN" if locale == "zh" else "en"}"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="../style.css"><title>{escape(title)} · {say["dictionary"]}</title>'
        f'<a class="skip" href="#content">{say["skip"]}</a>'
        f'<header><div><a class="name" href="index.html">{project}</a>'
        f'<div class="find" role="search"><input id="find" type="search" autocomplete="off" aria-controls="hits" '
        f'aria-label="{say["search"]}" placeholder="{say["search"]}  /">'
        f'<ul class="hits" id="hits" data-none="{say["nothing_found"]}" hidden></ul></div>'
        f'<a href="codes.html">{say["codes"]}</a><a href="../{other}/{file}" lang="{other}">{say["other"]}</a>'
        f'</div></header><main id="content">{body}</main><script src="search.js" defer></script></html>\n'
    )


def _systems(blueprint: Blueprint) -> dict[str, list[Entity]]:
    """Entities by system; lines follow their owner."""
    found: dict[str, list[Entity]] = defaultdict(list)
    for entity in sorted(blueprint.entities.values(), key=lambda each: (each.part_of or each.name, each.name)):
        found[entity.system].append(entity)
    return dict(sorted(found.items(), key=lambda each: (not each[0], each[0])))


def _index(blueprint: Blueprint, locale: Locale) -> str:
    systems = _systems(blueprint)
    counted = f"{len(blueprint.entities)} {WORDS['entities'].to(locale)}"
    project = blueprint.project
    body = f"<h1>{text(project.label, locale)}</h1>"
    body += f'<p class="soft">{WORDS["dictionary"].to(locale)} · {escape(project.version)} · {counted}</p>'
    links = "".join(
        f'<a href="#{escape(name or "none", quote=True)}">{_system(name, locale)} ({len(of)})</a>'
        for name, of in systems.items()
    )
    body += f'<nav class="jump">{links}</nav>'
    if len(systems) > 1:
        picture = f'<p class="soft">{WORDS["overview_help"].to(locale)}</p>{overview(blueprint, list(systems), locale)}'
        body += section("overview", WORDS["overview"].to(locale), picture)
    heads = [WORDS[name].to(locale) for name in ("entity", "code", "meaning")]
    for name, entities in systems.items():
        rows = [("", _listed(each, locale)) for each in entities]
        body += section(name or "none", _system(name, locale), table(heads, rows))
    return _page(blueprint, WORDS["dictionary"].to(locale), body, locale, "index.html")


def _system(name: str, locale: Locale) -> str:
    return escape(name.upper()) if name else WORDS["no_system"].to(locale)


def _listed(entity: Entity, locale: Locale) -> Sequence[str]:
    within = mark(f"{WORDS['part_of'].to(locale)} {entity.part_of}") if entity.part_of else ""
    name = f'<a href="{entity.name}.html">{text(entity.label, locale)}</a>'
    return (name, code(entity.name), f"{text(entity.help, locale)} {within}".strip())


def _codes(blueprint: Blueprint, locale: Locale) -> str:
    say = {name: words.to(locale) for name, words in WORDS.items()}
    users: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entity in blueprint.entities.values():
        for field in entity.fields.values():
            if field.code_list:
                users[field.code_list].append((entity.name, field.name))
    body = f"<h1>{say['codes']}</h1>"
    for found in blueprint.code_lists.values():
        rows = [
            ("", (code(each.value), text(each.label, locale), _validity(each.valid_from, each.valid_to)))
            for each in found.codes.values()
        ]
        used = ", ".join(f'<a href="{entity}.html#{field}">{entity}.{field}</a>' for entity, field in users[found.name])
        heads = [say["code"], say["label"], *([say["valid"]] if any(row[1][2] for row in rows) else [])]
        title = f"{text(found.label, locale)} {code(found.name)}"
        shown = f'<p class="soft">{say["used_by"]}: {used}</p>' if used else ""
        body += section(found.name, title, shown + table(heads, [(key, row[: len(heads)]) for key, row in rows]))
    heads = [say["label"], say["code"], say["numbers"]]
    made = [
        ("", (text(rule.label, locale), code(rule.name), code(_pattern(rule.segments)) + (
            mark(say["gap_free"]) if rule.gap_free else "")))
        for rule in blueprint.coding_rules.values()
    ]  # fmt: skip
    if made:
        body += section("coding-rules", say["numbers"], table(heads, made))
    return _page(blueprint, say["codes"], body, locale, "codes.html")


def _validity(start: str | None, end: str | None) -> str:
    return f"{start or '…'} – {end or '…'}" if start or end else ""


def _pattern(segments: Sequence[Segment]) -> str:
    """A number's pattern as it is written in YAML."""
    return "".join(
        each.text if each.kind == "literal" else f"{{seq:{each.width}}}" if each.kind == "seq" else f"{{{each.text}}}"
        for each in segments
    )


def _entries(blueprint: Blueprint, locale: Locale) -> str:
    """What the search box looks through: entities, then fields, then codes."""
    other: Locale = "en" if locale == "zh" else "zh"
    entities, fields, codes = [], [], []
    for entity in blueprint.entities.values():
        label = entity.label.to(locale)
        words = f"{entity.label.to(other)} {initials(entity.label.to('zh'))}"
        entities.append([f"{entity.name}.html", entity.name, label, words])
        for field in entity.fields.values():
            if field.origin is Origin.DECLARED:
                where, name = f"{entity.name}.html#{field.name}", f"{entity.name}.{field.name}"
                words = f"{field.name} {field.label.to(other)} {initials(field.label.to('zh'))}"
                fields.append([where, name, field.label.to(locale), words])
    for found in blueprint.code_lists.values():
        words = f"{found.label.to(other)} {initials(found.label.to('zh'))}"
        codes.append([f"codes.html#{found.name}", found.name, found.label.to(locale), words])
    # A label must not be able to end the script it stands in, wherever this text is put.
    return json.dumps([*entities, *fields, *codes], ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
