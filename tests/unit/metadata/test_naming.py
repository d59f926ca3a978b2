"""Derived names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.metadata import naming


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("lot", "lots"),
        ("bom", "boms"),
        ("capa", "capas"),
        ("nonconformance", "nonconformances"),
        ("inventory", "inventories"),
        ("inventory_balance", "inventory_balances"),
        ("bom_line", "bom_lines"),
        ("address", "addresses"),
        ("lot_status", "lot_statuses"),
        ("key", "keys"),
        ("box", "boxes"),
        ("batch", "batches"),
        ("analysis", "analyses"),
        ("person", "people"),
        ("criterion", "criteria"),
        ("equipment", "equipments"),
        ("series", "series"),
        ("matrix", "matrices"),
        ("udi", "udis"),
        ("country", "countries"),
        ("day", "days"),
    ],
)
def test_plural(one: str, many: str) -> None:
    assert naming.plural(one) == many


def test_graphql_names() -> None:
    assert naming.type_name("purchase_order_line") == "PurchaseOrderLine"
    assert naming.field_name("supplier_lot") == "supplierLot"
    assert naming.list_query("inventory_balances") == "inventoryBalances"
    assert naming.one_query("bom_line") == "bomLine"
    assert naming.key_query("lot", ("number",)) == "lotByNumber"
    assert naming.key_query("udi_device", ("issuer", "di")) == "udiDeviceByIssuerAndDi"
    assert naming.create_mutation("lot") == "createLot"
    assert naming.update_mutation("lot") == "updateLot"
    assert naming.void_mutation("lot") == "voidLot"
    assert naming.transition_mutation("lot", "send_back") == "sendBackLot"
    assert naming.enum_name("severity") == "SeverityCode"
    assert naming.human("supplier_lot") == "Supplier lot"


@given(
    st.from_regex(r"[a-z][a-z]*(_[a-z]+){0,4}", fullmatch=True),
    st.from_regex(r"[a-z][a-z]*(_[a-z]+){0,4}", fullmatch=True),
)
def test_names_without_digits_never_clash(one: str, other: str) -> None:
    assert (naming.field_name(one) == naming.field_name(other)) == (one == other)


@given(st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True))
def test_names_are_graphql_names(name: str) -> None:
    assert naming.field_name(name).isidentifier()
    assert naming.type_name(name)[:1].isalpha()
