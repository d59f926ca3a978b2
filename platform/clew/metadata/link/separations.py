"""Separations of duties: groups of roles that exclude each other, duties that exclude each other on one record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from clew.kernel.diagnostics import Place
from clew.kernel.scalars import parse_date
from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.documents import Document
from clew.metadata.link.active import active_clause, named_sites
from clew.metadata.link.checks import earlier_name
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.naming import human
from clew.metadata.policies import Duty, Role, Separation
from clew.metadata.source import AnyNode, ListNode, find, place_of
from clew.metadata.spec.permissions import DutySpec, SeparationSpec
from clew.metadata.spec.words import text_of

VERBS = ("create", "update", "void", "correct")
_WAYS = frozenset({FieldKind.REF, FieldKind.MANY, FieldKind.LINES})


def link_separations(
    linking: Linking, expressions: Expressions, documents: Iterable[Document], roles: Mapping[str, Role]
) -> dict[str, Separation]:
    """All separations by name; a role that is in two groups of one by itself is a finding."""
    found: dict[str, Separation] = {}
    claimed: dict[str, str] = {}
    given = tuple(documents)
    for document in given:
        separation = _separation(linking, expressions, document, roles)
        used = [each.name for each in given]
        earlier_name(linking, document.name, separation.renamed_from, used, claimed, document.at("renamed_from"))
        earlier = found.setdefault(separation.name, separation)
        if earlier is not separation:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                separation.place,
                kind="separations",
                kind_zh="职责分离",
                name=separation.name,
                related=[earlier.place],
            )
        for role in roles.values():
            held = [group for group in separation.groups if group & set(role.lineage)]
            if len(held) > 1:
                linking.findings.add(
                    rules.ROLE_SEPARATED,
                    role.place,
                    name=role.name,
                    separation=separation.name,
                    related=[separation.place],
                )
    return dict(sorted(found.items()))


def _separation(
    linking: Linking, expressions: Expressions, document: Document, roles: Mapping[str, Role]
) -> Separation:
    spec = document.spec
    assert isinstance(spec, SeparationSpec)
    if len(spec.roles) < 2 and len(spec.duties) < 2:
        linking.findings.add(rules.SEPARATES_NOTHING, document.place, name=document.name)
    groups = []
    for at, group in enumerate(spec.roles):
        for index, name in enumerate(group):
            if name not in roles:
                node = find(document.node, "roles", at)
                place = place_of(node, index) if isinstance(node, ListNode) else node.place
                linking.unknown(rules.UNKNOWN_ROLE, place, name, roles, f"roles.{at}")
        groups.append(frozenset(name for name in group if name in roles))
    duties = [
        duty
        for name, each in spec.duties.items()
        for at, one in enumerate(each)
        if (duty := _duty(linking, name, one, find(document.node, "duties", name, at))) is not None
    ]
    subjects = {duty.subject: duty for duty in duties}
    if len(subjects) > 1:
        first, second, *_ = subjects.values()
        linking.findings.add(
            rules.SEPARATION_SUBJECTS,
            second.place,
            path="duties",
            first=first.subject,
            second=second.subject,
            related=[first.place],
        )
    label = linking.label(f"separation.{document.name}", text_of(spec.label), Bilingual("", human(document.name)))
    return Separation(
        document.name,
        label,
        document.place,
        text_of(spec.help),
        tuple(groups),
        tuple(_switched(linking, expressions, document, spec, duties)),
        spec.source,
        parse_date(spec.active.from_) if spec.active is not None and spec.active.from_ is not None else None,
        spec.renamed_from,
    )


def _switched(
    linking: Linking, expressions: Expressions, document: Document, spec: SeparationSpec, duties: Iterable[Duty]
) -> Iterator[Duty]:
    """The duties, each with the condition under which an act is refused. Roles are of no site, so that a separation of
    roles begins on a day only."""
    active, node = spec.active, find(document.node, "active")
    if active is None:
        yield from duties
        return
    if not active.sites and active.from_ is None:
        linking.findings.add(rules.ACTIVE_EMPTY, node.place, path="active")
    if active.sites and spec.roles:
        linking.findings.add(rules.ACTIVE_ROLES, node.place, path="active.sites")
    named_sites(linking, active, node)
    for duty in duties:
        entity = linking.entities[duty.entity]
        clause = active_clause(linking, expressions, entity, active, node, "active", forbids=True)
        yield replace(duty, active=clause.condition if clause is not None else None)


def _duty(linking: Linking, name: str, spec: DutySpec, node: AnyNode) -> Duty | None:
    path = f"duties.{name}"
    if not linking.known_entity(spec.of, place_of(node, "of"), path) or spec.of not in linking.entities:
        return None
    entity = linking.entities[spec.of]
    known = (*VERBS, *entity.transitions)
    for index, action in enumerate(spec.do):
        if action not in known:
            place = place_of(node, "do", index) if isinstance(find(node, "do"), ListNode) else place_of(node, "do")
            linking.unknown(rules.UNKNOWN_TRANSITION, place, action, known, f"{path}.do", entity=entity.name)
    about = tuple(spec.about.split(".")) if spec.about else ()
    subject = _subject(linking, entity, about, place_of(node, "about"), f"{path}.about")
    if subject is None:
        return None
    return Duty(name, entity.name, frozenset(spec.do), about, subject, node.place)


def _subject(linking: Linking, entity: Entity, about: tuple[str, ...], place: Place, path: str) -> str | None:
    """The entity at the end of the way: over references, links, lines and ways back, each to one entity."""
    at = entity
    for step in about:
        if step in at.inverses:
            target = at.inverses[step].source
        else:
            field = at.fields.get(step)
            if field is None:
                linking.unknown(rules.UNKNOWN_FIELD, place, step, (*at.fields, *at.inverses), path, entity=at.name)
                return None
            if field.kind not in _WAYS or len(field.targets) != 1:
                linking.findings.add(
                    rules.BAD_FIELD_USE,
                    place,
                    path=path,
                    name=step,
                    reason="it does not lead to records of one entity",
                    reason_zh="它不指向单一实体的记录",
                )
                return None
            target = field.target
        if target not in linking.entities:
            return None
        at = linking.entities[target]
    return at.name
