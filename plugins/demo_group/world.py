"""The world being filled: time, chance, numbers, files, stock; everything the chapters of the story share."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from clew.metadata.blueprint import Blueprint, Field
from clew.records.values import AnyRef
from clew.sdk import Loading, Move

Values = dict[str, Any]
FLUSH_AT = 40_000
QUOTED = frozenset({"code", "number", "site"})
"""Fields that coding rules reach through a reference."""
SPOKEN_OF = frozenset(
    {
        "supplier", "supplier_scorecard", "customer", "registration", "document_revision", "change_request",
        "purchase_order_line", "goods_receipt", "shipment", "complaint", "nonconformance", "capa", "design_project",
        "design_input", "item",
    }
)  # fmt: skip
SET_82 = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. `stock_lots` are plain purchased lots on top of the story."""

    name: str
    products: int
    """Finished variants a family has."""
    orders: int
    """Production orders."""
    purchases: int
    sales: int
    stock_lots: int
    about: int
    """Records in all, roughly: what progress is told against."""


SIZES: Mapping[str, Size] = {
    "small": Size("small", 2, 60, 120, 80, 0, 7_000),
    "medium": Size("medium", 4, 600, 1_500, 900, 20_000, 120_000),
    "large": Size("large", 4, 2_000, 6_000, 3_000, 1_000_000, 3_200_000),
}


@dataclass(slots=True)
class Stock:
    on_hand: Decimal = Decimal(0)
    reserved: Decimal = Decimal(0)


