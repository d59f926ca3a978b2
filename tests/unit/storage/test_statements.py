"""Compiling statements: once per object and per shape, bound by name, never half-bound."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa

from clew.kernel.ids import uuid7
from clew.storage.catalog import Catalog
from clew.storage.dialects import StatementCache, any_of, compile_statement
from clew.storage.engine import DialectName
from clew.storage.tables import Tables
from clew.testing.blueprints import blueprint, entity, field

PROJECT = blueprint(entity("order", [field("qty", "decimal", scale=4), field("user")]))
DIALECTS: tuple[DialectName, ...] = ("sqlite", "postgresql")


def table(dialect: DialectName) -> sa.Table:
    return Tables(PROJECT, Catalog.first(PROJECT), dialect).current("order")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_same_shape_shares_its_text_but_not_its_constants(dialect: DialectName) -> None:
    cache, order = StatementCache(dialect), table(dialect)
    one = cache.get(sa.select(order.c.id).where(order.c.qty > Decimal("1.5"), order.c.user == "甲"))
    two = cache.get(sa.select(order.c.id).where(order.c.qty > Decimal("2.5"), order.c.user == "乙"))
    assert one.sql is two.sql
    assert one.bind({}) == ([15000, "甲"] if dialect == "sqlite" else [Decimal("1.5000"), "甲"])
    assert two.bind({}) == ([25000, "乙"] if dialect == "sqlite" else [Decimal("2.5000"), "乙"])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_inline_lists_of_other_lengths_are_other_statements(dialect: DialectName) -> None:
    cache, order = StatementCache(dialect), table(dialect)
    lists = (["a", "b"], ["a", "b", "c"])
    lengths = [len(cache.get(sa.select(order.c.id).where(order.c.user.in_(names))).bind({})) for names in lists]
    assert lengths == [2, 3]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_list_parameter_for_any_number_of_values(dialect: DialectName) -> None:
    order, ids = table(dialect), [uuid7(), uuid7()]
    compiled = compile_statement(sa.select(order.c.id).where(any_of(order.c.id, "ids")), dialect)
    assert len(compiled.bind({"ids": ids})) == 1
    assert compiled.bind({"ids": ids})[0] == (ids if dialect == "postgresql" else f'["{ids[0]}", "{ids[1]}"]')


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dotted_bind_names_and_missing_values(dialect: DialectName) -> None:
    order = table(dialect)
    statement = sa.select(order.c.id).where(order.c.user == sa.bindparam("user.name", type_=order.c.user.type))
    compiled = compile_statement(statement, dialect)
    assert compiled.bind({"user.name": "王"}) == ["王"]
    with pytest.raises(KeyError, match=r"user\.name"):
        compiled.bind({})
