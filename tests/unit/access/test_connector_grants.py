"""Who may read, run and administer connectors: grants of roles, what covers the rest, and what overrides them."""

from __future__ import annotations

from uuid import uuid4

from clew.access.deciding import Deciding
from clew.access.decision import ConnectorAccess, permit_all
from clew.access.judgement import Judgement
from clew.access.loading import load_bundle
from clew.access.review.effective import connector_shifts
from clew.access.review.matrix import connectors_in, matrix
from clew.kernel.context import Context, Person
from clew.metadata.kinds import DEFAULT_KINDS, Kind
from clew.metadata.load import Loaded
from clew.metadata.spec.words import Label, Name, Spec, doc


class ConnectorSpec(Spec):
    """A connector as far as grants need one: its name."""

    connector: Name = doc("The connector's name.", "连接器名称。")
    label: Label | None = doc("What people call it.", "显示名称。", default=None)


KINDS = DEFAULT_KINDS.with_kinds(Kind("connector", ConnectorSpec, ("connectors",), "connector", "连接器"))
ROLES = """\
role: erp_service
label: {zh: ERP 服务, en: ERP service}
kind: service
connectors: {erp_sap: {read: always, run: always}}
---
role: watcher
label: {zh: 查看, en: Watcher}
connectors: {"*": {read: always}, plm: {run: always}}
---
role: heir
label: {zh: 继承, en: Heir}
inherits: [watcher]
---
role: admin
label: {zh: 管理员, en: Admin}
administer: [accounts, connectors]
connectors: {mes: {run: always}}
---
role: barred
label: {zh: 禁止, en: Barred}
connectors: {erp_sap: {run: never}}
---
policy_test: erp_service_runs_its_own
as: {roles: [erp_service]}
cases:
  - {connector: erp_sap.run, expect: allow}
  - {connector: plm.run, expect: deny, because: no_grant}
  - {connector: erp_sap.administer, expect: deny, because: no_grant}
---
policy_test: barred_runs_nothing
as: {roles: [erp_service, barred]}
cases:
  - {connector: erp_sap.read, expect: allow}
  - {connector: erp_sap.run, expect: deny, because: never}
"""
PROJECT = {
    "clew.yaml": "project: sample\nlabel: {zh: 样例, en: Sample}\n",
    "models/m.yaml": "entity: case\nkey: [code]\nfields: {code: {type: text, required: true}}\n",
    "connectors/c.yaml": "connector: erp_sap\n---\nconnector: plm\n---\nconnector: mes\n",
}


def load(roles: str = ROLES) -> Loaded:
    return load_bundle({**PROJECT, "permissions/p.yaml": roles}, KINDS)


def test_connectors_are_asked_of_the_decision() -> None:
    blueprint = load().blueprint
    assert blueprint is not None
    decide = Deciding(blueprint, uuid4())

    def of(connector: str, *roles: str) -> str:
        found = decide(Context(Person(uuid4(), "p", "P", roles), "r", channel="test")).connector(connector)
        grants = {"r": found.read, "x": found.run, "a": found.administer}
        return "".join(letter for letter, each in grants.items() if each.allowed)

    assert (of("erp_sap", "erp_service"), of("plm", "erp_service"), of("mes")) == ("rx", "", "")
    # `*` covers what the same role does not name; what is inherited is had.
    for role in ("watcher", "heir"):
        assert (of("plm", role), of("erp_sap", role), of("one_to_come", role)) == ("x", "r", "r")
    # Looking after connectors is reading and administering every one of them.
    assert (of("mes", "admin"), of("plm", "admin"), of("one_to_come", "admin")) == ("rxa", "ra", "ra")
    assert (of("erp_sap", "erp_service", "barred"), of("plm", "watcher", "admin")) == ("r", "rxa")
    assert permit_all(blueprint).connector("plm") == ConnectorAccess(*[permit_all(blueprint).connector("plm").read] * 3)


def test_they_stand_in_the_matrix_and_in_the_difference() -> None:
    blueprint, other = load().blueprint, load(ROLES.replace("mes: {run: always}", "mes: {run: never}")).blueprint
    assert blueprint is not None
    judgement = Judgement(blueprint)
    named = connectors_in(judgement)
    assert named == ["connector:*", "connector:erp_sap", "connector:mes", "connector:plm"]
    cells = matrix(judgement, ["heir", "barred"], named)
    allowed = {(each.role, each.entity, each.action): each for each in cells if each.effect == "allow"}
    assert sorted(key[1:] for key in allowed) == [
        ("connector:*", "read"), ("connector:erp_sap", "read"), ("connector:mes", "read"), ("connector:plm", "run"),
    ]  # fmt: skip
    cell = allowed["heir", "connector:plm", "run"]
    assert (cell.through, [each.line for each in cell.places]) == (("watcher",), [8])
    assert other is not None
    context = Context(Person(uuid4(), "p", "P", ("admin",)), "r", channel="test")
    before, after = (Deciding(each, uuid4())(context) for each in (blueprint, other))
    (shift,) = connector_shifts(before, after)
    assert (shift.entity, shift.action, shift.before.allowed, shift.after.allowed) == (
        "connector:mes", "run", True, False,
    )  # fmt: skip


def test_a_connector_that_does_not_exist_refuses_to_load() -> None:
    found = load(ROLES.replace("connectors: {erp_sap: {read", "connectors: {erp_sab: {read"))
    assert found.blueprint is None
    (finding,) = [each for each in found.diagnostics if each.code == "UNKNOWN_CONNECTOR"]
    assert (finding.nearest, finding.place.line) == ("erp_sap", 4)
    for was, becomes, code in (
        ("connector: plm.run, expect", "connector: plm.start, expect", "UNKNOWN_TRANSITION"),
        ("connector: plm.run, expect", "connector: pln.run, expect", "UNKNOWN_CONNECTOR"),
        ("connector: plm.run, expect", "connector: plm.run, given: {code: A}, expect", "CASE_KEY"),
        ("plm.run, expect: deny, because: no_grant", "plm.run, expect: allow", "POLICY_TEST_FAILED"),
        ("{read: always, run: always}", "{reed: always}", "UNKNOWN_KEY"),
        ("{run: never}", "{run: maybe}", "NOT_ONE_OF"),
    ):
        assert was in ROLES
        assert code in {each.code for each in load(ROLES.replace(was, becomes, 1)).diagnostics}, becomes
