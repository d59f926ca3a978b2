"""The pack's own roles at work on the pack's own records, through commands and the API, on both databases."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID, uuid5

import pytest
from tests.integration.pack_world import pack_plant
from tests.integration.uploaded_file import uploaded
from tests.integration.write_journey import AnySigner, Plant

from clew.access.deciding import Deciding
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context, Person, Scope
from clew.kernel.errors import ClewError, Forbidden, NotFound
from clew.kernel.ids import uuid7
from clew.records.commands import Call, Commands
from clew.records.duties import Duties
from clew.records.errors import SeparationOfDuties
from clew.runtime import OPERATOR
from clew.storage.blobs import Blobs
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

NAMESPACE = UUID("0190c000-0000-7000-8000-0000000000aa")


class House:
    """The small plant with the pack's policies in force. `call` is somebody who holds roles there."""

    def __init__(self, made: Plant, blobs: Blobs) -> None:
        assert made.blueprint.policies is not None
        self.plant, self.ids = made, made.ids
        self.commands = Commands(
            made.database, made.blueprint, made.tables, release="test",
            participants=(Duties(made.blueprint.policies, (OPERATOR.id,)),), signer=AnySigner(), blobs=blobs,
        )  # fmt: skip
        self.deciding = Deciding(made.blueprint, OPERATOR.id)
        self.engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock())

    def call(
        self, *roles: str, name: str = "li", site: str = "site", party: str | None = None, reason: str | None = None
    ) -> Call:
        sites = (self.ids[site],)
        person = Person(
            uuid5(NAMESPACE, name),
            login=name,
            name=name,
            roles=roles,
            sites=sites,
            site=sites[0],
            employee=self.ids[name] if party is None else None,
            party=self.ids[party] if party else None,
            scopes=dict.fromkeys(roles, Scope(sites if party is None else None, None)),
        )
        context = Context(person, "req-1", channel="test")
        return Call(context, self.deciding(context), reason)

    async def ask(self, call: Call, document: str, **variables: Any) -> dict[str, Any]:
        question = Question(document, None, variables, None)
        answer = await self.engine.execute(question, Caller(call.context, call.decision))
        found: dict[str, Any] = json.loads(answer.body)
        return found

    async def data(self, call: Call, document: str, **variables: Any) -> Any:
        found = await self.ask(call, document, **variables)
        assert "errors" not in found, found
        return found["data"]

    async def version(self, entity: str, name: str) -> int:
        return int((await self.plant.current(entity))[self.ids[name]]["row_version"])

    async def add(self, name: str, entity: str, /, **values: Any) -> UUID:
        """As the owner of the machine: what the story needs to be there."""
        made = await self.commands.create(self.plant.call, entity, values)
        self.ids[name] = made.id
        return made.id


@pytest.fixture
async def house(database: TestDatabase) -> AsyncIterator[House]:
    plant = await pack_plant(database)
    yield House(plant, await uploaded(plant.database))
    await plant.database.close()


async def refused(action: Any, *kinds: type[ClewError]) -> None:
    with pytest.raises(kinds or (Forbidden, NotFound)):
        await action


# ── quality control ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_inspector_inspects_and_does_not_release(house: House) -> None:
    inspector = house.call("qc_inspector", reason="试验")
    lot = await house.add(
        "tested", "inspection_lot", site=house.ids["site"], lot=house.ids["new"], plan=house.ids["plan"],
        lot_size=10, severity="normal", n=2, ac=0, re=1,
    )  # fmt: skip
    await house.commands.transition(inspector, "inspection_lot", lot, "start", 1)
    reading = {"site": house.ids["site"], "inspection_lot": lot, "characteristic": house.ids["diameter"]}
    await house.commands.create(
        inspector, "inspection_result", {**reading, "sample": 1, "value": "5.00", "inspector": house.ids["li"]}
    )
    # Nor in somebody else's name.
    others = {**reading, "sample": 2, "value": "5.00", "inspector": house.ids["zhao"]}
    await refused(house.commands.create(inspector, "inspection_result", others), Forbidden)
    decision = {"site": house.ids["site"], "lot": house.ids["new"], "kind": "incoming", "checklist": []}
    await refused(house.commands.create(inspector, "release_decision", decision), Forbidden)
    version = await house.version("lot", "new")
    for move in ("release", "release_conditionally"):
        await refused(house.commands.transition(inspector, "lot", house.ids["new"], move, version), Forbidden)
    await house.commands.transition(inspector, "lot", house.ids["new"], "block", version)


