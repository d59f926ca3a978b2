"""What goes wrong and comes back: nonconformances, deviations, complaints, events, returns, service, a recall."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.making import Made
from demo_group.sales import Shipped
from demo_group.world import Values, World

COUNTRY = {"CN": "CN", "EU": "DE", "US": "US"}


async def trouble(world: World, made: Sequence[Made], shipped: Sequence[Shipped]) -> None:
    """Nonconformances, a CAPA, complaints, a reported event and a recall under way."""
    known = reasons(world)
    defects = [known[code] for code in ("DIM", "SEAL", "LABEL", "PART", "FUNC")]
    for number, lot in enumerate(made[:: max(1, len(made) // 14)]):
        _nonconformance(world, lot, defects[number % len(defects)], number)
    harmed = shipped[:: max(1, len(shipped) // 9)]
    complaints = [_complaint(world, each, number) for number, each in enumerate(harmed)]
    if complaints:
        _capa(world, harmed[0].site, complaints[0])
        _recall(world, harmed[0], complaints[0])
        _return(world, harmed[-1], complaints[-1], known["RETURN"])
    _service(world, [each for each in shipped if each.serial])
    _deviations(world, made, known["DEVIATION"])
    await world.breathe()


def reasons(world: World) -> dict[str, UUID]:
    """Reason codes by code."""
    names = {
        "DIM": ("defect", "尺寸超差", "Dimension out of limits"),
        "SEAL": ("defect", "封口不良", "Poor seal"),
        "LABEL": ("defect", "标签错误", "Wrong label"),
        "PART": ("defect", "异物", "Foreign particle"),
        "FUNC": ("defect", "功能异常", "Malfunction"),
        "RETURN": ("return", "质量退货", "Returned for quality"),
        "DEVIATION": ("deviation", "超出工艺窗口", "Outside the process window"),
    }
    found: dict[str, UUID] = {}
    for code, (kind, zh, en) in names.items():
        values: Values = {"kind": kind, "code": code, "name": {"zh": zh, "en": en}, "severity_default": "major"}
        found[code] = world.add("reason_code", world.ago(400), **values)
    return found


def _nonconformance(world: World, lot: Made, defect: UUID, number: int) -> None:
    family = lot.product.family
    site, at = family.site, lot.released - timedelta(days=10)
    goal = ("closed", "verified", "executing", "board", "investigating", "contained", "open")[number % 7]
    critical = number % 6 == 5
    late: Values = {
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


def _complaint(world: World, shipped: Shipped, number: int) -> UUID:
    family, at = shipped.made.product.family, world.ago(max(1.0, 60 - number * 6.5))
    market = family.markets[0]
    goal = ("decided", "investigating", "triaged", "received")[number % 4]
    serious, chinese = number % 3 == 0, market == "CN"
    complaint = world.add(
        "complaint",
        at,
        to=None if goal == "received" else goal,
        within=2,
        site=world.sites[shipped.site],
        aware_at=at - timedelta(hours=5),
        received_on=at.date(),
        device_name=family.zh,
        item=shipped.made.product.item,
        udi=shipped.udi,
        lot=shipped.made.lot,
        customer=shipped.customer,
        complainant_name="王医生" if chinese else "Dr. Weber",
        complainant_phone="010-55550123",
        complainant_address="心内科导管室" if chinese else "Kardiologie",
        description="使用中出现异常,患者需要额外处置。" if serious else "术中发现产品异常,未对患者造成进一步影响。",
        country=COUNTRY[market],
        harm="serious" if serious else "none",
        investigate=True,
    )
    for each in family.markets:
        world.add(
            "complaint_reportability",
            at,
            owner=complaint,
            market=each,
            decision="reportable" if serious and each == market else "not_reportable",
            decided_by=world.person(shipped.site, "safety_officer"),
            decided_at=at,
        )
    if serious:
        _report_event(world, shipped.site, complaint, market, at)
    return complaint


def _report_event(world: World, site: str, complaint: UUID, market: str, at: datetime) -> None:
    aware = at - timedelta(hours=5)
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
        aware_at=aware,
        aware_on=aware.date(),
        kind="initial",
        narrative="患者在使用中出现异常,处置后恢复。",
        production_stopped=False,
        compiled_by=world.person(site, "safety_officer"),
    )


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


def _recall(world: World, shipped: Shipped, complaint: UUID) -> None:
    lot, customer = shipped.made, shipped.customer
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


def _return(world: World, shipped: Shipped, complaint: UUID, reason: UUID) -> None:
    at, item = world.ago(9), shipped.made.product.item
    goods = world.add(
        "return_authorisation",
        at,
        to="inspected",
        within=5,
        later={"received": {"received_at": at + timedelta(days=3)}},
        site=world.sites[shipped.site],
        customer=shipped.customer,
        shipment=shipped.shipment,
        complaint=complaint,
        reason=reason,
        location=world.places[shipped.site, "returned"],
        decontaminated=True,
        inspected_by=world.person(shipped.site, "qc_inspector"),
    )
    line: Values = {"item": item, "lot": shipped.made.lot, "serial": shipped.serial, "disposition": "investigate"}
    one = Decimal(1)
    world.add("return_authorisation_lines", at, owner=goods, qty=one, received_qty=one, condition="外包装破损", **line)


def _service(world: World, units: Sequence[Shipped]) -> None:
    """Installations and repairs of devices with serial numbers."""
    for number, shipped in enumerate(units[:8]):
        at = min(shipped.at + timedelta(days=9), world.ago(2))
        order = world.add(
            "service_order",
            at,
            to=("closed", "reviewed", "done", None)[number % 4],
            within=4,
            site=world.sites[shipped.site],
            customer=shipped.customer,
            kind="installation" if number % 2 == 0 else "repair",
            device_name=shipped.made.product.family.en,
            udi=shipped.udi,
            serial=shipped.serial,
            service_on=at.date(),
            technicians=[world.person(shipped.site, "service_engineer")],
            work_done="Installed, safety test per IEC 62353 passed, users instructed.",
            event_check=False,
        )
        reading: Values = {"name": "Earth leakage current", "value": world.decimal(0.02, 0.18, 3), "unit": "mA"}
        world.add("service_order_test_data", at, owner=order, **{**reading, "pass": True})
        if number % 2:
            spare = shipped.made.lot
            world.add("service_order_parts", at, owner=order, lot=spare, qty=Decimal(1))


def _deviations(world: World, made: Sequence[Made], reason: UUID) -> None:
    for number, lot in enumerate(made[:: max(1, len(made) // 4)]):
        planned, at = number % 2 == 1, lot.released - timedelta(days=11)
        bounds: Values = {"limit_qty": Decimal(lot.qty), "limit_until": at.date() + timedelta(days=30)}
        world.add(
            "deviation",
            at,
            to=("closed", "approved", "assessed", None)[number % 4],
            within=8,
            site=world.sites[lot.product.family.site],
            planned=planned,
            object=AnyRef("lot", lot.lot),
            reason=reason,
            description="封口温度短时低于设定值 2 ℃,仍在确认范围内。",
            occurred_at=at - timedelta(hours=2),
            impact="minor",
            assessment="对无菌屏障无影响,加严抽检。",
            action="维修温控器,复核首件。",
            **(bounds if planned else {}),
        )
