"""Files in and out: encodings, long codes, references by key, lines, dry runs, reports, formulas, a round trip."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from openpyxl import Workbook, load_workbook

from clew.audit.leaf import entries_of, verify_leaf
from clew.expressions.check import check
from clew.expressions.tree import Base, Type
from clew.kernel.clock import SystemClock
from clew.kernel.errors import ClewError
from clew.metadata.schema import BlueprintSchema
from clew.records import exporting
from clew.records.errors import BadImport, CellTooLong
from clew.records.exporting import Selection, export_file
from clew.records.files import decode, read_sheets
from clew.records.importing import ImportReport, import_files
from clew.records.source import Source
from clew.records.template import write_template
from clew.storage import system
from clew.testing.databases import TestDatabase

sys.path.insert(0, str(Path(__file__).parent))
from write_journey import Plant, a_lot, mini, plant
from write_ledger import discrepancies

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(database: TestDatabase) -> AsyncIterator[Plant]:
    opened = await database.open()
    yield await plant(opened)
    await opened.close()


def source(made: Plant) -> Source:
    return Source(made.database, made.blueprint, made.tables, made.decision, made.call.context, SystemClock().now())


async def test_what_a_spreadsheet_cannot_hold_is_not_cut_off(
    made: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of links that lost its end would take them away when it comes back."""
    parents = [(await made.commands.create(made.call, "lot", a_lot(made))).id for _ in range(3)]
    await made.commands.create(made.call, "lot", a_lot(made, parents=parents))
    monkeypatch.setattr(exporting, "LONGEST_CELL", 40)
    with pytest.raises(CellTooLong) as refused:
        await export_file(source(made), "lot", tmp_path / "n.xlsx", "xlsx")
    assert "parents" in refused.value.message("en")
    assert not (tmp_path / "n.xlsx").exists()
    assert await export_file(source(made), "lot", tmp_path / "n.csv", "csv") == 4


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


async def load(made: Plant, entity: str, path: Path, **options: Any) -> ImportReport:
    return await import_files(made.commands, made.call, entity, path, **options)


async def items(made: Plant) -> dict[str, dict[str, Any]]:
    return {each["item_no"]: each for each in (await made.current("item")).values()}