async def test_who_holds_both_roles_does_not_release_either(house: House) -> None:
    both = house.call("qc_inspector", "authorised_releaser")
    decision = {"site": house.ids["site"], "lot": house.ids["new"], "kind": "incoming", "checklist": []}
    await refused(house.commands.create(both, "release_decision", decision), Forbidden)


async def test_a_releaser_releases_in_their_own_name(house: House) -> None:
    releaser = house.call("authorised_releaser")
    decision = {"site": house.ids["site"], "lot": house.ids["new"], "kind": "incoming", "outcome": "reject"}
    mine = await house.commands.create(releaser, "release_decision", {**decision, "decided_by": house.ids["li"]})
    await house.commands.transition(releaser, "release_decision", mine.id, "decide", 1)
    theirs = await house.add("theirs", "release_decision", **{**decision, "decided_by": house.ids["zhao"]})
    await refused(house.commands.transition(releaser, "release_decision", theirs, "decide", 1), Forbidden)


async def test_what_one_has_done_excludes_what_another_must_do(house: House) -> None:
    """Whatever role is held by then: yesterday's inspector does not release that lot, a requester does not approve."""
    lot = await house.add(
        "tested", "inspection_lot", site=house.ids["site"], lot=house.ids["new"], plan=house.ids["plan"],
        lot_size=10, severity="normal", n=2, ac=0, re=1,
    )  # fmt: skip
    inspector = house.call("qc_inspector")
    await house.commands.transition(inspector, "inspection_lot", lot, "start", 1)
    reading = {
        "site": house.ids["site"], "inspection_lot": lot, "characteristic": house.ids["diameter"], "sample": 1,
        "value": "5.00", "inspector": house.ids["li"],
    }  # fmt: skip
    await house.commands.create(inspector, "inspection_result", reading)
    decision = {"site": house.ids["site"], "lot": house.ids["new"], "kind": "incoming", "outcome": "reject"}
    for name, may in (("li", False), ("zhao", True)):
        releaser = house.call("authorised_releaser", name=name)
        made = await house.commands.create(releaser, "release_decision", {**decision, "decided_by": house.ids[name]})
        deciding = house.commands.transition(releaser, "release_decision", made.id, "decide", 1)
        if may:
            await deciding
        else:
            await refused(deciding, SeparationOfDuties)

    wanted = {
        "site": house.ids["site"], "item": house.ids["steel"], "qty": "5", "need_by": "2027-01-01",
        "requester": house.ids["li"], "est_amount": {"amount": "100.00", "currency": "CNY"},
    }  # fmt: skip
    requester = house.call("employee")
    asked = await house.commands.create(requester, "purchase_requisition", wanted)
    sent = await house.commands.transition(requester, "purchase_requisition", asked.id, "submit", asked.row_version)
    for name, may in (("li", False), ("zhao", True)):
        version = await house.version("department", "department")
        appointed = {"manager": house.ids[name]}
        await house.commands.update(house.call("hr"), "department", house.ids["department"], version, appointed)
        head = house.call("department_head", name=name)
        approving = house.commands.transition(head, "purchase_requisition", asked.id, "approve", sent.row_version)
        if may:
            await approving
        else:
            await refused(approving, SeparationOfDuties)


async def test_a_releaser_of_another_site_sees_nothing_of_this_one(house: House) -> None:
    await house.add(
        "elsewhere", "site", code="TUT", name="Tuttlingen", legal_entity=house.ids["legal"], country="DE",
        tz="Europe/Berlin",
    )  # fmt: skip
    releaser = house.call("authorised_releaser", site="elsewhere", reason="试验")
    document = (
        "query($id: ID!) { lots { totalCount nodes { id } } lot(id: $id) { lotNo } nonconformances { totalCount } }"
    )
    found = await house.data(releaser, document, id=str(house.ids["good"]))
    assert found == {"lots": {"totalCount": 0, "nodes": []}, "lot": None, "nonconformances": {"totalCount": 0}}
    await refused(house.commands.transition(releaser, "lot", house.ids["new"], "reject", 1), NotFound)
    here = await house.data(house.call("authorised_releaser"), document, id=str(house.ids["good"]))
    assert here["lots"]["totalCount"] > 4
    assert here["lot"] == {"lotNo": "L-GOOD"}


