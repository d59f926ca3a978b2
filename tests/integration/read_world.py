"""A small world for reads: the mini project with versions of everything, and two site-scoped roles with masks."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess, Grant, permit_all
from clew.expressions.check import check
from clew.kernel.context import Context, Person
from clew.kernel.scalars import FAR_FUTURE
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.metadata.schema import BlueprintSchema
from clew.records.search import grams, sort_key
from clew.storage.change.install import install
from clew.storage.engine import Database
from clew.storage.tables import Tables

MINI = Path(__file__).parents[1] / "projects" / "mini"
MOMENTS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=10 * at) for at in range(4)]
ACCOUNT = UUID(int=0xACC)
Row = dict[str, Any]


def uid(kind: int, at: int) -> UUID:
    return UUID(int=(kind << 64) | at)


SITES = [uid(1, at) for at in range(3)]
INSPECTOR = Person(UUID(int=1), "li", "李", ("inspector",), (SITES[0], SITES[1]), SITES[0])
AUDITOR = Person(UUID(int=2), "ma", "马", ("auditor",), (SITES[2],), SITES[2])
NOBODY = Person(UUID(int=3), "no", "No", ("inspector",), (), None)


def context(person: Person, **changes: Any) -> Context:
    return Context(person, "req-1", **changes)


def mini() -> Blueprint:
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


# ── roles ─────────────────────────────────────────────────────────────────────────────────────────────────────────

RULES: Mapping[str, Mapping[str, Any]] = {
    "inspector": {
        "lot": (["site in user.sites", "state == 'released'"], {"qty": "site == user.site", "supplier_lot": None}),
        "nonconformance": (["site in user.sites"], {"subject": "severity != 'minor'", "lots": "state == 'open'"}),
        "supplier": (["state == 'active'"], {"contact": None}),
        "serial_unit": (["lot.site in user.sites"], {}),
        "item": ([], {}),
        "site": ([], {}),
    },
    "auditor": {
        "lot": (["site == user.site || qty < 30.0"], {"qty": "state != 'rejected'", "supplier": "state == 'released'"}),
        "nonconformance": ([], {"severity": "state == 'closed'"}),
        "supplier": ([], {"name": "state == 'active'", "contact": None, "note": None}),
        "serial_unit": ([], {}),
        "site": ([], {}),
    },
}
"""Role → entity → (conditions of reading it, field → condition of showing it; None hides it)."""


def decision_of(blueprint: Blueprint, role: str) -> Decision:
    schema = BlueprintSchema.of(blueprint)
    entities: dict[str, EntityAccess] = {}
    for entity, (reads, masks) in RULES[role].items():
        known = blueprint.entities[entity]
        fields = {name: FieldAccess(ALWAYS, ALWAYS) for name in (*known.fields, *known.inverses)}
        for name, shown in masks.items():
            grant = Grant() if shown is None else Grant(True, (check(shown, schema, entity),))
            fields[name] = FieldAccess(grant)
        read = Grant(True, tuple(check(each, schema, entity) for each in reads))
        entities[entity] = EntityAccess(read, fields=MappingProxyType(fields), audit=read)
    return Decision(f"role-{role}", MappingProxyType(entities))


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class World:
    """Every version of every record: entity → id → [(from, to, row)]; and links of `nonconformance.lots`."""

    versions: dict[str, dict[UUID, list[tuple[datetime, datetime, Row]]]] = field(default_factory=dict)
    links: list[tuple[datetime, datetime, UUID, UUID]] = field(default_factory=list)

    def add(self, entity: str, id: UUID, *states: tuple[int, Row]) -> None:
        """A record with its versions; each begins at a moment and ends where the next begins."""
        found: list[tuple[datetime, datetime, Row]] = []
        for at, (moment, values) in enumerate(states):
            end = MOMENTS[states[at + 1][0]] if at + 1 < len(states) else FAR_FUTURE
            found.append((MOMENTS[moment], end, _envelope(id, at + 1, MOMENTS[states[0][0]], MOMENTS[moment]) | values))
        self.versions.setdefault(entity, {})[id] = found

    def rows(self, entity: str, as_of: datetime | None) -> list[Row]:
        moment = as_of or FAR_FUTURE - timedelta(seconds=1)
        every = (version for all_ in self.versions.get(entity, {}).values() for version in all_)
        return [row for start, end, row in every if start <= moment < end]

    def linked(self, as_of: datetime | None) -> list[tuple[UUID, UUID]]:
        moment = as_of or FAR_FUTURE - timedelta(seconds=1)
        return [(owner, target) for start, end, owner, target in self.links if start <= moment < end]


def _envelope(id: UUID, version: int, born: datetime, now: datetime) -> Row:
    return {
        "id": id, "row_version": version, "created_at": born, "created_by": ACCOUNT, "updated_at": now,
        "updated_by": ACCOUNT, "thread_id": id, "voided_at": None,
    }  # fmt: skip


NAMES = ["上海医械", "安泰", "Beta 5ml", 'Quote "x" \\', "重庆无菌"]


def world(seed: int, lots: int = 24) -> World:
    """The same world for the same seed."""
    made, chance = World(), random.Random(seed)
    for at, id in enumerate(SITES):
        made.add("site", id, (0, {"code": f"S{chr(65 + at)}X", "name": f"厂{at}", "name__sort": sort_key(f"厂{at}")}))
    items = [uid(2, at) for at in range(3)]
    for at, id in enumerate(items):
        values = {"item_no": f"I-{at}", "name": NAMES[at], "kind": "raw", "base_uom": "pcs", "sterile": at == 1}
        made.add("item", id, (0, values | {"name__sort": sort_key(NAMES[at])}))
    suppliers = [uid(3, at) for at in range(5)]
    for at, id in enumerate(suppliers):
        base = {"number": f"SUP{at}", "name": NAMES[at], "contact": "secret", "state": "draft", "note": NAMES[-at]}
        base["name__sort"] = sort_key(NAMES[at])
        later = base | {"state": "active" if at % 3 else "draft"}
        made.add("supplier", id, (0, base), (chance.choice([1, 2]), later))
    lot_ids = [uid(4, at) for at in range(lots)]
    for at, id in enumerate(lot_ids):
        _lot(made, chance, at, id, items, suppliers)
    serials = [uid(5, at) for at in range(10)]
    for at, id in enumerate(serials):
        made.add("serial_unit", id, (0, {"lot": chance.choice(lot_ids), "serial": f"SN{at}"}))
    for at in range(20):
        _nonconformance(made, chance, at, lot_ids, serials)
    return made


def _lot(made: World, chance: random.Random, at: int, id: UUID, items: list[UUID], suppliers: list[UUID]) -> None:
    def state() -> Row:
        return {
            "number": f"L{at:03}", "item": chance.choice(items), "site": chance.choice(SITES),
            "supplier": chance.choice([*suppliers, None]), "supplier_lot": chance.choice(["A1", "b2", None]),
            "qty": Decimal(chance.randrange(0, 1_000_000)) / 10000, "mfg_on": None,
            "exp_on": chance.choice([None, date(2026, 5, 1), date(2027, 1, 31), date(2028, 12, 1)]),
            "state": chance.choice(["quarantine", "released", "rejected"]),
        }  # fmt: skip

    states = [(0, state())]
    for moment in (1, 2):
        if chance.random() < 0.6:
            states.append((moment, state()))
    if at % 8 == 5:
        states.append((3, states[-1][1] | {"voided_at": MOMENTS[3]}))
    made.add("lot", id, *states)


def _nonconformance(made: World, chance: random.Random, at: int, lots: list[UUID], serials: list[UUID]) -> None:
    id = uid(6, at)
    subject = ("lot", chance.choice(lots)) if chance.random() < 0.6 else ("serial_unit", chance.choice(serials))
    base = {
        "number": f"NCR{at:02}",
        "site": chance.choice(SITES),
        "severity": chance.choice(["minor", "major", "critical"]),
        "subject_entity": subject[0], "subject_id": subject[1], "state": "open", "closed_on": None,
    }  # fmt: skip
    states = [(chance.choice([0, 1]), base)]
    if chance.random() < 0.5:
        states.append((2, base | {"state": "closed", "closed_on": date(2026, 3, 1)}))
    made.add("nonconformance", id, *states)
    for lot in chance.sample(lots, chance.randrange(0, 4)):
        end = MOMENTS[3] if chance.random() < 0.3 else FAR_FUTURE
        made.links.append((MOMENTS[states[0][0]], end, id, lot))


# ── into the database ─────────────────────────────────────────────────────────────────────────────────────────────

_ORDER = ("site", "item", "supplier", "lot", "serial_unit", "nonconformance")


async def pour(database: Database, blueprint: Blueprint, made: World) -> Tables:
    """Install the project and write the world as the write path would leave it."""
    release = await install(database, blueprint)
    tables = Tables(blueprint, release.catalog, database.dialect)
    async with database.write() as connection:
        for entity in _ORDER:
            for id, versions in made.versions.get(entity, {}).items():
                current = tables.current(entity)
                await connection.execute(sa.insert(current), _filled(current, versions[-1][2]))
                history = tables.history(entity)
                for start, end, row in versions:
                    version = row | {"tx_from": start, "tx_to": end}
                    await connection.execute(sa.insert(history), _filled(history, version))
                for searchable in blueprint.entities[entity].searchable:
                    for gram in grams(versions[-1][2].get(searchable.name) or ""):
                        values = {"gram": gram, "field": searchable.name, "id": id}
                        await connection.execute(sa.insert(tables.grams(entity)), values)
        for start, end, owner, target in made.links:
            pair = {"owner": owner, "target": target}
            if end == FAR_FUTURE:
                await connection.execute(sa.insert(tables.link("nonconformance", "lots")), pair)
            history = tables.link_history("nonconformance", "lots")
            await connection.execute(sa.insert(history), pair | {"tx_from": start, "tx_to": end})
    return tables


def _filled(table: sa.Table, row: Row) -> Row:
    return {key: row.get(key, False if key == "legal_hold" else None) for key in list(table.c.keys())}


__all__ = ["AUDITOR", "INSPECTOR", "MOMENTS", "NOBODY", "World", "decision_of", "mini", "permit_all", "pour", "world"]
