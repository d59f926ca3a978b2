"""Checks over the whole of the linked project: units, circles, clashing names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clew.expressions.tree import Member as Reached
from clew.expressions.tree import Name, Node, walk
from clew.kernel.diagnostics import Place
from clew.metadata import naming, rules
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.metadata.link.project import Linking

Member = tuple[str, str]
"""An entity and one of its fields."""


def check_units(linking: Linking) -> None:
    """A unit is a path to a record or text, a code of the list `unit`, or, without such a list, any code."""
    codes = linking.code_lists.get("unit")
    for entity in linking.entities.values():
        for name, draft in linking.drafts[entity.name].fields.items():
            unit = entity.fields[name].unit if name in entity.fields else None
            if unit is None:
                continue
            place, path = draft.at("unit"), f"fields.{name}.unit"
            if codes is not None and unit in codes.codes:
                continue
            if "." in unit or unit in entity.fields:
                linking.walk(entity.name, unit, place, path)
            elif codes is not None:
                linking.unknown(rules.UNKNOWN_UNIT, place, unit, [*codes.codes, *entity.fields], path)


def check_systems(linking: Linking) -> None:
    """An entity's system is a code of the list `system`, where the project has one."""
    codes = linking.code_lists.get("system")
    for draft in linking.drafts.values():
        system = draft.spec.system
        if codes is not None and system and system not in codes.codes and not draft.generated_by:
            linking.unknown(rules.UNKNOWN_CODE, draft.at("system"), system, codes.codes, "system", list="system")


def retention_fields(linking: Linking) -> None:
    """The day a retention counts from is a date or an instant of the record."""
    for entity in linking.entities.values():
        if entity.retention is None or entity.retention.after is None:
            continue
        name, place = entity.retention.after, linking.drafts[entity.name].at("retention", "after")
        field = entity.fields.get(name)
        if field is None:
            linking.unknown(rules.UNKNOWN_FIELD, place, name, entity.fields, "retention.after", entity=entity.name)
        elif field.kind not in (FieldKind.DATE, FieldKind.DATETIME):
            linking.findings.add(
                rules.BAD_FIELD_USE,
                place,
                path="retention.after",
                name=name,
                reason="it is neither a date nor an instant",
                reason_zh="它不是日期或时刻",
            )


def thread_fields(linking: Linking) -> None:
    """What a record follows from is named by its own references."""
    for entity in linking.entities.values():
        for at, name in enumerate(entity.thread):
            field, place = entity.fields.get(name), linking.drafts[entity.name].at("thread", at)
            if field is None:
                linking.unknown(rules.UNKNOWN_FIELD, place, name, entity.fields, "thread", entity=entity.name)
            elif field.kind not in (FieldKind.REF, FieldKind.ANY):
                linking.findings.add(
                    rules.BAD_FIELD_USE,
                    place,
                    path="thread",
                    name=name,
                    reason="it does not refer to one record",
                    reason_zh="它不是对单条记录的引用",
                )


def check_renames(linking: Linking) -> None:
    """An earlier name must be free, and only one thing can have come from it."""
    claimed: dict[str, str] = {}
    for entity in linking.entities.values():
        draft = linking.drafts[entity.name]
        earlier_name(linking, entity.name, entity.renamed_from, linking.entities, claimed, draft.at("renamed_from"))
        fields: dict[str, str] = {}
        for name, field in draft.fields.items():
            earlier_name(linking, name, field.spec.renamed_from, entity.fields, fields, field.at("renamed_from"))


def earlier_name(
    linking: Linking, name: str, old: Iterable[str], used: Iterable[str], claimed: dict[str, str], place: Place
) -> None:
    """Report an earlier name that is still `used`, or that another has `claimed` already."""
    for each in old:
        if each in used or claimed.setdefault(each, name) != name:
            linking.findings.add(rules.RENAMED_STILL_THERE, place, path="renamed_from", name=name, old=each)


def computed_cycles(linking: Linking) -> None:
    """Computed fields that need each other, also through references."""
    needs: dict[Member, list[Member]] = {}
    for entity in linking.entities.values():
        for field in entity.fields.values():
            if field.computed is not None:
                needs[entity.name, field.name] = [
                    step
                    for path in sorted(field.computed.reads)
                    for step in _steps(linking.entities, entity.name, path)
                ]
    for circle in _circles({member: [each for each in after if each in needs] for member, after in needs.items()}):
        entity_name, field_name = circle[0]
        place = linking.entities[entity_name].fields[field_name].place
        linking.findings.add(rules.COMPUTED_CYCLE, place, circle=_shown(circle))


def _steps(entities: Mapping[str, Entity], entity: str, path: tuple[str, ...]) -> Iterable[Member]:
    """Every field that a path reads on its way, with the entity it belongs to."""
    at = {entity}
    for name in path:
        following: set[str] = set()
        for each in sorted(at):
            known = entities.get(each)
            if known is None:
                continue
            if name in known.fields:
                yield each, name
                following |= set(known.fields[name].targets)
            elif name in known.inverses:
                following.add(known.inverses[name].source)
        at = following


