"""Feature: mutations of records, each with its arguments and its payload, as far as the caller may make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from graphql import GraphQLArgument, GraphQLField, GraphQLList, GraphQLObjectType

from clew.api import record_commands as commands
from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.inputs import CREATE, UPDATE, takes_input
from clew.api.mutation_payloads import bulk_mode, bulk_payload, bulk_row, payload, rule_warning
from clew.api.signing import signature_argument
from clew.metadata import naming
from clew.metadata.blueprint import Entity
from clew.records.commands import Commands
from clew.records.signing.proven import Prover


class Mutations:
    """The type `Mutation` with its payloads."""

    def __init__(self, write: Commands, prover: Prover | None = None) -> None:
        """Without a prover nobody can sign."""
        self._commands = write
        self._prover = prover

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        fields = self._fields(build)
        if not fields and not build.extends("Mutation"):
            return
        yield (
            "Mutation",
            lambda: GraphQLObjectType(
                "Mutation", lambda: {**{name: make() for name, make in fields.items()}, **build.further("Mutation")}
            ),
        )
        yield "RuleWarning", lambda: rule_warning(build)
        yield "BulkRow", lambda: bulk_row(build)
        yield "BulkMode", lambda: bulk_mode(build)
        for entity in build.entities():
            if entity.part_of is None and not entity.derived:
                yield entity_type(entity.name, "Payload"), payload(build, entity)
                yield entity_type(entity.name, "BulkPayload"), bulk_payload(build, entity)

    def _fields(self, build: Build) -> dict[str, Callable[[], GraphQLField]]:
        found: dict[str, Callable[[], GraphQLField]] = {}
        for entity in build.entities():
            if entity.part_of is None and not entity.derived:
                for name, make in self._of(build, entity):
                    build.names.mutations.claim(name, f"entity {entity.name} ({entity.place})")
                    found[name] = make
        return found

    def _of(self, build: Build, entity: Entity) -> Iterable[tuple[str, Callable[[], GraphQLField]]]:
        access, name = build.access(entity.name), entity.name
        creates = access.create.allowed and takes_input(build, entity, creating=True)
        updates = access.update.allowed and takes_input(build, entity, creating=False)
        if creates:
            yield (
                naming.create_mutation(name),
                self._one(build, entity, commands.create, [_input_arg(build, entity, CREATE)]),
            )
            yield naming.bulk_mutation(entity.plural), self._bulk(build, entity, "create")
        if creates and updates and entity.key:
            yield (
                naming.upsert_mutation(name),
                self._one(build, entity, commands.upsert, [_input_arg(build, entity, CREATE)]),
            )
            many = naming.bulk_mutation(entity.plural).replace("create", "upsert", 1)
            yield many, self._bulk(build, entity, "upsert")
        if updates:
            args = [*_version_args(), _input_arg(build, entity, UPDATE)]
            yield naming.update_mutation(name), self._one(build, entity, commands.update, args)
        if access.void.allowed:
            yield (
                naming.void_mutation(name),
                self._one(build, entity, commands.void, [*_version_args(), _needed_reason(build)]),
            )
        if access.correct.allowed and "corrects" in entity.fields and updates:
            args = [*_version_args(), _input_arg(build, entity, UPDATE), _needed_reason(build)]
            yield naming.correct_mutation(name), self._one(build, entity, commands.correct, args)
        for move in entity.transitions.values():
            grant = access.transitions.get(move.name)
            if grant is not None and grant.allowed:
                args = [*_version_args(), *([_needed_reason(build)] if move.reason else [])]
                if move.sign is not None:
                    args.append(signature_argument(build, move))
                make = self._one(build, entity, commands.transition(move, self._prover), args, build.text(move.label))
                yield naming.transition_mutation(name, move.name), make

    def _one(
        self,
        build: Build,
        entity: Entity,
        act: Callable[[Entity], commands.Act],
        args: Sequence[tuple[str, Callable[[], GraphQLArgument]]],
        text: str | None = None,
    ) -> Callable[[], GraphQLField]:
        def make() -> GraphQLField:
            arguments = {**_common(build), **{name: argument() for name, argument in args}}
            spec = commands.CommandSpec(self._commands, entity, act(entity))
            type_ = build.type(entity_type(entity.name, "Payload"))
            return build.field(type_, spec, text or build.text(entity.label), arguments)

        return make

    def _bulk(self, build: Build, entity: Entity, verb: str) -> Callable[[], GraphQLField]:
        def make() -> GraphQLField:
            inputs = required(GraphQLList(required(build.type(entity_type(entity.name, CREATE)))))
            arguments = {
                **_common(build),
                "inputs": GraphQLArgument(inputs),
                "mode": GraphQLArgument(build.type("BulkMode"), default_value="all"),
            }
            spec = commands.BulkSpec(self._commands, entity, verb)
            type_ = build.type(entity_type(entity.name, "BulkPayload"))
            return build.field(type_, spec, build.text(entity.label), arguments)

        return make


# ── arguments ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _common(build: Build) -> dict[str, GraphQLArgument]:
    key = build.say("同一键重复提交只执行一次", "The same key twice is done once")
    reason = build.say("变更原因", "Why")
    return {
        "reason": GraphQLArgument(scalars.TEXT.type, description=reason),
        "idempotencyKey": GraphQLArgument(scalars.TEXT.type, description=key),
    }


def _input_arg(build: Build, entity: Entity, suffix: str) -> tuple[str, Callable[[], GraphQLArgument]]:
    return "input", lambda: GraphQLArgument(required(build.type(entity_type(entity.name, suffix))))


def _version_args() -> list[tuple[str, Callable[[], GraphQLArgument]]]:
    return [
        ("id", lambda: GraphQLArgument(required(scalars.ID.type))),
        ("rowVersion", lambda: GraphQLArgument(required(scalars.INT.type))),
    ]


def _needed_reason(build: Build) -> tuple[str, Callable[[], GraphQLArgument]]:
    text = build.say("变更原因(必填)", "Why; needed here")
    return "reason", lambda: GraphQLArgument(required(scalars.TEXT.type), description=text)
