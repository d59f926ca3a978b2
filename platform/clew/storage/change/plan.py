"""The plan: what a change will do to this database, reviewed before it is applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.canonical import digest
from clew.kernel.text import Bilingual, Locale, counted
from clew.metadata.blueprint import Blueprint
from clew.storage.catalog import Catalog
from clew.storage.change.definitions import DefinitionChange, definition_changes
from clew.storage.change.differences import Change, diff
from clew.storage.change.reflect import Found, as_made, drift, reflect
from clew.storage.change.script import script
from clew.storage.change.side import Side
from clew.storage.change.steps import Step, build_steps
from clew.storage.change.survey import Consequence, survey
from clew.storage.ddl import Ddl
from clew.storage.engine import Connection, Database, DialectName
from clew.storage.errors import Drift
from clew.storage.releases import Loader, Release, current_in, stored_blueprint
from clew.storage.schema import schema_of
from clew.storage.system import platform, release

FORMAT = 1
EMPTY_DATABASE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Plan:
    """A reviewed change, bound to one database in one state. `id` names exactly these steps on exactly that state."""

    id: str
    dialect: DialectName
    database_id: UUID
    base: int
    """The release number it starts from; 0 for an empty database."""
    base_digest: str
    blueprint_digest: str
    sources: Mapping[str, str]
    catalog: Catalog
    steps: tuple[Step, ...]
    consequences: tuple[Consequence, ...]
    definitions: tuple[DefinitionChange, ...] = ()
    """Processes, roles, separations and decision tables that are new, changed or gone."""
    settled: bool = True
    """False while the release it starts from still waits to tighten what its nodes must first have taken up: once it
    has, this plan is stale."""

    @property
    def empty(self) -> bool:
        """True when the database already serves exactly this."""
        return self.base_digest == self.blueprint_digest

    @property
    def needs(self) -> tuple[str, ...]:
        """The consents it needs, each naming its object."""
        return tuple(sorted({each.needs for each in self.consequences if each.needs}))

    @property
    def blocked(self) -> tuple[Consequence, ...]:
        return tuple(each for each in self.consequences if each.blocked)

    @property
    def safe(self) -> bool:
        """True when it can be applied without anybody's further word."""
        return not self.needs and not self.blocked

    def sql(self, at: datetime, load: Loader = stored_blueprint) -> str:
        """The statements for a database administrator (`script`); `at` stands for now in defaults that ask it."""
        blueprint = load(self.sources)
        return script(self.id, self.steps, blueprint, self.catalog, self.dialect, self.base, at)

    def text(self, locale: Locale) -> str:
        """What a person reviews."""
        zh = locale == "zh"
        if self.empty:
            return "没有变化。\n" if zh else "Nothing changes.\n"
        base = (
            (f"发布 {self.base}" if zh else f"release {self.base}")
            if self.base
            else ("空数据库" if zh else "an empty database")
        )
        lines = [f"计划 {self.id[:12]},基于{base}" if zh else f"Plan {self.id[:12]}, on {base}", ""]
        for each in self.consequences:
            lines.append(f"  {each.change.sign} {each.change.object}: {each.change.text.to(locale)}")
            if each.text:
                lines.append(f"      {each.text.to(locale)}")
            if each.needs:
                lines.append(f"      {'需要明确同意' if zh else 'needs your consent'}: --consent {each.needs}")
            if each.blocked:
                lines.append("      " + ("无法应用" if zh else "cannot be applied"))
        if not self.consequences:
            lines.append(
                "  不影响已存数据:仅名称、规则或其他定义有变化。"
                if zh
                else "  No stored data change: only labels, rules or other definitions do."
            )
        for definition in self.definitions:
            lines.append(f"  {definition.sign} {definition.text.to(locale)}: {definition.effect.to(locale)}")
        if any(each.kind in ("role", "separation", "process") for each in self.definitions):
            lines.append(
                "  谁因此得到或失去权限:clew access diff" if zh else "  Who gains or loses what: clew access diff"
            )
        steps = len(self.steps)
        lines += ["", f"{steps} 个步骤。" if zh else f"{counted(steps, 'step')}."]
        if not self.settled:
            lines.append(
                f"{base}尚在收尾;收尾后须重新制定计划(状态见 clew releases)。"
                if zh
                else f"{base.capitalize()} is still being completed; once it is, plan again (clew releases shows it)."
            )
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Versioned JSON: what `clew plan --json` prints and `clew apply` reads back."""
        return {
            "format": FORMAT,
            "id": self.id,
            "dialect": self.dialect,
            "database_id": str(self.database_id),
            "base": self.base,
            "base_digest": self.base_digest,
            "blueprint_digest": self.blueprint_digest,
            "empty": self.empty,
            "needs": list(self.needs),
            "changes": [_consequence_json(each) for each in self.consequences],
            "definitions": [each.to_json() for each in self.definitions],
            "settled": self.settled,
            "steps": [each.to_json() for each in self.steps],
            "catalog": self.catalog.to_json(),
            "sources": dict(self.sources),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """A plan out of its file. It is still checked against the database when applied."""
        return cls(
            data["id"],
            data["dialect"],
            UUID(data["database_id"]),
            data["base"],
            data["base_digest"],
            data["blueprint_digest"],
            dict(data["sources"]),
            Catalog.from_json(data["catalog"]),
            tuple(Step.from_json(each) for each in data["steps"]),
            tuple(_consequence_of(each) for each in data["changes"]),
            tuple(DefinitionChange.of(each) for each in data.get("definitions", ())),
            data.get("settled", True),
        )


async def plan(database: Database, blueprint: Blueprint, *, load: Loader = stored_blueprint) -> Plan:
    """What applying `blueprint` would do to `database`. Raises Drift when the tables are not what its release says.

    `load` compiles a stored source bundle: the other side of the comparison.
    """
    async with database.read() as connection:
        return await plan_in(connection, blueprint, load=load)


async def plan_in(connection: Connection, blueprint: Blueprint, *, load: Loader, count: bool = True) -> Plan:
    """As `plan`, on a connection of the caller's. `count=False` leaves the numbers out."""
    base = await current_in(connection)
    found = await reflect(connection)
    old = Side(load(base.sources), base.catalog) if base else None
    if old:
        expected = as_made(schema_of(old.blueprint, old.catalog, connection.dialect), found)
        differences = drift(expected, found, Ddl(connection.dialect))
        if differences:
            raise Drift(differences="; ".join(differences[:10]))
    database_id = await connection.fetch_value(sa.select(platform.c.database_id)) if base else EMPTY_DATABASE
    known = _with_strays(base.catalog if base else None, found)
    catalog = known.evolve(old.blueprint, blueprint, base.number) if old and base else Catalog.first(blueprint, known)
    new = Side(blueprint, catalog)
    number = await next_number(connection, base, found)
    steps = build_steps(old, new, found, connection.dialect, await connection.now(), number)
    consequences = (
        await survey(connection, diff(old.blueprint if old else None, blueprint), old, new, steps) if count else []
    )
    earlier = old.blueprint if old else None
    definitions = await definition_changes(connection, earlier, blueprint, found.tables) if count else []
    base_digest = base.blueprint_digest if base else ""
    identity = [
        str(database_id),
        base.number if base else 0,
        base_digest,
        blueprint.digest,
        [_shape(each) for each in steps],
        catalog.to_json(),
    ]
    return Plan(
        digest(identity),
        connection.dialect,
        database_id,
        base.number if base else 0,
        base_digest,
        blueprint.digest,
        blueprint.sources,
        catalog,
        steps,
        tuple(consequences),
        tuple(definitions),
        base is None or base.state == "settled",
    )


