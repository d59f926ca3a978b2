"""Dialect differences live here: compiling Core statements once for the raw drivers, constructs both engines share."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from clew.storage.engine import Compiled, DialectName
from clew.storage.types import ListOf, StoredType, converter


class _BoundText(sa.Text):
    """Text is `text` on PostgreSQL, and its binds say so: a bind without a type cannot be compared or concatenated."""

    render_bind_cast = True


class _Postgres(PGDialect_asyncpg):
    colspecs = {**PGDialect_asyncpg.colspecs, sa.String: _BoundText}
    supports_statement_cache = True
    oldest: int | None = None
    """The oldest major version of the servers this process has connected to; None before the first."""


_JSON_SCALAR = 17
"""The version of PostgreSQL that brought JSON_SCALAR."""

POSTGRESQL = _Postgres()  # type: ignore[no-untyped-call]
SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")
_DIALECTS: Mapping[DialectName, Dialect] = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


def sa_dialect(name: DialectName) -> Dialect:
    return _DIALECTS[name]


def connected(version: int) -> None:
    """Statements compiled from now on suit a PostgreSQL server of this major version too."""
    POSTGRESQL.oldest = version if POSTGRESQL.oldest is None else min(version, POSTGRESQL.oldest)


class StatementCache:
    """Compiled statements of one database: by object for statements that live long, by shape for the others."""

    def __init__(self, dialect: DialectName, size: int = 2000) -> None:
        self.dialect: DialectName = dialect
        self._size = size
        self._by_object: weakref.WeakKeyDictionary[ClauseElement, Compiled] = weakref.WeakKeyDictionary()
        self._by_shape: OrderedDict[Any, tuple[SQLCompiler, Compiled]] = OrderedDict()

    def get(self, statement: ClauseElement | Compiled) -> Compiled:
        """The driver's form of a statement, compiled at most once per object and per shape."""
        if isinstance(statement, Compiled):
            return statement
        found = self._by_object.get(statement)
        if found is None:
            found = self._by_object[statement] = self._shaped(statement)
        return found

    def _shaped(self, statement: ClauseElement) -> Compiled:
        key = statement._generate_cache_key()
        if key is None or _has_inline_lists(statement):
            return compile_statement(statement, self.dialect)
        known = self._by_shape.get(key.key)
        if known is None:
            known = _compile(statement, self.dialect, key)
            self._by_shape[key.key] = known
            if len(self._by_shape) > self._size:
                self._by_shape.popitem(last=False)
            return known[1]
        self._by_shape.move_to_end(key.key)
        compiler, compiled = known
        constants = compiler.construct_params(extracted_parameters=key.bindparams, _check=False, escape_names=False)
        return replace(compiled, constants=_own(compiler, constants))


def compile_statement(statement: ClauseElement, dialect: DialectName) -> Compiled:
    """Compile a Core statement for the driver: positional binds with their converters, result converters."""
    return _compile(statement, dialect)[1]


def compile_ddl(statement: Any, dialect: DialectName) -> str:
    """The text of a DDL element; literals are written in place."""
    return str(statement.compile(dialect=sa_dialect(dialect), compile_kwargs={"literal_binds": True})).strip()


def literal_sql(expression: ClauseElement, dialect: DialectName) -> str:
    """An expression with its constants written in place, for conditions inside DDL. Never for request data."""
    return str(expression.compile(dialect=sa_dialect(dialect), compile_kwargs={"literal_binds": True}))


def literal_text(type_: TypeEngine[Any], value: Any, dialect: DialectName) -> str:
    """One value as SQL text, for DDL and the platform's own statements. Never for request data."""
    target = sa_dialect(dialect)
    processor = type_.dialect_impl(target).literal_processor(target)
    assert processor is not None, f"{type_!r} has no literal form"
    return str(processor(value))


