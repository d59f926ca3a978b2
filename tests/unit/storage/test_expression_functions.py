"""What the registry promises to run in SQL, SQL can run, and nothing else."""

from __future__ import annotations

from clew.expressions.builtin import BUILTIN, FOLDED
from clew.expressions.functions import SQL, Signature
from clew.storage.expression_functions import BUILDERS


def test_every_function_that_says_sql_has_sql() -> None:
    promised = {each.name for each in BUILTIN.by_id.values() if SQL in each.runs_in and not _literal(each)}
    assert promised == set(BUILDERS)


def _literal(signature: Signature) -> bool:
    """Literals such as date('2026-01-01') are values before anything is translated."""
    return signature.name in FOLDED and signature.parameters[0].literal
