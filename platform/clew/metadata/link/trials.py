"""Policy tests, resolved: who tries, what, on which record, with which outcome. `access.trial` runs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.blueprint import Entity
from clew.metadata.documents import Document
from clew.metadata.link.connectors import connector_names
from clew.metadata.link.processes import processes_about
from clew.metadata.link.project import Linking
from clew.metadata.link.separations import VERBS
from clew.metadata.naming import human
from clew.metadata.policies import (
    ASSIGN,
    CONNECTOR,
    CONNECTOR_ACTIONS,
    DO,
    PROCESS_ACTIONS,
    RECORD_ACTIONS,
    Act,
    PolicyCase,
    PolicyTest,
    Role,
    Separation,
    process_question,
)
from clew.metadata.source import AnyNode, ListNode, find, place_of
from clew.metadata.spec.permissions import CaseSpec, PolicyTestSpec
from clew.metadata.spec.words import text_of

_OF_NO_RECORD = ("assign", "connector")
READ_FIELD, WRITE_FIELD = "read_field", "write_field"


@dataclass(frozen=True, slots=True)
class _Names:
    """What cases may refer to beside entities."""

    roles: Mapping[str, Role]
    separations: Mapping[str, Separation]
    connectors: tuple[str, ...]


def link_tests(
    linking: Linking, documents: Iterable[Document], roles: Mapping[str, Role], separations: Mapping[str, Separation]
) -> dict[str, PolicyTest]:
    """All policy tests by name."""
    names = _Names(roles, separations, connector_names(linking))
    found: dict[str, PolicyTest] = {}
    for document in documents:
        spec = document.spec
        assert isinstance(spec, PolicyTestSpec)
        for index, name in enumerate(spec.as_.roles):
            if name not in roles:
                node = find(document.node, "as", "roles")
                place = place_of(node, index) if isinstance(node, ListNode) else node.place
                linking.unknown(rules.UNKNOWN_ROLE, place, name, roles, "as.roles")
        cases = [
            case
            for at, each in enumerate(spec.cases)
            if (case := _case(linking, names, each, find(document.node, "cases", at), f"cases.{at}")) is not None
        ]
        test = PolicyTest(
            document.name,
            text_of(spec.label) or Bilingual("", human(document.name)),
            document.place,
            tuple(name for name in spec.as_.roles if name in roles),
            tuple(cases),
            spec.as_.sites == "all",
            spec.as_.families == "all",
        )
        earlier = found.setdefault(test.name, test)
        if earlier is not test:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                test.place,
                kind="policy tests",
                kind_zh="策略测试",
                name=test.name,
                related=[earlier.place],
            )
    return dict(sorted(found.items()))


def _case(linking: Linking, names: _Names, spec: CaseSpec, node: AnyNode, path: str) -> PolicyCase | None:
    given = {
        "try": spec.try_,
        "read": spec.read,
        "write": spec.write,
        "connector": spec.connector,
        "assign": spec.assign,
    }
    asked = [(key, text) for key, text in given.items() if text]
    if len(asked) != 1:
        linking.findings.add(rules.MISSING_KEY, node.place, path=path, key=" / ".join(given))
        return None
    key, text = asked[0]
    place = place_of(node, key)
    for other in ("given", "already", "site", "family"):
        known = find(node, other)
        if known is not node and (key in _OF_NO_RECORD or (other == "already" and key != "try")):
            linking.findings.add(rules.CASE_KEY, known.place, path=f"{path}.{other}", key=other, kind=key)
    if spec.separation is not None and spec.separation not in names.separations:
        linking.unknown(
            rules.UNKNOWN_SEPARATION, place_of(node, "separation"), spec.separation, names.separations, path
        )
    if key == "connector":
        return _connector_case(linking, names, spec, node, path)
    if key == "assign":
        if text not in names.roles:
            linking.unknown(rules.UNKNOWN_ROLE, place, text, names.roles, f"{path}.{key}")
            return None
        return PolicyCase(node.place, "", ASSIGN, spec.expect, text, because=_because(spec), separation=_by(spec))
    name, _, rest = text.partition(".")
    if not linking.known_entity(name, place, f"{path}.{key}") or name not in linking.entities:
        return None
    entity = linking.entities[name]
    action = _action(linking, entity, key, rest, place, f"{path}.{key}")
    if action is None:
        return None
    _given(linking, entity, spec.given, find(node, "given"), f"{path}.given")
    return PolicyCase(
        place=node.place,
        entity=name,
        action=action,
        expect=spec.expect,
        member=rest if action in (READ_FIELD, WRITE_FIELD) else "",
        given=MappingProxyType(dict(spec.given)),
        own_site=spec.site == "own",
        own_family=spec.family == "own",
        because=_because(spec),
        already=tuple(_already(linking, spec, node, path)),
        separation=_by(spec),
    )


def _connector_case(linking: Linking, names: _Names, spec: CaseSpec, node: AnyNode, path: str) -> PolicyCase | None:
    place, (name, _, action) = place_of(node, "connector"), (spec.connector or "").partition(".")
    if name not in names.connectors:
        linking.unknown(rules.UNKNOWN_CONNECTOR, place, name, names.connectors, f"{path}.connector")
        return None
    if action not in CONNECTOR_ACTIONS:
        linking.unknown(
            rules.UNKNOWN_TRANSITION, place, action, CONNECTOR_ACTIONS, f"{path}.connector", entity=f"{CONNECTOR}{name}"
        )
        return None
    return PolicyCase(node.place, "", CONNECTOR + action, spec.expect, name, because=_because(spec))


def _because(spec: CaseSpec) -> str:
    return spec.because or ("separation" if spec.separation else "")


def _by(spec: CaseSpec) -> str:
    return spec.separation or ""


def _already(linking: Linking, spec: CaseSpec, node: AnyNode, path: str) -> Iterator[Act]:
    """What was done before: acts that separations can be about."""
    for index, text in enumerate(spec.already):
        listed = isinstance(find(node, "already"), ListNode)
        place = place_of(node, "already", index) if listed else place_of(node, "already")
        name, _, action = text.partition(".")
        if not linking.known_entity(name, place, f"{path}.already") or name not in linking.entities:
            continue
        known = (*VERBS, *linking.entities[name].transitions)
        if action in known:
            yield Act(name, action)
        else:
            linking.unknown(rules.UNKNOWN_TRANSITION, place, action, known, f"{path}.already", entity=name)


def _action(linking: Linking, entity: Entity, key: str, rest: str, place: Place, path: str) -> str | None:
    fields = (*entity.fields, *entity.inverses)
    if key == "try":
        if rest in RECORD_ACTIONS:
            return rest
        if rest in entity.transitions:
            return DO + rest
        workflow, _, asked = rest.partition(".")
        processes = processes_about(linking, entity.name)
        if workflow in processes and asked in PROCESS_ACTIONS:
            return process_question(workflow, asked)
        begun = [f"{name}.{each}" for name in processes for each in PROCESS_ACTIONS]
        known = (*RECORD_ACTIONS, *entity.transitions, *begun)
        linking.unknown(rules.UNKNOWN_TRANSITION, place, rest, known, path, entity=entity.name)
        return None
    if key == "read" and not rest:
        return "read"
    if rest in fields:
        return READ_FIELD if key == "read" else WRITE_FIELD
    linking.unknown(rules.UNKNOWN_FIELD, place, rest, fields, path, entity=entity.name)
    return None


def _given(linking: Linking, entity: Entity, given: Mapping[str, Any], node: AnyNode, path: str) -> None:
    """Every fact given exists, also of the records it leads to."""
    for name, value in given.items():
        place = place_of(node, name, key=True)
        if name in entity.inverses:
            target: str | None = entity.inverses[name].source
        elif name in entity.fields:
            target = entity.fields[name].targets[0] if entity.fields[name].targets else None
        else:
            linking.unknown(
                rules.UNKNOWN_FIELD, place, name, (*entity.fields, *entity.inverses), path, entity=entity.name
            )
            continue
        if target is None or target not in linking.entities:
            continue
        below, at = linking.entities[target], find(node, name)
        if isinstance(value, Mapping):
            _given(linking, below, value, at, f"{path}.{name}")
        elif isinstance(value, list):
            for index, each in enumerate(value):
                if isinstance(each, Mapping):
                    _given(linking, below, each, find(at, index), f"{path}.{name}.{index}")
