"""Feature: mutations. Each is one command in one transaction; its payload is read back inside it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLEnumValue,
    GraphQLField,
    GraphQLInt,
    GraphQLList,
    GraphQLObjectType,
)

from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.inputs import CREATE, UPDATE, api_names, given_record, takes_input
from clew.api.operations import Call
from clew.api.signing import proven, refuse_written_secrets, signature_argument
from clew.kernel.errors import ClewError
from clew.kernel.text import Locale
from clew.metadata import naming
from clew.metadata.blueprint import Entity, Transition
from clew.records.commands import BulkOutcome, Commands, Outcome, ReadBack
from clew.records.commands import Call as Command
from clew.records.signing.proven import Prover
from clew.records.unit import Warned
from clew.storage.engine import Connection

Act = Callable[[Commands, Command, Mapping[str, Any], ReadBack], Awaitable[Outcome]]
_JSON: Mapping[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A mutation about one record."""

    commands: Commands
    entity: Entity
    act: Act

    async def run(self, call: Call) -> str:
        """Do it; the payload as JSON text."""
        children = call.planner.children(call.selected)
        record = naming.field_name(self.entity.name)
        readers = {each.key: call.reader(each, self.entity.name) for each in children if each.name == record}

        async def read_back(connection: Connection, ids: Sequence[UUID]) -> dict[str, str]:
            return {key: await read(connection, ids[0]) for key, read in readers.items()}

        with _api_paths():
            refuse_written_secrets(call.selected)
            outcome = await self.act(self.commands, _command(call), call.arguments, read_back)
        parts: dict[str, str] = dict(outcome.answer)
        for each in children:
            if each.key not in parts:
                parts[each.key] = self._member(each.name, each.type.name, outcome, call, each)
        return _members([(each.key, parts[each.key]) for each in children])

    def _member(self, name: str, type_name: str, outcome: Outcome, call: Call, selected: Any) -> str:
        if name == "__typename":
            return json.dumps(call.selected.type.name)
        if name == "warnings":
            return _warnings(call, selected, outcome.warnings)
        return json.dumps({"created": outcome.created, "replayed": outcome.replayed}[name])


@dataclass(frozen=True, slots=True)
class BulkSpec:
    """A mutation about many records of one entity."""

    commands: Commands
    entity: Entity
    verb: str

    async def run(self, call: Call) -> str:
        """Do it; the payload as JSON text."""
        children = call.planner.children(call.selected)
        list_name = naming.field_name(self.entity.plural)
        readers = {each.key: call.reader(each, self.entity.name) for each in children if each.name == list_name}

        async def read_back(connection: Connection, ids: Sequence[UUID]) -> dict[str, str]:
            found: dict[str, str] = {}
            for key, read in readers.items():
                found[key] = "[" + ",".join([await read(connection, each) for each in ids]) + "]"
            return found

        blueprint = self.commands.engine.blueprint
        with _api_paths():
            names = api_names(self.entity)
            rows = [given_record(blueprint, self.entity, each, names) for each in call.arguments["inputs"]]
            outcome = await self.commands.bulk(
                _command(call),
                self.entity.name,
                rows,
                verb=self.verb,
                mode=call.arguments.get("mode") or "all",
                read_back=read_back,
            )
        parts = {each.key: self._member(each, outcome, call) for each in children}
        return _members(list(parts.items()))

    def _member(self, selected: Any, outcome: BulkOutcome, call: Call) -> str:
        if selected.name == "__typename":
            return json.dumps(call.selected.type.name)
        if selected.name == "warnings":
            return _warnings(call, selected, outcome.warnings)
        if selected.name == "rows":
            return _rows(call, selected, outcome)
        if selected.name in ("committed", "replayed"):
            return json.dumps(getattr(outcome, selected.name))
        return str((outcome.answer or {}).get(selected.key, "[]"))


