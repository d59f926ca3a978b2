"""The benchmark's data: plants, suppliers, items with two-level compositions, lots, nonconformances. Deterministic."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from clew.kernel.scalars import FAR_FUTURE

BORN = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
AUTHOR = UUID(int=1)
PLANTS, SUPPLIERS = 3, 500


@dataclass(frozen=True, slots=True)
class Size:
    items: int
    lots: int


FULL = Size(items=100_000, lots=200_000)
SMALL = Size(items=2_000, lots=4_000)


def identity(kind: int, number: int) -> UUID:
    """A stable UUIDv7-shaped id; `kind` keeps entities apart."""
    return UUID(int=(0x019B_8A00_0000 + number // 1000 << 80) | (7 << 76) | (kind << 64) | (0b10 << 62) | number)


def envelope(id_: UUID) -> dict[str, Any]:
    return {
        "id": id_,
        "thread_id": id_,
        "row_version": 1,
        "created_at": BORN,
        "created_by": AUTHOR,
        "updated_at": BORN,
        "updated_by": AUTHOR,
    }


def plants() -> Iterable[dict[str, Any]]:
    for n in range(PLANTS):
        yield {**envelope(identity(1, n)), "code": f"P{n}"}


def suppliers() -> Iterable[dict[str, Any]]:
    for n in range(SUPPLIERS):
        yield {**envelope(identity(2, n)), "code": f"S{n:05}", "name": f"Supplier {n} 供应商", "country": "CN"}


def items(size: Size) -> Iterable[dict[str, Any]]:
    rng = random.Random(3)
    for n in range(size.items):
        yield {
            **envelope(identity(3, n)),
            "item_no": f"I{n:07}",
            "name": f"Item {n} 物料",
            "family": f"F{n % 40}",
            "uom": "pcs",
            "price": Decimal(rng.randrange(1, 10_000_000)).scaleb(-4),
        }


def item_lines(size: Size) -> Iterable[dict[str, Any]]:
    rng = random.Random(4)
    for n in range(size.items // 2):
        for position in range(3):
            yield {
                **envelope(identity(4, n * 3 + position)),
                "owner": identity(3, n),
                "position": position + 1,
                "component": identity(3, rng.randrange(size.items // 2, size.items)),
                "qty": Decimal(rng.randrange(1, 100_000)).scaleb(-4),
            }


def lots(size: Size) -> Iterable[dict[str, Any]]:
    rng = random.Random(5)
    for n in range(size.lots):
        made = date(2025, 1, 1) + timedelta(days=rng.randrange(500))
        yield {
            **envelope(identity(5, n)),
            "lot_no": f"L{n:08}",
            "item": identity(3, rng.randrange(size.items // 2)),
            "supplier": identity(2, rng.randrange(SUPPLIERS)),
            "plant": identity(1, rng.randrange(PLANTS)),
            "qty": Decimal(rng.randrange(1, 100_000_000)).scaleb(-4),
            "cost": Decimal(rng.randrange(1, 10_000_000)).scaleb(-4),
            "mfg_on": made,
            "exp_on": made + timedelta(days=rng.randrange(365, 1500)),
            "state": rng.choice(("released", "released", "released", "quarantine", "blocked")),
        }


def nonconformances(size: Size) -> Iterable[dict[str, Any]]:
    rng = random.Random(6)
    for n in range(size.lots // 2):
        yield {
            **envelope(identity(6, n)),
            "code": f"N{n:08}",
            "lot": identity(5, rng.randrange(size.lots)),
            "severity": rng.choice(("minor", "major", "critical")),
            "opened_on": date(2026, 3, 1) + timedelta(days=n % 200),
        }


async def load(connection: asyncpg.Connection[Any], size: Size) -> None:
    """Copy everything into the current and the history tables, then ANALYZE."""
    sources: Mapping[str, Iterable[dict[str, Any]]] = {
        "plant": plants(),
        "supplier": suppliers(),
        "item": items(size),
        "item_line": item_lines(size),
        "lot": lots(size),
        "nonconformance": nonconformances(size),
    }
    for table, rows in sources.items():
        batch = list(rows)
        names = list(batch[0])
        records = [tuple(row.values()) for row in batch]
        await connection.copy_records_to_table(table, records=records, columns=names)
        await connection.copy_records_to_table(
            f"{table}__history",
            records=[(*record, BORN, FAR_FUTURE) for record in records],
            columns=[*names, "tx_from", "tx_to"],
        )
    await connection.execute("VACUUM ANALYZE")
