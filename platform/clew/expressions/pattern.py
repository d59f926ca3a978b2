"""Regular expressions without backtracking: the useful subset, matched in time linear in the text.

Characters, `.`, classes `[A-Z0-9_]`, `\\d \\w \\s` and their opposites, groups, `|`, `? * +`, `{n}`, `{n,}`, `{n,m}`
(up to 100), `^` and `$`. No back references, no look-around: those need unbounded time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

MAX_STATES = 2000
MAX_REPEAT = 100

Test = Callable[[str], bool]


def _one_of(chars: str, ranges: tuple[tuple[str, str], ...], negated: bool) -> Test:
    wanted = frozenset(chars)
    return lambda char: (char in wanted or any(low <= char <= high for low, high in ranges)) is not negated


_WORD = (("a", "z"), ("A", "Z"), ("0", "9"))
_CLASSES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "d": ("", (("0", "9"),)),
    "w": ("_", _WORD),
    "s": (" \t\n\r\f\v", ()),
}
_CONTROL = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(slots=True)
class _State:
    """A place in the automaton: either a character test with one way out, or free ways out (`jumps`).

    `at` is "^" or "$" for a state that may only be passed at the start or end of the text."""

    test: Test | None = None
    out: int = -1
    jumps: tuple[int, ...] = ()
    at: str = ""


class Pattern:
    """A compiled pattern. Raises ValueError with what is wrong when the text is not in the subset."""

    def __init__(self, source: str) -> None:
        self._source, self._at = source, 0
        self._states: list[_State] = []
        self._depth = 0
        start, ends = self._alternatives()
        if self._at < len(source):
            raise ValueError(f"unexpected {source[self._at]!r}")
        self._final = self._add(_State())
        self._patch(ends, self._final)
        self._start = start
        self._moves: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def search(self, text: str) -> bool:
        """True when the pattern occurs somewhere in the text."""
        first = self._closure({self._start}, at_start=True, at_end=not text)
        if self._final in first:
            return True
        again = self._closure({self._start}, at_start=False, at_end=False)
        current, last = first, len(text) - 1
        for index, char in enumerate(text):
            if index == last:
                return self._final in self._closure(self._step(current, char) | {self._start}, False, True)
            key = (current, char)
            following = self._moves.get(key)
            if following is None:
                following = self._closure(self._step(current, char), False, False) | again
                if len(self._moves) < 4 * MAX_STATES:
                    self._moves[key] = following
            if self._final in following:
                return True
            current = following
        return False

    def _step(self, states: frozenset[int], char: str) -> set[int]:
        found = set()
        for each in states:
            state = self._states[each]
            if state.test is not None and state.test(char):
                found.add(state.out)
        return found

    def _closure(self, states: set[int], at_start: bool, at_end: bool) -> frozenset[int]:
        seen: set[int] = set()
        todo = list(states)
        while todo:
            number = todo.pop()
            if number in seen:
                continue
            seen.add(number)
            state = self._states[number]
            if (state.at == "^" and not at_start) or (state.at == "$" and not at_end):
                continue
            todo.extend(state.jumps)
        return frozenset(seen)

    # Construction (Thompson): each piece is (first state, states whose way out is still open).

    def _add(self, state: _State) -> int:
        if len(self._states) >= MAX_STATES:
            raise ValueError("the pattern is too large")
        self._states.append(state)
        return len(self._states) - 1

    def _patch(self, ends: list[int], target: int) -> None:
        for end in ends:
            state = self._states[end]
            if state.test is not None:
                state.out = target
            else:
                state.jumps = (*state.jumps, target)

    def _peek(self) -> str:
        return self._source[self._at : self._at + 1]

    def _take(self) -> str:
        char = self._peek()
        self._at += 1
        return char

    def _alternatives(self) -> tuple[int, list[int]]:
        self._depth += 1
        if self._depth > 50:
            raise ValueError("the pattern is nested too deeply")
        branches = [self._sequence()]
        while self._peek() == "|":
            self._take()
            branches.append(self._sequence())
        self._depth -= 1
        if len(branches) == 1:
            return branches[0]
        fork = self._add(_State(jumps=tuple(first for first, _ in branches)))
        return fork, [end for _, ends in branches for end in ends]

    def _sequence(self) -> tuple[int, list[int]]:
        empty = self._add(_State())
        first, ends = empty, [empty]
        while self._peek() not in ("", "|", ")"):
            begin = self._at
            piece = self._atom()
            stop = self._at
            piece = self._repeated(piece, begin, stop)
            self._patch(ends, piece[0])
            ends = piece[1]
        return first, ends

    def _repeated(self, piece: tuple[int, list[int]], begin: int, stop: int) -> tuple[int, list[int]]:
        low, high = self._bounds()
        if (low, high) == (1, 1):
            return piece
        if self._peek() in ("?", "*", "+", "{"):
            raise ValueError("a repetition of a repetition")
        resume = self._at
        first = last = self._add(_State())
        skips: list[int] = []
        for count in range(max(low, high or 0, 1)):
            again = piece if count == 0 else self._copy(begin, stop)
            if count >= low:
                skips.append(last)
            self._patch([last], again[0])
            last = self._add(_State())
            self._patch(again[1], last)
            if high is None and count >= low - 1:
                loop = self._add(_State(jumps=(again[0],)))
                self._patch([last], loop)
        if high == 0:
            self._states[first].jumps = ()
            last = first
        self._at = resume
        return first, [last, *(each for each in skips if each != last)]

    def _copy(self, begin: int, stop: int) -> tuple[int, list[int]]:
        self._at = begin
        piece = self._atom()
        assert self._at == stop  # the same text gives the same piece
        return piece

    def _bounds(self) -> tuple[int, int | None]:
        char = self._peek()
        if char in ("?", "*", "+"):
            self._take()
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[char]
        if char != "{":
            return 1, 1
        end = self._source.find("}", self._at)
        low, comma, high = self._source[self._at + 1 : max(end, self._at)].partition(",")
        if not low.isdecimal() or not low.isascii() or (high and not (high.isdecimal() and high.isascii())):
            raise ValueError("a repetition is {n}, {n,} or {n,m}")
        self._at = end + 1
        least, most = int(low[:4]), (int(high[:4]) if high else None) if comma else int(low[:4])
        if least > MAX_REPEAT or (most is not None and not least <= most <= MAX_REPEAT):
            raise ValueError(f"repeated up to {MAX_REPEAT} times at most")
        return least, most

    def _atom(self) -> tuple[int, list[int]]:
        char = self._take()
        if char == "(":
            return self._group()
        if char in ("^", "$"):
            number = self._add(_State(at=char))
            return number, [number]
        if char in ("*", "+", "?", "{", "}", "]"):
            raise ValueError(f"unexpected {char!r}")
        number = self._add(_State(test=self._test(char)))
        return number, [number]

    def _group(self) -> tuple[int, list[int]]:
        if self._source.startswith("?:", self._at):
            self._at += 2
        elif self._peek() == "?":
            raise ValueError("look-around and named groups are not supported")
        piece = self._alternatives()
        if self._take() != ")":
            raise ValueError("a group does not end")
        return piece

    def _test(self, char: str) -> Test:
        if char == ".":
            return lambda each: each != "\n"
        if char == "[":
            return self._class()
        if char != "\\":
            return lambda each: each == char
        chars, ranges, negated = self._escape()
        return _one_of(chars, ranges, negated)

    def _escape(self) -> tuple[str, tuple[tuple[str, str], ...], bool]:
        char = self._take()
        if char.lower() in _CLASSES:
            chars, ranges = _CLASSES[char.lower()]
            return chars, ranges, char.isupper()
        if char in _CONTROL:
            return _CONTROL[char], (), False
        if not char or char.isalnum():
            raise ValueError(f"unknown escape \\{char}")
        return char, (), False

    def _class(self) -> Test:
        negated = self._peek() == "^"
        if negated:
            self._take()
        chars: list[str] = []
        ranges: list[tuple[str, str]] = []
        while self._peek() != "]" or not (chars or ranges):
            low = self._take()
            if not low:
                raise ValueError("a class [...] does not end")
            if low == "\\":
                more, spans, opposite = self._escape()
                if opposite:
                    raise ValueError("\\D, \\W and \\S do not work inside [...]")
                chars.append(more)
                ranges.extend(spans)
                continue
            if self._peek() == "-" and self._source[self._at + 1 : self._at + 2] not in ("]", ""):
                self._take()
                high = self._take()
                if high == "\\" or high < low:
                    raise ValueError("a range in [...] goes from low to high")
                ranges.append((low, high))
            else:
                chars.append(low)
        self._take()
        return _one_of("".join(chars), tuple(ranges), negated)


@lru_cache(maxsize=2000)
def whole(source: str) -> Pattern:
    """The pattern of a whole text, as fields have it. Raises ValueError as `Pattern` does."""
    return Pattern(f"^({source})$")
