"""SVG: the swimlane map of one process, drawn without any tool but this."""

from __future__ import annotations

from html import escape

from clew.kernel.text import Locale
from clew.metadata.processes import Flow, StepKind, Workflow
from clew.process.drawing.graph import END, PLATFORM, PLATFORM_LABEL, START, arrows, columns, lane, lanes

WIDTH, HEIGHT, GAP, LANE, MARGIN, TITLE = 150, 54, 60, 96, 170, 44


def swimlanes(workflow: Workflow, locale: Locale) -> str:
    """One process as a picture: a lane for everybody who acts, time from left to right."""
    flow = workflow.flow
    rows, places = lanes(flow), positions(flow)
    right = max(x for x, _ in places.values()) + WIDTH + GAP
    bottom = TITLE + len(rows) * LANE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right} {bottom}" width="{right}" height="{bottom}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#445"/></marker></defs>',
        f'<rect width="{right}" height="{bottom}" fill="#fff"/>',
        f'<text x="12" y="28" font-size="18" font-weight="600">{escape(workflow.label.to(locale))}</text>',
    ]
    for at, who in enumerate(rows):
        y = TITLE + at * LANE
        label = PLATFORM_LABEL.to(locale) if who == PLATFORM else who
        parts.append(f'<rect x="0" y="{y}" width="{right}" height="{LANE}" fill="{("#f7f9fc", "#eef3f8")[at % 2]}"/>')
        for row, line in enumerate(_lines(label.replace(" / ", " + ").split(" + "), 4)):
            parts.append(f'<text x="12" y="{y + 22 + row * 16}" fill="#445">{escape(line)}</text>')
    for each in arrows(flow):
        if each.source == START or each.target == END:
            continue
        parts.append(_arrow(places[each.source], places[each.target], each.when))
    for step in flow.steps.values():
        x, y = places[step.name]
        radius = {StepKind.DECISION: 0, StepKind.END: HEIGHT // 2}.get(step.kind, 8)
        fill = {StepKind.DECISION: "#fff6dd", StepKind.END: "#e6e9ee", StepKind.ACTION: "#e9f6ee"}.get(
            step.kind, "#ffffff"
        )
        parts.append(
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="{radius}" fill="{fill}" stroke="#667"/>'
        )
        more = [f"{step.limit.amount} {step.limit.unit}"] if step.limit is not None else []
        more += ["✍"] if step.sign is not None else []
        lines = [step.label.to(locale), " · ".join(more)] if more else [step.label.to(locale)]
        for row, line in enumerate(lines):
            top = y + HEIGHT // 2 + 4 + (row * 16 - 8 * (len(lines) - 1))
            parts.append(f'<text x="{x + WIDTH // 2}" y="{top}" text-anchor="middle">{escape(line[:24])}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def positions(flow: Flow) -> dict[str, tuple[int, int]]:
    """Where the box of each step begins."""
    at, rows = columns(flow), lanes(flow)
    return {
        name: (
            MARGIN + at[name] * (WIDTH + GAP),
            TITLE + rows.index(lane(step)) * LANE + (LANE - HEIGHT) // 2,
        )
        for name, step in flow.steps.items()
    }


def _arrow(source: tuple[int, int], target: tuple[int, int], when: str) -> str:
    (x1, y1), (x2, y2) = source, target
    middle = HEIGHT // 2
    if x2 > x1:
        turn = x2 - GAP // 2
        path = f"M{x1 + WIDTH} {y1 + middle}H{turn}V{y2 + middle}H{x2}"
        label = (x1 + WIDTH + 4, y1 + middle - 5)
    else:
        # Back: under the box, along its lane, up into the box it goes back to.
        below = y1 + HEIGHT + 12
        path = f"M{x1 + WIDTH // 2} {y1 + HEIGHT}V{below}H{x2 + WIDTH // 2}V{y2 + HEIGHT if y2 < below else y2}"
        label = (x1 + WIDTH // 2 - 60, below - 3)
    line = f'<path d="{path}" fill="none" stroke="#445" marker-end="url(#tip)"/>'
    if not when:
        return line
    return f'{line}<text x="{label[0]}" y="{label[1]}" font-size="10" fill="#667">{escape(when[:20])}</text>'


def _lines(parts: list[str], most: int) -> list[str]:
    return parts if len(parts) <= most else [*parts[: most - 1], "…"]
