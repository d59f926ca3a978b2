"""Every example of docs/processes.md runs, in order, by the role it names; the Chinese page shows the same ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.at_work import PASSWORD, Firm, Refused, opened
from tests.acceptance.market_world import furnished
from tests.integration.pack_world import TODAY, pack

from clew.metadata import naming
from clew.process import jobs

pytestmark = pytest.mark.anyio
DOCS = Path(__file__).parents[2] / "docs"
_SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
_EXAMPLE = re.compile(r"```graphql\n# (\w+)\n(.+?)```", re.DOTALL)
_TIME = {"today": TODAY, "later": TODAY + timedelta(days=90), "now": datetime.now(UTC) - timedelta(hours=2)}


def sections(page: str) -> dict[str, list[tuple[str, str]]]:
    """Title → role and document of each example."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return {title: _EXAMPLE.findall(body) for title, body in _SECTION.findall(text)}


def test_both_languages_show_the_same_examples() -> None:
    assert list(sections("processes.md").values()) == list(sections("processes.zh.md").values())


TOGETHER = list(sections("processes.md"))[5:]
"""Sections that share one plant, furnished for the market."""


@pytest.mark.parametrize("title", [each for each in sections("processes.md") if each not in TOGETHER])
async def test_every_example_runs(title: str, new_database: Any) -> None:
    """As a reader does it: what the page calls a variable is looked up as the page says."""
    firm = await opened(new_database("sqlite"))
    for role, document in sections("processes.md")[title]:
        variables = await looked_up(firm, role, document)
        await firm.ask(role, document, **variables)
        await jobs.drain(firm.runtime.processes)
        # What waits for a day of the calendar has come by the time anybody looks again.
        await firm.time_passes(24)


async def test_a_lot_is_made_and_released(new_database: Any) -> None:
    firm = await furnished(new_database("sqlite"))
    for title in TOGETHER:
        for role, document in sections("processes.md")[title]:
            mutation = re.search(r"\{\s*(\w+)\(", document)
            assert mutation is not None
            if "$task" in document and mutation[1] not in map(step_mutation, await firm.tasks(role)):
                # What the calendar starts.
                await firm.time_passes(48)
            try:
                await firm.ask(role, document, **await looked_up(firm, role, document))
            except (Refused, ValueError) as problem:
                raise AssertionError(f"{title}: {role} {mutation[1]}: {problem}") from problem
            await jobs.drain(firm.runtime.processes)


async def looked_up(firm: Firm, role: str, document: str) -> dict[str, Any]:
    names = re.findall(r"\$(\w+):", document)
    found = {name: await value(firm, name) for name in names if name not in ("task", "version", "signature")}
    if "task" not in names:
        about = re.search(r"id: \$(\w+),\s+rowVersion: \$version", document)
        if about is not None:
            entity = next(each for each in pack().entities if naming.field_name(each) == about[1])
            found["version"] = (await firm.record(entity, found[about[1]]))["row_version"]
            if "signature" in names:
                move = next(
                    each
                    for each in pack().entities[entity].transitions.values()
                    if f"{naming.transition_mutation(entity, each.name)}(" in document
                )
                found |= await signed(firm, role, entity, found[about[1]], str(move.sign))
        return found
    mutation = re.search(r"\{\s*(\w+)\(", document)
    assert mutation is not None
    (task,) = [each for each in await firm.tasks(role) if step_mutation(each) == mutation[1]]
    found["task"] = task["id"]
    if "signature" in names:
        found |= await signed(firm, role, task["entity"], task["recordId"], task["sign"])
    return found


async def signed(firm: Firm, role: str, entity: str, record: Any, meaning: str) -> dict[str, Any]:
    """What is shown of a record, and the signature over it."""
    one = naming.field_name(entity)
    look = f"query($id: ID!) {{ {one}(id: $id) {{ rowVersion signable {{ digest }} }} }}"
    seen = (await firm.ask(role, look, id=record))[one]
    signature = {"login": role, "password": PASSWORD, "digest": seen["signable"]["digest"], "meaning": meaning}
    return {"version": seen["rowVersion"], "signature": signature}


def step_mutation(task: dict[str, Any]) -> str:
    return naming.field_name(task["workflow"]) + "".join(map(naming.type_name, task["step"].split("/")))


async def value(firm: Firm, name: str) -> Any:
    """A day, a record of the plant, a person's record, or the newest record of an entity."""
    if name in _TIME:
        return _TIME[name]
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    if snake in firm.ids:
        return firm.ids[snake]
    if snake.startswith("employee_"):
        return firm.employees[snake.removeprefix("employee_")]
    entity = next(each for each in pack().entities if naming.field_name(each) == name)
    return (await firm.all(entity))[-1]["id"]
