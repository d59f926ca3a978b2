"""Master data that is asked for: what is there already, its code, and the record as it was proposed and approved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from clew.records.values import AnyRef
from clew.sdk import Refused, Row, Work

_KEYS = {
    "item": "item_no", "supplier": "supplier_no", "customer": "customer_no", "equipment": "asset_no",
    "location": "code", "udi_device": "di", "unit": "code", "reason_code": "code",
}  # fmt: skip
_BY_RULE = ("item", "supplier", "customer")
"""Master data whose code a coding rule makes when the record is opened."""
_NAMED = ("item", "supplier", "customer", "equipment")
_REFERS = {
    "base_uom": "unit", "purchase_uom": "unit", "item": "item", "contains": "udi_device", "location": "location",
}  # fmt: skip
"""Fields that refer to other master data, which a proposal names by its code."""
_RETIRES = {
    "item": {"active": "phase_out", "phase_out": "make_obsolete"},
    "supplier": dict.fromkeys(("candidate", "evaluating", "approved", "conditional", "suspended"), "disqualify"),
    "customer": dict.fromkeys(("prospect", "qualified"), "block"),
    "equipment": dict.fromkeys(("new", "qualified", "due", "overdue", "out_of_service"), "retire"),
    "location": {"active": "close"},
    "udi_device": dict.fromkeys(("assigned", "submitted", "published"), "discontinue"),
    "unit": {"active": "retire"},
    "reason_code": {"active": "retire"},
}
"""The transition by which a record of each state goes out of use."""


async def find_duplicates(work: Work) -> None:
    """Write on a request for master data what is there already under the name it asks for."""
    request = await work.record()
    entity = request["entity_name"]
    if request["kind"] != "create" or entity not in _NAMED:
        return
    wanted = {str(request["subject"]).strip()}
    name = _proposed(request).get("name")
    if isinstance(name, str):
        wanted.add(name.strip())
    found = [
        f"{each[_KEYS[entity]]} {each['name']}"
        for name in sorted(wanted)
        for each in await work.find(entity, name=name)
    ]
    text = "\n".join(found) or "未发现同名记录 / nothing of that name"
    await work.update("master_data_request", request["id"], {"duplicates_found": text})


async def take_code(work: Work) -> None:
    """The code of what is asked for: a draft is opened from what is proposed where a coding rule gives the code, else
    the code that was given, if it is not in use. Raises Refused."""
    request = await work.record()
    entity, opened, code = request["entity_name"], request["result"], str(request["assigned_code"] or "")
    if entity in _BY_RULE:
        if code and not isinstance(opened, AnyRef):
            raise Refused("编码由编码规则给出,请勿填写", "the coding rule gives the code: leave it empty")
        values = await _values(work, request)
        if isinstance(opened, AnyRef):
            await work.update(entity, opened.id, values)
        else:
            opened = AnyRef(entity, await work.create(entity, values))
        code = str((await work.record(entity, opened.id))[_KEYS[entity]])
    elif not code:
        raise Refused("请给出编码", "give its code")
    elif await work.find(entity, **{_KEYS[entity]: code}):
        raise Refused(f"编码 {code} 已被使用", f"the code {code} is in use")
    await work.update("master_data_request", request["id"], {"assigned_code": code, "result": opened})


async def make_master_data(work: Work) -> None:
    """What was approved becomes so: the record is made, changed or goes out of use, exactly as proposed. Raises
    Refused."""
    request = await work.record()
    entity, about, reason = request["entity_name"], request["existing"], str(request["reason"])
    if request["kind"] == "create":
        made, values = request["result"], await _values(work, request)
        if isinstance(made, AnyRef):
            await work.update(entity, made.id, values, reason)
        else:
            made = AnyRef(entity, await work.create(entity, {**values, _KEYS[entity]: request["assigned_code"]}))
        if entity == "item":
            await work.move(entity, made.id, "submit", reason)
        about = made
    elif not isinstance(about, AnyRef) or about.entity != entity:
        raise Refused("已有记录不属于所申请的对象", "the existing record is of another kind than was asked for")
    elif request["kind"] == "change":
        values = await _values(work, request)
        if not values:
            raise Refused("未写明要更改的字段", "nothing is proposed to be changed")
        await work.update(entity, about.id, values, reason)
    else:
        state = (await work.record(entity, about.id))["state"]
        if state not in _RETIRES[entity]:
            raise Refused(f"状态为 {state} 的记录不能停用", f"a record in state {state} cannot go out of use")
        await work.move(entity, about.id, _RETIRES[entity][state], reason)
    await work.update("master_data_request", request["id"], {"result": about})


async def drop_draft(work: Work) -> None:
    """The draft that was opened for a request which is refused is declared void."""
    request = await work.record()
    opened = request["result"]
    if request["kind"] == "create" and isinstance(opened, AnyRef):
        await work.void(opened.entity, opened.id, f"申请未批准 / not approved: {request['number']}")


def _proposed(request: Row) -> Mapping[str, Any]:
    given = request["proposed"]
    return given if isinstance(given, dict) else {}


async def _values(work: Work, request: Row) -> dict[str, Any]:
    """What is proposed, with the records it names by their codes. Raises Refused for a code nobody knows."""
    found = dict(_proposed(request))
    found.pop(_KEYS[request["entity_name"]], None)
    for field, entity in _REFERS.items():
        if isinstance(found.get(field), str):
            found[field] = await _named(work, field, entity, found[field])
    return found


async def _named(work: Work, field: str, entity: str, code: str) -> UUID:
    rows = await work.find(entity, **{_KEYS[entity]: code})
    if len(rows) != 1:
        raise Refused(f"{field}:没有唯一的 {code}", f"{field}: there is not one {code}")
    found: UUID = rows[0]["id"]
    return found
