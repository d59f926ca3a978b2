"""A decision step that asks a decision table: its inputs, the fields it fills in, where it goes on."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from clew.expressions.rewrite import both
from clew.expressions.tables import Table
from clew.expressions.tree import Base, Checked
from clew.kernel.text import Bilingual
from clew.metadata import rules, rules_process
from clew.metadata.link.actions import Actions
from clew.metadata.link.project import Linking
from clew.metadata.processes import ANY, STARTED, Action, Branch, Condition, Value
from clew.metadata.source import AnyNode, find
from clew.metadata.spec.words import text_of
from clew.metadata.spec.workflow import AskSpec, StepSpec

_UNDECIDED = Bilingual("决策表未涵盖该情形", "The decision table says nothing of this case")


def ask_table(
    linking: Linking,
    actions: Actions,
    step: StepSpec,
    spec: AskSpec,
    node: AnyNode,
    entity: str,
    names: list[str],
    where: str,
) -> dict[str, Any]:
    """What the step has of it; what is wrong is reported. A case the table says nothing of does not enter the step."""
    known = linking.decisions.get(spec.table)
    if known is None:
        place = find(node, "table").place
        linking.unknown(rules_process.UNKNOWN_TABLE, place, spec.table, linking.decisions, f"{where}.table")
        return {}
    table = known.table
    asked = _inputs(linking, actions, table, spec, node, entity, where)
    if asked is None:
        return {}

    def question(output: str) -> str:
        return f"decide('{table.name}', '{output}', {', '.join(f'({each.source})' for each in asked)})"

    found: dict[str, Any] = {"table": table, "asked": asked}
    check = actions.expressions.condition
    guard = check(f"{question(table.outputs[0].name)} != null", node, entity, where)
    if guard is None:
        return {}
    own = actions.expressions.condition(step.entry.when, node, entity, where) if step.entry is not None else None
    say = text_of(step.entry.say) if step.entry is not None else _UNDECIDED
    found["entry"] = Condition(guard if own is None else both(own, guard), say)
    values = _values(linking, actions, table, spec, node, entity, where, question)
    if values:
        setting = Action("set", node.place, entity, values=values)
        found["effects"] = MappingProxyType({STARTED: (setting,)})
    found["branches"] = _ways(linking, actions, table, spec, node, entity, names, where, question)
    return found


def _inputs(
    linking: Linking, actions: Actions, table: Table, spec: AskSpec, node: AnyNode, entity: str, where: str
) -> tuple[Checked, ...] | None:
    inputs = [each.name for each in table.inputs]
    for name in spec.with_:
        if name not in inputs:
            linking.unknown(rules_process.UNKNOWN_COLUMN, find(node, "with", name).place, name, inputs, f"{where}.with")
    found = []
    for each in table.inputs:
        given = spec.with_.get(each.name, each.name)
        text = str(given).lower() if isinstance(given, bool) else str(given)
        at = find(node, "with", each.name) if each.name in spec.with_ else find(node, "table")
        if each.axis.type.codes is not None and text in each.axis.type.codes and each.name in spec.with_:
            text = f"'{text}'"
        found.append(actions.expressions.check(text, at, entity, each.axis.type, f"{where}.with.{each.name}"))
    sure = tuple(each for each in found if each is not None)
    return sure if len(sure) == len(found) else None


def _values(
    linking: Linking,
    actions: Actions,
    table: Table,
    spec: AskSpec,
    node: AnyNode,
    entity: str,
    where: str,
    question: Any,
) -> tuple[tuple[str, Value], ...]:
    """The fields that take an output's value."""
    fields = linking.entities[entity].fields
    found = []
    for name, output in spec.set.items():
        at, path = find(node, "set", name), f"{where}.set.{name}"
        if name not in fields:
            linking.unknown(rules.UNKNOWN_FIELD, at.place, name, fields, path, entity=entity)
        elif table.output(output) is None:
            _unknown_output(linking, table, at, output, path)
        else:
            checked = actions.expressions.value(question(output), at, entity, fields[name], path)
            if checked is not None:
                found.append((name, Value("this", checked)))
    return tuple(found)


def _ways(
    linking: Linking,
    actions: Actions,
    table: Table,
    spec: AskSpec,
    node: AnyNode,
    entity: str,
    names: list[str],
    where: str,
    question: Any,
) -> tuple[Branch, ...]:
    """Where it goes on: by an output's value, or always the same way."""
    for value, target in spec.then.items():
        if target not in names:
            place = find(node, "then", value).place
            linking.unknown(rules_process.UNKNOWN_STEP, place, target, names, f"{where}.then")
    other = spec.then.get(ANY)
    if spec.by is None:
        if other is None or len(spec.then) > 1:
            linking.findings.add(rules_process.NO_WAY_ON, node.place, path=f"{where}.then", name=ANY)
        return (Branch(other),) if other is not None else ()
    at = table.output(spec.by)
    if at is None:
        _unknown_output(linking, table, find(node, "by"), spec.by, f"{where}.by")
        return ()
    type_ = table.result(at)
    values = ("true", "false") if type_.base is Base.BOOLEAN else type_.codes
    found = []
    for value, target in spec.then.items():
        if value == ANY:
            continue
        if values is not None and value not in values:
            place = find(node, "then", value).place
            linking.unknown(rules_process.UNKNOWN_OUTCOME, place, value, values, f"{where}.then")
            continue
        literal = value if type_.base is Base.BOOLEAN else f"'{value}'"
        when = actions.expressions.condition(f"{question(spec.by)} == {literal}", node, entity, where)
        found.append(Branch(target, when))
    missing = [each for each in values or ("…",) if each not in spec.then]
    if other is not None:
        found.append(Branch(other))
    elif missing:
        for name in missing:
            linking.findings.add(rules_process.NO_WAY_ON, node.place, path=f"{where}.then", name=name)
    return tuple(found)


def _unknown_output(linking: Linking, table: Table, node: AnyNode, name: str, path: str) -> None:
    linking.unknown(rules_process.UNKNOWN_COLUMN, node.place, name, [each.name for each in table.outputs], path)