ITEMS = "物料编码 (item_no),name,kind,price,price.currency,description.zh,tags,sterile,parent.item_no,since\r\n"
ROWS = (
    '000123456789012345,"针, ""粗""\r\n二行",raw,1.50,CNY,说明,sterile;implant,是,,2026/3/1\r\n'
    "A-2,管,,,,,,false,000123456789012345,\r\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
async def test_a_file_in_any_encoding(made: Plant, tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "items.csv", ITEMS + ROWS.replace("\r\n二行", ""), encoding)
    report = await load(made, "item", path)
    assert (report.rows, report.created, report.problems, report.committed) == (2, 2, (), True)
    found = await items(made)
    first = found["000123456789012345"]
    assert (first["name"], first["price"], first["price_currency"]) == ('针, "粗"', Decimal("1.50"), "CNY")
    assert (first["tags"], first["sterile"], first["since"]) == (["implant", "sterile"], True, date(2026, 3, 1))
    assert first["description"] == {"zh": "说明"}
    assert (found["A-2"]["kind"], found["A-2"]["parent"]) == ("raw", first["id"])
    again = await load(made, "item", path)
    assert (again.created, again.updated) == (0, 2)
    assert (await items(made))["A-2"]["row_version"] == 1
    assert await discrepancies(made) == []


@pytest.mark.parametrize("mode", ["all", "good", "dry"])
async def test_the_report_names_file_row_and_column(made: Plant, tmp_path: Path, mode: Any) -> None:
    text = (
        "item_no,name,kind,parent.item_no\n"
        "B-1,甲,raw,\n"
        'B-2,"两\n行",raw,\n'
        "B-3,丙,paper,\n"
        "B-4,丁,raw,NO-SUCH\n"
        "B-5,戊,raw,B-1\n"
    )
    report = await load(made, "item", write(tmp_path / "i.csv", text), mode=mode)
    found = [(each.file, each.row, each.column, each.code) for each in report.problems]
    assert found == [
        ("i.csv", 3, "name", "VALUE_TEXT"),
        ("i.csv", 5, "kind", "UNKNOWN_CODE"),
        ("i.csv", 6, "parent.item_no", "REFERENCE"),
    ]
    assert all(each.zh != each.en for each in report.problems)
    assert report.committed is (mode == "good")
    assert set(await items(made)) - {"RAW-1"} == ({"B-1", "B-5"} if mode == "good" else set())
    assert await discrepancies(made) == []


async def test_references_and_numbers_by_key(made: Plant, tmp_path: Path) -> None:
    text = "number,site.code,item.item_no,qty,parents.number\nOLD-7,SHA,RAW-1,1.5,\nOLD-8,SUZ,RAW-1,2,OLD-7\n"
    report = await load(made, "lot", write(tmp_path / "lots.csv", text))
    assert report.problems == ()
    lots = {each["number"]: each for each in (await made.current("lot")).values()}
    assert lots["OLD-8"]["site"] == made.ids["SUZ"]
    [link] = await made.rows(made.tables.link("lot", "parents"))
    assert (link["owner"], link["target"]) == (lots["OLD-8"]["id"], lots["OLD-7"]["id"])
    header = json.loads((await made.rows(system.leaf))[-1]["header"])
    assert header["reason"] == "import lots.csv"


async def test_a_workbook_with_lines(made: Plant, tmp_path: Path) -> None:
    book = Workbook()
    main = book.worksheets[0]
    main.title = "item"
    main.append(["item_no", "name", "weight", "since", "attributes"])
    main.append(["007", "总成", 1.25, date(2026, 3, 1), '{"size": 4}'])
    lines = book.create_sheet("boms")
    lines.append(["owner.item_no", "position", "component.item_no", "qty"])
    lines.append(["007", 1, "RAW-1", 2])
    lines.append(["007", 2, "RAW-1", 0])
    book.save(tmp_path / "b.xlsx")
    refused = await load(made, "item", tmp_path / "b.xlsx")
    [problem] = refused.problems
    assert (problem.sheet, problem.row, problem.column, problem.code) == ("boms", 3, "qty", "VALUE_BOUNDS")
    assert not refused.committed
    lines["D3"] = 3
    book.save(tmp_path / "b.xlsx")
    assert (await load(made, "item", tmp_path / "b.xlsx")).created == 1
    row = (await items(made))["007"]
    assert (row["weight"], row["since"], row["attributes"]) == (Decimal("1.250"), date(2026, 3, 1), {"size": 4})
    assert sorted(each["qty"] for each in (await made.current("bom_line")).values()) == [2, 3]
    lines["D3"] = 4
    lines.delete_rows(2)
    book.save(tmp_path / "b.xlsx")
    assert (await load(made, "item", tmp_path / "b.xlsx")).problems == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("item_no,nmae\nX,y\n", "Did you mean name"),
        ("item_no,item_no\nX,y\n", "twice"),
        ("item_no,state_of_mind\nX,y\n", "no column"),
        ("", "empty"),
        ('item_no,name\nX,"y\n', "line"),
    ],
)
async def test_files_that_cannot_be_read_say_why(made: Plant, tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadImport, match=said):
        await load(made, "item", write(tmp_path / "x.csv", text))


async def test_what_may_not_be_imported(made: Plant, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "on_hand\n1\n")
    for entity in ("balance", "bom_line", "no_such"):
        with pytest.raises(BadImport):
            await load(made, entity, path)


def test_lost_digits_and_binary_are_refused(tmp_path: Path) -> None:
    book = Workbook()
    book.worksheets[0].append(["code"])
    book.worksheets[0].append([123456789012345678])
    book.save(tmp_path / "n.xlsx")
    with pytest.raises(BadImport, match="lost digits"):
        read_sheets(tmp_path / "n.xlsx")
    with pytest.raises(ClewError):
        decode(b"\x81\xff\xff\xfe\x00", "x.csv")
    (tmp_path / "y.xlsx").write_bytes(b"not a workbook")
    with pytest.raises(BadImport):
        read_sheets(tmp_path / "y.xlsx")


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
async def test_a_round_trip_changes_nothing(made: Plant, tmp_path: Path, format_: Any) -> None:
    await load(made, "item", write(tmp_path / "items.csv", ITEMS + ROWS.replace("\r\n二行", "")))
    await made.commands.create(made.call, "item", {"item_no": "EVIL", "name": "=HYPERLINK(1)", "price": None})
    line = {"position": 1, "component": made.ids["RAW-1"], "qty": "2"}
    await made.commands.create(made.call, "item", {"item_no": "ASSY", "name": "-总成", "boms": [line]})
    before = await items(made)
    path = tmp_path / f"out.{format_}"
    assert await export_file(source(made), "item", path, format_) == len(before)
    lines = {"boms": tmp_path / "out.boms.csv"} if format_ == "csv" else None
    report = await load(made, "item", path, lines=lines)
    assert (report.problems, report.created) == ((), 0)
    assert await items(made) == before
    [kept] = (await made.current("bom_line")).values()
    assert (kept["qty"], kept["row_version"]) == (2, 1)


