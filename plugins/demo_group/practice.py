"""What newcomers try the processes on (docs/processes.md): a pump of one operation, its steel, a supplier and a
customer. Their numbers begin with TRY, and no chapter of the story speaks of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group import products
from demo_group.families import COMPANY, Family, Introduction
from demo_group.world import Values, World, expiry, gtin14, social_credit_code

SITE = "SUZ"
SHELF_DAYS = 365
PUMP = Family(
    "TRY", SITE, "练习用输液泵", "Infusion pump for practice", ("II", "IIa", "II"), ("CN",), False, False, False, "lot",
    SHELF_DAYS, (), (),
)  # fmt: skip
STEEL_LOTS = {"TRY-GOOD": 500, "TRY-SCRATCHED": 20, "TRY-CRACKED": 20, "TRY-URGENT": 20}
"""Released lots of steel and how much of each lies in the store: one for each example that spoils it."""
PUMP_LOTS = {"TRY-STOCK": (10, 60), "TRY-SOLD": (5, 90)}
"""Released lots of pumps: how many, and how many days ago they were made. Of the second nothing is left."""


@dataclass(frozen=True, slots=True)
class Practice:
    """What the records of the corner share."""

    steel: UUID
    pump: UUID
    bom: UUID
    routing: UUID


async def practice(world: World) -> None:
    """Needs the organisation."""
    change = products.introduction(world, PUMP, 395)
    products.paper(world, change, PUMP, "label_art", "练习用输液泵标签")
    made = _designed(world, change)
    plan, check = _methods(world, change, made)
    _market(world, change, made)
    _bought(world, made)
    customer = world.add(
        "customer", world.ago(370), to="qualified", within=5, customer_no="TRY-CUSTOMER", name="练习医院",
        kind="hospital", market="CN", uscc=social_credit_code("91320500MA9TRY001"), licence_no="TRY-1",
        licence_scope=("II", "III"), licence_expires=world.day(-600),
    )  # fmt: skip
    _stocked(world, made, plan, check, customer)


def _designed(world: World, change: Introduction) -> Practice:
    """The items, the structure and the routing, released under the change that lists them."""
    at, place = world.ago(390), world.sites[SITE]
    steel = products.material(world, PUMP, change, "练习用钢管", "raw", "pcs", "B", number="TRY-STEEL")
    pump = products.material(world, PUMP, change, "练习用输液泵", "finished", "pcs", "B", number="TRY-PUMP")
    bom, _ = products.structure(world, PUMP, change, pump, [(steel, Decimal(2), True)])
    routing = world.add(
        "routing", at, to="released", within=5, site=place, item=pump, rev="A", bom=bom, change_order=change.order,
        effective_from=world.day(389),
    )  # fmt: skip
    plain: Values = {"special_process": False, "second_person": False}
    world.add("operation", at, owner=routing, seq=10, name="组装", work_center="TRY", **plain)
    change.lists("routing", routing, "A")
    return Practice(steel, pump, bom, routing)


def _methods(world: World, change: Introduction, made: Practice) -> tuple[UUID, UUID]:
    """How steel and pumps are inspected, and what is required of a pump; the pump's plan and what it looks at."""
    at = world.ago(390)
    for number, item, stage, name, check in (
        ("TRY-IQC", made.steel, "IQC", "练习用钢管进货检验", "外观"),
        ("TRY-FQC", made.pump, "FQC", "练习用输液泵成品检验", "流量"),
    ):
        plan = world.add(
            "inspection_plan", at, to="effective", within=5, number=number, rev="A", name=name, item=item, stage=stage,
            sampling="c0", change_order=change.order, effective_from=world.day(389),
        )  # fmt: skip
        look: Values = {"seq": 10, "name": check, "kind": "attribute", "severity": "major"}
        characteristic = world.add("inspection_characteristic", at, owner=plan, **look)
        change.lists("inspection_plan", plan, "A")
    requirement = world.add(
        "technical_requirement", at, to="effective", within=5, number="TRY-REQUIREMENT", revision="A", item=made.pump,
        change_order=change.order, effective_from=world.day(389),
    )  # fmt: skip
    clause: Values = {"clause": "2.1", "requirement": "流量误差不超过 5%", "method": "称重"}
    world.add("technical_requirement_clauses", at, owner=requirement, **clause)
    change.lists("technical_requirement", requirement, "A")
    return plan, characteristic


