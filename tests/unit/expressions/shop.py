"""A hand-written schema for the checker's tests: lots of items."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from clew.expressions.check import check
from clew.expressions.interpret import evaluate
from clew.expressions.problems import ExpressionError
from clew.expressions.tree import Base, Checked, Type
from clew.kernel.context import Person

NOW = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
SITE = UUID(int=7)
PERSON = Person(UUID(int=1), "wang", "王芳", ("qc",), (SITE,), site=None)

_LOT = Type(Base.RECORD, entities=("lot",))
_ITEM = Type(Base.RECORD, entities=("item",))
_MEMBERS: Mapping[str, Mapping[str, Type]] = {
    "lot": {
        "id": Type(Base.ID),
        "number": Type(Base.TEXT),
        "note": Type(Base.TEXT, nullable=True),
        "state": Type(Base.TEXT, codes=("open", "held", "released")),
        "qty": Type(Base.DECIMAL, scale=4),
        "price": Type(Base.DECIMAL, nullable=True, scale=2),
        "pieces": Type(Base.INTEGER),
        "flag": Type(Base.BOOLEAN, nullable=True),
        "made_on": Type(Base.DATE),
        "exp_on": Type(Base.DATE, nullable=True),
        "item": _ITEM,
        "parent": Type(Base.RECORD, nullable=True, entities=("lot",)),
        "subject": Type(Base.RECORD, nullable=True, entities=("lot", "item")),
        "lots": Type(Base.LIST, element=_LOT),
        "marks": Type(Base.LIST, element=Type(Base.TEXT, codes=("A", "B"))),
        "data": Type(Base.JSON, nullable=True),
        "site": Type(Base.RECORD, nullable=True, entities=("site",)),
        "twice": Type(Base.DECIMAL, scale=4),
    },
    "item": {"id": Type(Base.ID), "name": Type(Base.TEXT), "number": Type(Base.TEXT), "weight": Type(Base.INTEGER)},
    "site": {"id": Type(Base.ID), "code": Type(Base.TEXT)},
}


class Shop:
    """The schema."""

    def members(self, entity: str) -> Mapping[str, Type]:
        return _MEMBERS[entity]

    def states(self, entity: str) -> tuple[str, ...]:
        return ("open", "held", "released") if entity == "lot" else ()

    def table(self, name: str) -> None:
        return None

    def tables(self) -> tuple[str, ...]:
        return ()


def checked(source: str, **options: Any) -> Checked:
    return check(source, Shop(), "lot", **options)


def codes(source: str, **options: Any) -> list[str]:
    """The codes of everything wrong with an expression, in the order of its text; empty when nothing is."""
    try:
        check(source, Shop(), options.pop("entity", "lot"), **options)
    except ExpressionError as error:
        return [each.code for each in error.problems]
    return []


def lot(**values: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "id": UUID(int=100), "number": "L-1", "note": None, "state": "open", "qty": Decimal("2.5000"), "price": None,
        "pieces": 3, "flag": None, "exp_on": None, "parent": None, "subject": None, "lots": [], "marks": ["A"],
        "data": {"color": "红"}, "site": None, "@entered": {"held": NOW},
        "item": {"id": UUID(int=200), "name": "螺钉", "number": "I-1", "weight": 5},
    }  # fmt: skip
    return {**known, **values}


def value(source: str, record: Mapping[str, Any] | None = None, **around: Any) -> Any:
    around.setdefault("now", NOW)
    around.setdefault("person", PERSON)
    return evaluate(checked(source), record if record is not None else lot(), **around)
