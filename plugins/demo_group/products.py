"""How the families came to be: documents, items and three-level structures, and the changes that introduced them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef, Money
from demo_group import methods
from demo_group.families import FAMILIES, Family, Introduction, Line, Product
from demo_group.world import Values, World


async def portfolio(world: World) -> list[Product]:
    """All families: documents, change, items, structures, routings, inspection plans, devices."""
    products: list[Product] = []
    for family in FAMILIES:
        products.extend(_family(world, family))
        await world.breathe()
    return products


def _family(world: World, family: Family) -> Iterator[Product]:
    born = 395.0
    change = introduction(world, family, born)
    code = family.site
    papers = {
        name: paper(world, change, family, kind, title)
        for name, kind, title in (
            ("sop", "WI", f"{family.zh}作业指导书"),
            ("label", "label_art", f"{family.zh}标签图稿"),
            ("spec", "spec", f"{family.zh}产品规格"),
            ("method", "SOP", f"{family.zh}检验操作规程"),
            ("protocol", "protocol", f"{family.zh}过程确认方案"),
            ("report", "report", f"{family.zh}过程确认报告"),
        )
    }
    machines = methods.machines(world, family, papers)
    pack = material(world, family, change, f"{family.zh} 吸塑盒", "packaging", "pcs", "C")
    label = material(world, family, change, f"{family.zh} 标签", "label", "pcs", "B")
    parts = [
        (
            material(world, family, change, name, "component" if unit in ("pcs", "set") else "raw", unit, grade),
            Decimal(qty),
        )
        for name, unit, qty, grade in family.parts
    ]
    for variant in family.variants[: world.size.products]:
        semi = material(world, family, change, f"{family.zh} {variant} 半成品", "semi", "pcs", "A")
        item = material(world, family, change, f"{family.zh} {variant}", "finished", "pcs", "A")
        upper = [(semi, Decimal(1), True), (pack, Decimal(1), False), (label, Decimal(1), True)]
        bom, lines = structure(world, family, change, item, upper)
        semi_bom, semi_lines = structure(world, family, change, semi, [(part, qty, True) for part, qty in parts])
        product = Product(family, item, semi, parts, pack, label, bom, semi_bom, lines, semi_lines)
        product.label_template = papers["label"]
        product.sterilisation = machines["validation"]
        methods.routing(world, family, change, product, papers, machines)
        methods.plan(world, family, change, product, papers)
        methods.devices(world, family, product, code)
        yield product


def introduction(world: World, family: Family, born: float) -> Introduction:
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
        class_="major",
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


def paper(world: World, change: Introduction, family: Family, kind: str, title: str) -> UUID:
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
    world.remember("document_revision", f"{family.code}:{kind}", revision)
    return revision


def material(
    world: World,
    family: Family,
    change: Introduction,
    name: str,
    kind: str,
    unit: str,
    grade: str,
    *,
    number: str | None = None,
) -> UUID:
    finished = kind == "finished"
    traced = kind not in ("packaging", "consumable")
    trace = family.trace if finished else ("lot" if traced else "none")
    cold = Decimal("2.0"), Decimal("30.0")
    at = world.ago(change.born + 6)
    classes = family.classes if finished else ("NA", "NA", "NA")
    uom = world.ids["unit", unit]
    given: Values = {} if number is None else {"item_no": number}
    item = world.add(
        "item",
        at,
        to="active",
        within=8,
        **given,
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
    if finished:
        box: Values = {"uom": world.ids["unit", "box"], "factor": Decimal(10)}
        world.add("item_unit_conversions", at, owner=item, **box)
    change.lists("item", item, "A")
    if not traced:
        world.untraced.add(item)
    return item


def structure(
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
