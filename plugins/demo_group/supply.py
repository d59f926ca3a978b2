"""What comes in: suppliers and their approvals, orders, receipts, certificates, incoming inspection and release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.families import Product
from demo_group.world import World, social_credit_code

CHINESE_SUPPLIERS = (
    "宝钛精密材料",
    "华导医用导管",
    "深联电子",
    "瑞康包装",
    "恒达模具",
    "康泰高分子",
    "天目标签印刷",
    "锐针科技",
)
FOREIGN_SUPPLIERS = (("Feinmechanik Schwarz GmbH", "DE"), ("Nordic Sensors AB", "SE"), ("Alpine Power AG", "CH"))


@dataclass(slots=True)
class Bought:
    """A released purchased lot and what is left of it."""

    lot: UUID
    item: UUID
    site: str
    left: Decimal


async def suppliers(world: World) -> dict[str, list[UUID]]:
    """Approved suppliers by site."""
    found: dict[str, list[UUID]] = {"SUZ": [], "CTU": [], "TUT": []}
    named = [(name + "有限公司", "CN") for name in CHINESE_SUPPLIERS] + list(FOREIGN_SUPPLIERS)
    for number, (name, country) in enumerate(named):
        at = world.ago(412)
        chinese = country == "CN"
        supplier = world.add(
            "supplier",
            at,
            to="approved",
            within=8,
            name=name,
            country=country,
            uscc=social_credit_code(f"91320500MA1K{number:05d}") if chinese else None,
            kind="component" if number % 3 else "material",
            risk_class="B",
            address="江苏省苏州市工业园区" if chinese else "Industrieweg 12",
            contact="张经理" if chinese else "Sales desk",
        )
        world.add(
            "supplier_licences",
            at,
            owner=supplier,
            type="business",
            number=f"YYZZ{number:06d}",
            expires_on=world.day(-900),
        )
        for site in ("SUZ", "CTU") if chinese else ("TUT",):
            found[site].append(supplier)
            for category in ("raw", "component", "packaging", "label"):
                world.add(
                    "supplier_approval",
                    world.ago(405),
                    to="active",
                    site=world.sites[site],
                    supplier=supplier,
                    category=category,
                    basis="audit",
                    valid_to=world.day(-500),
                )
        for month in range(1, 4):
            day = world.day(30 * month)
            score = world.decimal(78, 99, 2)
            world.add(
                "supplier_scorecard",
                world.ago(30 * month - 2),
                to="confirmed",
                within=1,
                supplier=supplier,
                period=f"{day.year}-{day.month:02d}",
                lot_accept=world.decimal(94, 100, 2),
                ppm=world.decimal(0, 900, 1),
                on_time=world.decimal(88, 100, 2),
                open_scar=0,
                score=score,
                grade="A" if score >= 90 else "B" if score >= 80 else "C",
            )
    return found


async def incoming(
    world: World, products: Sequence[Product], vendors: dict[str, list[UUID]]
) -> dict[UUID, list[Bought]]:
    """Purchases of every part, spread over the year; released lots by item, oldest first."""
    plans = _incoming_plans(world, products)
    wanted: list[tuple[str, UUID]] = []
    for product in products:
        site = product.family.site
        wanted += [(site, part) for part, _ in product.parts] + [(site, product.pack), (site, product.label)]
    wanted = list(dict.fromkeys(wanted))
    rounds = max(2, world.size.purchases // len(wanted))
    shelf: dict[UUID, list[Bought]] = {}
    for number in range(rounds):
        days = 340 - number * (300 / rounds)
        for site, item in wanted:
            bought = _purchase(world, site, item, plans[item], world.pick(vendors[site]), days - world.rng.random() * 5)
            shelf.setdefault(item, []).append(bought)
        await world.breathe()
    return shelf


def _incoming_plans(world: World, products: Sequence[Product]) -> dict[UUID, tuple[UUID, UUID]]:
    """One incoming inspection plan per part, with its one characteristic."""
    plans: dict[UUID, tuple[UUID, UUID]] = {}
    for product in products:
        for item in [part for part, _ in product.parts] + [product.pack, product.label]:
            if item not in plans:
                at = world.ago(388)
                plan = world.add(
                    "inspection_plan",
                    at,
                    number=world.number("IQ-", 6),
                    rev="A",
                    name="进货检验",
                    item=item,
                    stage="IQC",
                    sampling="c0",
                )
                check = world.add(
                    "inspection_characteristic",
                    at,
                    owner=plan,
                    seq=10,
                    name="外观与标识",
                    kind="attribute",
                    severity="major",
                )
                plans[item] = plan, check
    return plans


def _purchase(world: World, site: str, item: UUID, plan: tuple[UUID, UUID], supplier: UUID, days: float) -> Bought:
    at, place = world.ago(days), world.sites[site]
    qty = Decimal(world.rng.randrange(40, 90) * 1000)
    buyer, keeper = world.person(site, "buyer"), world.person(site, "warehouse")
    price = world.decimal(0.2, 60, 4)
    order = world.add(
        "purchase_order",
        at,
        to="closed",
        within=20,
        site=place,
        supplier=supplier,
        buyer=buyer,
        ordered_on=at.date(),
        currency="EUR" if site == "TUT" else "CNY",
        total=(qty * price).quantize(Decimal("0.01")),
        deliver_to=world.places[site, "quarantine"],
    )
    line = world.add(
        "purchase_order_line",
        at,
        to="closed",
        within=20,
        site=place,
        po=order,
        line=10,
        item=item,
        item_rev="A",
        qty=qty,
        tolerance=Decimal("5.00"),
        price=price,
        promised_on=(at + timedelta(days=14)).date(),
        cert_required="CoC",
    )
    came = at + timedelta(days=12 + world.rng.random() * 4)
    supplier_lot = f"S{world.rng.randrange(10**7):07d}"
    made = (came - timedelta(days=20)).date()
    lot = (
        world.add(
            "lot",
            came,
            to="released",
            within=3,
            site=place,
            item=item,
            source="purchase",
            supplier=supplier,
            supplier_lot=supplier_lot,
            mfg_on=made,
            exp_on=None,
            initial_qty=qty,
        )
        if item not in world.untraced
        else None
    )
    receipt = world.add(
        "goods_receipt",
        came,
        to="accepted",
        within=3,
        site=place,
        po_line=line,
        received_at=came,
        received_by=keeper,
        supplier_lot=supplier_lot,
        mfg_on=made,
        qty=qty,
        lot=lot,
        licence_checked=True,
        label_checked=True,
        delivery_note=f"DN{world.rng.randrange(10**6):06d}",
    )
    doc = AnyRef("goods_receipt", receipt)
    first = ("quarantine", "quarantine" if lot else "released")
    world.move(site, came, "receipt", item, qty, lot=lot, target=first, by=keeper, doc=doc)
    if lot is not None:
        _accept(world, site, lot, line, supplier, plan, came, int(qty), doc)
        world.move(
            site,
            came + timedelta(days=3, hours=1),
            "unblock",
            item,
            qty,
            lot=lot,
            source=first,
            target=("raw", "released"),
            by=keeper,
            doc=doc,
        )
    else:
        world.move(
            site,
            came + timedelta(days=1),
            "transfer",
            item,
            qty,
            source=first,
            target=("raw", "released"),
            by=keeper,
            doc=doc,
        )
    return Bought(lot or item, item, site, qty)


def _accept(
    world: World,
    site: str,
    lot: UUID,
    line: UUID,
    supplier: UUID,
    plan: tuple[UUID, UUID],
    came: datetime,
    qty: int,
    doc: AnyRef,
) -> None:
    place = world.sites[site]
    certificate = world.add(
        "material_certificate",
        came,
        to="verified",
        within=1,
        site=place,
        supplier=supplier,
        cert_no=world.number("MC", 7),
        kind="CoC",
        lot=lot,
        po_line=line,
        lot_specific=True,
        issued_on=came.date(),
        file=world.file("合格证.pdf"),
        sha256=world.sha256,
        verified_by=world.person(site, "sqe"),
    )
    inspector = world.person(site, "qc_inspector")
    inspection = world.add(
        "inspection_lot",
        came + timedelta(hours=2),
        to="closed",
        within=2,
        site=place,
        lot=lot,
        plan=plan[0],
        source=doc,
        lot_size=qty,
        severity="normal",
        n=5,
        ac=0,
        re=1,
        nonconforming=0,
        judgement="accept",
        judged_by=inspector,
        judged_at=came + timedelta(days=1),
    )
    world.add(
        "inspection_result",
        came + timedelta(hours=8),
        site=place,
        inspection_lot=inspection,
        characteristic=plan[1],
        sample=1,
        version=1,
        pass_=True,
        source="manual",
        inspector=inspector,
        at=came + timedelta(hours=8),
        kind="original",
    )
    decided = came + timedelta(days=2)
    decision = world.add(
        "release_decision",
        decided,
        to="decided",
        within=0.5,
        site=place,
        lot=lot,
        kind="incoming",
        outcome="release",
        maker_file_reviewed=False,
        decided_by=world.person(site, "qa_manager"),
        decided_at=decided,
    )
    world.add(
        "release_decision_checklist",
        decided,
        owner=decision,
        item="供应商合格证已核对",
        ok=True,
        evidence=AnyRef("material_certificate", certificate),
    )


async def plain_stock(world: World, shelf: dict[UUID, list[Bought]], vendors: dict[str, list[UUID]]) -> None:
    """Further purchased lots without their papers: volume for the larger sizes."""
    items = [(bought[0].site, item) for item, bought in shelf.items() if item not in world.untraced]
    states = ("released",) * 17 + ("quarantine", "blocked", "rejected")
    for number in range(world.size.stock_lots):
        site, item = items[number % len(items)]
        at = world.ago(320 * (1 - number / world.size.stock_lots) + 10)
        qty = Decimal(world.rng.randrange(1, 500) * 10)
        state = world.pick(states)
        lot = world.add(
            "lot",
            at,
            to=None if state == "quarantine" else state,
            within=2,
            site=world.sites[site],
            item=item,
            source="purchase",
            supplier=world.pick(vendors[site]),
            supplier_lot=f"S{world.rng.randrange(10**7):07d}",
            mfg_on=(at - timedelta(days=15)).date(),
            initial_qty=qty,
        )
        place = {"released": "raw", "rejected": "rejected"}.get(state, "quarantine")
        world.move(site, at, "receipt", item, qty, lot=lot, target=(place, state), by=world.person(site, "warehouse"))
        if number % 500 == 0:
            await world.breathe()
