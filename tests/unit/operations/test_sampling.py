"""Samples and severities by the pack's decision tables: none is kept anywhere else."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest

from clew.expressions.problems import Undecidable
from clew.extensions.plugins import load_plugins
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources
from clew.sdk import Refused, Work

ROOT = Path(__file__).parents[3]
# The pack's plugins are no package of the installation: they are loaded as a server loads them.
load_plugins(ROOT)

from group_operations.sampling import Judged, Sample, sample_of, series_of  # noqa: E402

D = Decimal
GOOD, BAD = Judged("normal", True, good=True), Judged("normal", False)


@cache
def tables() -> Blueprint:
    """The pack's tables by themselves."""
    names = ["models/code_lists.yaml", *(f"rules/{each.name}" for each in (ROOT / "rules").iterdir())]
    project = "project: tables\nlabel: {zh: 表, en: Tables}\nversion: 1.0.0\nlocale: zh\ntime_zone: Asia/Shanghai\n"
    sources = {name: (ROOT / name).read_text(encoding="utf-8") for name in names}
    loaded = load_sources({"clew.yaml": project, **sources})
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


class Asking:
    """As much of an action's work as a sample needs."""

    def decide(self, table: str, *given: Any) -> dict[str, Any]:
        try:
            return tables().decisions[table].table.decide(given).values
        except Undecidable as error:
            raise Refused(error.message("zh"), error.message("en")) from error


def sampled(sampling: str, size: int, aql: str | None = None, severity: str = "normal") -> Sample:
    return sample_of(cast(Work, Asking()), sampling, size, D(aql) if aql else None, severity)


@pytest.mark.parametrize(
    ("size", "aql", "severity", "expected"),
    [
        (500, "0.65", "normal", ("H", 80, 1)),
        (500, "0.65", "tightened", ("H", 125, 1)),
        (60, "0.65", "normal", ("E", 20, 0)),
        (10, "2.5", "normal", ("B", 5, 0)),
        (4, "2.5", "normal", ("A", 4, 0)),
        (35_000, "2.5", "tightened", ("M", 315, 12)),
        (150, "1.0", "tightened", ("F", 150, 0)),
        (1, "1.0", "normal", ("A", 1, 0)),
    ],
)
def test_samples_are_those_of_the_tables(size: int, aql: str, severity: str, expected: tuple[str, int, int]) -> None:
    assert sampled("aql", size, aql, severity) == expected


def test_where_no_plan_is_kept_people_decide() -> None:
    for aql, size, severity in (("4", 100, "normal"), ("1.0", 40_000, "tightened"), ("1.0", 500, "reduced")):
        with pytest.raises(Refused):
            sampled("aql", size, aql, severity)


def test_zero_and_full_inspection_accept_none() -> None:
    assert [sampled("c0", each) for each in (1, 100, 500_001)] == [("A", 1, 0), ("F", 20, 0), ("Q", 1250, 0)]
    assert sampled("full", 100) == ("F", 100, 0)


def test_the_series_counts_what_the_switching_rules_ask() -> None:
    def following(*lots: Judged) -> str:
        asked = series_of(lots)
        return str(Asking().decide("inspection_switching", lots[-1].severity, *asked)["next"])

    tight, missed = Judged("tightened", True), Judged("tightened", False)
    assert following(BAD, GOOD, GOOD, GOOD, BAD) == "tightened"
    assert following(BAD, GOOD, GOOD, GOOD, GOOD, BAD) == "normal", "they are six apart"
    assert following(BAD, BAD, *[tight] * 4) == "tightened"
    assert following(BAD, BAD, *[tight] * 5) == "normal"
    assert following(BAD, BAD, *[missed, tight] * 5) == "stopped", "five not accepted on tightened"
    assert following(BAD, BAD, *[missed] * 4) == "tightened"
    assert following(*[GOOD] * 14) == "normal", "28 points"
    assert following(*[GOOD] * 15) == "reduced"
    assert following(*[GOOD] * 10, BAD, *[GOOD] * 14) == "normal", "a lot not accepted begins anew"
    large = Judged("normal", True, good=True, ac=3)
    assert following(*[large] * 10) == "reduced", "three points each"
    assert following(*[large] * 9, Judged("normal", True, ac=3)) == "normal", "a tighter one would not accept it"