def _market(world: World, change: Introduction, made: Practice) -> None:
    """Identified and registered for China."""
    world.add(
        "udi_device", world.ago(380), to="published", within=15, issuer="GS1", di=gtin14(0, COMPANY, 99_999),
        item=made.pump, package_level="unit", qty=1, market="CN", db_status="published", published_at=world.ago(360),
        pi_flags=("exp", "lot", "mfg"),
    )  # fmt: skip
    world.add(
        "registration", world.ago(375), to="active", within=2, number="TRY-REGISTRATION", authority="NMPA",
        kind="NMPA_reg", holder=world.ids["legal_entity", "CN"], items=[made.pump], sites=[world.sites[SITE]],
        risk_classes=("II",), issued_on=world.day(500), expires_on=world.day(-1300), file=world.file("注册证.pdf"),
    )  # fmt: skip


def _bought(world: World, made: Practice) -> None:
    """A supplier of steel, and lots of it in the store."""
    place = world.sites[SITE]
    supplier = world.add(
        "supplier", world.ago(412), to="approved", within=8, supplier_no="TRY-SUPPLIER", name="练习钢材有限公司",
        country="CN", uscc=social_credit_code("91320500MA9TRY002"), kind="material", risk_class="B",
    )  # fmt: skip
    world.add(
        "supplier_approval", world.ago(388), to="active", site=place, supplier=supplier, item=made.steel, basis="audit",
        valid_to=world.day(-500),
    )  # fmt: skip
    for lot_no, amount in STEEL_LOTS.items():
        at, qty = world.ago(100), Decimal(amount)
        lot = world.add(
            "lot", at, to="released", within=3, site=place, item=made.steel, lot_no=lot_no, source="purchase",
            supplier=supplier, supplier_lot=f"H-{lot_no}", mfg_on=world.day(120), initial_qty=qty,
        )  # fmt: skip
        keeper = world.person(SITE, "warehouse")
        world.move(SITE, at, "receipt", made.steel, qty, lot=lot, target=("raw", "released"), by=keeper)


def _stocked(world: World, made: Practice, plan: UUID, check: UUID, customer: UUID) -> None:
    """Pumps that have been made, inspected, recorded and released."""
    place = world.sites[SITE]
    for lot_no, (amount, days) in PUMP_LOTS.items():
        at, qty, made_on = world.ago(days), Decimal(amount), world.day(days)
        order = world.add(
            "work_order", at, to="closed", within=5, site=place, item=made.pump, bom=made.bom, routing=made.routing,
            qty=qty, due=world.day(days - 6), kind="normal", contracted=False, maker_file_ok=False, good_qty=qty,
            scrap_qty=Decimal(0), supervisor=world.person(SITE, "production_supervisor"),
        )  # fmt: skip
        lot = world.add(
            "lot", at, to="released", within=6, site=place, item=made.pump, lot_no=lot_no, source="production",
            work_order=order, mfg_on=made_on, exp_on=expiry(made_on, SHELF_DAYS), initial_qty=qty,
        )  # fmt: skip
        _accepted(world, made, plan, check, order, lot, at + timedelta(days=5), qty)
        for kind, market in (("production", None), ("market", "CN")):
            decided = at + timedelta(days=6)
            decision = world.add(
                "release_decision", decided, to="decided", within=0.3, site=place, lot=lot, kind=kind, market=market,
                work_order=order, outcome="release", maker_file_reviewed=False, decided_at=decided,
                decided_by=world.person(SITE, "authorised_releaser"),
            )  # fmt: skip
            world.add("release_decision_checklist", decided, owner=decision, item="批记录审核通过", ok=True)
        keeper, doc = world.person(SITE, "warehouse"), AnyRef("work_order", order)
        when, shelf = at + timedelta(days=7), ("finished", "released")
        world.move(SITE, when, "receipt", made.pump, qty, lot=lot, target=shelf, by=keeper, doc=doc)
        if lot_no == "TRY-SOLD":
            sent = _sold(world, made, lot, qty, customer, when + timedelta(days=9))
            gone, doc = when + timedelta(days=9, hours=8), AnyRef("shipment", sent)
            world.move(SITE, gone, "ship", made.pump, qty, lot=lot, source=shelf, by=keeper, doc=doc)


