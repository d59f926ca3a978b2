"""The page of one entity: what it means, its fields, life, rules and relations."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from clew.cli.dictionary.diagrams import RELATIONS, neighbours, states
from clew.cli.dictionary.parts import code, entity_link, facts, mark, section, table, text
from clew.cli.dictionary.words import CLASSES, KINDS, MEANINGS, WORDS
from clew.kernel.text import Locale
from clew.metadata import naming
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind, Origin, Transition

_SAY: Mapping[Locale, Mapping[str, str]] = {
    locale: {name: words.to(locale) for name, words in WORDS.items()} for locale in ("zh", "en")
}


def entity_body(blueprint: Blueprint, entity: Entity, locale: Locale) -> str:
    """Everything below the heading."""
    say = _SAY[locale]
    body = f'<p class="lead">{text(entity.help, locale)}</p>' if entity.help else ""
    parts = [
        ("fields", say["fields"], _fields(blueprint, entity, locale)),
        ("states", say["states"], _life(entity, locale)),
        ("rules", say["rules"], _rules(entity, locale)),
        ("diagram", say["diagram"], neighbours(blueprint, entity, locale)),
        ("relations", say["relations"], _relations(blueprint, entity, locale)),
        ("graphql", "GraphQL", _graphql(entity)),
    ]
    shown = [part for part in parts if part[2]]
    jumps = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in shown)
    body += _facts(blueprint, entity, locale) + f'<nav class="jump">{jumps}</nav>'
    return body + "".join(section(*part) for part in shown)


def _facts(blueprint: Blueprint, entity: Entity, locale: Locale) -> str:
    say, owner = _SAY[locale], entity.part_of
    traits = [mark(CLASSES[entity.cls].to(locale), "strong")]
    traits += [mark(say["site"])] if entity.site_scoped else []
    traits += [mark(say["derived"], "warn")] if entity.derived else []
    key = " + ".join(code(each) for each in entity.key)
    kept = ""
    if entity.retention is not None:
        years = entity.retention.years
        kept = say["for_ever"] if years is None else f"{years} {say['years']}"
        kept += f" ({say['after']} {code(entity.retention.after)})" if entity.retention.after else ""
        kept += f' <span class="soft">{escape(entity.retention.basis)}</span>' if entity.retention.basis else ""
    return facts(
        [
            (say["class"], "".join(traits)),
            (say["part_of"], entity_link(owner, blueprint.entities[owner].label, locale) if owner else ""),
            (say["system"], escape(entity.system.upper())),
            (say["steward"], code(entity.steward) if entity.steward else ""),
            (say["key"], key),
            (say["frozen"], _state(entity, entity.frozen_from, locale) if entity.frozen_from else ""),
            (say["process"], code(entity.moved_by) if entity.moved_by else ""),
            (say["retention"], kept),
            (say["source"], code(f"{entity.place.file}:{entity.place.line}") if entity.place.file else ""),
        ]
    )


# ── fields ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _fields(blueprint: Blueprint, entity: Entity, locale: Locale) -> str:
    say = _SAY[locale]
    heads = [say["field"], say["code"], say["type"], say["meaning"]]
    own: list[tuple[str, tuple[str, ...]]] = []
    kept: list[tuple[str, tuple[str, ...]]] = []
    for field in entity.fields.values():
        row = (field.name, _field(blueprint, entity, field, locale))
        (kept if field.origin is Origin.ENVELOPE else own).append(row)
    more = f"<details><summary>{say['platform_fields']} ({len(kept)})</summary>{table(heads, kept)}</details>"
    return table(heads, own) + (more if kept else "")


def _field(blueprint: Blueprint, entity: Entity, field: Field, locale: Locale) -> tuple[str, str, str, str]:
    say = _SAY[locale]
    marks = [mark(say["required"], "strong")] if field.required else []
    marks += [
        mark(say[name], "warn" if name in ("regulated", "personal") else "")
        for name in ("unique", "regulated", "personal", "immutable")
        if getattr(field, name)
    ]
    marks += [mark(say["search_mark"])] if field.search else []
    notes = [text(field.help, locale)] if field.help else []
    for name, found in (
        ("required_when", field.required_when),
        ("keep_when", field.keep_when),
        ("computed", field.computed),
        ("default", field.default),
        ("where", field.where),
    ):
        if found is not None:
            notes.append(f'<span class="soft">{say[name]}</span>{code(found.source)}')
    meaning = "<br>".join([*notes, "".join(marks)] if marks else notes)
    label = text(field.label, locale) or escape(field.name)
    return label, code(field.name), _type(blueprint, field, locale), meaning


def _type(blueprint: Blueprint, field: Field, locale: Locale) -> str:
    shown = text(KINDS[field.kind], locale)
    if field.kind in RELATIONS:
        shown += " → " + ", ".join(entity_link(name, blueprint.entities[name].label, locale) for name in field.targets)
    elif field.code_list:
        label = text(blueprint.code_lists[field.code_list].label, locale) or escape(field.code_list)
        shown += f' <a href="codes.html#{field.code_list}">{label}</a>'
    if field.kind is FieldKind.DECIMAL and field.scale:
        shown += f" ({field.scale})"
    if field.coding_rule:
        shown += ' <a href="codes.html#coding-rules">' + escape(field.coding_rule) + "</a>"
    if field.unit:
        shown += " " + code(field.unit)
    return shown + _bounds(field)


def _bounds(field: Field) -> str:
    low = field.min_length if field.min is None else field.min
    high = field.max_length if field.max is None else field.max
    shown = f"{low} – {high}" if low is not None and high is not None else ""
    shown = shown or (f"≥ {low}" if low is not None else f"≤ {high}" if high is not None else "")
    pattern = f" {code(field.pattern)}" if field.pattern else ""
    return (f' <span class="soft">{shown}</span>' if shown else "") + pattern


# ── life ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _life(entity: Entity, locale: Locale) -> str:
    if not entity.states:
        return ""
    say = _SAY[locale]
    heads = [say["moves"], say["code"], say["from_to"], say["condition"]]
    rows = [(f"move-{move.name}", _move(entity, move, locale)) for move in entity.transitions.values()]
    named = "".join(
        mark(f"{each.label.to(locale)} {each.name}", "strong" if each.name == entity.initial else "")
        for each in entity.states.values()
    )
    return f"<p>{named}</p>{states(entity, locale)}" + table(heads, rows)


def _move(entity: Entity, move: Transition, locale: Locale) -> tuple[str, str, str, str]:
    say = _SAY[locale]
    path = ", ".join(_state(entity, each, locale) for each in move.sources)
    notes = [text(move.say, locale)] if move.say else []
    if move.when is not None:
        notes.append(code(move.when.source))
    if move.sets:
        notes.append(say["sets"] + ", ".join(code(f"{name} = {value.source}") for name, value in move.sets))
    marks = ""
    if move.sign:
        meaning = MEANINGS[move.sign].to(locale) if move.sign in MEANINGS else move.sign
        marks += mark(say["sign_for"] + meaning, "strong")
    marks += mark(say["reason"], "warn") if move.reason else ""
    marks += mark(say["moved_by"] + move.moved_by) if move.moved_by else ""
    shown = f"{path} → {_state(entity, move.target, locale)}"
    return text(move.label, locale), code(move.name), shown, "<br>".join(filter(None, [*notes, marks]))


def _state(entity: Entity, name: str, locale: Locale) -> str:
    found = entity.states.get(name)
    return text(found.label, locale) if found else escape(name)


# ── rules ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rules(entity: Entity, locale: Locale) -> str:
    """The rules in the words people are told, with their expressions; then what the structure itself forbids."""
    say = _SAY[locale]
    rows = []
    for rule in entity.rules:
        kind = mark(say["warns"], "warn") if rule.warn else mark(say["must"])
        rows.append(
            (f"rule-{rule.name}", (text(rule.say, locale) or code(rule.name), kind, code(rule.condition.source)))
        )
    structure = []
    for unique in entity.uniques:
        more = ["", code(unique.while_.source)] if unique.while_ else []
        structure.append(say["unique_rule"] + _names(entity, unique.fields, locale) + (f" {say['while']} ".join(more)))
    for overlap in entity.no_overlaps:
        per = f" ({say['per']} {_names(entity, overlap.per, locale)})" if overlap.per else ""
        structure.append(say["overlap"] + _names(entity, (overlap.start, overlap.end), locale) + per)
    structure += [say["acyclic"] + f"{code(each.source)} → {code(each.target)}" for each in entity.acyclics]
    structure += [
        f'{say["posts"]}<a href="{each.to}.html">{escape(each.to)}</a> ({", ".join(code(n) for n, _ in each.add)})'
        for each in entity.postings
    ]
    listed = "<ul>" + "".join(f"<li>{each}</li>" for each in structure) + "</ul>" if structure else ""
    return table([say["rules"], say["type"], say["condition"]], rows) + listed


def _names(entity: Entity, names: tuple[str, ...], locale: Locale) -> str:
    return ", ".join(
        f'<a href="#{name}">{text(entity.fields[name].label, locale) or name}</a>'
        if name in entity.fields
        else code(name)
        for name in names
    )


# ── relations ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _relations(blueprint: Blueprint, entity: Entity, locale: Locale) -> str:
    say = _SAY[locale]
    forward = [
        ("", (entity_link(name, blueprint.entities[name].label, locale),
              f'<a href="#{field.name}">{text(field.label, locale) or field.name}</a>', code(field.name)))
        for field in entity.fields.values()
        if field.kind in RELATIONS
        for name in field.targets
    ]  # fmt: skip
    back = []
    for inverse in entity.inverses.values():
        source = blueprint.entities[inverse.source]
        label = source.fields[inverse.field].label
        through = f'<a href="{source.name}.html#{inverse.field}">{text(label, locale) or inverse.field}</a>'
        back.append(("", (entity_link(source.name, source.label, locale), through, code(inverse.name))))
    heads = [say["entity"], say["through"]]
    shown = f"<h3>{say['points_to']}</h3>{table([*heads, say['code']], forward)}" if forward else ""
    return shown + (f"<h3>{say['pointed_by']}</h3>{table([*heads, say['known_as']], back)}" if back else "")


def _graphql(entity: Entity) -> str:
    name, many = entity.name, entity.plural
    queries = [naming.one_query(name), naming.list_query(many)]
    queries += [naming.key_query(name, entity.key)] if entity.key else []
    moves: list[str] = []
    if entity.part_of is None and not entity.derived:
        moves = [naming.create_mutation(name), naming.update_mutation(name), naming.void_mutation(name)]
        moves += [naming.upsert_mutation(name)] if entity.key else []
        moves += [naming.bulk_mutation(many)]
        moves += [naming.transition_mutation(name, each) for each in entity.transitions]
    pairs = [("type", [naming.type_name(name)]), ("query", queries), ("mutation", moves)]
    return facts([(title, " ".join(code(each) for each in names)) for title, names in pairs if names])
