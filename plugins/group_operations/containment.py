"""How far a nonconformance reaches: lots that share its cause, devices in the field, and the measures against it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Within, Work

_SHIFT = timedelta(hours=8)
_MAKING = ("lot", "work_order", "operation_execution", "material_consumption")
"""What a deviation may be about that tells the lots it concerns."""


async def hold_what_is_named(work: Work) -> None:
    """A hold on every lot and serial unit that a nonconformance or a field action names, but those it holds already.

    Where a nonconformance was verified, what it held may have been released since: that is not held again."""
    cause = await work.record()
    about = AnyRef(work.entity, cause["id"])
    standing = ("active", "released") if cause["state"] == "verified" else ("active",)
    for field, name, entity in (("lots", "lot", "lot"), ("serials", "serial", "serial_unit")):
        for each in await work.linked(work.entity, field, cause["id"]):
            if await work.find("inventory_hold", cause=about, state=standing, **{name: each}):
                continue
            held = await work.record(entity, each)
            values = {"site": held["site"], name: each, "cause": about, "because": cause["number"]}
            await work.create("inventory_hold", {**values, "placed_by": cause.get("found_by")})


async def find_related_lots(work: Work) -> None:
    """Write on a nonconformance the lots that share a component lot with its own, that were made of them, or that went
    over the same equipment within a shift."""
    ncr = await work.record()
    own = set(await work.linked("nonconformance", "lots", ncr["id"]))
    found: set[UUID] = set()
    for lot in sorted(own, key=str):
        found |= await _made_of(work, lot)
        for execution in await work.find("operation_execution", lot=lot):
            found |= await _same_shift(work, execution)
            for line in await work.find("material_consumption", execution=execution["id"], state="posted"):
                found |= await _made_of(work, line["component_lot"])
    related = sorted(found - own, key=str)
    if related:
        await work.update("nonconformance", ncr["id"], {"related_lots": related})


async def find_lots_of_deviation(work: Work) -> None:
    """Write on a deviation the lots it concerns: the one it is about, or those its operation or its order makes."""
    deviation = await work.record()
    found = set(await work.linked("deviation", "lots", deviation["id"]))
    about = deviation["object"]
    entity, row = about.entity, await work.record(about.entity, about.id) if about.entity in _MAKING else None
    if row is not None and entity == "material_consumption":
        entity, row = "operation_execution", await work.record("operation_execution", row["execution"])
    if row is not None and entity == "operation_execution" and row["lot"] is None:
        entity, row = "work_order", await work.record("work_order", row["work_order"])
    if row is not None and entity == "work_order":
        found |= {each["id"] for each in await work.find("lot", work_order=row["id"])}
    elif row is not None:
        found.add(row["id"] if entity == "lot" else row["lot"])
    await work.update("deviation", deviation["id"], {"lots": sorted(found, key=str)})


async def _made_of(work: Work, component: UUID) -> set[UUID]:
    found = set()
    for line in await work.find("material_consumption", component_lot=component, state="posted"):
        execution = await work.record("operation_execution", line["execution"])
        if execution["lot"] is not None:
            found.add(execution["lot"])
    return found


async def _same_shift(work: Work, execution: Row) -> set[UUID]:
    machines = set(await work.linked("operation_execution", "equipment", execution["id"]))
    if not machines or execution["started_at"] is None:
        return set()
    around = Within(execution["started_at"] - _SHIFT, execution["started_at"] + _SHIFT)
    found = set()
    for other in await work.find("operation_execution", site=execution["site"], started_at=around):
        if other["lot"] is not None and machines & set(
            await work.linked("operation_execution", "equipment", other["id"])
        ):
            found.add(other["lot"])
    return found


async def open_field_action(work: Work) -> None:
    """The evaluation of a field action for the lots of a nonconformance that were shipped, unless one is under way."""
    ncr = await work.record()
    shipped: list[UUID] = []
    for lot in await work.linked("nonconformance", "lots", ncr["id"]):
        owners = {each["owner"] for each in await work.find("shipment_line", lot=lot)}
        sent = [await work.record("shipment", each) for each in sorted(owners, key=str)]
        if any(each["shipped_at"] is not None for each in sent):
            shipped.append(lot)
    for action in await work.find("field_action", state=("evaluating", "decided", "notifying", "executing")):
        shipped = [each for each in shipped if each not in await work.linked("field_action", "lots", action["id"])]
    if not shipped:
        return
    item = await work.record("item", ncr["item"])
    values = {
        "subject": f"{ncr['number']} {item['name']}",
        "measures": ["warn"],
        "markets": list(item["sold_markets"] or ()) or ["CN"],
        "hazard": ncr["description"],
        "lots": shipped,
        "nonconformance": ncr["id"],
    }
    await work.create("field_action", values)


async def open_capa(work: Work) -> None:
    """The CAPA of a nonconformance. Whoever investigated it is its owner until the process gives it to somebody else.
    One of the same defect and item or supplier that is not analysed yet takes it in as a further origin."""
    ncr = await work.record()
    if ncr["capa"] is not None:
        return
    origin = {"origin": AnyRef("nonconformance", ncr["id"])}
    capa = await _under_analysis(work, ncr)
    if capa is not None:
        again = f"又发生一次 / it happened again: {ncr['number']}"
        await work.update("capa", capa, {"origins": {"add": [origin]}}, again)
    else:
        item, defect = await work.record("item", ncr["item"]), await work.record("reason_code", ncr["defect"])
        owner = ncr["investigated_by"] or ncr["verified_by"]
        if owner is None:
            raise Refused("须写明 CAPA 负责人", "it must be known who owns the CAPA")
        values = {
            "site": ncr["site"],
            "subject": f"{ncr['number']} {item['name']} {defect['code']}",
            "kind": "corrective",
            "origins": [origin],
            "responsible": owner,
            "criterion": "90 天或三批内不再发生 / not again in 90 days or three lots",
        }
        capa = await work.create("capa", values)
    await work.update("nonconformance", ncr["id"], {"capa": capa})


async def _under_analysis(work: Work, ncr: Row) -> UUID | None:
    ways = [{"item": ncr["item"]}, *([{"supplier": ncr["supplier"]}] if ncr["supplier"] is not None else [])]
    for way in ways:
        for other in await work.find("nonconformance", site=ncr["site"], defect=ncr["defect"], **way):
            found: UUID | None = other["capa"]
            if found is not None and (await work.record("capa", found))["state"] in ("open", "analysis"):
                return found
    return None
