"""The actions of this plugin, by the names that clew.yaml gives them."""

from __future__ import annotations

from collections.abc import Mapping

from clew.sdk import Act, hookimpl
from group_operations import allocation, duties, history, orders, planning, sampling, supply


@hookimpl
def clew_actions() -> Mapping[str, Act]:
    return {
        "freeze_structure": orders.freeze_structure,
        "open_lot": orders.open_lot,
        "stop_for_parameter": orders.stop_for_parameter,
        "open_final_inspection": sampling.open_final_inspection,
        "draft_test_report": history.draft_test_report,
        "compile_history": history.compile_history,
        "draft_certificate": history.draft_certificate,
        "watch_papers": duties.watch_papers,
        "score_suppliers": duties.score_suppliers,
        "take_in": supply.take_in,
        "net_requirements": planning.net_requirements,
        "release_needs": planning.release_needs,
        "allocate": allocation.allocate,
        "reallocate": allocation.reallocate,
        "dispatch": allocation.dispatch,
        "draft_invoice": allocation.draft_invoice,
    }
