"""Expressions of which memory decides one part and the database the other: both together say what the whole says."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from tests.unit.expressions.shop import NOW, checked, lot

from clew.expressions.functions import SQL
from clew.expressions.interpret import evaluate
from clew.expressions.parting import decidable, parted
from clew.expressions.problems import Undecidable
from clew.expressions.tree import Checked

OWN = frozenset({"id", "number", "note", "qty", "price", "pieces", "flag", "marks", "data", "site"})
"""What a lot's own row holds; `twice` is computed, the rest is elsewhere."""
PARENT = lot(number="09521234000013", pieces=7, parent=None)
LOTS = [
    lot(number="09521234000013", parent=PARENT, note="09521234000012", twice=5),
    lot(number="L-1", parent=None, lots=[lot(number="A", qty=4), lot(number="B", qty=9)], twice=5),
    lot(number="L-1", parent=PARENT, pieces=4, note="L-1", marks=[], twice=5),
]
SPLIT = """
gtin(number) && parent.number == number
gtin(parent.number) || note == null
parent == null || gtin(parent.number)
matches(item.name, '^螺') && 'A' in marks
matches(number, 'L') && lots.exists(l, l.qty > 5.0)
matches(number, 'L') && lots.exists(l, l.number == number)
matches(number, 'L') && was('held')
matches(number, 'L') && item.number in ['I-1', 'I-2']
gs1_value('(01)' + number, '01') == parent.number
gtin(number) && item.weight / (pieces - 3) > 1.0
matches(number, 'L') || item.weight / (pieces - 3) > 1.0
marks.exists(m, m == 'A' && gtin(number)) && item.weight > 1
gtin(number) ? item.weight > 1 : twice > 4.0
"""


def outcome(run: Checked, facts: dict[str, Any], **more: Any) -> Any:
    try:
        return evaluate(run, facts, now=NOW, **more)
    except Undecidable:
        return "undecided"


def own(record: dict[str, Any]) -> dict[str, Any]:
    """The row: of related records no more than the id."""
    return {
        name: value["id"] if isinstance(value, dict) and isinstance(value.get("id"), UUID) else value
        for name, value in record.items()
        if name in OWN or name in ("item", "parent")
    }


@pytest.mark.parametrize("source", SPLIT.strip().splitlines())
def test_both_parts_together_say_what_the_whole_says(source: str) -> None:
    whole = checked(source)
    assert SQL not in whole.runs_in
    found = parted(whole, lambda name: name in OWN or name in ("item", "parent"))
    assert found is not None
    assert all(SQL in part.runs_in for _, part in found.asked)
    for record in LOTS:
        said = {name: outcome(part, record) for name, part in found.asked}
        given = {name: None if value == "undecided" else value for name, value in said.items()}
        assert outcome(found.rest, own(record), asked=given) == outcome(whole, record), record


@pytest.mark.parametrize("source", ["lots.exists(l, gtin(l.number))", "lots.all(l, matches(l.item.name, 'x'))"])
def test_what_stands_inside_a_list_of_others_cannot_be_parted(source: str) -> None:
    assert not decidable(checked(source))
    assert decidable(checked("lots.exists(l, l.number == 'x')"))
