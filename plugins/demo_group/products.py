"""What the group makes: families with three-level structures, documents, routings, devices, and the changes that
introduced them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from plugins.demo_group.world import World, gtin14

from clew.records.values import AnyRef, Money

COMPANY = "6901234"
GERMAN_COMPANY = "4012345"


@dataclass(frozen=True, slots=True)
class Family:
    code: str
    site: str
    zh: str
    en: str
    classes: tuple[str, str, str]
    """Risk class in China, the EU and the US."""
    markets: tuple[str, ...]
    implantable: bool
    sterile: bool
    active: bool
    trace: str
    shelf_days: int | None
    variants: tuple[str, ...]
    parts: tuple[tuple[str, str, str, str], ...]
    """Bought parts of the semi-finished product: name, unit, quantity, criticality."""


FAMILIES = (
    Family(
        "CS",
        "SUZ",
        "药物洗脱冠脉支架",
        "Drug-eluting coronary stent",
        ("III", "III", "III"),
        ("CN", "EU"),
        True,
        True,
        False,
        "lot",
        730,
        ("2.5×18mm", "3.0×18mm", "3.5×23mm", "4.0×28mm"),
        (
            ("钴铬合金管材", "mm", "20", "A"),
            ("雷帕霉素涂层液", "ml", "0.05", "A"),
            ("输送导管", "pcs", "1", "A"),
            ("球囊", "pcs", "1", "A"),
        ),
    ),
    Family(
        "PM",
        "SUZ",
        "植入式心脏起搏器",
        "Implantable pacemaker",
        ("III", "III", "III"),
        ("CN",),
        True,
        True,
        True,
        "lot",
        540,
        ("单腔", "双腔", "三腔", "无导线"),
        (
            ("钛合金外壳", "pcs", "2", "A"),
            ("锂碘电池", "pcs", "1", "A"),
            ("控制电路板", "pcs", "1", "A"),
            ("连接头组件", "pcs", "1", "A"),
        ),
    ),
    Family(
        "GW",
        "SUZ",
        "亲水涂层导丝",
        "Hydrophilic guide wire",
        ("III", "III", "II"),
        ("CN", "US"),
        False,
        True,
        False,
        "lot",
        1095,
        ("0.014in", "0.018in", "0.035in", "0.038in"),
        (("镍钛丝", "m", "1.9", "A"), ("亲水涂料", "ml", "0.3", "B"), ("显影环", "pcs", "1", "B")),
    ),
    Family(
        "IV",
        "CTU",
        "一次性使用输液器",
        "Infusion set for single use",
        ("III", "IIa", "II"),
        ("CN",),
        False,
        True,
        False,
        "lot",
        1095,
        ("带针 0.7mm", "带针 0.9mm", "精密过滤", "避光"),
        (
            ("医用PVC粒料", "g", "14.5", "B"),
            ("静脉针", "pcs", "1", "A"),
            ("药液过滤器", "pcs", "1", "A"),
            ("滴斗", "pcs", "1", "B"),
        ),
    ),
    Family(
        "OR",
        "CTU",
        "金属锁定接骨板",
        "Locking bone plate",
        ("III", "IIb", "II"),
        ("CN", "EU"),
        True,
        False,
        False,
        "lot",
        None,
        ("直型 6孔", "直型 8孔", "T型 3孔", "L型 5孔"),
        (("TC4钛合金板材", "g", "46", "A"), ("锁定螺钉", "pcs", "6", "A")),
    ),
    Family(
        "MO",
        "TUT",
        "多参数监护仪",
        "Multi-parameter patient monitor",
        ("II", "IIb", "II"),
        ("EU", "US"),
        False,
        False,
        True,
        "serial",
        None,
        ("M8", "M10", "M12", "M15"),
        (
            ("Display module 12in", "pcs", "1", "B"),
            ("ECG acquisition board", "pcs", "1", "A"),
            ("SpO2 sensor", "pcs", "1", "A"),
            ("Power supply", "pcs", "1", "A"),
            ("Housing", "set", "1", "C"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a structure: its record, the component, the quantity per piece, whether lots are traced."""

    id: UUID
    component: UUID
    qty: Decimal
    traced: bool