@dataclass(slots=True)
class World:
    """What the chapters write through. `today` is the last day of the story; all times lie before it."""

    blueprint: Blueprint
    loader: Loading
    size: Size
    today: date
    report: Callable[[int, int], None]
    files: Mapping[str, Mapping[str, Any]]
    """A stored sample file by name: `pdf`, `image`."""
    rng: random.Random = field(default_factory=lambda: random.Random(20260101))
    stock: dict[tuple[Any, ...], Stock] = field(default_factory=lambda: defaultdict(Stock))
    sites: dict[str, UUID] = field(default_factory=dict)
    people: dict[tuple[str, str], list[UUID]] = field(default_factory=lambda: defaultdict(list))
    """(site code, job) → employees."""
    places: dict[tuple[str, str], UUID] = field(default_factory=dict)
    """(site code, location type) → location."""
    ids: dict[tuple[str, str], UUID] = field(default_factory=dict)
    """(entity, our short name) → record."""
    known: dict[str, list[tuple[UUID, Values]]] = field(default_factory=lambda: defaultdict(list))
    """Records that later chapters speak of, by entity."""
    untraced: set[UUID] = field(default_factory=set)
    """Items that are kept without lots."""
    _spoken: dict[tuple[UUID, str], Any] = field(default_factory=dict)
    """(record, field) → what numbers of other records quote of it."""
    _numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _paths: dict[tuple[str, str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)

    # ── time and chance ───────────────────────────────────────────────────────────────────────────────────────────

    def ago(self, days: float, hour: int = 1) -> datetime:
        """An instant so many days before today, at an hour of the Chinese morning (UTC)."""
        whole = int(days)
        base = datetime.combine(self.today - timedelta(days=whole), time(hour), UTC)
        return base - timedelta(seconds=int((days - whole) * 86_400)) + timedelta(seconds=self.rng.randrange(3000))

    def day(self, days: float) -> date:
        return self.today - timedelta(days=int(days))

    def pick(self, options: Any) -> Any:
        return self.rng.choice(options)

    def decimal(self, low: float, high: float, scale: int) -> Decimal:
        unit = 10**scale
        return Decimal(self.rng.randrange(round(low * unit), round(high * unit) + 1)).scaleb(-scale)

    # ── keys and people ───────────────────────────────────────────────────────────────────────────────────────────

    def number(self, prefix: str, width: int) -> str:
        self._numbers[prefix] += 1
        return f"{prefix}{self._numbers[prefix]:0{width}d}"

    def _key(self, entity: str, known: Field, values: Mapping[str, Any], at: datetime) -> str:
        """The business key a record's coding rule makes, as the platform itself would."""
        prefix, width = "", 0
        for segment in self.blueprint.coding_rules[known.coding_rule or ""].segments:
            if segment.kind == "literal":
                prefix += segment.text
            elif segment.kind == "date":
                prefix += at.strftime({"yyyy": "%Y", "yy": "%y", "MM": "%m", "dd": "%d"}[segment.text])
            elif segment.kind == "seq":
                width = segment.width
            else:
                prefix += self._part(values, segment.text.split("."))
        return self.number(prefix, width)

    def _part(self, values: Mapping[str, Any], path: list[str]) -> str:
        value = values[path[0]]
        for name in path[1:]:
            value = self._spoken[value, name]
        return str(value)

    def person(self, site: str, job: str, *, other_than: tuple[UUID, ...] = ()) -> UUID:
        known = [each for each in self.people[site, job] if each not in other_than]
        if not known:
            raise LookupError(f"nobody at {site} holds {job}")
        return self.rng.choice(known)

    def file(self, name: str, kind: str = "pdf") -> tuple[Mapping[str, Any], ...]:
        return ({**self.files[kind], "name": name},)

    @property
    def sha256(self) -> str:
        return str(self.files["pdf"]["sha256"])

    # ── records ───────────────────────────────────────────────────────────────────────────────────────────────────

    def add(
        self,
        entity: str,
        born: datetime,
        /,
        *,
        to: str | None = None,
        within: float = 3,
        later: Mapping[str, Mapping[str, Any]] | None = None,
        **values: Any,
    ) -> UUID:
        """Add a record born then and walked to state `to`, one transition after the other, within some days.

        `later` gives values that a record only gets when it enters a state. A field whose name is a word of Python is
        written with an underscore after it (`class_`).
        """
        values = {name.rstrip("_"): value for name, value in values.items()}
        born = min(born, self._end - timedelta(minutes=1))  # nothing in the story happens after its end
        values.setdefault("id", self.new_id(born))
        for known in self.blueprint.entities[entity].fields.values():
            if known.coding_rule and known.name not in values:
                values[known.name] = self._key(entity, known, values, born)
        for quoted in QUOTED & values.keys():
            self._spoken[values["id"], quoted] = values[quoted]
        if entity in SPOKEN_OF:
            self.known[entity].append((values["id"], values))
        moves: list[Move] = []
        if to is not None:
            path = self._path(entity, to)
            span = min(timedelta(days=within), (self._end - born) * 0.9)
            for step, (name, state) in enumerate(path, 1):
                extra = (later or {}).get(state, {})
                moves.append(Move(born + span * step / len(path), name, {"state": state, **extra}))
        return self.loader.add(entity, values, at=born, moves=moves)

    def new_id(self, at: datetime) -> UUID:
        """A UUIDv7 for a record born at `at`; always the same ones for the same story."""
        milliseconds = int(at.timestamp() * 1000)
        bits = self.rng.getrandbits(74)
        return UUID(int=(milliseconds << 80) | (7 << 76) | ((bits >> 62) << 64) | (2 << 62) | (bits & (2**62 - 1)))

    def remember(self, entity: str, name: str, identity: UUID) -> UUID:
        self.ids[entity, name] = identity
        return identity

    @property
    def _end(self) -> datetime:
        return datetime.combine(self.today, time(6), UTC)

    def _path(self, entity: str, goal: str) -> tuple[tuple[str, str], ...]:
        """The shortest way from the initial state, as (transition, state reached)."""
        known = self.blueprint.entities[entity]
        key = (entity, known.initial or "", goal)
        if key not in self._paths:
            queue: deque[tuple[str, tuple[tuple[str, str], ...]]] = deque([(known.initial or "", ())])
            seen = {known.initial}
            while queue:
                state, path = queue.popleft()
                if state == goal:
                    self._paths[key] = path
                    break
                for move in known.transitions.values():
                    if state in move.sources and move.target not in seen:
                        seen.add(move.target)
                        queue.append((move.target, (*path, (move.name, move.target))))
            else:
                raise LookupError(f"{entity}: no way to state {goal}")
        return self._paths[key]

    async def breathe(self) -> None:
        """Hand over what has been collected when it is much."""
        if self.loader.waiting > FLUSH_AT:
            await self.loader.flush()
            self.tell()

    def tell(self) -> None:
        """Say how far it is."""
        done = sum(self.loader.loaded.values())
        self.report(done, max(done, self.size.about))

    # ── stock ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def move(
        self,
        site: str,
        at: datetime,
        kind: str,
        item: UUID,
        qty: Decimal,
        *,
        lot: UUID | None = None,
        serial: UUID | None = None,
        source: tuple[str, str] | None = None,
        target: tuple[str, str] | None = None,
        by: UUID,
        doc: AnyRef | None = None,
        **more: Any,
    ) -> UUID:
        """Post a movement and keep the balances; `source` and `target` are (location type, quality status)."""
        if source:
            self._stock(site, item, lot, serial, source).on_hand -= qty
        if target:
            self._stock(site, item, lot, serial, target).on_hand += qty
        return self.add(
            "inventory_movement",
            at,
            site=self.sites[site],
            type=kind,
            item=item,
            lot=lot,
            serial=serial,
            qty=qty,
            from_location=self.places[site, source[0]] if source else None,
            from_status=source[1] if source else None,
            to_location=self.places[site, target[0]] if target else None,
            to_status=target[1] if target else None,
            from_reservation=False,
            doc=doc,
            performed_by=by,
            performed_at=at,
            **more,
        )

    def on_hand(self, site: str, item: UUID, lot: UUID | None, place: tuple[str, str]) -> Decimal:
        return self._stock(site, item, lot, None, place).on_hand

    def _stock(self, site: str, item: UUID, lot: UUID | None, serial: UUID | None, place: tuple[str, str]) -> Stock:
        key = (self.sites[site], item, self.places[site, place[0]], lot, serial, place[1])
        return self.stock[key]

    def settle(self) -> None:
        """Write the balances the movements lead to."""
        at = self._end
        for (site, item, location, lot, serial, status), stock in self.stock.items():
            self.loader.add(
                "inventory_balance",
                {
                    "id": self.new_id(at),
                    "site": site,
                    "item": item,
                    "location": location,
                    "lot": lot,
                    "serial": serial,
                    "quality_status": status,
                    "on_hand": stock.on_hand,
                    "reserved": stock.reserved,
                },
                at=at,
            )


def gtin14(indicator: int, company: str, reference: int) -> str:
    """A GTIN-14 with its check digit."""
    body = f"{indicator}{company}{reference:0{12 - len(company)}d}"
    return body + mod10(body)


def mod10(body: str) -> str:
    """The GS1 check digit: weights 3 and 1 from the right."""
    total = sum(int(digit) * (3 if at % 2 == 0 else 1) for at, digit in enumerate(reversed(body)))
    return str(-total % 10)


def social_credit_code(body: str) -> str:
    """A unified social credit code: 17 characters and the GB 32100 check character."""
    alphabet = SET_82
    total = sum(alphabet.index(char) * weight for char, weight in zip(body, USCC_WEIGHTS, strict=True))
    return body + alphabet[-total % 31]


def expiry(made: date, days: int) -> date:
    return made + timedelta(days=days)
