"""How the house is run: positions, appointments, permissions, requests for master data, seals, archives, agreements."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.people import DEPARTMENTS, SITES
from demo_group.world import Values, World

HEADS = {
    "rd": "project_manager",
    "ra": "ra_manager",
    "qa": "qa_manager",
    "qc": "qc_inspector",
    "prod": "production_supervisor",
    "process": "process_engineer",
    "plan": "planner",
    "purchase": "buyer",
    "wh": "warehouse",
    "sales": "sales",
    "service": "service_engineer",
    "finance": "finance",
    "it": "sys_admin",
}
PROCESS_OWNERS = {
    "P0": "data_steward",
    "P1": "change_coordinator",
    "P2": "project_manager",
    "P3": "buyer",
    "P4": "production_supervisor",
    "P5": "quality_engineer",
    "P6": "ra_manager",
    "P7": "service_engineer",
    "P8": "sales",
    "P9": "management_representative",
}
PERMISSIONS = {
    "authorised_releaser": ("release_decision.decide", "product_certificate.sign"),
    "qc_inspector": ("inspection_result.create", "inspection_lot.judge"),
    "doc_controller": ("document_revision.release",),
    "warehouse": ("inventory_movement.create", "goods_receipt.create"),
}


async def offices(world: World) -> None:
    """Needs people, sites and items."""
    for code in SITES:
        _positions(world, code)
        _archive(world, code)
    _appointments(world)
    _permissions(world)
    agreement = _agreement(world)
    _requests(world)
    _seals(world, agreement)


def _positions(world: World, code: str) -> None:
    top = _position(world, code, "GM", "qa", "management_representative", None)
    for function in DEPARTMENTS:
        _position(world, code, function.upper(), function, HEADS[function], top)


def _position(world: World, code: str, short: str, function: str, job: str, above: UUID | None) -> UUID:
    at = world.ago(409)
    zh, en = DEPARTMENTS[function]
    german = code == "TUT"
    title = ("Plant manager" if german else "总经理") if above is None else f"Head of {en}" if german else f"{zh}经理"
    position = world.add(
        "position",
        at,
        code=f"{code}-{short}",
        department=world.ids["department", f"{code}:{function}"],
        title=title,
        reports_to=above,
        required_courses=[world.ids["training_course", "GMP"]],
    )
    holder = world.people[code, job][0]
    world.add("position_holders", at, owner=position, employee=holder, valid_from=at.date())
    return position


def _appointments(world: World) -> None:
    at = world.ago(408)
    for process, job in PROCESS_OWNERS.items():
        owner: Values = {"kind": "process_owner", "subject_process": process, "employee": world.person("SUZ", job)}
        world.add("appointment", at, to="active", valid_from=at.date(), letter=world.file("任命书.pdf"), **owner)
    for entity in ("item", "supplier", "customer", "equipment"):
        steward: Values = {"kind": "data_steward", "subject_entity": entity}
        person = world.person("SUZ", "data_steward")
        world.add("appointment", at, to="active", valid_from=at.date(), employee=person, **steward)
    for code, site in world.sites.items():
        person = world.person(code, "management_representative")
        there: Values = {"kind": "management_representative", "site": site, "employee": person}
        world.add("appointment", at, to="active", valid_from=at.date(), **there)


def _permissions(world: World) -> None:
    for job, permissions in PERMISSIONS.items():
        for permission in permissions:
            role = world.ids["role", job]
            world.add("role_permissions", world.ago(407), owner=role, permission=permission)


def _archive(world: World, code: str) -> None:
    for year in (1, 2):
        first = world.day(365 * (year + 1))
        world.add(
            "archive_box",
            world.ago(380 - year),
            site=world.sites[code],
            archive_no=f"{code}-{first.year}-{year:03d}",
            subject="批生产记录",
            period_from=first,
            period_to=world.day(400),
            retention_years=15,
            archived_on=world.day(380),
            location=world.places[code, "finished"],
            shelf=f"A-{year:02d}",
            keeper=world.person(code, "doc_controller"),
        )


def _agreement(world: World) -> UUID:
    at = world.ago(350)
    items = [identity for identity, values in world.known["item"] if values["family"] == "IV"]
    return world.add(
        "contract_manufacturing_agreement",
        at,
        to="active",
        within=6,
        registrant=world.ids["legal_entity", "CN"],
        manufacturer=world.ids["legal_entity", "CN2"],
        items=items,
        duties="受托方负责生产、检验与批记录;注册人负责上市放行与不良事件。",
        file=world.file("委托生产质量协议.pdf"),
        valid_from=at.date(),
        valid_to=world.day(-700),
    )


def _requests(world: World) -> None:
    requester = world.person("SUZ", "rd_engineer")
    item, values = world.known["item"][0]
    supplier = world.known["supplier"][0][0]
    told: tuple[tuple[str | None, Values], ...] = (
        (
            "published",
            {
                "kind": "create",
                "entity_name": "item",
                "subject": "新增物料",
                "assigned_code": values["item_no"],
                "result": AnyRef("item", item),
                "proposed": {"name": values["name"]},
            },
        ),
        ("approved", {"kind": "change", "entity_name": "supplier", "subject": "更改供应商地址"}),
        ("reviewing", {"kind": "create", "entity_name": "reason_code", "subject": "新增缺陷代码"}),
        (None, {"kind": "create", "entity_name": "customer", "subject": "新增客户"}),
    )
    for number, (state, more) in enumerate(told):
        at = world.ago(300 - number * 70)
        if more["kind"] == "change":
            more["existing"] = AnyRef("supplier", supplier)
        common: Values = {"reason": "业务需要", "requester": requester, "duplicates_searched": True}
        request = world.add("master_data_request", at, to=state, within=9, **common, **more)
        done = state in ("approved", "published")
        for department, job in (("quality", "quality_engineer"), ("finance", "finance")):
            part: Values = {"department": department, "done": done}
            by = world.person("SUZ", job) if done else None
            world.add("master_data_request_contributions", at, owner=request, by=by, **part)


def _seals(world: World, agreement: UUID) -> None:
    papers: tuple[tuple[str, str, str | None, AnyRef | None], ...] = (
        ("委托生产协议用印", "contract", "sealed", AnyRef("contract_manufacturing_agreement", agreement)),
        ("注册申报承诺书用印", "company", "approved", None),
        ("质量协议用印", "quality", None, None),
    )
    for number, (subject, seal, state, about) in enumerate(papers):
        at = world.ago(348 - number * 100)
        world.add(
            "seal_request",
            at,
            to=state,
            within=2,
            legal_entity=world.ids["legal_entity", "CN"],
            seal=seal,
            subject=subject,
            about=about,
            copies=2,
            requester=world.person("SUZ", "ra_specialist"),
            approver=world.person("SUZ", "qa_manager") if state else None,
            sealed_at=at + timedelta(days=2) if state == "sealed" else None,
            sealed_by=world.person("SUZ", "doc_controller") if state == "sealed" else None,
            file=world.file("待用印文件.pdf"),
        )
