"""One YAML document of a known kind, validated: its shape is right, its meaning not yet known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from clew.kernel.diagnostics import Diagnostic, Findings, Place, nearest
from clew.metadata import rules
from clew.metadata.kinds import Kind, Kinds
from clew.metadata.meant import Meant
from clew.metadata.source import MAX_BYTES, AnyNode, ListNode, MapNode, ScalarNode, parse, place_of, plain
from clew.metadata.spec.words import Spec

_DECLARED = re.compile(r"^[a-z_]+: *([a-z][a-z0-9_]*)", re.MULTILINE)
"""What a file that cannot be read seems to declare."""
_ROUNDS = 12
"""Each round removes what is wrong and validates again, so that one mistake does not hide the next."""


@dataclass(frozen=True, slots=True)
class Document:
    """A validated document and the node it was read from."""

    kind: str
    name: str
    spec: Spec
    node: MapNode

    @property
    def place(self) -> Place:
        return place_of(self.node, self.kind)

    def at(self, *path: str | int, key: bool = False) -> Place:
        return place_of(self.node, *path, key=key)


@dataclass(frozen=True, slots=True)
class Read:
    """What one file gave. `holes` are names that are written there but cannot be used: they exist, so that nobody is
    told they do not."""

    documents: tuple[Document, ...]
    diagnostics: tuple[Diagnostic, ...]
    holes: frozenset[str]


@lru_cache(maxsize=2048)
def read(file: str, text: str, kinds: Kinds) -> Read:
    """Parse and validate one file. Pure, so an unchanged file costs nothing at a reload."""
    findings = Findings()
    documents: list[Document] = []
    holes: set[str] = set()
    nodes = parse(file, text, findings)
    if not nodes and len(findings):
        holes.update(_DECLARED.findall(text[:MAX_BYTES]))
    for node in nodes:
        document = _document(file, node, kinds, findings, holes)
        if document:
            documents.append(document)
    return Read(tuple(documents), findings.sorted(), frozenset(holes))


def _document(file: str, node: MapNode, kinds: Kinds, findings: Findings, holes: set[str]) -> Document | None:
    if not node.keys:
        return None
    first = next(iter(node.keys))
    kind = kinds.all.get(first)
    if kind is None:
        findings.add(
            rules.UNKNOWN_KIND,
            node.keys[first].place,
            kind=first,
            kinds=", ".join(kinds.all),
            nearest=nearest(first, kinds.all),
        )
        value = node.values[first]
        if isinstance(value, ScalarNode):
            holes.add(value.text)
        return None
    folder = file.split("/")[0] if "/" in file else ""
    if folder not in (kind.folders or ("",)):
        where = ", ".join(f"{each}/" for each in kind.folders) or "clew.yaml"
        findings.add(rules.KIND_NOT_HERE, node.keys[first].place, kind=first, folders=where)
    spec = _validated(kind, node, findings, holes)
    if spec is None:
        name = node.values[first]
        if isinstance(name, ScalarNode):
            holes.add(name.text)
        return None
    return Document(kind.name, str(getattr(spec, kind.name)), spec, node)


def _validated(kind: Kind, node: MapNode, findings: Findings, holes: set[str]) -> Spec | None:
    model, meant = kind.shape(node.keys), Meant()
    unusable: set[tuple[str | int, ...]] = set()
    """Fields of unknown types: they are left out after everything else in them has been judged."""
    for _ in range(_ROUNDS):
        try:
            spec = model.model_validate(plain(node))
        except ValidationError as error:
            details = error.errors(include_url=False)
        else:
            if not unusable:
                return spec
            details = []
        cuts, unusable = (set(), unusable) if details else (unusable, set())
        for detail in details:
            _report(detail, node, findings, meant)
            field, path = _walk(node, detail["loc"])
            if detail["type"] in _NO_TYPE and isinstance(field, MapNode):
                unusable.add(_cut(detail, node))
                meant.read_on(field, path)
            else:
                cuts.add(_cut(detail, node))
        if any(not path or path == (kind.name,) for path in cuts):
            return None
        for path in sorted(cuts, key=repr, reverse=True):
            _prune(node, path, holes)
    return None


_NO_TYPE = frozenset({"union_tag_not_found", "union_tag_invalid"})


def _walk(node: AnyNode, loc: tuple[int | str, ...]) -> tuple[AnyNode, tuple[str | int, ...]]:
    """The deepest node along a pydantic location, leaving out its union tags, and the YAML path to it."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(node, MapNode) and str(step) in node.values:
            node = node.values[str(step)]
            path.append(str(step))
        elif isinstance(node, ListNode) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
            path.append(step)
    return node, tuple(path)


