"""Policies twice: as YAML for the platform, and by hand in Python. What may be seen is worked out row by row from the
second, with no SQL, no plan, no Casbin and no shared code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from read_world import MINI, SITES, Row, World

from clew.access.loading import load_bundle
from clew.kernel.context import Person, Scope
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder

POLICIES = """\
role: basic
label: {zh: 员工, en: Employee}
may:
  site: {read: always}
  item: {read: always, hide: [sterile, lots]}
---
role: inspector
label: {zh: 检验员, en: Inspector}
inherits: basic
sites: own
may:
  lot: {read: always, mask: {qty: "state != 'rejected'"}, hide: [supplier], audit: always, export: always}
  supplier: {read: "state == 'active'", show: [number, name, lots]}
  serial_unit: {read: "lot.state != 'rejected'", export: "lot.qty > 20.0"}
  nonconformance:
    read: always
    mask: {severity: "state == 'closed'", lots: "state == 'open'", evidence: "state == 'open'"}
    audit: "state == 'open'"
---
role: planner
label: {zh: 计划员, en: Planner}
inherits: [basic]
sites: own
may:
  lot: {read: "state == 'released'", mask: {supplier: "qty < 50.0"}, hide: [supplier_lot], export: "qty < 60.0"}
  supplier: {read: "number != 'SUP0'", mask: {name: "state == 'active'"}, hide: [contact, note]}
  nonconformance: {read: "severity != 'minor'", hide: [subject, evidence]}
---
role: quality
label: {zh: 质量, en: Quality}
may:
  "*": {read: always, audit: always, export: always}
never:
  lot: {read: "state == 'rejected' && qty < 20.0"}
  supplier: {hide: [contact]}
---
role: partner
label: {zh: 供方, en: Partner}
kind: external
may:
  supplier: {read: "number == 'SUP1'", hide: [note]}
  lot: {read: "supplier.number == 'SUP1'", show: [number, state, supplier, qty], export: always}
