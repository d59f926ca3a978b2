"""What must hold of a written record: rules, conditional requirements, ranges, chains, the caller's grant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from clew.kernel.errors import Forbidden
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Acyclic, Entity, Field, NoOverlap, RecordRule
from clew.records.errors import BackwardRange, Cycle, Missing, Overlap, RefusedUnseen, RuleBroken
from clew.records.explaining import explained
from clew.records.judge import in_memory
from clew.records.participants import Change
from clew.records.rows import Record
from clew.records.unseen import may_know, refusal
from clew.records.values import Path
from clew.storage.expressions import Rows, condition_sql

if TYPE_CHECKING:
    from clew.records.unit import Unit


UNSEEN_RULE = Bilingual(
    "有规则未满足,其依据的内容您无权查看。", "A rule that reads what you may not see does not hold."
)


async def broken_before(unit: Unit, entity: Entity, record: Record) -> frozenset[str]:
    """What a stored record lacks (`field:…`) and the rules it breaks: what no move that takes it out of use is
    refused for."""
    missing = [each for each in entity.fields.values() if each.stored and record.get(each.name) is None]
    sometimes = [each for each in missing if each.required_when is not None]
    conditions = [rule.condition for rule in entity.rules] + [x.required_when for x in sometimes if x.required_when]
    answers = await unit.judge.conditions(conditions, entity, record, record) if conditions else []
    rules = {rule.name for rule, holds in zip(entity.rules, answers, strict=False) if not holds}
    wanted = {each.name for each, asked in zip(sometimes, answers[len(entity.rules) :], strict=True) if asked}
    wanted |= {each.name for each in missing if each.required}
    return frozenset(rules | {f"field:{name}" for name in wanted})


async def check_rules_in_memory(
    unit: Unit, change: Change, record: Record, path: Path, before: frozenset[str] = frozenset()
) -> None:
    """Rules that the record alone decides, before anything is written: the cheap refusals first."""
    entity = change.entity
    for field in unit.engine.statements.of(entity.name).shape.sometimes_required:
        condition = field.required_when
        needed = record.get(field.name) is None and f"field:{field.name}" not in before
        if needed and condition is not None and unit.judge.decide(condition, entity, record, change.old):
            raise _missing(unit, change, field, path)
    for span in entity.no_overlaps:
        start, end = record.get(span.start), record.get(span.end)
        if start is not None and end is not None and end < start:
            labels = entity.fields[span.start].label, entity.fields[span.end].label
            raise BackwardRange(path=[*path, span.end], start=labels[0], end=labels[1])
    for rule in entity.rules:
        if in_memory(rule.condition, entity):
            answer = unit.judge.decide(rule.condition, entity, record, change.old)
            await _judge_rule(unit, change, rule, answer, path, told=rule.name in before)


async def check_rules_in_database(
    unit: Unit, change: Change, record: Record, path: Path, before: frozenset[str] = frozenset()
) -> None:
    """Rules that read other rows, all in one statement over what this transaction has written."""
    entity = change.entity
    if unit.engine.plain(entity):
        return
    rules = [rule for rule in entity.rules if not in_memory(rule.condition, entity)]
    fields = [
        field
        for field in entity.fields.values()
        if field.required_when is not None
        and record.get(field.name) is None
        and field.stored
        and not in_memory(field.required_when, entity)
    ]
    conditions = [rule.condition for rule in rules] + [each.required_when for each in fields if each.required_when]
    if not conditions:
        return
    answers = await unit.judge.conditions(conditions, entity, record, change.old)
    for field, answer in zip(fields, answers[len(rules) :], strict=True):
        if answer and f"field:{field.name}" not in before:
            raise _missing(unit, change, field, path)
    for rule, answer in zip(rules, answers, strict=False):
        await _judge_rule(unit, change, rule, answer, path, told=rule.name in before)


def _missing(unit: Unit, change: Change, field: Field, path: Path) -> Missing | RefusedUnseen:
    """A field that is demanded has a name only for who knows of it."""
    if unit.decision.on(change.entity.name).sees(field.name):
        return Missing(path=[*path, field.name], field=field.label)
    return refusal(unit, change.entity, change.id, field.name)


async def _judge_rule(
    unit: Unit, change: Change, rule: RecordRule, answer: bool | None, path: Path, *, told: bool = False
) -> None:
    """Refuses what breaks a rule; one that is only a warning, or was broken before (`told`), is reported. Who does not
    see all that it reads is told no more than that."""
    if unit.trace is not None and change.entity is unit.trace.entity and not rule.warn:
        unit.trace.note("rule", rule.name, bool(answer), "after", (rule.condition,), change.new)
    if answer:
        return
    seen = rule.openly or await may_know(unit, change.entity, change.new or {}, rule.condition)
    say = explained(rule.say, rule.condition, change, unit.today) if seen else UNSEEN_RULE
    if rule.warn or told:
        from clew.records.versions import Warned

        unit.warnings.append(Warned(rule.name if seen else "", change.entity.name, change.id, say))
        return
    if not seen:
        raise refusal(unit, change.entity, change.id, rule.name)
    at = [*path, rule.fields[0]] if rule.fields else path
    raise RuleBroken(path=at, say=say, rule=rule.name, fields=list(rule.fields))


async def check_structure(unit: Unit, entity: Entity, record: Record, changed: Sequence[str], path: Path) -> None:
    """Ranges that must not overlap and chains that must not close, when what they are made of has changed."""
    for overlap in entity.no_overlaps:
        used = {overlap.start, overlap.end, *overlap.per, "state", "voided_at"}
        if used & set(changed) or overlap.while_ is not None:
            await _no_overlap(unit, entity, overlap, record, path)
    for acyclic in entity.acyclics:
        target = acyclic.target.split(".")[0]
        if {target, acyclic.source.split(".")[0]} & set(changed) or acyclic.while_ is not None:
            await _acyclic(unit, entity, acyclic, record, path)


async def _no_overlap(unit: Unit, entity: Entity, rule: NoOverlap, record: Record, path: Path) -> None:
    if record.get("voided_at") is not None:
        return
    statement = unit.engine.remember(("overlap", entity.name, id(rule)), lambda: _overlap_statement(unit, entity, rule))
    if await unit.connection.fetch_value(statement, {**unit.person_args, "this_id": record["id"]}):
        labels = [entity.fields[name].label for name in rule.per]
        raise Overlap(
            path=[*path, rule.start],
            start=record.get(rule.start) or Bilingual("起始", "the beginning"),
            end=record.get(rule.end) or Bilingual("永久", "the end"),
            what=entity.label,
            per=Bilingual("、".join(each.to("zh") for each in labels), ", ".join(each.to("en") for each in labels)),
        )


def _overlap_statement(unit: Unit, entity: Entity, rule: NoOverlap) -> sa.Select[Any]:
    tables = unit.engine.tables
    one, other = tables.current(entity.name).alias("one"), tables.current(entity.name).alias("other")
    conditions: list[Any] = [
        one.c.id == sa.bindparam("this_id", type_=one.c.id.type),
        other.c.id != one.c.id,
        other.c.voided_at.is_(None) if "voided_at" in other.c else sa.true(),
    ]
    for name in rule.per:
        for key in _keys(one, name):
            conditions.append(sa.or_(one.c[key] == other.c[key], sa.and_(one.c[key].is_(None), other.c[key].is_(None))))
    for start, end in ((one, other), (other, one)):
        low, high = start.c[rule.start], end.c[rule.end]
        conditions.append(sa.or_(low.is_(None), high.is_(None), low <= high))
    if rule.while_ is not None:
        for side in (one, other):
            rows = Rows(tables, unit.engine.blueprint, entity.name, side, tables.dialect, None)
            conditions.append(condition_sql(rule.while_, rows))
    return sa.select(sa.func.count()).select_from(one.join(other, sa.true())).where(*conditions)


def _keys(table: Any, name: str) -> tuple[str, ...]:
    return (name,) if name in table.c else (f"{name}_entity", f"{name}_id")


async def _acyclic(unit: Unit, entity: Entity, rule: Acyclic, record: Record, path: Path) -> None:
    statement = unit.engine.remember(("acyclic", entity.name, id(rule)), lambda: _acyclic_statement(unit, entity, rule))
    if await unit.connection.fetch_value(statement, {**unit.person_args, "this_id": record["id"]}):
        name = rule.target.split(".")[0]
        raise Cycle(path=[*path, name], field=entity.fields[name].label, what=entity.label)


def _acyclic_statement(unit: Unit, entity: Entity, rule: Acyclic) -> sa.Select[Any]:
    """Is the written row's source reachable from its target? UNION (not ALL) ends even on a cycle that exists."""
    start = _edges(unit, entity, rule, "start")
    walk = sa.select(start.c.target.label("node")).where(start.c.row == sa.bindparam("this_id", type_=start.c.row.type))
    reached = walk.cte("reached", recursive=True)
    step = _edges(unit, entity, rule, "step")
    reached = reached.union(sa.select(step.c.target).where(step.c.source == reached.c.node, step.c.target.is_not(None)))
    origin = _edges(unit, entity, rule, "origin")
    return (
        sa.select(sa.func.count())
        .select_from(reached.join(origin, origin.c.source == reached.c.node))
        .where(origin.c.row == sa.bindparam("this_id", type_=origin.c.row.type))
    )


