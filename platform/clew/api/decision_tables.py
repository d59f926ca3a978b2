"""Feature: decision tables: what there is, and what a table says of a case. Not for roles of outside parties."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLArgument, GraphQLField, GraphQLList, GraphQLObjectType

from clew.api import scalars
from clew.api.build import Build, Factory, required
from clew.api.decisions import chosen
from clew.api.operations import Call
from clew.expressions.cells import CellError, literal
from clew.expressions.tables import Table
from clew.kernel.errors import BadInput, NotFound
from clew.kernel.text import Bilingual, Locale
from clew.metadata.blueprint import Blueprint
from clew.metadata.decisions import DecisionTable
from clew.records.decisions.tables import answer
from clew.storage.engine import Connection

_WHAT = Bilingual("决策表", "decision table")


class BadTableInput(BadInput):
    """A value that is none of the input, or an input that the table does not have."""

    code = "TABLE_INPUT"
    en = "{field}: {why}."
    zh = "{field}:{why}。"


class DecisionTables:
    """`decisionTables` and `askTable`."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        if not build.blueprint.decisions:
            return
        yield "DecisionTable", lambda: GraphQLObjectType("DecisionTable", lambda: _table(build))
        yield "TableAnswer", lambda: GraphQLObjectType("TableAnswer", _answer(build))
        build.extend("Query", lambda: _queries(build))


def _queries(build: Build) -> dict[str, GraphQLField]:
    name, inputs = GraphQLArgument(required(scalars.TEXT.type)), GraphQLArgument(required(scalars.JSON.type))
    listed = build.say("项目的决策表", "The decision tables of the project")
    asked = build.say("决策表对一种情形的结论", "What a decision table says of a case")
    spec = TablesSpec(build.blueprint)
    return {
        "decisionTables": build.field(required(GraphQLList(required(build.type("DecisionTable")))), spec, listed),
        "askTable": build.field(required(build.type("TableAnswer")), spec, asked, {"table": name, "inputs": inputs}),
    }


@dataclass(frozen=True, slots=True)
class TablesSpec:
    """Tables of the release that is served."""

    blueprint: Blueprint

    async def answer(self, call: Call, connection: Connection) -> str:
        inside = _inside(self.blueprint, call)
        if call.selected.name == "decisionTables":
            known = self.blueprint.decisions.values() if inside else ()
            value: Any = [_shown(each, call.caller.context.locale) for each in known]
        else:
            found = self.blueprint.decisions.get(call.arguments["table"]) if inside else None
            if found is None:
                raise NotFound(what=_WHAT)
            value = answer(found.table, _given(found.table, call.arguments["inputs"]))
            value = {"rows": [], "outputs": None, "undecided": None, **value}
        return json.dumps(chosen(call, call.selected, value), ensure_ascii=False)


def _inside(blueprint: Blueprint, call: Call) -> bool:
    """Whether the caller has a role that is not for people of other companies."""
    if blueprint.policies is None:
        return True
    roles = [blueprint.policies.roles.get(each) for each in call.caller.context.person.roles]
    return any(each is not None and each.kind != "external" for each in roles)


def _given(table: Table, inputs: Any) -> list[Any]:
    """The inputs in the table's order. Raises BadTableInput."""
    given = inputs if isinstance(inputs, Mapping) else {}
    known = [each.name for each in table.inputs]
    for name in given:
        if name not in known:
            why = Bilingual(f"输入为 {'、'.join(known)}", f"the inputs are {', '.join(known)}")
            raise BadTableInput(path=["inputs", name], field=name, why=why)
    found: list[Any] = []
    for each in table.inputs:
        value = given.get(each.name)
        if value is None:
            found.append(None)
            continue
        try:
            found.append(literal(value, each.axis.type, each.axis.texts if each.axis.closed else None))
        except CellError as error:
            raise BadTableInput(path=["inputs", each.name], field=each.name, why=error.reason) from None
    return found


def _shown(known: DecisionTable, locale: Locale) -> dict[str, Any]:
    table = known.table
    return {
        "name": known.name,
        "label": known.label.to(locale),
        "help": known.help.to(locale) or None,
        "source": known.source or None,
        "version": known.version,
        "hit": table.hit.value,
        "inputs": [
            {"name": each.name, "type": str(each.axis.type), "codes": list(each.axis.type.codes or ()) or None}
            for each in table.inputs
        ],
        "outputs": [{"name": each.name, "type": str(each.type)} for each in table.outputs],
        "rows": len(table.rows),
    }


def _table(build: Build) -> dict[str, GraphQLField]:
    text, json_ = required(scalars.TEXT.type), required(scalars.JSON.type)
    members: dict[str, tuple[Any, str, str]] = {
        "name": (text, "名称", "Its name"),
        "label": (scalars.TEXT.type, "显示名称", "What people call it"),
        "help": (scalars.TEXT.type, "说明", "What it is for"),
        "source": (scalars.TEXT.type, "依据的文件", "The document it is taken from"),
        "version": (text, "版本:内容的摘要", "A digest over what it decides"),
        "hit": (text, "命中策略", "Hit policy"),
        "inputs": (json_, "输入列", "Its inputs"),
        "outputs": (json_, "输出列", "Its outputs"),
        "rows": (required(scalars.INT.type), "行数", "How many rows it has"),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}


def _answer(build: Build) -> dict[str, GraphQLField]:
    text, json_ = required(scalars.TEXT.type), scalars.JSON.type
    members: dict[str, tuple[Any, str, str]] = {
        "table": (text, "决策表", "The table"),
        "version": (text, "版本", "Its version"),
        "inputs": (required(json_), "所问的输入", "The inputs as they were taken"),
        "outputs": (json_, "输出;无法判定时为空", "The outputs; null when it cannot be decided"),
        "rows": (
            required(GraphQLList(required(scalars.INT.type))),
            "命中的行",
            "Rows that held; none: the default",
        ),
        "undecided": (scalars.TEXT.type, "无法判定的原因", "Why it cannot be decided"),
    }
    return {name: build.field(type_, None, build.say(zh, en)) for name, (type_, zh, en) in members.items()}