def old_is_stored(linking: Linking) -> None:
    """Of the record before a change there is what its row held: not what is computed, nor lists of other records."""
    for entity in linking.entities.values():
        said = [(rule.condition, rule.place) for rule in entity.rules]
        for move in entity.transitions.values():
            said += [(each, move.place) for each in (move.when, *(value for _, value in move.sets)) if each is not None]
        for checked, place in said:
            named = {node.name for node in walk(checked.root) if isinstance(node, Reached) and _is_old(node.of)}
            if any((field := entity.fields.get(name)) is not None and not field.stored for name in named) or (
                named & entity.inverses.keys()
            ):
                linking.findings.add(rules.CONDITION_NOT_IN_SQL, place, source=checked.source)


def _is_old(node: Node) -> bool:
    return isinstance(node, Name) and node.name == "old"


def required_cycles(linking: Linking) -> None:
    """References that are required all around a circle: no first record could ever be written."""
    needs: dict[Member, list[Member]] = {}

    def required(entity: str) -> list[Member]:
        known = linking.entities.get(entity)
        return [(entity, field.name) for field in known.fields.values() if _needed(field)] if known else []

    for name in linking.entities:
        for member in required(name):
            field = linking.entities[name].fields[member[1]]
            needs[member] = required(field.target)
    for circle in _circles(needs):
        entity_name, field_name = circle[0]
        place = linking.entities[entity_name].fields[field_name].place
        linking.findings.add(rules.REQUIRED_CYCLE, place, circle=_shown(circle))


def _needed(field: Field) -> bool:
    return field.kind is FieldKind.REF and field.required and bool(field.targets)


def _shown(circle: list[Member]) -> str:
    return " → ".join(f"{entity}.{field}" for entity, field in (*circle, circle[0]))


def _circles(graph: Mapping[Member, list[Member]]) -> list[list[Member]]:
    """One circle for each group of members that reach each other, beginning at its least member. Iterative."""
    found: list[list[Member]] = []
    done: set[Member] = set()
    for start in sorted(graph):
        if start in done:
            continue
        path: list[Member] = []
        on_path: set[Member] = set()
        stack: list[tuple[Member, int]] = [(start, 0)]
        while stack:
            member, index = stack.pop()
            if index == 0:
                path.append(member)
                on_path.add(member)
                done.add(member)
            following = graph.get(member, [])
            if index < len(following):
                stack.append((member, index + 1))
                after = following[index]
                if after in on_path:
                    circle = path[path.index(after) :]
                    least = circle.index(min(circle))
                    found.append(circle[least:] + circle[:least])
                elif after not in done:
                    stack.append((after, 0))
            else:
                on_path.discard(path.pop())
    return found


def check_names(linking: Linking) -> None:
    """No two things may get the same name in GraphQL; a clash names both."""
    types: dict[str, tuple[str, Place]] = {}
    roots: dict[str, tuple[str, Place]] = {}
    mutations: dict[str, tuple[str, Place]] = {}
    for entity in linking.entities.values():
        for suffix in (*naming.ENTITY_TYPES, *(naming.STATE_TYPES if entity.states else ())):
            _claim_type(linking, types, naming.type_name(entity.name) + suffix, entity.name, entity.place)
        _claim(linking, roots, naming.one_query(entity.name), entity.name, entity.place)
        if entity.key:
            _claim(linking, roots, naming.key_query(entity.name, entity.key), entity.name, entity.place)
        _claim(linking, roots, naming.list_query(entity.plural), entity.plural, entity.place)
        for generated, name, place in _mutations(entity):
            _claim(linking, mutations, generated, name, place)
        members: dict[str, tuple[str, Place]] = {}
        for field in entity.fields.values():
            _claim(linking, members, naming.field_name(field.name), field.name, field.place)
        for back in entity.inverses.values():
            source = linking.entities[back.source].fields[back.field]
            _claim(linking, members, naming.field_name(back.name), f"{back.source}.{back.field}", source.place)
    for code_list in linking.code_lists.values():
        for generated in naming.code_types(code_list.name):
            _claim_type(linking, types, generated, code_list.name, code_list.place)


def _mutations(entity: Entity) -> Iterable[tuple[str, str, Place]]:
    """The mutations an entity brings: the name, what it comes from, where that stands."""
    name, place = entity.name, entity.place
    makers = (
        naming.create_mutation,
        naming.update_mutation,
        naming.void_mutation,
        naming.upsert_mutation,
        naming.correct_mutation,
    )
    yield from ((make(name), name, place) for make in makers)
    yield naming.bulk_mutation(entity.plural), entity.plural, place
    for move in entity.transitions.values():
        yield naming.transition_mutation(name, move.name), f"{name}.{move.name}", move.place


def _claim_type(linking: Linking, taken: dict[str, tuple[str, Place]], generated: str, name: str, place: Place) -> None:
    if generated in naming.SHARED_TYPES and name not in naming.RESERVED_TYPES:
        why, why_zh = f"It would bring {generated}, a type of the API.", f"它会产生接口自身的类型 {generated}。"
        linking.findings.add(rules.RESERVED_NAME, place, name=name, reason=why, reason_zh=why_zh)
    else:
        _claim(linking, taken, generated, name, place)


def _claim(linking: Linking, taken: dict[str, tuple[str, Place]], generated: str, name: str, place: Place) -> None:
    earlier = taken.setdefault(generated, (name, place))
    if earlier != (name, place):
        linking.findings.add(
            rules.NAME_CLASH, place, name=name, other=earlier[0], generated=generated, related=[earlier[1]]
        )
        linking.findings.add(
            rules.NAME_CLASH, earlier[1], name=earlier[0], other=name, generated=generated, related=[place]
        )
