"""Values at the edge of what can be told: in cells of imports, in sums, in JSON. None is misread, none is a crash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from write_journey import Plant, context, plant

from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.metadata.load import load_sources
from clew.records.errors import BadImport
from clew.records.importing import ImportReport, import_files
from clew.records.loading import Loader
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
PROJECT = "project: sample\nversion: 1.0.0\nlabel: {zh: 样例, en: Sample}\ntime_zone: Asia/Shanghai\n"
MODELS = """
entity: slot
label: {zh: 位, en: Slot}
class: master
key: [number]
fields:
  number: {type: integer, big: true, required: true}
---
entity: size
label: {zh: 规格, en: Size}
class: master
key: [width, round, since]
fields:
  width: {type: decimal, scale: 2, required: true}
  round: {type: boolean, required: true}
  since: {type: date, required: true}
---
entity: thing
label: {zh: 物, en: Thing}
class: master
key: [code]
fields:
  code: {type: text, required: true}
  slot: {type: ref, of: slot}
  size: {type: ref, of: size}
  qty: {type: decimal, scale: 4}
  big: {type: integer, big: true}
  price: {type: money}
  took: {type: duration}
  name: {type: translated, search: true}
  data: {type: json, schema: {}}
  pieces:
    type: lines
    fields:
      what: {type: text, required: true}
"""


async def world(database: TestDatabase) -> Plant:
    loaded = load_sources({"clew.yaml": PROJECT, "models/all.yaml": MODELS})
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return await plant(await database.open(), blueprint=loaded.blueprint, furnish=False)


async def ask(made: Plant, document: str) -> Any:
    engine = GraphQLEngine(made.blueprint, made.tables, made.database, SystemClock())
    answer = await engine.execute(Question(document, None, {}, None), Caller(context(), made.decision))
    found = json.loads(answer.body)
    assert "errors" not in found, found
    return found["data"]


async def test_a_cell_that_cannot_be_read_is_told_with_its_row(database: TestDatabase, tmp_path: Path) -> None:
    made = await world(database)
    await made.commands.create(made.call, "slot", {"number": "5"})
    await made.commands.create(made.call, "size", {"width": "5.50", "round": True, "since": "2026-03-01"})

    async def given(head: str, cells: list[str]) -> ImportReport:
        file = tmp_path / "things.csv"
        lines = [f"code,{head}", *(f"T{at},{cell}" for at, cell in enumerate(cells))]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return await import_files(made.commands, made.why("x"), "thing", file, mode="good")

    sizes = [f"{width},{flag},2026/3/1" for width, flag in (("5.5", "是"), ("5.555", "true"), ("NaN", "1"), ("x", "1"))]
    cases: list[tuple[str, list[str], str]] = [
        ("slot.number", ["5", "05", "²", "--5", "99999999999999999999", "x"], "REFERENCE"),
        ("size.width,size.round,size.since", [*sizes, "5.5,perhaps,2026-03-01", "5.5,true,soon"], "REFERENCE"),
        # In half of Europe a comma stands before the decimal places.
        ("qty", ['"1,234.5"', '"-12,345,678"', '"1,5"', '"1,2,3"', '"0,123"', "1_000", "1e400"], "VALUE_TYPE"),
        ("data", ["[1.10]", '"""\\ud800"""', '"{""\\ud800"": 1}"', '"""\\u0000"""'], "VALUE_TEXT"),
    ]
    for head, cells, code in cases:
        report = await given(head, cells)
        good = 2 if head in ("slot.number", "qty") else 1
        assert [(each.row, each.code) for each in report.problems] == [
            (at + 2, code) for at in range(good, len(cells))
        ], head
    quantities = {row["code"]: str(row["qty"]) for row in (await made.current("thing")).values()}
    assert (quantities["T0"], quantities["T1"]) == ("1234.5000", "-12345678.0000")
    file = tmp_path / "wide.csv"
    file.write_bytes("code\nT1\n".encode("utf-16") + b"\xd8")
    with pytest.raises(BadImport):
        await import_files(made.commands, made.why("x"), "thing", file)


async def test_lines_find_their_owners_by_every_part_of_the_key(database: TestDatabase, tmp_path: Path) -> None:
    made = await world(database)
    main, lines = tmp_path / "things.csv", tmp_path / "pieces.csv"
    main.write_text("code\n" + "".join(f"T{at}\n" for at in range(30)), encoding="utf-8")
    lines.write_text("owner.code,what\n" + "".join(f"T{at % 30},part {at}\n" for at in range(60)), encoding="utf-8")
    report = await import_files(made.commands, made.why("x"), "thing", main, lines={"pieces": lines})
    assert (report.created, report.problems) == (30, ())
    assert len(await made.current("thing_pieces")) == 60
    lines.write_text("owner.code,what\nT1,here\nT99,lost\n", encoding="utf-8")
    with pytest.raises(BadImport, match="row 3: there is no row with key T99"):
        await import_files(made.commands, made.why("x"), "thing", main, lines={"pieces": lines})


async def test_sums_are_exact_however_large_and_never_of_two_currencies(database: TestDatabase) -> None:
    made = await world(database)
    rows = [("-1", "CNY"), *[("1", "CNY")] * 12, ("1", "EUR")]
    for at, (sign, currency) in enumerate(rows):
        given = {"code": f"T{at}", "big": 9 * 10**17 * int(sign), "qty": f"{sign}.0005", "took": "PT270000000H"}
        price = {"amount": f"{sign}.01", "currency": currency}
        await made.commands.create(made.call, "thing", {**given, "price": price})
    asked = """
      aggregate { sum { big qty took price } avg { big qty price } max { price } countDistinct { price } }"""
    found = (await ask(made, f"{{ things {{ {asked} }} }}"))["things"]["aggregate"]
    assert found["sum"] == {
        "big": "10800000000000000000",
        "qty": "12.0060",
        "took": "PT13608000000000S",
        "price": None,
    }
    assert found["avg"] == {"big": "771428571428571428.5714", "qty": "0.85757143", "price": None}
    assert (found["max"], found["countDistinct"]) == ({"price": None}, {"price": 2})
    only = 'things(where: {price: {currency: {eq: "CNY"}}})'
    found = (await ask(made, f"{{ {only} {{ {asked} }} }}"))["things"]["aggregate"]
    assert (found["sum"]["price"], found["max"]["price"]) == ("11.11", "1.01")
    only = 'things(where: {code: {eq: "T0"}})'
    found = (await ask(made, f"{{ {only} {{ {asked} }} }}"))["things"]["aggregate"]
    assert (found["sum"]["big"], found["avg"]["qty"]) == ("-900000000000000000", "-1.00050000")
    only = 'things(where: {code: {eq: "none"}})'
    found = (await ask(made, f"{{ {only} {{ {asked} }} }}"))["things"]["aggregate"]
    assert set(found["sum"].values()) | set(found["avg"].values()) == {None}


async def test_translated_text_is_found_also_when_it_came_in_bulk(database: TestDatabase) -> None:
    made = await world(database)
    async with made.database.migrate() as connection:
        loader = Loader(connection, made.tables, context(), "release")
        await loader.begin()
        loader.add("thing", {"code": "A", "name": {"zh": "无菌注射器", "en": "Syringe"}}, at=await connection.now())
        await loader.finish()
    for text in ("注射", "syri"):
        assert (await ask(made, f'{{ things(search: "{text}") {{ totalCount }} }}'))["things"]["totalCount"] == 1
