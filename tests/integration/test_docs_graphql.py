"""Every example of docs/graphql.md runs against the pack; the Chinese page shows the same ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, OperationType, parse, validate
from http_case import installed

from clew.api.exchange import Caller, Question
from clew.kernel.context import Context
from clew.runtime import OPERATOR, open_runtime
from clew.settings import Settings

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).parents[2]


def examples(page: str) -> list[str]:
    return re.findall(r"```graphql\n(.+?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


def test_both_languages_show_the_same_examples() -> None:
    assert examples("graphql.md") == examples("graphql.zh.md")
    assert len(examples("graphql.md")) >= 15


async def test_every_example_runs_on_the_pack(tmp_path: Path, new_database: Any) -> None:
    url = new_database("sqlite").url
    await installed(url, ROOT)
    host = await open_runtime(Settings(database_url=url, blobs=tmp_path))
    try:
        runtime = host.current
        context = Context(OPERATOR, "docs", channel="cli")
        caller = Caller(context, runtime.decide(context))
        schema = runtime.graphql.views.view(caller.decision, "en").schema  # type: ignore[attr-defined]
        create = next(each for each in examples("graphql.md") if "createSupplier(" in each)
        codes = dict(re.findall(r"(kind|riskClass): (\w+)", create))
        rows = [{"name": "B", "country": "DE", **codes}]
        made: dict[str, Any] = {"id": None, "version": 1, "rows": rows, "after": None}
        for text in sorted(examples("graphql.md"), key=lambda each: "createSupplier(" not in each):
            document = parse(text)
            [operation] = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
            if operation.operation is OperationType.SUBSCRIPTION:
                assert validate(schema, document) == [], text
                continue
            declared = {each.variable.name.value for each in operation.variable_definitions or ()}
            variables = {name: value for name, value in made.items() if name in declared}
            found = json.loads((await runtime.graphql.execute(Question(text, None, variables), caller)).body)
            assert "errors" not in found, (text, found)
            record = next(iter(found["data"].values())).get("supplier") or {}
            made["id"] = record.get("id", made["id"])
            made["version"] = record.get("rowVersion", made["version"])
    finally:
        await host.close()
