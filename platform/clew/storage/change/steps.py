"""The physical steps from one schema to the next: expand, fill, swap, contract. Each is one transaction, or many small
ones that remember how far they came. A step is plain data, so that any node can finish what another began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from clew.expressions.tree import Literal as LiteralNode
from clew.kernel.scalars import to_wire
from clew.metadata.blueprint import Entity, Field
from clew.storage.catalog import EntityNames, fit
from clew.storage.change.reflect import Found, as_made
from clew.storage.change.renamed import renames
from clew.storage.change.side import Side
from clew.storage.ddl import Ddl
from clew.storage.engine import DialectName
from clew.storage.layout import earlier_entity, earlier_field, inherited, later_entity, same_column, slots_of
from clew.storage.schema import IndexShape, Schema, TableShape, schema_of

Phase = Literal["expand", "fill", "swap", "contract"]
StepKind = Literal["sql", "rebuild", "fill", "swap", "carry", "require"]


TABLES_PER_STEP = 24
"""New tables made in one transaction: few enough for PostgreSQL's lock table, many enough to be quick."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `work` holds all that is needed to do it."""

    phase: Phase
    kind: StepKind
    object: str
    work: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"phase": self.phase, "kind": self.kind, "object": self.object, "work": dict(self.work)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Step:
        return cls(data["phase"], data["kind"], data["object"], dict(data["work"]))


def build_steps(
    old: Side | None, new: Side, found: Found, dialect: DialectName, at: datetime, number: int
) -> tuple[Step, ...]:
    """The steps that make a database of release `old` serve `new`. `found` is what the database really holds."""
    return tuple(_Builder(old, new, found, dialect, at, number).all())


