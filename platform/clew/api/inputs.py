"""Feature: input types of mutations, and how a given input becomes what `records.commands` takes.

Only what the caller may write is generated: computed fields, the envelope, states and numbers have no place in an
input, so they cannot be assigned by it (threat 20).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from graphql import GraphQLInputField, GraphQLInputObjectType, GraphQLList

from clew.access.decision import FieldAccess
from clew.api import scalars
from clew.api.build import Build, Factory, entity_type, required
from clew.api.leaves import scalar_type
from clew.kernel.errors import BadInput
from clew.kernel.text import Bilingual
from clew.metadata import naming
from clew.metadata.blueprint import Blueprint, Entity, Field, FieldKind
from clew.records.intake import writable

CREATE, UPDATE, LINE_UPDATE, LINES = "CreateInput", "UpdateInput", "ChangeInput", "ChangesInput"


def input_fields(build: Build, entity: Entity, *, creating: bool) -> list[Field]:
    """The fields of an entity that the caller may give."""
    return list(_input_fields(build, entity, creating=creating))


def takes_input(build: Build, entity: Entity, *, creating: bool) -> bool:
    """Whether the caller may give any field at all: the first one tells, so few are asked about."""
    return next(_input_fields(build, entity, creating=creating), None) is not None


def _input_fields(build: Build, entity: Entity, *, creating: bool) -> Iterator[Field]:
    access = build.access(entity.name)
    for field in entity.fields.values():
        if _writable(entity, field, creating=creating):
            known = access.fields.get(field.name)
            if known is not None and _given(entity, known, creating=creating) and _typed(build, field):
                yield field


def filled_fields(build: Build, entity: Entity, names: Iterable[str]) -> list[Field]:
    """Those of an entity's fields that a step of a process may ask the caller for: that exist for them at all."""
    access = build.access(entity.name)
    return [
        field
        for field in (entity.fields[name] for name in names if name in entity.fields)
        if _writable(entity, field, creating=False)
        and (known := access.fields.get(field.name)) is not None
        and (known.read.allowed or _given(entity, known, creating=False))
        and _typed(build, field)
    ]


def _writable(entity: Entity, field: Field, *, creating: bool) -> bool:
    """Whether anybody may ever give the field."""
    if not creating and field.immutable and field.required:
        return False
    return writable(entity, field.name, creating=creating, foreign=False)


def _typed(build: Build, field: Field) -> bool:
    """Whether the caller's view has a type for the field."""
    if field.kind in (FieldKind.REF, FieldKind.MANY, FieldKind.ANY):
        return bool(build.targets(field))
    return field.kind is not FieldKind.LINES or _has_lines(build, build.blueprint.entities[field.target])


def _has_lines(build: Build, line: Entity) -> bool:
    """Whether anything of a line can be given: else there is no type to give it in."""
    reached = build.sees_entity(line.name) or build.access(line.name).create.allowed
    return reached and takes_input(build, line, creating=True)


def _given(entity: Entity, access: FieldAccess, *, creating: bool) -> bool:
    """Whether the field can ever be given. A line is written with its owner, whatever is done to that."""
    verbs = ("create", "update", "correct") if entity.part_of else ("create",) if creating else ("update", "correct")
    return any(access.giving(verb).allowed for verb in verbs)


class Inputs:
    """`LotCreateInput`, `LotUpdateInput`, inputs of lines and links, of money, files and polymorphic references."""

    def types(self, build: Build) -> Iterable[tuple[str, Factory]]:
        texts = {"zh": scalars.TEXT, "en": scalars.TEXT}
        yield "TranslatedInput", _object(build, "TranslatedInput", texts)
        money = {"amount": scalars.DECIMAL, "currency": scalars.TEXT}
        yield "MoneyInput", _object(build, "MoneyInput", money, needed=frozenset(money))
        file = {"name": scalars.TEXT, "sha256": scalars.TEXT, "size": scalars.INT, "mediaType": scalars.TEXT}
        yield "FileInput", _object(build, "FileInput", file, needed=frozenset({"name", "sha256"}))
        yield "LinksInput", lambda: _links(build)
        for entity in build.blueprint.entities.values():
            if entity.derived or not (build.sees_entity(entity.name) or build.access(entity.name).create.allowed):
                continue
            yield from _entity_inputs(build, entity)


