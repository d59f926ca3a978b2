"""What decision tables said while something was decided: which version was asked, of what, and which rows held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from clew.expressions.check_decide import DECIDE, Asked
from clew.expressions.interpret import evaluate
from clew.expressions.problems import Undecidable
from clew.expressions.rewrite import remade
from clew.expressions.tables import Table
from clew.expressions.tree import Call, Checked, Literal, Name, walk
from clew.records.values import AnyRef, Money, plain

_NO_TIME = datetime(1, 1, 1, tzinfo=UTC)
"""Never looked at: an input that reads the time is not evaluated here."""


def answer(table: Table, given: Sequence[Any]) -> dict[str, Any]:
    """What a table says of these inputs, as it is kept. `rows` are those that held, from 1; none: the default."""
    said: dict[str, Any] = {
        "table": table.name,
        "version": table.version,
        "inputs": {each.name: plain(value) for each, value in zip(table.inputs, given, strict=True)},
    }
    try:
        found = table.decide(given)
    except Undecidable as error:
        return {**said, "undecided": error.message("en")}
    return {**said, "rows": list(found.rows), "outputs": {name: plain(value) for name, value in found.values.items()}}


def tables_asked(condition: Checked, record: Mapping[str, Any]) -> dict[str, Any]:
    """The tables a condition asks, by `decide(table)`. Where an input is not the record's own, only the version is
    said: the history keeps the rest."""
    calls: list[Call] | None = condition.memo.get(DECIDE)
    if calls is None:
        calls = [each for each in walk(condition.root) if isinstance(each, Call) and each.function == DECIDE]
        condition.memo[DECIDE] = calls
    found: dict[str, Any] = {}
    for node in calls:
        table = cast(Asked, cast(Literal, node.args[0]).value).table
        inputs = [remade(condition, each, f"{table.name} input") for each in node.args[1:]]
        own = all(_own(each, record) for each in inputs)
        said: dict[str, Any] = {"table": table.name, "version": table.version}
        if own:
            try:
                said = answer(table, [evaluate(each, _facts(record), now=_NO_TIME) for each in inputs])
            except Undecidable as error:
                said["undecided"] = error.message("en")
        found[f"{DECIDE}({table.name})"] = said
    return found


def _own(given: Checked, record: Mapping[str, Any]) -> bool:
    """Whether the record's own values decide it."""
    names = {each.name for each in walk(given.root) if isinstance(each, Name)}
    return names <= {"this"} and all(len(path) == 1 and path[0] in record for path in given.reads)


def _facts(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _fact(value) for name, value in record.items()}


def _fact(value: Any) -> Any:
    if isinstance(value, Money):
        return value.amount
    return value.id if isinstance(value, AnyRef) else value
