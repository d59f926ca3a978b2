"""Plain net-requirements planning: gross demand less stock less open supply, by lot sizing and lead time, pegged to the
demand behind it. A pure calculation over given facts; `planning` reads them and writes down what comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_CEILING, Decimal

Item = Hashable
Origin = Hashable
"""The order behind a demand, at the top of the structure."""
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Demand:
    """So much is needed by a day, for somebody's order; None for safety stock."""

    item: Item
    qty: Decimal
    due: date
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Supply:
    """So much is on its way: an open order line, a requisition, a work order."""

    item: Item
    qty: Decimal
    due: date


@dataclass(frozen=True, slots=True)
class Component:
    item: Item
    per: Decimal
    """For one of the parent, scrap included."""


@dataclass(frozen=True, slots=True)
class Way:
    """How an item is had: made or bought, how long it takes, in what quantities."""

    make: bool = False
    lead_days: int = 0
    safety: Decimal = NOTHING
    least: Decimal = NOTHING
    """The smallest order; NOTHING for as much as is needed."""
    multiple: Decimal = NOTHING
    """Orders are whole multiples of this."""


@dataclass(slots=True)
class Need:
    """A planned order: what, how much, when it must be there and when it must be started."""

    item: Item
    make: bool
    gross: Decimal
    on_hand: Decimal
    on_order: Decimal
    net: Decimal
    qty: Decimal
    need_by: date
    release_by: date
    pegs: dict[Origin, Decimal] = field(default_factory=dict)


def sized(net: Decimal, way: Way) -> Decimal:
    """The quantity ordered for a shortage."""
    qty = max(net, way.least)
    if way.multiple > NOTHING:
        qty = (qty / way.multiple).to_integral_value(ROUND_CEILING) * way.multiple
    return qty


def levels(structures: Mapping[Item, Sequence[Component]], items: Sequence[Item]) -> list[Item]:
    """Items in an order in which each comes after everything it goes into. Structures have no circles."""
    depth: dict[Item, int] = {}
    waiting = [(each, 0) for each in items]
    while waiting:
        item, level = waiting.pop()
        if depth.get(item, -1) >= level:
            continue
        depth[item] = level
        waiting += [(each.item, level + 1) for each in structures.get(item, ())]
    order = {item: at for at, item in enumerate(dict.fromkeys(depth))}
    return sorted(depth, key=lambda each: (depth[each], order[each]))


def net(
    demands: Sequence[Demand],
    stock: Mapping[Item, Decimal],
    supplies: Sequence[Supply],
    structures: Mapping[Item, Sequence[Component]],
    ways: Mapping[Item, Way],
    today: date,
) -> list[Need]:
    """Every planned order, those of the highest level first, each item's in the order of their days."""
    wanted: dict[Item, list[Demand]] = defaultdict(list)
    for each in demands:
        wanted[each.item].append(each)
    coming: dict[Item, list[Supply]] = defaultdict(list)
    for supply in supplies:
        coming[supply.item].append(supply)
    found: list[Need] = []
    watched = [each for each, way in ways.items() if way.safety > NOTHING]
    for item in levels(structures, [*wanted, *watched]):
        way = ways.get(item, Way())
        for need in _of_item(item, wanted[item], stock.get(item, NOTHING), coming[item], way, today):
            found.append(need)
            if need.make:
                for part in structures.get(item, ()):
                    wanted[part.item] += _exploded(need, part)
    return found


def _exploded(need: Need, part: Component) -> list[Demand]:
    """What a planned order needs of a component, by the orders behind it; what lot sizing adds is nobody's."""
    found = [Demand(part.item, qty * part.per, need.release_by, origin) for origin, qty in need.pegs.items()]
    rest = (need.qty - sum(need.pegs.values(), NOTHING)) * part.per
    return [*found, Demand(part.item, rest, need.release_by, None)] if rest > NOTHING else found


def _of_item(
    item: Item, wanted: Sequence[Demand], on_hand: Decimal, coming: Sequence[Supply], way: Way, today: date
) -> list[Need]:
    """The planned orders of one item: day by day, what stock and open supply do not cover."""
    found: list[Need] = []
    days = [*wanted, Demand(item, NOTHING, today, None)] if way.safety > NOTHING else wanted
    arrivals = sorted(coming, key=lambda each: each.due)
    free, gross = on_hand - way.safety, NOTHING
    for each in sorted(days, key=lambda day: day.due):
        arrived = sum((supply.qty for supply in arrivals if supply.due <= each.due), NOTHING)
        arrivals = [supply for supply in arrivals if supply.due > each.due]
        free += arrived
        gross += each.qty
        before = free
        free -= each.qty
        if free >= NOTHING:
            continue
        short = -free
        qty = sized(short, way)
        begin = max(today, each.due - timedelta(days=way.lead_days))
        need = Need(item, way.make, gross, on_hand, arrived, short, qty, max(each.due, today), begin)
        if each.origin is not None:
            need.pegs[each.origin] = min(each.qty, short) if before > NOTHING else each.qty
        found.append(need)
        free += qty
    return found
