"""One frozen Runtime: everything one release needs to answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from clew.access.deciding import OPERATOR_ROLE, Deciding
from clew.api.exchange import Caller, GraphQL
from clew.identity.desk import Desk
from clew.kernel.clock import Clock
from clew.kernel.context import EVERYWHERE, OPERATOR_ID, Context, Person
from clew.kernel.ids import uuid7
from clew.kernel.text import Locale
from clew.metadata.blueprint import Blueprint
from clew.process.engine import Processes
from clew.records.commands import Call, Commands
from clew.records.decisions.replay import Replayer
from clew.records.query.plan import Plan
from clew.records.query.run import prepare
from clew.sdk.channels import Send
from clew.storage.catalog import Catalog
from clew.storage.engine import Database
from clew.storage.tables import Tables

OPERATOR = Person(
    id=OPERATOR_ID,
    login="operator",
    name="Operator",
    roles=(OPERATOR_ROLE,),
    scopes=MappingProxyType({OPERATOR_ROLE: EVERYWHERE}),
)
"""The person at this machine: who acts while a project declares no policies, and on the command line."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything one release needs to answer. Immutable: a newer release is another Runtime."""

    number: int
    blueprint: Blueprint
    catalog: Catalog
    tables: Tables
    database: Database
    commands: Commands
    graphql: GraphQL
    decide: Deciding
    clock: Clock
    desk: Desk
    processes: Processes
    replayer: Replayer
    operator: Person = OPERATOR
    channels: Mapping[str, Send] = field(default_factory=lambda: MappingProxyType({}))
    """How plugins carry notices, by name."""

    @property
    def guarded(self) -> bool:
        """Whether the project has policies, so that everybody signs in."""
        return self.blueprint.policies is not None

    def operator_call(self, locale: Locale, reason: str | None = None) -> Call:
        """A command or read by the operator at this machine, from the command line."""
        context = Context(self.operator, str(uuid7()), locale, channel="cli")
        return Call(context, self.decide(context), reason)

    async def read(self, plan: Plan, caller: Caller, args: Mapping[str, Any]) -> str:
        """Run one relational plan for a caller; its answer as JSON text."""
        dialect = self.database.dialect
        prepared = prepare(plan, self.blueprint, self.tables, caller.decision, dialect)
        async with self.database.read() as connection:
            return await prepared.fetch(connection, dict(args), caller.context, self.clock.now())
