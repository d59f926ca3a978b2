"""What keeps quality: audits and their findings, improvements, requests to suppliers, watched rooms, regulations."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from clew.records.values import AnyRef, Money
from demo_group.people import SITES
from demo_group.world import Values, World

POINTS = (
    ("洁净室 101 温度", "temperature", "degC", 18, 26, "21", "24"),
    ("洁净室 101 湿度", "humidity", "percent", 45, 65, "48", "62"),
    ("洁净室 101 压差", "pressure", "Pa", 10, None, "12", "20"),
)
REGULATIONS = (
    ("GB 9706.1", "2020", "医用电气设备 第1部分", "mandatory_standard", ("CN",)),
    ("YY/T 0287", "2017", "医疗器械 质量管理体系 用于法规的要求", "recommended_standard", ("CN",)),
    ("EU MDR", "2017/745", "Regulation on medical devices", "law", ("EU",)),
    ("21 CFR 820", "2026", "Quality management system regulation", "law", ("US",)),
)


async def quality(world: World) -> None:
    """Needs suppliers, registrations, changes and nonconformances."""
    for number, code in enumerate(SITES):
        _audit(world, code, number)
        _watch(world, code)
    _supplier_requests(world)
    regulations = _regulations(world)
    _filings(world, regulations)


def _audit(world: World, code: str, number: int) -> None:
    at = world.ago(180 - number * 20)
    started, ended = at.date() + timedelta(days=5), at.date() + timedelta(days=7)
    closed = number != 2
    auditors = [world.person(code, "auditor")]
    audit = world.add(
        "quality_audit",
        at,
        to="closed" if closed else "reported",
        within=60,
        kind="internal",
        subject="年度内部审核",
        audited_site=world.sites[code],
        department=world.ids["department", f"{code}:prod"],
        year=world.today.year,
        criteria="ISO 13485:2016",
        lead_auditor=world.person(code, "management_representative"),
        auditors=auditors,
        planned_on=started,
        started_on=started,
        ended_on=ended,
        inputs="上次审核结果、变更、投诉趋势",
        conclusion="体系运行有效,发现两项不符合。",
    )
    for index, (grade, clause) in enumerate((("minor", "7.5.1"), ("opportunity", "8.2.1"))):
        state = "closed" if closed else ("answered", None)[index]
        finding = world.add(
            "audit_finding",
            at + timedelta(days=7),
            to=state,
            within=40,
            quality_audit=audit,
            grade=grade,
            clause=clause,
            finding="现场清场记录有一处未及时签名。",
            responsible=world.person(code, "production_supervisor"),
            due=ended + timedelta(days=30),
            cause="换班交接不清。",
            correction="补充交接签名栏并培训。" if state else None,
            verified_by=world.person(code, "quality_engineer") if closed else None,
        )
        if grade == "opportunity":
            _improvement(world, code, finding, number)


def _improvement(world: World, code: str, finding: UUID, number: int) -> None:
    at = world.ago(100 - number * 20)
    state = ("closed", "accepted", None)[number]
    world.add(
        "improvement",
        at,
        to=state,
        within=50,
        source="audit",
        subject="投诉趋势每周自动汇总",
        process="P7",
        proposer=world.person(code, "quality_engineer"),
        problem="趋势按月手工统计,发现问题偏晚。",
        proposal="由系统每周汇总并提醒。",
        saving=Money(Decimal(20000), "EUR" if code == "TUT" else "CNY"),
        responsible=world.person(code, "qa_manager") if state else None,
        decision="同意实施" if state else None,
        due=world.day(-30) if state else None,
        result="提前两周发现封口异常趋势。" if state == "closed" else None,
        finding=finding,
    )


def _watch(world: World, code: str) -> None:
    """A month of readings of a clean room."""
    for day in range(30, 0, -1):
        at = world.ago(day)
        for point, parameter, unit, low, high, least, most in POINTS:
            world.add(
                "environment_record",
                at,
                site=world.sites[code],
                point=point,
                location=world.places[code, "wip"],
                parameter=parameter,
                value=world.decimal(float(least), float(most), 1),
                unit=unit,
                lower_limit=Decimal(low),
                upper_limit=Decimal(high) if high else None,
                at=at,
                measured_by=world.person(code, "qc_inspector"),
                source="equipment",
            )


def _supplier_requests(world: World) -> None:
    """The worst scorecards have their consequence."""
    worst = sorted(world.known["supplier_scorecard"], key=lambda each: Decimal(each[1]["score"]))[:4]
    for number, (scorecard, values) in enumerate(worst):
        state, at = ("closed", "answered", "issued", None)[number], world.ago(50 - number * 10)
        answered = state in ("closed", "answered")
        world.add(
            "scar",
            at,
            to=state,
            within=9,
            site=world.sites["SUZ"],
            supplier=values["supplier"],
            scorecard=scorecard,
            subject="准时交付率与批合格率偏低",
            issued_on=at.date() if state else None,
            due=at.date() + timedelta(days=30),
            answer="增加出货检验并调整排产。" if answered else None,
            answered_on=at.date() + timedelta(days=5) if answered else None,
            verdict="effective" if state == "closed" else None,
        )


def _regulations(world: World) -> list[UUID]:
    found = []
    for code, version, name, kind, markets in REGULATIONS:
        check = AnyRef("change_request", world.known["change_request"][0][0])
        found.append(
            world.add(
                "regulation_item",
                world.ago(395),
                to="active",
                within=10,
                code=code,
                version=version,
                name=name,
                kind=kind,
                markets=markets,
                published_on=world.day(2000),
                effective_on=world.day(900),
                responsible=world.person("SUZ", "ra_specialist"),
                gap_check=check if kind == "mandatory_standard" else None,
                file=world.file(f"{code}.pdf"),
            )
        )
    return found


def _filings(world: World, regulations: list[UUID]) -> None:
    """A change of a registration on its way through the authority, and one still being compiled."""
    registrations = [each for each in world.known["registration"] if each[1]["kind"] == "NMPA_reg"][:2]
    for number, (registration, values) in enumerate(registrations):
        at, done = world.ago(90 - number * 40), number == 0
        dossier = world.add(
            "registration_dossier",
            at,
            to="submitted" if done else "compiling",
            within=20,
            subject="变更注册:增加型号",
            market="CN",
            kind="change",
            items=values["items"][:1],
            registration=registration,
            compiled_by=world.person("SUZ", "ra_specialist"),
            signed_by=world.person("SUZ", "ra_manager") if done else None,
            submitted_at=at + timedelta(days=20) if done else None,
            snapshot_sha256=world.sha256 if done else None,
        )
        papers = [identity for identity, _ in world.known["document_revision"]]
        for node, toc in enumerate(("产品技术要求", "风险管理资料", "临床评价资料", "说明书和标签样稿")):
            ok = done or node < 2
            paper = papers[node] if ok else None
            part: Values = {"toc": toc, "document_revision": paper, "not_applicable": False, "ok": ok}
            world.add("registration_dossier_nodes", at, owner=dossier, **part)
        trigger = AnyRef("regulation_item", regulations[0]) if done else AnyRef("registration", registration)
        task = world.add(
            "filing_task",
            at,
            to="submitted" if done else None,
            within=21,
            subject="变更注册申报",
            market="CN",
            dossier=dossier,
            registration=registration,
            renewal=False,
            trigger=trigger,
            responsible=world.person("SUZ", "ra_specialist"),
            due=world.day(-60),
            submitted_on=at.date() + timedelta(days=21) if done else None,
        )
        if done:
            asked = at.date() + timedelta(days=40)
            question: Values = {"question": "请补充新增型号的疲劳试验报告。", "asked_on": asked}
            world.add("filing_task_authority_qa", at, owner=task, due=asked + timedelta(days=60), **question)
