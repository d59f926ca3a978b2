"""Relay's connection rules: opaque cursors, pageInfo, pages that stay right while rows change, `node` everywhere."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from read_api import Api, api
from read_world import MOMENTS, uid

from clew.metadata import naming

pytestmark = pytest.mark.anyio
__all__ = ["api"]

PAGE = """query($first: Int, $last: Int, $after: Cursor, $before: Cursor) {
  lots(first: $first, last: $last, after: $after, before: $before, orderBy: [{number: ASC}]) {
    edges { cursor node { number } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


async def page(api: Api, **arguments: Any) -> tuple[list[str], list[str], dict[str, Any]]:
    """Numbers, cursors, pageInfo."""
    found = (await api.data(PAGE, **arguments))["lots"]
    edges = found["edges"]
    return [each["node"]["number"] for each in edges], [each["cursor"] for each in edges], found["pageInfo"]


async def test_every_combination_of_arguments(api: Api) -> None:
    """The algorithm of the specification, over every pair of cursors and several sizes."""
    numbers, cursors, whole = await page(api, first=500)
    assert numbers == sorted(numbers)
    assert len(set(cursors)) == len(numbers) > 10
    assert (whole["hasNextPage"], whole["hasPreviousPage"]) == (False, False)
    places = [None, 0, 4, len(numbers) - 1]
    for after in places:
        for before in places:
            for size in ({"first": 0}, {"first": 3}, {"first": 100}, {"last": 0}, {"last": 3}, {"last": 100}):
                start = 0 if after is None else after + 1
                end = len(numbers) if before is None else before
                between = numbers[start:end] if start < end else []
                count = next(iter(size.values()))
                wanted = between[:count] if "first" in size else between[max(0, len(between) - count) :]
                given = {
                    "after": None if after is None else cursors[after],
                    "before": None if before is None else cursors[before],
                }
                found, marks, info = await page(api, **size, **given)
                assert found == wanted, (size, after, before)
                assert marks == [cursors[numbers.index(each)] for each in found]
                assert info["startCursor"] == (marks[0] if marks else None)
                assert info["endCursor"] == (marks[-1] if marks else None)
                if "first" in size:
                    assert info["hasNextPage"] is (len(between) > count)
                else:
                    assert info["hasPreviousPage"] is (len(between) > count)


async def test_pages_stay_right_while_rows_come_and_go(api: Api) -> None:
    """What was there all the time is seen exactly once, whatever is added or voided between two pages."""
    table = api.tables.current("lot")
    numbers, _, _ = await page(api, first=500)
    row = next(each for each in api.world.rows("lot", None) if each["voided_at"] is None)
    plain = {column.key: row.get(column.key, False if column.key == "legal_hold" else None) for column in table.c}
    seen: list[str] = []
    gone: set[str] = set()
    after, at = None, 0
    while True:
        found, _, info = await page(api, first=3, after=after)
        seen += found
        if not info["hasNextPage"]:
            break
        after, at = info["endCursor"], at + 1
        async with api.database.write() as connection:
            # One row before the cursor, one behind it, and the very row the cursor stands on is taken away.
            for place, number in ((0, f"A{at:03}"), (1, f"{found[-1]}x")):
                await connection.execute(
                    sa.insert(table).values(**plain | {"id": uid(88, 2 * at + place), "number": number})
                )
            voided = sa.update(table).where(table.c.number == found[-1]).values(voided_at=MOMENTS[3])
            await connection.execute(voided)
            gone.add(found[-1])
    assert len(seen) == len(set(seen))
    assert [each for each in seen if each in numbers] == numbers
    assert not [each for each in seen if each.startswith("A")]
    assert {f"{each}x" for each in gone} <= set(seen)
    left, _, _ = await page(api, first=500)
    assert not gone & set(left)


async def test_cursors_are_opaque_and_of_one_order(api: Api) -> None:
    _, cursors, _ = await page(api, first=2)
    assert not any(number in cursors[0] for number in ("L0", "{", '"'))
    for bad in ("", "x", cursors[0][:-3], cursors[0] + "AAAA", "Li4vLi4v", "é"):
        assert await api.codes(PAGE, first=2, after=bad) == ["BAD_CURSOR"], bad
    other = "query($after: Cursor) { lots(first: 1, after: $after, orderBy: [{number: DESC}]) { nodes { id } } }"
    assert await api.codes(other, after=cursors[0]) == ["BAD_CURSOR"]
    assert await api.codes(PAGE, first=1, last=1) == ["BAD_INPUT"]
    assert await api.codes(PAGE, first=-1) == ["BAD_PAGE"]


async def test_node_finds_a_record_of_every_type(api: Api) -> None:
    asked = "query($id: ID!) { node(id: $id) { __typename id } }"
    kinds = 0
    for entity in api.world.versions:
        row = next(iter(api.world.rows(entity, None)), None)
        if row is not None:
            kinds += 1
            found = await api.data(asked, id=str(row["id"]))
            assert found["node"] == {"__typename": naming.type_name(entity), "id": str(row["id"])}
    assert kinds >= 5
    assert (await api.data(asked, id=str(uid(99, 99))))["node"] is None


async def test_every_list_is_a_connection_and_every_record_a_node(api: Api) -> None:
    schema = api.engine.views.view(api.all, "en").whole()
    connections = [each for each in schema.type_map.values() if each.name.endswith("Connection")]
    assert len(connections) >= 8
    for each in connections:
        edge = schema.type_map[each.name.removesuffix("Connection") + "Edge"]
        assert str(each.fields["pageInfo"].type) == "PageInfo!"  # type: ignore[attr-defined]
        assert set(edge.fields) == {"cursor", "node"}  # type: ignore[attr-defined]
    info = schema.type_map["PageInfo"]
    shape = {name: str(field.type) for name, field in info.fields.items()}  # type: ignore[attr-defined]
    assert shape == {
        "hasNextPage": "Boolean!", "hasPreviousPage": "Boolean!", "startCursor": "Cursor", "endCursor": "Cursor",
    }  # fmt: skip
    node = schema.type_map["Node"]
    for entity in api.blueprint.entities:
        assert node in schema.type_map[naming.type_name(entity)].interfaces  # type: ignore[attr-defined]


async def test_a_json_value_is_equal_as_json_on_both_engines(api: Api) -> None:
    """PostgreSQL keeps JSON in its own key order and spacing; the value is the same, its bytes need not be."""
    entity = api.blueprint.entities["item"]
    name = next(each.name for each in entity.fields.values() if each.kind.value == "json")
    value = {"zz": [1, 2.5, None], "a": {"名": "值", "q": '"\\'}, "bb": True}
    table = api.tables.current("item")
    row = api.world.rows("item", None)[0]
    async with api.database.write() as connection:
        await connection.execute(sa.update(table).where(table.c.id == row["id"]).values({name: value}))
    member = naming.field_name(name)
    found = await api.data(f"query($id: ID!) {{ item(id: $id) {{ {member} }} }}", id=str(row["id"]))
    assert found["item"][member] == value