async def next_number(connection: Connection, base: Release | None, found: Found) -> int:
    """The number the next release gets."""
    if release.name not in found.tables:
        return 1
    highest = await connection.fetch_value(sa.select(sa.func.max(release.c.number)))
    return int(highest or 0) + 1


def _with_strays(catalog: Catalog | None, found: Found) -> Catalog:
    """The catalog with every name the database holds besides: left over or foreign, never to be given again."""
    present = catalog or Catalog({})
    known = {table for name in present.entities for table in present.tables_of(name)}
    aside = {table: set(columns) for table, columns in present.retired_columns.items()}
    for names in present.entities.values():
        extra = set(found.tables.get(names.table, ())) - set(names.columns.values())
        aside.setdefault(names.table, set()).update(extra)
    return Catalog(
        present.entities,
        present.retired_tables | {name for name in found.tables if name not in known and not name.startswith("clew_")},
        {table: frozenset(columns) for table, columns in aside.items() if columns},
    )


def _shape(step: Step) -> Any:
    """A step without what differs between two plannings of the same change: the months of new partitions."""
    shown = step.to_json()
    if "sql" in shown["work"]:
        shown["work"] = {"sql": [each for each in shown["work"]["sql"] if " PARTITION OF " not in each]}
    return shown


def _consequence_json(each: Consequence) -> dict[str, Any]:
    change = each.change
    return {
        "sign": change.sign,
        "kind": change.kind,
        "object": change.object,
        "entity": change.entity,
        "field": change.field,
        "was": change.was,
        "text": {"zh": change.text.zh, "en": change.text.en},
        "effect": {"zh": each.text.zh, "en": each.text.en},
        "counts": each.counts,
        "needs": each.needs,
        "blocked": each.blocked,
    }


def _consequence_of(data: Mapping[str, Any]) -> Consequence:
    change = Change(
        data["sign"],
        data["kind"],
        data["object"],
        Bilingual(**data["text"]),
        data["entity"],
        data["field"],
        data["was"],
        data["needs"],
    )
    return Consequence(change, dict(data["counts"]), Bilingual(**data["effect"]), data["needs"], data["blocked"])
