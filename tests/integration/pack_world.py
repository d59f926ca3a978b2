"""A small plant that runs the shipped pack: people, stock, an order to a supplier, a running work order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.integration.uploaded_file import uploaded
from tests.integration.write_journey import AnySigner, Plant, context

from clew.access.decision import permit_all
from clew.expressions.tree import Literal
from clew.metadata.blueprint import Blueprint, FieldKind
from clew.metadata.load import load_folder
from clew.records.commands import Call, Commands
from clew.records.loading import Loader
from clew.records.values import AnyRef, Money
from clew.storage import releases
from clew.storage.engine import Connection, Database
from clew.storage.tables import Tables
from clew.testing.databases import TestDatabase

ROOT = Path(__file__).resolve().parents[2]
BORN = datetime(2026, 1, 5, 8, tzinfo=UTC)
TODAY = datetime.now(UTC).date()
LATER = TODAY + timedelta(days=400)


@cache
def pack() -> Blueprint:
    loaded = load_folder(ROOT)
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


async def furnish(database: Database) -> dict[str, UUID]:
    """Put the small plant into a database with the pack; its records by name."""
    release, ids = await releases.current(database), dict[str, UUID]()
    tables = Tables(pack(), release.catalog, database.dialect)

    async def fill(connection: Connection) -> None:
        ids.clear()
        loader = Loader(connection, tables, context(), release.digest)
        await loader.begin()
        World(loader, ids).build()
        await loader.finish()

    await database.run_write(fill)
    return ids


async def pack_plant(test: TestDatabase) -> Plant:
    """The pack installed on a database, with the small plant in it."""
    database, ids = await test.furnished(pack(), furnish)
    return await open_plant(database, ids)


async def open_plant(database: Database, ids: dict[str, UUID] | None = None) -> Plant:
    """The pack as it is installed on a database."""
    blueprint = pack()
    release = await releases.current(database)
    tables = Tables(blueprint, release.catalog, database.dialect)
    commands = Commands(
        database, blueprint, tables, release=release.digest, signer=AnySigner(), blobs=await uploaded(database)
    )
    decision = permit_all(blueprint)
    return Plant(database, blueprint, tables, commands, decision, Call(context(), decision, foreign=True), ids or {})


class World:
    """Fills the plant. Names in `ids` are what tests ask for."""

    def __init__(self, loader: Loader, ids: dict[str, UUID]) -> None:
        self.loader, self.ids = loader, ids

    def add(self, name: str, entity: str, /, **values: Any) -> UUID:
        given = {**literal_defaults(entity), **values}
        self.ids[name] = self.loader.add(entity, given, at=BORN)
        return self.ids[name]

    def build(self) -> None:
        self.organisation()
        self.goods()
        self.purchase()
        self.inspection()
        self.structure()
        self.sales()
        self.lots()
        self.production()

    def organisation(self) -> None:
        legal = self.add("legal", "legal_entity", code="LE1", name="远山医疗", country="DE", roles=("manufacturer",))
        site = self.add(
            "site", "site", code="SUZ", name="苏州工厂", legal_entity=legal, country="CN", tz="Asia/Shanghai"
        )
        department = self.add("department", "department", site=site, code="QC", name="质量控制部", function="qc")
        for name in ("li", "zhao"):
            self.add(
                name, "employee", emp_no=name.upper(), login_id=name, printed_name=name, department=department,
                state="active",
            )  # fmt: skip

        document = self.add(
            "document", "document", doc_no="label_art-SUZ-0001", title="输液泵标签", type="label_art", owner=department,
            language="zh",
        )  # fmt: skip
        file = {"name": "label.pdf", "sha256": "0" * 64, "size": 1, "media_type": "application/pdf"}
        self.add(
            "label", "document_revision", site=site, document=document, rev="A", file=(file,), author=self.ids["li"],
            state="effective",
        )  # fmt: skip

    def goods(self) -> None:
        unit = self.add(
            "pcs",
            "unit",
            code="pcs",
            name={"zh": "件", "en": "piece"},
            dimension="count",
            factor=Decimal(1),
            decimals=0,
        )
        common = {"base_uom": unit, "state": "active", "trace_level": "lot"}
        self.add("steel", "item", item_no="IT-STEEL", name="钢管", type="raw", make_buy="buy", **common)
        self.add(
            "pump", "item", item_no="IT-PUMP", name="输液泵", type="finished", make_buy="make",
            shelf_life=Decimal(365), **common,
        )  # fmt: skip
        for name, kind in (("raw", "raw"), ("store", "finished"), ("back", "returned")):
            sold = kind == "finished"
            self.add(name, "location", site=self.ids["site"], code=name.upper(), type=kind, sellable=sold)

    def purchase(self) -> None:
        supplier = self.add(
            "supplier", "supplier", supplier_no="SUP000001", name="精工钢材", kind="material", risk_class="A",
            state="approved",
        )  # fmt: skip
        site, steel = self.ids["site"], self.ids["steel"]
        self.add(
            "approval", "supplier_approval", site=site, number="SA-SUZ-000001", supplier=supplier, item=steel,
            basis="audit", valid_to=LATER, state="active",
        )  # fmt: skip
        order = self.add(
            "po", "purchase_order", site=site, number="PO-SUZ-2026-000001", supplier=supplier, buyer=self.ids["li"],
            ordered_on=BORN.date(), state="confirmed",
        )  # fmt: skip
        self.add(
            "po_line", "purchase_order_line", site=site, po=order, line=1, item=steel, qty=Decimal(100),
            tolerance=Decimal(5), cert_required="en10204_3_1",
        )  # fmt: skip

    def inspection(self) -> None:
        plan = self.add(
            "plan", "inspection_plan", number="IP-1", rev="A", name="钢管进货检验", item=self.ids["steel"],
            stage="IQC", sampling="c0", state="effective",
        )  # fmt: skip
        self.add(
            "diameter", "inspection_characteristic", owner=plan, seq=1, name="外径", kind="variable", unit="mm",
            decimals=2, lsl=Decimal("4.90"), usl=Decimal("5.10"), severity="critical",
        )  # fmt: skip

    def structure(self) -> None:
        site, pump = self.ids["site"], self.ids["pump"]
        bom = self.add("bom", "bom", site=site, item=pump, kind="MBOM", rev="A", state="released")
        self.add("bom_line", "bom_line", owner=bom, line=10, component=self.ids["steel"], qty=Decimal(2))
        routing = self.add("routing", "routing", site=site, item=pump, rev="A", state="released")
        self.add("operation", "operation", owner=routing, seq=10, name="组装", work_center="A1")

    def sales(self) -> None:
        site = self.ids["site"]
        customer = self.add(
            "customer", "customer", customer_no="CUS000001", name="市立医院", kind="hospital", market="CN",
            licence_no="L1", licence_scope=("III",), licence_expires=LATER, state="qualified",
        )  # fmt: skip
        order = self.add(
            "order", "sales_order", site=site, number="SO-SUZ-2026-000001", customer=customer, market="CN",
            ordered_on=BORN.date(), state="allocated",
        )  # fmt: skip
        self.add(
            "order_line", "sales_order_line", owner=order, line=1, item=self.ids["pump"], qty=Decimal(5), due=LATER
        )
        self.add("defect", "reason_code", kind="defect", code="D1", name={"zh": "划伤", "en": "Scratch"})

    def lots(self) -> None:
        steel = {"item": self.ids["steel"], "source": "purchase", "supplier": self.ids["supplier"]}
        for name, state in (("good", "released"), ("held", "released"), ("blocked", "blocked"), ("new", "quarantine")):
            self.lot(name, state=state, supplier_lot=f"H-{name}", **steel)
        self.lot("stale", state="released", supplier_lot="H-stale", exp_on=TODAY - timedelta(days=1), **steel)
        self.add(
            "hold", "inventory_hold", site=self.ids["site"], number="HD-SUZ-2026-000001", lot=self.ids["held"],
            cause=AnyRef("nonconformance", self.ncr()), because="待查", placed_at=BORN,
        )  # fmt: skip

    def lot(self, name: str, /, **values: Any) -> UUID:
        return self.add(name, "lot", site=self.ids["site"], lot_no=f"L-{name.upper()}", **values)

    def ncr(self) -> UUID:
        return self.add(
            "ncr", "nonconformance", site=self.ids["site"], number="NCR-SUZ-2026-000001", source="IQC", found_at=BORN,
            item=self.ids["steel"], lots=[self.ids["held"]], description="划伤", defect=self.ids["defect"],
            severity="minor",
        )  # fmt: skip

    def production(self) -> None:
        site = self.ids["site"]
        work = self.add(
            "work", "work_order", site=site, number="WO-SUZ-2026-000001", item=self.ids["pump"], bom=self.ids["bom"],
            routing=self.ids["routing"], qty=Decimal(10), state="running",
        )  # fmt: skip
        self.add(
            "frozen", "work_order_components", owner=work, bom_line=self.ids["bom_line"],
            component=self.ids["steel"], qty=Decimal(20),
        )  # fmt: skip
        made = self.lot(
            "made", item=self.ids["pump"], source="production", work_order=work, mfg_on=date(2026, 1, 5),
            exp_on=date(2027, 1, 5), state="quarantine",
        )  # fmt: skip
        self.add(
            "execution", "operation_execution", site=site, number="OE-SUZ-2026-00000001", work_order=work,
            operation=self.ids["operation"], lot=made, operator=self.ids["li"], state="running", started_at=BORN,
        )  # fmt: skip


@cache
def literal_defaults(entity: str) -> Mapping[str, Any]:
    """Defaults that are written out; `now` and `today` are for the world to say."""
    found: dict[str, Any] = {}
    for each in pack().entities[entity].fields.values():
        if each.default is None or not isinstance(each.default.root, Literal):
            continue
        value = each.default.root.value
        decimal = each.kind is FieldKind.DECIMAL and isinstance(value, int)
        found[each.name] = Decimal(value) if decimal else value  # type: ignore[arg-type]
    return found


__all__ = ["BORN", "LATER", "ROOT", "TODAY", "AnyRef", "Money", "Plant", "World", "open_plant", "pack", "pack_plant"]
