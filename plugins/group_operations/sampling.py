"""Inspection lots with their samples: single sampling by ISO 2859-1, level II, and its switching rules (domain F10)."""

from __future__ import annotations

from decimal import Decimal
from math import ceil
from typing import NamedTuple
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work

LETTERS = (
    (8, "A"), (15, "B"), (25, "C"), (50, "D"), (90, "E"), (150, "F"), (280, "G"), (500, "H"), (1200, "J"),
    (3200, "K"), (10_000, "L"), (35_000, "M"), (150_000, "N"), (500_000, "P"),
)  # fmt: skip
SIZES = {
    "A": 2, "B": 3, "C": 5, "D": 8, "E": 13, "F": 20, "G": 32, "H": 50, "J": 80, "K": 125, "L": 200, "M": 315,
    "N": 500, "P": 800, "Q": 1250,
}  # fmt: skip
"""Sample sizes by letter, for acceptance on zero."""
_NORMAL: dict[str, dict[str, tuple[int, int]]] = {
    "0.65": {
        "A": (20, 0), "B": (20, 0), "C": (20, 0), "D": (20, 0), "E": (20, 0), "F": (20, 0), "G": (20, 0), "H": (80, 1),
        "J": (80, 1), "K": (125, 2), "L": (200, 3), "M": (315, 5), "N": (500, 7), "P": (800, 10), "Q": (1250, 14),
    },
    "1.0": {
        "A": (13, 0), "B": (13, 0), "C": (13, 0), "D": (13, 0), "E": (13, 0), "F": (13, 0), "G": (50, 1), "H": (50, 1),
        "J": (80, 2), "K": (125, 3), "L": (200, 5), "M": (315, 7), "N": (500, 10), "P": (800, 14), "Q": (1250, 21),
    },
    "2.5": {
        "A": (5, 0), "B": (5, 0), "C": (5, 0), "D": (5, 0), "E": (20, 1), "F": (20, 1), "G": (32, 2), "H": (50, 3),
        "J": (80, 5), "K": (125, 7), "L": (200, 10), "M": (315, 14), "N": (500, 21), "P": (500, 21), "Q": (500, 21),
    },
}  # fmt: skip
_TIGHTENED: dict[str, dict[str, tuple[int, int]]] = {
    "0.65": {"G": (32, 0), "H": (125, 1), "J": (125, 1), "K": (125, 1), "L": (200, 2), "M": (315, 3)},
    "1.0": {"G": (80, 1), "H": (80, 1), "J": (80, 1), "K": (125, 2), "L": (200, 3), "M": (315, 5)},
    "2.5": {"G": (32, 1), "H": (50, 2), "J": (80, 3), "K": (125, 5), "L": (200, 8), "M": (315, 12)},
}
_NOT_ACCEPTED, _RUN = 2, 5
"""Two of five consecutive lots not accepted tighten; five accepted on tightened loosen again."""


class Sample(NamedTuple):
    letter: str
    n: int
    ac: int


def letter_of(lot_size: int) -> str:
    """The code letter of a lot size at general level II."""
    return next((letter for most, letter in LETTERS if lot_size <= most), "Q")


def sample_of(sampling: str, lot_size: int, aql: Decimal | None, severity: str) -> Sample:
    """How many are inspected and how many nonconforming are accepted. Raises Refused for an AQL the tables lack."""
    letter = letter_of(lot_size)
    if sampling == "full":
        return Sample(letter, lot_size, 0)
    if sampling != "aql" or aql is None:
        return Sample(letter, min(SIZES[letter], lot_size), 0)
    key = next((each for each in _NORMAL if Decimal(each) == aql), None)
    if key is None:
        raise Refused(f"没有 AQL {aql} 的抽样表", f"there is no sampling table for AQL {aql}")
    normal = _NORMAL[key][letter]
    n, ac = _TIGHTENED[key].get(letter, normal) if severity == "tightened" else normal
    if n >= lot_size:
        # The whole lot is inspected; the plan's acceptance number still holds.
        return Sample(letter, lot_size, min(ac, lot_size))
    return Sample(letter, n, ac)


def severity_after(judged: list[tuple[str, bool]]) -> str:
    """The severity of the next lot, after (severity, accepted) of those before, the oldest first."""
    if not judged:
        return "normal"
    last = judged[-1][0]
    run = judged[-_RUN:]
    if last == "tightened":
        loose = len(run) == _RUN and all(severity == "tightened" and accepted for severity, accepted in run)
        return "normal" if loose else "tightened"
    return "tightened" if sum(not accepted for _, accepted in run) >= _NOT_ACCEPTED else "normal"


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
    severity = severity_after(await _judged(work, plan))
    rows = await work.find("inspection_characteristic", owner=plan["id"])
    limits = [each["aql"] for each in rows if each["aql"] is not None]
    sample = sample_of(plan["sampling"], size, min(limits) if limits else None, severity)
    return await work.create(
        "inspection_lot",
        {
            "site": lot["site"],
            "lot": lot_id,
            "plan": plan["id"],
            "source": source,
            "lot_size": size,
            "severity": severity,
            "code_letter": sample.letter,
            "n": sample.n,
            "ac": sample.ac,
            "re": sample.ac + 1,
        },
    )


async def _judged(work: Work, plan: Row) -> list[tuple[str, bool]]:
    rows = await work.find("inspection_lot", plan=plan["id"], state=("judged", "closed"))
    return [(each["severity"], each["judgement"] == "accept") for each in rows]
