"""Where and since when a process is in use: elsewhere it does not begin, and the trail says that it did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from clew.audit.trail import record_event
from clew.kernel.text import Bilingual
from clew.metadata.processes import Active, Workflow
from clew.process import store
from clew.process.effects import locked
from clew.process.errors import NotAsItStands, NotInUse
from clew.records.unit import Unit

if TYPE_CHECKING:
    from clew.process.engine import Processes

By = Literal["event", "calendar", "alert", "process"]
"""What called for a process."""
PASSED_OVER = "process:not_started"
"""The event in the trail of the record that a process would have been about."""


async def in_use(unit: Unit, workflow: Workflow, record: Mapping[str, Any]) -> bool:
    """Whether a process may begin about a record today. What has begun is not asked again."""
    if workflow.active is None:
        return True
    entity = unit.engine.blueprint.entities[workflow.entity]
    return await unit.judge.holds(workflow.active.when, entity, dict(record))


async def require_in_use(unit: Unit, workflow: Workflow, record: Mapping[str, Any]) -> None:
    """Raises NotInUse, which says where and since when it is, and NotAsItStands where no person begins it about a
    record like this one (`when` of the start)."""
    if workflow.active is not None and not await in_use(unit, workflow, record):
        raise NotInUse(workflow=workflow.label, where=where(workflow.active))
    entity = unit.engine.blueprint.entities[workflow.entity]
    by_people = [each for each in workflow.starts if not each.verb and each.schedule is None]
    for each in by_people:
        if each.when is None or await unit.judge.holds(each.when, entity, dict(record)):
            return
    if by_people:
        raise NotAsItStands(workflow=workflow.label)


async def begin_where_used(engine: Processes, unit: Unit, workflow: str, record_id: UUID, by: By) -> bool:
    """Begin a process that something called for; none where one lives on the record already, or where the process is
    not in use, which the record's trail then says. Whether it is in use."""
    if await store.live_on(unit.connection, record_id, workflow) is not None:
        return True
    definition = engine.blueprint.workflows[workflow]
    if definition.active is not None:
        record = await locked(unit, engine.blueprint.entities[definition.entity], record_id)
        if not await in_use(unit, definition, record):
            await passed_over(unit, engine.release, definition, (definition.entity, record_id), by)
            return False
    await engine.begin(unit, definition, record_id)
    return True


async def passed_over(
    unit: Unit,
    release: str,
    workflow: Workflow,
    about: tuple[str, UUID | None],
    by: By,
) -> None:
    """The trail says which process did not begin although something called for it. `about`: entity and record."""
    active = workflow.active
    assert active is not None
    particulars = {
        "workflow": workflow.name,
        "by": by,
        "sites": ", ".join(active.sites) or None,
        "from": active.since or None,
    }
    await record_event(unit.connection, unit.context, release, PASSED_OVER, about[0], about[1], particulars)


def where(active: Active) -> Bilingual:
    """The sites and the first day in words."""
    zh = [f"场所 {'、'.join(active.sites)}"] if active.sites else []
    en = [f"at {', '.join(active.sites)}"] if active.sites else []
    if active.since:
        zh.append(f"自 {active.since} 起")
        en.append(f"from {active.since}")
    return Bilingual(",".join(zh), " ".join(en))
