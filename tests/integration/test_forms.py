"""Forms are pruned to what the caller may see, and what they demand holds; on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from tests.integration.process_world import Works, small_works, works
from tests.integration.test_process_ncr import open_ncr
from tests.unit.process.play import PROJECT

from clew.access.decision import NEVER, Decision, EntityAccess, FieldAccess, Grant
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


def less(decision: Decision, entity: str, hidden: Iterable[str], read: Grant = NEVER) -> Decision:
    """The same without these fields, or with them where `read` holds."""
    access, masked = decision.on(entity), FieldAccess(read)
    fields = {name: masked if name in hidden else each for name, each in access.fields.items()}
    changed = replace(access, fields=MappingProxyType(fields))
    entities: dict[str, EntityAccess] = {**decision.entities, entity: changed}
    digest = f"less {len(read.conditions)} {' '.join(hidden)}"
    return replace(decision, digest=digest, entities=MappingProxyType(entities))


async def ask(made: Works, login: str, document: str, hidden: tuple[str, ...] = (), **variables: Any) -> Any:
    decision = made.call(login).decision
    if hidden:
        decision = less(decision, "nonconformance", hidden)
    return await ask_as(made, login, decision, document, **variables)


async def ask_as(made: Works, login: str, decision: Decision, document: str, **variables: Any) -> Any:
    caller = Caller(made.call(login).context, decision)
    answer = await engine(made).execute(Question(document, variables=variables), caller)
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
        (("ever_released",), True),
    ):
        form = await ask(made, "cid", asking, hidden=hidden, t=str(next_["id"]))
        assert form["ui"]["sections"][-1]["visible"] == wanted, (
            "a condition over what is hidden keeps its text to itself, and its answer"
        )
    new = await ask(made, "ann", '{ recordForm(entity: "Nonconformance") }')
    assert {"item", "severity"} <= set(new["schema"]["required"])
    assert new["schema"]["properties"]["severity"]["oneOf"][0].keys() == {"const", "title"}


WRONG: tuple[Any, ...] = (
    *("x", 5, True, [1], [{}], {"evidence": "x"}, {"evidence": {}}, {"evidence": [1]}, {"evidence": [{"name": 1}]}),
    *({"qty": [1]}, {"qty": "１２"}, {"workOrder": {"id": 1}}, {"workOrder": [1]}, {"containment": {"a": [1]}}),
    *({"containment": " \u3000\n"}, {"containment": "a\u202eb"}, {"__proto__": 1}, {"": 1}, {"lots": {"add": 5}}),
    *({"lots": 5}, {"lots": {"set": "x"}}, {"state": "closed"}),
)


async def test_an_input_that_no_schema_has_looked_at_is_refused_by_a_code(database: TestDatabase) -> None:
    """`input` of `decideTask` is JSON: whatever its shape, the answer says what is wrong; nothing is written. A text
    of blanks is none."""
    made = await works(database)
    await open_ncr(made)
    (task,) = await made.tasks("ann")
    call = made.call("ann")
    document = 'mutation($t: ID!, $i: JSON) { decideTask(task: $t, outcome: "done", input: $i) { replayed } }'
    for given in WRONG:
        question = Question(document, variables={"t": str(task["id"]), "i": given})
        found = json.loads((await engine(made).execute(question, Caller(call.context, call.decision))).body)
        code = found["errors"][0]["extensions"]["code"]
        assert code in ("BAD_INPUT", "OUTPUT_NOT_ASKED", "VALUE_TYPE", "VALUE_TEXT"), (given, found)
    assert [each["step"] for each in await made.tasks("ann")] == ["contain"]


async def test_lines_of_any_shape_are_refused_by_a_code(database: TestDatabase) -> None:
    models = {"models/a.yaml": PROJECT["models/a.yaml"].replace("states: {open", LINES + "states: {open", 1)}
    steps = "  look: {who: clerk, output: [marks, what]}\n"
    made = await small_works(await database.open(), steps, people={"clerk": ["ann"]}, files=models)
    await made.a_case("ann")
    (task,) = await made.tasks("ann")
    call = made.call("ann")
    document = 'mutation($t: ID!, $i: JSON) { decideTask(task: $t, outcome: "done", input: $i) { replayed } }'
    lines = (
        "x",
        5,
        [1],
        ["x"],
        [[]],
        {"add": 5},
        {"add": [5]},
        {"add": "x"},
        {"set": 5},
        {"update": [{}]},
        {"remove": 5},
    )
    lines += ({"update": [{"id": 5}]}, {"remove": [5]}, {"nope": []}, [{"nope": 1}], [{"note": {"a": 1}}], {})
    wrong = [
        *({"marks": each} for each in lines[:-1]),
        *({"what": each} for each in ("x", [1], {"part": 5}, {"x": "y"})),
    ]
    for given in wrong:
        question = Question(document, variables={"t": str(task["id"]), "i": given})
        found = json.loads((await engine(made).execute(question, Caller(call.context, call.decision))).body)
        assert "errors" in found, given
        assert found["errors"][0]["extensions"]["code"] != "INTERNAL", (given, found)


LINES = """\
  marks: {type: lines, fields: {note: {type: text, required: true}}}
  what: {type: any, of: [part, case]}
