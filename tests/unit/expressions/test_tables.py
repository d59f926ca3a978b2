"""Decision tables: cells, what counts when several rows hold, and gaps and overlaps found exactly."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.expressions.cells import NULL, Axis, CellError, contains, read_cell, without
from clew.expressions.coverage import gap, overlap
from clew.expressions.numbers import LIMIT
from clew.expressions.problems import Undecidable
from clew.expressions.tables import Found, Table
from clew.expressions.tree import Base, Type
from clew.kernel.diagnostics import Diagnostic
from clew.metadata.load import load_folder, load_sources

ROOT = Path(__file__).resolve().parents[3]
NUMBER = Axis(Type(Base.INTEGER), 1 - LIMIT, LIMIT - 1)
MAYBE = Axis(Type(Base.DECIMAL, True, scale=2), 0, 1000)
CODES = Axis(Type(Base.TEXT, codes=("A", "B", "C")), 0, 2, ("A", "B", "C"), True)


@pytest.mark.parametrize(
    ("cell", "axis", "inside", "outside"),
    [
        ("any", MAYBE, [None, Decimal(5)], []),
        (5, NUMBER, [5], [4, 6]),
        ("< 5", NUMBER, [4, -100], [5]),
        ("2..8", NUMBER, [2, 8], [1, 9]),
        ("(2..8)", NUMBER, [3, 7], [2, 8]),
        ("]2..8]", NUMBER, [3, 8], [2, 9]),
        ("1, 4..5, > 9", NUMBER, [1, 4, 5, 10], [2, 6, 9]),
        ("not(1, 4..5)", NUMBER, [2, 6], [1, 4]),
        ("(0.5..1.25], 3", MAYBE, [Decimal("0.51"), Decimal("1.25"), 3], [Decimal("0.5"), None, Decimal("1.26")]),
        ("null", MAYBE, [None], [Decimal(0)]),
        ("not(null)", MAYBE, [Decimal(0)], [None]),
        ("A, 'C'", CODES, ["A", "C"], ["B"]),
        ("not(A)", CODES, ["B", "C"], ["A"]),
        (True, Axis(Type(Base.BOOLEAN), 0, 1), [True], [False]),
        ("< 2026-02-01", Axis(Type(Base.DATE), 1, 3_652_059), [date(2026, 1, 31)], [date(2026, 2, 1)]),
    ],
)
def test_a_cell_holds_for_what_it_says(cell: Any, axis: Axis, inside: list[Any], outside: list[Any]) -> None:
    points = read_cell(cell, axis)
    for values, wanted in ((inside, True), (outside, False)):
        for value in values:
            point = axis.point(value)
            assert (point is not None and contains(points, point)) is wanted, (cell, value)


@pytest.mark.parametrize(
    ("cell", "axis"),
    [("null", NUMBER), ("< A", CODES), ("D", CODES), ("8..2", NUMBER), ("", NUMBER), ("1,,2", NUMBER), ("x", NUMBER),
     ("0.5", NUMBER), ("0.001", MAYBE), ("11", MAYBE), (5, CODES), ("not(", NUMBER), ("> 2026-02-01", NUMBER)],
)  # fmt: skip
def test_a_cell_that_means_nothing_is_refused(cell: Any, axis: Axis) -> None:
    with pytest.raises(CellError):
        read_cell(cell, axis)


SMALL = ((0, 4), (7, 8))
CELL = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4)), min_size=1, max_size=2).map(
    lambda parts: without(((0, 8),), without(((0, 8),), tuple((low, min(low + more, 8)) for low, more in parts)))
)


@given(st.lists(st.tuples(CELL, CELL), max_size=6))
def test_gaps_and_overlaps_are_those_that_trying_everything_finds(boxes: list[tuple[Any, Any]]) -> None:
    domains = (SMALL, ((NULL, NULL), (0, 3)))
    values = [[at for low, high in points for at in range(low, high + 1)] for points in domains]
    hits = {case: [box for box in boxes if all(map(contains, box, case))] for case in product(*values)}
    found = gap(domains, boxes)
    assert (found is not None) == any(not each for each in hits.values())
    assert found is None or not hits[found]
    for one, other in pairwise(boxes):
        case = overlap(one, other)
        everywhere = list(product(range(9), repeat=2))
        assert (case is not None) == any(
            all(map(contains, one, each)) and all(map(contains, other, each)) for each in everywhere
        )


def findings(text: str) -> list[Diagnostic]:
    return list(load_sources({"clew.yaml": "project: p\n", "rules/t.yaml": text}).diagnostics)


def table(text: str) -> Table:
    loaded = load_sources({"clew.yaml": "project: p\n", "rules/t.yaml": text})
    assert loaded.blueprint is not None, [f"{each.place} {each.message('en')}" for each in loaded.diagnostics]
    return next(iter(loaded.blueprint.decisions.values())).table


HEAD = """
decision: t
inputs: {a: {type: integer, min: 0, max: 9}, b: {type: boolean}}
outputs: {x: {type: integer}}
"""


@pytest.mark.parametrize(
    ("rows", "code", "line", "says"),
    [
        ("rows:\n  - [0..4, true, 1]\n  - [5..9, any, 2]\n", "DECISION_GAP", 5, "a = 0, b = false"),
        ("rows:\n  - [0..5, any, 1]\n  - [5..9, any, 2]\n", "DECISION_OVERLAP", 7, "a = 5, b = false"),
        ("hit: any\nrows:\n  - [0..5, any, 1]\n  - [any, any, 2]\n", "DECISION_OVERLAP", 8, "a = 0"),
        ("hit: first\nrows:\n  - [any, any, 1]\n  - [3, true, 2]\n", "DECISION_NEVER", 8, "Row 2"),
        ("rows:\n  - [any, 1]\n", "DECISION_WIDTH", 6, "2 cells; 3"),
        ("rows:\n  - [any, maybe, 1]\n", "DECISION_CELL", 6, "true or false"),
        ("rows:\n  - [any, any, 1.5]\n", "DECISION_CELL", 6, "0 decimal places"),
        ("rows:\n  - [any, any, 1]\nexamples:\n  - [3, true, 2]\n", "DECISION_EXAMPLE", 8, "x = 1 (rows 1)"),
        ("rows:\n  - [any, any, 1]\ntogether: sum\n", "BAD_VALUE", 7, "hit: collect"),
        ("rows:\n  - [any, any, 1]\nhit: priority\n", "BAD_VALUE", 7, "priority"),
    ],
)
def test_what_is_wrong_with_a_table_is_shown_by_a_case(rows: str, code: str, line: int, says: str) -> None:
    found = findings(HEAD + rows)
    assert [(each.code, each.place.line) for each in found] == [(code, line)]
    assert says in found[0].message("en")


def test_a_table_that_takes_too_long_to_look_through_says_so() -> None:
    names = [f"i{number}" for number in range(14)]
    inputs = ", ".join(f"{name}: {{type: boolean}}" for name in names)
    cells = "".join(
        f"  - [{', '.join('true' if at == number else 'any' for at in range(14))}, {number}]\n" for number in range(14)
    )
    twos = "".join(
        f"  - [{', '.join('false' if at in (one, one - 1) else 'any' for at in range(14))}, 0]\n" for one in range(14)
    )
    text = f"decision: t\nhit: collect\ninputs: {{{inputs}}}\noutputs: {{x: {{type: integer}}}}\nrows:\n{cells}{twos}"
    assert not findings(text), "what is collected may well hold nowhere"
    assert {each.code for each in findings(text.replace("hit: collect", "hit: first"))} <= {
        "DECISION_UNKNOWN",
        "DECISION_NEVER",
        "DECISION_GAP",
    }


def test_several_rows_that_hold() -> None:
    rows = "rows:\n  - [0..5, any, 1]\n  - [any, true, 2]\n  - [any, any, 2]\n"
    values = {}
    for policy in ("hit: first", "hit: collect", "hit: collect\ntogether: sum", "hit: collect\ntogether: count"):
        values[policy] = table(f"{HEAD}{policy}\n{rows}").decide([3, True])
    assert values["hit: first"] == Found({"x": 1}, (1,))
    assert values["hit: collect"] == Found({"x": [1, 2, 2]}, (1, 2, 3))
    assert values["hit: collect\ntogether: sum"].values == {"x": 5}
    assert values["hit: collect\ntogether: count"].values == {"x": 3}
    strongest = table(f"{HEAD}hit: priority\npriority: [2, 1]\n{rows}")
    assert strongest.decide([3, False]) == Found({"x": 2}, (3,))
    with pytest.raises(Undecidable):
        strongest.decide([10, False])


NORMAL = (
    "2–8 A 20,0 13,0 5,0|9–15 B 20,0 13,0 5,0|16–25 C 20,0 13,0 5,0|26–50 D 20,0 13,0 5,0|51–90 E 20,0 13,0 20,1|"
    "91–150 F 20,0 13,0 20,1|151–280 G 20,0 50,1 32,2|281–500 H 80,1 50,1 50,3|501–1200 J 80,1 80,2 80,5|"
    "1201–3200 K 125,2 125,3 125,7|3201–10000 L 200,3 200,5 200,10|10001–35000 M 315,5 315,7 315,14|"
    "35001–150000 N 500,7 500,10 500,21|150001–500000 P 800,10 800,14 500,21|500001–9999999 Q 1250,14 1250,21 500,21"
)
TIGHTENED = {
    "0.65": "32,0 125,1 125,1 125,1 200,2 315,3",
    "1.0": "80,1 80,1 80,1 125,2 200,3 315,5",
    "2.5": "32,1 50,2 80,3 125,5 200,8 315,12",
}


def cells_of_the_standard() -> list[tuple[str, Decimal, int, int, str, int, int]]:
    """Every cell: severity, AQL, the smallest and largest lot, letter, n, Ac."""
    found = []
    for line in NORMAL.split("|"):
        lots, letter, *plans = line.split()
        low, high = map(int, lots.split("–"))
        for aql, plan in zip(("0.65", "1.0", "2.5"), plans, strict=True):
            n, ac = map(int, plan.split(","))
            found.append(("normal", Decimal(aql), low, high, letter, n, ac))
    ranges = {letter: (low, high) for _, _, low, high, letter, _, _ in found}
    for aql, text in TIGHTENED.items():
        for letter, plan in zip("GHJKLM", text.split(), strict=True):
            n, ac = map(int, plan.split(","))
            found.append(("tightened", Decimal(aql), *ranges[letter], letter, n, ac))
    return found


def test_every_cell_of_the_sampling_standard() -> None:
    """GB/T 2828.1 (ISO 2859-1), single sampling, level II, with its arrows followed; nothing is made up beyond it."""
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None
    plan = loaded.blueprint.decisions["sampling_plan"].table
    cells = cells_of_the_standard()
    assert len(cells) == 63 == len(plan.rows)
    for severity, aql, low, high, letter, n, ac in cells:
        for size in (low, high):
            said = plan.decide([severity, aql, size]).values
            assert said == {"code_letter": letter, "n": n, "ac": ac, "re": ac + 1}
    for outside in (
        ["tightened", Decimal("1.0"), 150],
        ["tightened", Decimal("1.0"), 35001],
        ["normal", Decimal(4), 9],
    ):
        with pytest.raises(Undecidable):
            plan.decide(outside)
    switching = loaded.blueprint.decisions["inspection_switching"].table
    assert switching.decide(["normal", 2, 0, 0, 0]).values == {"next": "tightened"}
    assert re.match("[0-9a-f]{64}$", loaded.blueprint.decisions["sampling_plan"].version)