class Mutations:
    """The type `Mutation` with its payloads."""

    def __init__(self, commands: Commands, prover: Prover | None = None) -> None:
        """Without a prover nobody can sign."""
        self._commands = commands
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
        yield "RuleWarning", lambda: _rule_warning(build)
        yield "BulkRow", lambda: _bulk_row(build)
        yield "BulkMode", lambda: _bulk_mode(build)
        for entity in build.entities():
            if entity.part_of is None and not entity.derived:
                yield entity_type(entity.name, "Payload"), _payload(build, entity)
                yield entity_type(entity.name, "BulkPayload"), _bulk_payload(build, entity)

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
            yield naming.create_mutation(name), self._one(build, entity, _create, [_input_arg(build, entity, CREATE)])
            yield naming.bulk_mutation(entity.plural), self._bulk(build, entity, "create")
        if creates and updates and entity.key:
            yield naming.upsert_mutation(name), self._one(build, entity, _upsert, [_input_arg(build, entity, CREATE)])
            many = naming.bulk_mutation(entity.plural).replace("create", "upsert", 1)
            yield many, self._bulk(build, entity, "upsert")
        if updates:
            args = [*_version_args(), _input_arg(build, entity, UPDATE)]
            yield naming.update_mutation(name), self._one(build, entity, _update, args)
        if access.void.allowed:
            yield naming.void_mutation(name), self._one(build, entity, _void, [*_version_args(), _needed_reason(build)])
        if access.correct.allowed and "corrects" in entity.fields and updates:
            args = [*_version_args(), _input_arg(build, entity, UPDATE), _needed_reason(build)]
            yield naming.correct_mutation(name), self._one(build, entity, _correct, args)
        for move in entity.transitions.values():
            grant = access.transitions.get(move.name)
            if grant is not None and grant.allowed:
                args = [*_version_args(), *([_needed_reason(build)] if move.reason else [])]
                if move.sign is not None:
                    args.append(signature_argument(build, move))
                make = self._one(build, entity, _transition(move, self._prover), args, build.text(move.label))
                yield naming.transition_mutation(name, move.name), make

    def _one(
        self,
        build: Build,
        entity: Entity,
        act: Callable[[Entity], Act],
        args: Sequence[tuple[str, Callable[[], GraphQLArgument]]],
        text: str | None = None,
    ) -> Callable[[], GraphQLField]:
        def make() -> GraphQLField:
            arguments = {**_common(build), **{name: argument() for name, argument in args}}
            spec = CommandSpec(self._commands, entity, act(entity))
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
            spec = BulkSpec(self._commands, entity, verb)
            type_ = build.type(entity_type(entity.name, "BulkPayload"))
            return build.field(type_, spec, build.text(entity.label), arguments)

        return make


# ── what each does ────────────────────────────────────────────────────────────────────────────────────────────────