@dataclass(slots=True)
class Product:
    """A finished variant with all that is needed to make, test and sell it."""

    family: Family
    item: UUID
    semi: UUID
    parts: list[tuple[UUID, Decimal]]
    pack: UUID
    label: UUID
    bom: UUID
    semi_bom: UUID
    bom_lines: list[Line]
    semi_lines: list[Line]
    routing: UUID | None = None
    operations: list[UUID] = field(default_factory=list)
    plan: UUID | None = None
    characteristics: list[tuple[UUID, str]] = field(default_factory=list)
    requirement: UUID | None = None
    devices: dict[str, UUID] = field(default_factory=dict)
    di: dict[str, str] = field(default_factory=dict)
    label_template: UUID | None = None
    sterilisation: UUID | None = None


@dataclass(slots=True)
class Introduction:
    """The change order under which a family was first released; it lists every revision it released."""

    world: World
    order: UUID
    born: float

    def lists(self, entity: str, identity: UUID, revision: str) -> None:
        self.world.add(
            "affected_item",
            self.world.ago(self.born - 1),
            to="done",
            change_order=self.order,
            object=AnyRef(entity, identity),
            action="add",
            to_rev=revision,
            stock_disposition="use",
            wip_disposition="use",
            open_po_disposition="use",
        )


async def portfolio(world: World) -> list[Product]:
    """All families: documents, change, items, structures, routings, inspection plans, devices."""
    products: list[Product] = []
    for family in FAMILIES:
        products.extend(_family(world, family))
        await world.breathe()
    return products


def _family(world: World, family: Family) -> Iterator[Product]:
    born = 395.0
    change = _introduction(world, family, born)
    code = family.site
    papers = {
        name: _paper(world, change, family, kind, title)
        for name, kind, title in (
            ("sop", "WI", f"{family.zh}作业指导书"),
            ("label", "label_art", f"{family.zh}标签图稿"),
            ("spec", "spec", f"{family.zh}产品规格"),
            ("method", "SOP", f"{family.zh}检验操作规程"),
            ("protocol", "protocol", f"{family.zh}过程确认方案"),
            ("report", "report", f"{family.zh}过程确认报告"),
        )
    }
    machines = _machines(world, family, papers)
    pack = _item(world, family, change, f"{family.zh} 吸塑盒", "packaging", "pcs", "C")
    label = _item(world, family, change, f"{family.zh} 标签", "label", "pcs", "B")
    parts = [
        (
            _item(world, family, change, name, "component" if unit in ("pcs", "set") else "raw", unit, grade),
            Decimal(qty),
        )
        for name, unit, qty, grade in family.parts
    ]
    for variant in family.variants[: world.size.products]:
        semi = _item(world, family, change, f"{family.zh} {variant} 半成品", "semi", "pcs", "A")
        item = _item(world, family, change, f"{family.zh} {variant}", "finished", "pcs", "A")
        upper = [(semi, Decimal(1), True), (pack, Decimal(1), False), (label, Decimal(1), True)]
        bom, lines = _bom(world, family, change, item, upper)
        semi_bom, semi_lines = _bom(world, family, change, semi, [(part, qty, True) for part, qty in parts])
        product = Product(family, item, semi, parts, pack, label, bom, semi_bom, lines, semi_lines)
        product.label_template = papers["label"]
        product.sterilisation = machines["validation"]
        _routing(world, family, change, product, papers, machines)
        _plan(world, family, change, product, papers)
        _devices(world, family, product, code)
        yield product


