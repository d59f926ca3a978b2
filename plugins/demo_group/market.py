"""What leaves and what comes back: licences, customers, orders, shipments, service, complaints, events, a recall."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.families import FAMILIES, Product
from demo_group.making import Made
from demo_group.people import SITES
from demo_group.world import World, social_credit_code

CITIES = ("北京", "上海", "广州", "武汉", "成都", "杭州", "南京", "西安", "沈阳", "长沙", "郑州", "济南")
FOREIGN = {
    "EU": ("Klinikum Freiburg", "CHU de Lyon", "Ospedale San Raffaele", "UMC Utrecht"),
    "US": ("Lakeside Medical Center", "St. Mary Hospital", "Northwest Surgical Supply"),
}
HOME = {"CN": "SUZ", "EU": "TUT", "US": "TUT"}
COUNTRY = {"CN": "CN", "EU": "DE", "US": "US"}


async def licences(world: World, products: Sequence[Product]) -> None:
    """Registrations per family and market, and the sites' own licences."""
    authority = {"CN": ("NMPA", "NMPA_reg"), "EU": ("EU_NB", "CE_TD"), "US": ("FDA", "FDA_510k")}
    holder = {"SUZ": "CN", "CTU": "CN2", "TUT": "DE"}
    for family in FAMILIES:
        items = [product.item for product in products if product.family is family]
        for market in family.markets:
            office, kind = authority[market]
            years = 5 if market != "US" else 10
            issued = world.day(world.rng.randrange(400, 900))
            world.add(
                "registration",
                world.ago(375),
                to="active",
                within=2,
                number=world.number(f"{market}-REG-", 6),
                authority=office,
                kind=kind,
                holder=world.ids["legal_entity", holder[family.site]],
                items=items,
                sites=[world.sites[family.site]],
                risk_classes=(family.classes[0],),
                issued_on=issued,
                expires_on=issued + timedelta(days=365 * years - 5),
                file=world.file("注册证.pdf"),
            )
    for code, entity in holder.items():
        issued = world.day(700)
        chinese = code != "TUT"
        world.add(
            "registration",
            world.ago(376),
            to="active",
            within=2,
            number=world.number("MFG-", 6),
            authority="provincial_MPA" if chinese else "certification_body",
            kind="mfg_licence" if chinese else "ISO13485",
            holder=world.ids["legal_entity", entity],
            items=[],
            sites=[world.sites[code]],
            issued_on=issued,
            expires_on=issued + timedelta(days=1800),
            file=world.file("许可证.pdf"),
        )


async def customers(world: World) -> dict[str, list[UUID]]:
    """Qualified customers by market."""
    named = [
        (f"{city}{suffix}", "CN", kind)
        for city in CITIES
        for suffix, kind in (("第一人民医院", "hospital"), ("康达医疗器械有限公司", "distributor"))
    ]
    named += [(name, market, "hospital") for market, names in FOREIGN.items() for name in names]
    found: dict[str, list[UUID]] = {"CN": [], "EU": [], "US": []}
    for number, (name, market, kind) in enumerate(named):
        chinese = market == "CN"
        found[market].append(
            world.add(
                "customer",
                world.ago(370),
                to="qualified",
                within=5,
                name=name,
                kind=kind,
                market=market,
                uscc=social_credit_code(f"91110000MA0C{number:05d}") if chinese else None,
                licence_no=f"XZ{number:08d}" if chinese else None,
                licence_scope=("II", "III") if chinese else (),
                licence_expires=world.day(-600) if chinese else None,
                address=f"{name}收货处" if chinese else "Goods in",
                contact="李主任" if chinese else "Purchasing",
                phone="010-55550100",
            )
        )
    return found


async def sales(
    world: World, made: Sequence[Made], buyers: dict[str, list[UUID]]
) -> list[tuple[Made, UUID, UUID, str]]:
    """Orders and shipments of released lots, first expiring first; what was shipped to whom."""
    shipped: list[tuple[Made, UUID, UUID, str]] = []
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


