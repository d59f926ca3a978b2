"""The first half of the medical-device pack: organisation and people, master data, structure, documents, design, risk.

The tables below are transcribed from the domain reference, not from the models, so that a field or a signature lost
from a model is noticed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from clew.metadata.blueprint import Blueprint, Entity, EntityClass, FieldKind, Origin
from clew.metadata.load import load_folder

ROOT = Path(__file__).resolve().parents[2]

FIELDS = {
    "site": "code name legal_entity uscc country tz calendar gln",
    "department": "site code name parent manager function",
    "employee": "emp_no login_id printed_name department email id_verified_at esig_statement_at",
    "role": "code permissions sod_group",
    "role_assignment": "employee role scope_site scope_family kind valid_from valid_to granted_by",
    "training_course": "code document_revision required_roles required_operations validity_months assess pass_score",
    "training_record": "employee course document_revision attempt score completed_at expires_on trainer",
    "unit": "code dimension factor decimals",
    "item": "item_no name type base_uom class_cn class_eu class_us implantable sterile active trace_level shelf_life "
    "storage_min storage_max make_buy criticality per_site service_life change_order",
    "item_per_site": "owner site lead_time safety_stock cost",
    "udi_device": "issuer di item package_level contains qty basic_udi_di pi_flags market db_status published_at",
    "location": "site code type sellable temp_min temp_max",
    "working_calendar": "code tz week_pattern exceptions valid_year",
    "reason_code": "code kind imdrf_code severity_default",
    "supplier": "supplier_no uscc name kind risk_class licences quality_agreement agreement_expires",
    "supplier_approval": "supplier item category site basis valid_to",
    "supplier_scorecard": "supplier period lot_accept ppm on_time open_scar score grade",
    "customer": "customer_no name kind licence_no licence_scope licence_expires market gln",
    "equipment": "asset_no kind model location qualification cal_interval next_cal next_pm sw_version",
    "calibration": "equipment performed_on as_found as_left tolerance result certificate_no lab traceable_to "
    "certificate",
    "document": "doc_no title type owner retention_rule language",
    "document_revision": "document rev file sha256 effective_from effective_to change_order review_due site author "
    "reviewer approver",
    "bom": "item site kind rev effective_from effective_to from_serial to_serial change_order",
    "bom_line": "owner line component qty scrap alt_group priority effective_from effective_to trace_required",
    "routing": "item site rev bom change_order",
    "operation": "owner seq work_center setup_time run_time special_process validation equipment_class sop "
    "required_courses second_person",
    "operation_parameter": "owner seq name uom lsl target usl critical source",
    "change_request": "number type origin reason urgency class impacts reg_impact",
    "change_order": "change_request effective_on effective_lot effective_serial effective_sites effective_markets "
    "effectiveness_due affected_items",
    "affected_item": "change_order object from_rev to_rev action stock_disposition wip_disposition open_po_disposition",
    "design_project": "number family leader phase risk_file",
    "requirement": "number source text priority project",
    "design_input": "number requirements text criterion category",
    "design_output": "number inputs document_revision essential",
    "design_review": "project phase participants independent_reviewer actions conclusion",
    "verification": "number inputs outputs protocol report sample_size rationale result",
    "validation": "number kind representative_units result revalidate_by protocol report",
    "risk_item": "number project hazard situation harm severity probability level control_kind control "
    "implementation_ref effectiveness_ref residual_severity residual_probability new_risks benefit_risk",
}

REGULATED = {
    "employee": "login_id printed_name id_verified_at esig_statement_at",
    "role_assignment": "granted_by",
    "training_record": "completed_at",
    "item": "implantable sterile active trace_level",
    "udi_device": "di",
    "supplier": "uscc name kind risk_class quality_agreement agreement_expires",
    "equipment": "kind model location qualification cal_interval next_cal next_pm sw_version",
    "calibration": "as_found as_left tolerance",
    "document_revision": "sha256",
    "operation": "special_process",
    "change_request": "class",
    "change_request_reg_impact": "market verdict",
    "design_output": "essential",
    "verification": "result",
    "validation": "result",
    "risk_item": "hazard situation harm severity probability control_kind control implementation_ref "
    "effectiveness_ref residual_severity residual_probability new_risks benefit_risk",
}
"""Fields whose change needs a reason."""

SIGNED = {
    "role": {"active": "approval"},
    "role_assignment": {"active": "approval"},
    "training_record": {"passed": "verification"},
    "item": {"active": "approval"},
    "udi_device": {"published": "approval"},
    "supplier": {"approved": "approval"},
    "supplier_approval": {"active": "approval"},
    "customer": {"qualified": "approval"},
    "equipment": {"qualified": "approval"},
    "calibration": {"reviewed": "review"},
    "document_revision": {"approved": "approval"},
    "bom": {"released": "release"},
    "routing": {"released": "release"},
    "change_request": {"approved": "approval", "rejected": "approval"},
    "change_order": {"released": "release", "closed": "approval"},
    "design_project": {"closed": "approval"},
    "design_input": {"approved": "approval"},
    "design_output": {"approved": "approval"},
    "design_review": {"concluded": "approval"},
    "verification": {"protocol_approved": "approval", "reported": "verification"},
    "validation": {"protocol_approved": "approval", "reported": "verification"},
    "risk_item": {"accepted": "approval"},
}
"""States that are reached only with an electronic signature, and what it means."""

STATES = {
    "site": "active closed",
    "department": "active closed",
    "employee": "pending active suspended left",
    "role": "draft active retired",
    "role_assignment": "requested active expired revoked",
    "training_course": "draft effective retired",
    "training_record": "assigned passed failed expired",
    "unit": "active retired",
    "item": "draft in_review active phase_out obsolete",
    "udi_device": "assigned submitted published discontinued",
    "location": "active closed",
    "working_calendar": "draft published retired",
    "reason_code": "active retired",
    "supplier": "candidate evaluating approved conditional suspended disqualified",
    "supplier_approval": "draft active expired withdrawn",
    "supplier_scorecard": "computed confirmed",
    "customer": "prospect qualified blocked",
    "equipment": "new qualified due overdue out_of_service retired",
    "calibration": "recorded reviewed",
    "document": "active withdrawn",
    "document_revision": "draft in_review approved effective superseded withdrawn",
    "bom": "draft in_review released superseded",
    "routing": "draft in_review released superseded",
    "change_request": "draft screening assessing board approved rejected deferred closed",
    "change_order": "planned executing verifying released closed cancelled",
    "affected_item": "open done",
    "design_project": "active on_hold closed",
    "requirement": "new accepted rejected implemented verified",
    "design_input": "draft approved changed",
    "design_output": "draft approved",
    "design_review": "planned held concluded",
    "verification": "planned protocol_approved executed reported",
    "validation": "planned protocol_approved executed reported",
    "risk_item": "identified evaluated controlled verified accepted reopened",
}

RECORDS = {
    "training_record", "supplier_scorecard", "calibration", "document_revision", "design_review", "verification",
    "validation",
}  # fmt: skip
TRANSACTIONS = {
    "role_assignment", "change_request", "change_order", "affected_item", "design_project", "requirement",
    "design_input", "design_output", "risk_item",
}  # fmt: skip
PERSONAL = {"employee": "printed_name email phone", "supplier": "contact", "customer": "contact phone"}
OF_A_SITE = ("department", "location", "supplier_approval", "equipment", "document_revision", "bom", "routing")
UNIQUE = {
    "department": "site code",
    "item": "item_no",
    "udi_device": "issuer di",
    "location": "site code",
    "supplier_approval": "supplier item site",
    "supplier_scorecard": "supplier period",
    "calibration": "lab certificate_no",
    "training_record": "employee course document_revision attempt",
    "bom": "item site kind rev",
    "bom_line": "owner line",
    "operation": "owner seq",
    "affected_item": "change_order object",
}


@pytest.fixture(scope="module")
def pack() -> Blueprint:
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None, loaded.diagnostics
    return loaded.blueprint


def readable(entity: Entity) -> set[str]:
    return set(entity.fields) | set(entity.inverses)


def test_the_whole_project_loads_without_a_finding() -> None:
    assert list(load_folder(ROOT).diagnostics) == []


@pytest.mark.parametrize("name", FIELDS)
def test_every_listed_field_exists(pack: Blueprint, name: str) -> None:
    assert set(FIELDS[name].split()) <= readable(pack.entity(name))


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


@pytest.mark.parametrize("name", STATES)
def test_each_entity_has_the_class_of_the_domain(pack: Blueprint, name: str) -> None:
    expected = EntityClass.RECORD if name in RECORDS else EntityClass.TRANSACTION if name in TRANSACTIONS else None
    assert pack.entity(name).cls == (expected or EntityClass.MASTER)


@pytest.mark.parametrize("name", FIELDS)
def test_everything_speaks_both_languages(pack: Blueprint, name: str) -> None:
    entity = pack.entity(name)
    texts = [entity.label, *(each.label for each in entity.fields.values() if each.origin is Origin.DECLARED)]
    texts += [state.label for state in entity.states.values()] + [move.label for move in entity.transitions.values()]
    texts += [rule.say for rule in entity.rules] + [move.say for move in entity.transitions.values() if move.when]
    assert all(text.zh and text.en for text in texts)


@pytest.mark.parametrize("name", STATES)
def test_each_entity_has_help_system_steward_and_retention(pack: Blueprint, name: str) -> None:
    entity = pack.entity(name)
    assert entity.help.zh
    assert entity.help.en
    assert entity.system in pack.code_lists["system"].codes
    assert entity.steward in pack.code_lists["job_role"].codes
    assert entity.retention is not None
    assert entity.retention.basis


def test_personal_data_is_marked(pack: Blueprint) -> None:
    for name, fields in PERSONAL.items():
        personal = {each.name for each in pack.entity(name).fields.values() if each.personal}
        assert personal == set(fields.split())


@pytest.mark.parametrize("name", OF_A_SITE)
def test_site_bound_entities_belong_to_one_site(pack: Blueprint, name: str) -> None:
    assert pack.entity(name).site_scoped


@pytest.mark.parametrize("name", UNIQUE)
def test_business_keys_are_unique(pack: Blueprint, name: str) -> None:
    assert tuple(UNIQUE[name].split()) in {each.fields for each in pack.entity(name).uniques}


def test_choices_of_the_domain_are_complete(pack: Blueprint) -> None:
    def codes(entity: str, field: str) -> str:
        found = pack.entity(entity).fields[field]
        assert found.kind in (FieldKind.CHOICE, FieldKind.CHOICES)
        assert found.code_list
        return " ".join(pack.code_lists[found.code_list].codes)

    assert (
        codes("department", "function") == "rd ra qa qc prod process plan purchase wh sales service finance it clinical"
    )
    assert codes("item", "type") == "raw component semi finished packaging label consumable spare software"
    assert codes("item", "class_eu") == "NA I Is Im Ir IIa IIb III"
    assert codes("udi_device", "issuer") == "GS1 HIBCC ICCBBA CN_MIIT ALIHEALTH"
    assert codes("location", "type") == "raw wip finished quarantine rejected returned recalled"
    assert codes("supplier", "kind") == "material component service outsourced_process sterilisation"
    assert codes("equipment", "kind") == "production measuring utility computer_system"
    assert codes("document", "type") == (
        "SOP WI spec drawing IFU label_art form protocol report policy certificate technical_file"
    )
    assert codes("change_request", "type") == "design material process supplier document label software equipment site"
    assert codes("change_request_reg_impact", "verdict") == "none report file new"
    assert codes("affected_item", "stock_disposition") == "use rework scrap return hold"
    assert codes("validation", "kind") == (
        "design clinical process_iq process_oq process_pq software packaging sterilisation computer_system"
    )
    assert codes("risk_item", "level") == "acceptable reduce unacceptable"
