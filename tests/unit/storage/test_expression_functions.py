"""What the registry promises to run in SQL, SQL can run, and nothing else."""

from __future__ import annotations

from clew.expressions.builtin import BUILTIN, FOLDED
from clew.expressions.functions import SQL
from clew.storage.expression_functions import BUILDERS


def test_every_function_that_says_sql_has_sql() -> None:
    promised = {name for name, all_ in BUILTIN.by_name.items() if any(SQL in each.runs_in for each in all_)}
    predicates = promised - set(FOLDED)
    assert predicates == set(BUILDERS)
