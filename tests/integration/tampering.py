"""Single changes made directly in a database, as its administrator could, each with where it must be found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from write_journey import Plant

from clew.audit.leaf import leaf_digest
from clew.audit.sealing.log import next_link
from clew.audit.sealing.merkle import Peaks
from clew.audit.verify.findings import Finding
from clew.kernel.canonical import canonical_json
from clew.kernel.ids import uuid7
from clew.storage import system
from clew.storage.engine import Connection, Database

Row = dict[str, Any]
leaf, log, pending, checkpoint = system.leaf, system.audit_log, system.leaf_pending, system.checkpoint


@dataclass
class Books:
    """All rows of some tables, to look at, change and put back."""

    made: Plant
    tables: list[sa.Table]
    rows: dict[str, list[Row]] = field(default_factory=dict)

    async def read(self) -> None:
        for table in self.tables:
            self.rows[table.name] = await self.made.rows(table)

    async def put_back(self) -> None:
        async with as_administrator(self.made.database) as connection:
            for table in self.tables:
                await connection.execute(sa.delete(table))
                for row in self.rows[table.name]:
                    await connection.execute(sa.insert(table), row)

    def of(self, table: sa.Table) -> list[Row]:
        return self.rows[table.name]

    def entries(self) -> list[Row]:
        return sorted(self.of(log), key=lambda row: int(row["index"]))


class as_administrator:
    """A unit of work in which no trigger and no foreign key stands in the way."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Connection:
        self._unit = self._database.migrate()
        connection = await self._unit.__aenter__()
        if connection.dialect == "postgresql":
            await connection.run_sql("SET LOCAL session_replication_role = replica")
        else:
            for name in system.INSERT_ONLY:
                for verb in ("update", "delete"):
                    await connection.run_sql(f"DROP TRIGGER IF EXISTS {name}__no_{verb}")
        return connection

    async def __aexit__(self, *problem: Any) -> Any:
        return await self._unit.__aexit__(*problem)


@dataclass(frozen=True)
class Tampering:
    """What is done, and how a finding is recognised that names the place."""

    name: str
    statements: Sequence[tuple[Any, Row]]
    located: Callable[[Finding], bool]


Kind = Callable[[Books, random.Random], Tampering | None]


def _at(index: int) -> Callable[[Finding], bool]:
    return lambda found: found.index == index


def _about(record_id: UUID, row_version: int | None = None) -> Callable[[Finding], bool]:
    return lambda found: found.record_id == record_id and row_version in (None, found.row_version)


def _set(table: sa.Table, where: Row, values: Row) -> tuple[Any, Row]:
    same = [table.c[name] == value for name, value in where.items()]
    return sa.update(table).where(*same).values({table.c[name]: value for name, value in values.items()}), {}


def _gone(table: sa.Table, **where: Any) -> tuple[Any, Row]:
    return sa.delete(table).where(*(table.c[name] == value for name, value in where.items())), {}


def _sealed(books: Books, chance: random.Random) -> tuple[Row, Row]:
    """An entry and its leaf."""
    entry = chance.choice(books.entries())
    return entry, next(each for each in books.of(leaf) if each["leaf_id"] == entry["leaf_id"])


def leaf_updated(books: Books, chance: random.Random) -> Tampering | None:
    entry, stored = _sealed(books, chance)
    column = chance.choice(["header", "fields", "digest", "action", "entity", "row_version", "actor", "record_id"])
    values: Row = {
        "header": stored["header"].replace('"client":"pytest"', '"client":"browser"').replace("upkeep", "uplook"),
        "fields": _altered_value(stored["fields"], chance),
        "digest": "0" * 64,
        "action": "void",
        "entity": "nothing",
        "row_version": stored["row_version"] + 1,
        "actor": UUID(int=5),
        "record_id": UUID(int=6),
    }
    if values[column] == stored[column]:
        return None
    change = _set(leaf, {"leaf_id": stored["leaf_id"]}, {column: values[column]})
    return Tampering(f"leaf.{column} updated", [change], _at(entry["index"]))


