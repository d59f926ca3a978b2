"""An engine over the small world of `read_world`, asked directly; the fixture `api` opens it on each engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from read_world import context, decision_of, mini, permit_all, pour, uid, world

from clew.access.decision import Decision
from clew.api.engine import GraphQLEngine, Options
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.kernel.context import Person
from clew.storage.engine import Database
from clew.testing.databases import TestDatabase

BOSS = Person(uid(9, 1), "boss", "Boss")


class Api:
    """An engine over the world with everybody's decision at hand."""

    def __init__(self, database: Database, tables: Any) -> None:
        self.database, self.tables, self.blueprint = database, tables, mini()
        self.world = world(3)
        self.engine = self.make()
        self.all = permit_all(self.blueprint)
        self.inspector = decision_of(self.blueprint, "inspector")
        self.auditor = decision_of(self.blueprint, "auditor")

    def make(self, options: Options | None = None) -> GraphQLEngine:
        return GraphQLEngine(self.blueprint, self.tables, self.database, SystemClock(), options)

    async def ask(
        self,
        document: str | None,
        decision: Decision | None = None,
        person: Person = BOSS,
        engine: GraphQLEngine | None = None,
        locale: Any = "en",
        extensions: Any = None,
        **variables: Any,
    ) -> dict[str, Any]:
        caller = Caller(context(person, locale=locale), decision or self.all)
        question = Question(document, None, variables, extensions)
        found: dict[str, Any] = json.loads((await (engine or self.engine).execute(question, caller)).body)
        return found

    async def data(self, document: str, *args: Any, **options: Any) -> Any:
        found = await self.ask(document, *args, **options)
        assert "errors" not in found, found
        return found["data"]

    async def codes(self, document: str | None, *args: Any, **options: Any) -> list[str]:
        return [each["extensions"]["code"] for each in (await self.ask(document, *args, **options))["errors"]]


@pytest.fixture
async def api(database: TestDatabase) -> AsyncIterator[Api]:
    opened = await database.open()
    tables = await pour(opened, mini(), world(3))
    yield Api(opened, tables)
    await opened.close()
