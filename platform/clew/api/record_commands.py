"""What mutations of records do: each is one command in one transaction, and its payload is read back inside it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from clew.api.inputs import api_names, given_record
from clew.api.mutation_payloads import api_path, members, rows, warnings
from clew.api.operations import Call
from clew.api.signing import proven, refuse_written_secrets
from clew.kernel.errors import ClewError
from clew.metadata import naming
from clew.metadata.blueprint import Entity, Transition
from clew.records.commands import BulkOutcome, Commands, Outcome, ReadBack
from clew.records.commands import Call as Command
from clew.records.signing.proven import Prover
from clew.storage.engine import Connection

Act = Callable[[Commands, Command, Mapping[str, Any], ReadBack], Awaitable[Outcome]]


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
        return members([(each.key, parts[each.key]) for each in children])

    def _member(self, name: str, type_name: str, outcome: Outcome, call: Call, selected: Any) -> str:
        if name == "__typename":
            return json.dumps(call.selected.type.name)
        if name == "warnings":
            return warnings(call, selected, outcome.warnings)
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
        return members(list(parts.items()))

    def _member(self, selected: Any, outcome: BulkOutcome, call: Call) -> str:
        if selected.name == "__typename":
            return json.dumps(call.selected.type.name)
        if selected.name == "warnings":
            return warnings(call, selected, outcome.warnings)
        if selected.name == "rows":
            return rows(call, selected, outcome)
        if selected.name in ("committed", "replayed"):
            return json.dumps(getattr(outcome, selected.name))
        return str((outcome.answer or {}).get(selected.key, "[]"))


# ── what each does ────────────────────────────────────────────────────────────────────────────────────────────────


def create(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.create(command, entity.name, given, read_back=read)

    return act


def upsert(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.upsert(command, entity.name, given, read_back=read)

    return act


def update(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.update(command, entity.name, args["id"], args["rowVersion"], given, read_back=read)

    return act


def correct(entity: Entity) -> Act:
    names = api_names(entity)

    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        given = given_record(commands.engine.blueprint, entity, args["input"], names)
        return await commands.correct(command, entity.name, args["id"], args["rowVersion"], given, read_back=read)

    return act


def void(entity: Entity) -> Act:
    async def act(commands: Commands, command: Command, args: Mapping[str, Any], read: ReadBack) -> Outcome:
        return await commands.void(command, entity.name, args["id"], args["rowVersion"], read_back=read)

    return act


def transition(move: Transition, prover: Prover | None) -> Callable[[Entity], Act]:
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
