"""A filing against the one before it, what has changed since, and the digest of what is handed in."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from clew.kernel.canonical import digest
from clew.sdk import Row, Work
from group_operations.changes import items_of

_HANDED_IN = ("submitted", "accepted", "rejected")
_ANSWERED_AHEAD = 5
"""Working days before an authority's limit by which a question is answered (domain P6.6)."""


async def compare_submission(work: Work) -> None:
    """Write on a filing how its dossier differs from the last one that was handed in for the same registration, or else
    for the same products to the same market; and which changes and rules have taken effect since."""
    task = await work.record()
    if task["dossier"] is None:
        return
    dossier = await work.record("registration_dossier", task["dossier"])
    before = await _last(work, task, dossier)
    if before is None:
        text = "首次申报,无以往资料可比 / the first filing: there is none to compare with"
    else:
        since = before["submitted_at"].date()
        products = set(await work.linked("registration_dossier", "items", dossier["id"]))
        products |= set(await work.linked("registration_dossier", "items", before["id"]))
        text = "\n".join(
            (
                f"上次申报 last submission: {before['number']} {since}",
                _told("资料 nodes", await _nodes(work, before, dossier)),
                _told("其后放行的变更 changes since", await _changes(work, products, since)),
                _told("其后实施的法规标准 rules since", await _rules(work, products, str(task["market"]), since)),
            )
        )
    if task["submission_diff"] != text:
        await work.update("filing_task", task["id"], {"submission_diff": text})


async def seal_submission(work: Work) -> None:
    """Write on the dossier of a filing the digest of what is handed in: its nodes, their revisions and files."""
    task = await work.record()
    dossier = await work.record("registration_dossier", task["dossier"])
    nodes = []
    for node in await work.find("registration_dossier_nodes", owner=dossier["id"]):
        revision = node["document_revision"] and await work.record("document_revision", node["document_revision"])
        stands = [revision["rev"], revision["sha256"], str(revision["id"])] if revision else []
        nodes.append([str(node["toc"]), bool(node["not_applicable"]), *stands])
    what = {"dossier": dossier["number"], "market": dossier["market"], "kind": dossier["kind"], "nodes": sorted(nodes)}
    await work.update("registration_dossier", dossier["id"], {"snapshot_sha256": digest(what)})


async def plan_answers(work: Work) -> None:
    """Write on each open question of an authority by when it is answered: five working days before its limit, at once
    where that has passed. Where the year is not published nothing is written; the record counts calendar days then."""
    planned = []
    for question in await work.find("filing_task_authority_qa", owner=work.id):
        day = None if question["answered_on"] is not None else work.working_day_before(question["due"], _ANSWERED_AHEAD)
        if day is not None:
            planned.append({"id": question["id"], "answer_by": max(day, question["asked_on"])})
    if planned:
        await work.update("filing_task", work.id, {"authority_qa": {"update": planned}})


async def _last(work: Work, task: Row, dossier: Row) -> Row | None:
    mine = set(await work.linked("registration_dossier", "items", dossier["id"]))
    paper = task["registration"] or dossier["registration"]
    found = []
    for each in await work.find("registration_dossier", market=task["market"], state=_HANDED_IN):
        if each["id"] == dossier["id"] or each["submitted_at"] is None:
            continue
        same = paper is not None and each["registration"] == paper
        if same or mine & set(await work.linked("registration_dossier", "items", each["id"])):
            found.append(((same, each["submitted_at"]), each))
    return max(found, key=lambda pair: pair[0])[1] if found else None


async def _nodes(work: Work, before: Row, now: Row) -> list[str]:
    old, new = await _revisions(work, before), await _revisions(work, now)
    told = [f"+ {toc} {new[toc]}" for toc in new if toc not in old]
    told += [f"− {toc} {old[toc]}" for toc in old if toc not in new]
    return told + [f"{toc} {old[toc]} → {new[toc]}" for toc in new if toc in old and new[toc] != old[toc]]


async def _revisions(work: Work, dossier: Row) -> dict[str, str]:
    found = {}
    for node in await work.find("registration_dossier_nodes", owner=dossier["id"]):
        name = "–"
        if node["document_revision"] is not None:
            revision = await work.record("document_revision", node["document_revision"])
            document = await work.record("document", revision["document"])
            name = f"{document['doc_no']}/{revision['rev']}"
        found[str(node["toc"])] = name
    return found


async def _changes(work: Work, products: set[UUID], since: date) -> list[str]:
    told = []
    for order in await work.find("change_order", state=("released", "closed")):
        if order["effective_on"] is None or order["effective_on"] < since:
            continue
        for affected in await work.find("affected_item", change_order=order["id"]):
            if products & await items_of(work, affected["object"]):
                told.append(f"{order['number']} {order['summary']}")
                break
    return told


async def _rules(work: Work, products: set[UUID], market: str, since: date) -> list[str]:
    told = []
    for rule in await work.find("regulation_item", state="active"):
        concerned = set(await work.linked("regulation_item", "items", rule["id"]))
        if rule["effective_on"] >= since and market in rule["markets"] and (not concerned or products & concerned):
            told.append(f"{rule['code']} {rule['version']}")
    return told


def _told(what: str, found: list[str]) -> str:
    return f"{what}: {'; '.join(found) or '–'}"
