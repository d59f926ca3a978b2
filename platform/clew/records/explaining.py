"""Why a rule does not hold, where a function it asks can say so: the check digit expected, the day that does not exist.

Only of values this change gives: of others nothing may be told that was not known before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from clew.expressions.functions import Signature
from clew.expressions.tree import Call, Checked, Literal, Member, Name, Node, walk
from clew.kernel.text import Bilingual
from clew.records.participants import Change

_NOT_GIVEN = object()


def explained(say: Bilingual, condition: Checked, change: Change, today: date) -> Bilingual:
    """What a broken rule says, with the first reason that one of its functions gives."""
    for node in walk(condition.root):
        if isinstance(node, Call) and (signature := condition.functions.by_id.get(node.overload)) is not None:
            reason = _reason(signature, node, change, today)
            if reason is not None:
                return Bilingual(f"{say.zh}({reason.zh})", f"{say.en} ({reason.en})")
    return say


def _reason(signature: Signature, call: Call, change: Change, today: date) -> Bilingual | None:
    if signature.explain is None or change.new is None:
        return None
    values = [_value(each, change.new, change.old, today) for each in call.args]
    if any(each is None or each is _NOT_GIVEN for each in values):
        return None
    return signature.explain(*values)


def _value(node: Node, new: Mapping[str, Any], old: Mapping[str, Any] | None, today: date) -> Any:
    match node:
        case Literal(value=value):
            return value
        case Name(name="today"):
            return today
        case Member(of=Name(name="this"), name=name) if old is None or old.get(name) != new.get(name):
            return new.get(name, _NOT_GIVEN)
        case _:
            return _NOT_GIVEN