# ── the shop floor ────────────────────────────────────────────────────────────────────────────────────────────────────

HIDDEN_FROM_THE_FLOOR = (
    ("purchaseOrderLines { nodes { id price } }", "purchaseOrderLines { nodes { id prize } }"),
    ("purchaseOrderLines(where: {price: {gt: 1}}) { totalCount }",
     "purchaseOrderLines(where: {prize: {gt: 1}}) { totalCount }"),
    ("purchaseOrderLines(orderBy: [{price: ASC}]) { totalCount }",
     "purchaseOrderLines(orderBy: [{prize: ASC}]) { totalCount }"),
    ("items { nodes { perSite { nodes { cost } } } }", "items { nodes { perSite { nodes { lost } } } }"),
    ("serialUnits { nodes { patient } }", "serialUnits { nodes { patent } }"),
)  # fmt: skip


async def test_for_quality_control_a_price_does_not_exist(house: House) -> None:
    """The same error as for a field that nobody ever declared."""
    inspector = house.call("qc_inspector")
    for pair in HIDDEN_FROM_THE_FLOOR:
        answers = [await house.ask(inspector, f"{{ {each} }}") for each in pair]
        codes = [[error["extensions"]["code"] for error in each["errors"]] for each in answers]
        assert codes[0] == codes[1], answers
        assert all(each.get("data") is None for each in answers)


async def test_an_operator_knows_no_orders_and_no_costs(house: House) -> None:
    operator = house.call("operator")
    for document in ("{ purchaseOrders { totalCount } }", "{ items { nodes { perSite { nodes { cost } } } } }"):
        assert "errors" in await house.ask(operator, document), document
    found = await house.data(operator, "{ items { totalCount } workOrders { nodes { number } } }")
    assert found == {"items": {"totalCount": 2}, "workOrders": {"nodes": [{"number": "WO-SUZ-2026-000001"}]}}


async def test_an_operator_finishes_their_own_operation_only(house: House) -> None:
    mine = house.call("operator", reason="完成")
    theirs = house.call("operator", name="zhao", reason="复核")
    execution = house.ids["execution"]
    await refused(house.commands.update(theirs, "operation_execution", execution, 1, {"good": "9"}), Forbidden)
    written = await house.commands.update(mine, "operation_execution", execution, 1, {"good": "9"})
    await refused(
        house.commands.transition(mine, "operation_execution", execution, "witness", written.row_version), Forbidden
    )
    seen = await house.commands.transition(theirs, "operation_execution", execution, "witness", written.row_version)
    await refused(
        house.commands.transition(theirs, "operation_execution", execution, "finish", seen.row_version), Forbidden
    )
    await house.commands.transition(mine, "operation_execution", execution, "finish", seen.row_version)
    row = (await house.plant.current("operation_execution"))[execution]
    assert row["second_person"] == house.ids["zhao"]


# ── suppliers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_supplier_sees_and_confirms_its_own_orders_only(house: House) -> None:
    other = {"name": "精密注塑", "country": "DE", "kind": "component", "risk_class": "B"}
    await house.add("rival", "supplier", **other)
    order = {"site": house.ids["site"], "supplier": house.ids["rival"], "buyer": house.ids["li"]}
    await house.add("rival order", "purchase_order", **order)
    mine = house.call("supplier", party="supplier")
    rival = house.call("supplier", party="rival")
    nobody = house.call("supplier", name="zhao")

    document = """{
      purchaseOrders { nodes { number supplier { name } } } purchaseOrderLines { nodes { line } }
      suppliers { nodes { name } }
    }"""
    assert await house.data(mine, document) == {
        "purchaseOrders": {"nodes": [{"number": "PO-SUZ-2026-000001", "supplier": {"name": "精工钢材"}}]},
        "purchaseOrderLines": {"nodes": [{"line": 1}]},
        "suppliers": {"nodes": [{"name": "精工钢材"}]},
    }
    # Its own order is a draft yet, so there is nothing to see for the rival.
    assert await house.data(rival, document) == {
        "purchaseOrders": {"nodes": []},
        "purchaseOrderLines": {"nodes": []},
        "suppliers": {"nodes": [{"name": "精密注塑"}]},
    }
    assert await house.data(nobody, document) == {
        "purchaseOrders": {"nodes": []}, "purchaseOrderLines": {"nodes": []}, "suppliers": {"nodes": []},
    }  # fmt: skip
    for unknown in ("lots { totalCount }", "employees { totalCount }", "purchaseOrders { nodes { buyer { id } } }"):
        assert "errors" in await house.ask(mine, f"{{ {unknown} }}"), unknown
    line = house.ids["po_line"]
    await refused(house.commands.update(rival, "purchase_order_line", line, 1, {"promised_on": "2027-01-01"}), NotFound)
    # Confirmed already: what was promised stands.
    await refused(house.commands.update(mine, "purchase_order_line", line, 1, {"promised_on": "2027-01-01"}), Forbidden)


