"""Diagrams as SVG: the systems, an entity among its neighbours, and its states."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

from clew.cli.dictionary.words import WORDS
from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint, Entity, FieldKind

RELATIONS = (FieldKind.REF, FieldKind.MANY, FieldKind.LINES, FieldKind.ANY)
_WIDTH, _HEIGHT, _STEP, _COLUMN = 230, 30, 38, 340
_STATE_WIDTH, _STATE_STEP = 190, 46
_FULL, _HALF = 15, 8
"""Pixels of a Chinese character and of a Latin letter."""


def _svg(body: str, width: float, height: float, title: str) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(title, quote=True)}">{body}</svg></div>'
    )


def fitted(text: str, width: float) -> str:
    """Text cut to a width, with … where something is missing."""
    used = 0.0
    for at, char in enumerate(text):
        used += _FULL if ord(char) > 0x2E80 else _HALF
        if used > width:
            return text[: max(at - 1, 1)] + "…"
    return text


# ── one entity and its neighbours ─────────────────────────────────────────────────────────────────────────────────


def neighbours(blueprint: Blueprint, entity: Entity, locale: Locale) -> str:
    """Who points at this entity on the left, what it points at on the right."""
    left = _unique(back.source for back in entity.inverses.values())
    right = _unique(name for field in entity.fields.values() if field.kind in RELATIONS for name in field.targets)
    height = max(len(left), len(right), 1) * _STEP + 4
    middle = (height - _HEIGHT) / 2
    lines, boxes = [], []
    for column, names in ((0, left), (2, right)):
        top = (height - len(names) * _STEP) / 2 + (_STEP - _HEIGHT) / 2
        for at, name in enumerate(names):
            lines.append(_line(column, top + at * _STEP, middle))
            boxes.append(_box(blueprint.entities[name], column, top + at * _STEP, locale))
    boxes.append(_box(entity, 1, middle, locale, own=True))
    title = f"{WORDS['diagram'].to(locale)}: {entity.label.to(locale)}"
    return _svg("".join(lines) + "".join(boxes), 2 * _COLUMN + _WIDTH + 2, height, title)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _box(entity: Entity, column: int, y: float, locale: Locale, own: bool = False) -> str:
    x = column * _COLUMN + 1
    label = entity.label.to(locale)
    return (
        f'<a href="{entity.name}.html"><title>{escape(label)} ({entity.name})</title>'
        f'<rect{" class=own" if own else ""} x="{x}" y="{y:.1f}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{x + 10}" y="{y + 20:.1f}">{escape(fitted(label, _WIDTH - 20))}</text></a>'
    )


def _line(column: int, y: float, middle: float) -> str:
    begin, end = (_WIDTH, _COLUMN) if column == 0 else (_COLUMN + _WIDTH, 2 * _COLUMN)
    start, stop = (y, middle) if column == 0 else (middle, y)
    half, low, high = (begin + end) / 2, start + _HEIGHT / 2, stop + _HEIGHT / 2
    return f'<path d="M{begin} {low:.1f} C{half} {low:.1f} {half} {high:.1f} {end} {high:.1f}"/>'


# ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────


def states(entity: Entity, locale: Locale) -> str:
    """States in their order from the top; moves onward run on the right, moves back on the left. Hover one for its
    name."""
    rows = {name: at for at, name in enumerate(entity.states)}
    moves: dict[tuple[int, int], list[str]] = {}
    for move in entity.transitions.values():
        for source in move.sources:
            moves.setdefault((rows[source], rows[move.target]), []).append(move.label.to(locale))
    back = max((one - two for one, two in moves), default=0)
    onward = max((two - one for one, two in moves), default=0)
    left = _reach(back) if back > 0 else 6
    arcs = "".join(
        f'<g><title>{escape(" · ".join(labels))}</title><path class="move" d="{_arc(left, *pair)}"/></g>'
        for pair, labels in moves.items()
    )
    boxes = ""
    for name, at in rows.items():
        label, y = entity.states[name].label.to(locale), at * _STATE_STEP + 4
        own = " class=own" if name == entity.initial else ""
        boxes += (
            f"<g><title>{escape(label)} ({name})</title>"
            f'<rect{own} x="{left}" y="{y}" width="{_STATE_WIDTH}" height="{_HEIGHT}" rx="15"/>'
            f'<text class="mid" x="{left + _STATE_WIDTH / 2}" y="{y + 20}">'
            f"{escape(fitted(label, _STATE_WIDTH - 16))}</text></g>"
        )
    head = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
    )
    width = left + _STATE_WIDTH + _reach(max(onward, 0))
    return _svg(head + arcs + boxes, width, len(rows) * _STATE_STEP + 8, WORDS["states"].to(locale))


def _reach(rows: int) -> int:
    """How far an arc over so many rows swings out, with room for its line."""
    return 26 + 18 * rows


def _arc(left: float, one: int, two: int) -> str:
    """Out of the lower half of one box, into the upper half of the other, so that arrows in and out stay apart."""
    side = left + _STATE_WIDTH if two >= one else left
    swing = (_reach(abs(two - one)) - 8) * 4 / 3 * (1 if two >= one else -1) * 0.8
    start, stop = one * _STATE_STEP + 4 + _HEIGHT * 0.7, two * _STATE_STEP + 4 + _HEIGHT * 0.3
    return f"M{side} {start:.0f} C{side + swing:.0f} {start:.0f} {side + swing:.0f} {stop:.0f} {side} {stop:.0f}"


# ── systems ───────────────────────────────────────────────────────────────────────────────────────────────────────


def overview(blueprint: Blueprint, systems: Sequence[str], locale: Locale) -> str:
    """The systems on a circle with the references between them."""
    sizes = Counter(each.system for each in blueprint.entities.values())
    pairs: Counter[tuple[str, str]] = Counter()
    for entity in blueprint.entities.values():
        for field in entity.fields.values():
            for name in field.targets if field.kind in RELATIONS else ():
                one, two = sorted((entity.system, blueprint.entities[name].system))
                if one != two:
                    pairs[one, two] += 1
    width, height, radius = 760.0, 560.0, 220.0
    places = {}
    for at, system in enumerate(systems):
        angle = 2 * math.pi * at / len(systems) - math.pi / 2
        places[system] = (width / 2 + 1.35 * radius * math.cos(angle), height / 2 + radius * math.sin(angle))
    most = max(pairs.values(), default=1)
    lines = []
    for (one, two), count in sorted(pairs.items(), key=lambda each: each[1]):
        (x1, y1), (x2, y2) = places[one], places[two]
        share = count / most
        lines.append(
            f"<g><title>{escape(one)} ↔ {escape(two)}: {count}</title>"
            f'<path d="M{x1:.0f} {y1:.0f} Q{width / 2:.0f} {height / 2:.0f} {x2:.0f} {y2:.0f}" '
            f'stroke-width="{1 + 7 * share:.1f}" opacity="{0.35 + 0.5 * share:.2f}"/></g>'
        )
    nodes = []
    for system, (x, y) in places.items():
        label = system or WORDS["no_system"].to(locale)
        size = 22 + 3.2 * math.sqrt(sizes[system])
        counted = f"{sizes[system]} {WORDS['entities'].to(locale)}"
        nodes.append(
            f'<a href="#{escape(system or "none", quote=True)}"><title>{escape(label)}: {counted}</title>'
            f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{size:.0f}"/>'
            f'<text class="mid strong" x="{x:.0f}" y="{y:.0f}">{escape(label.upper())}</text>'
            f'<text class="mid" x="{x:.0f}" y="{y + 16:.0f}">{sizes[system]}</text></a>'
        )
    return _svg("".join(lines) + "".join(nodes), width, height, WORDS["overview"].to(locale))