def _introduction(world: World, family: Family, born: float) -> Introduction:
    at = world.ago(born + 20)
    site = family.site
    request = world.add(
        "change_request",
        at,
        to="approved",
        within=12,
        type="design",
        subject=f"{family.zh}首次发布",
        reason=f"新产品 {family.en} 完成设计转换,首次发布全部技术文件。",
        requested_by=world.person(site, "rd_engineer"),
        urgency="normal",
        **{"class": "major"},
    )
    for dept, job in (("rd", "rd_engineer"), ("qa", "quality_engineer"), ("ra", "ra_specialist")):
        world.add(
            "change_request_impacts",
            at,
            owner=request,
            dept=dept,
            verdict="ok",
            note="已评估,无其他影响。",
            assessed_by=world.person(site, job),
            assessed_at=world.ago(born + 10),
        )
    for market in family.markets:
        world.add("change_request_reg_impact", at, owner=request, market=market, verdict="none")
    started = world.ago(born + 5)
    order = world.add(
        "change_order",
        started,
        to="closed",
        within=60,
        change_request=request,
        summary=f"{family.zh}首次发布",
        effective_on=world.day(born - 2),
        effective_markets=tuple(sorted(family.markets)),
        effective_sites=[world.sites[site]],
        effectiveness_due=world.day(born - 60),
        effectiveness="首批三批生产与检验均合格,变更有效。",
    )
    document = world.add(
        "document",
        at,
        title=f"{family.zh}变更清单",
        type="form",
        owner=world.ids["department", f"{site}:rd"],
        language="zh",
    )
    world.add("change_request_affected", at, owner=request, object=AnyRef("document", document), note="首次发布")
    return Introduction(world, order, born)


def _paper(world: World, change: Introduction, family: Family, kind: str, title: str) -> UUID:
    site = family.site
    owner = "rd" if kind in ("spec", "label_art") else "qa"
    at = world.ago(change.born + 8)
    document = world.add(
        "document",
        at,
        title=title,
        type=kind,
        language="zh",
        owner=world.ids["department", f"{site}:{owner}"],
    )
    revision = world.add(
        "document_revision",
        at,
        to="effective",
        within=12,
        site=world.sites[site],
        document=document,
        rev="A",
        file=world.file(f"{title}.pdf"),
        sha256=world.sha256,
        effective_from=world.day(change.born - 5),
        change_order=change.order,
        review_due=world.day(-365),
        summary="首次发布",
        author=world.person(site, "rd_engineer"),
        reviewer=world.person(site, "quality_engineer"),
        approver=world.person(site, "qa_manager"),
    )
    change.lists("document_revision", revision, "A")
    return revision


def _item(world: World, family: Family, change: Introduction, name: str, kind: str, unit: str, grade: str) -> UUID:
    finished = kind == "finished"
    traced = kind not in ("packaging", "consumable")
    trace = family.trace if finished else ("lot" if traced else "none")
    cold = Decimal("2.0"), Decimal("30.0")
    at = world.ago(change.born + 6)
    classes = family.classes if finished else ("NA", "NA", "NA")
    uom = world.ids["unit", unit]
    item = world.add(
        "item",
        at,
        to="active",
        within=8,
        name=name,
        family=family.code,
        revision="A",
        type=kind,
        base_uom=uom,
        purchase_uom=None,
        class_cn=classes[0],
        class_eu=classes[1],
        class_us=classes[2],
        sold_markets=tuple(sorted(family.markets)) if finished else (),
        implantable=finished and family.implantable,
        sterile=finished and family.sterile,
        active=finished and family.active,
        trace_level=trace,
        shelf_life=Decimal(family.shelf_days) if finished and family.shelf_days else None,
        storage_min=cold[0],
        storage_max=cold[1],
        make_buy="make" if kind in ("semi", "finished") else "buy",
        criticality=grade,
        change_order=change.order,
    )
    world.add(
        "item_per_site",
        at,
        owner=item,
        site=world.sites[family.site],
        lead_time=Decimal(world.rng.randrange(5, 60)),
        safety_stock=Decimal(world.rng.randrange(50, 500)),
        cost=Money(world.decimal(2, 900, 2), "EUR" if family.site == "TUT" else "CNY"),
    )
    change.lists("item", item, "A")
    if not traced:
        world.untraced.add(item)
    return item