def _report(detail: ErrorDetails, root: MapNode, findings: Findings, meant: Meant) -> None:
    loc, context, type_ = detail["loc"], dict(detail.get("ctx", {})), detail["type"]
    node, path = _walk(root, loc)
    if not meant.certain(type_, path, context):
        return
    dotted = ".".join(map(str, path))
    if type_ == "unknown_keys" and isinstance(node, MapNode):
        for name in context["keys"]:
            findings.add(
                rules.UNKNOWN_KEY,
                node.keys[name].place,
                path=f"{dotted}.{name}".lstrip("."),
                key=name,
                known=", ".join(context["known"]),
                nearest=nearest(name, context["known"]),
            )
    elif type_ in ("missing", "union_tag_not_found"):
        key = "type" if type_ == "union_tag_not_found" else str(loc[-1])
        if isinstance(node, MapNode):
            place = root.keys[next(iter(root.keys))].place if node is root else _key_place(root, path)
            findings.add(rules.MISSING_KEY, place, path=dotted, key=key)
        else:
            _wrong_type(findings, node.place, dotted, _shown(node), "dict_type")
    elif type_ in ("bad_name", "bad_code"):
        rule = rules.BAD_NAME if type_ == "bad_name" else rules.BAD_CODE
        place = _key_place(root, path) if loc[-1] == "[key]" else node.place
        if _suspect(root, path, key=loc[-1] == "[key]"):
            return
        findings.add(rule, place, path=dotted, name=context["name"])
    elif type_ in ("literal_error", "union_tag_invalid"):
        known = str(context.get("expected") or context.get("expected_tags", "")).replace(" or ", ", ").replace("'", "")
        known = known.lower() if known in ("True", "False") else known
        if type_ == "union_tag_invalid" and isinstance(node, MapNode) and "type" in node.values:
            node, dotted = node.values["type"], f"{dotted}.type"
        value = _shown(node)
        findings.add(
            rules.NOT_ONE_OF,
            node.place,
            path=dotted,
            value=value,
            known=known,
            nearest=nearest(value, known.split(", ")),
        )
    elif not _suspect(root, path):
        _wrong_type(findings, node.place, dotted, _shown(node), type_, context)


def _suspect(root: MapNode, path: tuple[str | int, ...], *, key: bool = False) -> bool:
    """True when the scalar there has been reported as it was read."""
    if key:
        parent, _ = _walk(root, path[:-1])
        return isinstance(parent, MapNode) and parent.keys[str(path[-1])].suspect
    node, _ = _walk(root, path)
    return isinstance(node, ScalarNode) and node.suspect


def _key_place(root: MapNode, path: tuple[str | int, ...]) -> Place:
    return place_of(root, *path, key=True)


