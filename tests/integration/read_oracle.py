"""What reads must answer, worked out in plain Python over all rows: no SQL, no plan, no shared code."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from read_world import Row, World

from clew.kernel.context import Person


@dataclass(frozen=True)
class Oracle:
    """One person's reading of the world at one moment."""

    world: World
    role: str
    person: Person
    as_of: datetime | None

    # ── the policy, by hand ───────────────────────────────────────────────────────────────────────────────────────

    def sees(self, entity: str, row: Row) -> bool:
        mine = self.person
        if self.role == "inspector":
            if entity == "lot":
                return row["site"] in mine.sites or row["state"] == "released"
            if entity == "nonconformance":
                return row["site"] in mine.sites
            if entity == "supplier":
                return bool(row["state"] == "active")
            if entity == "serial_unit":
                lot = self.find("lot", row["lot"])
                return lot is not None and lot["site"] in mine.sites
            return True
        if entity == "lot":
            return bool(row["site"] == mine.site or row["qty"] < 30)
        return True

    def value(self, entity: str, row: Row, name: str) -> Any:
        """A value as the person sees it."""
        shown = True
        if self.role == "inspector":
            if (entity, name) == ("lot", "qty"):
                shown = row["site"] == self.person.site
            elif (entity, name) in (("nonconformance", "subject_id"), ("nonconformance", "subject_entity")):
                shown = row["severity"] != "minor"
        elif (entity, name) == ("lot", "qty"):
            shown = row["state"] != "rejected"
        elif (entity, name) == ("lot", "supplier"):
            shown = row["state"] == "released"
        elif (entity, name) == ("nonconformance", "severity"):
            shown = row["state"] == "closed"
        elif (entity, name) == ("supplier", "name"):
            shown = row["state"] == "active"
        return row[name] if shown else None

    # ── relations ─────────────────────────────────────────────────────────────────────────────────────────────────

    def find(self, entity: str, id: Any) -> Row | None:
        return next((row for row in self.world.rows(entity, self.as_of) if row["id"] == id), None)

    def one(self, entity: str, row: Row, name: str, target: str) -> Row | None:
        id = self.value(entity, row, name)
        found = None if id is None else self.find(target, id)
        return found if found is not None and self.sees(target, found) else None

    def subject(self, row: Row) -> tuple[str, Row] | None:
        entity = self.value("nonconformance", row, "subject_entity")
        if entity is None:
            return None
        found = self.one("nonconformance", row, "subject_id", entity)
        return None if found is None else (entity, found)

    def nonconformances(self, lot: Row) -> list[Row]:
        """The way back of `nonconformance.lots`; the inspector sees the links of open ones only."""
        owners = {owner for owner, target in self.world.linked(self.as_of) if target == lot["id"]}
        rows = [row for row in self.listed("nonconformance") if row["id"] in owners]
        return [row for row in rows if self.role != "inspector" or row["state"] == "open"]

    def listed(self, entity: str) -> list[Row]:
        rows = self.world.rows(entity, self.as_of)
        return [row for row in rows if row["voided_at"] is None and self.sees(entity, row)]

    # ── filters ───────────────────────────────────────────────────────────────────────────────────────────────────

    def holds(self, lot: Row, where: dict[str, Any]) -> bool:
        return all(self._key(lot, key, value) for key, value in where.items())

    def _key(self, lot: Row, key: str, value: Any) -> bool:
        if key == "and":
            return all(self.holds(lot, each) for each in value)
        if key == "or":
            return any(self.holds(lot, each) for each in value)
        if key == "not":
            return not self.holds(lot, value)
        if key == "supplier":
            supplier = self.one("lot", lot, "supplier", "supplier")
            if "isNull" in value:
                return (supplier is None) is value["isNull"]
            return supplier is not None and compare(self.value("supplier", supplier, "name"), value["name"])
        if key == "nonconformances":
            return all(self._quantified(lot, quantifier, inner) for quantifier, inner in value.items())
        return compare(self.value("lot", lot, _FIELDS[key]), {op: _parse(key, given) for op, given in value.items()})

    def _quantified(self, lot: Row, quantifier: str, inner: dict[str, Any]) -> bool:
        results = [
            all(compare(self.value("nonconformance", row, key), ops) for key, ops in inner.items())
            for row in self.nonconformances(lot)
        ]
        return {"some": any(results), "every": all(results), "none": not any(results)}[quantifier]

    # ── order ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def ordered(self, lots: list[Row], order: list[dict[str, Any]]) -> list[Row]:
        terms: list[tuple[Any, bool]] = [(_order_key(self, each), _descending(each)) for each in order]
        terms.append((lambda lot: lot["id"].hex, terms[-1][1] if terms else False))

        def before(left: Row, right: Row) -> int:
            for key, descending in terms:
                step = _compare_largest_missing(key(left), key(right))
                if step:
                    return -step if descending else step
            return 0

        return sorted(lots, key=cmp_to_key(before))

    # ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def lot_json(self, lot: Row) -> dict[str, Any]:
        supplier = self.one("lot", lot, "supplier", "supplier")
        site = self.find("site", lot["site"])
        ncs = sorted(self.nonconformances(lot), key=lambda row: row["number"])
        return {
            "number": lot["number"],
            "qty": _decimal(self.value("lot", lot, "qty")),
            "state": lot["state"],
            "expOn": lot["exp_on"].isoformat() if lot["exp_on"] else None,
            "supplier": supplier and {"name": self.value("supplier", supplier, "name")},
            "site": site and {"code": site["code"]},
            "nonconformances": {"nodes": [self._nonconformance_json(row) for row in ncs]},
        }

    def _nonconformance_json(self, row: Row) -> dict[str, Any]:
        found = self.subject(row)
        subject: dict[str, Any] | None = None
        if found is not None and found[0] == "lot":
            qty = self.value("lot", found[1], "qty")
            subject = {"__typename": "Lot", "number": found[1]["number"], "qty": _decimal(qty)}
        elif found is not None:
            subject = {"__typename": "SerialUnit", "serial": found[1]["serial"]}
        return {
            "number": row["number"],
            "severity": self.value("nonconformance", row, "severity"),
            "subject": subject,
        }


