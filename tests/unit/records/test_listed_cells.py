"""A list in one cell: what is written there comes back, whatever characters its entries have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.records.sheet import entries, listed

_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).map(str.strip).filter(bool)


@given(st.lists(_TEXT, max_size=6))
def test_what_is_listed_comes_back(values: list[str]) -> None:
    assert entries(listed(values)) == values


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("a;b", ["a", "b"]),
        (" a ; b;; ", ["a", "b"]),
        ("", []),
        ('"a;b";c', ["a;b", "c"]),
        ('5" tube;b', ['5" tube', "b"]),
        ("a;\nb", ["a", "b"]),
    ],
)
def test_cells_as_people_write_them(cell: str, found: list[str]) -> None:
    assert entries(cell) == found
