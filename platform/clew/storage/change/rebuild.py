"""Rebuilding a SQLite table, which is how SQLite tightens or relaxes NOT NULL. Runs inside `Database.migrate`, where
foreign keys were switched off before BEGIN; indexes and triggers are made again from their own text."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from clew.storage.ddl import Ddl
from clew.storage.engine import Connection
from clew.storage.errors import IntegrityFault

_DDL = Ddl("sqlite")


async def rebuild(
    connection: Connection, table: str, *, required: Iterable[str] = (), optional: Iterable[str] = ()
) -> None:
    """Make `required` columns NOT NULL and `optional` ones nullable, keeping rows, keys, indexes and triggers."""
    fresh = f"zz_new_{table}"[:63]
    create, names = await _definition(connection, table, fresh, set(required), set(optional))
    kept = await connection.fetch(
        sa.text(
            "SELECT sql FROM sqlite_master WHERE tbl_name = :t AND type IN ('index', 'trigger') AND sql IS NOT NULL"
            " ORDER BY type, name"
        ),
        {"t": table},
    )
    listed = ", ".join(_DDL.quote(name) for name in names)
    await connection.run_sql(create)
    await connection.run_sql(f"INSERT INTO {_DDL.quote(fresh)} ({listed}) SELECT {listed} FROM {_DDL.quote(table)}")
    await connection.run_sql(f"DROP TABLE {_DDL.quote(table)}")
    await connection.run_sql(f"ALTER TABLE {_DDL.quote(fresh)} RENAME TO {_DDL.quote(table)}")
    for (statement,) in kept:
        await connection.run_sql(statement)
    broken = await connection.fetch(sa.text(f"PRAGMA foreign_key_check({_DDL.quote(table)})"))
    if broken:
        raise IntegrityFault("reference", table=table, columns=(f"row {broken[0][1]}",))


async def _definition(
    connection: Connection, table: str, fresh: str, required: set[str], optional: set[str]
) -> tuple[str, list[str]]:
    """CREATE TABLE text of the table under its new name, and its columns."""
    quote = _DDL.quote
    columns = await connection.fetch(sa.text(f"PRAGMA table_info({quote(table)})"))
    lines, names = [], []
    for _, name, type_, notnull, default, _ in columns:
        keep = (bool(notnull) or name in required) and name not in optional
        line = f"{quote(name)} {type_}{' NOT NULL' if keep else ''}"
        lines.append(line if default is None else f"{line} DEFAULT {default}")
        names.append(name)
    key = [column[1] for column in sorted(columns, key=lambda each: each[5]) if column[5]]
    if key:
        lines.append(f"PRIMARY KEY ({', '.join(quote(name) for name in key)})")
    for row in await connection.fetch(sa.text(f"PRAGMA foreign_key_list({quote(table)})")):
        target, source, column = row[2], row[3], row[4] or "id"
        lines.append(
            f"FOREIGN KEY ({quote(source)}) REFERENCES {quote(target)} ({quote(column)}) DEFERRABLE INITIALLY IMMEDIATE"
        )
    body = ",\n  ".join(lines)
    return f"CREATE TABLE {quote(fresh)} (\n  {body}\n)", names
