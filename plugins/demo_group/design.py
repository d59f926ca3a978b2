"""What is being developed: design projects with inputs, outputs, reviews, verification, risks and tasks."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from demo_group.people import SITES
from demo_group.world import Values, World

PROJECTS = {
    "SUZ": ("可降解支架", "CS", "verification"),
    "CTU": ("智能输液泵", "IV", "output"),
    "TUT": ("Wearable monitor", "MO", "input"),
}
TASKS = (("编制设计计划", 0, 20), ("完成设计输入", 20, 60), ("样机试制", 60, 150), ("设计验证", 150, 260))


async def development(world: World) -> None:
    """A design project under way at each site, each further on than the next."""
    for number, code in enumerate(SITES):
        name, family, phase = PROJECTS[code]
        at = world.ago(200 - number * 20)
        project = world.add(
            "design_project",
            at,
            name=name,
            family=family,
            leader=world.person(code, "project_manager"),
            members=list(world.people[code, "rd_engineer"]),
            phase=phase,
        )
        inputs = _inputs(world, project, at)
        _risks(world, project, at)
        _tasks(world, code, project, at)
        _review(world, code, project, at + timedelta(days=30))
        if phase != "input":
            _outputs(world, code, project, family, inputs, at + timedelta(days=60))


def _inputs(world: World, project: UUID, at: datetime) -> list[UUID]:
    found = []
    for index in range(6):
        born = at + timedelta(days=3 + index)
        text = f"需求 {index + 1}:应满足临床使用要求。"
        source = world.pick(("customer", "clinical", "regulatory"))
        wish: Values = {"project": project, "priority": "must", "source": source, "text": text}
        requirement = world.add("requirement", born, to="accepted", **wish)
        found.append(
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
        )
    return found


def _risks(world: World, project: UUID, at: datetime) -> None:
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


def _tasks(world: World, code: str, project: UUID, at: datetime) -> None:
    before: list[UUID] = []
    for name, first, last in TASKS:
        start, end = at.date() + timedelta(days=first), at.date() + timedelta(days=last)
        state = "done" if end < world.today else "in_progress" if start <= world.today else None
        actual: Values = {"actual_start": start} if state else {}
        if state == "done":
            actual |= {"actual_end": end, "progress": 100}
        task = world.add(
            "project_task",
            at,
            to=state,
            within=last,
            project=project,
            name=name,
            milestone=False,
            responsible=world.person(code, "rd_engineer"),
            planned_start=start,
            planned_end=end,
            effort_planned=Decimal(80),
            depends_on=before,
            **{"progress": 0, **actual},
        )
        before = [task]


def _review(world: World, code: str, project: UUID, at: datetime) -> None:
    review = world.add(
        "design_review",
        at,
        to="concluded",
        within=4,
        project=project,
        phase="input",
        participants=[*world.people[code, "rd_engineer"], world.person(code, "quality_engineer")],
        independent_reviewer=world.person(code, "qa_manager"),
        held_on=at.date(),
        minutes="设计输入完整、无矛盾、可验证。",
        conclusion="conditional",
    )
    action: Values = {"what": "补充跌落试验输入", "due": at.date() + timedelta(days=14), "done": True}
    world.add("design_review_actions", at, owner=review, who=world.person(code, "rd_engineer"), **action)


def _outputs(world: World, code: str, project: UUID, family: str, inputs: list[UUID], at: datetime) -> None:
    output = world.add(
        "design_output",
        at,
        to="approved",
        within=5,
        project=project,
        inputs=inputs[:3],
        document_revision=world.ids["document_revision", f"{family}:spec"],
        essential=True,
    )
    world.add(
        "verification",
        at + timedelta(days=10),
        to="reported",
        within=12,
        project=project,
        inputs=inputs[:3],
        outputs=[output],
        protocol=world.ids["document_revision", f"{family}:protocol"],
        report=world.ids["document_revision", f"{family}:report"],
        sample_size=30,
        rationale="置信度 95%,可靠度 90%。",
        executed_on=(at + timedelta(days=18)).date(),
        tester=world.person(code, "rd_engineer"),
        report_approver=world.person(code, "qa_manager"),
        result="pass",
    )