def _create(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.create(command, entity.name, given, read_back=read)

    return act


def _upsert(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.upsert(command, entity.name, given, read_back=read)

    return act


def _update(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.update(command, entity.name, args["id"], args["rowVersion"], given, read_back=read)

    return act


def _correct(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.correct(command, entity.name, args["id"], args["rowVersion"], given, read_back=read)

    return act


def _void(entity: Entity) -> Act:
    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        return await commands.void(command, entity.name, args["id"], args["rowVersion"], read_back=read)

    return act


def _transition(move: Transition, prover: Prover | None) -> Callable[[Entity], Act]:
    def of(entity: Entity) -> Act:
        async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
            if move.sign is not None:
                command = replace(command, signing=await proven(prover, command.context, move, args))
            version = args["rowVersion"]
            return await commands.transition(command, entity.name, args["id"], move.name, version, read_back=read)

        return act

    return of


def _command(call: Call) -> Command:
    arguments = call.arguments
    return Command(
        call.caller.context, call.caller.decision, arguments.get("reason") or None, arguments.get("idempotencyKey")
    )


class _api_paths:
    """Paths of errors in the API's names."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClewError):
            error.path = api_path(error.path)


def api_path(path: Iterable[str | int]) -> tuple[str | int, ...]:
    return tuple(naming.field_name(each) if isinstance(each, str) else each for each in path)


# ── arguments and payloads ────────────────────────────────────────────────────────────────────────────────────────


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


def _payload(build: Build, entity: Entity) -> Callable[[], GraphQLObjectType]:
    def fields() -> dict[str, GraphQLField]:
        warnings = required(GraphQLList(required(build.type("RuleWarning"))))
        return {
            naming.field_name(entity.name): build.field(build.type(entity_type(entity.name)), None),
            "created": build.field(required(scalars.BOOLEAN.type), None),
            "replayed": build.field(required(scalars.BOOLEAN.type), None),
            "warnings": build.field(warnings, None),
        }

    return lambda: GraphQLObjectType(entity_type(entity.name, "Payload"), fields)


def _bulk_payload(build: Build, entity: Entity) -> Callable[[], GraphQLObjectType]:
    def fields() -> dict[str, GraphQLField]:
        records = required(GraphQLList(build.type(entity_type(entity.name))))
        return {
            naming.field_name(entity.plural): build.field(records, None),
            "committed": build.field(required(scalars.BOOLEAN.type), None),
            "replayed": build.field(required(scalars.BOOLEAN.type), None),
            "rows": build.field(required(GraphQLList(required(build.type("BulkRow")))), None),
            "warnings": build.field(required(GraphQLList(required(build.type("RuleWarning")))), None),
        }

    return lambda: GraphQLObjectType(entity_type(entity.name, "BulkPayload"), fields)


def _rule_warning(build: Build) -> GraphQLObjectType:
    text, identity = required(scalars.TEXT.type), required(scalars.ID.type)
    members = {"rule": text, "message": text, "recordId": identity}
    return GraphQLObjectType("RuleWarning", {key: build.field(each, None) for key, each in members.items()})


def _bulk_row(build: Build) -> GraphQLObjectType:
    members = {
        "index": required(GraphQLInt),
        "id": scalars.ID.type,
        "rowVersion": scalars.INT.type,
        "created": required(scalars.BOOLEAN.type),
        "code": scalars.TEXT.type,
        "message": scalars.TEXT.type,
        "path": GraphQLList(required(scalars.TEXT.type)),
    }
    return GraphQLObjectType("BulkRow", {key: build.field(each, None) for key, each in members.items()})


def _bulk_mode(build: Build) -> GraphQLEnumType:
    texts = {
        "all": build.say("全部写入,否则一行也不写", "Every row or none"),
        "good": build.say("只写入无误的行", "Leave out the rows that are refused"),
        "dry": build.say("只检查,不写入", "Check only"),
    }
    values = {name: GraphQLEnumValue(name, description=text) for name, text in texts.items()}
    return GraphQLEnumType("BulkMode", values)


def _warnings(call: Call, selected: Any, warnings: Iterable[Warned]) -> str:
    locale: Locale = call.caller.context.locale
    entries = [
        {"rule": each.rule, "message": each.say.to(locale), "recordId": str(each.record_id)} for each in warnings
    ]
    return _listed(call, selected, entries)


def _rows(call: Call, selected: Any, outcome: BulkOutcome) -> str:
    locale: Locale = call.caller.context.locale
    entries = [
        {
            "index": each.index,
            "id": str(each.id) if each.id else None,
            "rowVersion": each.row_version,
            "created": each.created,
            "code": each.error.code if each.error else None,
            "message": each.error.message(locale) if each.error else None,
            "path": [str(part) for part in api_path(each.error.path)] if each.error else None,
        }
        for each in outcome.rows
    ]
    return _listed(call, selected, entries)


def _listed(call: Call, selected: Any, entries: Iterable[Mapping[str, Any]]) -> str:
    """A list of plain objects with the members that were selected."""
    children = call.planner.children(selected)
    chosen = [
        {each.key: selected.type.name if each.name == "__typename" else entry[each.name] for each in children}
        for entry in entries
    ]
    return json.dumps(chosen, **_JSON)


def _members(parts: Iterable[tuple[str, str]]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in parts) + "}"
