"""People at work through GraphQL: the real accounts, roles, decisions and signatures of a runtime, in a few words.

Fields are keywords in the project's names, values as Python has them: ids, dates, decimals, `AnyRef`, lines as
dictionaries. Whatever a person may not do is refused as it would be in production.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from clew.api.exchange import Caller, Question
from clew.identity.people import person_of
from clew.kernel.context import Context
from clew.kernel.ids import uuid7
from clew.kernel.text import Locale
from clew.metadata import naming
from clew.metadata.blueprint import FieldKind
from clew.process import jobs
from clew.records.values import Money
from clew.runtime import Runtime

PASSWORD = "correct horse battery"
MINE = "{ myTasks(first: 200) { id workflow step sign entity recordId } }"


class Refused(Exception):
    """The API said no; `code` is what it said."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message = code, message


@dataclass
class Office:
    """A runtime with people. `people` are accounts by login, each with PASSWORD."""

    runtime: Runtime
    people: dict[str, UUID] = field(default_factory=dict)
    locale: Locale = "en"

    async def caller(self, login: str) -> Caller:
        """Who this is and what they may do at this moment."""
        async with self.runtime.database.read() as connection:
            person = await person_of(connection, self.people[login], await connection.now())
        context = Context(person, f"req-{uuid7()}", self.locale, client="127.0.0.1", channel="api")
        return Caller(context, self.runtime.decide(context))

    async def ask(self, login: str, document: str, **variables: Any) -> Any:
        """A document; its data. Raises Refused."""
        question = Question(document, variables=plain(variables))
        answer = await self.runtime.graphql.execute(question, await self.caller(login))
        found = json.loads(answer.body)
        if "errors" in found:
            first = found["errors"][0]
            raise Refused(str(first.get("extensions", {}).get("code")), first["message"])
        return found["data"]

    async def tasks(self, login: str, step: str | None = None) -> list[dict[str, Any]]:
        """The open tasks somebody has, those of a step: by its name or path, with its workflow before it or not."""
        found: list[dict[str, Any]] = (await self.ask(login, MINE))["myTasks"]
        if step is None:
            return found
        workflow, _, name = step.rpartition(".")
        return [
            each
            for each in found
            if name in (each["step"], each["step"].split("/")[-1]) and workflow in ("", each["workflow"])
        ]

    async def task(self, login: str, step: str) -> dict[str, Any]:
        """The one open task of a step that somebody has."""
        return one_of(await self.tasks(login, step), login, step)

    async def does(self, login: str, step: str, outcome: str, comment: str, fields: Mapping[str, Any]) -> None:
        """Somebody does the one task of this step they have, and what follows by itself is done as well."""
        await self.completes(login, await self.task(login, step), outcome, comment, fields)

    async def completes(
        self, login: str, task: Mapping[str, Any], outcome: str, comment: str, fields: Mapping[str, Any]
    ) -> None:
        """Somebody does a task of theirs, as `tasks` tells it."""
        workflow = self.runtime.blueprint.workflows[task["workflow"]]
        _, about = workflow.place_of(task["step"])
        types = "".join(map(naming.type_name, about.path.split("/")))
        name = naming.field_name(workflow.name) + types
        given: dict[str, tuple[str, Any]] = {"task": ("ID!", task["id"]), "comment": ("String", comment or None)}
        if fields:
            given["input"] = (f"{naming.type_name(workflow.name)}{types}Input!", self.input(task["entity"], fields))
        if about.sign is not None:
            given |= await self._signature(login, task["entity"], task["recordId"], about.sign)
        await self._mutate(login, name, given, f"outcome: {outcome}", "replayed")

    async def starts(self, login: str, workflow: str, record: UUID) -> None:
        """Somebody starts a process about a record by hand."""
        name = f"start{naming.type_name(workflow)}"
        await self._mutate(login, name, {"record": ("ID!", record)}, "", "replayed")

    async def commands(self, login: str, command: str, process: UUID, because: str) -> None:
        """Somebody cancels, suspends or resumes a process: `command` is the mutation."""
        given: dict[str, tuple[str, Any]] = {"process": ("ID!", process)}
        if because:
            given["reason"] = ("String!", because)
        await self._mutate(login, command, given, "", "replayed")

    async def retries(self, login: str, process: UUID, incident: int, because: str) -> None:
        """Somebody has what stopped a process tried again."""
        given = {"process": ("ID!", process), "incident": ("Int!", incident), "reason": ("String!", because)}
        await self._mutate(login, "retryIncident", given, "", "replayed")

    async def creates(self, login: str, entity: str, because: str, fields: Mapping[str, Any]) -> UUID:
        """A new record."""
        name = naming.field_name(entity)
        given = {
            "input": (f"{naming.type_name(entity)}CreateInput!", self.input(entity, fields, creating=True)),
            "reason": ("String", because or None),
        }
        found = await self._mutate(login, naming.create_mutation(entity), given, "", f"{name} {{ id }}")
        return UUID(found[name]["id"])

    async def updates(self, login: str, entity: str, record: UUID, because: str, fields: Mapping[str, Any]) -> None:
        """Fields of a record, at its present version."""
        given = {
            "id": ("ID!", record),
            "rowVersion": ("Int!", await self._version(login, entity, record)),
            "input": (f"{naming.type_name(entity)}UpdateInput!", self.input(entity, fields)),
            "reason": ("String", because or None),
        }
        await self._mutate(login, naming.update_mutation(entity), given, "", "replayed")

    async def moves(self, login: str, entity: str, record: UUID, move: str, because: str) -> None:
        """A transition by hand, signed where it asks for it."""
        given: dict[str, tuple[str, Any]] = {"id": ("ID!", record)}
        sign = self.runtime.blueprint.entities[entity].transitions[move].sign
        if sign is not None:
            given |= await self._signature(login, entity, record, sign)
        else:
            given["rowVersion"] = ("Int!", await self._version(login, entity, record))
        if because:
            given["reason"] = ("String!", because)
        await self._mutate(login, naming.transition_mutation(entity, move), given, "", "replayed")

    async def _version(self, login: str, entity: str, record: UUID) -> int:
        one = naming.field_name(entity)
        seen = (await self.ask(login, f"query($id: ID!) {{ {one}(id: $id) {{ rowVersion }} }}", id=record))[one]
        if seen is None:
            raise Refused("NOT_FOUND", f"{login} does not see it")
        return int(seen["rowVersion"])

    async def _signature(self, login: str, entity: str, record: Any, meaning: str) -> dict[str, tuple[str, Any]]:
        """Look at the record, then sign what was shown, with login and password."""
        one = naming.field_name(entity)
        look = f"query($id: ID!) {{ {one}(id: $id) {{ rowVersion signable {{ digest }} }} }}"
        seen = (await self.ask(login, look, id=record))[one]
        if seen is None:
            raise Refused("NOT_FOUND", f"{login} does not see what they are to sign")
        signature = {"login": login, "password": PASSWORD, "digest": seen["signable"]["digest"], "meaning": meaning}
        return {"rowVersion": ("Int!", seen["rowVersion"]), "signature": ("SignatureInput!", signature)}

    async def _mutate(
        self, login: str, name: str, given: Mapping[str, tuple[str, Any]], more: str, asked: str
    ) -> Mapping[str, Any]:
        declared = ", ".join(f"${key}: {type_}" for key, (type_, _) in given.items())
        passed = ", ".join([*(f"{key}: ${key}" for key in given), *([more] if more else [])])
        document = f"mutation({declared}) {{ {name}({passed}) {{ {asked} }} }}"
        found = await self.ask(login, document, **{key: value for key, (_, value) in given.items()})
        await jobs.drain(self.runtime.processes)
        answer: Mapping[str, Any] = found[name]
        return answer

    def input(self, entity: str, fields: Mapping[str, Any], *, creating: bool = False) -> dict[str, Any]:
        """Fields in the project's names as the API takes them."""
        known = self.runtime.blueprint.entities[entity].fields
        found: dict[str, Any] = {}
        for name, value in fields.items():
            if name == "id":
                found[name] = value
                continue
            kind, target = known[name].kind, (*known[name].targets, "")[0]
            if kind is FieldKind.LINES and isinstance(value, Mapping):
                value = {
                    key: items if key == "remove" else [self.input(target, each) for each in items]
                    for key, items in value.items()
                }
            elif kind is FieldKind.LINES:
                lines = [self.input(target, each, creating=creating) for each in value]
                value = lines if creating else {"set": lines}
            elif kind is FieldKind.MANY and not creating and not isinstance(value, Mapping):
                value = {"set": value}
            elif kind is FieldKind.ANY:
                value = {naming.field_name(value.entity): value.id}
            elif kind is FieldKind.FILES:
                value = [
                    {"mediaType" if key == "media_type" else key: item for key, item in each.items()} for each in value
                ]
            found[naming.field_name(name)] = value
        return found


def one_of(tasks: Sequence[dict[str, Any]], login: str, step: str) -> dict[str, Any]:
    """The only task of a step. Raises Refused: there is none, or there are several."""
    if len(tasks) != 1:
        raise Refused("NO_TASK" if not tasks else "MANY_TASKS", f"{login}: {step} × {len(tasks)}")
    return tasks[0]


def plain(value: Any) -> Any:
    """A value as JSON variables have it."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Money):
        return {"amount": str(value.amount), "currency": value.currency}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID | Decimal) else value
