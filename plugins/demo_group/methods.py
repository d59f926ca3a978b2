"""How products are made, tested and identified: machines, routings, inspection plans, requirements, devices."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from demo_group.families import COMPANY, GERMAN_COMPANY, Family, Introduction, Product
from demo_group.world import Values, World, gtin14


def machines(world: World, family: Family, papers: dict[str, UUID]) -> dict[str, UUID]:
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
            _calibrate(world, site, machine)
    return {"validation": validation}


def _calibrate(world: World, site: str, machine: UUID) -> None:
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


def routing(
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


def plan(world: World, family: Family, change: Introduction, product: Product, papers: dict[str, UUID]) -> None:
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
    product.requirement = _requirement(world, change, product)


def _requirement(world: World, change: Introduction, product: Product) -> UUID:
    at = world.ago(change.born + 1)
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
    change.lists("technical_requirement", requirement, "A")
    return requirement


def devices(world: World, family: Family, product: Product, site: str) -> None:
    company = GERMAN_COMPANY if site == "TUT" else COMPANY
    for market in family.markets:
        at = world.ago(380)
        number = int(world.number("gtin", 5).removeprefix("gtin"))
        unit_di = gtin14(0, company, number)
        values: Values = {
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