async def test_no_cell_is_a_formula(made: Plant, tmp_path: Path) -> None:
    for at, start in enumerate("=+-@"):
        await made.commands.create(made.call, "supplier", {"name": f"{start}cmd|' /C calc'!A0{at}"})
    await export_file(source(made), "supplier", tmp_path / "s.csv", "csv")
    with (tmp_path / "s.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert sum("cmd" in cell for cell in cells) == 4
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    await export_file(source(made), "supplier", tmp_path / "s.xlsx", "xlsx")
    book = load_workbook(tmp_path / "s.xlsx")
    types = {cell.data_type for row in book["supplier"].iter_rows() for cell in row if cell.value is not None}
    assert types == {"s"}


async def test_json_lines_and_pages(made: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clew.records.exporting.PAGE", 3)
    await made.commands.bulk(made.call, "lot", [a_lot(made, qty=str(at)) for at in range(10)])
    assert await export_file(source(made), "lot", tmp_path / "l.jsonl", "jsonl") == 10
    rows = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert sorted(Decimal(row["qty"]) for row in rows) == list(range(10))
    assert {(row["_entity"], row["item.item_no"], row["site.code"]) for row in rows} == {("lot", "RAW-1", "SHA")}


async def test_many_rows(made: Plant, tmp_path: Path, tier: Any) -> None:
    count = tier.count(600, 10_000)
    text = "item_no,name\n" + "".join(f"M-{at},物料{at}\n" for at in range(count))
    seen: list[tuple[int, int]] = []
    report = await load(
        made, "item", write(tmp_path / "m.csv", text), progress=lambda done, of: seen.append((done, of))
    )
    assert (report.created, report.committed) == (count, True)
    assert seen[-1] == (count, count)
    assert len(await items(made)) == count + 1


def test_the_template_has_drop_downs_and_explains_codes(tmp_path: Path) -> None:
    write_template(mini(), "item", tmp_path / "t.xlsx", "zh")
    book = load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["item", "boms", "per_site", "codes"]
    heads = [cell.value for cell in book["item"][1]]
    assert "物料编码 (item_no)" in heads
    assert "state (state)" not in heads
    rules = book["item"].data_validations.dataValidation
    assert any("codes!" in rule.formula1 for rule in rules)
    codes = [tuple(cell.value for cell in row[:2]) for row in book["codes"].iter_rows()]
    assert ("finished", "成品") in codes
    assert [each.headers[0] for each in read_sheets(tmp_path / "t.xlsx")][1].endswith("(owner.item_no)")


async def test_an_export_is_chosen_by_condition_and_moment_and_leaves_a_leaf(made: Plant, tmp_path: Path) -> None:
    rows = ROWS.replace("\r\n二行", "")
    assert (await load(made, "item", write(tmp_path / "items.csv", ITEMS + rows))).committed
    schema = BlueprintSchema.of(made.blueprint)
    chosen = Selection(check("item_no == 'A-2'", schema, "item", expect=Type(Base.BOOLEAN)))
    assert await export_file(source(made), "item", tmp_path / "one.csv", "csv", chosen=chosen) == 1
    assert "A-2" in (tmp_path / "one.csv").read_text(encoding="utf-8-sig")
    before = Selection(as_of=datetime(2020, 1, 1, tzinfo=UTC))
    assert await export_file(source(made), "item", tmp_path / "none.csv", "csv", chosen=before) == 0
    async with made.database.read() as connection:
        leaves = await connection.fetch(
            sa.select(system.leaf).where(system.leaf.c.action == "export").order_by(system.leaf.c.at)
        )
    kept = [dict(zip(system.leaf.c.keys(), row, strict=True)) for row in leaves]
    assert [verify_leaf(each["header"], each["fields"], each["digest"]) for each in kept] == [(), ()]
    assert [entries_of(each["fields"])["rows"].new for each in kept] == [1, 0]
    assert entries_of(kept[0]["fields"])["where"].new == "item_no == 'A-2'"
