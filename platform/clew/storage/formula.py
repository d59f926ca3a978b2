"""SQL text that differs by engine, as an expression: `{0}` is the first argument, and may stand more than once.

An argument that is repeated should be small. Where it may be large, name it once with `let`.
"""

from __future__ import annotations

import re
from typing import Any, TypeGuard

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeEngine

from clew.storage.types import Text

Sql = sa.ColumnElement[Any]


class Formula(sa.ColumnElement[Any]):
    """A template per engine over SQL arguments. Templates are constants of the program, never data."""

    inherit_cache = True
    _traverse_internals = [
        ("postgresql", InternalTraversal.dp_string),
        ("sqlite", InternalTraversal.dp_string),
        ("arguments", InternalTraversal.dp_clauseelement_tuple),
        ("type", InternalTraversal.dp_type),
    ]

    def __init__(self, postgresql: str, sqlite: str, arguments: tuple[Sql, ...], type_: TypeEngine[Any]) -> None:
        self.postgresql, self.sqlite, self.arguments, self.type = postgresql, sqlite, arguments, type_

    def self_group(self, against: Any = None) -> Formula:
        """Its text is always closed in itself."""
        return self


@compiles(Formula)
def _compile(element: Formula, compiler: Any, **options: Any) -> str:
    template = element.postgresql if compiler.dialect.name == "postgresql" else element.sqlite
    options = {**options, "within_columns_clause": False}
    return template.format(*(f"({compiler.process(each, **options)})" for each in element.arguments))


def formula(template: str, *arguments: Sql, type_: TypeEngine[Any], sqlite: str | None = None) -> Formula:
    """`template` for both engines, or for PostgreSQL when `sqlite` is given. Literal braces do not occur."""
    return Formula(f"({template})", f"({sqlite or template})", arguments, type_)


class Contrary(sa.ColumnElement[Any]):
    """The contrary of a condition. NOT binds weaker than a comparison, so it is closed in itself where it is compared
    with something, and nowhere else: a database reads only so many brackets one within the other."""

    inherit_cache = True
    _traverse_internals = [("operand", InternalTraversal.dp_clauseelement), ("type", InternalTraversal.dp_type)]
    type = sa.Boolean()

    def __init__(self, condition: Sql) -> None:
        self.operand = condition.self_group(against=operators.inv)

    def self_group(self, against: Any = None) -> Any:
        return self if against in _WEAKER else sa.sql.elements.Grouping(self)

    def _negate(self) -> Contrary:
        return Contrary(self)


_WEAKER = (None, operators.and_, operators.or_, operators.inv, operators.comma_op)
"""What binds weaker than NOT, or not at all."""


@compiles(Contrary)
def _compile_contrary(element: Contrary, compiler: Any, **options: Any) -> str:
    return f"NOT {compiler.process(element.operand, **{**options, 'within_columns_clause': False})}"


def no(condition: Sql) -> Contrary:
    """The contrary of a condition."""
    return Contrary(condition)


_CODE = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


def is_code(value: object) -> TypeGuard[str]:
    """A text of nothing but letters, digits and underscores of ASCII, as codes of choices and names of roles are."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def written_out(code: str) -> Formula:
    """A code as part of the statement instead of a bind, for constants of the project: PostgreSQL knows how many rows
    have this state, say, and picks its way accordingly."""
    if not is_code(code):
        raise ValueError(f"{code!r} is no code")
    return Formula(f"('{code}'::text COLLATE \"C\")", f"'{code}'", (), Text())


def let(names: str, body: str) -> str:
    """A template that names its arguments once: `let("x y", "x + y * x")` is over {0} and {1}."""
    bound = ", ".join(f"{{{at}}} AS {name}" for at, name in enumerate(names.split()))
    # OFFSET 0 keeps PostgreSQL from writing the arguments out again
    return f"SELECT {body} FROM (SELECT {bound} LIMIT 1 OFFSET 0) AS let_"