def _altered_value(fields: str, chance: random.Random) -> str:
    entries = json.loads(fields)
    if not entries:
        return fields
    name = chance.choice(sorted(entries))
    kind = chance.randrange(4)
    if kind == 0:
        entries[name]["n"] = "forged"
    elif kind == 1:
        entries[name]["o"] = "forged"
    elif kind == 2:
        del entries[name]
    else:
        entries[name]["s"] = "00" * 32
    return canonical_json(entries).decode()


def leaf_deleted(books: Books, chance: random.Random) -> Tampering:
    entry, stored = _sealed(books, chance)
    return Tampering("leaf deleted", [_gone(leaf, leaf_id=stored["leaf_id"])], _at(entry["index"]))


def leaf_replaced(books: Books, chance: random.Random) -> Tampering | None:
    """INSERT OR REPLACE, which passes by triggers; where there is no such thing, delete and insert."""
    entry, stored = _sealed(books, chance)
    fields = _altered_value(stored["fields"], chance)
    if fields == stored["fields"]:
        return None
    fresh = {**stored, "fields": fields}
    if books.made.database.dialect == "sqlite":
        statements = [(sa.insert(leaf).prefix_with("OR REPLACE"), fresh)]
    else:
        statements = [_gone(leaf, leaf_id=stored["leaf_id"]), (sa.insert(leaf), fresh)]
    return Tampering("leaf replaced", statements, _at(entry["index"]))


def value_redacted(books: Books, chance: random.Random) -> Tampering | None:
    """Salt and values dropped without an erasure that says so: the digest still fits."""
    entry, stored = _sealed(books, chance)
    entries = json.loads(stored["fields"])
    if not entries:
        return None
    name = chance.choice(sorted(entries))
    entries[name] = {"c": entries[name]["c"]}
    change = _set(leaf, {"leaf_id": stored["leaf_id"]}, {"fields": canonical_json(entries).decode()})
    return Tampering("value redacted", [change], _at(entry["index"]))


def entry_updated(column: str) -> Kind:
    """One column of one entry changed."""

    def kind(books: Books, chance: random.Random) -> Tampering | None:
        entry = chance.choice(books.entries())
        other = chance.choice(books.entries())
        values = {"digest": "f" * 64, "link": "e" * 64, "nodes": "d" * 64, "leaf_id": other["leaf_id"]}
        if values[column] == entry[column]:
            return None
        statements = [_set(log, {"index": entry["index"]}, {column: values[column]})]
        if column == "leaf_id":
            # A leaf stands in the log once; the other entry gets another one.
            statements.insert(0, _set(log, {"index": other["index"]}, {"leaf_id": uuid7()}))
        first = min(entry["index"], other["index"]) if column == "leaf_id" else entry["index"]
        return Tampering(f"entry.{column} updated", statements, _at(first))

    kind.__name__ = f"entry_{column}_updated"
    return kind


def entry_deleted(books: Books, chance: random.Random) -> Tampering:
    entry = chance.choice(books.entries()[:-1])
    return Tampering("entry deleted", [_gone(log, index=entry["index"])], _at(entry["index"]))


def tail_cut(books: Books, chance: random.Random) -> Tampering:
    """The newest entries, their leaves and all that was signed of them: as if they had never been."""
    entries = books.entries()
    size = chance.randrange(1, len(entries))
    gone = [entry for entry in entries if entry["index"] >= size]
    statements = [_gone(log, index=entry["index"]) for entry in gone]
    statements += [_gone(leaf, leaf_id=entry["leaf_id"]) for entry in gone]
    statements += [_gone(checkpoint, size=each["size"]) for each in books.of(checkpoint) if each["size"] > size]
    return Tampering("tail cut", statements, lambda found: found.kind == "tail_missing" and found.index == size)