_EXPECTED = {
    "string_type": ("text (put it in quotes)", "文字(请加引号)"),
    "int_type": ("a whole number", "整数"),
    "bool_type": ("true or false", "true 或 false"),
    "decimal_type": ("a number", "数字"),
    "dict_type": ("a mapping of keys", "键值映射"),
    "model_type": ("a mapping of keys", "键值映射"),
    "model_attributes_type": ("a mapping of keys", "键值映射"),
    "tuple_type": ("a list", "列表"),
    "date_type": ("a date such as 2026-01-31", "日期(如 2026-01-31)"),
    "too_short": ("a list with enough entries", "足够长的列表"),
    "too_long": ("a list with so many entries", "长度合适的列表"),
    "missing": ("complete", "完整的值"),
    "hours_type": ("working hours such as 08:30-12:00", "工作时段(如 08:30-12:00)"),
    "limit_type": ("a time limit such as 4 wh, 5 wd, 7 cd or 12 h", "时限(如 4 wh、5 wd、7 cd、12 h)"),
    "share_type": ("a share of the time limit such as 80%, or late", "时限的比例(如 80%)或 late"),
    "enough_type": ("a number of votes, a share such as 60%, or an expression", "票数、比例(如 60%)或表达式"),
    "by_type": ("a day such as '03-31', '15' or '5'", "日期(如 '03-31'、'15'、'5')"),
    "year_type": ("a year such as 2026", "年份(如 2026)"),
}


def _wrong_type(
    findings: Findings, place: Place, path: str, value: str, type_: str, context: dict[str, Any] | None = None
) -> None:
    context = context or {}
    if type_ in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        bound = next(iter(context.values()), "")
        word, word_zh = ("at least", "不小于") if type_.startswith("greater") else ("at most", "不大于")
        expected = (f"{word} {bound}", f"{word_zh} {bound} 的值")
    else:
        expected = _EXPECTED.get(type_, ("what is expected here", "此处所需的值"))
    findings.add(rules.WRONG_TYPE, place, path=path, value=value, expected=expected[0], expected_zh=expected[1])


def _shown(node: AnyNode) -> str:
    if isinstance(node, ScalarNode):
        return node.text[:60]
    return "[…]" if isinstance(node, ListNode) else "{…}"


_CONTAINERS = frozenset(
    {
        "fields",
        "per_site",
        "transitions",
        "unique",
        "no_overlap",
        "acyclic",
        "index",
        "rules",
        "posts",
        "values",
        "states",
        "texts",
        "steps",
        "starts",
        "at_start",
        "on_cancel",
        "may",
        "never",
        "duties",
        "cases",
    }
)


def _cut(detail: ErrorDetails, root: MapNode) -> tuple[str | int, ...]:
    """The smallest part to leave out so that the rest can be read on."""
    node, path = _walk(root, detail["loc"])
    if detail["type"] == "unknown_keys" and isinstance(node, MapNode):
        _rename(node, detail["ctx"]["keys"], detail["ctx"]["known"])
        return (*path, "?", *detail["ctx"]["keys"])
    if len(path) >= 2 and path[0] in _CONTAINERS:
        return path[:2]
    return path[:1]


def _rename(node: MapNode, unknown: list[str], known: list[str]) -> None:
    """Read a misspelt key on as what it was meant to be, so that its absence is not reported as well."""
    for name in unknown:
        meant = nearest(name, known)
        if meant and meant not in node.values and name in node.values:
            node.keys[meant], node.values[meant] = node.keys[name], node.values[name]


def _prune(root: MapNode, path: tuple[str | int, ...], holes: set[str]) -> None:
    if "?" in path:
        at = path.index("?")
        names = [str(name) for name in path[at + 1 :]]
        node, _ = _walk(root, path[:at])
    else:
        names = [str(path[-1])]
        node, _ = _walk(root, path[:-1])
        holes.update(names)
        if isinstance(node, ListNode) and isinstance(path[-1], int) and path[-1] < len(node.items):
            dropped = node.items.pop(path[-1])
            if isinstance(dropped, ScalarNode):
                holes.add(dropped.text)
            return
    if isinstance(node, MapNode):
        for name in names:
            node.keys.pop(name, None)
            node.values.pop(name, None)
