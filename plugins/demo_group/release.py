"""What a finished lot needs to reach the market: inspection, batch record, sterilisation, decisions, certificates."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from clew.records.values import AnyRef
from demo_group.world import Values, World

if TYPE_CHECKING:
    from demo_group.making import Run


def inspect_and_release(world: World, run: Run, udi: str) -> None:
    inspection = _inspect(world, run)
    record = _batch_record(world, run)
    if run.product.family.sterile:
        _sterilise(world, run)
    decisions = _decide(world, run, inspection, record)
    _certify(world, run, inspection, decisions["market"])
    _keep_samples(world, run)


def _inspect(world: World, run: Run) -> UUID:
    at = run.start + timedelta(days=6)
    inspector, n = world.person(run.site, "qc_inspector"), min(5, run.qty)
    inspection = world.add(
        "inspection_lot",
        at,
        to="closed",
        within=2,
        site=world.sites[run.site],
        lot=run.lot,
        plan=run.product.plan,
        source=run.doc,
        lot_size=run.qty,
        severity="normal",
        n=n,
        ac=0,
        re=1,
        nonconforming=0,
        judgement="accept",
        judged_by=inspector,
        judged_at=at + timedelta(days=1),
    )
    for characteristic, kind in run.product.characteristics:
        for sample in range(1, n + 1):
            moment = at + timedelta(hours=3 + sample)
            variable = kind == "variable"
            reading: Values = {"value": world.decimal(9.95, 10.05, 3)} if variable else {"pass": True}
            world.add(
                "inspection_result",
                moment,
                site=world.sites[run.site],
                inspection_lot=inspection,
                characteristic=characteristic,
                sample=sample,
                version=1,
                source="manual",
                inspector=inspector,
                at=moment,
                kind="original",
                **reading,
            )
    return inspection


def _batch_record(world: World, run: Run) -> UUID:
    at = run.start + timedelta(days=6)
    record = world.add(
        "edhr",
        at,
        to="accepted",
        within=5,
        site=world.sites[run.site],
        item=run.product.item,
        lot=run.lot,
        work_order=run.order,
        compiled_by=world.people[run.site, "production_supervisor"][1],
        production_reviewer=world.people[run.site, "production_supervisor"][0],
        quality_reviewer=world.person(run.site, "qa_manager"),
    )
    for section in ("物料与领用", "工序记录", "检验记录", "标签核对", "环境记录"):
        world.add("edhr_sections", at, owner=record, name=section, complete=True)
    if world.rng.random() < 0.15:
        text = "封口工序停机 20 分钟,重新首件确认后继续。"
        world.add("edhr_exceptions", at, owner=record, description=text, resolved=True)
    return record


def _sterilise(world: World, run: Run) -> None:
    begin = run.start + timedelta(days=7)
    batch = world.add(
        "sterilisation_batch",
        begin,
        to="released",
        within=5,
        site=world.sites[run.site],
        method="EO",
        equipment=world.ids["equipment", f"{run.product.family.code}:1"],
        validation=run.product.sterilisation,
        load=[run.lot],
        started_at=begin,
        ended_at=begin + timedelta(hours=9),
        biological_indicator="no_growth",
        residual=Decimal("1.200"),
        released_by=world.person(run.site, "quality_engineer"),
        record=world.file("灭菌记录.pdf"),
    )
    for name, low, high, unit in (("柜室温度", 45, 55, "degC"), ("保压压力", 30, 60, "kPa")):
        value = world.decimal(low + 2, high - 2, 2)
        limits: Values = {"lsl": Decimal(low), "usl": Decimal(high)}
        world.add("sterilisation_batch_parameters", begin, owner=batch, name=name, value=value, unit=unit, **limits)


def _decide(world: World, run: Run, inspection: UUID, record: UUID) -> dict[str, UUID]:
    """The release of production and one for each market; the last market's counts for certificates."""
    decisions: dict[str, UUID] = {}
    kinds = [("production", None), *(("market", market) for market in run.product.family.markets)]
    for number, (kind, market) in enumerate(kinds):
        decided = run.start + timedelta(days=12, hours=number)
        decision = world.add(
            "release_decision",
            decided,
            to="decided",
            within=0.3,
            site=world.sites[run.site],
            lot=run.lot,
            kind=kind,
            market=market,
            outcome="release",
            maker_file_reviewed=False,
            decided_at=decided,
            decided_by=world.person(run.site, "authorised_releaser" if kind == "market" else "qa_manager"),
        )
        for item, evidence in (
            ("成品检验合格", AnyRef("inspection_lot", inspection)),
            ("批记录审核通过", AnyRef("edhr", record)),
        ):
            world.add("release_decision_checklist", decided, owner=decision, item=item, ok=True, evidence=evidence)
        decisions[kind] = decision
    return decisions


def _certify(world: World, run: Run, inspection: UUID, market_release: UUID) -> None:
    """The factory test report, and the certificate that the market release allows."""
    at, issued = run.start + timedelta(days=9), run.start + timedelta(days=13)
    about: Values = {
        "site": world.sites[run.site],
        "item": run.product.item,
        "lot": run.lot,
        "inspection_lot": inspection,
        "technical_requirement": run.product.requirement,
        "result": "pass",
        "sha256": world.sha256,
    }
    report = world.add(
        "factory_test_report",
        at,
        to="issued",
        within=1,
        signer=world.person(run.site, "qa_manager"),
        issued_at=at + timedelta(days=1),
        file=world.file("出厂检验报告.pdf"),
        **about,
    )
    clause: Values = {"clause": "2.1", "found": "外观光洁,无毛刺、裂纹。", "pass": True}
    world.add("factory_test_report_clauses", at, owner=report, **clause)
    world.add(
        "product_certificate",
        issued,
        to="issued",
        within=0.5,
        release_decision=market_release,
        signer=world.person(run.site, "authorised_releaser"),
        issued_at=issued + timedelta(hours=12),
        file=world.file("产品合格证.pdf"),
        **about,
    )


def _keep_samples(world: World, run: Run) -> None:
    taken = run.start + timedelta(days=6)
    until = run.exp_on or taken.date() + timedelta(days=3650)
    sample = world.add(
        "retained_sample",
        taken,
        site=world.sites[run.site],
        lot=run.lot,
        qty=Decimal(2),
        purpose="release",
        storage=world.places[run.site, "finished"],
        conditions="常温避光",
        taken_on=taken.date(),
        keep_until=until + timedelta(days=1),
    )
    due = taken.date() + timedelta(days=180)
    done: Values = {"done_on": due, "result": "pass", "remark": "外观无变化"} if due < world.today else {}
    world.add("retained_sample_inspections", taken, owner=sample, due=due, **done)