def reordered(books: Books, chance: random.Random) -> Tampering:
    one, other = sorted(chance.sample(books.entries(), 2), key=lambda row: int(row["index"]))
    whole = chance.random() < 0.5
    names = ("leaf_id", "at", "sealed_at", "digest", "nodes", "link") if whole else ("leaf_id", "at", "digest")
    statements = [
        _set(log, {"index": one["index"]}, {"leaf_id": uuid7()}),
        _set(log, {"index": other["index"]}, {name: one[name] for name in names}),
        _set(log, {"index": one["index"]}, {name: other[name] for name in names}),
    ]
    return Tampering("reordered", statements, _at(one["index"]))


def rebuilt(books: Books, chance: random.Random) -> Tampering | None:
    """One value changed and everything after it computed anew: leaf, log, links, nodes. Only what was signed tells."""
    entries = books.entries()
    signed = max(each["size"] for each in books.of(checkpoint))
    entry = chance.choice(entries[:signed])
    stored = next(each for each in books.of(leaf) if each["leaf_id"] == entry["leaf_id"])
    header = json.loads(stored["header"])
    header["reason"] = "forged"
    text = canonical_json(header)
    pairs = [(name, each["c"]) for name, each in json.loads(stored["fields"]).items()]
    digest = leaf_digest(text, pairs)
    statements = [_set(leaf, {"leaf_id": stored["leaf_id"]}, {"header": text.decode(), "digest": digest})]
    peaks, link = Peaks(), bytes(32)
    for each in entries:
        kept = digest if each["index"] == entry["index"] else each["digest"]
        nodes = b"".join(peaks.append(bytes.fromhex(kept))).hex()
        link = next_link(link, bytes.fromhex(kept))
        values = {"digest": kept, "nodes": nodes, "link": link.hex()}
        statements.append(_set(log, {"index": each["index"]}, values))
    first = min(each["size"] for each in books.of(checkpoint) if each["size"] > entry["index"])
    if chance.random() < 0.5:
        # Also what was signed is taken away: then only the checkpoints outside are left.
        statements += [_gone(checkpoint, size=each["size"]) for each in books.of(checkpoint)]
    return Tampering("rebuilt", statements, lambda found: found.kind == "checkpoint_broken" and found.size == first)


def history_updated(books: Books, chance: random.Random) -> Tampering:
    table = books.made.tables.history("lot")
    row = chance.choice(books.of(table))
    column, value = chance.choice([("qty", row["qty"] + 1), ("supplier_lot", "forged"), ("updated_by", UUID(int=9))])
    if column == "updated_by":
        column, value = "row_version", row["row_version"] + 40
    change = _set(table, {"id": row["id"], "tx_from": row["tx_from"]}, {column: value})
    return Tampering(f"history.{column} updated", [change], _about(row["id"]))


def history_deleted(books: Books, chance: random.Random) -> Tampering:
    table = books.made.tables.history("lot")
    row = chance.choice(books.of(table))
    return Tampering("history deleted", [_gone(table, id=row["id"], tx_from=row["tx_from"])], _about(row["id"]))


def version_and_leaf_deleted(books: Books, chance: random.Random) -> Tampering | None:
    """Both books agree that a version never was; its number is missing all the same."""
    table = books.made.tables.history("lot")
    row = chance.choice(books.of(table))
    stored = next(
        (e for e in books.of(leaf) if (e["record_id"], e["row_version"]) == (row["id"], row["row_version"])), None
    )
    if stored is None:
        return None
    statements = [_gone(table, id=row["id"], tx_from=row["tx_from"]), _gone(leaf, leaf_id=stored["leaf_id"])]
    if any(each["leaf_id"] == stored["leaf_id"] for each in books.of(pending)):
        statements.append(_gone(pending, leaf_id=stored["leaf_id"]))
    where = _about(row["id"])
    index = next((each["index"] for each in books.entries() if each["leaf_id"] == stored["leaf_id"]), None)
    sealed = _at(-1 if index is None else index)
    return Tampering("version and leaf deleted", statements, lambda found: where(found) or sealed(found))


def current_updated(books: Books, chance: random.Random) -> Tampering:
    table = books.made.tables.current("lot")
    row = chance.choice(books.of(table))
    return Tampering("current updated", [_set(table, {"id": row["id"]}, {"qty": row["qty"] + 7})], _about(row["id"]))