def _entity_inputs(build: Build, entity: Entity) -> Iterable[tuple[str, Factory]]:
    for suffix, creating in ((CREATE, True), (UPDATE, False)):
        if takes_input(build, entity, creating=creating):
            yield entity_type(entity.name, suffix), _input(build, entity, suffix, creating=creating)
    if entity.part_of is not None:
        yield entity_type(entity.name, LINE_UPDATE), _input(build, entity, LINE_UPDATE, creating=False)
        yield entity_type(entity.name, LINES), _lines(build, entity)
    for field in entity.fields.values():
        if field.kind is FieldKind.ANY:
            yield target_input(entity, field), _target(build, entity, field)


def target_input(entity: Entity, field: Field) -> str:
    """`NonconformanceSubjectTargetInput`."""
    return entity_type(entity.name, naming.type_name(field.name) + "TargetInput")


def _object(
    build: Build, name: str, members: Mapping[str, scalars.Scalar], needed: frozenset[str] = frozenset()
) -> Callable[[], GraphQLInputObjectType]:
    return lambda: GraphQLInputObjectType(
        name,
        {key: build.input(required(each.type) if key in needed else each.type) for key, each in members.items()},
    )


def _links(build: Build) -> GraphQLInputObjectType:
    ids = GraphQLList(required(scalars.ID.type))
    texts = {
        "set": build.say("全部,取代原有的", "All of them, in place of what there was"),
        "add": build.say("新增", "These come"),
        "remove": build.say("移除", "These go"),
    }
    return GraphQLInputObjectType("LinksInput", {key: build.input(ids, None, text) for key, text in texts.items()})


def _input(build: Build, entity: Entity, suffix: str, *, creating: bool) -> Callable[[], GraphQLInputObjectType]:
    def fields() -> dict[str, GraphQLInputField]:
        found: dict[str, GraphQLInputField] = {}
        if suffix == LINE_UPDATE:
            found["id"] = build.input(required(scalars.ID.type))
        for field in input_fields(build, entity, creating=creating):
            type_ = input_type(build, entity, field, creating=creating)
            if creating and _must_be_given(field):
                type_ = required(type_)
            found[naming.field_name(field.name)] = build.input(type_, field.name, build.text(field.help, field.label))
        return found

    return lambda: GraphQLInputObjectType(
        entity_type(entity.name, suffix), fields, description=build.text(entity.label)
    )


def _must_be_given(field: Field) -> bool:
    return field.required and field.default is None and field.name != "site"


def input_type(build: Build, entity: Entity, field: Field, *, creating: bool) -> Any:
    """How a field is given. KeyError when the caller's view lacks what it consists of."""
    match field.kind:
        case FieldKind.REF:
            return scalars.ID.type
        case FieldKind.ANY:
            return build.type(target_input(entity, field))
        case FieldKind.MANY:
            return GraphQLList(required(scalars.ID.type)) if creating else build.type("LinksInput")
        case FieldKind.LINES:
            line = entity_type(field.target, CREATE)
            return GraphQLList(required(build.type(line))) if creating else build.type(entity_type(field.target, LINES))
        case FieldKind.MONEY:
            return build.type("MoneyInput")
        case FieldKind.TRANSLATED:
            return build.type("TranslatedInput")
        case FieldKind.FILES:
            return GraphQLList(required(build.type("FileInput")))
        case FieldKind.CHOICES:
            return GraphQLList(required(scalar_type(build, entity, field)))
        case _:
            return scalar_type(build, entity, field)


