"""The actions of this plugin, by the names that clew.yaml gives them."""

from __future__ import annotations

from collections.abc import Mapping

from clew.sdk import Act, hookimpl
from group_operations import (
    allocation,
    changes,
    containment,
    duties,
    filing,
    history,
    looking,
    master_data,
    orders,
    planning,
    returns,
    sampling,
    stock,
    supply,
)


@hookimpl
def clew_actions() -> Mapping[str, Act]:
    return {
        "freeze_structure": orders.freeze_structure,
        "open_lot": orders.open_lot,
        "stop_for_parameter": orders.stop_for_parameter,
        "count_series": sampling.count_series,
        "open_final_inspection": sampling.open_final_inspection,
        "draft_test_report": history.draft_test_report,
        "receive_finished": stock.receive_finished,
        "compile_history": history.compile_history,
        "draft_certificate": history.draft_certificate,
        "survey_change": changes.survey_change,
        "put_into_effect": changes.put_into_effect,
        "mark_requisition": changes.mark_requisition,
        "change_over_document": changes.change_over_document,
        "find_lots_of_deviation": containment.find_lots_of_deviation,
        "hold_nonconforming": containment.hold_what_is_named,
        "hold_in_scope": containment.hold_what_is_named,
        "find_related_lots": containment.find_related_lots,
        "open_field_action": containment.open_field_action,
        "open_capa": containment.open_capa,
        "read_device": looking.read_device,
        "find_duplicates": master_data.find_duplicates,
        "take_code": master_data.take_code,
        "make_master_data": master_data.make_master_data,
        "drop_draft": master_data.drop_draft,
        "compare_submission": filing.compare_submission,
        "plan_answers": filing.plan_answers,
        "seal_submission": filing.seal_submission,
        "watch_papers": duties.watch_papers,
        "score_suppliers": duties.score_suppliers,
        "find_unsourced": supply.find_unsourced,
        "take_in": supply.take_in,
        "net_requirements": planning.net_requirements,
        "release_needs": planning.release_needs,
        "allocate": allocation.allocate,
        "reallocate": allocation.reallocate,
        "give_back": allocation.give_back,
        "dispatch": allocation.dispatch,
        "take_back": returns.take_back,
        "book_return": returns.book_return,
        "settle_return": returns.settle_return,
        "draft_invoice": allocation.draft_invoice,
    }
