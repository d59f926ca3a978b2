"""The second half of the medical-device pack: purchase, stock, manufacture, quality, regulatory, service, and the
further entities.

The tables below are transcribed from the domain reference, not from the models, so that a field or a signature lost
from a model is noticed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.metadata.blueprint import Blueprint, EntityClass, FieldKind, Origin
from clew.metadata.load import load_folder

ROOT = Path(__file__).resolve().parents[2]

FIELDS = {
    "purchase_requisition": "number item qty need_by requester est_amount",
    "purchase_order": "number supplier buyer currency total quality_terms",
    "purchase_order_line": "po line item item_rev qty price promised_on cert_required tolerance",
    "goods_receipt": "number po_line supplier_lot mfg_on exp_on qty lot temp_log",
    "material_certificate": "cert_no supplier kind lot po_line values file sha256 verified_by",
    "lot": "lot_no item source supplier_lot work_order mfg_on exp_on quality_status parents ever_released",
    "serial_unit": "serial di lot udi_full holder",
    "inventory_balance": "item site location lot serial quality_status on_hand reserved",
    "inventory_movement": "number type qty from_location to_location from_status to_status doc performed_by "
    "performed_at",
    "inventory_hold": "lot serial location cause placed_by released_by",
    "sales_order": "number customer market lines",
    "sales_order_line": "owner item qty due",
    "shipment": "number sales_order lines carrier temp_log delivered_at",
    "shipment_line": "owner item lot serial udi qty",
    "work_order": "number item bom routing components qty due lot",
    "operation_execution": "work_order operation attempt lot serial operator equipment started_at ended_at good scrap "
    "rework params second_person",
    "operation_execution_params": "name value unit lsl usl in_spec source",
    "material_consumption": "execution component_lot component_serial qty bom_line substitute_approval",
    "label_job": "template item lot udi_full printed used destroyed checked_by",
    "edhr": "lot serial sections exceptions",
    "release_decision": "lot kind market checklist outcome",
    "release_decision_checklist": "item ok evidence",
    "inspection_plan": "number rev item operation stage sampling level characteristics change_order",
    "inspection_characteristic": "owner seq kind unit lsl target usl severity aql method gauge_class",
    "inspection_lot": "number lot plan lot_size severity code_letter n ac re nonconforming judgement concession_qty "
    "concession_until",
    "inspection_result": "inspection_lot characteristic sample value pass gauge inspector at version retest_of "
    "retest_approved_by",
    "nonconformance": "number source lots qty defect severity disposition root_cause capa containment concession_qty "
    "concession_until",
    "capa": "number kind origins method root_cause actions criterion check_due",
    "deviation": "number planned object impact limit_qty limit_until",
    "complaint": "number aware_at received_on device_name udi lot serial complainant_name complainant_address "
    "complainant_phone description harm investigate rationale reportability correction reply",
    "adverse_event": "number complaint market category aware_at due_at kind submitted_at authority_ref",
    "field_action": "number measures class_cn class_us lots serials decided_at consignees effectiveness",
    "field_action_consignees": "customer qty notified_at ack_at returned destroyed",
    "registration": "number authority kind holder items sites issued_on expires_on file",
    "registration_dossier": "number market kind nodes completeness",
    "filing_task": "number dossier trigger due authority_qa acceptance_no",
    "service_order": "number customer device_name udi serial service_on technicians work_done test_data parts "
    "event_check",
    "product_certificate": "number item lot serial inspection_lot technical_requirement result signer issued_at file "
    "sha256",
    "factory_test_report": "number item lot serial inspection_lot technical_requirement result signer issued_at file "
    "sha256",
    "legal_entity": "code uscc roles",
    "position": "code department title holders",
    "position_holders": "employee valid_from valid_to handed_over_to handed_over_on",
    "appointment": "employee kind subject_process subject_entity valid_from valid_to",
    "contract_manufacturing_agreement": "registrant manufacturer items file valid_to",
    "technical_requirement": "number item revision clauses",
    "sterilisation_batch": "number parameters load biological_indicator",
    "environment_record": "site point parameter value lower_limit upper_limit at result",
    "retained_sample": "lot qty storage inspections disposed_on disposal",
    "scar": "supplier ncr issued_on due answer verdict",
    "invoice": "supplier customer lines match_result",
    "project_task": "project milestone responsible planned_start planned_end actual_start actual_end effort_planned "
    "effort_actual depends_on",
    "regulation_item": "code version effective_on gap_check responsible",
    "improvement": "number source process benefit decision result",
    "quality_audit": "kind criteria lead_auditor conclusion audit_findings",
    "audit_finding": "quality_audit grade finding due capa",
    "return_authorisation": "number customer lines reason",
    "delivery_review": "number shipment checks result",
    "master_data_request": "kind duplicates_searched assigned_code contributions result",
    "archive_box": "archive_no retention_years location",
    "seal_request": "legal_entity seal approver file",
}

REGULATED = {
    "material_certificate": "sha256",
    "inventory_movement": "performed_by performed_at",
    "operation_execution": "started_at ended_at",
    "operation_execution_params": "value",
    "label_job": "printed used destroyed",
    "release_decision": "outcome",
    "inspection_lot": "judgement concession_qty concession_until",
    "inspection_result": "value pass",
    "nonconformance": "severity disposition",
    "capa": "root_cause",
    "complaint": "aware_at harm investigate",
    "complaint_reportability": "decision",
    "adverse_event": "category aware_at",
    "field_action": "class_cn class_us decided_at",
    "registration": "number authority kind holder issued_on expires_on file",
    "service_order": "event_check",
    "product_certificate": "result sha256",
    "factory_test_report": "result sha256",
}
"""Fields whose change needs a reason. What is computed (`due_at`, `quality_status`) cannot be changed at all."""

SIGNED = {
    "material_certificate": {"verified": "verification"},
    "lot": {"released": "release", "conditional": "release"},
    "inventory_hold": {"released": "release"},
    "work_order": {"released": "release"},
    "operation_execution": {"done": "responsibility"},
    "label_job": {"inspected": "verification", "reconciled": "verification"},
    "edhr": {"reviewed": "review", "accepted": "approval"},
    "release_decision": {"decided": "release"},
    "inspection_plan": {"effective": "approval"},
    "inspection_lot": {"judged": "verification"},
    "nonconformance": {"verified": "verification"},
    "capa": {"planned": "approval", "closed": "approval"},
    "deviation": {"approved": "approval"},
    "complaint": {"decided": "approval", "closed": "approval"},
    "adverse_event": {"signed": "approval"},
    "field_action": {"decided": "approval", "closed": "approval"},
    "registration_dossier": {"signed": "approval"},
    "service_order": {"done": "responsibility"},
    "product_certificate": {"signed": "release"},
    "factory_test_report": {"signed": "verification"},
    "sterilisation_batch": {"released": "release"},
    "archive_box": {"destroyed": "approval"},
    "master_data_request": {"approved": "approval"},
}
"""States that are reached only with an electronic signature, and what it means."""

STATES = {
    "purchase_requisition": "draft submitted approved rejected ordered closed",
    "purchase_order": "draft approved sent confirmed part_received received closed cancelled",
    "purchase_order_line": "open closed",
    "goods_receipt": "received quarantined accepted rejected returned",
    "material_certificate": "received verified rejected",
    "lot": "quarantine released conditional blocked rejected expired recalled scrapped",
    "serial_unit": "wip released shipped installed returned explanted scrapped recalled",
    "inventory_hold": "active released",
    "sales_order": "draft confirmed allocated shipped closed cancelled",
    "shipment": "picking packed shipped delivered returned",
    "work_order": "planned firm released running paused completed closed cancelled",
    "operation_execution": "ready running done aborted",
    "material_consumption": "posted reversed",
    "label_job": "printed inspected reconciled",
    "edhr": "open compiled reviewed accepted rejected archived",
    "release_decision": "pending decided withdrawn",
    "inspection_plan": "draft effective superseded",
    "inspection_lot": "created testing judged closed",
    "inspection_result": "recorded corrected",
    "nonconformance": "open contained investigating board executing verified closed void",
    "capa": "open analysis planned implementing verifying effectiveness closed reopened",
    "deviation": "open assessed approved rejected closed",
    "complaint": "received triaged investigating decided replied closed",
    "adverse_event": "drafting medical_review signed submitted acknowledged closed",
    "field_action": "evaluating decided notifying executing effectiveness closed",
    "registration": "draft active renewing expired suspended cancelled",
    "registration_dossier": "planning compiling reviewing signed submitted accepted rejected",
    "filing_task": "open submitted accepted refused closed",
    "service_order": "open done reviewed closed",
    "product_certificate": "drafted signed issued revoked",
    "factory_test_report": "drafted signed issued revoked",
}

RECORDS = {
    "material_certificate", "inventory_movement", "inventory_hold", "operation_execution", "material_consumption",
    "label_job", "edhr", "release_decision", "inspection_result", "product_certificate", "factory_test_report",
}  # fmt: skip
OF_THE_GROUP = {
    "inspection_plan", "inspection_characteristic", "sales_order_line", "shipment_line", "field_action",
    "registration", "registration_dossier", "filing_task", "legal_entity", "position", "appointment",
    "contract_manufacturing_agreement", "technical_requirement", "project_task", "regulation_item", "improvement",
    "quality_audit", "audit_finding", "master_data_request", "seal_request",
}  # fmt: skip
"""Everything else belongs to one site."""

PERSONAL = {
    "complaint": "complainant_name complainant_address complainant_phone patient implanted_on explanted_on",
    "serial_unit": "patient patient_contact physician",
    "sales_order": "contact",
    "service_order": "contact",
    "legal_entity": "representative",
}
FOR_EVER = {
    "lot", "serial_unit", "shipment", "goods_receipt", "sales_order", "material_consumption", "edhr", "complaint",
    "adverse_event", "field_action", "service_order", "product_certificate",
}  # fmt: skip
"""What an implant may be traced by is never thrown away."""

INLINE = {
    "operation_execution_params", "release_decision_checklist", "field_action_consignees", "position_holders",
}  # fmt: skip
MAIN = [name for name in FIELDS if name not in INLINE]


@pytest.fixture(scope="module")
def pack() -> Blueprint:
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None, loaded.diagnostics
    return loaded.blueprint


@pytest.mark.parametrize("name", FIELDS)
def test_every_listed_field_exists(pack: Blueprint, name: str) -> None:
    entity = pack.entity(name)
    assert set(FIELDS[name].split()) - set(entity.fields) - set(entity.inverses) == set()


@pytest.mark.parametrize("name", REGULATED)
def test_audit_critical_fields_ask_for_a_reason(pack: Blueprint, name: str) -> None:
    fields = pack.entity(name).fields
    assert [each for each in REGULATED[name].split() if not fields[each].regulated] == []


@pytest.mark.parametrize("name", SIGNED)
def test_signed_states_are_reached_only_with_a_signature_of_the_right_meaning(pack: Blueprint, name: str) -> None:
    moves = pack.entity(name).transitions.values()
    for state, meaning in SIGNED[name].items():
        assert {move.sign for move in moves if move.target == state} == {meaning}


@pytest.mark.parametrize("name", STATES)
def test_states_follow_the_domain_and_all_can_be_reached(pack: Blueprint, name: str) -> None:
    entity = pack.entity(name)
    assert " ".join(entity.states) == STATES[name]
    assert entity.initial == STATES[name].split()[0]
    assert set(entity.states) - {move.target for move in entity.transitions.values()} <= {entity.initial}


@pytest.mark.parametrize("name", MAIN)
def test_each_entity_has_the_class_and_scope_of_the_domain(pack: Blueprint, name: str) -> None:
    entity = pack.entity(name)
    assert name not in RECORDS or entity.cls == EntityClass.RECORD
    assert entity.site_scoped == (name not in OF_THE_GROUP)


@pytest.mark.parametrize("name", FIELDS)
def test_everything_speaks_both_languages(pack: Blueprint, name: str) -> None:
    entity = pack.entity(name)
    texts = [entity.label, *(each.label for each in entity.fields.values() if each.origin is Origin.DECLARED)]
    texts += [each.help for each in entity.fields.values() if each.help]
    texts += [each.label for each in entity.states.values()]
    texts += [each.label for each in entity.transitions.values()]
    texts += [each.say for each in entity.rules]
    texts += [each.say for each in entity.transitions.values() if each.when]
    assert [text for text in texts if not (text.zh and text.en)] == []


@pytest.mark.parametrize("name", MAIN)
def test_each_entity_has_help_system_and_steward(pack: Blueprint, name: str) -> None:
    entity = pack.entity(name)
    assert entity.help.zh
    assert entity.help.en
    assert entity.system in pack.code_lists["system"].codes
    assert entity.steward in pack.code_lists["job_role"].codes
    if entity.part_of is None and not entity.derived:
        assert entity.retention is not None
        assert entity.retention.basis


def test_what_an_implant_is_traced_by_is_kept_for_ever(pack: Blueprint) -> None:
    for name in FOR_EVER:
        retention = pack.entity(name).retention
        assert retention is not None
        assert retention.years is None, name


def test_personal_data_is_marked(pack: Blueprint) -> None:
    for name, fields in PERSONAL.items():
        personal = {each.name for each in pack.entity(name).fields.values() if each.personal}
        assert personal == set(fields.split())


def test_balances_come_only_from_movements(pack: Blueprint) -> None:
    assert pack.entity("inventory_balance").derived
    assert {each.to for each in pack.entity("inventory_movement").postings} == {"inventory_balance"}


def test_revisions_name_the_change_that_releases_them(pack: Blueprint) -> None:
    for name in ("inspection_plan", "technical_requirement"):
        entity = pack.entity(name)
        assert entity.fields["change_order"].targets == ("change_order",)
        assert "released_by_change" in {rule.name for rule in entity.rules}


def test_choices_of_the_domain_are_complete(pack: Blueprint) -> None:
    def codes(entity: str, field: str) -> str:
        found = pack.entity(entity).fields[field]
        assert found.kind in (FieldKind.CHOICE, FieldKind.CHOICES)
        assert found.code_list
        return " ".join(pack.code_lists[found.code_list].codes)

    assert codes("lot", "source") == "purchase production split merge rework"
    assert codes("lot", "quality_status") == (
        "quarantine released conditional blocked rejected expired recalled scrapped"
    )
    assert codes("inventory_movement", "type") == (
        "receipt issue transfer adjust ship return scrap block unblock reserve unreserve"
    )
    assert codes("release_decision", "kind") == "incoming production market"
    assert codes("release_decision", "outcome") == "release conditional reject"
    assert codes("inspection_plan", "stage") == "IQC IPQC FQC OQC"
    assert codes("inspection_plan", "sampling") == "full aql c0 skip"
    assert codes("inspection_plan", "level") == "S1 S2 S3 S4 I II III"
    assert codes("inspection_lot", "severity") == "normal tightened reduced"
    assert codes("inspection_lot", "judgement") == "accept reject concession"
    assert codes("nonconformance", "source") == "IQC IPQC FQC OQC audit complaint supplier stability"
    assert codes("nonconformance", "disposition") == "use_as_is rework regrade scrap return"
    assert codes("complaint", "harm") == "none minor serious death unknown"
    assert codes("adverse_event", "category") == (
        "death serious_injury potential malfunction group public_threat remedial_5day"
    )
    assert codes("field_action", "measures") == (
        "warn inspect repair relabel revise_ifu software replace withdraw destroy"
    )
    assert codes("registration", "kind") == (
        "NMPA_reg NMPA_filing CE_QMS CE_TD FDA_510k FDA_PMA FDA_listing ISO13485 mfg_licence dist_licence"
    )
    assert codes("legal_entity", "roles") == "registrant manufacturer contract_manufacturer distributor"
    assert codes("appointment", "kind") == (
        "process_owner data_steward data_quality_ambassador management_representative"
    )
    assert codes("improvement", "source") == "workshop interview salon mining kpi audit"