def both_updated(books: Books, chance: random.Random) -> Tampering | None:
    """The present row and its version changed alike: only the leaf knows."""
    table, history = books.made.tables.current("lot"), books.made.tables.history("lot")
    row = chance.choice(books.of(table))
    newest = max((e for e in books.of(history) if e["id"] == row["id"]), key=lambda each: each["tx_from"])
    statements = [
        _set(table, {"id": row["id"]}, {"qty": row["qty"] + 7}),
        _set(history, {"id": row["id"], "tx_from": newest["tx_from"]}, {"qty": row["qty"] + 7}),
    ]
    return Tampering("current and history updated", statements, _about(row["id"], newest["row_version"]))


def queue_emptied(books: Books, chance: random.Random) -> Tampering | None:
    if not books.of(pending):
        return None
    row = chance.choice(books.of(pending))
    located = row["leaf_id"]
    return Tampering("queue emptied", [_gone(pending, leaf_id=located)], lambda found: found.leaf_id == located)


def unsealed_updated(books: Books, chance: random.Random) -> Tampering | None:
    waiting = {each["leaf_id"] for each in books.of(pending)}
    stored = chance.choice([each for each in books.of(leaf) if each["leaf_id"] in waiting] or [{}])
    if not stored:
        return None
    change = _set(leaf, {"leaf_id": stored["leaf_id"]}, {"action": "forged"})
    return Tampering("unsealed leaf updated", [change], lambda found: found.leaf_id == stored["leaf_id"])


def checkpoint_updated(books: Books, chance: random.Random) -> Tampering:
    row = chance.choice(books.of(checkpoint))
    column = chance.choice(["root", "note", "key"])
    note = row["note"][:-6] + ("A" if row["note"][-6] != "A" else "B") + row["note"][-5:]
    value = {"root": "a" * 64, "note": note, "key": "00000000"}[column]
    change = _set(checkpoint, {"size": row["size"]}, {column: value})
    return Tampering(f"checkpoint.{column} updated", [change], lambda found: found.size == row["size"])


def checkpoint_deleted(books: Books, chance: random.Random) -> Tampering:
    row = chance.choice(books.of(checkpoint))
    change = _gone(checkpoint, size=row["size"])
    return Tampering("checkpoint deleted", [change], lambda found: found.size == row["size"])


def leaf_invented(books: Books, chance: random.Random) -> Tampering:
    """A whole leaf about a version that never was, properly queued."""
    stored = chance.choice([each for each in books.of(leaf) if each["entity"] == "lot"])
    header = json.loads(stored["header"])
    fresh = uuid7()
    header.update(leaf_id=str(fresh), row_version=stored["row_version"] + 90)
    text = canonical_json(header)
    pairs = [(name, each["c"]) for name, each in json.loads(stored["fields"]).items()]
    row = {**stored, "leaf_id": fresh, "row_version": header["row_version"], "header": text.decode()}
    row["digest"] = leaf_digest(text, pairs)
    statements = [(sa.insert(leaf), row), (sa.insert(pending), {"leaf_id": fresh, "at": row["at"]})]
    return Tampering("leaf invented", statements, _about(stored["record_id"], header["row_version"]))


def link_changed(books: Books, chance: random.Random) -> Tampering | None:
    table = books.made.tables.link_history("lot", "parents")
    if not books.of(table):
        return None
    row = chance.choice(books.of(table))
    change = _gone(table, owner=row["owner"], target=row["target"], tx_from=row["tx_from"])
    return Tampering("link deleted", [change], _about(row["owner"]))


KINDS: tuple[Kind, ...] = (
    leaf_updated,
    leaf_deleted,
    leaf_replaced,
    value_redacted,
    *(entry_updated(column) for column in ("digest", "link", "nodes", "leaf_id")),
    entry_deleted,
    tail_cut,
    reordered,
    rebuilt,
    history_updated,
    history_deleted,
    version_and_leaf_deleted,
    current_updated,
    both_updated,
    queue_emptied,
    unsealed_updated,
    checkpoint_updated,
    checkpoint_deleted,
    leaf_invented,
    link_changed,
)
