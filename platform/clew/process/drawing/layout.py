"""Where things stand on a page with lanes: boxes in columns, and arrows that cross no box and share no line by chance.

Time runs from left to right: a box stands right of all that lead to it, arrows that lead back aside. An arrow leaves a
box at its right, goes up or down in the gap behind it, along the strip above the row of its target where that is not
the next column, and enters the target from the left. Only arrows to one target run together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

TRACK, PORT, PAD = 9, 15, 14
Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Node:
    key: str
    lane: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Way:
    """An arrow. `room`: the width of what stands on it, in pixels."""

    source: str
    target: str
    room: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    x: int
    y: int
    width: int
    height: int

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


@dataclass(frozen=True, slots=True)
class Page:
    """`ways`: the corners of each arrow, in the order given; its words stand at the first one. `lanes`: top, height."""

    boxes: Mapping[str, Box]
    ways: tuple[tuple[Point, ...], ...]
    lanes: Mapping[str, tuple[int, int]]
    width: int
    bottom: int


@dataclass(slots=True)
class _Tracks:
    """Lines beside one another: two share one only where they do not touch."""

    wanted: dict[str, tuple[int, int]] = field(default_factory=dict)

    def want(self, key: str, *ends: int) -> None:
        low, high = self.wanted.get(key, (min(ends), max(ends)))
        self.wanted[key] = (min(low, *ends), max(high, *ends))

    def given(self) -> dict[str, int]:
        found: dict[str, int] = {}
        taken: list[list[tuple[int, int]]] = []
        for key, (low, high) in sorted(self.wanted.items(), key=lambda each: (each[1][1] - each[1][0], each[0])):
            free = (at for at, lines in enumerate(taken) if all(high < start or end < low for start, end in lines))
            found[key] = next(free, len(taken))
            if found[key] == len(taken):
                taken.append([])
            taken[found[key]].append((low, high))
        return found


def lay_out(
    nodes: Sequence[Node], ways: Sequence[Way], *, left: int, top: int, lane_room: Mapping[str, int] | None = None
) -> Page:
    """A page with every node, from `left` and `top`. `lane_room`: the least height of a lane."""
    return _Layout(nodes, ways, lane_room or {}).page(left, top)


class _Layout:
    def __init__(self, nodes: Sequence[Node], ways: Sequence[Way], lane_room: Mapping[str, int]) -> None:
        self._nodes = {each.key: each for each in nodes}
        self._ways, self._lane_room = ways, lane_room
        self._column = columns(tuple(self._nodes), [(each.source, each.target) for each in ways])
        self._lanes = tuple(dict.fromkeys(each.lane for each in nodes))
        self._row, self._rows = self._seated()
        self._taken = {(self._column[key], self._row[key]) for key in self._nodes}
        self._ports = self._leaving()
        self._strips = [_Tracks() for _ in self._rows]
        for way in ways:
            if not self._near(way):
                ends = (2 * self._column[way.source] + 1, 2 * self._column[way.target] - 1)
                self._strips[self._row[way.target]].want(way.target, *ends)

    def _seated(self) -> tuple[dict[str, int], list[str]]:
        """The row of each node; a lane has as many as it has nodes in one column."""
        row: dict[str, int] = {}
        rows: list[str] = []
        for lane in self._lanes:
            first, full = len(rows), dict[int, int]()
            for key, node in self._nodes.items():
                if node.lane == lane:
                    at = full.get(self._column[key], 0)
                    full[self._column[key]], row[key] = at + 1, first + at
            rows += [lane] * max(full.values())
        return row, rows

    def _near(self, way: Way) -> bool:
        """It needs no strip: the next column, or nothing but free space between."""
        start, end = self._column[way.source], self._column[way.target]
        return end == start + 1 or (end > start and self._straight(way))

    def _straight(self, way: Way) -> bool:
        start, end, row = self._column[way.source], self._column[way.target], self._row[way.target]
        return row == self._row[way.source] and all((at, row) not in self._taken for at in range(start + 1, end))

    def _leaving(self) -> dict[int, int]:
        """Way → how far below the middle of its box it leaves: a straight one in the middle, no other."""
        found: dict[int, int] = {}
        for key in self._nodes:
            own = [at for at, way in enumerate(self._ways) if way.source == key]
            own.sort(key=lambda at: self._heads_for(self._ways[at]))
            level = [at for at in own if self._near(self._ways[at]) and self._straight(self._ways[at])]
            if level:
                cut = own.index(level[0])
                places = [PORT * (each - cut) for each in range(len(own))]
            else:
                cut = len(own) // 2
                places = [PORT * (each - cut) + PORT // 2 + 1 for each in range(len(own))]
            found |= dict(zip(own, places, strict=True))
        return found

    def _heads_for(self, way: Way) -> int:
        """The row it turns to, in halves: a strip lies above its row."""
        return 2 * self._row[way.target] - (not self._near(way))

    def page(self, left: int, top: int) -> Page:
        height = {key: max(node.height, self._reach(key)) for key, node in self._nodes.items()}
        strip_tracks = [each.given() for each in self._strips]
        row_top, lanes, bottom = self._tops(top, height, strip_tracks)
        middle = {key: row_top[self._row[key]] + self._tall(self._row[key], height) // 2 for key in self._nodes}
        strip_y = {
            target: row_top[row] - PAD // 2 - TRACK * track
            for row, tracks in enumerate(strip_tracks)
            for target, track in tracks.items()
        }
        gaps = [_Tracks() for _ in range(max(self._column.values()) + 2)]
        for at, way in enumerate(self._ways):
            leaves = middle[way.source] + self._ports[at]
            if self._near(way):
                if leaves != middle[way.target]:
                    gaps[self._column[way.source] + 1].want(way.target, leaves, middle[way.target])
            else:
                gaps[self._column[way.source] + 1].want(way.target, leaves, strip_y[way.target])
                gaps[self._column[way.target]].want(way.target, strip_y[way.target], middle[way.target])
        tracks = [each.given() for each in gaps]
        x, gap_x, width = self._across(left, tracks)
        boxes = {
            key: Box(x[self._column[key]], middle[key] - height[key] // 2, node.width, height[key])
            for key, node in self._nodes.items()
        }

        def bend(gap: int, target: str) -> int:
            return gap_x[gap] + TRACK * tracks[gap][target]

        lines: list[tuple[Point, ...]] = []
        for at, way in enumerate(self._ways):
            box, end = boxes[way.source], boxes[way.target]
            begin, stop = (box.x + box.width, middle[way.source] + self._ports[at]), (end.x, middle[way.target])
            after, before = self._column[way.source] + 1, self._column[way.target]
            if self._near(way) and begin[1] == stop[1]:
                lines.append((begin, stop))
            elif self._near(way):
                turn = bend(after, way.target)
                lines.append((begin, (turn, begin[1]), (turn, stop[1]), stop))
            else:
                out, into, along = bend(after, way.target), bend(before, way.target), strip_y[way.target]
                lines.append((begin, (out, begin[1]), (out, along), (into, along), (into, stop[1]), stop))
        return Page(boxes, tuple(lines), lanes, width, bottom)

    def _reach(self, key: str) -> int:
        """The height that the arrows leaving a box need."""
        ports = [self._ports[at] for at, way in enumerate(self._ways) if way.source == key]
        return 2 * max((abs(each) for each in ports), default=0) + PORT

    def _tall(self, row: int, height: Mapping[str, int]) -> int:
        return max(height[key] for key, at in self._row.items() if at == row)

    def _tops(
        self, top: int, height: Mapping[str, int], strips: Sequence[Mapping[str, int]]
    ) -> tuple[list[int], dict[str, tuple[int, int]], int]:
        """Where the boxes of each row begin, the lanes, and the bottom."""
        tops: list[int] = []
        lanes: dict[str, tuple[int, int]] = {}
        for lane in self._lanes:
            begin = top
            for row in (at for at, name in enumerate(self._rows) if name == lane):
                top += PAD + TRACK * len(set(strips[row].values()))
                tops.append(top)
                top += self._tall(row, height)
            top = max(top + PAD, begin + self._lane_room.get(lane, 0))
            lanes[lane] = (begin, top - begin)
        return tops, lanes, top

    def _across(self, left: int, tracks: Sequence[Mapping[str, int]]) -> tuple[list[int], list[int], int]:
        """Where each column begins, where the lines of each gap do, and the width of all."""
        columns, gaps = [], []
        for at, lines in enumerate(tracks):
            before = [key for key, column in self._column.items() if column == at - 1]
            room = max((way.room for way in self._ways if way.source in before), default=0)
            gaps.append(left + room + PAD // 2)
            left = gaps[-1] + TRACK * len(set(lines.values())) + PAD
            if at < len(tracks) - 1:
                columns.append(left)
                left += max(node.width for key, node in self._nodes.items() if self._column[key] == at)
        return columns, gaps, left


def columns(names: Sequence[str], ways: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Each name's column: right of everything that leads to it, by the longest way.

    A way leads back when it goes to a name that stands earlier and from which it is come to again.
    """
    number = {name: at for at, name in enumerate(names)}
    following: dict[str, set[str]] = {name: set() for name in names}
    for source, target in ways:
        following[source].add(target)
    reached = {name: _reached(name, following) for name in names}
    found = dict.fromkeys(names, 0)
    forward = {
        name: [each for each in following[name] if number[each] > number[name] or name not in reached[each]]
        for name in names
    }
    waiting = [name for name in names if not any(name in after for after in forward.values())]
    left = {name: sum(name in after for after in forward.values()) for name in names}
    while waiting:
        name = waiting.pop()
        for each in forward[name]:
            found[each] = max(found[each], found[name] + 1)
            left[each] -= 1
            if left[each] == 0:
                waiting.append(each)
    return found


def _reached(name: str, following: Mapping[str, set[str]]) -> set[str]:
    found, waiting = {name}, [name]
    while waiting:
        for each in following[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found
