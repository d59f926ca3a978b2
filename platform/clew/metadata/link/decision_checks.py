"""Whether a decision table is whole and sound: gaps, overlaps, rows that never count, examples that do not hold."""

from __future__ import annotations

from decimal import Decimal
from itertools import combinations
from typing import Any

from clew.expressions.cells import CellError, literal
from clew.expressions.coverage import Case, TooLarge, gap, overlap
from clew.expressions.problems import Undecidable
from clew.expressions.tables import Hit, Table
from clew.metadata import rules_process
from clew.metadata.documents import Document
from clew.metadata.link.project import Linking
from clew.metadata.source import find
from clew.metadata.spec.decision import DecisionSpec

_MOST = 20
"""Overlaps that are told of one table."""


def check_table(linking: Linking, document: Document, table: Table, refuses: bool) -> None:
    """Gaps and overlaps, with a case for each. `refuses`: gaps are meant."""
    place = document.at("rows", key=True)
    rows = sorted(table.rows, key=lambda row: row.number)
    if table.hit in (Hit.UNIQUE, Hit.ANY):
        told = 0
        for one, other in combinations(rows, 2):
            if table.hit is Hit.ANY and one.then == other.then:
                continue
            case = overlap(one.when, other.when)
            if case is not None and told < _MOST:
                told += 1
                linking.findings.add(
                    rules_process.DECISION_OVERLAP,
                    other.place,
                    path=f"rows.{other.number - 1}",
                    first=one.number,
                    second=other.number,
                    case=_shown(table, case),
                    related=[one.place],
                )
    domains = [each.axis.domain for each in table.inputs]
    try:
        if table.default is None and not refuses and table.hit is not Hit.COLLECT:
            case = gap(domains, [each.when for each in rows])
            if case is not None:
                linking.findings.add(rules_process.DECISION_GAP, place, path="rows", case=_shown(table, case))
        if table.hit in (Hit.FIRST, Hit.PRIORITY):
            for at, row in enumerate(table.rows):
                if at and gap(row.when, [each.when for each in table.rows[:at]]) is None:
                    linking.findings.add(
                        rules_process.DECISION_NEVER, row.place, path=f"rows.{row.number - 1}", number=row.number
                    )
    except TooLarge:
        linking.findings.add(rules_process.DECISION_UNKNOWN, place, path="rows", name=table.name)


def _shown(table: Table, case: Case) -> str:
    return ", ".join(f"{each.name} = {each.axis.shown(point)}" for each, point in zip(table.inputs, case, strict=True))


def check_examples(linking: Linking, document: Document, spec: DecisionSpec, table: Table) -> None:
    """Every example comes out as it says."""
    types = [*(each.axis.type for each in table.inputs), *(table.result(at) for at in range(len(table.outputs)))]
    for number, example in enumerate(spec.examples):
        node, where = find(document.node, "examples", number), f"examples.{number}"
        if len(example) != len(types):
            linking.findings.add(
                rules_process.DECISION_WIDTH, node.place, path=where, count=len(example), wanted=len(types)
            )
            continue
        try:
            values = [
                None if given == "null" else literal(given, type_, type_.codes)
                for given, type_ in zip(example, types, strict=True)
            ]
            count = len(table.inputs)
            found = table.decide(values[:count])
        except CellError as error:
            linking.findings.add(
                rules_process.DECISION_CELL, node.place, path=where, reason=error.reason.en, reason_zh=error.reason.zh
            )
            continue
        except Undecidable as error:
            linking.findings.add(
                rules_process.DECISION_EXAMPLE, node.place, path=where, found=error.message("en"), rows="–"
            )
            continue
        if not all(_same(one, other) for one, other in zip(found.values.values(), values[count:], strict=True)):
            linking.findings.add(
                rules_process.DECISION_EXAMPLE,
                node.place,
                path=where,
                found=", ".join(f"{name} = {value}" for name, value in found.values.items()),
                rows=", ".join(map(str, found.rows)) or "–",
            )


def _same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | Decimal) and isinstance(other, int | Decimal)
    return bool(one == other) and (numbers or type(one) is type(other))
