"""The pack's plant with one person in every role, whose login is the role's name, for acceptance runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from tests.integration.pack_world import pack
from tests.integration.process_world import Works, at_work
from tests.integration.write_journey import Plant

from clew.metadata.processes import Flow
from clew.process import jobs


def roles_of(flow: Flow) -> set[str]:
    """Every role that a step of a flow asks."""
    found: set[str] = set()
    for step in flow.steps.values():
        if step.who is not None:
            found |= set(step.who.roles)
        if step.approval is not None:
            found |= {*step.approval.posts, *(post for post, _ in step.approval.also)}
            found |= {step.approval.among} - {""}
        for inner in step.flows.values():
            found |= roles_of(inner)
    return found


def staffed(plant: Plant, *more: str) -> Works:
    """Everybody whom the pack's processes ask; `more` are people without a part in them."""
    made = at_work(plant, pack(), ())
    roles = set[str]().union(*(roles_of(each.flow) for each in pack().workflows.values()))
    boards = {"ccb_member", "mrb_member"}
    for role in sorted(roles - boards):
        made.hire(role, role, *sorted(boards))
    for login in more:
        made.hire(login)
    return made


async def done(made: Works, login: str, outcome: str = "done", step: str | None = None, **given: Any) -> None:
    """Somebody does the one open task they have, or that of this step; what follows by itself is done as well."""
    open_tasks = [each for each in await made.tasks(login) if step is None or each["step"].split("/")[-1] == step]
    (task,) = open_tasks
    comment = given.pop("comment", "")
    await made.processes.decide(made.call(login), task["id"], outcome, given, comment)
    await jobs.drain(made.processes)


async def record(made: Works, entity: str, record_id: UUID) -> Mapping[str, Any]:
    return (await made.plant.current(entity))[record_id]


async def only(made: Works, entity: str) -> Mapping[str, Any]:
    (found,) = (await made.plant.current(entity)).values()
    return found


async def moved(made: Works, login: str, entity: str, record_id: UUID, *moves: str) -> None:
    """Transitions by hand, each at the record's present version."""
    for move in moves:
        version = (await record(made, entity, record_id))["row_version"]
        await made.plant.commands.transition(made.call(login), entity, record_id, move, version)
    await jobs.drain(made.processes)


async def ends(made: Works) -> dict[str, tuple[str, str]]:
    """Workflow → how its instances stand."""
    return {each["workflow"]: (each["status"], each["outcome"]) for each in await made.instances()}
