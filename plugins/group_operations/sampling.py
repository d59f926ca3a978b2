"""Inspection lots: their sample and severity by the pack's decision tables, and the series that switches severity."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import ceil
from typing import NamedTuple
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work

_FEWEST, _RUN, _NO_PLAN_BELOW = 2, 5, 151
"""The smallest lot the AQL table knows; the lots that count for switching; below this size it has no tightened plan."""


class Sample(NamedTuple):
    letter: str
    n: int
    ac: int


class Judged(NamedTuple):
    """One lot of a series, as far as the severity of the next depends on it."""

    severity: str
    accepted: bool
    good: bool = False
    """Whether a plan a step or more tighter would have accepted it too."""
    ac: int = 0


class Series(NamedTuple):
    """What the table of switching rules asks of a series of lots."""

    not_accepted_of_last_five: int
    accepted_in_a_row: int
    not_accepted_on_tightened: int
    switching_score: int


def sample_of(work: Work, sampling: str, lot_size: int, aql: Decimal | None, severity: str) -> Sample:
    """How many are inspected and how many nonconforming are accepted. Raises Refused where the tables say nothing."""
    zero = work.decide("zero_acceptance", lot_size)
    letter = str(zero["code_letter"])
    if sampling == "full":
        return Sample(letter, lot_size, 0)
    if sampling != "aql" or aql is None:
        return Sample(letter, min(zero["n"], lot_size), 0)
    if lot_size < _FEWEST or (severity == "tightened" and lot_size < _NO_PLAN_BELOW):
        # No tightened plan is kept for small lots: all of it is inspected and none accepted, which no plan surpasses.
        return Sample(letter, lot_size, 0)
    said = work.decide("sampling_plan", severity, aql, lot_size)
    # A sample as large as the lot means all of it; the plan's acceptance number still holds.
    return Sample(said["code_letter"], min(said["n"], lot_size), min(said["ac"], lot_size))


def series_of(lots: Sequence[Judged]) -> Series:
    """What counts of lots in the order in which they were judged, the last one included."""
    in_a_row = on_tightened = score = 0
    for each in lots:
        in_a_row = in_a_row + 1 if each.accepted else 0
        on_tightened = on_tightened + (not each.accepted) if each.severity == "tightened" else 0
        # Two points for an acceptance number of 0 or 1, three where a tighter plan accepts too; else anew.
        scores = each.severity == "normal" and each.accepted and (each.ac < 2 or each.good)
        score = score + (3 if each.ac > 1 else 2) if scores else 0
    same = [each for each in lots[-_RUN:] if each.severity == lots[-1].severity]
    return Series(sum(not each.accepted for each in same), in_a_row, on_tightened, score)


async def count_series(work: Work) -> None:
    """Write on an inspection lot that was judged what the switching rules ask of its series. A lot inspected again
    counts no more than once."""
    lot = await work.record()
    rows = [each for each in await _judged(work, lot) if each["id"] != lot["id"]]
    again = any(each["lot"] == lot["lot"] for each in rows)
    found = series_of([_entry(work, each) for each in (rows if again else [*rows, lot])])
    await work.update("inspection_lot", lot["id"], found._asdict())


async def open_final_inspection(work: Work) -> None:
    """The final inspection of what an order made, unless one is open."""
    order = await work.record()
    if order["lot"] is None:
        raise Refused("工单没有产出批次", "the order has no lot")
    await open_inspection(work, order["lot"], "FQC", AnyRef("work_order", order["id"]), order["good_qty"])


async def open_inspection(work: Work, lot_id: UUID, stage: str, source: AnyRef, qty: Decimal | None) -> UUID:
    """An inspection lot by the effective plan of the lot's item, or the open one there is. Raises Refused."""
    lot = await work.record("lot", lot_id)
    item = lot["item"]
    for each in await work.find("inspection_lot", lot=lot_id, source=source, state=("created", "testing")):
        found: UUID = each["id"]
        return found
    plans = await work.find("inspection_plan", item=item, stage=stage, state="effective")
    if not plans:
        raise Refused(f"物料没有生效的 {stage} 检验规程", f"the item has no effective {stage} plan")
    plan = plans[0]
    size = max(1, ceil(qty or lot["initial_qty"] or 1))
    severity = await _severity(work, plan, lot)
    rows = await work.find("inspection_characteristic", owner=plan["id"])
    limits = [each["aql"] for each in rows if each["aql"] is not None]
    aql = min(limits) if limits and plan["sampling"] == "aql" else None
    sample = sample_of(work, plan["sampling"], size, aql, severity)
    return await work.create(
        "inspection_lot",
        {
            "site": lot["site"],
            "lot": lot_id,
            "plan": plan["id"],
            "source": source,
            "lot_size": size,
            "severity": severity,
            "aql": aql,
            "code_letter": sample.letter,
            "n": sample.n,
            "ac": sample.ac,
            "re": sample.ac + 1,
        },
    )