class _Builder:
    def __init__(
        self, old: Side | None, new: Side, found: Found, dialect: DialectName, at: datetime, number: int
    ) -> None:
        self._old, self._new, self._found, self._dialect = old, new, found, dialect
        self._ddl, self._at, self._number = Ddl(dialect), at, number
        self._before: Schema = as_made(schema_of(old.blueprint, old.catalog, dialect), found) if old else {}
        self._after: Schema = schema_of(new.blueprint, new.catalog, dialect)
        self._gone = tuple(self._gone_indexes())

    def all(self) -> Iterator[Step]:
        created = [each for name, each in self._after.items() if name not in self._found.tables]
        changed = [each for name, each in self._after.items() if name in self._found.tables]
        yield from self._create(created)
        for shape in changed:
            yield from self._expand(shape)
        fills = list(self._fills())
        yield from fills
        for shape in changed:
            yield from self._new_indexes(shape)
        yield from self._old_uniques()
        # What was converted while servers of the earlier release still wrote is gone over again once they have stopped.
        converts = [dict(each.work) for each in fills if _converts(each)]
        renamed = renames(self._old, self._new) if self._old else {}
        work = {"alone": bool(converts or renamed), "again": converts, "renamed": renamed}
        yield Step("swap", "swap", f"release {self._number}", work)
        for shape in changed:
            yield from self._contract(shape, fills)
        for each in fills:
            if each.work["mode"] in ("sort", "grams"):
                yield Step("contract", "fill", each.object, {**each.work, "again": True})
        yield from self._set_aside()

    # -- expand

    def _create(self, created: list[TableShape]) -> Iterator[Step]:
        embedded = self._dialect == "sqlite"
        for at in range(0, len(created), TABLES_PER_STEP):
            some = created[at : at + TABLES_PER_STEP]
            statements = [one for shape in some for one in self._ddl.create_table(shape, self._at, references=embedded)]
            yield Step("expand", "sql", ", ".join(shape.name for shape in some), {"sql": statements})
        references = [one for shape in ([] if embedded else created) for one in self._ddl.foreign_keys(shape)]
        if references:
            yield Step("expand", "sql", "references", {"sql": references})

    def _expand(self, shape: TableShape) -> Iterator[Step]:
        present = self._found.tables[shape.name]
        statements: list[str] = []
        for column in shape.columns:
            if column.name not in present:
                statements.append(self._ddl.add_column(shape.name, column))
                if column.references and self._dialect == "postgresql":
                    statements.append(self._ddl.add_reference(shape.name, column))
        if statements:
            yield Step("expand", "sql", shape.name, {"sql": statements})
        if shape.kind != "current":
            return
        wanted = {column.name: column.required for column in shape.columns}
        relax = [name for name, each in present.items() if each.required and not wanted.get(name, False)]
        if relax:
            yield self._nullability(shape.name, "expand", optional=relax)

    def _nullability(self, table: str, phase: Phase, *, optional: list[str]) -> Step:
        if self._dialect == "sqlite":
            return Step(phase, "rebuild", table, {"table": table, "optional": optional, "required": []})
        return Step(
            phase, "sql", table, {"sql": [self._ddl.set_required(table, name, required=False) for name in optional]}
        )

    def _new_indexes(self, shape: TableShape) -> Iterator[Step]:
        for index in shape.indexes:
            if index.name not in self._found.indexes:
                yield Step("fill", "sql", index.name, {"sql": [self._ddl.create_index(index)]})

    def _old_uniques(self) -> Iterator[Step]:
        """Uniqueness the new release no longer wants would refuse its first rows, so it goes just before the swap."""
        for index in self._gone:
            if index.unique:
                yield Step("fill", "sql", index.name, {"sql": [self._ddl.drop_index(index.name)]})

    def _gone_indexes(self) -> Iterator[IndexShape]:
        """Indexes of tables that stay, which the new release no longer wants."""
        for name, shape in self._before.items():
            after = self._after.get(name)
            kept = {each.name for each in after.indexes} if after else set()
            if after:
                yield from (each for each in shape.indexes if each.name not in kept)

    # -- fill

    def _fills(self) -> Iterator[Step]:
        for entity in self._new.blueprint.entities.values():
            was = earlier_entity(entity, self._old.blueprint, self._new.blueprint) if self._old else None
            if was is None or self._new.catalog.entities[entity.name].table not in self._found.tables:
                continue
            for field in entity.fields.values():
                yield from self._field_fills(was, entity, field)

    def _field_fills(self, was: Entity, entity: Entity, field: Field) -> Iterator[Step]:
        assert self._old is not None
        names, old_names = self._new.catalog.entities[entity.name], self._old.catalog.entities[was.name]
        before = earlier_field(field, was, entity)
        sources = inherited(before, field, self._old.blueprint, self._new.blueprint)
        place = f"{entity.name}.{field.name}"
        base = {
            "table": names.table,
            "history": names.history,
            "id": names.columns["id"],
            "entity": entity.name,
            "field": field.name,
            "sources": {},
        }

        def fill(target: str, form: str, mode: str, **more: Any) -> Step:
            return Step("fill", "fill", place, {**base, "target": target, "form": form, "mode": mode, **more})

        for at, slot in enumerate(slots_of(field)):
            column = names.columns[slot.key]
            source = sources.get(slot.key)
            if slot.key == f"{field.name}__sort":
                if column not in old_names.columns.values():
                    yield fill(column, "text", "sort", sources={"from": [names.columns[field.name], "text"]})
            elif source is not None and not same_column(source, slot):
                origin = {"from": [old_names.columns[source.key], source.form]}
                if slot.form == "entity" and before is not None:
                    points_at = later_entity(before.target, self._old.blueprint, self._new.blueprint)
                    yield fill(column, slot.form, "convert", sources=origin, points_at=points_at)
                else:
                    yield fill(column, slot.form, "convert", sources=origin)
            elif at == 0 and field.required and (before is None or not before.required):
                constant = constant_default(field)
                if constant is not None:
                    yield fill(column, slot.form, "constant", value=to_wire(constant))
                elif computable_default(field, entity):
                    yield fill(column, slot.form, "expression", sources=_facts(field, entity, names))
        carried = before is not None and before.search and names.columns[field.name] in old_names.columns.values()
        if field.search and not carried:
            text = [names.columns[field.name], slots_of(field)[0].form]
            yield fill(names.gram, "text", "grams", sources={"from": text})

    # -- contract

    def _contract(self, shape: TableShape, fills: list[Step]) -> Iterator[Step]:
        present = self._found.tables[shape.name]
        if shape.kind == "current":
            fresh = [each.name for each in shape.columns if each.name not in present]
            loose = [each.name for each in shape.columns if each.required and not _required(present.get(each.name))]
            if loose or fresh:
                yield self._carry(shape, fresh, [name for name in loose if name in fresh])
            if loose:
                work = {
                    "table": shape.name,
                    "columns": loose,
                    "fills": [dict(each.work) for each in fills if each.work["table"] == shape.name and _refills(each)],
                }
                yield Step("contract", "require", shape.name, work)
        for index in self._gone:
            if index.table == shape.name and not index.unique:
                yield Step("contract", "sql", index.name, {"sql": [self._ddl.drop_index(index.name)]})

    def _carry(self, shape: TableShape, fresh: list[str], never_empty: list[str]) -> Step:
        names = self._new.catalog.entities[shape.entity]
        work = {
            "table": names.table,
            "history": names.history,
            "id": names.columns["id"],
            "columns": fresh,
            "never_empty": never_empty,
        }
        return Step("contract", "carry", shape.name, work)

    def _set_aside(self) -> Iterator[Step]:
        taken = set(self._found.tables)
        for name in self._before:
            if name not in self._after and name in self._found.tables:
                aside = fit(f"zz_{self._number}_{name}", 52, taken)
                taken.add(aside)
                yield Step("contract", "sql", name, {"sql": [self._ddl.rename_table(name, aside)]})


def constant_default(field: Field) -> Any:
    """The default's value when it is a plain constant, otherwise None."""
    if field.default is not None and isinstance(field.default.root, LiteralNode):
        return field.default.root.value
    return None


def computable_default(field: Field, entity: Entity) -> bool:
    """True when the default can be worked out for a row that exists, from that row alone."""
    default = field.default
    return (
        default is not None
        and default.local
        and default.uses <= {"now", "today"}
        and all(path[0] in entity.fields and entity.fields[path[0]].stored for path in default.reads)
    )


def _facts(field: Field, entity: Entity, names: EntityNames) -> dict[str, list[str]]:
    assert field.default is not None
    read = sorted({path[0] for path in field.default.reads} - {"id"})
    slots = {slot.key: slot for name in read for slot in slots_of(entity.fields[name])}
    return {name: [names.columns[name], slots[name].form] for name in read if name in slots}


def _refills(step: Step) -> bool:
    return step.work["mode"] in ("constant", "expression", "convert")


def _required(found: Any) -> bool:
    return found is not None and bool(found.required)


def _converts(step: Step) -> bool:
    return step.work.get("mode") == "convert"
