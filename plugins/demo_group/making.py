"""What is made: production orders with consumption, execution, labels, inspection, batch record, release."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.families import Product
from demo_group.supply import Bought
from demo_group.world import World, expiry


@dataclass(slots=True)
class Made:
    """A finished lot on the shelf."""

    lot: UUID
    lot_no: str
    product: Product
    qty: int
    exp_on: object
    released: datetime
    serials: list[tuple[UUID, str]]


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
    site = product.family.site
    start = world.ago(days)
    place, supervisor = world.sites[site], world.person(site, "production_supervisor")
    due = (start + timedelta(days=6)).date()
    finished = state in ("closed", "completed")
    made_on = (start + timedelta(days=2)).date()
    if made_on > world.today:
        made_on = world.today
    life = product.family.shelf_days
    lot_no = world.number(f"{site}{start:%y%m%d}", 4)
    order_id, lot_id = world.new_id(start), world.new_id(start)
    order = world.add(
        "work_order",
        start,
        to=state,
        within=8,
        id=order_id,
        site=place,
        item=product.item,
        bom=product.bom,
        routing=product.routing,
        qty=Decimal(qty),
        due=due,
        planned_start=start,
        planned_end=start + timedelta(days=5),
        lot=lot_id,
        kind="normal",
        contracted=False,
        supervisor=supervisor,
        good_qty=Decimal(qty) if finished else None,
        scrap_qty=Decimal(0) if finished else None,
    )
    exp_on = expiry(made_on, life) if life else None
    release = state == "closed"
    world.add(
        "lot",
        start,
        to="released" if release else None,
        within=14,
        id=lot_id,
        site=place,
        item=product.item,
        lot_no=lot_no,
        source="production",
        work_order=order,
        mfg_on=made_on,
        exp_on=exp_on,
        initial_qty=Decimal(qty),
    )
    for line in product.bom_lines:
        world.add(
            "work_order_components",
            start,
            owner=order,
            bom_line=line.id,
            component=line.component,
            qty=line.qty * qty,
            trace_required=line.traced,
        )
    if state == "released":
        return None
    _execute(world, product, shelf, semi, order, lot_id, qty, start, finished)
    if not finished:
        return None
    label_udi = _label(world, product, order, lot_id, lot_no, exp_on, qty, start)
    serials = _serials(world, product, order, lot_id, qty, start, release)
    keeper = world.person(site, "warehouse")
    doc = AnyRef("work_order", order)
    moment = start + timedelta(days=5)
    if product.family.trace != "serial":
        world.move(
            site,
            moment,
            "receipt",
            product.item,
            Decimal(qty),
            lot=lot_id,
            target=("quarantine", "quarantine"),
            by=keeper,
            doc=doc,
        )
    if not release:
        return None
    _inspect_and_release(world, product, order, lot_id, qty, start, label_udi)
    moment = start + timedelta(days=14, hours=2)
    if product.family.trace != "serial":
        world.move(
            site,
            moment,
            "unblock",
            product.item,
            Decimal(qty),
            lot=lot_id,
            source=("quarantine", "quarantine"),
            target=("finished", "released"),
            by=keeper,
            doc=doc,
        )
    else:
        for unit, _ in serials:
            world.move(
                site,
                moment,
                "receipt",
                product.item,
                Decimal(1),
                lot=lot_id,
                serial=unit,
                target=("finished", "released"),
                by=keeper,
                doc=doc,
            )
    return Made(lot_id, lot_no, product, qty, exp_on, moment, serials)


def _execute(
    world: World,
    product: Product,
    shelf: dict[UUID, list[Bought]],
    semi: Bought,
    order: UUID,
    lot: UUID,
    qty: int,
    start: datetime,
    finished: bool,
) -> None:
    site = product.family.site
    place, keeper = world.sites[site], world.person(site, "warehouse")
    operators = world.people[site, "operator"]
    first: UUID | None = None
    for step, operation in enumerate(product.operations if finished else product.operations[:1]):
        begin = start + timedelta(days=step, hours=1)
        operator, second = operators[step % 5], operators[(step + 1) % 5]
        execution = world.add(
            "operation_execution",
            begin,
            to="done" if finished else "running",
            within=0.3,
            site=place,
            work_order=order,
            operation=operation,
            attempt=1,
            lot=lot,
            operator=operator,
            second_person=second,
            line_cleared_by=operator,
            clearance_checked_by=second,
            started_at=begin,
            ended_at=begin + timedelta(hours=5) if finished else None,
            good=Decimal(qty) if finished else None,
            scrap=Decimal(0) if finished else None,
            rework=Decimal(0) if finished else None,
            equipment=[world.ids["equipment", f"{product.family.code}:{1 + step % 2}"]],
        )
        first = first or execution
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
    for line in product.bom_lines:
        need = (line.qty * qty).quantize(Decimal("0.0001"))
        at = start + timedelta(hours=3)
        if line.component == product.semi:
            bought, source = semi, ("wip", "released")
        else:
            bought, source = _take(shelf, line.component, need), ("raw", "released")
        traced = line.component not in world.untraced
        if traced and first is not None:
            world.add(
                "material_consumption",
                at,
                site=place,
                execution=first,
                work_order=order,
                component_lot=bought.lot,
                qty=need,
                bom_line=line.id,
                consumed_by=operators[0],
                consumed_at=at,
            )
        world.move(
            site,
            at,
            "issue",
            line.component,
            need,
            lot=bought.lot if traced else None,
            source=source,
            by=keeper,
            doc=AnyRef("work_order", order),
        )


def _label(
    world: World, product: Product, order: UUID, lot: UUID, lot_no: str, exp_on: object, qty: int, start: datetime
) -> str:
    site = product.family.site
    market = product.family.markets[0]
    at = start + timedelta(days=4)
    expires = f"17{exp_on:%y%m%d}" if exp_on else ""
    udi = f"01{product.di[market]}11{start:%y%m%d}{expires}10{lot_no}"
    world.add(
        "label_job",
        at,
        to="reconciled",
        within=1,
        site=world.sites[site],
        template=product.label_template,
        item=product.item,
        lot=lot,
        work_order=order,
        di=product.devices[market],
        udi_full=udi,
        printed=qty + 5,
        used=qty,
        destroyed=5,
        udi_ok="pass",
        expiry_ok="pass",
        storage_ok="pass",
        handling_ok="pass",
        processing_ok="pass",
        checked_by=world.person(site, "qc_inspector"),
    )
    return udi


def _serials(
    world: World, product: Product, order: UUID, lot: UUID, qty: int, start: datetime, release: bool
) -> list[tuple[UUID, str]]:
    if product.family.trace != "serial":
        return []
    site = product.family.site
    market = product.family.markets[0]
    units = []
    for _ in range(qty):
        serial = world.number("SN", 7)
        udi = f"01{product.di[market]}11{start:%y%m%d}21{serial}"
        unit = world.add(
            "serial_unit",
            start + timedelta(days=4),
            to="released" if release else None,
            within=8,
            site=world.sites[site],
            di=product.devices[market],
            serial=serial,
            item=product.item,
            lot=lot,
            work_order=order,
            udi_full=udi,
            sw_version="2.4.1",
        )
        units.append((unit, udi))
    return units


def _inspect_and_release(
    world: World, product: Product, order: UUID, lot: UUID, qty: int, start: datetime, udi: str
) -> None:
    site = product.family.site
    place = world.sites[site]
    at = start + timedelta(days=6)
    inspector, releaser = world.person(site, "qc_inspector"), world.person(site, "authorised_releaser")
    n = min(5, qty)
    inspection = world.add(
        "inspection_lot",
        at,
        to="closed",
        within=2,
        site=place,
        lot=lot,
        plan=product.plan,
        source=AnyRef("work_order", order),
        lot_size=qty,
        severity="normal",
        n=n,
        ac=0,
        re=1,
        nonconforming=0,
        judgement="accept",
        judged_by=inspector,
        judged_at=at + timedelta(days=1),
    )
    for characteristic, kind in product.characteristics:
        for sample in range(1, n + 1):
            moment = at + timedelta(hours=3 + sample)
            reading = {"value": world.decimal(9.95, 10.05, 3)} if kind == "variable" else {"pass_": True}
            world.add(
                "inspection_result",
                moment,
                site=place,
                inspection_lot=inspection,
                characteristic=characteristic,
                sample=sample,
                version=1,
                source="manual",
                inspector=inspector,
                at=moment,
                kind="original",
                **reading,
            )
    record = world.add(
        "edhr",
        at,
        to="accepted",
        within=5,
        site=place,
        item=product.item,
        lot=lot,
        work_order=order,
        compiled_by=world.person(site, "production_supervisor"),
        production_reviewer=world.people[site, "production_supervisor"][0],
        quality_reviewer=world.person(site, "qa_manager"),
    )
    for section in ("物料与领用", "工序记录", "检验记录", "标签核对", "环境记录"):
        world.add("edhr_sections", at, owner=record, name=section, complete=True)
    if product.family.sterile:
        begin = at + timedelta(days=1)
        world.add(
            "sterilisation_batch",
            begin,
            to="released",
            within=5,
            site=place,
            method="EO",
            equipment=world.ids["equipment", f"{product.family.code}:1"],
            validation=product.sterilisation,
            load=[lot],
            started_at=begin,
            ended_at=begin + timedelta(hours=9),
            biological_indicator="no_growth",
            residual=Decimal("1.200"),
            released_by=world.person(site, "quality_engineer"),
            record=world.file("灭菌记录.pdf"),
        )
    kinds = [("production", None), *(("market", market) for market in product.family.markets)]
    for number, (kind, market) in enumerate(kinds):
        decided = start + timedelta(days=12, hours=number)
        decision = world.add(
            "release_decision",
            decided,
            to="decided",
            within=0.3,
            site=place,
            lot=lot,
            kind=kind,
            market=market,
            outcome="release",
            maker_file_reviewed=False,
            decided_at=decided,
            decided_by=releaser if kind == "market" else world.person(site, "qa_manager"),
        )
        for item, evidence in (
            ("成品检验合格", AnyRef("inspection_lot", inspection)),
            ("批记录审核通过", AnyRef("edhr", record)),
        ):
            world.add("release_decision_checklist", decided, owner=decision, item=item, ok=True, evidence=evidence)
