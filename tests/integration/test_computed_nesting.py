"""Computed fields within computed fields: what the check lets through both databases read, and what is too deep or too
long for one is told before it is put into force."""

from __future__ import annotations

from functools import cache

import pytest
from tests.integration.test_audit_names_reused import asked, released
from tests.integration.write_journey import Plant

from clew.cli.app import run
from clew.kernel.scalars import instant_text
from clew.metadata.load import load_sources
from clew.storage.readable import unreadable
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio

CHAINS = {
    "decimal, scale: 2": ("coalesce({before}, 0.00) + 1.00", "-coalesce({before}, 0.00)", "up.{before}"),
    "integer": ("coalesce({before}, 0) + 1", "size(downs) > 1 ? 1 : {before}"),
    "boolean": ("{before} == true || code == 'x'", "downs.exists(d, d.{before} == true)"),
    "text": ("coalesce({before}, code)",),
    "date": ("coalesce({before}, today)",),
}
HEAD = """\
entity: lot
key: [code]
fields:
  code: {type: text, required: true, unique: true}
  up: {type: ref, of: lot, inverse: downs}
"""
SUM = ("integer", CHAINS["integer"][0])
LISTS = (
    "{{ lots {{ edges {{ cursor node {{ id {last} }} }} pageInfo {{ endCursor }} totalCount }} }}",
    "{{ lots(orderBy: [{{{last}: DESC}}]) {{ edges {{ cursor node {{ {last} }} }} pageInfo {{ endCursor }} }} }}",
)


def model(chains: dict[tuple[str, str], int]) -> str:
    """One entity with a chain of so many fields for each type and expression."""
    text = HEAD
    for at, ((type_, expression), length) in enumerate(chains.items()):
        text += f"  s{at}: {{type: {type_}}}\n"
        for number in range(length):
            before = f"c{at}x{number - 1}" if number else f"s{at}"
            text += f'  c{at}x{number}: {{type: {type_}, is: "{expression.format(before=before)}"}}\n'
    return text


@cache
def longest(type_: str, expression: str) -> int:
    """How many of them are let through; one more is not."""
    loaded = load_sources({"clew.yaml": "project: small\n", "models/a.yaml": model({(type_, expression): 30})})
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    refused = [int(field.name.partition("x")[2]) for _, field in unreadable(loaded.blueprint)]
    assert refused == list(range(refused[0], 30)), "whatever contains one that is too deep is too deep"
    return refused[0]


async def test_what_is_let_through_is_read(database: TestDatabase) -> None:
    chains = {(type_, each): longest(type_, each) for type_, expressions in CHAINS.items() for each in expressions}
    made: Plant = await released(await database.open(), model(chains))
    first = await made.commands.create(made.call, "lot", {"code": "A"})
    await made.commands.create(made.call, "lot", {"code": "B", "up": first.id})
    for at, length in enumerate(chains.values()):
        for document in LISTS:
            await asked(made, document.format(last=f"c{at}x{length - 1}"))


NESTED = (
    "{{ nodes {{ code up {{ {last} }}"
    " downs(first: 2, orderBy: [{{{last}: DESC}}]) {inner} }} pageInfo {{ endCursor }} }}"
)


async def test_what_is_let_through_is_read_however_deep_in_lists_it_is(database: TestDatabase) -> None:
    """Four lists within each other, now and as of before: the same value as in a list by itself."""
    chains = {(type_, each): longest(type_, each) for type_, each in (("boolean", CHAINS["boolean"][1]), SUM)}
    made: Plant = await released(await database.open(), model(chains))
    line = [(await made.commands.create(made.call, "lot", {"code": "A", "s0": True, "s1": 1})).id]
    for code in "BCDE":
        line.append(
            (await made.commands.create(made.call, "lot", {"code": code, "up": line[-1], "s0": True, "s1": 2})).id
        )
    async with made.database.read() as connection:
        before = instant_text(await connection.now())
    await made.commands.update(made.call, "lot", line[-1], 1, {"s0": False, "s1": 5})
    for at, length in enumerate(chains.values()):
        last = f"c{at}x{length - 1}"
        for moment in ("", f', asOf: "{before}"'):
            flat = await asked(made, f"{{ lots(first: 9{moment}) {{ nodes {{ code {last} }} }} }}")
            values = {each["code"]: each[last] for each in flat["lots"]["nodes"]}
            inner = f"{{ nodes {{ code {last} }} }}"
            for _ in range(3):
                inner = NESTED.format(last=last, inner=inner)
            found = await asked(made, f'{{ lots(first: 1, where: {{code: {{eq: "A"}}}}{moment}) {inner} }}')
            nodes, seen = found["lots"]["nodes"], dict[str, object]()
            while nodes:
                if last in nodes[0]:
                    seen[nodes[0]["code"]] = nodes[0][last]
                if nodes[0].get("up"):
                    seen[chr(ord(nodes[0]["code"]) - 1)] = nodes[0]["up"][last]
                nodes = nodes[0].get("downs", {}).get("nodes")
            assert seen == {code: values[code] for code in "ABD"}


def test_what_no_database_could_read_is_told(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too deep by what it contains; and too long, which is told without spreading it out."""
    deep = model({("text", "coalesce({before}, code)"): 30})
    long = model({("boolean", "{before} == true || !({before} == true)"): 60})
    for text, first in ((deep, "c0x"), (long, "c0x")):
        folder = tmp_path_factory.mktemp("project")
        (folder / "models").mkdir()
        (folder / "clew.yaml").write_text("project: small\n", encoding="utf-8")
        (folder / "models" / "a.yaml").write_text(text, encoding="utf-8")
        assert run(["check", str(folder), "--lang", "zh"]) == 1
        shown = capsys.readouterr().out
        assert "COMPUTED_TOO_DEEP" in shown
        assert f"计算字段 lot.{first}" in shown
