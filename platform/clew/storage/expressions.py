"""Checked expressions as SQL, with the answers that evaluation in memory gives, on both engines.

What cannot be decided is NULL. Where the checker says that a value cannot be missing, NULL means undecided and spreads
as SQL spreads it; where it may be missing, comparisons are made null-safe here. Binds: `user.<fact>`, `now`, `today`,
and `old.<field>` for the record before the change.
"""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from clew.expressions.functions import SQL
from clew.expressions.tree import Base, Checked, Type
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import Field
from clew.metadata.link.nesting import Spread
from clew.storage.expression_rows import Mask, Rows, Visible
from clew.storage.expression_translator import Translator
from clew.storage.formula import Sql

__all__ = [
    "Mask",
    "NotInSql",
    "Rows",
    "Visible",
    "computed_sql",
    "condition_sql",
    "decided_sql",
    "stored_sql",
    "translate",
    "value_sql",
]


LONG = 5
"""Parts of a computed field, with those of all it reads, from which on it stands apart in SQLite's statements."""


class NotInSql(ClewError):
    """The expression uses something that only memory can do."""

    code, status = "EXPRESSION_NOT_IN_SQL", 400
    en = "The expression {source} cannot run in the database: it uses something only the platform can evaluate."
    zh = "表达式 {source} 不能在数据库中执行:其中有仅平台内存可计算的内容。"
    hint_en = "See docs/expressions.md for where each function runs."
    hint_zh = "各函数可执行的位置见 docs/expressions.zh.md。"


def value_sql(checked: Checked, rows: Rows) -> Sql:
    """The expression's value; NULL when it is missing or cannot be decided. Raises NotInSql."""
    return _translator(checked, rows).result(checked.root)


def computed_sql(field: Field, rows: Rows) -> Sql:
    """A computed field of a row in a read, as `value_sql`. SQLite's parser holds a hundred open symbols: there what is
    long stands apart, before the statement, and the row looks itself up in it, however deep in lists it is.

    Raises NotInSql.
    """
    assert field.computed is not None
    if rows.dialect != "sqlite" or not _stands_apart(field, rows):
        return value_sql(field.computed, rows)
    own, _ = replace(rows, visible=None).open(rows.entity)
    value = value_sql(field.computed, rows.of(rows.entity, own))
    named = sa.select(own.c.id, value.label("v")).where(*rows.interval(own)).cte().prefix_with("NOT MATERIALIZED")
    return sa.select(named.c.v).where(named.c.id == rows.rows.c.id).correlate_except(named).scalar_subquery()


def _stands_apart(field: Field, rows: Rows) -> bool:
    """Whether a field is long, and its row one that can be looked up again: stored, at a moment that is given."""
    tables, at = rows.tables, rows.as_of
    table = tables.current(rows.entity) if at is None else tables.history(rows.entity)
    stored = isinstance(rows.rows, sa.Alias) and rows.rows.element is table
    given = at is None or isinstance(at, sa.BindParameter)
    known = rows.blueprint.entities
    return stored and given and Spread(known).field(known[rows.entity], field) >= LONG


def stored_sql(checked: Checked, rows: Rows, to: Type) -> Sql:
    """The value in the form a column of type `to` stores: a number gets its decimal places. Raises NotInSql."""
    translator = _translator(checked, rows)
    if to.base is Base.DECIMAL:
        return translator.aligned(checked.root, to)
    return translator.result(checked.root)


def condition_sql(checked: Checked, rows: Rows) -> Sql:
    """For WHERE and for what allows: true where the condition holds; false or NULL where not. Raises NotInSql."""
    return _translator(checked, rows).condition(checked.root, loose=True)


def decided_sql(checked: Checked, rows: Rows, *, on_error: bool) -> Sql:
    """True or false, never NULL: an undecidable condition counts as `on_error`, as in `interpret.holds`."""
    exact = _translator(checked, rows).condition(checked.root, loose=False)
    return sa.func.coalesce(exact, sa.true() if on_error else sa.false(), type_=sa.Boolean())


def translate(checked: Checked, rows: Rows) -> Sql:
    """The expression as a column element: for a boolean its exact value (NULL = undecided), otherwise the value."""
    return value_sql(checked, rows)


def _translator(checked: Checked, rows: Rows) -> Translator:
    if SQL not in checked.runs_in:
        raise NotInSql(source=checked.source)
    return Translator(rows)