def _ship(world: World, lot: Made, market: str, customer: UUID, qty: int) -> tuple[Made, UUID, UUID, str]:
    family, site = lot.product.family, lot.product.family.site
    at = min(lot.released + timedelta(days=2 + world.rng.random() * 20), world.ago(1.5))
    place, keeper, item = world.sites[site], world.person(site, "warehouse"), lot.product.item
    order = world.add(
        "sales_order",
        at,
        to="closed",
        within=1,
        site=place,
        customer=customer,
        market=market,
        ordered_on=at.date(),
        currency={"CN": "CNY", "EU": "EUR", "US": "USD"}[market],
        ship_to="医院库房",
    )
    serial = family.trace == "serial"
    qty = 1 if serial else qty
    line = world.add(
        "sales_order_line",
        at,
        owner=order,
        line=10,
        item=item,
        qty=Decimal(qty),
        price=world.decimal(20, 9000, 4),
        due=at.date() + timedelta(days=10),
    )
    unit, udi = lot.serials.pop() if serial else (None, f"01{lot.product.di[market]}10{lot.lot_no}")
    shipment = world.add(
        "shipment",
        at + timedelta(hours=6),
        to="delivered",
        within=1,
        site=place,
        sales_order=order,
        carrier="顺丰医药" if market == "CN" else "DHL Medical",
        waybill=f"W{world.rng.randrange(10**9):09d}",
        shipped_at=at + timedelta(hours=8),
        delivered_at=at + timedelta(hours=30),
    )
    world.add(
        "shipment_line",
        at + timedelta(hours=6),
        owner=shipment,
        line=10,
        order_line=line,
        item=item,
        lot=lot.lot,
        serial=unit,
        udi=udi,
        qty=Decimal(qty),
    )
    world.move(
        site,
        at + timedelta(hours=8),
        "ship",
        item,
        Decimal(qty),
        lot=lot.lot,
        serial=unit,
        source=("finished", "released"),
        by=keeper,
        doc=AnyRef("shipment", shipment),
    )
    return lot, customer, shipment, udi


