"""What is looked up for people when a complaint comes in: the device of its UDI, and complaints about the same one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from clew.expressions.element_strings import read
from clew.sdk import Row, Within, Work

_SAME_TROUBLE = timedelta(days=90)


async def read_device(work: Work) -> None:
    """Read the UDI of a complaint: the product, lot and unit it names, where nobody has given them; and the complaints
    of the last three months about the same lot or unit."""
    complaint = await work.record()
    values = await _device(work, complaint) if complaint["udi"] else {}
    lot, serial = values.get("lot", complaint["lot"]), values.get("serial", complaint["serial"])
    since = Within(complaint["received_on"] - _SAME_TROUBLE, complaint["received_on"] + timedelta(days=1))
    same: dict[UUID, Row] = {}
    for field, value in (("serial", serial), ("lot", lot)):
        if value is not None:
            same |= {each["id"]: each for each in await work.find("complaint", received_on=since, **{field: value})}
    same.pop(complaint["id"], None)
    if same:
        values["possible_duplicates"] = sorted(same, key=str)
    if values:
        await work.update("complaint", complaint["id"], values)


async def _device(work: Work, complaint: Row) -> dict[str, Any]:
    """What the UDI names and the complaint does not."""
    said = read(str(complaint["udi"]), work.today)
    # Of a carrier that was copied wrongly nothing is taken: people ask again.
    given = {} if said.faults else {each.ai: each.value for each in said.elements}
    devices = await work.find("udi_device", di=given.get("01", complaint["udi"]))
    if not devices:
        return {}
    device = devices[0]
    found: dict[str, Any] = {"item": device["item"]}
    if "10" in given:
        for lot in await work.find("lot", item=device["item"], lot_no=given["10"]):
            found["lot"] = lot["id"]
    if "21" in given:
        for unit in await work.find("serial_unit", di=device["id"], serial=given["21"]):
            found["serial"] = unit["id"]
            found.setdefault("lot", unit["lot"])
    if complaint["item"] not in (None, device["item"]):
        return {}
    return {name: value for name, value in found.items() if complaint[name] is None and value is not None}
