"""Who answers for things by name: roles and processes that entities and decision tables refer to must exist.

A project without policies has no roles to be wrong about, and one without workflows no processes.
"""

from __future__ import annotations

from clew.metadata import rules, rules_process
from clew.metadata.link.project import Linking
from clew.metadata.source import find
from clew.metadata.spec.decision import DecisionSpec


def check_answerable(linking: Linking) -> None:
    """Stewards and owners are roles, `moved_by` names a process."""
    if linking.policies is not None:
        _roles(linking)
    if linking.documents.get("workflow"):
        _processes(linking)


def _roles(linking: Linking) -> None:
    assert linking.policies is not None
    roles = linking.policies.roles
    for draft in linking.drafts.values():
        name = draft.spec.steward
        if name is not None and not draft.generated_by and name not in roles:
            linking.unknown(rules.UNKNOWN_ROLE, draft.at("steward"), name, roles, "steward")
    for document in linking.documents.get("decision", ()):
        assert isinstance(document.spec, DecisionSpec)
        name = document.spec.owner
        if name is not None and name not in roles:
            linking.unknown(rules.UNKNOWN_ROLE, find(document.node, "owner").place, name, roles, "owner")


def _processes(linking: Linking) -> None:
    known = {document.name for document in linking.documents["workflow"]}
    for draft in linking.drafts.values():
        if draft.generated_by:
            continue
        if (name := draft.spec.moved_by) is not None and name not in known:
            linking.unknown(rules_process.UNKNOWN_WORKFLOW, draft.at("moved_by"), name, known, "moved_by")
        for move, spec in draft.spec.transitions.items():
            if spec.moved_by is not None and spec.moved_by not in known:
                path = f"transitions.{move}.moved_by"
                place = draft.at("transitions", move, "moved_by")
                linking.unknown(rules_process.UNKNOWN_WORKFLOW, place, spec.moved_by, known, path)