async def test_a_supplier_promises_a_date_and_confirms(house: House) -> None:
    ids = house.ids
    order = await house.add(
        "sent", "purchase_order", site=ids["site"], supplier=ids["supplier"], buyer=ids["li"],
        ordered_on=date(2026, 2, 1),
    )  # fmt: skip
    line = await house.add(
        "sent line", "purchase_order_line", site=ids["site"], po=order, line=1, item=ids["steel"], qty="5", price="3.50"
    )  # fmt: skip
    manager = house.plant.call
    manager = replace(manager, context=replace(manager.context, person=replace(manager.context.person, id=uuid7())))
    for move in ("approve", "send"):
        sent = await house.version("purchase_order", "sent")
        await house.commands.transition(manager, "purchase_order", order, move, sent)
    supplier = house.call("supplier", party="supplier")
    await refused(house.commands.update(supplier, "purchase_order_line", line, 1, {"price": "9.99"}), Forbidden)
    await house.commands.update(supplier, "purchase_order_line", line, 1, {"promised_on": "2026-03-01"})
    version = await house.version("purchase_order", "sent")
    await refused(house.commands.transition(supplier, "purchase_order", order, "cancel", version), Forbidden)
    await house.commands.transition(supplier, "purchase_order", order, "confirm", version)


# ── those who only look ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_auditor_reads_everything_and_writes_nothing(house: House) -> None:
    """Whatever else the auditor may be."""
    for roles in (("auditor",), ("auditor", "qa_manager", "warehouse")):
        auditor = house.call(*roles, reason="试验")
        names = "{ purchaseOrderLines { nodes { id } } complaints { totalCount } employees { nodes { printedName } } }"
        found = await house.data(auditor, names)
        assert len(found["employees"]["nodes"]) == 2
        for entity in house.plant.blueprint.entities.values():
            if entity.part_of is not None or entity.derived:
                continue
            await refused(house.commands.create(auditor, entity.name, {}), Forbidden)
            access = auditor.decision.on(entity.name)
            grants = (access.create, access.update, access.void, access.correct, *access.transitions.values())
            assert access.read.allowed, entity.name
            assert not any(each.allowed for each in grants), entity.name
        await refused(house.commands.update(auditor, "item", house.ids["pump"], 1, {"name": "泵"}), Forbidden)
        await refused(house.commands.transition(auditor, "lot", house.ids["new"], "block", 1), Forbidden)
        await refused(house.commands.void(auditor, "lot", house.ids["new"], 1), Forbidden)


async def test_a_system_administrator_has_no_business_data(house: House) -> None:
    admin = house.call("sys_admin", "employee", reason="试验")
    for entity in house.plant.blueprint.entities:
        assert not admin.decision.on(entity).read.allowed, entity
    assert "errors" in await house.ask(admin, "{ items { totalCount } }")
    await refused(house.commands.transition(admin, "lot", house.ids["new"], "block", 1), NotFound)
    assert admin.decision.signs == frozenset()


async def test_an_employee_sees_their_own_telephone_number(house: House) -> None:
    for name in ("li", "zhao"):
        employee = house.ids[name]
        await house.commands.update(house.plant.call, "employee", employee, 1, {"phone": f"1380000{name}"})
    document = "{ employees(orderBy: [{empNo: ASC}]) { nodes { empNo phone } } }"
    assert (await house.data(house.call("employee"), document))["employees"]["nodes"] == [
        {"empNo": "LI", "phone": "1380000li"},
        {"empNo": "ZHAO", "phone": None},
    ]
