"""YAML with positions and hard limits: text in, nodes that know their line and column out.

The parser's events are read one by one, so a tag, an anchor, a depth or a size beyond the limits is refused before
anything is built. Scalars are read by the narrow rules below and not by YAML's own: what two YAML versions read
differently (`no`, `0123`, `12:30`) is a finding, never a guess.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NoReturn

from ruamel.yaml import events as yaml
from ruamel.yaml.clib._ruamel_yaml import CParser
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.reader import ReaderError

from clew.kernel.diagnostics import Findings, Place, Rule
from clew.metadata import rules
from clew.metadata.syntax import PROBLEMS_ZH

MAX_BYTES = 2 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 40_000
_SHORT = 40
"""Characters of a text of which one copy is kept: keys, names and codes are written again and again."""

_INVISIBLE = re.compile("[\u0085\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,30})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,30})\.[0-9]{1,30}")
_TRAPS = re.compile(  # what is not one of the above, but a number or a truth value to some reader of YAML
    r"(?i:yes|no|on|off|true|false|null)"
    r"|[-+]?(?:[0-9][0-9_]*|0[xX][0-9a-fA-F_]+|0o[0-7_]+|0b[01_]+)"
    r"|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?"
    r"|[-+]?\.?[0-9][0-9_]*\.?[0-9]*[eE][-+]?[0-9]+"
    r"|\+[0-9.]+|[-+]?\.[0-9_]+|[-+]?[0-9][0-9_]*\.[0-9_]*"
    r"|[-+]?\.?(?i:inf|infinity|nan)"
    r"|<<|="
)
_TRAPPED = frozenset("yYnNoOtTfFiIıİ0123456789-+.<=")
"""What a trap can begin with: few scalars have to be held against all of them."""


@dataclass(slots=True)
class SourceFile:
    """A file's name and text, kept so that a place inside a scalar can be found later."""

    name: str
    text: str


@dataclass(slots=True, eq=False)
class Node:
    """What every node has: where it begins. Lines and columns are 1-based."""

    source: SourceFile
    line: int
    column: int

    @property
    def place(self) -> Place:
        return Place(self.source.name, self.line, self.column)


@dataclass(slots=True, eq=False)
class ScalarNode(Node):
    """A single value. `text` is what was written, `value` what it means; `start` and `end` are offsets in the file."""

    text: str
    value: object
    style: str
    start: int
    end: int
    suspect: bool = False
    """Reported already: what it means is not to be reported again."""


@dataclass(slots=True, eq=False)
class ListNode(Node):
    items: list[AnyNode] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class MapNode(Node):
    """A mapping in the order written; keys keep their own node for findings about the key itself."""

    keys: dict[str, ScalarNode] = field(default_factory=dict)
    values: dict[str, AnyNode] = field(default_factory=dict)


AnyNode = ScalarNode | ListNode | MapNode


def plain(node: AnyNode) -> Any:
    """The node as dict, list and scalars."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {name: plain(value) for name, value in node.values.items()}


def find(node: AnyNode, *path: str | int) -> AnyNode:
    """The node at a path, or the deepest one on the way to it."""
    for step in path:
        below = _below(node, step)
        if below is None:
            return node
        node = below
    return node


def place_of(node: AnyNode, *path: str | int, key: bool = False) -> Place:
    """Where the value at a path begins, or with `key` the key that names it."""
    if key and path:
        parent = find(node, *path[:-1])
        if isinstance(parent, MapNode) and path[-1] in parent.keys:
            return parent.keys[str(path[-1])].place
    return find(node, *path).place


def _below(node: AnyNode, step: str | int) -> AnyNode | None:
    if isinstance(node, MapNode):
        return node.values.get(str(step))
    if isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
        return node.items[step]
    return None


def _code(character: str | int | bytes) -> int:
    return character if isinstance(character, int) else ord(character)


def _at(name: str, text: str, index: int) -> Place:
    return Place(name, text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1)


def parse(name: str, text: str, findings: Findings) -> list[MapNode]:
    """The documents of one file. A file with a syntax error or a refused construct yields none."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        findings.add(rules.FILE_TOO_LARGE, Place(name), limit="2 MiB")
        return []
    invisible = _INVISIBLE.search(text)
    if invisible:
        findings.add(
            rules.INVISIBLE_CHARACTER, _at(name, text, invisible.start()), character=f"U+{ord(invisible[0]):04X}"
        )
        return []
    before = len(findings)
    builder = _Builder(SourceFile(name, text), findings)
    try:
        documents = builder.documents(_events(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        problem = error.problem or "not readable"
        findings.add(rules.YAML_SYNTAX, place, problem=problem, problem_zh=PROBLEMS_ZH.get(problem, problem))
        return []
    except ReaderError as error:
        at = next((at for at, each in enumerate(text) if ord(each) == _code(error.character)), 0)
        findings.add(rules.INVISIBLE_CHARACTER, _at(name, text, at), character=f"U+{ord(text[at]):04X}")
        return []
    except _Refused:
        return []
    return documents if builder.usable or len(findings) == before else []


def _events(text: str) -> Iterator[Any]:
    """libyaml's events, one at a time: nothing is built before it has been looked at."""
    parser = CParser(text)
    following = parser.get_event
    try:
        while (event := following()) is not None:
            yield event
    finally:
        parser.dispose()


_ENDS = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})


