"""Physical names: stable through renames, fresh for whatever is new, within every limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clew.storage.catalog import NAME_LIMIT, Catalog, fit
from clew.testing.blueprints import blueprint, entity, field

OLD = blueprint(
    entity("lot", [field("supplier_lot"), field("qty", "decimal", scale=2), field("parts", "many", targets=("lot",))])
)


def test_rename_keeps_the_physical_names() -> None:
    new = blueprint(
        entity(
            "batch",
            [
                field("vendor_lot", renamed_from=("supplier_lot",)),
                field("qty", "decimal", scale=2),
                field("pieces", "many", targets=("batch",), renamed_from=("parts",)),
            ],
            renamed_from=("lot",),
        )
    )
    before, after = Catalog.first(OLD).entities["lot"], Catalog.first(OLD).evolve(OLD, new).entities["batch"]
    assert (after.table, after.history) == (before.table, before.history)
    assert after.columns["vendor_lot"] == before.columns["supplier_lot"]
    assert after.links["pieces"] == before.links["parts"]


def test_dropped_and_created_again_is_fresh() -> None:
    without = blueprint(entity("lot", [field("qty", "decimal", scale=2)]))
    nothing = blueprint(entity("other", []))
    first = Catalog.first(OLD)
    again = first.evolve(OLD, without).evolve(without, OLD)
    assert again.entities["lot"].columns["supplier_lot"] != first.entities["lot"].columns["supplier_lot"]
    assert again.entities["lot"].links["parts"].table != first.entities["lot"].links["parts"].table
    reborn = first.evolve(OLD, nothing).evolve(nothing, OLD)
    assert reborn.entities["lot"].table != first.entities["lot"].table


def test_another_stored_form_gets_a_fresh_column() -> None:
    new = blueprint(entity("lot", [field("supplier_lot", "long_text"), field("qty", "decimal", scale=4)]))
    before, after = Catalog.first(OLD).entities["lot"], Catalog.first(OLD).evolve(OLD, new).entities["lot"]
    assert after.columns["supplier_lot"] == before.columns["supplier_lot"], "text and long text are stored alike"
    assert after.columns["qty"] != before.columns["qty"]


def test_long_and_reserved_names() -> None:
    long = "a" * 48
    project = blueprint(
        entity(long, [field(long, "many", targets=(long,)), field("b" * 48, "any", targets=(long,))]),
        entity("a" * 47 + "b", [field("ctid"), field("tx_from")]),
        entity("order", [field("select"), field("user")]),
        entity("clew_release", []),
    )
    catalog = Catalog.first(project)
    tables = [table for name in catalog.entities for table in catalog.tables_of(name)]
    assert len(set(tables)) == len(tables)
    assert all(len(f"{table}_p202611") <= NAME_LIMIT for table in tables)
    assert all(len(each) <= NAME_LIMIT for names in catalog.entities.values() for each in names.columns.values())
    assert catalog.entities["clew_release"].table != "clew_release"
    assert not {"ctid", "tx_from"} & set(catalog.entities["a" * 47 + "b"].columns.values())


def test_json_round_trip() -> None:
    without = blueprint(entity("lot", [field("qty", "decimal", scale=2)]))
    catalog = Catalog.first(OLD).evolve(OLD, without)
    assert Catalog.from_json(catalog.to_json()) == catalog
    assert catalog.retired_columns


@given(st.lists(st.text("ab_", min_size=1, max_size=80), min_size=1, max_size=30), st.integers(12, 63))
def test_fitted_names_are_distinct_and_short(names: list[str], limit: int) -> None:
    taken: set[str] = set()
    for name in names:
        fitted = fit(name, limit, taken)
        assert len(fitted) <= limit
        assert fitted not in taken
        taken.add(fitted)
