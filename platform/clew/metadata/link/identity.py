"""`identity:` of clew.yaml, resolved: all that it names exists and is of the right kind."""

from __future__ import annotations

from collections.abc import Iterable

from clew.kernel.diagnostics import Place
from clew.metadata import rules
from clew.metadata.blueprint import Entity, Field, FieldKind
from clew.metadata.link.project import Linking
from clew.metadata.project import Assignments, Identity, People, Positions, Training
from clew.metadata.spec.identity import AssignmentsSpec, PeopleSpec, PositionsSpec, TrainingSpec
from clew.metadata.spec.others import ProjectSpec

_TEXT = (FieldKind.TEXT,)
_NAMES = (FieldKind.TEXT, FieldKind.CHOICE)
_REF = (FieldKind.REF,)
_DAY = (FieldKind.DATE, FieldKind.DATETIME)


def link_identity(linking: Linking) -> Identity | None:
    """What the project says about its people; None when it says nothing or nothing right."""
    found = linking.documents.get("project", ())
    if not found:
        return None
    document = found[0]
    assert isinstance(document.spec, ProjectSpec)
    spec = document.spec.identity
    if spec is None:
        return None
    place = document.at("identity")
    people = _people(linking, spec.people, place)
    if people is None:
        return None
    assignments = _assignments(linking, spec.assignments, place, people) if spec.assignments else None
    positions = _positions(linking, spec.positions, place, people) if spec.positions else None
    training = _training(linking, spec.training, place, people) if spec.training else None
    return Identity(people, assignments, positions, training)


def _people(linking: Linking, spec: PeopleSpec, place: Place) -> People | None:
    entity = _entity(linking, spec.entity, place, "identity.people")
    if entity is None:
        return None
    at = "identity.people"
    _field(linking, entity, spec.login, _TEXT, place, f"{at}.login")
    _field(linking, entity, spec.name, _TEXT, place, f"{at}.name")
    if spec.department:
        _field(linking, entity, spec.department, _REF, place, f"{at}.department")
    if spec.site:
        linking.walk(entity.name, spec.site, place, f"{at}.site")
    for way in spec.manager:
        found = linking.walk(entity.name, way, place, f"{at}.manager")
        if found is not None:
            _leads_to(linking, found, spec.entity, place, f"{at}.manager")
    _states(linking, entity, (*spec.away, *spec.left), place, at)
    return People(spec.entity, spec.login, spec.name, spec.department, spec.site, spec.away, spec.left, spec.manager)


def _assignments(linking: Linking, spec: AssignmentsSpec, place: Place, people: People) -> Assignments | None:
    at = "identity.assignments"
    entity = _entity(linking, spec.entity, place, at)
    if entity is None:
        return None
    _person(linking, entity, spec.person, people, place, f"{at}.person")
    role = linking.walk(entity.name, spec.role, place, f"{at}.role")
    if role is not None:
        _kind(linking, role, _NAMES, place, f"{at}.role")
    for key, name, kinds in (
        ("sites", spec.sites, _REF),
        ("families", spec.families, _NAMES),
        ("from", spec.from_, _DAY),
        ("to", spec.to, _DAY),
    ):
        if name:
            _field(linking, entity, name, kinds, place, f"{at}.{key}")
    if spec.delegator:
        _person(linking, entity, spec.delegator, people, place, f"{at}.delegator")
    _states(linking, entity, spec.active, place, at)
    return Assignments(
        spec.entity, spec.person, spec.role, spec.sites, spec.families, spec.from_, spec.to, spec.delegator, spec.active
    )


def _positions(linking: Linking, spec: PositionsSpec, place: Place, people: People) -> Positions | None:
    at = "identity.positions"
    entity = _entity(linking, spec.entity, place, at)
    if entity is None:
        return None
    holders = _field(linking, entity, spec.holders, (FieldKind.LINES,), place, f"{at}.holders")
    if holders is None:
        return None
    lines = linking.entities.get(holders.targets[0]) if holders.targets else None
    if lines is None:
        return None
    _person(linking, lines, spec.person, people, place, f"{at}.person")
    _field(linking, lines, spec.to, _DAY, place, f"{at}.to")
    if spec.from_:
        _field(linking, lines, spec.from_, _DAY, place, f"{at}.from")
    _field(linking, entity, spec.code, _NAMES, place, f"{at}.code")
    _states(linking, entity, spec.active, place, at)
    return Positions(spec.entity, lines.name, spec.person, spec.to, spec.from_, spec.code, spec.active)


def _training(linking: Linking, spec: TrainingSpec, place: Place, people: People) -> Training | None:
    at = "identity.training"
    entity = _entity(linking, spec.entity, place, at)
    if entity is None:
        return None
    _person(linking, entity, spec.person, people, place, f"{at}.person")
    _field(linking, entity, spec.course, _REF, place, f"{at}.course")
    if spec.to:
        _field(linking, entity, spec.to, _DAY, place, f"{at}.to")
    _states(linking, entity, spec.valid, place, at)
    return Training(spec.entity, spec.person, spec.course, spec.to, spec.valid)


def _entity(linking: Linking, name: str, place: Place, path: str) -> Entity | None:
    return linking.entities.get(name) if linking.known_entity(name, place, path) else None


def _field(
    linking: Linking, entity: Entity, name: str, kinds: tuple[FieldKind, ...], place: Place, path: str
) -> Field | None:
    found = entity.fields.get(name)
    if found is None:
        linking.unknown(rules.UNKNOWN_FIELD, place, name, entity.fields, path, entity=entity.name)
        return None
    return _kind(linking, found, kinds, place, path)


def _kind(linking: Linking, found: Field, kinds: tuple[FieldKind, ...], place: Place, path: str) -> Field | None:
    if found.kind in kinds:
        return found
    wanted = " / ".join(kind.value for kind in kinds)
    reason, reason_zh = f"it must be {wanted}", f"须为 {wanted}"
    linking.findings.add(rules.BAD_FIELD_USE, place, path=path, name=found.name, reason=reason, reason_zh=reason_zh)
    return None


def _person(linking: Linking, entity: Entity, name: str, people: People, place: Place, path: str) -> None:
    found = _field(linking, entity, name, _REF, place, path)
    if found is not None:
        _leads_to(linking, found, people.entity, place, path)


def _leads_to(linking: Linking, found: Field, entity: str, place: Place, path: str) -> None:
    if found.kind is not FieldKind.REF or found.targets != (entity,):
        linking.findings.add(
            rules.BAD_FIELD_USE,
            place,
            path=path,
            name=found.name,
            reason=f"it must lead to {entity}",
            reason_zh=f"须引用 {entity}",
        )


def _states(linking: Linking, entity: Entity, names: Iterable[str], place: Place, path: str) -> None:
    for name in names:
        if name not in entity.states:
            linking.unknown(rules.UNKNOWN_STATE, place, name, entity.states, path, entity=entity.name)
