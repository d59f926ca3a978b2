"""Net requirements: what stock and open supply do not cover is ordered once, in time, in lots, and pegged."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from clew.extensions.plugins import load_plugins

# The pack's plugins are no package of the installation: they are loaded as a server loads them.
load_plugins(Path(__file__).parents[3])

from group_operations.duties import grade_of  # noqa: E402
from group_operations.netting import Component, Demand, Supply, Way, net, sized  # noqa: E402

D = Decimal
DAY = date(2026, 6, 1)


def days(number: int) -> date:
    return DAY + timedelta(days=number)


def test_what_is_short_is_ordered_before_it_is_needed() -> None:
    found = net([Demand("pump", D(10), days(30), "so")], {"pump": D(4)}, [], {}, {"pump": Way(lead_days=7)}, DAY)
    assert [(each.net, each.qty, each.need_by, each.release_by) for each in found] == [(6, 6, days(30), days(23))]
    assert found[0].pegs == {"so": 6}


def test_open_supply_counts_when_it_arrives_in_time() -> None:
    wanted, coming = [Demand("pump", D(10), days(10), "so")], [Supply("pump", D(10), days(11))]
    assert [each.qty for each in net(wanted, {}, coming, {}, {}, DAY)] == [10], "a day late"
    assert net(wanted, {}, [Supply("pump", D(10), days(10))], {}, {}, DAY) == []


def test_what_is_made_asks_for_its_parts_when_it_is_started() -> None:
    ways = {"pump": Way(make=True, lead_days=5), "tube": Way(lead_days=20)}
    parts = {"pump": [Component("tube", D(2))]}
    found = net([Demand("pump", D(3), days(30), "so")], {"tube": D(2)}, [], parts, ways, DAY)
    assert [(each.item, each.qty, each.need_by, each.release_by) for each in found] == [
        ("pump", 3, days(30), days(25)),
        ("tube", 4, days(25), days(5)),
    ]
    assert found[1].pegs == {"so": 4}


@pytest.mark.parametrize(
    ("way", "qty"), [(Way(), 7), (Way(least=D(10)), 10), (Way(multiple=D(4)), 8), (Way(least=D(5), multiple=D(5)), 10)]
)
def test_lot_sizing(way: Way, qty: int) -> None:
    assert sized(D(7), way) == qty


def test_safety_stock_is_kept_without_any_demand() -> None:
    (need,) = net([], {"pump": D(2)}, [], {}, {"pump": Way(safety=D(5))}, DAY)
    assert (need.net, need.pegs) == (3, {})


def test_nothing_is_ever_short_and_nobody_gets_more_than_they_asked() -> None:
    """Random worlds: on every day stock, supply and planned orders cover what is wanted; pegs stay within demand."""
    chance = Random(7)
    for _ in range(200):
        items = ["a", "b", "c"]
        parts = {"a": [Component("b", D(2)), Component("c", D(1))], "b": [Component("c", D(3))]}
        ways = {
            each: Way(each != "c", chance.randint(0, 5), D(0), D(chance.choice([0, 5])), D(chance.choice([0, 4])))
            for each in items
        }
        wanted = [
            Demand(chance.choice(items), D(chance.randint(1, 9)), days(chance.randint(5, 40)), f"o{at}")
            for at in range(6)
        ]
        stock = {each: D(chance.randint(0, 10)) for each in items}
        coming = [Supply(chance.choice(items), D(chance.randint(1, 9)), days(chance.randint(0, 40))) for _ in range(3)]
        found = net(wanted, stock, coming, parts, ways, DAY)
        needed = defaultdict(list)
        for demand in wanted:
            needed[demand.item].append((demand.due, demand.qty))
        for need in found:
            for part in parts.get(need.item, ()):
                needed[part.item].append((need.release_by, need.qty * part.per))
        for item in items:
            for moment in sorted({due for due, _ in needed[item]}):
                asked = sum(qty for due, qty in needed[item] if due <= moment)
                there = stock[item] + sum(each.qty for each in coming if each.item == item and each.due <= moment)
                planned = sum(each.qty for each in found if each.item == item and each.need_by <= max(moment, DAY))
                assert there + planned >= asked, (item, moment)
        for need in found:
            assert sum(need.pegs.values(), D(0)) <= need.net


def test_grades() -> None:
    assert [grade_of(D(each)) for each in (95, 90, 75, 60, 59)] == ["A", "A", "B", "C", "D"]
