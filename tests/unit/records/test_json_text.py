"""Constant text in statements."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from clew.records.query.json_text import piece
from clew.storage.dialects import literal_sql


@pytest.mark.parametrize("text", ["", "'", "''; DROP TABLE lot; --", '"quoted"', "批号'", ":bind %s $1"])
def test_a_piece_is_one_constant_whatever_it_says(text: str) -> None:
    [parsed] = sqlglot.parse(f"SELECT {literal_sql(piece(text), 'postgresql')}", read="postgres")
    assert parsed is not None
    [only] = parsed.expressions
    assert isinstance(only, exp.Literal)
    assert only.this == text
