"""What leaves: orders, delivery reviews, shipments and invoices to customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.making import Made
from demo_group.world import Values, World

CURRENCY = {"CN": "CNY", "EU": "EUR", "US": "USD"}


@dataclass(frozen=True, slots=True)
class Shipped:
    """What went to whom."""

    made: Made
    customer: UUID
    shipment: UUID
    udi: str
    serial: UUID | None
    qty: Decimal
    at: datetime

    @property
    def site(self) -> str:
        return self.made.product.family.site


async def sales(world: World, made: Sequence[Made], buyers: dict[str, list[UUID]]) -> list[Shipped]:
    """Orders and shipments of released lots, first expiring first; what was shipped to whom."""
    shipped: list[Shipped] = []
    queue = sorted(made, key=lambda each: each.released)
    for number in range(min(world.size.sales, len(queue) * 2)):
        lot = queue[number % len(queue)]
        family = lot.product.family
        market = family.markets[number % len(family.markets)]
        left = (
            len(lot.serials)
            if family.trace == "serial"
            else int(world.on_hand(family.site, lot.product.item, lot.lot, ("finished", "released")))
        )
        if left < 2:
            continue
        shipped.append(_ship(world, lot, market, world.pick(buyers[market]), max(1, left // 3)))
        await world.breathe()
    return shipped


def _ship(world: World, lot: Made, market: str, customer: UUID, qty: int) -> Shipped:
    family, site, item = lot.product.family, lot.product.family.site, lot.product.item
    at = min(lot.released + timedelta(days=2 + world.rng.random() * 20), world.ago(1.5))
    place = world.sites[site]
    order = world.add(
        "sales_order",
        at,
        to="closed",
        within=1,
        site=place,
        customer=customer,
        market=market,
        ordered_on=at.date(),
        currency=CURRENCY[market],
        ship_to="医院库房" if market == "CN" else "Central store",
    )
    serial = family.trace == "serial"
    amount, price = Decimal(1 if serial else qty), world.decimal(20, 9000, 4)
    wanted: Values = {"line": 10, "item": item, "qty": amount, "price": price}
    line = world.add("sales_order_line", at, owner=order, due=at.date() + timedelta(days=10), **wanted)
    unit, udi = lot.serials.pop() if serial else (None, f"01{lot.product.di[market]}10{lot.lot_no}")
    packed, left = at + timedelta(hours=6), at + timedelta(hours=8)
    shipment = world.add(
        "shipment",
        packed,
        to="delivered",
        within=1,
        site=place,
        sales_order=order,
        carrier="顺丰医药" if market == "CN" else "DHL Medical",
        waybill=f"W{world.rng.randrange(10**9):09d}",
        shipped_at=left,
        delivered_at=at + timedelta(hours=30),
    )
    goods: Values = {"lot": lot.lot, "serial": unit}
    world.add(
        "shipment_line", packed, owner=shipment, line=10, order_line=line, item=item, udi=udi, qty=amount, **goods
    )
    shipped = Shipped(lot, customer, shipment, udi, unit, amount, at)
    _review(world, shipped, packed)
    goods |= {"source": ("finished", "released"), "doc": AnyRef("shipment", shipment)}
    world.move(site, left, "ship", item, amount, by=world.person(site, "warehouse"), **goods)
    if world.rng.random() < 0.4:
        _invoice(world, shipped, market, price)
    return shipped


def _review(world: World, shipped: Shipped, at: datetime) -> None:
    """The check before the goods leave, by somebody else than who picked them."""
    picker, reviewer = world.people[shipped.site, "warehouse"][:2]
    review = world.add(
        "delivery_review",
        at,
        to="reviewed",
        within=0.05,
        site=world.sites[shipped.site],
        shipment=shipped.shipment,
        reviewer=reviewer,
        picked_by=picker,
        result="pass",
        note=world.file("随货同行单.pdf"),
    )
    right: Values = dict.fromkeys(("lot_ok", "label_ok", "package_ok", "papers_ok"), True)
    world.add("delivery_review_checks", at, owner=review, lot=shipped.made.lot, qty=shipped.qty, **right)


def _invoice(world: World, shipped: Shipped, market: str, price: Decimal) -> None:
    at = shipped.at + timedelta(hours=26)
    invoice = world.add(
        "invoice",
        at,
        to="approved",
        within=5,
        site=world.sites[shipped.site],
        direction="sales",
        invoice_no=world.number("FP", 8),
        customer=shipped.customer,
        invoiced_on=at.date(),
        due=at.date() + timedelta(days=60),
        currency=CURRENCY[market],
        match_result="matched",
        file=world.file("发票.pdf"),
    )
    world.add("invoice_lines", at, owner=invoice, shipment=shipped.shipment, qty=shipped.qty, price=price)