def _sold(world: World, made: Practice, lot: UUID, qty: Decimal, customer: UUID, at: datetime) -> UUID:
    """An order of all of a lot, reviewed, shipped and delivered. The shipment."""
    place, (picker, reviewer) = world.sites[SITE], world.people[SITE, "warehouse"][:2]
    order = world.add(
        "sales_order", at, to="closed", within=2, site=place, customer=customer, market="CN", ordered_on=at.date(),
        currency="CNY", ship_to="医院库房",
    )  # fmt: skip
    wanted: Values = {"line": 10, "item": made.pump, "qty": qty}
    line = world.add(
        "sales_order_line", at, owner=order, due=at.date() + timedelta(days=10), price=Decimal(5200), **wanted
    )
    packed = at + timedelta(hours=6)
    shipment = world.add(
        "shipment", packed, to="delivered", within=1, site=place, sales_order=order, carrier="顺丰医药",
        waybill="TRY-1", shipped_at=at + timedelta(hours=8), delivered_at=at + timedelta(hours=30),
    )  # fmt: skip
    world.add("shipment_line", packed, owner=shipment, order_line=line, lot=lot, **wanted)
    review = world.add(
        "delivery_review", packed, to="reviewed", within=0.05, site=place, shipment=shipment, reviewer=reviewer,
        picked_by=picker, result="pass", note=world.file("随货同行单.pdf"),
    )  # fmt: skip
    right: Values = dict.fromkeys(("lot_ok", "label_ok", "package_ok", "papers_ok"), True)
    world.add("delivery_review_checks", packed, owner=review, lot=lot, qty=qty, **right)
    return shipment


def _accepted(
    world: World, made: Practice, plan: UUID, check: UUID, order: UUID, lot: UUID, at: datetime, qty: Decimal
) -> None:
    """The inspection and the history record of a lot of pumps."""
    place, inspector, doc = world.sites[SITE], world.person(SITE, "qc_inspector"), AnyRef("work_order", order)
    judged = at + timedelta(hours=4)
    passed: Values = {"pass": True}
    inspection = world.add(
        "inspection_lot", at, to="closed", within=0.5, site=place, lot=lot, plan=plan, source=doc, lot_size=int(qty),
        severity="normal", n=1, ac=0, re=1, nonconforming=0, judgement="accept", judged_by=inspector, judged_at=judged,
    )  # fmt: skip
    world.add(
        "inspection_result", at + timedelta(hours=3), site=place, inspection_lot=inspection, characteristic=check,
        sample=1, version=1, source="manual", inspector=inspector, at=at + timedelta(hours=3), kind="original",
        **passed,
    )  # fmt: skip
    record = world.add(
        "edhr", at, to="accepted", within=0.5, site=place, item=made.pump, lot=lot, work_order=order,
        compiled_by=world.people[SITE, "production_supervisor"][1],
        production_reviewer=world.people[SITE, "production_supervisor"][0],
        quality_reviewer=world.person(SITE, "qa_manager"),
    )  # fmt: skip
    world.add("edhr_sections", at, owner=record, name="工序记录", complete=True)