def _bom(
    world: World, family: Family, change: Introduction, item: UUID, lines: list[tuple[UUID, Decimal, bool]]
) -> tuple[UUID, list[Line]]:
    at = world.ago(change.born + 3)
    bom = world.add(
        "bom",
        at,
        to="released",
        within=6,
        site=world.sites[family.site],
        item=item,
        kind="MBOM",
        rev="A",
        effective_from=world.day(change.born - 5),
        change_order=change.order,
    )
    made: list[Line] = []
    for number, (component, qty, traced) in enumerate(lines, 1):
        line = world.add(
            "bom_line",
            at,
            owner=bom,
            line=number * 10,
            component=component,
            qty=qty,
            scrap=Decimal("0.50"),
            trace_required=traced,
        )
        made.append(Line(line, component, qty, traced))
    change.lists("bom", bom, "A")
    return bom, made


def _machines(world: World, family: Family, papers: dict[str, UUID]) -> dict[str, UUID]:
    site = family.site
    at = world.ago(390)
    validation = world.add(
        "validation",
        at,
        to="reported",
        within=20,
        kind="process_pq",
        protocol=papers["protocol"],
        report=papers["report"],
        rationale="连续三批,最差条件覆盖。",
        executed_on=world.day(380),
        tester=world.person(site, "process_engineer"),
        report_approver=world.person(site, "qa_manager"),
        result="pass",
        revalidate_by=world.day(-700),
    )
    names = (
        ("production", f"{family.zh}成型设备"),
        ("production", f"{family.zh}装配线"),
        ("measuring", "数显卡尺"),
        ("measuring", "拉力试验机"),
    )
    for number, (kind, name) in enumerate(names, 1):
        measuring = kind == "measuring"
        machine = world.add(
            "equipment",
            at,
            to="qualified",
            within=10,
            site=world.sites[site],
            asset_no=f"{family.code}-{number:03d}",
            name=name,
            kind=kind,
            model=f"M-{world.rng.randrange(100, 999)}",
            location=world.places[site, "wip"],
            qualification=None if measuring else validation,
            cal_interval=Decimal(12) if measuring else None,
            next_cal=world.day(-world.rng.randrange(30, 300)) if measuring else None,
            next_pm=world.day(-90),
            range_min=Decimal(0) if measuring else None,
            range_max=Decimal(500) if measuring else None,
            range_unit="mm" if measuring else None,
        )
        world.remember("equipment", f"{family.code}:{number}", machine)
        if measuring:
            done = world.ago(world.rng.randrange(40, 200))
            keeper, reviewer = world.people[site, "metrologist"][:2]
            world.add(
                "calibration",
                done,
                to="reviewed",
                within=2,
                equipment=machine,
                performed_on=done.date(),
                performed_by=keeper,
                measured_unit="mm",
                nominal=Decimal(100),
                tolerance=Decimal("0.05"),
                as_found=world.decimal(99.97, 100.03, 3),
                as_left=Decimal("100.001"),
                result="pass",
                certificate_no=world.number(f"JZ{site}", 6),
                lab="省计量科学研究院",
                traceable_to="国家长度基准",
                certificate=world.file("校准证书.pdf"),
                reviewed_by=reviewer,
            )
    return {"validation": validation}


