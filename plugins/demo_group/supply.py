"""What comes in: suppliers and their approvals, orders, receipts, certificates, incoming inspection and release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.families import Product
from demo_group.world import Values, World, social_credit_code

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
            _approve(world, site, supplier, number)
        _score(world, supplier)
    return found


def _approve(world: World, site: str, supplier: UUID, number: int) -> None:
    """Approved for every category at a site, after the first-business check of its papers."""
    check = world.add(
        "first_business_approval",
        world.ago(409),
        to="approved",
        within=3,
        site=world.sites[site],
        supplier=supplier,
        applicant=world.person(site, "buyer"),
        opinion="资质齐全,同意首营。",
        reviewer=world.person(site, "qa_manager"),
    )
    paper: Values = {"kind": "business", "paper_no": f"YYZZ{number:06d}", "file": world.file("营业执照.pdf")}
    until = world.day(-900)
    world.add("first_business_approval_papers", world.ago(409), owner=check, expires_on=until, verified=True, **paper)
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


def _score(world: World, supplier: UUID) -> None:
    for month in range(1, 4):
        day, score = world.day(30 * month), world.decimal(78, 99, 2)
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


@dataclass(frozen=True, slots=True)
class Order:
    """One line ordered from a supplier."""

    site: str
    supplier: UUID
    item: UUID
    line: UUID
    qty: Decimal
    price: Decimal
    at: datetime


def _purchase(world: World, site: str, item: UUID, plan: tuple[UUID, UUID], supplier: UUID, days: float) -> Bought:
    """From the requisition to the released stock."""
    order = _ordered(world, site, item, supplier, world.ago(days))
    came = order.at + timedelta(days=12 + world.rng.random() * 4)
    receipt, lot = _received(world, order, came)
    doc = AnyRef("goods_receipt", receipt)
    keeper = world.person(site, "warehouse")
    first, goods = ("quarantine", "quarantine" if lot else "released"), ("raw", "released")
    world.move(site, came, "receipt", item, order.qty, lot=lot, target=first, by=keeper, doc=doc)
    if lot is not None:
        _accept(world, order, lot, plan, came, doc)
    moved: Values = {"source": first, "target": goods, "by": keeper, "doc": doc, "lot": lot}
    kind, after = ("unblock", timedelta(days=3, hours=1)) if lot else ("transfer", timedelta(days=1))
    world.move(site, came + after, kind, item, order.qty, **moved)
    if world.rng.random() < 0.3:
        _invoice(world, order, receipt, came + timedelta(days=4))
    return Bought(lot or item, item, site, order.qty)


def _ordered(world: World, site: str, item: UUID, supplier: UUID, at: datetime) -> Order:
    place, qty = world.sites[site], Decimal(world.rng.randrange(40, 90) * 1000)
    price = world.decimal(0.2, 60, 4)
    asked = at - timedelta(days=3)
    requisition = world.add(
        "purchase_requisition",
        asked,
        to="closed",
        within=20,
        site=place,
        item=item,
        qty=qty,
        need_by=(at + timedelta(days=20)).date(),
        requester=world.person(site, "planner"),
        suggested_supplier=supplier,
    )
    order = world.add(
        "purchase_order",
        at,
        to="closed",
        within=20,
        site=place,
        supplier=supplier,
        buyer=world.person(site, "buyer"),
        ordered_on=at.date(),
        currency=_currency(site),
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
        requisition=requisition,
        qty=qty,
        tolerance=Decimal("5.00"),
        price=price,
        promised_on=(at + timedelta(days=14)).date(),
        cert_required="CoC",
    )
    return Order(site, supplier, item, line, qty, price, at)


def _currency(site: str) -> str:
    return "EUR" if site == "TUT" else "CNY"


def _received(world: World, order: Order, came: datetime) -> tuple[UUID, UUID | None]:
    """The goods receipt and, for traced items, the lot."""
    place, made = world.sites[order.site], (came - timedelta(days=20)).date()
    supplier_lot = f"S{world.rng.randrange(10**7):07d}"
    lot: UUID | None = None
    if order.item not in world.untraced:
        lot = world.add(
            "lot",
            came,
            to="released",
            within=3,
            site=place,
            item=order.item,
            source="purchase",
            supplier=order.supplier,
            supplier_lot=supplier_lot,
            mfg_on=made,
            exp_on=None,
            initial_qty=order.qty,
        )
    receipt = world.add(
        "goods_receipt",
        came,
        to="accepted",
        within=3,
        site=place,
        po_line=order.line,
        received_at=came,
        received_by=world.person(order.site, "warehouse"),
        supplier_lot=supplier_lot,
        mfg_on=made,
        qty=order.qty,
        lot=lot,
        licence_checked=True,
        label_checked=True,
        delivery_note=f"DN{world.rng.randrange(10**6):06d}",
    )
    return receipt, lot


def _invoice(world: World, order: Order, receipt: UUID, at: datetime) -> None:
    invoice = world.add(
        "invoice",
        at,
        to="paid",
        within=20,
        site=world.sites[order.site],
        direction="purchase",
        invoice_no=world.number("INV", 7),
        supplier=order.supplier,
        invoiced_on=at.date(),
        due=at.date() + timedelta(days=30),
        currency=_currency(order.site),
        match_result="matched",
        file=world.file("发票.pdf"),
    )
    line: Values = {"po_line": order.line, "goods_receipt": receipt, "qty": order.qty, "price": order.price}
    world.add("invoice_lines", at, owner=invoice, **line)


def _accept(world: World, order: Order, lot: UUID, plan: tuple[UUID, UUID], came: datetime, doc: AnyRef) -> None:
    """Certificate, incoming inspection and the decision to use the lot."""
    site, place = order.site, world.sites[order.site]
    certificate = world.add(
        "material_certificate",
        came,
        to="verified",
        within=1,
        site=place,
        supplier=order.supplier,
        cert_no=world.number("MC", 7),
        kind="CoC",
        lot=lot,
        po_line=order.line,
        lot_specific=True,
        issued_on=came.date(),
        file=world.file("合格证.pdf"),
        sha256=world.sha256,
        verified_by=world.person(site, "sqe"),
    )
    value: Values = {"characteristic": "外观", "text_value": "符合"}
    world.add("material_certificate_values", came, owner=certificate, **value)
    _inspect(world, order, lot, plan, came, doc)
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
    evidence = AnyRef("material_certificate", certificate)
    checked: Values = {"item": "供应商合格证已核对", "ok": True, "evidence": evidence}
    world.add("release_decision_checklist", decided, owner=decision, **checked)


def _inspect(world: World, order: Order, lot: UUID, plan: tuple[UUID, UUID], came: datetime, doc: AnyRef) -> None:
    place, inspector = world.sites[order.site], world.person(order.site, "qc_inspector")
    inspection = world.add(
        "inspection_lot",
        came + timedelta(hours=2),
        to="closed",
        within=2,
        site=place,
        lot=lot,
        plan=plan[0],
        source=doc,
        lot_size=int(order.qty),
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
