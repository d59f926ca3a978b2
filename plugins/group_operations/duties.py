"""Periodic duties that are a look at all records of a kind: licences and certificates, and the suppliers' scores."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from clew.records.values import AnyRef
from clew.sdk import Row, Work

_LICENCES = ("mfg_licence", "dist_licence")
_MARKET = {"NMPA_reg": "CN", "NMPA_filing": "CN", "CE_QMS": "EU", "CE_TD": "EU", "FDA_510k": "US", "FDA_PMA": "US"}
_SOON = timedelta(days=60)
_OPENS, _DUE = {True: 126, False: 365}, {True: 56, False: 183}
"""Days before expiry at which the renewal of a licence (True) or a registration opens and must be filed; Order 53 art.
17, Order 54 art. 16: 90 to 30 working days, here in calendar days to be safe."""
_GRADES = ((Decimal(90), "A"), (Decimal(75), "B"), (Decimal(60), "C"))


async def watch_papers(work: Work) -> None:
    """A renewal for every certificate whose window is open and that has none yet; a list of what expires soon."""
    duty = await work.record()
    soon: list[str] = []
    for paper in await work.find("registration", state="active"):
        expires = paper["expires_on"]
        licence = paper["kind"] in _LICENCES
        if expires is None or work.today < expires - timedelta(days=_OPENS[licence]):
            continue
        soon.append(f"{paper['number']} {expires}")
        open_tasks = await work.find("filing_task", registration=paper["id"], renewal=True)
        if all(each["state"] in ("closed", "refused") for each in open_tasks):
            await work.create(
                "filing_task",
                {
                    "subject": f"延续 / renewal {paper['number']}",
                    "market": _MARKET.get(paper["kind"], "CN"),
                    "registration": paper["id"],
                    "renewal": True,
                    "trigger": AnyRef("registration", paper["id"]),
                    "due": max(work.today, expires - timedelta(days=_DUE[licence])),
                },
            )
    for customer in await work.find("customer", state="qualified"):
        if _near(customer["licence_expires"], work.today):
            soon.append(f"{customer['customer_no']} {customer['licence_expires']}")
    for line in await work.find("supplier_licences"):
        if _near(line["expires_on"], work.today):
            supplier = await work.record("supplier", line["owner"])
            soon.append(f"{supplier['supplier_no']} {line['number']} {line['expires_on']}")
    await work.update("quality_audit", duty["id"], {"inputs": "\n".join(soon) or "–"})


def _near(expires: date | None, today: date) -> bool:
    return expires is not None and expires <= today + _SOON


async def score_suppliers(work: Work) -> None:
    """The score of last month for every supplier in use that has none: accepted lots and receipts on time, in equal
    parts; what there was none of counts as good."""
    duty = await work.record()
    end = work.today.replace(day=1)
    start = (end - timedelta(days=1)).replace(day=1)
    period = f"{start:%Y-%m}"
    for supplier in await work.find("supplier", state=("approved", "conditional")):
        if duty["supplier"] not in (None, supplier["id"]):
            continue
        if await work.find("supplier_scorecard", supplier=supplier["id"], period=period):
            continue
        accepted, on_time = await _accepted(work, supplier, start, end), await _on_time(work, supplier, start, end)
        scars = await work.find("scar", supplier=supplier["id"])
        unanswered = sum(each["state"] not in ("closed", "verified") for each in scars)
        score = max(Decimal(0), (accepted + on_time) / 2 - 5 * unanswered).quantize(Decimal("0.01"))
        values = {"lot_accept": accepted, "on_time": on_time, "open_scar": unanswered, "grade": grade_of(score)}
        what: dict[str, Any] = {"supplier": supplier["id"], "period": period, "score": score}
        await work.create("supplier_scorecard", {**what, **values})


def grade_of(score: Decimal) -> str:
    return next((grade for least, grade in _GRADES if score >= least), "D")


def _share(good: int, all_: int) -> Decimal:
    return (Decimal(100 * good) / all_ if all_ else Decimal(100)).quantize(Decimal("0.01"))


async def _accepted(work: Work, supplier: Row, start: date, end: date) -> Decimal:
    good = judged = 0
    for lot in await work.find("lot", supplier=supplier["id"], source="purchase"):
        for each in await work.find("inspection_lot", lot=lot["id"], state=("judged", "closed")):
            if each["judged_at"] is not None and start <= each["judged_at"].date() < end:
                judged += 1
                good += each["judgement"] == "accept"
    return _share(good, judged)


async def _on_time(work: Work, supplier: Row, start: date, end: date) -> Decimal:
    good = received = 0
    for order in await work.find("purchase_order", supplier=supplier["id"]):
        for line in await work.find("purchase_order_line", po=order["id"]):
            for receipt in await work.find("goods_receipt", po_line=line["id"]):
                day = receipt["received_at"].date()
                if start <= day < end:
                    received += 1
                    good += line["promised_on"] is None or day <= line["promised_on"]
    return _share(good, received)
