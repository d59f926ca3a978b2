"""Forms are pruned to what the caller may see, and what they demand holds; on both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import jsonschema
import pytest
from tests.integration.process_world import Works, small_works, works
from tests.integration.test_process_ncr import open_ncr

from clew.access.decision import EntityAccess, FieldAccess
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.api.forms import Forms
from clew.api.inputs import Inputs
from clew.api.mutations import Mutations
from clew.api.processes import ProcessFeature
from clew.api.view import READ_FEATURES
from clew.kernel.clock import SystemClock
from clew.kernel.errors import ClewError
from clew.metadata.link.workflows import link_again, pinned_text
from clew.metadata.load import load_sources
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


def engine(made: Works) -> GraphQLEngine:
    plant, commands = made.plant, made.plant.commands
    features = (*READ_FEATURES, Inputs(), Mutations(commands), Forms(made.processes), ProcessFeature(made.processes))
    return GraphQLEngine(plant.blueprint, plant.tables, plant.database, SystemClock(), features=features)


async def ask(made: Works, login: str, document: str, hidden: tuple[str, ...] = (), **variables: Any) -> Any:
    call = made.call(login)
    decision = call.decision
    if hidden:
        access = decision.on("nonconformance")
        fields = {name: FieldAccess() if name in hidden else each for name, each in access.fields.items()}
        less = replace(access, fields=MappingProxyType(fields))
        entities: dict[str, EntityAccess] = {**decision.entities, "nonconformance": less}
        decision = replace(decision, digest="less", entities=MappingProxyType(entities))
    answer = await engine(made).execute(Question(document, variables=variables), Caller(call.context, decision))
    found = json.loads(answer.body)
    assert "errors" not in found, found
    [value] = found["data"].values()
    return value


def fields_of(form: dict[str, Any]) -> dict[str, Any]:
    return {each["field"]: each for section in form["ui"]["sections"] for each in section["fields"]}


async def test_the_form_of_a_task_says_what_is_asked_and_what_holds_now(database: TestDatabase) -> None:
    made = await works(database)
    await open_ncr(made, severity="critical")
    (task,) = await made.tasks("ann")
    asking = "query($t: ID!) { taskForm(task: $t) }"
    form = await ask(made, "ann", asking, t=str(task["id"]))
    assert (form["name"], form["phone"], form["entity"]) == ("ncr_contain", True, "Nonconformance")
    fields = fields_of(form)
    assert fields["evidence"]["widget"] == "camera"
    assert fields["containment"]["required"] is True
    assert (fields["lots"]["widget"], fields["lots"]["readOnly"]) == ("readout", True)
    jsonschema.Draft202012Validator.check_schema(form["schema"])
    assert form["schema"]["required"] == ["containment"]
    assert set(form["schema"]["properties"]) == {"containment", "evidence", "qty", "workOrder"}
    jsonschema.validate({"containment": "隔离区", "qty": "2.5"}, form["schema"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"containment": "隔离区", "severity": "minor"}, form["schema"])

    pruned = await ask(made, "ann", asking, hidden=("severity", "description"), t=str(task["id"]))
    assert not {"severity", "description"} & fields_of(pruned).keys()
    assert "severity" not in json.dumps(pruned)

    (mine,) = await ask(made, "ann", "{ myTasks { form } }")
    assert mine["form"]["name"] == "ncr_contain"
    await made.decide("ann", given={"containment": "隔离区"})
    (next_,) = await made.tasks("cid")
    for hidden, wanted in (
        ((), {"now": True, "when": "ever_released", "live": True}),
        (("ever_released",), {"now": True}),
    ):
        form = await ask(made, "cid", asking, hidden=hidden, t=str(next_["id"]))
        assert form["ui"]["sections"][-1]["visible"] == wanted, (
            "a condition over what is hidden keeps its text to itself"
        )
    new = await ask(made, "ann", '{ recordForm(entity: "Nonconformance") }')
    assert {"item", "severity"} <= set(new["schema"]["required"])
    assert new["schema"]["properties"]["severity"]["oneOf"][0].keys() == {"const", "title"}


FORM = """\
form: look
for: case
sections:
  - fields: [{field: title, read_only_when: serious}, {field: verdict, required_when: "title != null"}]
  - {visible_when: serious, fields: [{field: parts, required: true}]}
"""
STEPS = "  look: {who: clerk, input: [serious], output: [title, verdict, parts], form: look}\n"


async def test_what_a_form_fixes_or_does_not_show(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people={"clerk": ["ann"]}, files={"ui_schemas/f.yaml": FORM})
    await made.a_case("ann")
    with pytest.raises(ClewError) as refused:
        await made.decide("ann", given={"title": "x"})
    assert list(refused.value.path) == ["input", "verdict"], "with a title a verdict is demanded; parts are not shown"
    await made.decide("ann", given={"title": "x", "verdict": "keep"})

    grave = await made.plant.commands.create(made.call("ann"), "case", {"serious": True})
    await made.processes.start(made.call("ann"), "handling", grave.id)
    with pytest.raises(ClewError) as refused:
        await made.decide("ann", given={"title": "x"})
    assert refused.value.code == "OUTPUT_NOT_ASKED"
    with pytest.raises(ClewError) as refused:
        await made.decide("ann")
    assert list(refused.value.path) == ["input", "parts"]
    part = await made.plant.commands.create(made.call("ann"), "part", {"code": "P1"})
    await made.decide("ann", given={"parts": [part.id]})

    old = made.plant.blueprint
    workflow = old.workflows["handling"]
    later = load_sources({**old.sources, "ui_schemas/f.yaml": FORM.replace("required: true", "required: false")})
    assert later.blueprint is not None
    again, problems = link_again("handling", "workflows/w.yaml", pinned_text("workflows/w.yaml", old), later.blueprint)
    assert not problems
    assert again is not None
    assert again.digest == workflow.digest != later.blueprint.workflows["handling"].digest, "forms are kept too"
