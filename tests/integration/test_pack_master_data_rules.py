"""Rules of the medical-device pack's first half, tried through the write path on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.integration.master_data_world import USCC, Group, Installed, broken_rule, pack, put_on, refused
from tests.integration.uploaded_file import A_FILE

from clew.testing.databases import TestDatabase

FROM_APRIL = {"effective_from": "2026-04-01"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """The pack, installed once per engine for this module."""
    server = None
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("pack") / "pack.db"
        database = TestDatabase("sqlite", f"sqlite:///{path}")
    else:
        server = request.getfixturevalue("postgres_server")
        database = TestDatabase("postgresql", server.create())
    blueprint = pack()
    asyncio.run(put_on(database, blueprint))
    yield Installed(database, blueprint)
    database.close()
    if server:
        server.drop(database.url)


def test_a_wrong_social_credit_code_is_refused(installed: Installed) -> None:
    async def story(group: Group) -> None:
        wanted: dict[str, Any] = {"name": "精密零件厂", "kind": "component", "risk_class": "B"}
        assert await broken_rule(group.create("supplier", uscc=USCC[:-1] + "X", **wanted)) == "uscc_valid"
        assert await broken_rule(group.create("supplier", **wanted)) == "uscc_given_in_china"
        await group.create("supplier", uscc=USCC, **wanted)
        assert (await refused(group.create("supplier", uscc=USCC, **wanted))).code == "DUPLICATE"
        await group.create("supplier", country="DE", **wanted)

    installed.tell(story)


def test_a_key_supplier_needs_a_quality_agreement(installed: Installed) -> None:
    async def story(group: Group) -> None:
        given = {"kind": "sterilisation", "risk_class": "A", "country": "DE"}
        supplier = await group.create("supplier", name="Steril GmbH", **given)
        await group.move("supplier", supplier, "evaluate")
        assert await broken_rule(group.move("supplier", supplier, "approve")) == "key_supplier_has_agreement"
        agreement = await group.revision()
        await group.update("supplier", supplier, quality_agreement=agreement, agreement_expires="2020-01-01")
        assert await broken_rule(group.move("supplier", supplier, "approve")) == "agreement_in_force"
        await group.update("supplier", supplier, agreement_expires="2120-01-01")
        await group.move("supplier", supplier, "approve")
        assert set(group.signs.meanings) == {"approval"}

    installed.tell(story)


def test_a_finished_device_is_traced_and_a_sterile_item_expires(installed: Installed) -> None:
    async def story(group: Group) -> None:
        assert await broken_rule(group.item("导管", type="finished", trace_level="none")) == "finished_is_traced"
        assert await broken_rule(group.item("无菌包", sterile=True)) == "sterile_has_shelf_life"
        crossed = group.item("支架", storage_min="30", storage_max="8")
        assert await broken_rule(crossed) == "storage_range"
        await group.item("无菌导管", type="finished", trace_level="serial", sterile=True, shelf_life="1095")

    installed.tell(story)


def test_the_purchase_unit_converts_to_the_base_unit(installed: Installed) -> None:
    async def story(group: Group) -> None:
        metre = await group.create(
            "unit", code="metre", name={"zh": "米", "en": "metre"}, dimension="length", factor="1"
        )
        assert await broken_rule(group.item("软管", purchase_uom=metre)) == "purchase_unit_converts"
        await group.item("软管", purchase_uom=metre, unit_conversions=[{"uom": metre, "factor": "5"}])

    installed.tell(story)


def test_an_item_becomes_active_only_by_a_released_change_order_that_lists_it(installed: Installed) -> None:
    async def story(group: Group) -> None:
        item, other = await group.item("外壳"), await group.item("盖板")
        await group.move("item", item, "submit")
        assert await broken_rule(group.move("item", item, "approve")) == "active_by_change_order"
        await group.update("item", item, change_order=await group.change_order(("item", other)))
        assert await broken_rule(group.move("item", item, "approve")) == "active_by_change_order"
        await group.update("item", item, change_order=await group.change_order(("item", item), release=False))
        assert await broken_rule(group.move("item", item, "approve")) == "active_by_change_order"
        await group.update("item", item, change_order=await group.change_order(("item", item)))
        await group.move("item", item, "approve")
        assert group.signs.meanings[-1] == "approval"

    installed.tell(story)


def test_a_bill_of_materials_never_contains_itself(installed: Installed) -> None:
    async def story(group: Group) -> None:
        pump, motor, rotor = [await group.item(each) for each in ("泵", "电机", "转子")]
        await group.bom(pump, motor)
        await group.bom(motor, rotor)
        assert (await refused(group.bom(rotor, pump))).code == "CYCLE"
        assert (await refused(group.bom(rotor, rotor))).code == "CYCLE"

    installed.tell(story)


def test_a_bill_of_materials_holds_sound_lines(installed: Installed) -> None:
    async def story(group: Group) -> None:
        pump, motor = await group.item("泵"), await group.item("电机")
        screw = await group.item("螺钉", trace_level="none")
        bare = {"site": group.ids["site"], "item": pump, "kind": "MBOM", "rev": "A"}
        for qty in ("0", "-1"):
            lines = [{"line": 10, "component": motor, "qty": qty}]
            assert (await refused(group.create("bom", lines=lines, **bare))).path[-1] == "qty"
        twice = [{"line": 10, "component": motor, "qty": "1"}, {"line": 10, "component": screw, "qty": "1"}]
        assert (await refused(group.create("bom", lines=twice, **bare))).code == "DUPLICATE"
        traced = [{"line": 10, "component": screw, "qty": "1", "trace_required": True}]
        assert await broken_rule(group.create("bom", lines=traced, **bare)) == "traced_component"

    installed.tell(story)


def test_released_bills_of_materials_do_not_overlap(installed: Installed) -> None:
    async def story(group: Group) -> None:
        part, pump = await group.active_item("密封圈"), await group.active_item("泵")

        async def submitted(rev: str, start: str, end: str | None = None) -> UUID:
            bom = await group.bom(pump, part, rev=rev, effective_from=start, effective_to=end)
            await group.move("bom", bom, "submit")
            await group.update("bom", bom, change_order=await group.change_order(("bom", bom)))
            return bom

        first = await group.bom(pump, part, effective_from="2026-01-01", effective_to="2026-06-30")
        await group.move("bom", first, "submit")
        assert await broken_rule(group.move("bom", first, "release")) == "released_by_change_order"
        await group.update("bom", first, change_order=await group.change_order(("bom", first)))
        await group.move("bom", first, "release")
        rival = await submitted("B", "2026-06-30")
        assert (await refused(group.move("bom", rival, "release"))).code == "OVERLAP"
        await group.move("bom", await submitted("C", "2026-07-01"), "release")
        assert (await refused(group.update("bom", first, effective_to="2026-12-31"))).code == "FROZEN"
        assert (await refused(group.update("bom", first, lines=[]))).code == "FROZEN"

    installed.tell(story)


def test_a_released_bill_of_materials_makes_way_for_the_next(installed: Installed) -> None:
    async def story(group: Group) -> None:
        part, pump = await group.active_item("密封圈"), await group.active_item("泵")
        boms = []
        for rev, start in (("A", "2026-01-01"), ("B", "2026-07-01")):
            bom = await group.bom(pump, part, rev=rev, effective_from=start)
            await group.move("bom", bom, "submit")
            await group.update("bom", bom, change_order=await group.change_order(("bom", bom)))
            boms.append(bom)
            if rev == "A":
                await group.move("bom", bom, "release")
                assert (await refused(group.move("bom", bom, "make_way"))).code == "GUARD"
        first, second = boms
        assert (await refused(group.move("bom", second, "release"))).code == "OVERLAP"
        await group.move("bom", first, "make_way")
        await group.move("bom", second, "release")
        await group.move("bom", first, "supersede")

    installed.tell(story)


def test_the_design_of_an_item_in_use_changes_only_with_a_new_change_order(installed: Installed) -> None:
    async def story(group: Group) -> None:
        tube = await group.active_item("导管", trace_level="lot")
        await group.update("item", tube, criticality="A")
        unordered = group.update("item", tube, trace_level="serial")
        assert await broken_rule(unordered) == "redesigned_by_change_order"
        order = await group.change_order(("item", tube))
        await group.update("item", tube, trace_level="serial", change_order=order)

    installed.tell(story)


def test_only_active_components_are_released(installed: Installed) -> None:
    async def story(group: Group) -> None:
        pump, part = await group.active_item("泵"), await group.item("未批准的零件")
        bom = await group.bom(pump, part, effective_from="2026-01-01")
        await group.move("bom", bom, "submit")
        await group.update("bom", bom, change_order=await group.change_order(("bom", bom)))
        assert await broken_rule(group.move("bom", bom, "release")) == "components_active"

    installed.tell(story)


def test_a_special_process_is_released_only_with_a_valid_validation(installed: Installed) -> None:
    async def story(group: Group) -> None:
        pump, protocol = await group.active_item("泵"), await group.revision()
        order = await group.change_order(("document_revision", protocol))
        await group.update("document_revision", protocol, change_order=order)
        await group.move("document_revision", protocol, "submit", "review", "approve")
        validation = await group.create("validation", kind="process_pq", protocol=protocol, rationale="三个连续批次")
        operation = {"seq": 10, "name": "封口", "work_center": "PK1", "special_process": True, "validation": validation}
        routing = await group.create(
            "routing", site=group.ids["site"], item=pump, rev="A", effective_from="2026-01-01", operations=[operation]
        )
        await group.move("routing", routing, "submit")
        await group.update("routing", routing, change_order=await group.change_order(("routing", routing)))
        assert await broken_rule(group.move("routing", routing, "release")) == "special_processes_validated"
        await group.move("validation", validation, "approve_protocol")
        done: dict[str, Any] = {
            "executed_on": "2026-03-01",
            "tester": group.ids["author"],
            "report": protocol,
            "result": "pass",
        }
        await group.update("validation", validation, report_approver=group.ids["approver"], **done)
        await group.move("validation", validation, "execute", "report")
        await group.move("routing", routing, "release")

    installed.tell(story)


def test_limits_of_an_operation_parameter_are_in_order(installed: Installed) -> None:
    async def story(group: Group) -> None:
        def routing(rev: str, seq: int = 10, **limits: str) -> dict[str, Any]:
            parameter = {"seq": seq, "name": "封口温度", "uom": "degC", **limits}
            return {
                "site": group.ids["site"], "item": pump, "rev": rev, "parameters": [parameter],
                "operations": [{"seq": 10, "name": "封口", "work_center": "PK1"}],
            }  # fmt: skip

        pump = await group.item("泵")
        wrong: tuple[dict[str, Any], ...] = (
            {"lsl": "180", "usl": "160"},
            {"lsl": "150", "target": "140"},
            {"target": "170", "usl": "160"},
        )
        for limits in wrong:
            assert await broken_rule(group.create("routing", **routing("A", **limits))) == "limits_in_order"
        assert await broken_rule(group.create("routing", **routing("A", seq=20))) == "of_an_operation"
        await group.create("routing", **routing("A", lsl="150", target="160", usl="170"))

    installed.tell(story)


def test_author_reviewer_and_approver_are_three_people(installed: Installed) -> None:
    async def story(group: Group) -> None:
        same = group.revision(approver=group.ids["author"])
        assert await broken_rule(same) == "author_reviewer_approver_differ"
        same = group.revision(reviewer=group.ids["approver"])
        assert await broken_rule(same) == "author_reviewer_approver_differ"

    installed.tell(story)


def test_a_document_comes_into_force_by_its_change_order_and_one_revision_at_a_time(installed: Installed) -> None:
    async def story(group: Group) -> None:
        document = await group.document()
        first, second = [await group.revision(document=document, rev=each) for each in ("A", "B")]
        await group.move("document_revision", first, "submit", "review")
        assert group.signs.meanings == ["authorship", "review"]
        assert await broken_rule(group.move("document_revision", first, "approve")) == "listed_by_change_order"
        await group.update("document_revision", first, change_order=await planned(group, first), **FROM_APRIL)
        await group.move("document_revision", first, "approve")
        early = group.move("document_revision", first, "put_in_force")
        assert await broken_rule(early) == "in_force_by_released_change_order"
        assert (await refused(group.update("document_revision", first, summary="改字"))).code == "FROZEN"
        for revision in (second, third := await group.revision(document=document, rev="C")):
            order = await group.change_order(("document_revision", revision))
            await group.update("document_revision", revision, change_order=order, **FROM_APRIL)
            await group.move("document_revision", revision, "submit", "review", "approve")
        await group.move("document_revision", second, "put_in_force")
        assert (await refused(group.move("document_revision", third, "put_in_force"))).code == "DUPLICATE"
        await group.move("document_revision", second, "supersede")
        await group.move("document_revision", third, "put_in_force")

    async def planned(group: Group, revision: UUID) -> UUID:
        return await group.change_order(("document_revision", revision), release=False)

    installed.tell(story)


def test_device_identifiers_are_checked_unique_and_locked_once_published(installed: Installed) -> None:
    async def story(group: Group) -> None:
        item = await group.item("导管", type="finished", trace_level="lot")
        unit: dict[str, Any] = {"issuer": "GS1", "item": item, "package_level": "unit", "market": "CN"}
        assert await broken_rule(group.create("udi_device", di="09521234000012", **unit)) == "gs1_di_is_gtin"
        assert await broken_rule(group.create("udi_device", di="9521234000013", **unit)) == "gs1_di_is_gtin"
        model = group.create("udi_device", di="09521234000013", basic_udi_di="1987654Ad4X4bL5ttr2310c2X", **unit)
        assert await broken_rule(model) == "basic_udi_di_is_gmn"
        single = await group.create("udi_device", di="09521234000013", basic_udi_di="1987654Ad4X4bL5ttr2310c2K", **unit)
        assert (await refused(group.create("udi_device", di="09521234000013", **unit))).code == "DUPLICATE"
        case = {**unit, "package_level": "case", "di": "19521234000010", "contains": single}
        assert await broken_rule(group.create("udi_device", qty=1, **case)) == "package_holds_at_least_two"
        pack = await group.create("udi_device", qty=10, **case)
        await group.move("udi_device", pack, "submit")
        assert await broken_rule(publish(group, pack, db_status="submitted")) == "published_in_database"
        await publish(group, pack, db_status="published")
        assert await broken_rule(group.update("udi_device", pack, qty=12)) == "locked_once_published"
        assert (await refused(group.update("udi_device", pack, di="29521234000017"))).code == "IMMUTABLE"

    async def publish(group: Group, device: UUID, **given: str) -> None:
        await group.update("udi_device", device, published_at="2026-04-01T08:00:00Z", **given)
        await group.move("udi_device", device, "publish")

    installed.tell(story)


def test_an_implant_in_the_eu_carries_a_serial_or_lot_number(installed: Installed) -> None:
    async def story(group: Group) -> None:
        stent = await group.item("支架", type="finished", implantable=True)
        pacer = await group.item("起搏器", type="finished", implantable=True, active=True)
        given: dict[str, Any] = {"issuer": "GS1", "package_level": "unit", "market": "EU"}
        bare = group.create("udi_device", di="06901234567892", item=stent, pi_flags=["exp"], **given)
        assert await broken_rule(bare) == "implant_has_serial_or_lot"
        by_lot = group.create("udi_device", di="06901234567892", item=pacer, pi_flags=["lot"], **given)
        assert await broken_rule(by_lot) == "active_implant_has_serial"
        await group.create("udi_device", di="06901234567892", item=stent, pi_flags=["lot"], **given)

    installed.tell(story)


def test_departments_do_not_stand_above_themselves(installed: Installed) -> None:
    async def story(group: Group) -> None:
        top = group.ids["department"]
        lab = await group.create(
            "department", site=group.ids["site"], code="LAB", name="实验室", function="qc", parent=top
        )
        assert (await refused(group.update("department", top, parent=lab))).code == "CYCLE"

    installed.tell(story)


def test_nobody_grants_a_role_to_themselves_or_holds_two_of_a_group(installed: Installed) -> None:
    async def story(group: Group) -> None:
        tale = str(group.ids["site"])[-4:]
        roles = []
        for name in ("buyer", "receiver"):
            role = await group.create("role", code=f"{name}_{tale}", name=name, sod_group="purchase")
            await group.move("role", role, "activate")
            roles.append(role)
        given: dict[str, Any] = {
            "employee": group.ids["author"], "granted_by": group.ids["approver"], "kind": "permanent",
            "valid_from": "2026-01-01", "valid_to": "2026-12-31",
        }  # fmt: skip
        own = group.create("role_assignment", role=roles[0], **{**given, "granted_by": group.ids["author"]})
        assert await broken_rule(own) == "granter_is_not_grantee"
        first = await group.create("role_assignment", role=roles[0], **given)
        await group.move("role_assignment", first, "activate")
        again = group.create("role_assignment", role=roles[0], **{**given, "valid_from": "2026-12-31"})
        assert (await refused(again)).code in ("OVERLAP", "RULE")
        toxic = await group.create("role_assignment", role=roles[1], **given)
        assert await broken_rule(group.move("role_assignment", toxic, "activate")) == "separation_of_duties"

    installed.tell(story)


def test_a_position_has_several_holders_at_once_and_who_leaves_hands_over(installed: Installed) -> None:
    async def story(group: Group) -> None:
        leaver, stays = group.ids["author"], group.ids["reviewer"]
        for each in (leaver, stays):
            await group.move("employee", each, "activate")
        held = [{"employee": each, "valid_from": "2026-01-01"} for each in (leaver, stays)]
        position = await group.create(
            "position", code="QC-01", department=group.ids["department"], title="检验", holders=held
        )
        await group.update("employee", leaver, left_on="2026-06-30")
        await group.move("employee", leaver, "leave")
        assert await broken_rule(group.update("position", position, title="检验岗")) == "leaver_hands_over"
        over = {"valid_to": "2026-06-30", "handed_over_to": leaver, "handed_over_on": "2026-06-29"}
        to_oneself = group.update("position", position, holders=[{**held[0], **over}, held[1]])
        assert await broken_rule(to_oneself) == "handed_over_to_another"
        await group.update("position", position, holders=[{**held[0], **over, "handed_over_to": stays}, held[1]])
        assert (await refused(group.move("position", position, "close"))).code == "GUARD", "the other holds it still"

    installed.tell(story)


def test_a_change_of_the_printed_name_needs_a_reason(installed: Installed) -> None:
    async def story(group: Group) -> None:
        person = group.ids["author"]
        silent = group.update("employee", person, reason=None, printed_name="王芳")
        assert (await refused(silent)).code == "REASON_REQUIRED"
        await group.update("employee", person, printed_name="王芳")
        assert (await refused(group.update("employee", person, login_id="wang.fang"))).code == "IMMUTABLE"

    installed.tell(story)


def test_out_of_tolerance_as_found_calls_for_an_impact_review(installed: Installed) -> None:
    async def story(group: Group) -> None:
        tale = str(group.ids["site"])[-4:].upper()
        gauge = await group.create(
            "equipment", site=group.ids["site"], asset_no=f"G{tale}", name="卡尺", kind="measuring"
        )
        given: dict[str, Any] = {
            "equipment": gauge, "performed_on": "2026-03-01", "performed_by": group.ids["author"],
            "measured_unit": "mm", "nominal": "10", "tolerance": "0.02", "as_found": "10.05", "as_left": "10.01",
            "certificate_no": f"C{tale}", "lab": "计量院", "certificate": [A_FILE],
        }  # fmt: skip
        assert await broken_rule(group.create("calibration", result="pass", **given)) == "pass_means_found_in_tolerance"
        still = {**given, "as_left": "10.03"}
        assert await broken_rule(group.create("calibration", result="adjusted", **still)) == "left_in_tolerance"
        record = await group.create("calibration", result="adjusted", **given)
        await group.update("calibration", record, reviewed_by=group.ids["reviewer"])
        assert await broken_rule(group.move("calibration", record, "review")) == "impact_reviewed"
        await group.update("calibration", record, impact_review="上次合格以来未用于放行检验")
        await group.move("calibration", record, "review")

    installed.tell(story)


def test_the_independent_reviewer_is_not_on_the_project(installed: Installed) -> None:
    async def story(group: Group) -> None:
        project = await group.create(
            "design_project", name="新泵", leader=group.ids["author"], members=[group.ids["reviewer"]]
        )
        for insider in ("author", "reviewer"):
            review = group.create(
                "design_review", project=project, phase="input", independent_reviewer=group.ids[insider]
            )
            assert await broken_rule(review) == "reviewer_is_independent"
        await group.create("design_review", project=project, phase="input", independent_reviewer=group.ids["approver"])

    installed.tell(story)


def test_a_risk_is_accepted_only_controlled_proven_and_weighed(installed: Installed) -> None:
    async def story(group: Group) -> None:
        project = await group.create("design_project", name="新泵", leader=group.ids["author"])
        risk = await group.create(
            "risk_item", project=project, hazard="漏电", situation="外壳破损", harm="电击", severity=5, probability=3
        )
        await group.move("risk_item", risk, "evaluate")
        assert await broken_rule(group.move("risk_item", risk, "control")) == "risk_above_limit_is_controlled"
        need = await group.create("requirement", source="regulatory", text="防电击", priority="must", project=project)
        control = await group.create(
            "design_input", project=project, requirements=[need], text="双重绝缘", criterion="4 kV", category="safety"
        )
        await group.update("risk_item", risk, control_kind="inherent", control=control)
        await group.move("risk_item", risk, "control")
        assert await broken_rule(group.move("risk_item", risk, "verify")) == "control_is_proven"
        higher = group.update("risk_item", risk, residual_severity=5, residual_probability=4)
        assert await broken_rule(higher) == "residual_not_higher"

    installed.tell(story)


def test_working_hours_are_in_order_and_each_day_is_given_once(installed: Installed) -> None:
    async def story(group: Group) -> None:
        tale = str(group.ids["site"])[-4:].upper()
        day = {"weekday": "monday", "intervals": "08:30-12:00, 13:00-17:30"}
        calendar: dict[str, Any] = {"code": f"CAL{tale}", "valid_year": 2026, "tz": "Asia/Shanghai"}
        twice = group.create("working_calendar", week_pattern=[day, day], **calendar)
        assert await broken_rule(twice) == "weekday_once"
        late = group.create("working_calendar", week_pattern=[{**day, "intervals": "13:00-12:00"}], **calendar)
        assert await broken_rule(late) == "hours_in_order"
        other = [{"date": "2027-01-01", "working": False}]
        outside = group.create("working_calendar", week_pattern=[day], exceptions=other, **calendar)
        assert await broken_rule(outside) == "exception_in_year"
        holiday = [{"date": "2026-10-01", "working": False}, {"date": "2026-10-10", "working": True,
                                                               "intervals": "08:30-12:00"}]  # fmt: skip
        await group.create("working_calendar", week_pattern=[day], exceptions=holiday, **calendar)

    installed.tell(story)


def test_a_passed_training_record_is_corrected_by_a_new_one_with_the_same_key(installed: Installed) -> None:
    async def story(group: Group) -> None:
        tale = str(group.ids["site"])[-4:].upper()
        course = await group.create(
            "training_course", code=f"TC{tale}", name="洁净室更衣", assess="quiz", pass_score="80"
        )
        given: dict[str, Any] = {"employee": group.ids["author"], "course": course, "attempt": 1}
        record = await group.create("training_record", completed_at="2026-03-01T08:00:00Z", score="70", **given)
        assert await broken_rule(group.move("training_record", record, "pass")) == "score_reaches_pass"
        assert (await refused(group.create("training_record", **given))).code == "DUPLICATE"
        await group.update("training_record", record, score="85")
        await group.move("training_record", record, "pass")
        assert (await refused(group.update("training_record", record, score="90"))).code == "FROZEN"
        version = group.versions[record]
        corrected = await group.commands.correct(group.call, "training_record", record, version, {"score": "90"})
        assert corrected.created

    installed.tell(story)
