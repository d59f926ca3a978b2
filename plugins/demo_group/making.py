"""What is made: production orders with consumption, execution, labels, inspection, batch record, release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from clew.expressions.element_strings import VISIBLE_GS, build
from clew.records.values import AnyRef
from demo_group import release
from demo_group.families import Product
from demo_group.supply import Bought
from demo_group.world import Values, World, expiry


@dataclass(slots=True)
class Made:
    """A finished lot on the shelf."""

    lot: UUID
    lot_no: str
    product: Product
    qty: int
    exp_on: date | None
    released: datetime
    serials: list[tuple[UUID, str]]


@dataclass(frozen=True, slots=True)
class Run:
    """One production order under way."""

    product: Product
    order: UUID
    lot: UUID
    lot_no: str
    qty: int
    start: datetime
    made_on: date
    exp_on: date | None

    @property
    def site(self) -> str:
        return self.product.family.site

    @property
    def serial(self) -> bool:
        return self.product.family.trace == "serial"

    @property
    def doc(self) -> AnyRef:
        return AnyRef("work_order", self.order)


async def production(world: World, products: Sequence[Product], shelf: dict[UUID, list[Bought]]) -> list[Made]:
    """Orders over the last months: the latest are still on their way, the rest is released."""
    made: list[Made] = []
    semi_stock: dict[UUID, Bought] = {}
    for number in range(world.size.orders):
        product = products[number % len(products)]
        days = 300 * (1 - number / world.size.orders) + 2
        serial = product.family.trace == "serial"
        qty = world.rng.randrange(4, 9) if serial else world.rng.randrange(10, 40) * 10
        if not _available(product, shelf, qty):
            continue
        state = "closed" if days > 25 else world.pick(("running", "released", "completed"))
        semi = _semi_lot(world, product, shelf, qty, days)
        semi_stock[product.semi] = semi
        done = _order(world, product, shelf, semi, qty, days, state)
        if done:
            made.append(done)
        await world.breathe()
    return made


def _available(product: Product, shelf: dict[UUID, list[Bought]], qty: int) -> bool:
    lines = [
        (line.component, line.qty)
        for line in (*product.bom_lines, *product.semi_lines)
        if line.component != product.semi
    ]
    return all(any(each.left >= need * qty for each in shelf.get(item, [])) for item, need in lines)


def _take(shelf: dict[UUID, list[Bought]], item: UUID, qty: Decimal) -> Bought:
    for bought in shelf[item]:
        if bought.left >= qty:
            bought.left -= qty
            return bought
    raise LookupError("checked before")


def _semi_lot(world: World, product: Product, shelf: dict[UUID, list[Bought]], qty: int, days: float) -> Bought:
    """The semi-finished lot an order assembles: made from purchased lots under the semi structure."""
    site, at = product.family.site, world.ago(days + 6)
    lot = world.add(
        "lot",
        at,
        to="released",
        within=3,
        site=world.sites[site],
        item=product.semi,
        source="rework",
        mfg_on=at.date(),
        initial_qty=Decimal(qty),
    )
    keeper = world.person(site, "warehouse")
    for line in product.semi_lines:
        part = _take(shelf, line.component, line.qty * qty)
        used = (line.qty * qty).quantize(Decimal("0.0001"))
        world.add("lot_parent", at, owner=lot, lot=part.lot, qty=used)
        world.move(site, at, "issue", line.component, used, lot=part.lot, source=("raw", "released"), by=keeper)
    world.move(
        site,
        at + timedelta(days=3),
        "receipt",
        product.semi,
        Decimal(qty),
        lot=lot,
        target=("wip", "released"),
        by=keeper,
    )
    return Bought(lot, product.semi, site, Decimal(qty))


def _order(
    world: World, product: Product, shelf: dict[UUID, list[Bought]], semi: Bought, qty: int, days: float, state: str
) -> Made | None:
    """One order as far as it has come by now; a released lot when it has come to its end."""
    run = _planned(world, product, qty, days, state)
    if state == "released":
        return None
    finished = state in ("closed", "completed")
    _execute(world, shelf, semi, run, finished)
    if not finished:
        return None
    label_udi = _label(world, run)
    serials = _serials(world, run, state == "closed")
    keeper = world.person(run.site, "warehouse")
    goods: Values
    quarantine, shelved = ("quarantine", "quarantine"), ("finished", "released")
    if not run.serial:
        at = run.start + timedelta(days=5)
        amount = Decimal(qty)
        world.move(
            run.site, at, "receipt", product.item, amount, lot=run.lot, target=quarantine, by=keeper, doc=run.doc
        )
    if state != "closed":
        return None
    release.inspect_and_release(world, run, label_udi)
    at = run.start + timedelta(days=14, hours=2)
    if run.serial:
        for unit, _ in serials:
            goods = {"lot": run.lot, "serial": unit, "target": shelved}
            world.move(run.site, at, "receipt", product.item, Decimal(1), by=keeper, doc=run.doc, **goods)
    else:
        goods = {"lot": run.lot, "source": quarantine, "target": shelved}
        world.move(run.site, at, "unblock", product.item, Decimal(qty), by=keeper, doc=run.doc, **goods)
    return Made(run.lot, run.lot_no, product, qty, run.exp_on, at, serials)


def _needed(world: World, run: Run, site: str) -> None:
    """The planning run that asked for an order."""
    horizon = (run.start + timedelta(days=30)).date()
    planner = world.person(site, "planner")
    plan = world.add(
        "planning_run", run.start, to="confirmed", site=world.sites[site], horizon=horizon, planner=planner,
        calculated_at=run.start, daily=False,
    )  # fmt: skip
    qty, due = Decimal(run.qty), (run.start + timedelta(days=6)).date()
    world.add(
        "planning_run_needs", run.start, owner=plan, seq=1, item=run.product.item, kind="make", gross=qty,
        on_hand=Decimal(0), on_order=Decimal(0), net=qty, qty=qty, need_by=due, release_by=run.start.date(),
    )  # fmt: skip
    demand = AnyRef("work_order", run.order)
    world.add("planning_run_pegs", run.start, owner=plan, need=1, item=run.product.item, demand=demand, qty=qty)


def _planned(world: World, product: Product, qty: int, days: float, state: str) -> Run:
    """The order, its lot and the components it needs."""
    site, start = product.family.site, world.ago(days)
    finished = state in ("closed", "completed")
    made_on = min((start + timedelta(days=2)).date(), world.today)
    life = product.family.shelf_days
    exp_on = expiry(made_on, life) if life else None
    lot_no = world.number(f"{site}{start:%y%m%d}", 4)
    run = Run(product, world.new_id(start), world.new_id(start), lot_no, qty, start, made_on, exp_on)
    world.add(
        "work_order",
        start,
        to=state,
        within=8,
        id=run.order,
        site=world.sites[site],
        item=product.item,
        bom=product.bom,
        routing=product.routing,
        qty=Decimal(qty),
        due=(start + timedelta(days=6)).date(),
        planned_start=start,
        planned_end=start + timedelta(days=5),
        lot=run.lot,
        kind="normal",
        contracted=False,
        maker_file_ok=False,
        supervisor=world.person(site, "production_supervisor"),
        good_qty=Decimal(qty) if finished else None,
        scrap_qty=Decimal(0) if finished else None,
    )
    if state != "closed":
        _needed(world, run, site)
    world.add(
        "lot",
        start,
        to="released" if state == "closed" else None,
        within=14,
        id=run.lot,
        site=world.sites[site],
        item=product.item,
        lot_no=lot_no,
        source="production",
        work_order=run.order,
        mfg_on=made_on,
        exp_on=exp_on,
        initial_qty=Decimal(qty),
    )
    for line in product.bom_lines:
        need: Values = {"bom_line": line.id, "component": line.component, "trace_required": line.traced}
        world.add("work_order_components", start, owner=run.order, qty=line.qty * qty, **need)
    return run


def _execute(world: World, shelf: dict[UUID, list[Bought]], semi: Bought, run: Run, finished: bool) -> None:
    """The operations in their order, and what they used up."""
    first: UUID | None = None
    operations = run.product.operations
    for step, operation in enumerate(operations if finished else operations[:1]):
        execution = _operation(world, run, step, operation, finished)
        first = first or execution
    at, operator, keeper = (
        run.start + timedelta(hours=3),
        world.people[run.site, "operator"][0],
        world.person(run.site, "warehouse"),
    )
    for line in run.product.bom_lines:
        need = (line.qty * run.qty).quantize(Decimal("0.0001"))
        if line.component == run.product.semi:
            bought, source = semi, ("wip", "released")
        else:
            bought, source = _take(shelf, line.component, need), ("raw", "released")
        lot = None if line.component in world.untraced else bought.lot
        if lot is not None:
            world.add(
                "material_consumption",
                at,
                site=world.sites[run.site],
                execution=first,
                work_order=run.order,
                component_lot=lot,
                qty=need,
                bom_line=line.id,
                consumed_by=operator,
                consumed_at=at,
            )
        world.move(run.site, at, "issue", line.component, need, lot=lot, source=source, by=keeper, doc=run.doc)


def _operation(world: World, run: Run, step: int, operation: UUID, finished: bool) -> UUID:
    begin = run.start + timedelta(days=step, hours=1)
    operators = world.people[run.site, "operator"]
    operator, second = operators[step % 5], operators[(step + 1) % 5]
    execution = world.add(
        "operation_execution",
        begin,
        to="done" if finished else "running",
        within=0.3,
        site=world.sites[run.site],
        work_order=run.order,
        operation=operation,
        attempt=1,
        lot=run.lot,
        operator=operator,
        second_person=second,
        line_cleared_by=operator,
        clearance_checked_by=second,
        started_at=begin,
        ended_at=begin + timedelta(hours=5) if finished else None,
        good=Decimal(run.qty) if finished else None,
        scrap=Decimal(0) if finished else None,
        rework=Decimal(0) if finished else None,
        equipment=[world.ids["equipment", f"{run.product.family.code}:{1 + step % 2}"]],
    )
    if step == 3:
        world.add(
            "operation_execution_params",
            begin,
            owner=execution,
            name="封口温度",
            value=world.decimal(131, 139, 2),
            unit="degC",
            lsl=Decimal(125),
            usl=Decimal(145),
            critical=True,
            source="equipment",
            read_at=begin,
        )
    return execution


def _label(world: World, run: Run) -> str:
    product, market = run.product, run.product.family.markets[0]
    udi = _udi(run, product.di[market])
    world.add(
        "label_job",
        run.start + timedelta(days=4),
        to="reconciled",
        within=1,
        site=world.sites[run.site],
        template=product.label_template,
        item=product.item,
        lot=run.lot,
        work_order=run.order,
        di=product.devices[market],
        udi_full=udi,
        printed=run.qty + 5,
        used=run.qty,
        destroyed=5,
        udi_ok="pass",
        expiry_ok="pass",
        storage_ok="pass",
        handling_ok="pass",
        processing_ok="pass",
        checked_by=world.person(run.site, "qc_inspector"),
    )
    return udi


def _udi(run: Run, di: str, serial: str | None = None) -> str:
    """What the carrier on the label says: identifier, dates, lot and, on numbered units, the serial."""
    said = [("01", di), ("11", f"{run.made_on:%y%m%d}")]
    if run.exp_on:
        said.append(("17", f"{run.exp_on:%y%m%d}"))
    said.append(("10", run.lot_no))
    if serial:
        said.append(("21", serial))
    return build(said, separator=VISIBLE_GS)


def _serials(world: World, run: Run, released: bool) -> list[tuple[UUID, str]]:
    """The numbered units of an order, with their UDI."""
    if not run.serial:
        return []
    product, market = run.product, run.product.family.markets[0]
    units = []
    for _ in range(run.qty):
        serial = world.number("SN", 7)
        udi = _udi(run, product.di[market], serial)
        unit = world.add(
            "serial_unit",
            run.start + timedelta(days=4),
            to="released" if released else None,
            within=8,
            site=world.sites[run.site],
            di=product.devices[market],
            serial=serial,
            item=product.item,
            lot=run.lot,
            work_order=run.order,
            udi_full=udi,
            sw_version="2.4.1",
        )
        units.append((unit, udi))
    return units
