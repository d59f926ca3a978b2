"""Names, arguments and types of the mutations that each process and step has of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLInputField,
    GraphQLInputObjectType,
)

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.inputs import filled_fields, input_type
from clew.metadata import naming
from clew.metadata.blueprint import Entity, Field
from clew.metadata.processes import SEPARATOR, Flow, Step, Workflow


def start_name(workflow: Workflow) -> str:
    """`startNonconformanceHandling`."""
    return f"start{naming.type_name(workflow.name)}"


def told(build: Build) -> Iterable[Workflow]:
    """The processes that exist for the caller: about records they may see, and those they oversee, whose records they
    may not. Of the latter they see the process, its steps and people, and nothing of the record but its id."""
    return (
        each
        for each in build.blueprint.workflows.values()
        if build.sees_entity(each.entity) or build.decision.process(each.name).oversee.allowed
    )


def worked(build: Build) -> Iterable[Workflow]:
    """The processes the caller may have a part in: about records they may see."""
    return (each for each in build.blueprint.workflows.values() if build.sees_entity(each.entity))


def steps_told(build: Build, workflow: Workflow) -> Iterable[tuple[Flow, Step]]:
    """Its steps that people do, about records the caller may see."""
    return ((flow, step) for flow, step in workflow.walk() if step.kind.human and build.sees_entity(flow.entity))


def step_name(workflow: Workflow, step: Step) -> str:
    """`nonconformanceHandlingContain`; a step inside branches has its whole path."""
    return naming.field_name(workflow.name) + _path(step)


def step_types(build: Build) -> Iterable[tuple[str, Factory]]:
    """An enum of outcomes and an input of fields for every step people do."""
    for workflow in worked(build):
        for flow, step in steps_told(build, workflow):
            yield _outcomes_name(workflow, step), _outcomes(build, workflow, step)
            if filled(build, flow, step):
                yield _input_name(workflow, step), _input(build, workflow, flow, step)


def step_arguments(build: Build, workflow: Workflow, flow: Flow, step: Step) -> Mapping[str, GraphQLArgument]:
    """What deciding a step takes."""
    text = scalars.TEXT.type
    found = {
        "task": GraphQLArgument(required(scalars.ID.type)),
        "outcome": GraphQLArgument(required(build.type(_outcomes_name(workflow, step)))),
        "comment": GraphQLArgument(text),
        "idempotencyKey": GraphQLArgument(text),
    }
    if filled(build, flow, step):
        found["input"] = GraphQLArgument(build.type(_input_name(workflow, step)))
    if step.sign is not None:
        meaning = build.say(f"电子签名,含义:{step.sign}", f"Electronic signature; it means: {step.sign}")
        found["rowVersion"] = GraphQLArgument(scalars.INT.type)
        found["signature"] = GraphQLArgument(build.type("SignatureInput"), description=meaning)
    return found


def _path(step: Step) -> str:
    return "".join(naming.type_name(part) for part in step.path.split(SEPARATOR))


def _outcomes_name(workflow: Workflow, step: Step) -> str:
    return f"{naming.type_name(workflow.name)}{_path(step)}Outcome"


def _input_name(workflow: Workflow, step: Step) -> str:
    return f"{naming.type_name(workflow.name)}{_path(step)}Input"


def _outcomes(build: Build, workflow: Workflow, step: Step) -> Factory:
    values = {name: GraphQLEnumValue(name, description=build.text(each.label)) for name, each in step.outcomes.items()}
    return lambda: GraphQLEnumType(_outcomes_name(workflow, step), values)


def filled(build: Build, flow: Flow, step: Step) -> tuple[tuple[Entity, Field], ...]:
    """The fields a step fills in: whoever is asked may give them all, by the process's right. Lines and references
    take the types of the caller's view."""
    entity = build.blueprint.entities[flow.entity]
    return tuple((entity, field) for field in filled_fields(build, entity, step.outputs))


def _input(build: Build, workflow: Workflow, flow: Flow, step: Step) -> Factory:
    def fields() -> dict[str, GraphQLInputField]:
        return {
            naming.field_name(field.name): build.input(
                input_type(build, entity, field, creating=False), field.name, build.text(field.help, field.label)
            )
            for entity, field in filled(build, flow, step)
        }

    return lambda: GraphQLInputObjectType(_input_name(workflow, step), fields, description=build.text(step.label))