async def trouble(world: World, made: Sequence[Made], shipped: Sequence[tuple[Made, UUID, UUID, str]]) -> None:
    """Nonconformances, a CAPA, complaints, a reported event and a recall under way."""
    defects = _reasons(world)
    for number, lot in enumerate(made[:: max(1, len(made) // 14)]):
        _nonconformance(world, lot, defects[number % len(defects)], number)
    harmed = shipped[:: max(1, len(shipped) // 9)]
    complaints = [_complaint(world, *each, number) for number, each in enumerate(harmed)]
    if complaints:
        _capa(world, harmed[0][0].product.family.site, complaints[0])
        _recall(world, harmed[0], complaints[0])
    await world.breathe()


def _reasons(world: World) -> list[UUID]:
    names = {
        "DIM": ("尺寸超差", "Dimension out of limits"),
        "SEAL": ("封口不良", "Poor seal"),
        "LABEL": ("标签错误", "Wrong label"),
        "PART": ("异物", "Foreign particle"),
        "FUNC": ("功能异常", "Malfunction"),
    }
    return [
        world.add(
            "reason_code", world.ago(400), kind="defect", code=code, name={"zh": zh, "en": en}, severity_default="major"
        )
        for code, (zh, en) in names.items()
    ]


def _nonconformance(world: World, lot: Made, defect: UUID, number: int) -> None:
    family = lot.product.family
    site, at = family.site, lot.released - timedelta(days=10)
    goal = ("closed", "verified", "executing", "board", "investigating", "contained", "open")[number % 7]
    critical = number % 6 == 5
    late = {
        "contained": {"containment": "已隔离并挂牌,通知质量部。"},
        "investigating": {"root_cause": "封口模具温控漂移。"},
        "executing": {"disposition": "scrap", "executed_by": world.person(site, "warehouse")},
        "verified": {"verified_by": world.person(site, "qa_manager")},
    }
    world.add(
        "nonconformance",
        at,
        to=None if goal == "open" else goal,
        within=12,
        later=late,
        site=world.sites[site],
        source=world.pick(("IPQC", "FQC", "OQC")),
        found_at=at,
        found_by=world.person(site, "qc_inspector"),
        item=lot.product.item,
        lots=[lot.lot],
        qty=Decimal(world.rng.randrange(1, 6)),
        description="抽检发现个别产品不符合要求,已记录照片。",
        defect=defect,
        severity="critical" if critical else "major",
        fails_registered_requirement=False,
    )


def _complaint(world: World, lot: Made, customer: UUID, shipment: UUID, udi: str, number: int) -> UUID:
    family = lot.product.family
    site = family.site
    market = family.markets[0]
    at = world.ago(max(1.0, 60 - number * 6.5))
    goal = ("decided", "investigating", "triaged", "received")[number % 4]
    serious = number % 3 == 0
    complaint = world.add(
        "complaint",
        at,
        to=None if goal == "received" else goal,
        within=2,
        site=world.sites[site],
        aware_at=at - timedelta(hours=5),
        received_on=at.date(),
        device_name=family.zh,
        item=lot.product.item,
        udi=udi,
        lot=lot.lot,
        customer=customer,
        complainant_name="王医生" if market == "CN" else "Dr. Weber",
        complainant_phone="010-55550123",
        complainant_address="心内科导管室" if market == "CN" else "Kardiologie",
        description="术中发现产品异常,未对患者造成进一步影响。" if not serious else "使用中出现异常,患者需要额外处置。",
        country=COUNTRY[market],
        harm="serious" if serious else "none",
        investigate=True,
    )
    for each in family.markets:
        reportable = serious and each == market
        world.add(
            "complaint_reportability",
            at,
            owner=complaint,
            market=each,
            decision="reportable" if reportable else "not_reportable",
            decided_by=world.person(site, "safety_officer"),
            decided_at=at,
        )
    if serious:
        world.add(
            "adverse_event",
            at,
            to="medical_review",
            within=1,
            site=world.sites[site],
            complaint=complaint,
            market=market,
            category="serious_injury",
            abroad=False,
            unanticipated=False,
            reporter="manufacturer",
            aware_at=at - timedelta(hours=5),
            aware_on=(at - timedelta(hours=5)).date(),
            kind="initial",
            narrative="患者在使用中出现异常,处置后恢复。",
            production_stopped=False,
            compiled_by=world.person(site, "safety_officer"),
        )
    return complaint


def _capa(world: World, site: str, complaint: UUID) -> None:
    at = world.ago(40)
    capa = world.add(
        "capa",
        at,
        to="implementing",
        within=12,
        site=world.sites[site],
        subject="封口强度偏低的纠正与预防",
        kind="corrective",
        responsible=world.person(site, "quality_engineer"),
        method="five_why",
        root_cause="封口机温控传感器老化,点检周期过长。",
        criterion="连续 3 批封口强度均值不低于 1.5 N/15mm。",
        check_due=world.day(-60),
    )
    world.add("capa_origins", at, owner=capa, origin=AnyRef("complaint", complaint))
    for what, days in (("更换温控传感器", 10), ("缩短点检周期并修订作业指导书", 25)):
        world.add(
            "capa_actions",
            at,
            owner=capa,
            what=what,
            responsible=world.person(site, "process_engineer"),
            due=world.day(-days),
        )


def _recall(world: World, shipped: tuple[Made, UUID, UUID, str], complaint: UUID) -> None:
    lot, customer, _, _ = shipped
    site, at = lot.product.family.site, world.ago(20)
    action = world.add(
        "field_action",
        at,
        to="executing",
        within=4,
        subject=f"{lot.product.family.zh}个别批次召回",
        measures=("replace", "withdraw"),
        class_cn="class_2",
        markets=("CN",),
        lots=[lot.lot],
        complaints=[complaint],
        hazard="封口强度偏低可能影响无菌屏障。",
        lead=world.person(site, "qa_manager"),
        decided_at=at + timedelta(days=1),
        started_at=at + timedelta(days=2),
    )
    world.add(
        "field_action_consignees",
        at,
        owner=action,
        customer=customer,
        qty=Decimal(10),
        notified_at=at + timedelta(days=2),
        ack_at=at + timedelta(days=3),
        returned=Decimal(4),
        destroyed=Decimal(0),
        corrected=Decimal(0),
        consumed=Decimal(3),
        justified=Decimal(0),
    )
    world.add(
        "inventory_hold",
        at + timedelta(hours=1),
        site=world.sites[site],
        lot=lot.lot,
        cause=AnyRef("field_action", action),
        because="召回范围内剩余库存",
        placed_by=world.person(site, "qa_manager"),
        placed_at=at + timedelta(hours=1),
    )


async def development(world: World) -> None:
    """A design project under way at each site, with requirements, inputs and risks."""
    for number, code in enumerate(SITES):
        at = world.ago(200 - number * 20)
        project = world.add(
            "design_project",
            at,
            name=("可降解支架", "智能输液泵", "Wearable monitor")[number],
            family=("CS", "IV", "MO")[number],
            leader=world.person(code, "project_manager"),
            members=list(world.people[code, "rd_engineer"]),
            phase=("verification", "output", "input")[number],
        )
        for index in range(6):
            born = at + timedelta(days=3 + index)
            requirement = world.add(
                "requirement",
                born,
                to="accepted",
                project=project,
                priority="must",
                source=world.pick(("customer", "clinical", "regulatory")),
                text=f"需求 {index + 1}:应满足临床使用要求。",
            )
            world.add(
                "design_input",
                born,
                to="approved",
                within=9,
                project=project,
                requirements=[requirement],
                text=f"设计输入 {index + 1}",
                criterion="可测量的接受准则",
                category="performance",
            )
        for _ in range(4):
            severity, probability = world.rng.randrange(2, 6), world.rng.randrange(1, 4)
            world.add(
                "risk_item",
                at,
                to="evaluated",
                project=project,
                hazard="能量危害",
                situation="使用中失效",
                harm="延迟治疗",
                severity=severity,
                probability=probability,
                new_risks=False,
            )
