"""A decision covers what it names: a quantity, a scope, a market, and no more afterwards than when it was made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.integration.pack_world import BORN, LATER, AnyRef, Plant, World, pack_plant
from tests.integration.test_pack_rules import created, move, refused, refused_move
from tests.integration.test_release_refused import asked, finished, furnish, market, not_decided, not_released
from tests.integration.test_release_stands import broken, day, update

from clew.records.errors import GuardFailed, KeptInList, RuleBroken
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
async def plant(database: TestDatabase) -> AsyncIterator[Plant]:
    made = await pack_plant(database)
    await furnish(made, market)
    yield made
    await made.database.close()


async def shrinks(plant: Plant, entity: str, record: UUID, **values: Any) -> None:
    with pytest.raises(KeptInList):
        await update(plant, entity, record, **values)


def use(plant: Plant, lot: str, qty: str = "1") -> dict[str, Any]:
    ids = plant.ids
    of = {"execution": ids["execution"], "work_order": ids["work"], "bom_line": ids["bom_line"]}
    return {"site": ids["site"], "component_lot": ids[lot], "qty": qty, "consumed_by": ids["li"], **of}


async def test_a_concession_covers_its_quantity(plant: Plant) -> None:
    """What a board concedes is less than what does not conform: the lot stays out of use until the rest is scrapped."""
    ids = plant.ids

    def room(world: World) -> None:
        about = {
            "site": ids["site"], "source": "IQC", "found_at": BORN, "item": ids["steel"], "description": "划伤",
            "defect": ids["defect"], "severity": "minor", "containment": "隔离", "disposition": "use_as_is",
            "justification": "可用", "concession_qty": Decimal(4), "concession_until": LATER,
            "executed_by": ids["li"], "verified_by": ids["zhao"],
        }  # fmt: skip
        for name, qty, state in (("part", 10, "executing"), ("unknown", None, "closed"), ("whole", 4, "closed")):
            lot = world.lot(
                f"{name}:lot", item=ids["steel"], source="purchase", supplier=ids["supplier"], supplier_lot=name,
                state="released",
            )  # fmt: skip
            qty = None if qty is None else Decimal(qty)
            world.add(f"{name}:ncr", "nonconformance", number=f"NCR-{name}", lots=[lot], qty=qty, state=state, **about)
        world.add(
            "part:stock", "inventory_balance", site=ids["site"], location=ids["raw"], item=ids["steel"],
            lot=ids["part:lot"], quality_status="released", on_hand=Decimal(10), reserved=Decimal(0),
        )  # fmt: skip
        world.add("away", "reason_code", kind="void", code="V1", name={"zh": "报废", "en": "Scrap"})

    await furnish(plant, room)
    await created(plant, "material_consumption", **use(plant, "whole:lot"))
    await refused(plant, "material_consumption", "lot_usable", **use(plant, "unknown:lot"))
    ncr = ids["part:ncr"]
    await refused_move(plant, "nonconformance", ncr, "verify", GuardFailed)
    await shrinks(plant, "nonconformance", ncr, lots=[ids["good"]])  # nor does the lot leave its nonconformance
    await broken(plant, "disposition_stands", "nonconformance", ncr, concession_qty="10")
    scrap = {
        "site": ids["site"], "type": "scrap", "item": ids["steel"], "lot": ids["part:lot"], "from_location": ids["raw"],
        "from_status": "released", "reason": ids["away"], "performed_by": ids["li"], "witnessed_by": ids["zhao"],
    }  # fmt: skip
    await created(plant, "inventory_movement", qty="3", doc=AnyRef("nonconformance", ncr), **scrap)
    await created(plant, "inventory_movement", qty="1", doc=AnyRef("nonconformance", ids["whole:ncr"]), **scrap)
    await refused_move(plant, "nonconformance", ncr, "verify", GuardFailed)
    await created(plant, "inventory_movement", qty="3", doc=AnyRef("nonconformance", ncr), **scrap)
    await move(plant, "nonconformance", ncr, "verify")
    await created(plant, "material_consumption", **use(plant, "part:lot"))


async def test_a_concession_is_the_boards(plant: Plant) -> None:
    """Whoever judges an inspection does not concede what does not conform."""
    ids = plant.ids

    def room(world: World) -> None:
        world.add(
            "tested", "inspection_lot", site=ids["site"], number="IL-C", lot=ids["new"], plan=ids["plan"], lot_size=10,
            n=1, ac=0, re=1, nonconforming=3, judged_by=ids["li"], state="testing",
        )  # fmt: skip

    await furnish(plant, room)
    conceded = {"judgement": "concession", "concession_qty": "1", "concession_until": str(LATER)}
    await broken(plant, "conceded_by_the_board", "inspection_lot", ids["tested"], **conceded)


async def test_a_clock_set_back_makes_no_rejection_older_than_what_it_rejects(plant: Plant) -> None:
    """The clock was an hour ahead when a lot was accepted. What is rejected after that is not made up for by it."""
    ids = plant.ids
    soon = datetime.now(UTC) + timedelta(hours=1)

    def room(world: World) -> None:
        finished(world, "twice")
        final = world.add(
            "final", "inspection_plan", number="FQC-1", rev="A", name="成品检验", item=ids["pump"], stage="FQC",
            sampling="c0", state="effective",
        )  # fmt: skip
        plan = {"plan": final, "lot": ids["twice"], "lot_size": 10, "n": 0, "ac": 0, "re": 1, "site": ids["site"]}
        by = {"judged_by": ids["li"]}
        early = {"number": "IL-A", "judgement": "accept", "judged_at": soon, "state": "closed"}
        late = {"number": "IL-B", "judgement": "reject", "nonconforming": 1, "state": "testing"}
        world.add("ahead", "inspection_lot", **early, **by, **plan)
        world.add("after", "inspection_lot", **late, **by, **plan)

    await furnish(plant, room)
    await move(plant, "inspection_lot", ids["after"], "judge")
    assert (await plant.current("inspection_lot"))[ids["after"]]["judged_at"] > soon
    await not_decided(plant, await asked(plant, "twice"), "inspection_judged")


async def test_the_scope_of_a_field_action_only_grows(plant: Plant) -> None:
    """Once it is decided no lot, measure or market leaves it and its class only gets stricter; a withdrawal is closed
    when its lots are recalled."""
    ids = plant.ids

    def room(world: World) -> None:
        world.add(
            "action", "field_action", number="FA-S", subject="x", measures=("withdraw",), markets=("CN", "EU"),
            eu_reported_on=LATER,
            lots=[ids["good"], ids["new"]], class_cn="class_2", hazard="?", decided_at=BORN, decided_on=BORN.date(),
            conclusion="完成", state="effectiveness",
        )  # fmt: skip

    await furnish(plant, room)
    action = ids["action"]
    await shrinks(plant, "field_action", action, lots={"remove": [ids["good"]]})
    await shrinks(plant, "field_action", action, lots=[ids["good"]])
    for less in ({"measures": ["warn"]}, {"markets": ["CN"]}, {"class_cn": "class_3"}, {"class_cn": None}):
        with pytest.raises(RuleBroken):
            await update(plant, "field_action", action, **less)
    more = {"measures": ["withdraw", "destroy"], "class_cn": "class_1", "lots": {"add": [ids["held"]]}}
    await update(plant, "field_action", action, **more)
    with pytest.raises(RuleBroken) as error:
        await move(plant, "field_action", action, "close")
    assert error.value.params["rule"] == "withdrawn_lots_recalled"
    for lot in ("good", "new", "held"):
        await move(plant, "lot", ids[lot], "recall")
    await move(plant, "field_action", action, "close")


async def test_a_change_takes_effect_where_it_was_filed(plant: Plant) -> None:
    """A filing that was refused and closed is none; what a function or a market had to say is not taken back; and what
    was made by an unfiled change is not released to that market."""
    ids = plant.ids

    def room(world: World) -> None:
        world.add(
            "ecr", "change_request", number="ECR-1", type="design", subject="x", reason="x", requested_by=ids["li"],
            **{"class": "major"}, state="approved",
        )  # fmt: skip
        world.add("ecr:of", "change_request_affected", owner=ids["ecr"], object=AnyRef("bom", ids["bom"]))
        said = {"owner": ids["ecr"], "dept": "ra", "assessed_by": ids["li"], "assessed_at": BORN}
        world.add("ecr:said", "change_request_impacts", verdict="object", note="须备案", **said)
        world.add("ecr:cn", "change_request_reg_impact", owner=ids["ecr"], market="CN", verdict="file")
        world.add(
            "filing", "filing_task", number="FT-1", subject="x", market="CN", due=LATER, submitted_on=BORN.date(),
            trigger=AnyRef("change_request", ids["ecr"]), state="submitted",
        )  # fmt: skip
        world.add(
            "eco", "change_order", number="ECO-1", change_request=ids["ecr"], effective_on=day(plant),
            effectiveness_due=LATER, effective_markets=("CN",), filings=[ids["filing"]],
            validation_result="pass", risk_note="none", state="verifying",
        )  # fmt: skip
        disposed = dict.fromkeys(("stock_disposition", "wip_disposition", "open_po_disposition"), "use")
        world.add(
            "eco:bom", "affected_item", change_order=ids["eco"], object=AnyRef("bom", ids["bom"]), action="revise",
            state="done", **disposed,
        )  # fmt: skip
        finished(world, "pumps")

    await furnish(plant, room)
    ecr, eco = ids["ecr"], ids["eco"]
    await shrinks(plant, "change_request", ecr, impacts={"remove": [ids["ecr:said"]]})
    await shrinks(plant, "change_request", ecr, impacts={"update": [{"id": ids["ecr:said"], "verdict": "ok"}]})
    await shrinks(plant, "change_request", ecr, reg_impact={"update": [{"id": ids["ecr:cn"], "verdict": "none"}]})
    await shrinks(plant, "change_request", ecr, reg_impact=[])
    filing = ids["filing"]
    await refused_move(plant, "filing_task", filing, "accept", GuardFailed)  # nothing was submitted to anybody
    await move(plant, "filing_task", filing, "refuse")
    await move(plant, "filing_task", filing, "close")

    async def not_in_effect() -> None:
        with pytest.raises(RuleBroken) as error:
            await move(plant, "change_order", eco, "release")
        assert error.value.params["rule"] == "filing_before_effect"

    await not_in_effect()
    # Left out of the markets it takes effect in, it is made, and goes where it needs no filing.
    await update(plant, "change_order", eco, effective_markets=[])
    await move(plant, "change_order", eco, "release")

    def under_change(world: World) -> None:
        world.add(
            "bom:next", "bom", site=ids["site"], item=ids["pump"], kind="MBOM", rev="B", state="released",
            change_order=ids["eco"], effective_from=BORN.date(),
        )  # fmt: skip
        world.add(
            "next:order", "work_order", site=ids["site"], number="WO-N", item=ids["pump"], bom=ids["bom:next"],
            routing=ids["routing"], qty=Decimal(10), state="completed",
        )  # fmt: skip
        finished(world, "next", work_order=ids["next:order"])

    await furnish(plant, under_change)
    await not_decided(plant, await asked(plant, "next"), "change_of_bom_filed")
    await not_released(plant, ids["next"])
    before = await asked(plant, "pumps")  # made by the revision before
    await move(plant, "release_decision", before, "decide")


async def test_a_certificate_lasts_as_long_as_its_renewal_says(plant: Plant) -> None:
    """Nobody writes a later day on a certificate in force, nor renews one without an accepted filing."""
    ids = plant.ids
    paper = ids["registration"]
    await broken(
        plant, "lasts_no_longer_than_renewed", "registration", paper, expires_on=str(LATER + timedelta(days=9))
    )
    with pytest.raises(RuleBroken):
        await update(plant, "registration", paper, expires_on=None)
    soon = day(plant, 200)
    issued = soon - timedelta(days=1500)
    await update(plant, "registration", paper, expires_on=str(soon), issued_on=str(issued))
    await move(plant, "registration", paper, "renew")
    await refused_move(plant, "registration", paper, "renewed", GuardFailed)

    def room(world: World) -> None:
        world.add(
            "dossier", "registration_dossier", number="RDS-1", subject="x", market="CN", kind="renewal",
            state="submitted",
        )  # fmt: skip
        world.add(
            "renewal", "filing_task", number="FT-2", subject="x", market="CN", due=LATER, submitted_on=BORN.date(),
            trigger=AnyRef("registration", paper), registration=paper, renewal=True, dossier=ids["dossier"],
            acceptance_no="A-1", state="submitted",
        )  # fmt: skip

    await furnish(plant, room)
    await move(plant, "filing_task", ids["renewal"], "accept")
    await update(plant, "registration", paper, expires_on=str(soon + timedelta(days=200)))
    await move(plant, "registration", paper, "renewed")
