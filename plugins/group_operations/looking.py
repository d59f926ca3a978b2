"""What is looked up for people when a record comes in: the device of a UDI, duplicates, the code of a new record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from clew.expressions.element_strings import read
from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Within, Work

_SAME_TROUBLE = timedelta(days=90)
_KEYS = {
    "item": "item_no", "supplier": "supplier_no", "customer": "customer_no", "equipment": "asset_no",
    "location": "code", "udi_device": "di", "unit": "code", "reason_code": "code",
}  # fmt: skip
_BY_RULE = ("item", "supplier", "customer")
"""Master data whose code a coding rule makes when the record is opened."""
_NAMED = ("item", "supplier", "customer", "equipment")


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


async def find_duplicates(work: Work) -> None:
    """Write on a request for master data what is there already under the name it asks for."""
    request = await work.record()
    entity = request["entity_name"]
    if request["kind"] != "create" or entity not in _NAMED:
        return
    wanted = {str(request["subject"]).strip()}
    proposed = request["proposed"] or {}
    if isinstance(proposed, dict) and isinstance(proposed.get("name"), str):
        wanted.add(proposed["name"].strip())
    found = [
        f"{each[_KEYS[entity]]} {each['name']}"
        for name in sorted(wanted)
        for each in await work.find(entity, name=name)
    ]
    text = "\n".join(found) or "未发现同名记录 / nothing of that name"
    await work.update("master_data_request", request["id"], {"duplicates_found": text})


async def take_code(work: Work) -> None:
    """The code of what a request is about: the one a coding rule gave its record when that was opened, or a code that
    is not in use. Raises Refused."""
    request = await work.record()
    entity, opened = request["entity_name"], request["result"]
    key = _KEYS[entity]
    if isinstance(opened, AnyRef):
        if opened.entity != entity:
            raise Refused("所建记录不属于所申请的对象", "the record is of another kind than was asked for")
        code = str((await work.record(entity, opened.id))[key])
    else:
        code = str(request["assigned_code"] or "")
        if entity in _BY_RULE or not code:
            raise Refused("请先建立草稿记录,编码由编码规则给出", "open its draft first: the coding rule gives the code")
        if await work.find(entity, **{key: code}):
            raise Refused(f"编码 {code} 已被使用", f"the code {code} is in use")
    if request["assigned_code"] != code:
        await work.update("master_data_request", request["id"], {"assigned_code": code})
