"""In whose place a caller does a task, and whether it is still theirs to do."""

from __future__ import annotations

from dataclasses import replace

from clew.identity import accounts
from clew.kernel.context import Person
from clew.kernel.ids import id_of
from clew.metadata.processes import Step, Workflow
from clew.process.behalf import Standing, asked_roles
from clew.process.errors import NotYourTask
from clew.process.staff import Demand, Staff
from clew.process.state import Task
from clew.process.store import Instance
from clew.records.unit import Unit


async def stand_in(
    unit: Unit, definition: Workflow, staff: Staff, instance: Instance, number: int, stands: Standing
) -> str | None:
    """For whom the caller does a task of an instance, None if it is their own; what is written from here on says so: in
    the trail, the ledger of duties, a signature. Raises NotYourTask where they have lost the role it was asked of."""
    task, person = instance.state.tasks.get(number), str(unit.context.person.id)
    if task is None:
        return None
    step = definition.step(task.step)
    behalf = stands.behalf(person, task, step, instance.site)
    if behalf is None and task.status == "open":
        await _still(unit, step, staff, instance, task, stands)
    given = behalf or (task.behalf if task.assignee == person else None)
    account = await accounts.find(unit.connection, id_of(given)) if given else None
    if account is not None:
        lender = Person(account.id, account.login, account.name, employee=account.employee)
        unit.context = replace(unit.context, on_behalf_of=lender)
    return behalf


async def _still(unit: Unit, step: Step, staff: Staff, instance: Instance, task: Task, stands: Standing) -> None:
    """Whoever was asked as the holder of a role holds it still: a role that was lost takes its tasks along at once,
    before anybody has offered them to others."""
    roles, person = asked_roles(task, step), unit.context.person.id
    if not roles or (step.who is not None and step.who.named):
        return
    among = step.approval.among if step.approval is not None else ""
    demand = Demand(tuple(sorted(roles)), site=instance.site, among=among)
    mine = str(person) in (*task.candidates, task.assignee)
    held = stands.holds(roles, among, instance.site)
    if mine and not held and not await staff.holds(unit.connection, person, demand, unit.at):
        raise NotYourTask
