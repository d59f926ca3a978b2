"""Who the group is: legal entities, sites, calendars, departments, people, roles, training, units, locations."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from demo_group.world import Values, World, mod10, social_credit_code

SITES = {
    "SUZ": ("苏州工厂", "CN", "Asia/Shanghai"),
    "CTU": ("成都工厂", "CN", "Asia/Shanghai"),
    "TUT": ("Werk Tuttlingen", "DE", "Europe/Berlin"),
}
FAMILY_NAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN_NAMES = (
    "伟",
    "芳",
    "娜",
    "敏",
    "静",
    "磊",
    "洋",
    "艳",
    "勇",
    "军",
    "杰",
    "娟",
    "涛",
    "明",
    "超",
    "秀英",
    "建国",
    "志强",
    "雨桐",
    "子涵",
)
GERMAN_NAMES = (
    "Anna Bauer",
    "Jonas Keller",
    "Lena Vogt",
    "Paul Maier",
    "Mia Schäfer",
    "Felix Braun",
    "Laura Huber",
    "Max Weiß",
    "Sophie Roth",
    "Tim Krüger",
    "Clara Fuchs",
    "Lukas Stein",
    "Nina Lorenz",
    "Erik Jansen",
    "Eva Seidel",
    "Jan Böhm",
)
JOBS = {
    "rd_engineer": ("rd", 2),
    "project_manager": ("rd", 1),
    "ra_specialist": ("ra", 1),
    "ra_manager": ("ra", 1),
    "safety_officer": ("ra", 1),
    "qa_manager": ("qa", 1),
    "quality_engineer": ("qa", 2),
    "authorised_releaser": ("qa", 1),
    "doc_controller": ("qa", 1),
    "change_coordinator": ("qa", 1),
    "data_steward": ("it", 1),
    "qc_inspector": ("qc", 3),
    "metrologist": ("qc", 2),
    "production_supervisor": ("prod", 2),
    "operator": ("prod", 5),
    "process_engineer": ("process", 1),
    "planner": ("plan", 1),
    "buyer": ("purchase", 1),
    "sqe": ("purchase", 1),
    "warehouse": ("wh", 2),
    "sales": ("sales", 1),
    "service_engineer": ("service", 1),
    "finance": ("finance", 1),
    "compliance_officer": ("qa", 1),
    "auditor": ("qa", 1),
    "business_analyst": ("it", 1),
    "sys_admin": ("it", 1),
    "management_representative": ("qa", 1),
}
HEAD = "department_head"
"""The head of a site, and of each of its departments."""
DEPARTMENTS = {
    "rd": ("研发部", "R&D"),
    "ra": ("法规部", "Regulatory affairs"),
    "qa": ("质量保证部", "Quality assurance"),
    "qc": ("质量控制部", "Quality control"),
    "prod": ("生产部", "Production"),
    "process": ("工艺部", "Process engineering"),
    "plan": ("计划部", "Planning"),
    "purchase": ("采购部", "Purchasing"),
    "wh": ("仓储部", "Warehouse"),
    "sales": ("销售部", "Sales"),
    "service": ("售后服务部", "Service"),
    "finance": ("财务部", "Finance"),
    "it": ("信息部", "IT"),
}
UNITS = (
    ("pcs", "件", "piece", "count", "1", 0),
    ("set", "套", "set", "count", "1", 0),
    ("box", "盒", "box", "count", "10", 0),
    ("mm", "毫米", "millimetre", "length", "0.001", 3),
    ("m", "米", "metre", "length", "1", 3),
    ("g", "克", "gram", "mass", "0.001", 3),
    ("kg", "千克", "kilogram", "mass", "1", 4),
    ("ml", "毫升", "millilitre", "volume", "0.001", 3),
    ("l", "升", "litre", "volume", "1", 3),
    ("min", "分钟", "minute", "time", "60", 2),
    ("h", "小时", "hour", "time", "3600", 2),
    ("day", "天", "day", "time", "86400", 0),
    ("degC", "摄氏度", "degree Celsius", "temp", "1", 1),
    ("kPa", "千帕", "kilopascal", "pressure", "1000", 3),
)
LOCATIONS = {
    "raw": ("原材料库", "Raw material"),
    "wip": ("在制品区", "Work in process"),
    "finished": ("成品库", "Finished goods"),
    "quarantine": ("待检区", "Quarantine"),
    "rejected": ("不合格品区", "Rejected"),
    "returned": ("退货区", "Returned goods"),
    "recalled": ("召回区", "Recalled goods"),
}
PUBLIC_HOLIDAYS_CN_2026 = (
    ("2026-01-01", "2026-01-03", "元旦"),
    ("2026-02-15", "2026-02-23", "春节"),
    ("2026-04-04", "2026-04-06", "清明节"),
    ("2026-05-01", "2026-05-05", "劳动节"),
    ("2026-06-19", "2026-06-21", "端午节"),
    ("2026-09-25", "2026-09-27", "中秋节"),
    ("2026-10-01", "2026-10-07", "国庆节"),
)
MAKE_UP_DAYS_CN_2026 = ("2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10")
PUBLIC_HOLIDAYS_DE_2026 = (
    "2026-01-01",
    "2026-01-06",
    "2026-04-03",
    "2026-04-06",
    "2026-05-01",
    "2026-05-14",
    "2026-05-25",
    "2026-06-04",
    "2026-10-03",
    "2026-11-01",
    "2026-12-25",
    "2026-12-26",
)
SHIFT = {"CN": "08:30-12:00, 13:00-17:30", "DE": "08:00-12:00, 12:45-16:45"}
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday")


async def organisation(world: World) -> None:
    """Legal entities, calendars, sites, departments, locations, units, people."""
    _units(world)
    _sites(world)
    for code in SITES:
        _departments(world, code)
        _staff(world, code)
        _locations(world, code)
    _roles(world)
    _training(world)


def _units(world: World) -> None:
    for code, zh, en, dimension, factor, decimals in UNITS:
        name = {"zh": zh, "en": en}
        values: Values = {"name": name, "dimension": dimension, "factor": Decimal(factor), "decimals": decimals}
        world.remember("unit", code, world.add("unit", world.ago(420), code=code, **values))


def _sites(world: World) -> None:
    at = world.ago(419)
    entities = {
        "CN": ("CN01", "明德医疗科技(苏州)有限公司", "91320594MA1NXY001"),
        "CN2": ("CN02", "明德医疗器械(成都)有限公司", "91510100MA6CXY002"),
        "DE": ("DE01", "Mingde Medizintechnik GmbH", ""),
    }
    for key, (code, name, body) in entities.items():
        world.remember(
            "legal_entity",
            key,
            world.add(
                "legal_entity",
                at,
                code=code,
                name=name,
                uscc=social_credit_code(body) if body else None,
                country=key[:2],
                roles=("manufacturer", "registrant")
                if key != "CN2"
                else ("contract_manufacturer", "manufacturer", "registrant"),
                address="工业园区创新路 8 号" if body else "Industriestraße 5, Tuttlingen",
            ),
        )
    for number, (code, (name, country, zone)) in enumerate(SITES.items()):
        owner = {"SUZ": "CN", "CTU": "CN2", "TUT": "DE"}[code]
        calendar = _calendar(world, code, country, zone)
        gln = f"69012345{number:04d}"
        body = entities[owner][2]
        world.sites[code] = world.add(
            "site",
            at,
            code=code,
            name=name,
            legal_entity=world.ids["legal_entity", owner],
            country=country,
            tz=zone,
            uscc=social_credit_code(body) if body else None,
            calendar=calendar,
            gln=gln + mod10(gln),
        )


def _calendar(world: World, code: str, country: str, zone: str) -> UUID:
    at = world.ago(420)
    calendar = world.add("working_calendar", at, to="published", code=f"CAL-{code}", valid_year=2026, tz=zone)
    for weekday in WEEK:
        world.add("working_calendar_week_pattern", at, owner=calendar, weekday=weekday, intervals=SHIFT[country])
    if country == "CN":
        for first, last, name in PUBLIC_HOLIDAYS_CN_2026:
            day = date.fromisoformat(first)
            while day <= date.fromisoformat(last):
                world.add("working_calendar_exceptions", at, owner=calendar, date=day, working=False, note=name)
                day += timedelta(days=1)
        for text in MAKE_UP_DAYS_CN_2026:
            world.add(
                "working_calendar_exceptions",
                at,
                owner=calendar,
                date=date.fromisoformat(text),
                working=True,
                intervals=SHIFT["CN"],
                note="调休上班",
            )
    else:
        for text in PUBLIC_HOLIDAYS_DE_2026:
            world.add(
                "working_calendar_exceptions",
                at,
                owner=calendar,
                date=date.fromisoformat(text),
                working=False,
                note="Feiertag",
            )
    return calendar


def _departments(world: World, code: str) -> None:
    top = world.add(
        "department",
        world.ago(418),
        site=world.sites[code],
        code="GM",
        name="总经办" if code != "TUT" else "Werkleitung",
        function="it",
    )
    head = _employee(world, code, HEAD, top, "王建国" if code != "TUT" else "Karl Seidel", f"GM-{code}")
    for function, (zh, en) in DEPARTMENTS.items():
        name = zh if code != "TUT" else en
        world.remember(
            "department",
            f"{code}:{function}",
            world.add(
                "department",
                world.ago(418),
                site=world.sites[code],
                code=function.upper(),
                name=name,
                parent=top,
                manager=head,
                function=function,
            ),
        )


def _staff(world: World, code: str) -> None:
    german = iter(GERMAN_NAMES * 3)
    for job, (function, count) in JOBS.items():
        for index in range(count):
            name = next(german) if code == "TUT" else world.pick(FAMILY_NAMES) + world.pick(GIVEN_NAMES)
            number = str(index + 1) if count > 1 else ""
            department = world.ids["department", f"{code}:{function}"]
            _employee(world, code, job, department, name, world.number("E", 5), number)


def _employee(world: World, code: str, job: str, department: UUID, name: str, emp_no: str, number: str = "") -> UUID:
    """Somebody with a job at a site, who may sign. Returns the employee."""
    login = f"{job}.{code}".lower() + number
    born = world.ago(417)
    person = world.add(
        "employee",
        born,
        to="active",
        emp_no=emp_no,
        login_id=login,
        printed_name=name,
        department=department,
        email=f"{login}@mingde.example",
        hired_on=world.day(900),
        id_verified_at=born,
        esig_statement_at=born + timedelta(hours=1),
    )
    world.people[code, job].append(person)
    return person


def _locations(world: World, code: str) -> None:
    for number, (kind, (zh, en)) in enumerate(LOCATIONS.items(), 1):
        world.places[code, kind] = world.add(
            "location",
            world.ago(416),
            site=world.sites[code],
            code=f"{code}-{number:02d}",
            name=zh if code != "TUT" else en,
            type=kind,
            sellable=kind == "finished",
            temp_min=Decimal("15.0"),
            temp_max=Decimal("25.0"),
        )


def _roles(world: World) -> None:
    granter = world.person("SUZ", "compliance_officer")
    labels = world.blueprint.code_lists["job_role"].codes
    for job in (*JOBS, HEAD):
        role = world.add("role", world.ago(415), to="active", code=job, name=labels[job].label.zh)
        world.remember("role", job, role)
        for code in SITES:
            for person in world.people[code, job]:
                if person != granter:
                    at = world.ago(410)
                    world.add(
                        "role_assignment",
                        at,
                        to="active",
                        employee=person,
                        role=role,
                        scope_site=world.sites[code],
                        kind="permanent",
                        valid_from=world.day(410),
                        valid_to=world.day(-700),
                        granted_by=granter,
                    )


def _training(world: World) -> None:
    courses = {
        "GMP": ("GMP 基础", "quiz"),
        "CLEAN": ("洁净区行为规范", "practical"),
        "ESIG": ("电子签名与数据可靠性", "read"),
    }
    for code, (name, assess) in courses.items():
        course = world.add(
            "training_course",
            world.ago(400),
            to="effective",
            code=code,
            name=name,
            assess=assess,
            validity_months=24,
            pass_score=Decimal("80.0"),
        )
        world.remember("training_course", code, course)
        for site in SITES:
            trainer = world.person(site, "quality_engineer")
            for job in ("operator", "qc_inspector", "production_supervisor"):
                for person in world.people[site, job]:
                    done = world.ago(world.rng.randrange(60, 380))
                    world.add(
                        "training_record",
                        done - timedelta(days=7),
                        to="passed",
                        within=7,
                        employee=person,
                        course=course,
                        attempt=1,
                        score=world.decimal(82, 100, 1),
                        completed_at=done,
                        trainer=trainer,
                        expires_on=done.date() + timedelta(days=730),
                    )