def _edges(unit: Unit, entity: Entity, rule: Acyclic, name: str) -> Any:
    """(row, source, target) of every record that takes part."""
    tables = unit.engine.tables
    table = tables.current(entity.name).alias(f"{name}_rows")
    source, target = _path(unit, entity, table, rule.source), _path(unit, entity, table, rule.target)
    conditions: list[Any] = [table.c.voided_at.is_(None)] if "voided_at" in table.c else []
    if rule.while_ is not None:
        rows = Rows(tables, unit.engine.blueprint, entity.name, table, tables.dialect, None)
        conditions.append(condition_sql(rule.while_, rows))
    return (
        sa.select(table.c.id.label("row"), source.label("source"), target.label("target"))
        .where(*conditions)
        .subquery(name)
    )


def _path(unit: Unit, entity: Entity, table: Any, path: str) -> Any:
    """A path over references as a column or nested scalar subqueries."""
    first, _, rest = path.partition(".")
    column = table.c[first]
    if not rest:
        return column
    target = unit.engine.blueprint.entities[entity.fields[first].target]
    far = unit.engine.tables.current(target.name).alias()
    return sa.select(_path(unit, target, far, rest)).where(far.c.id == column).scalar_subquery()


def forbid(entity: Entity, zh: str, en: str) -> Forbidden:
    return Forbidden(action=Bilingual(zh, en), what=entity.label)
