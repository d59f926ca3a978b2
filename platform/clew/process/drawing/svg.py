"""SVG: the swimlane map of one process, and the map of all, drawn without any tool but this."""

from __future__ import annotations

from html import escape

from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.processes import Workflow
from clew.process.drawing.chart import Chart, Item, Link, of_all, of_process
from clew.process.drawing.layout import Box, Node, Page, Point, Way, lay_out
from clew.process.drawing.text import NOTE, folded, wide
from clew.process.drawing.words import Words

WIDTH, SMALL, NAMES, LINE, LEAST = 168, 26, 150, 16, 44
_FONT = "system-ui, 'Noto Sans CJK SC', 'Microsoft YaHei', 'PingFang SC', sans-serif"
_FILLS = {"action": "#e9f6ee", "decision": "#fff6dd", "end": "#e6e9ee", "call": "#eaf0fb", "fork": "#f3ecfa"}
_STYLE = (
    "text{fill:#1f2933}.note{font-size:10.5px;fill:#52606d}.way{fill:none;stroke:#52606d}"
    ".box{stroke:#7b8794}.title{font-size:18px;font-weight:600}.who{font-weight:600;fill:#3e4c59}"
    ".says{font-size:10.5px;fill:#3e4c59}"
)


def swimlanes(blueprint: Blueprint, workflow: Workflow, locale: Locale) -> str:
    """One process as a picture: a lane for everybody who acts, time from left to right."""
    return _drawn(of_process(workflow, Words(blueprint, locale)))


def overview(blueprint: Blueprint, locale: Locale) -> str:
    """All processes, what each begins with, and where one hands over to another."""
    return _drawn(of_all(Words(blueprint, locale)))


def _drawn(chart: Chart) -> str:
    says = [_says(each) for each in chart.links]
    sizes = {key: _size(item) for key, item in chart.items.items()}
    names = {
        key: [line for part in lines for line in folded(part, NAMES - 20, 3)] for key, lines in chart.lanes.items()
    }
    about = [line for part in chart.about for line in folded(part, 900, 2)]
    top = 44 + LINE * len(about) + 6
    page = lay_out(
        [Node(key, item.lane, *sizes[key]) for key, item in chart.items.items()],
        [
            Way(link.source, link.target, round(wide(said, NOTE)) + 8 if said else 0)
            for link, said in zip(chart.links, says, strict=True)
        ],
        left=NAMES,
        top=top,
        lane_room={key: LINE * len(lines) + 20 for key, lines in names.items()},
    )
    width, bottom = max(page.width, 960), page.bottom
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom}" width="{width}" height="{bottom}"'
        f' font-family="{_FONT}" font-size="12">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#52606d"/></marker></defs>',
        f'<rect width="{width}" height="{bottom}" fill="#fff"/>',
        f'<text x="12" y="28" class="title">{escape(chart.title)}</text>',
    ]
    parts += [f'<text x="12" y="{48 + LINE * at}" class="note">{escape(line)}</text>' for at, line in enumerate(about)]
    for at, (key, (y, tall)) in enumerate(page.lanes.items()):
        parts.append(f'<rect x="0" y="{y}" width="{width}" height="{tall}" fill="{("#f7f9fc", "#eef3f8")[at % 2]}"/>')
        parts += [
            f'<text x="12" y="{y + 20 + LINE * row}" class="who">{escape(line)}</text>'
            for row, line in enumerate(names[key])
        ]
    parts += [_way(points, link, said) for points, link, said in zip(page.ways, chart.links, says, strict=True)]
    parts += [_item(item, page) for item in chart.items.values()]
    return "\n".join((*parts, "</svg>")) + "\n"


def _lines(item: Item) -> tuple[list[str], list[str]]:
    """What stands in a box: large lines, small lines."""
    room = WIDTH - 16
    return folded(item.label, room, 3), [line for each in item.notes for line in folded(each, room, 2, NOTE)]


def _size(item: Item) -> tuple[int, int]:
    if item.shape in ("start", "join") or not item.label:
        return SMALL, SMALL
    large, small = _lines(item)
    return WIDTH, max(LEAST, LINE * (len(large) + len(small)) + 14)


def _says(link: Link) -> str:
    said = " / ".join(dict.fromkeys(each for each in link.says if each))
    lines = folded(said, 190, 1, NOTE)
    return lines[0] if lines else ""


def _item(item: Item, page: Page) -> str:
    box = page.boxes[item.key]
    if item.shape in ("start", "join") or not item.label:
        return _small(item, box)
    large, small = _lines(item)
    round_ = {"end": box.height // 2, "wait": box.height // 2, "decision": 0}.get(item.shape, 8)
    dashed = ' stroke-dasharray="5 3"' if item.shape == "fork" else ""
    told = "\n".join(filter(None, (item.label, *item.notes, item.more)))
    parts = [
        f"<g><title>{escape(told)}</title>",
        f'<rect class="box" x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}" rx="{round_}"'
        f' fill="{_FILLS.get(item.shape, "#fff")}"{dashed}/>',
    ]
    center, y = box.x + box.width // 2, box.middle - LINE * (len(large) + len(small)) // 2 + 12
    for row, line in enumerate((*large, *small)):
        kind = ' class="note"' if row >= len(large) else ""
        parts.append(f'<text x="{center}" y="{y + LINE * row}" text-anchor="middle"{kind}>{escape(line)}</text>')
    return "".join((*parts, "</g>"))


def _small(item: Item, box: Box) -> str:
    x, y, half = box.x + box.width // 2, box.middle, SMALL // 2
    if item.shape == "join":
        corners = f"{x} {y - half} {x + half} {y} {x} {y + half} {x - half} {y}"
        return f'<polygon class="box" points="{corners}" fill="{_FILLS["fork"]}"/>'
    fill, thick = ("#fff", 1) if item.shape == "start" else (_FILLS["end"], 3)
    return f'<circle class="box" cx="{x}" cy="{y}" r="{half - 2}" fill="{fill}" stroke-width="{thick}"/>'


def _way(points: tuple[Point, ...], link: Link, said: str) -> str:
    path = "M" + " ".join(f"{x} {y}" for x, y in points)
    line = f'<path class="way" d="{path}" marker-end="url(#tip)"/>'
    if not said:
        return line
    (x, y), full = points[0], " / ".join(dict.fromkeys(link.says))
    more = f"<title>{escape(full)}</title>" if full != said else ""
    return f'{line}<text class="says" x="{x + 5}" y="{y - 3}">{more}{escape(said)}</text>'
