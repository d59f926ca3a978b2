"""What a scenario expects, against what is stored: the first thing that is not so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import FieldKind
from clew.process.alerts import Alerts
from clew.records.values import AnyRef, coerce
from clew.records.values import plain as plain_value
from clew.storage import process_tables, system
from clew.testing.scenarios.stage import Stage


@dataclass(frozen=True, slots=True)
class Expected:
    """One `then`."""

    stage: Stage
    then: Mapping[str, Any]

    async def wrong(self) -> Bilingual | None:
        """The first thing that is not so."""
        for name, state in self.then["state"].items():
            found = (await self._record(name))["state"]
            if found != state:
                return differs(f"{name}.state", state, found)
        for name, values in self.then["record"].items():
            wrong = await self._fields(name, values)
            if wrong is not None:
                return wrong
        for person, steps in self.then["tasks"].items():
            mine = sorted(each["step"].split("/")[-1] for each in await self.stage.office.tasks(person))
            wanted = sorted(each.rpartition(".")[2].split("/")[-1] for each in steps)
            if mine != wanted:
                return differs(f"tasks.{person}", ", ".join(wanted) or "–", ", ".join(mine) or "–")
        return await self._whole()

    async def _whole(self) -> Bilingual | None:
        process, rows = process_tables.process, []
        async with self.stage.runtime.database.read() as connection:
            query = sa.select(process.c.workflow, process.c.status, process.c.outcome).order_by(process.c.id)
            rows = [tuple(row) for row in await connection.fetch(query)]
            counts = {
                name: int(
                    await connection.fetch_value(
                        sa.select(sa.func.count()).select_from(self.stage.runtime.tables.current(name))
                    )
                    or 0
                )
                for name in self.then["count"]
            }
            leaf = system.leaf
            query = sa.select(leaf.c.entity, leaf.c.action).order_by(leaf.c.at, leaf.c.leaf_id)
            trail = [
                f"{entity}.{action.removeprefix('transition:')}" for entity, action in await connection.fetch(query)
            ]
        for name, outcome in self.then["ended"].items():
            ended = [str(each[2]) for each in rows if each[0] == name and each[1] in ("ended", "cancelled")]
            if outcome not in ended:
                return differs(f"ended.{name}", outcome, ", ".join(ended) or "–")
        for name, number in self.then["count"].items():
            if counts[name] != number:
                return differs(f"count.{name}", str(number), str(counts[name]))
        wrong = await self._alerts()
        if wrong is not None:
            return wrong
        left = list(trail)
        for action in self.then["trail"]:
            if action not in left:
                return differs("trail", action, ", ".join(left) or "–")
            left = left[left.index(action) + 1 :]
        return None

    async def _alerts(self) -> Bilingual | None:
        """The alerts that stand on records, looked at now as every hour does."""
        if not self.then["alerts"]:
            return None
        await Alerts(self.stage.runtime.processes).sweep()
        standing = process_tables.standing_alert
        for name, wanted in self.then["alerts"].items():
            mine = standing.c.record_id == self.stage.records[name][1], standing.c.ceased_at.is_(None)
            async with self.stage.runtime.database.read() as connection:
                rows = await connection.fetch(sa.select(standing.c.alert).where(*mine))
            found = sorted(str(each[0]) for each in rows)
            if found != sorted(wanted):
                return differs(f"alerts.{name}", ", ".join(sorted(wanted)) or "–", ", ".join(found) or "–")
        return None

    async def _record(self, name: str) -> dict[str, Any]:
        entity, record = self.stage.records[name]
        table = self.stage.runtime.tables.current(entity)
        async with self.stage.runtime.database.read() as connection:
            row = await connection.fetch_one(sa.select(table).where(table.c.id == record))
        assert row is not None
        return dict(zip(table.c.keys(), row, strict=True))

    async def _fields(self, name: str, values: Mapping[str, Any]) -> Bilingual | None:
        entity, record = self.stage.records[name]
        blueprint = self.stage.runtime.blueprint
        known, row = blueprint.entities[entity], await self._record(name)
        for key, value in values.items():
            field_ = known.fields[key]
            wanted: Any = self.stage.value(entity, key, value)
            if field_.kind is FieldKind.MANY:
                async with self.stage.runtime.database.read() as connection:
                    link = self.stage.runtime.tables.link(entity, key)
                    targets = await connection.fetch(sa.select(link.c.target).where(link.c.owner == record))
                found: Any = sorted(str(each[0]) for each in targets)
                wanted = sorted(map(str, wanted))
            elif field_.kind is FieldKind.ANY:
                found = row[f"{key}_id"]
                wanted = wanted.id if isinstance(wanted, AnyRef) else wanted
            elif field_.kind is FieldKind.MONEY:
                found = None if row[f"{key}_amount"] is None else f"{row[f'{key}_amount']} {row[f'{key}_currency']}"
            elif key not in row:
                return Bilingual(
                    f"{name}.{key} 由其他值算出,不存储,不能比较",
                    f"{name}.{key} is computed and not stored: compare what it is of",
                )
            else:
                found = row[key]
                if wanted is not None and not isinstance(wanted, UUID):
                    wanted = coerce(field_, wanted, [key], blueprint, self.stage.clock.now().date())
            if found != wanted:
                return differs(f"{name}.{key}", str(plain_value(wanted)), str(plain_value(found)))
        return None


def differs(what: str, wanted: str, found: str) -> Bilingual:
    return Bilingual(f"{what}:预期 {wanted},实际 {found}", f"{what}: expected {wanted}, found {found}")


__all__ = ["Expected", "differs"]
