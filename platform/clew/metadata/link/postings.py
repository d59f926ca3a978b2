"""Postings: what a new record adds to which row of a balance."""

from __future__ import annotations

from clew.expressions.tree import Checked
from clew.metadata import rules
from clew.metadata.blueprint import FieldKind, Posting
from clew.metadata.link.drafts import EntityDraft
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.source import find

_ADDABLE = frozenset({FieldKind.DECIMAL, FieldKind.INTEGER, FieldKind.MONEY, FieldKind.DURATION})


def postings(linking: Linking, expressions: Expressions, draft: EntityDraft) -> tuple[Posting, ...]:
    """Checked postings: the balance is derived, its whole key is given, what is added is a number."""
    found: list[Posting] = []
    for each in draft.posts:
        spec = each.spec
        if not linking.known_entity(spec.to, each.at("to"), each.path):
            continue
        balance = linking.entities[spec.to]
        if not balance.derived or not balance.key:
            linking.findings.add(rules.POSTING_TARGET, each.at("to"), path=each.path, name=spec.to)
            continue
        for name in balance.key:
            if name not in spec.key_:
                linking.findings.add(rules.POSTING_KEY, each.at("key"), path=each.path, name=name)
        parts: dict[str, list[tuple[str, Checked]]] = {"key": [], "add": []}
        for part, given in (("key", spec.key_), ("add", spec.add)):
            for name, value in given.items():
                field = balance.fields.get(name)
                node = find(each.node, part, name)
                if field is None:
                    linking.unknown(
                        rules.UNKNOWN_FIELD,
                        node.place,
                        name,
                        balance.fields,
                        f"{each.path}.{part}",
                        entity=balance.name,
                    )
                    continue
                if part == "add" and field.kind not in _ADDABLE:
                    linking.findings.add(
                        rules.BAD_FIELD_USE,
                        node.place,
                        path=f"{each.path}.add",
                        name=name,
                        reason="only numbers can be added up",
                        reason_zh="只有数字可以累加",
                    )
                    continue
                if part == "key" and name not in balance.key:
                    linking.findings.add(
                        rules.BAD_FIELD_USE,
                        node.place,
                        path=f"{each.path}.key",
                        name=name,
                        reason=f"it is not part of the key of {balance.name}",
                        reason_zh=f"它不属于 {balance.name} 的主键",
                    )
                    continue
                checked = expressions.value(value, node, draft.name, field, f"{each.path}.{part}.{name}")
                if checked:
                    parts[part].append((name, checked))
        when = expressions.condition(spec.when, find(each.node, "when"), draft.name, f"{each.path}.when")
        found.append(Posting(spec.to, tuple(parts["key"]), tuple(parts["add"]), each.node.place, when))
    return tuple(found)