"""
FORM = """\
form: look
for: case
sections:
  - fields: [{field: title, read_only_when: serious}, {field: verdict, required_when: "title != null"}]
  - {visible_when: serious, fields: [{field: parts, required: true}]}
"""
STEPS = "  look: {who: clerk, input: [serious], output: [title, verdict, parts], form: look}\n"


async def test_a_form_tells_nothing_of_what_is_hidden(database: TestDatabase) -> None:
    """Neither its answers nor what it demands depend on a field that whoever is asked does not see (threat 16); what
    must be there all the same is there. Where the field is seen on this record, it is as for anybody."""
    made = await small_works(
        await database.open(), STEPS, people={"clerk": ["ann", "bob"]}, files={"ui_schemas/f.yaml": FORM}
    )
    all_ = made.plant.decision
    blind = less(all_, "case", ["serious"])
    condition = made.plant.blueprint.forms["look"].sections[0].fields[1].required_when
    assert condition is not None
    sometimes = less(all_, "case", ["serious"], Grant(True, (condition,)))
    part = await made.plant.commands.create(made.call("ann"), "part", {"code": "P1"})
    asking = "query($t: ID!) { taskForm(task: $t) }"
    told: list[list[Any]] = []
    for serious in (True, False):
        case = await made.plant.commands.create(made.call("ann"), "case", {"serious": serious})
        await made.processes.start(made.call("ann"), "handling", case.id)
        (task,) = await made.tasks("bob")

        async def decided(given: dict[str, Any], task: UUID = task["id"]) -> Any:
            try:
                return (await made.processes.decide(made.call("bob", decision=blind), task, "done", given)).status
            except ClewError as refused:
                return refused.code, list(refused.path), refused.message("en")

        seen = [await ask_as(made, "bob", blind, asking, t=str(task["id"]))]
        assert fields_of(seen[0])["title"]["readOnly"] is True
        assert seen == [await ask_as(made, "bob", sometimes, asking, t=str(task["id"]))], (
            "not seen where it has no title"
        )
        version = (await made.plant.current("case"))[case.id]["row_version"]
        await made.plant.commands.update(made.call("ann"), "case", case.id, version, {"title": "t"})
        shown = await ask_as(made, "bob", sometimes, asking, t=str(task["id"]))
        assert shown == await ask_as(made, "bob", all_, asking, t=str(task["id"]))
        assert shown["ui"]["sections"][1]["visible"]["now"] is serious
        seen += [await decided(each) for each in ({"title": "x"}, {}, {"verdict": "keep"})]
        seen.append(await decided({"verdict": "keep", "parts": [part.id]}))
        told.append(seen)
    assert told[0] == told[1]
    codes = [each[0] for each in told[0][1:4]]
    assert (codes, told[0][4]) == (["OUTPUT_NOT_ASKED", "NOT_FINISHED", "NOT_FINISHED"], "ended")


async def test_what_is_missing_before_a_move_tells_nothing_of_what_is_hidden(database: TestDatabase) -> None:
    """`whyBlocked` names no field that must be filled in by a condition over a field that the caller does not see."""
    demanding = "title: {type: text, required_when: \"serious && state == 'checked'\"}"
    files = {"models/a.yaml": PROJECT["models/a.yaml"].replace("title: {type: text}", demanding)}
    files["ui_schemas/f.yaml"] = FORM
    made = await small_works(await database.open(), STEPS, people={"clerk": ["ann"]}, files=files)
    blind = less(made.plant.decision, "case", ["serious"])
    asking = 'query($r: ID!) { whyBlocked(entity: "case", record: $r, transition: "check")'
    asking += " { ready possible exact say blockers { kind field text } actions { kind field text } } }"
    found = []
    for serious in (True, False):
        case = await made.plant.commands.create(made.call("ann"), "case", {"serious": serious})
        (seen,) = await ask_as(made, "ann", made.plant.decision, asking, r=str(case.id))
        assert [each["field"] for each in seen["blockers"]] == (["title"] if serious else [])
        found += await ask_as(made, "ann", blind, asking, r=str(case.id))
    assert found[0] == found[1]
    assert (found[0]["blockers"], found[0]["exact"]) == ([], False)
    told = []
    for title in ("t", None):
        case = await made.plant.commands.create(made.call("ann"), "case", {"serious": True, "title": title})
        told += await ask_as(made, "ann", less(made.plant.decision, "case", ["title"]), asking, r=str(case.id))
    assert told[0] == told[1], "nor whether a hidden field is filled in"
    assert ([each["kind"] for each in told[0]["blockers"]], told[0]["exact"]) == (["hidden"], False)


async def test_who_is_next_is_not_found_by_a_field_that_is_hidden(database: TestDatabase) -> None:
    """`nextActors` of a part finds the process of a case that names it only where the naming is seen."""
    made = await small_works(await database.open(), STEPS, people={"clerk": ["ann"]}, files={"ui_schemas/f.yaml": FORM})
    part = await made.plant.commands.create(made.call("ann"), "part", {"code": "P1"})
    case = await made.plant.commands.create(made.call("ann"), "case", {"parts": [part.id]})
    await made.processes.start(made.call("ann"), "handling", case.id)
    asking, all_ = "query($r: ID!) { nextActors(record: $r) { step } }", made.plant.decision
    assert await ask_as(made, "ann", all_, asking, r=str(part.id)) == [{"step": "look"}]
    blind = less(all_, "case", ["parts"])
    assert await ask_as(made, "ann", blind, asking, r=str(part.id)) == []
    assert await ask_as(made, "ann", blind, asking, r=str(case.id)) == [{"step": "look"}]


async def test_a_size_of_null_is_the_usual_one(database: TestDatabase) -> None:
    made = await small_works(await database.open(), STEPS, people={"clerk": ["ann"]}, files={"ui_schemas/f.yaml": FORM})
    await made.a_case("ann")
    (case,) = await made.plant.current("case")
    for list_ in (
        "myTasks",
        "myProcesses",
        "notices",
        'overseenProcesses(workflow: "handling",',
        "processesOf(record: $r,",
    ):
        named = list_ if list_.endswith(",") else f"{list_}("
        document = f"query($n: Int, $r: ID!) {{ {named} first: $n) {{ id }} r: processesOf(record: $r) {{ id }} }}"
        call = made.call("ann")
        question = Question(document, variables={"n": None, "r": str(case)})
        found = json.loads((await engine(made).execute(question, Caller(call.context, call.decision))).body)
        assert "errors" not in found, found


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