def _compile(statement: ClauseElement, dialect: DialectName, key: Any = None) -> tuple[SQLCompiler, Compiled]:
    # With a cache key the compiler can later tell the constants of another statement of the same shape.
    inline = {} if key is not None else {"render_postcompile": True}
    target = sa_dialect(dialect)
    compiler = target.statement_compiler(target, statement, cache_key=key, compile_kwargs=inline)
    assert isinstance(compiler, SQLCompiler)
    slots = tuple(compiler.positiontup or ())
    processors = compiler._bind_processors
    compiled = Compiled(
        sql=compiler.string,
        slots=slots,
        constants=_own(compiler, compiler.construct_params(_check=False, escape_names=False)),
        converters=tuple(
            # Items of an inline list are no binds of the statement.
            to_driver(compiler.binds[name].type, dialect) if name in compiler.binds else processors.get(name)
            for name in slots
        ),
        results=tuple(
            (at, convert)
            for at, column in enumerate(compiler._result_columns)
            if (convert := converter(column.type, dialect)) is not None
        ),
    )
    return compiler, compiled


def _own(compiler: SQLCompiler, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The values of the binds that have one of their own."""
    binds = compiler.binds
    return {name: value for name, value in values.items() if name not in binds or not binds[name].required}


def to_driver(type_: TypeEngine[Any], dialect: DialectName) -> Any:
    """How a bound value of a type goes to the driver. Our own types say it themselves, without SQLAlchemy's wrapping,
    which costs more than what it wraps."""
    if isinstance(type_, StoredType) and type(type_).process_bind_param is StoredType.process_bind_param:
        return type_.to_driver(dialect)
    target = sa_dialect(dialect)
    return type_.dialect_impl(target).bind_processor(target)


def _has_inline_lists(statement: ClauseElement) -> bool:
    """`column.in_([...])` renders one bind per item, so its text depends on the values and must not be shared."""
    return any(isinstance(each, sa.BindParameter) and each.expanding for each in sa.sql.visitors.iterate(statement))


class AnyOf(sa.ColumnElement[bool]):
    """`column` is one of the values of a single list parameter. One statement text for any number of values."""

    inherit_cache = True
    _traverse_internals = [
        ("column", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("values", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]
    type = sa.Boolean()

    def __init__(self, column: sa.ColumnElement[Any], values: str | sa.BindParameter[Any]) -> None:
        self.column = column
        self.values = sa.bindparam(values, type_=ListOf(column.type)) if isinstance(values, str) else values


def any_of(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """`column = ANY(:name)` on both engines; the argument is a Python list of canonical values."""
    return AnyOf(column, name)


@compiles(AnyOf, "postgresql")
def _any_of_postgresql(element: AnyOf, compiler: Any, **options: Any) -> str:
    return f"{compiler.process(element.column, **options)} = ANY({compiler.process(element.values, **options)})"


@compiles(AnyOf, "sqlite")
def _any_of_sqlite(element: AnyOf, compiler: Any, **options: Any) -> str:
    column, values = compiler.process(element.column, **options), compiler.process(element.values, **options)
    return f"{column} IN (SELECT value FROM json_each({values}))"


class JsonString(sa.ColumnElement[str]):
    """A text as a JSON string, quoted and escaped. NULL stays NULL on PostgreSQL and is the word null on SQLite."""

    inherit_cache = True
    _traverse_internals = [("value", sa.sql.visitors.InternalTraversal.dp_clauseelement)]
    type = sa.Text()

    def __init__(self, value: sa.ColumnElement[Any]) -> None:
        self.value = value

    def self_group(self, against: Any = None) -> JsonString:
        """A call needs no brackets."""
        return self


@compiles(JsonString, "postgresql")
def _json_string_postgresql(element: JsonString, compiler: Any, **options: Any) -> str:
    value = compiler.process(element.value, **options)
    # to_json looks its argument's type up at every call: on long lists a twentieth of the database's whole work.
    scalar = POSTGRESQL.oldest is not None and POSTGRESQL.oldest >= _JSON_SCALAR
    return f"CAST({'JSON_SCALAR' if scalar else 'to_json'}({value}) AS TEXT)"


@compiles(JsonString, "sqlite")
def _json_string_sqlite(element: JsonString, compiler: Any, **options: Any) -> str:
    return f"json_quote({compiler.process(element.value, **options)})"