class _Refused(Exception):
    """Stops reading a file whose finding has been reported already."""


class _Builder:
    """Turns parser events into nodes, without recursion, counting depth and nodes."""

    def __init__(self, source: SourceFile, findings: Findings) -> None:
        self.source = source
        self.findings = findings
        self.count = 0
        self.usable = True

    def documents(self, events: Iterator[Any]) -> list[MapNode]:
        found: list[MapNode] = []
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if event.version or event.tags:
                    self.refuse(rules.YAML_DIRECTIVE, event)
                root = self.tree(events)
                if isinstance(root, MapNode):
                    found.append(root)
                elif not (isinstance(root, ScalarNode) and root.text == "" and not root.style):
                    self.findings.add(rules.NOT_A_MAPPING, root.place)
        return found

    def tree(self, events: Iterator[Any]) -> AnyNode:
        stack: list[ListNode | MapNode] = []
        pending: list[ScalarNode | None] = []
        for event in events:
            node: AnyNode
            if type(event) in _ENDS:
                node = stack.pop()
                pending.pop()
                if not stack:
                    return node
                continue
            node = self.node(event)
            nested = not isinstance(node, ScalarNode)
            if stack:
                self.attach(stack[-1], pending, node)
            elif not nested:
                return node
            if nested:
                if len(stack) >= MAX_DEPTH:
                    self.refuse(rules.TOO_DEEP, event, limit=MAX_DEPTH)
                stack.append(node)  # type: ignore[arg-type]
                pending.append(None)
        raise _Refused

    def node(self, event: Any) -> AnyNode:
        self.count += 1
        if self.count > MAX_NODES:
            self.refuse(rules.TOO_MANY_NODES, event, limit=MAX_NODES)
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            self.refuse(rules.YAML_ALIAS, event, name=event.anchor)
        if event.tag:
            self.refuse(rules.YAML_TAG, event, tag=str(event.tag)[:80])
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        kind = type(event)
        if kind is yaml.MappingStartEvent:
            return MapNode(self.source, line, column)
        if kind is yaml.SequenceStartEvent:
            return ListNode(self.source, line, column)
        text, style = event.value, event.style
        if len(text) <= _SHORT:
            text = sys.intern(text)
        start, end = mark.index, event.end_mark.index
        if style not in (None, ":", ""):
            return ScalarNode(self.source, line, column, text, text, style, start, end)
        before = len(self.findings)
        value = self.read_plain(text, line, column)
        return ScalarNode(self.source, line, column, text, value, "", start, end, len(self.findings) > before)

    def read_plain(self, text: str, line: int, column: int) -> object:
        """The meaning of an unquoted scalar: null, true, false, a whole number, a decimal, or else text."""
        if not text or text in ("null", "~"):
            return None
        if text == "true":
            return True
        if text == "false":
            return False
        if text[0] in "-0123456789":
            if _INTEGER.fullmatch(text):
                return int(text)
            if _DECIMAL.fullmatch(text):
                return Decimal(text)
        if text[0] in _TRAPPED and len(text) <= 64 and _TRAPS.fullmatch(text):
            self.findings.add(rules.AMBIGUOUS_SCALAR, Place(self.source.name, line, column), text=text)
        return text

    def attach(self, parent: ListNode | MapNode, pending: list[ScalarNode | None], node: AnyNode) -> None:
        if isinstance(parent, ListNode):
            parent.items.append(node)
            return
        key = pending[-1]
        if key is None:
            if not isinstance(node, ScalarNode):
                self.refuse_at(rules.BAD_KEY, node.place)
            if node.value is None or isinstance(node.value, bool):
                self.findings.add(rules.AMBIGUOUS_SCALAR, node.place, text=node.text)
            pending[-1] = node
            return
        pending[-1] = None
        if key.text in parent.keys:
            self.findings.add(rules.DUPLICATE_KEY, key.place, key=key.text, related=[parent.keys[key.text].place])
            return
        if isinstance(node, ScalarNode) and node.value is None and node.text == "":
            self.findings.add(rules.EMPTY_VALUE, key.place, key=key.text)
            node.suspect = True
        parent.keys[key.text] = key
        parent.values[key.text] = node

    def refuse(self, rule: Rule, event: Any, **params: Any) -> NoReturn:
        mark = event.start_mark
        self.refuse_at(rule, Place(self.source.name, mark.line + 1, mark.column + 1), **params)

    def refuse_at(self, rule: Rule, place: Place, **params: Any) -> NoReturn:
        self.usable = False
        self.findings.add(rule, place, **params)
        raise _Refused