async def _severity(work: Work, plan: Row, lot: Row) -> str:
    """What the last lot of the series said of the next. Reduced inspection is a permission for which no plans are
    kept: it stays normal. Raises Refused where inspection has stopped."""
    rows = await work.find("inspection_lot", plan=plan["id"], state=("judged", "closed"))
    before = await _series(work, rows, plan, lot["supplier"])
    said = str(before[-1]["next_severity"] or "normal") if before else "normal"
    if said == "stopped":
        number = plan["number"]
        raise Refused(
            f"{number} 已暂停检验:改进后由质量在检验规程上填写恢复日期",
            f"inspection by {number} has stopped: after the improvement quality states on the plan when it goes on",
        )
    # After a stop it goes on tightened; what lies before the day it went on no longer counts.
    if not before and plan["resumed_on"] is not None:
        return "tightened"
    return "tightened" if said == "tightened" else "normal"


async def _judged(work: Work, lot: Row) -> list[Row]:
    """The lots of the series an inspection lot belongs to, in the order in which they were judged."""
    plan = await work.record("inspection_plan", lot["plan"])
    supplier = (await work.record("lot", lot["lot"]))["supplier"]
    rows = await work.find("inspection_lot", plan=plan["id"], state=("judged", "closed"))
    return await _series(work, rows, plan, supplier)


async def _series(work: Work, rows: Sequence[Row], plan: Row, supplier: UUID | None) -> list[Row]:
    found: list[Row] = []
    seen: set[UUID] = set()
    theirs: set[UUID] | None = None
    if supplier is not None:
        theirs = {each["id"] for each in await work.find("lot", item=plan["item"], supplier=supplier)}
    for each in sorted(rows, key=lambda row: (row["judged_at"] is not None, row["judged_at"], str(row["id"]))):
        resumed = plan["resumed_on"]
        if each["lot"] in seen or each["judged_at"] is None:
            continue
        if resumed is not None and each["judged_at"].date() < resumed:
            continue
        if theirs is not None and each["lot"] not in theirs:
            continue
        seen.add(each["lot"])
        found.append(each)
    return found


def _entry(work: Work, row: Row) -> Judged:
    accepted = row["judgement"] == "accept"
    return Judged(row["severity"], accepted, accepted and _also_tighter(work, row), row["ac"])


def _also_tighter(work: Work, row: Row) -> bool:
    """Whether the next tighter AQL that is kept would have accepted it; with none, only a lot without a fault."""
    tighter = {Decimal("2.5"): Decimal("1.0"), Decimal("1.0"): Decimal("0.65")}.get(row["aql"])
    if tighter is None or row["lot_size"] < _FEWEST:
        return bool(row["nonconforming"] == 0)
    return bool(row["nonconforming"] <= work.decide("sampling_plan", "normal", tighter, row["lot_size"])["ac"])