"""


def policed(policies: str = POLICIES, **more: str) -> Blueprint:
    """The mini project with these policies, and further files."""
    mini = load_folder(MINI).blueprint
    assert mini is not None
    found = load_bundle({**mini.sources, "permissions/p.yaml": policies, **more}).blueprint
    assert found is not None
    return found


# ── the same by hand ──────────────────────────────────────────────────────────────────────────────────────────────

Test = Callable[["Oracle", Row], bool]


def always(oracle: Oracle, row: Row) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """What one role says of one entity."""

    read: Test = always
    hide: frozenset[str] = frozenset()
    show: frozenset[str] | None = None
    mask: Mapping[str, Test] = field(default_factory=dict)
    own_site: bool = False
    audit: Test | None = None
    export: Test | None = None

    def shows(self, name: str) -> bool:
        return name in ("id", "row_version") or (name not in self.hide and (self.show is None or name in self.show))


def _lot_of(oracle: Oracle, row: Row) -> Row:
    found = oracle.find("lot", row["lot"])
    assert found is not None
    return found


def _supplied_by_1(oracle: Oracle, row: Row) -> bool:
    supplier = oracle.find("supplier", row["supplier"])
    return supplier is not None and supplier["number"] == "SUP1"


BASIC = {"site": Rule(), "item": Rule(hide=frozenset({"sterile", "lots"}))}
RULES: Mapping[str, Mapping[str, Rule]] = {
    "inspector": {
        **BASIC,
        "lot": Rule(
            hide=frozenset({"supplier"}),
            mask={"qty": lambda o, row: row["state"] != "rejected"},
            own_site=True,
            audit=always,
            export=always,
        ),
        "supplier": Rule(lambda o, row: row["state"] == "active", show=frozenset({"number", "name", "lots"})),
        "serial_unit": Rule(
            lambda o, row: _lot_of(o, row)["state"] != "rejected",
            export=lambda o, row: _lot_of(o, row)["qty"] > 20,
        ),
        "nonconformance": Rule(
            mask={
                "severity": lambda o, row: row["state"] == "closed",
                "lots": lambda o, row: row["state"] == "open",
                "evidence": lambda o, row: row["state"] == "open",
            },
            own_site=True,
            audit=lambda o, row: row["state"] == "open",
        ),
    },
    "planner": {
        **BASIC,
        "lot": Rule(
            lambda o, row: row["state"] == "released",
            hide=frozenset({"supplier_lot"}),
            mask={"supplier": lambda o, row: row["qty"] < 50},
            own_site=True,
            export=lambda o, row: row["qty"] < 60,
        ),
        "supplier": Rule(
            lambda o, row: row["number"] != "SUP0",
            hide=frozenset({"contact", "note"}),
            mask={"name": lambda o, row: row["state"] == "active"},
        ),
        "nonconformance": Rule(
            lambda o, row: row["severity"] != "minor", hide=frozenset({"subject", "evidence"}), own_site=True
        ),
    },
    "quality": {
        name: Rule(audit=always, export=always)
        for name in ("site", "item", "lot", "supplier", "serial_unit", "nonconformance", "test_record")
    },
    "overseer": {"site": Rule(), "lot": Rule(lambda o, row: row["qty"] > 90)},
    "warden": {"site": Rule()},
    "partner": {
        "supplier": Rule(lambda o, row: row["number"] == "SUP1", hide=frozenset({"note"})),
        "lot": Rule(_supplied_by_1, show=frozenset({"number", "state", "supplier", "qty"}), export=always),
    },
}
NEVER_READ: Mapping[tuple[str, str], Test] = {
    ("quality", "lot"): lambda o, row: row["state"] == "rejected" and row["qty"] < 20
}
NEVER_SHOWN = {("quality", "supplier", "contact")}


def a_person(at: int, **scopes: tuple[UUID, ...] | None) -> Person:
    made = {role: Scope(sites, None) for role, sites in scopes.items()}
    every = tuple(dict.fromkeys(site for sites in scopes.values() for site in sites or ()))
    return Person(UUID(int=0x900 + at), f"p{at}", f"P{at}", tuple(scopes), every, None, scopes=made)


PEOPLE = (
    a_person(1, inspector=(SITES[0],)),
    a_person(2, planner=(SITES[1],)),
    a_person(3, inspector=(SITES[0],), planner=(SITES[1], SITES[2])),
    a_person(4, quality=None),
    a_person(5, partner=None),
    a_person(6, quality=None, inspector=(SITES[2],)),
    a_person(7, inspector=None),
    a_person(8, inspector=()),
    a_person(9, stranger=None),
    a_person(10, partner=None, planner=(SITES[2],)),
    a_person(11, basic=None),
    a_person(12),
)


@dataclass(frozen=True)
class Oracle:
    """What one person may see of the world at one moment."""

    world: World
    person: Person
    as_of: datetime | None = None

    def find(self, entity: str, id: Any) -> Row | None:
        return next((row for row in self.world.rows(entity, self.as_of) if row["id"] == id), None)

    def _rules(self, entity: str) -> Iterator[tuple[str, Rule]]:
        for role in self.person.roles:
            rule = BASIC.get(entity) if role == "basic" else RULES.get(role, {}).get(entity)
            if rule is not None:
                yield role, rule

    def _grants(self, entity: str, row: Row) -> Iterator[tuple[str, Rule]]:
        """The rules that show this row."""
        for role, rule in self._rules(entity):
            sites = self.person.scopes[role].sites
            if rule.own_site and sites is not None and row["site"] not in sites:
                continue
            if rule.read(self, row):
                yield role, rule

    def knows(self, entity: str) -> bool:
        return any(True for _ in self._rules(entity))

    def exists(self, entity: str, name: str) -> bool:
        """Whether the field is there at all for the person."""
        if any((role, entity, name) in NEVER_SHOWN for role in self.person.roles):
            return False
        return any(rule.shows(name) for _, rule in self._rules(entity))

    def sees(self, entity: str, row: Row) -> bool:
        if any((role, entity) in NEVER_READ and NEVER_READ[role, entity](self, row) for role in self.person.roles):
            return False
        return any(True for _ in self._grants(entity, row))

    def shown(self, entity: str, row: Row, name: str) -> bool:
        if not self.exists(entity, name):
            return False
        return any(
            rule.shows(name) and (name not in rule.mask or rule.mask[name](self, row))
            for _, rule in self._grants(entity, row)
        )

    def value(self, entity: str, row: Row, name: str) -> Any:
        return row[name] if self.shown(entity, row, name) else None

    def may(self, action: str, entity: str, row: Row) -> bool:
        """Export and audit: of what the same role reads."""
        if not self.sees(entity, row):
            return False
        return any((test := getattr(rule, action)) and test(self, row) for _, rule in self._grants(entity, row))

    def may_at_all(self, action: str, entity: str) -> bool:
        return any(getattr(rule, action) is not None for _, rule in self._rules(entity))

    def listed(self, entity: str) -> list[Row]:
        rows = self.world.rows(entity, self.as_of)
        return [row for row in rows if row["voided_at"] is None and self.sees(entity, row)]

    def one(self, entity: str, row: Row, name: str, target: str) -> Row | None:
        """The record a reference leads to, where both the reference and the record are seen."""
        id = self.value(entity, row, name)
        found = None if id is None else self.find(target, id)
        return found if found is not None and self.sees(target, found) else None

    def back(self, entity: str, row: Row, name: str, source: str, forward: str) -> list[Row]:
        """Records that point here, where the way back, the reference and the record are seen."""
        if not self.shown(entity, row, name):
            return []
        if forward == "lots":
            owners = {owner for owner, target in self.world.linked(self.as_of) if target == row["id"]}
            found = [each for each in self.listed(source) if each["id"] in owners]
        else:
            found = [each for each in self.listed(source) if each[forward] == row["id"]]
        return [each for each in found if self.shown(source, each, forward)]


def wire(value: Any) -> Any:
    """A value as an answer carries it."""
    if isinstance(value, Decimal):
        return f"{value:.4f}"
    return value.isoformat() if hasattr(value, "isoformat") else str(value) if isinstance(value, UUID) else value
