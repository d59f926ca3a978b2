"""Who may begin, cancel and oversee processes: what roles say of them, and what the processes say of roles.

A process names who starts it and who answers for it. These are grants of those roles like any other: under the sites
of the assignment, overridden by `never`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import MappingProxyType

from clew.metadata import rules_process
from clew.metadata.blueprint import Entity
from clew.metadata.documents import Document
from clew.metadata.link.project import Linking
from clew.metadata.policies import PROCESS_ACTIONS, Clause, Clauses, EntityGrants, process_question
from clew.metadata.source import AnyNode, find, place_of
from clew.metadata.spec.permissions import ActionsSpec
from clew.metadata.spec.workflow import WorkflowSpec

Clausing = Callable[[tuple[str, ...], AnyNode, str, str], Clauses]


def processes_about(linking: Linking, entity: str) -> dict[str, tuple[Document, WorkflowSpec]]:
    """The processes about records of an entity, as they are written: they are linked after the policies."""
    return {name: found for name, found in _written(linking) if found[1].for_ == entity}


def process_grants(
    linking: Linking, clausing: Clausing, spec: ActionsSpec, node: AnyNode, entity: Entity, path: str
) -> dict[str, Clauses]:
    """What a role says of the processes about an entity. A process that is not about it is a finding."""
    known = processes_about(linking, entity.name)
    found: dict[str, Clauses] = {}
    for name, each in spec.processes.items():
        if name not in known:
            linking.unknown(
                rules_process.UNKNOWN_WORKFLOW,
                place_of(node, "processes", name, key=True),
                name,
                known,
                f"{path}.processes",
            )
            continue
        for action in PROCESS_ACTIONS:
            texts = getattr(each, action)
            if texts is not None:
                at, where = find(node, "processes", name, action), f"{path}.processes.{name}.{action}"
                found[process_question(name, action)] = clausing(texts, at, entity.name, where)
    return found


def with_processes(linking: Linking, role: str, may: dict[str, EntityGrants]) -> dict[str, EntityGrants]:
    """What a role may, with what processes give it by naming it: who starts them, and who owns them."""
    found = dict(may)
    for name, (document, spec) in _written(linking):
        if spec.for_ not in linking.entities:
            continue
        given = found.get(spec.for_) or EntityGrants(spec.for_, document.place)
        actions = dict(given.actions)
        for action, clauses in _by_name(document, spec, role, given):
            question = process_question(name, action)
            actions[question] = (*actions.get(question, ()), *clauses)
        if actions != given.actions:
            found[spec.for_] = replace(given, actions=MappingProxyType(actions))
    return dict(sorted(found.items()))


def _by_name(document: Document, spec: WorkflowSpec, role: str, given: EntityGrants) -> Iterator[tuple[str, Clauses]]:
    by_people = [(at, each) for at, each in enumerate(spec.starts) if not each.event and each.calendar is None]
    named = [at for at, each in by_people if role in each.person]
    if named:
        yield "start", (Clause(place_of(document.node, "starts", named[0])),)
    elif by_people and not any(each.person for _, each in by_people):
        # It names nobody: whoever sees the record may.
        yield "start", given.actions.get("read", ())
    if role == spec.owner:
        owns = (Clause(document.at("owner")),)
        yield "cancel", owns
        yield "oversee", owns


def _written(linking: Linking) -> Iterator[tuple[str, tuple[Document, WorkflowSpec]]]:
    for document in linking.documents.get("workflow", ()):
        if isinstance(document.spec, WorkflowSpec):
            yield document.name, (document, document.spec)