def _routing(
    world: World,
    family: Family,
    change: Introduction,
    product: Product,
    papers: dict[str, UUID],
    machines: dict[str, UUID],
) -> None:
    at = world.ago(change.born + 1)
    routing = world.add(
        "routing",
        at,
        to="released",
        within=5,
        site=world.sites[family.site],
        item=product.item,
        rev="A",
        bom=product.bom,
        effective_from=world.day(change.born - 6),
        change_order=change.order,
    )
    steps = (("备料清洗", False, False), ("成型", True, False), ("装配", False, True), ("包装封口", True, True))
    for number, (name, special, second) in enumerate(steps, 1):
        operation = world.add(
            "operation",
            at,
            owner=routing,
            seq=number * 10,
            name=name,
            work_center=f"WC-{family.code}-{number}",
            setup_time=Decimal("15.00"),
            run_time=world.decimal(0.5, 4, 4),
            special_process=special,
            validation=machines["validation"] if special else None,
            sop=papers["sop"],
            second_person=second,
            required_courses=[world.ids["training_course", "GMP"]],
        )
        product.operations.append(operation)
    world.add(
        "operation_parameter",
        at,
        owner=routing,
        seq=40,
        name="封口温度",
        uom="degC",
        lsl=Decimal(125),
        target=Decimal(135),
        usl=Decimal(145),
        critical=True,
        source="equipment",
    )
    product.routing = routing
    change.lists("routing", routing, "A")


def _plan(world: World, family: Family, change: Introduction, product: Product, papers: dict[str, UUID]) -> None:
    at = world.ago(change.born + 1)
    plan = world.add(
        "inspection_plan",
        at,
        to="effective",
        within=5,
        number=world.number("IP-", 6),
        rev="A",
        name=f"{family.zh}成品检验",
        item=product.item,
        stage="FQC",
        sampling="c0",
        change_order=change.order,
        effective_from=world.day(change.born - 6),
    )
    characteristics = (("外观", "attribute", None, "major"), ("关键尺寸", "variable", "mm", "critical"))
    for number, (name, kind, unit, severity) in enumerate(characteristics, 1):
        variable = kind == "variable"
        product.characteristics.append(
            (
                world.add(
                    "inspection_characteristic",
                    at,
                    owner=plan,
                    seq=number * 10,
                    name=name,
                    kind=kind,
                    unit=unit,
                    severity=severity,
                    decimals=3 if variable else None,
                    lsl=Decimal("9.900") if variable else None,
                    target=Decimal(10) if variable else None,
                    usl=Decimal("10.100") if variable else None,
                    method=papers["method"],
                ),
                kind,
            )
        )
    product.plan = plan
    change.lists("inspection_plan", plan, "A")
    requirement = world.add(
        "technical_requirement",
        at,
        to="effective",
        within=5,
        number=world.number("REQ-", 6),
        revision="A",
        item=product.item,
        change_order=change.order,
        effective_from=world.day(change.born - 6),
    )
    world.add(
        "technical_requirement_clauses",
        at,
        owner=requirement,
        clause="2.1",
        requirement="外观应光洁,无毛刺、裂纹。",
        method="目视检查",
    )
    product.requirement = requirement
    change.lists("technical_requirement", requirement, "A")


def _devices(world: World, family: Family, product: Product, site: str) -> None:
    company = GERMAN_COMPANY if site == "TUT" else COMPANY
    for market in family.markets:
        at = world.ago(380)
        number = int(world.number("gtin", 5).removeprefix("gtin"))
        unit_di = gtin14(0, company, number)
        values = {
            "issuer": "GS1",
            "item": product.item,
            "market": market,
            "db_status": "published",
            "published_at": world.ago(360),
        }
        flags = ("exp", "lot", "mfg") if family.trace == "lot" and not family.active else ("lot", "mfg", "serial")
        unit = world.add(
            "udi_device",
            at,
            to="published",
            within=15,
            di=unit_di,
            package_level="unit",
            qty=1,
            pi_flags=flags,
            **values,
        )
        world.add(
            "udi_device",
            at + timedelta(hours=1),
            to="published",
            within=15,
            di=gtin14(1, company, number),
            package_level="inner",
            contains=unit,
            qty=10,
            pi_flags=flags,
            **values,
        )
        product.devices[market], product.di[market] = unit, unit_di
