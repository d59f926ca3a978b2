"""The pack's policies are whole: everything has a doer, no doer is blind, every pair that must be apart is apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from tests.architecture.test_pack_steps import asked_steps

from clew.access.trial import Trial, person
from clew.access.unite import held_by
from clew.metadata.blueprint import Blueprint, Entity, EntityClass, FieldKind, Origin
from clew.metadata.load import load_folder
from clew.metadata.policies import DO, EntityGrants, Policies, Role

ROOT = Path(__file__).resolve().parents[2]

WORKING_ROLES = (
    "business_analyst", "data_steward", "compliance_officer", "auditor", "sys_admin",
    "rd_engineer", "project_manager", "doc_controller", "change_coordinator", "ra_specialist", "ra_manager",
    "safety_officer", "qc_inspector", "quality_engineer", "qa_manager", "authorised_releaser", "metrologist",
    "planner", "operator", "production_supervisor", "warehouse", "buyer",
)  # fmt: skip
LIGHT_ROLES = ("sqe", "process_engineer", "sales", "service_engineer", "finance", "hr", "customer_service", "legal")
GROUP_ROLES = ("ccb_member", "mrb_member", "management_representative", "recall_lead")
PLANT_ROLES = (
    "qc_inspector", "qc_lead", "quality_engineer", "qa_manager", "authorised_releaser", "metrologist", "planner",
    "operator", "production_supervisor", "warehouse", "buyer", "process_engineer",
)  # fmt: skip

APPENDED = {"inspection_result", "inventory_hold", "inventory_movement", "material_consumption"}
"""Written once: a transition or a further record changes what they mean, no update does."""

CORRECTED_NOT_VOIDED = {
    "calibration", "delivery_review", "edhr", "environment_record", "factory_test_report", "inspection_result",
    "inventory_hold", "label_job", "material_certificate", "material_consumption", "operation_execution",
    "product_certificate", "sterilisation_batch", "supplier_scorecard", "verification",
}  # fmt: skip
"""Evidence that was given stands; what is wrong with it is corrected, rejected or revoked, not declared void."""

ENDED_BY_A_STATE = {"audit_finding", "nonconformance"}
"""They have a void state of their own."""

SEES_PRICES = {
    "price_reader",
    "buyer",
    "purchasing_manager",
    "finance",
    "finance_manager",
    "auditor",
    "compliance_officer",
}
SEES_COST = SEES_PRICES | {"erp_connector"}
SEES_PATIENTS = {"safety_officer", "medical_reviewer", "recall_lead", "auditor"}
SEES_COMPLAINANTS = {"safety_officer", "medical_reviewer", "customer_service", "service_manager", "auditor"}
APPROVES_AMOUNTS = {"department_head", "rd_head", "quality_head", "production_head", "service_manager"}
REACHES_CUSTOMERS = {"sales", "customer_service", "recall_lead"}

PRIVATE = {
    ("purchase_order_line", "price"): SEES_PRICES | {"erp_connector"},
    ("purchase_order", "total"): SEES_PRICES | {"erp_connector"},
    ("sales_order_line", "price"): SEES_PRICES | {"sales", "erp_connector"},
    ("invoice_lines", "price"): SEES_PRICES | {"erp_connector"},
    ("item_per_site", "cost"): SEES_COST,
    ("purchase_requisition", "est_amount"): SEES_PRICES | APPROVES_AMOUNTS | {"erp_connector", "planner"},
    ("serial_unit", "patient"): SEES_PATIENTS,
    ("complaint", "patient"): {"safety_officer", "medical_reviewer", "customer_service", "auditor"},
    ("complaint", "complainant_phone"): SEES_COMPLAINANTS,
    ("customer", "phone"): REACHES_CUSTOMERS | {"erp_connector", "auditor", "compliance_officer"},
    ("employee", "phone"): {"hr", "auditor", "compliance_officer"},
    ("supplier", "contact"): {"sqe", "buyer", "erp_connector", "auditor", "compliance_officer"},
}  # fmt: skip
"""Who sees a field on every record they read. Others see it on records of their own at most."""


@cache
def pack() -> Blueprint:
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


def policies() -> Policies:
    found = pack().policies
    assert found is not None
    return found


def kept_entities() -> Iterator[Entity]:
    """Those that are written by themselves: no lines, no balances."""
    return (each for each in pack().entities.values() if each.part_of is None and not each.derived)


def doers(entity: str, action: str) -> list[Role]:
    return [each for each in policies().roles.values() if entity in each.may and action in each.may[entity].actions]


def grants(role: str, entity: str) -> list[EntityGrants]:
    return [each.may[entity] for each in policies().lineage(role) if entity in each.may]


def shown(grant: EntityGrants, entity: Entity) -> set[str]:
    names = set(entity.fields) if grant.show is None else set(grant.show)
    return names - set(grant.hide)


def writable(grant: EntityGrants, entity: Entity) -> set[str]:
    return shown(grant, entity) if grant.write is None else set(grant.write)


# ── every action has a doer ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_transition_is_performed_by_somebody() -> None:
    idle = [
        f"{each.name}.{move}"
        for each in kept_entities()
        for move in each.transitions
        if not doers(each.name, DO + move)
    ]
    assert idle == []


def test_every_signed_transition_is_performed_by_a_person_who_may_sign_it() -> None:
    wrong = []
    for entity in kept_entities():
        for move in entity.transitions.values():
            if move.sign is None:
                continue
            found = doers(entity.name, DO + move.name)
            wrong += [f"{each.name} {entity.name}.{move.name}" for each in found if move.sign not in each.signs]
            wrong += [] if any(each.kind == "person" for each in found) else [f"nobody {entity.name}.{move.name}"]
    assert wrong == []


def test_nobody_may_sign_what_they_never_move() -> None:
    """A meaning without a transition or a step is a right without a use. Reviews of access are signed elsewhere."""
    spare = {}
    for role in policies().roles.values():
        moved = {
            pack().entities[name].transitions[action.removeprefix(DO)].sign
            for each in policies().lineage(role.name)
            for name, grant in each.may.items()
            for action in grant.actions
            if action.startswith(DO)
        }
        lineage = {each.name for each in policies().lineage(role.name)}
        moved |= {step.sign for _, step, asked in asked_steps(pack()) if lineage & asked}
        if role.signs - moved:
            spare[role.name] = set(role.signs - moved)
    assert spare == {"compliance_officer": {"review"}}


@pytest.mark.parametrize("action", ["create", "update"])
def test_every_entity_is_made_and_changed_by_somebody(action: str) -> None:
    left = {each.name for each in kept_entities() if not doers(each.name, action)}
    assert left == (APPENDED if action == "update" else set())


def test_what_is_not_voided_is_known() -> None:
    left = {each.name for each in kept_entities() if not doers(each.name, "void") and not each.postings}
    assert left == CORRECTED_NOT_VOIDED | ENDED_BY_A_STATE


def test_every_frozen_record_is_corrected_by_somebody() -> None:
    frozen = [each for each in kept_entities() if each.cls is EntityClass.RECORD and each.frozen_from]
    assert [each.name for each in frozen if not doers(each.name, "correct")] == []


def test_everything_is_read_by_somebody_besides_the_auditor() -> None:
    alone = [
        name
        for name in pack().entities
        if not {each.name for each in doers(name, "read")} - {"auditor", "compliance_officer"}
    ]
    assert alone == []


# ── and the doer can do it ────────────────────────────────────────────────────────────────────────────────────────────


def test_whoever_makes_a_record_may_fill_what_it_requires() -> None:
    wrong = []
    for entity in kept_entities():
        needed = {
            each.name
            for each in entity.fields.values()
            if each.required
            and each.default is None
            and each.computed is None
            and each.kind is not FieldKind.NUMBER
            and each.origin is not Origin.ENVELOPE
            and each.name != "state"
        }
        for role in doers(entity.name, "create"):
            filled = {
                name
                for grant in grants(role.name, entity.name)
                if "create" in grant.actions
                for name in writable(grant, entity)
            }
            wrong += [f"{role.name} {entity.name} {sorted(needed - filled)}"] if needed - filled else []
    assert wrong == []


def test_nobody_acts_on_what_they_do_not_see() -> None:
    blind = []
    for role in policies().roles.values():
        for name, grant in role.may.items():
            acts = set(grant.actions) - {"read"}
            if acts and not grant.wildcard and not any("read" in each.actions for each in grants(role.name, name)):
                blind.append(f"{role.name} {name} {sorted(acts)}")
    assert blind == []


# ── the roles there are ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_roles_of_the_reference_are_there() -> None:
    assert set(WORKING_ROLES + LIGHT_ROLES + GROUP_ROLES) <= set(policies().roles)
    assert len(WORKING_ROLES) == 22


def test_every_member_of_the_staff_inherits_what_every_employee_has() -> None:
    apart = {"business_analyst", "compliance_officer", "auditor", "sys_admin"}
    for name in set(WORKING_ROLES + LIGHT_ROLES + GROUP_ROLES) - apart:
        assert "employee" in policies().roles[name].lineage, name
    for role in policies().roles.values():
        if role.kind != "person":
            assert role.lineage == (role.name,), f"{role.name} inherits what the staff sees"


def test_plant_roles_reach_their_own_sites_only() -> None:
    assert [name for name in PLANT_ROLES if not policies().roles[name].own_sites] == []


def test_design_roles_reach_their_own_families_only() -> None:
    assert [name for name in ("rd_engineer", "project_manager") if not policies().roles[name].own_families] == []
    for name in ("item", "bom", "design_project", "design_input", "design_output", "design_review", "verification"):
        assert policies().reach[name].family is not None, name


def test_every_role_and_separation_is_named_in_both_languages() -> None:
    for found in (policies().roles, policies().separations):
        assert [name for name, each in found.items() if not (each.label.zh and each.label.en)] == []
    assert [each.name for each in policies().roles.values() if not (each.help.zh and each.help.en)] == []
    assert [each.name for each in policies().separations.values() if not each.source] == []


def test_the_system_administrator_has_nothing_of_the_business() -> None:
    admin = policies().roles["sys_admin"]
    assert not admin.may
    assert not admin.signs
    assert admin.lineage == ("sys_admin",)
    for name, entity in pack().entities.items():
        if entity.part_of is None:
            assert {"read", "create", "update", "void", "correct", "export", "audit"} <= set(admin.never[name].actions)


def test_the_auditor_reads_everything_and_writes_nothing() -> None:
    auditor = policies().roles["auditor"]
    for name, entity in pack().entities.items():
        assert "read" in auditor.may[name].actions, name
        assert not auditor.may[name].hide, name
        writes = set(auditor.may[name].actions) - {"read", "audit", "export"}
        assert not writes, name
        if entity.part_of is None:
            forbidden = {"create", "update", "void", "correct", *(DO + move for move in entity.transitions)}
            assert forbidden <= set(auditor.never[name].actions), name


@pytest.mark.parametrize(("entity", "field"), sorted(PRIVATE))
def test_private_fields_are_seen_by_few(entity: str, field: str) -> None:
    declared = pack().entities[entity]
    seers = {
        role.name
        for role in policies().roles.values()
        for grant in grants(role.name, entity)
        if field in shown(grant, declared)
        and field not in grant.mask
        and any(each.condition is None for each in grant.actions.get("read", ()))
    }
    assert seers == PRIVATE[entity, field]


# ── who must be apart ─────────────────────────────────────────────────────────────────────────────────────────────────

STATIC_PAIRS = (
    ("buyer", "sqe"), ("buyer", "qa_manager"), ("buyer", "warehouse"), ("sys_admin", "qa_manager"),
    ("sys_admin", "authorised_releaser"), ("business_analyst", "compliance_officer"),
    ("production_head", "quality_head"), ("stock_counter", "adjustment_approver"), ("warehouse", "adjustment_approver"),
)  # fmt: skip

DYNAMIC_PAIRS = (
    ("author and reviewer of a revision", "document_revision.submit", "document_revision.review"),
    ("reviewer and approver of a revision", "document_revision.review", "document_revision.approve"),
    ("author and approver of a revision", "document_revision.create", "document_revision.approve"),
    ("author and releaser of a structure", "bom.submit", "bom.release"),
    ("author and releaser of a routing", "routing.submit", "routing.release"),
    ("requester and approver of a requisition", "purchase_requisition.create", "purchase_requisition.approve"),
    ("requester and buyer", "purchase_requisition.create", "purchase_order_line.create"),
    ("approver and buyer of a requisition", "purchase_requisition.approve", "purchase_requisition.order"),
    ("receiver and inspector", "goods_receipt.create", "inspection_result.create"),
    ("inspector and releaser", "inspection_result.create", "release_decision.decide"),
    ("judge and releaser", "inspection_lot.judge", "release_decision.decide"),
    ("inspector and releaser of the lot itself", "inspection_result.create", "lot.release"),
    ("operator and releaser", "operation_execution.finish", "release_decision.decide"),
    ("operator and second person", "operation_execution.finish", "operation_execution.witness"),
    ("operator and reviewer of the record", "operation_execution.finish", "edhr.review"),
    ("operator and accepter of the record", "operation_execution.start", "edhr.accept"),
    ("executor and verifier of a nonconformance", "nonconformance.carry_out", "nonconformance.verify"),
    ("owner of a CAPA and approver of its effectiveness", "capa.implement", "capa.close"),
    ("author of a change and voter", "change_request.submit", "change_request.approve"),
    ("tester and approver of the report", "verification.execute", "verification.report"),
    ("validator and approver of the report", "validation.execute", "validation.report"),
    ("compiler and signer of a dossier", "registration_dossier.compile", "registration_dossier.sign"),
    ("requester and granter of a role", "role_assignment.create", "role_assignment.activate"),
    ("investigator and closer of a complaint", "complaint.investigate", "complaint.close"),
    ("metrologist and reviewer of a calibration", "calibration.create", "calibration.review"),
)


@pytest.mark.parametrize(("one", "other"), STATIC_PAIRS)
def test_roles_that_must_be_apart_are_apart(one: str, other: str) -> None:
    def groups(role: str, groups: tuple[frozenset[str], ...]) -> set[int]:
        return {at for at, each in enumerate(groups) if each & set(policies().roles[role].lineage)}

    assert [
        each.name
        for each in policies().separations.values()
        if (mine := groups(one, each.groups)) and (theirs := groups(other, each.groups)) and mine != theirs
    ]


@pytest.mark.parametrize(("words", "one", "other"), DYNAMIC_PAIRS)
def test_duties_that_must_be_apart_are_apart(words: str, one: str, other: str) -> None:
    def names(action: str, separation: str) -> set[tuple[str, str]]:
        entity, _, verb = action.partition(".")
        duties = policies().separations[separation].duties
        return {(each.name, each.subject) for each in duties if each.entity == entity and verb in each.actions}

    apart = [
        name
        for name in policies().separations
        for mine, subject in names(one, name)
        for theirs, same in names(other, name)
        if mine != theirs and subject == same
    ]
    assert apart, words


def test_nobody_grants_a_role_to_themselves() -> None:
    """Granter and grantee: a condition of the grant, because the one it is given to performs no duty."""
    (activate,) = policies().roles["compliance_officer"].may["role_assignment"].actions[DO + "activate"]
    assert activate.text == "employee != user.employee"
    assert [each.name for each in doers("role_assignment", DO + "activate")] == ["compliance_officer"]


def test_the_system_administrator_is_apart_from_every_role_that_signs() -> None:
    apart = policies().separations["system_administrator_signs_nothing"].groups[1]
    signers = [each for each in policies().roles.values() if each.signs]
    assert [each.name for each in signers if not apart & set(each.lineage)] == []
    assert len(signers) > 20


# ── and it is tried ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_role_is_tried_by_itself() -> None:
    """What matters is allowed, what matters is refused, and something is out of sight."""
    wanting = {}
    for name in policies().roles:
        cases = [case for test in policies().tests.values() if test.roles == (name,) for case in test.cases]
        got = {each.expect for each in cases}
        unseen = got & {"hidden", "masked"} or any(each.action == "read" and each.expect == "deny" for each in cases)
        unseen = unseen or name == "auditor"
        if len(cases) < 3 or "deny" not in got or not (got & {"allow", "shown"} or name == "sys_admin") or not unseen:
            wanting[name] = sorted(got)
    assert wanting == {}


def test_every_separation_is_missed_by_a_policy_test() -> None:
    """Taken away, it lets through what a policy test says it refuses: that test goes red."""
    trial = Trial(pack())
    whole = trial.unite.policies

    def red(name: str) -> bool:
        for test in whole.tests.values():
            who = person(test)
            for case in test.cases:
                if case.separation == name and not trial.tried(case, who, sorted(held_by(who, whole))).meets(case):
                    return True
        return False

    not_missed = []
    for name in whole.separations:
        assert not red(name)
        left = {each: found for each, found in whole.separations.items() if each != name}
        trial.unite.policies = replace(whole, separations=left)
        not_missed += [] if red(name) else [name]
        trial.unite.policies = whole
    assert not_missed == []


@pytest.mark.parametrize("page", ["roles.md", "roles.zh.md"])
def test_the_page_names_every_role_in_its_file(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = {row.split("|")[1].strip(" `"): row for row in text.splitlines() if row.startswith("| `")}
    for role in policies().roles.values():
        assert f"`{role.name}`" in rows[Path(role.place.file).name], role.name
