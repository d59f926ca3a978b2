"""Groups by day, week, month, quarter and year: the project's time zone decides, masks hold, engines agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from read_api import Api, api
from read_world import INSPECTOR

from clew.access.decision import FieldAccess, Grant
from clew.expressions.check import check
from clew.metadata.schema import BlueprintSchema

pytestmark = pytest.mark.anyio
__all__ = ["api"]

EDGES = [
    datetime(2025, 12, 31, 15, 59, 59, 999999, UTC),
    datetime(2025, 12, 31, 16, 0, 0, 0, UTC),
    datetime(2026, 3, 31, 16, 30, 0, 5, UTC),
    datetime(2024, 2, 29, 12, 0, 0, 0, UTC),
    datetime(2026, 11, 22, 16, 0, 0, 0, UTC),
]
"""New Year in Shanghai and the last microsecond before it, the turn of a quarter, a leap day, a Monday's beginning."""
STARTS = {
    "Day": lambda day: day,
    "Week": lambda day: day - timedelta(days=day.weekday()),
    "Month": lambda day: day.replace(day=1),
    "Quarter": lambda day: date(day.year, (day.month - 1) // 3 * 3 + 1, 1),
    "Year": lambda day: date(day.year, 1, 1),
}


async def spread(api: Api) -> dict[str, datetime]:
    """Give the lots creation times around the edges; by number."""
    table = api.tables.current("lot")
    given: dict[str, datetime] = {}
    async with api.database.write() as connection:
        for at, row in enumerate(api.world.rows("lot", None)):
            moment = EDGES[at % len(EDGES)]
            await connection.execute(sa.update(table).where(table.c.id == row["id"]).values(created_at=moment))
            if row["voided_at"] is None:
                given[row["number"]] = moment
    return given


@pytest.mark.parametrize("unit", STARTS)
async def test_moments_by_the_clock_of_the_project(api: Api, unit: str) -> None:
    given = await spread(api)
    name = f"createdAt{unit}"
    found = await api.data(f"{{ lots {{ groups(by: [{name}]) {{ key {{ {name} }} count }} }} }}")
    zone = ZoneInfo(api.blueprint.project.time_zone)
    assert str(zone) == "Asia/Shanghai"
    expected = Counter(STARTS[unit](moment.astimezone(zone).date()).isoformat() for moment in given.values())
    assert [(each["key"][name], each["count"]) for each in found["lots"]["groups"]] == sorted(expected.items())


async def test_dates_and_other_keys_and_missing_values(api: Api) -> None:
    found = await api.data(
        """query($by: [LotGroupField!]!) { lots { groups(by: $by) {
             key { __typename q: expOnQuarter expOnYear state } count sum { qty } } } }""",
        by=["expOnQuarter", "state", "expOnYear"],
    )
    lots = [row for row in api.world.rows("lot", None) if row["voided_at"] is None]
    expected = Counter(
        (STARTS["Quarter"](row["exp_on"]).isoformat() if row["exp_on"] else None, row["state"]) for row in lots
    )
    groups = found["lots"]["groups"]
    assert {(each["key"]["q"], each["key"]["state"]): each["count"] for each in groups} == expected
    assert all((each["key"]["expOnYear"] or "")[:4] == (each["key"]["q"] or "")[:4] for each in groups)
    assert groups[-1]["key"]["q"] is None, "missing values last"
    assert await api.codes("{ lots { groups(by: [expOnYear]) { key { expOnQuarter } } } }") == ["BAD_INPUT"]
    assert await api.codes("{ lots { groups(by: [stateYear]) { count } } }") == ["GRAPHQL_INVALID"]


async def test_a_masked_date_is_in_no_period(api: Api) -> None:
    shown = check("site == user.site", BlueprintSchema.of(api.blueprint), "lot")
    lot = api.inspector.entities["lot"]
    fields = MappingProxyType({**lot.fields, "exp_on": FieldAccess(Grant(True, (shown,)))})
    entities = MappingProxyType({**api.inspector.entities, "lot": replace(lot, fields=fields)})
    decision = replace(api.inspector, digest="masked-date", entities=entities)
    document = "{ lots { groups(by: [expOnMonth]) { key { expOnMonth } count } } }"
    found = (await api.data(document, decision, INSPECTOR))["lots"]["groups"]
    seen = [
        row
        for row in api.world.rows("lot", None)
        if row["voided_at"] is None and (row["site"] in INSPECTOR.sites or row["state"] == "released")
    ]
    expected = Counter(
        row["exp_on"].replace(day=1).isoformat() if row["exp_on"] and row["site"] == INSPECTOR.site else None
        for row in seen
    )
    assert {each["key"]["expOnMonth"]: each["count"] for each in found} == expected
    hidden = replace(decision, digest="hidden-date", entities=MappingProxyType(
        {**entities, "lot": replace(lot, fields=MappingProxyType({**lot.fields, "exp_on": FieldAccess(Grant())}))}
    ))  # fmt: skip
    assert set(await api.codes(document, hidden, INSPECTOR)) == {"GRAPHQL_INVALID"}