def _lines(build: Build, entity: Entity) -> Callable[[], GraphQLInputObjectType]:
    def fields() -> dict[str, GraphQLInputField]:
        new = GraphQLList(required(build.type(entity_type(entity.name, CREATE))))
        changed = GraphQLList(required(build.type(entity_type(entity.name, LINE_UPDATE))))
        return {
            "set": build.input(
                new, None, build.say("全部行;按业务键对应原有的行", "All lines; matched with present ones by their key")
            ),
            "add": build.input(new, None, build.say("新增的行", "Lines that come")),
            "update": build.input(changed, None, build.say("修改的行", "Lines that change")),
            "remove": build.input(GraphQLList(required(scalars.ID.type)), None, build.say("移除的行", "Lines that go")),
        }

    return lambda: GraphQLInputObjectType(entity_type(entity.name, LINES), fields, description=build.text(entity.label))


def _target(build: Build, entity: Entity, field: Field) -> Callable[[], GraphQLInputObjectType]:
    def fields() -> dict[str, GraphQLInputField]:
        return {naming.field_name(each): build.input(scalars.ID.type, each) for each in build.targets(field)}

    text = build.say("恰好填写其中一项", "Give exactly one")
    return lambda: GraphQLInputObjectType(target_input(entity, field), fields, description=text)


# ── from the API's names to the blueprint's ───────────────────────────────────────────────────────────────────────


def api_names(entity: Entity) -> dict[str, str]:
    """Field names by what the API calls them."""
    return {naming.field_name(name): name for name in entity.fields}


def given_record(
    blueprint: Blueprint, entity: Entity, given: Mapping[str, Any], names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """An input object as `records.commands` takes it. `names`: those of the entity, for whoever asks often."""
    names = api_names(entity) if names is None else names
    found: dict[str, Any] = {}
    for api, value in given.items():
        name = names.get(api, api)
        field = entity.fields.get(name)
        wide = field is not None and field.kind in _WIDE and value is not None
        found[name] = _value(blueprint, entity, name, value) if wide else value
    return found


_WIDE = frozenset({FieldKind.LINES, FieldKind.MANY, FieldKind.ANY, FieldKind.FILES})
"""Kinds that are given in another form than commands take."""


def _value(blueprint: Blueprint, entity: Entity, name: str, value: Any) -> Any:
    field = entity.fields.get(name)
    if field is None or value is None:
        return value
    if field.kind is FieldKind.LINES:
        return _given_lines(blueprint, blueprint.entities[field.target], value, name)
    if field.kind is FieldKind.MANY and isinstance(value, Mapping):
        return _one_way(value, name)
    if field.kind is FieldKind.ANY and isinstance(value, Mapping):
        chosen = {api: each for api, each in value.items() if each is not None}
        if len(chosen) != 1:
            what = Bilingual("恰好填写其中一项。", "Give exactly one of them.")
            raise BadInput(path=["input", name], what=what)
        [(api, target)] = chosen.items()
        entities = {naming.field_name(each): each for each in field.targets}
        if api not in entities:
            raise BadInput(path=["input", name, str(api)], what=Bilingual("没有该项。", "There is no such one."))
        return {"entity": entities[api], "id": target}
    if field.kind is FieldKind.FILES and isinstance(value, list):
        return [
            {_FILE.get(key, key): item for key, item in each.items()} if isinstance(each, Mapping) else each
            for each in value
        ]
    return value


_FILE = {"mediaType": "media_type"}


def _given_lines(blueprint: Blueprint, line: Entity, value: Any, name: str) -> Any:
    def many(items: Any) -> Any:
        # What is no list of objects is refused where it is written: with `input` as JSON no schema has looked at it.
        if not isinstance(items, list):
            return items
        return [given_record(blueprint, line, each) if isinstance(each, Mapping) else each for each in items]

    if not isinstance(value, Mapping):
        return many(value)
    way = _one_way(value, name)
    if not isinstance(way, Mapping):
        return many(way)
    return {key: many(items) if key != "remove" else items for key, items in way.items()}


def _one_way(value: Mapping[str, Any], name: str) -> Any:
    """`set` alone is the whole list; otherwise what comes, changes and goes."""
    given = {key: each for key, each in value.items() if each is not None}
    if "set" not in given:
        return given
    if len(given) > 1:
        what = Bilingual("set 不能与其他项同时使用。", "`set` stands alone.")
        raise BadInput(path=["input", name, "set"], what=what)
    return given["set"]