_FIELDS = {"qty": "qty", "expOn": "exp_on", "state": "state", "number": "number"}


def _parse(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_parse(key, each) for each in value]
    if key == "qty" and isinstance(value, str):
        return Decimal(value)
    return date.fromisoformat(value) if key == "expOn" and isinstance(value, str) else value


def compare(value: Any, ops: dict[str, Any]) -> bool:
    return all(_op(value, op, given) for op, given in ops.items())


def _op(value: Any, op: str, given: Any) -> bool:
    if op == "isNull":
        return (value is None) is given
    if op in ("ne", "notIn"):
        return not _op(value, {"ne": "eq", "notIn": "in"}[op], given)
    if value is None:
        return False
    if op in ("startsWith", "endsWith"):
        return bool(value.startswith(given) if op == "startsWith" else value.endswith(given))
    return bool({
        "eq": lambda: value == given, "in": lambda: value in given, "lt": lambda: value < given,
        "lte": lambda: value <= given, "gt": lambda: value > given, "gte": lambda: value >= given,
        "contains": lambda: given in value,
    }[op]())  # fmt: skip


def _order_key(oracle: Oracle, term: dict[str, Any]) -> Any:
    ((key, _),) = term.items()
    if key != "supplier":
        return lambda lot: oracle.value("lot", lot, _FIELDS[key])

    def name(lot: Row) -> Any:
        supplier = oracle.one("lot", lot, "supplier", "supplier")
        shown = None if supplier is None else oracle.value("supplier", supplier, "name")
        return None if supplier is None or shown is None else supplier["name__sort"]

    return name


def _descending(term: dict[str, Any]) -> bool:
    (value,) = term.values()
    return bool((value if isinstance(value, str) else value["name"]) == "DESC")


def _compare_largest_missing(left: Any, right: Any) -> int:
    if left is None or right is None:
        return (left is None) - (right is None)
    return (left > right) - (left < right)


def _decimal(value: Any) -> str | None:
    return None if value is None else f"{value:.4f}"
