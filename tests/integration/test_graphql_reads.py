"""The GraphQL read API on both engines: every generated feature, every permission edge, every refusal."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_api import BOSS, Api, api
from read_world import AUDITOR, INSPECTOR, MOMENTS, SITES, context, uid

from clew.access.decision import ALWAYS, NEVER, Decision, EntityAccess, FieldAccess, Grant
from clew.api.cost import Limits
from clew.api.engine import GraphQLEngine, Options
from clew.api.errors import BadVariable
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.kernel.context import Person
from clew.kernel.scalars import instant_text
from clew.records.query import plan as p
from clew.records.query.compile import compile_plan
from clew.records.query.run import SessionEnded, fetch_records
from clew.storage import identity_tables, system
from clew.testing.databases import TestDatabase

pytestmark = pytest.mark.anyio
__all__ = ["api"]


async def test_by_id_key_and_node(api: Api) -> None:
    id = str(uid(4, 3))
    document = """query($id: ID!, $n: String!) { one: lot(id: $id) { __typename number } lotByNumber(number: $n) { id }
      node(id: $id) { __typename id ... on Lot { number } ... on Item { itemNo } } gone: lot(id: "%s") { id } }"""
    found = await api.data(document % uid(4, 999), id=id, n="L003")
    assert found == {
        "one": {"__typename": "Lot", "number": "L003"},
        "lotByNumber": {"id": id},
        "node": {"__typename": "Lot", "id": id, "number": "L003"},
        "gone": None,
    }
    assert list(found) == ["one", "lotByNumber", "node", "gone"]


async def test_one_statement_whatever_is_asked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    async with api.database.read() as connection:
        kind = type(connection)
    original = kind.fetch_text

    async def counted(self: Any, compiled: Any, args: Any) -> Any:
        statements.append(compiled.sql)
        return await original(self, compiled, args)

    monkeypatch.setattr(kind, "fetch_text", counted)
    await api.data("{ lots { totalCount nodes { number nonconformances { totalCount } } } items { nodes { name } } }")
    assert len(statements) == 1


@pytest.mark.parametrize("person", [BOSS, INSPECTOR], ids=["boss", "inspector"])
@pytest.mark.parametrize("at", ["", f', asOf: "{instant_text(MOMENTS[2])}"'], ids=["now", "then"])
async def test_a_reference_compared_by_id_finds_what_the_selection_shows(api: Api, person: Person, at: str) -> None:
    """Whether the condition is asked of the reference itself or of the record at its other end."""
    decision = api.all if person is BOSS else api.inspector
    shown = await api.data(f"{{ lots(first: 500{at}) {{ nodes {{ id supplier {{ id }} }} }} }}", decision, person)
    ends = {each["id"]: (each["supplier"] or {}).get("id") for each in shown["lots"]["nodes"]}
    known = sorted({end for end in ends.values() if end})
    assert len(known) > 1
    assert None in ends.values()
    eq, two = f'{{id: {{eq: "{known[0]}"}}}}', f'{{id: {{in: ["{known[0]}", "{known[1]}"]}}}}'
    cases = {
        f"{{supplier: {eq}}}": {known[0]},
        f"{{not: {{supplier: {eq}}}}}": {*known[1:], None},
        f"{{supplier: {two}}}": set(known[:2]),
        f"{{and: [{{supplier: {two}}}, {{not: {{supplier: {eq}}}}}]}}": {known[1]},
        "{supplier: {isNull: true}}": {None},
        "{supplier: {isNull: false}}": set(known),
        f'{{supplier: {{id: {{eq: "{uid(9, 999)}"}}}}}}': set(),
    }
    for where, wanted in cases.items():
        found = await api.data(f"{{ lots(first: 500, where: {where}{at}) {{ nodes {{ id }} }} }}", decision, person)
        expected = {id for id, end in ends.items() if end in wanted}
        assert {each["id"] for each in found["lots"]["nodes"]} == expected, where


async def test_aggregates_and_groups(api: Api) -> None:
    found = await api.data(
        """{ lots {
             aggregate { count sum { qty } min { expOn qty } max { number } avg { qty } countDistinct { supplier } }
             groups(by: [state, site]) { key { state site { code } } count sum { qty } } } }"""
    )
    lots = [row for row in api.world.rows("lot", None) if row["voided_at"] is None]
    total = sum(row["qty"] for row in lots)
    aggregate = found["lots"]["aggregate"]
    assert aggregate["count"] == len(lots)
    assert aggregate["sum"]["qty"] == f"{total:.4f}"
    assert aggregate["min"]["expOn"] == min(row["exp_on"] for row in lots if row["exp_on"]).isoformat()
    assert abs(float(aggregate["avg"]["qty"]) - float(total / len(lots))) < 1e-7
    assert aggregate["countDistinct"]["supplier"] == len({row["supplier"] for row in lots if row["supplier"]})
    expected = {(row["state"], row["site"]) for row in lots}
    assert len(found["lots"]["groups"]) == len(expected)
    assert sum(each["count"] for each in found["lots"]["groups"]) == len(lots)


async def test_aggregates_kpi_export(api: Api) -> None:
    """Counts, sums, groups and exports are of visible rows and visible values only."""
    document = """{ lots { totalCount aggregate { count sum { qty } } groups(by: [qty]) { key { qty } count }
      nodes { qty } } }"""
    found = (await api.data(document, api.inspector, INSPECTOR))["lots"]
    lots = [row for row in api.world.rows("lot", None) if row["voided_at"] is None]
    seen = [row for row in lots if row["site"] in INSPECTOR.sites or row["state"] == "released"]
    shown = [row["qty"] for row in seen if row["site"] == INSPECTOR.site]
    assert found["totalCount"] == found["aggregate"]["count"] == len(seen)
    assert found["aggregate"]["sum"]["qty"] == f"{sum(shown):.4f}"
    assert {each["key"]["qty"] for each in found["groups"]} == {f"{qty:.4f}" for qty in shown} | {None}
    plan = p.Plan((p.ListRoot("x", p.Listing("lot", (p.Nodes("n", (p.Leaf("qty", "qty"),)),), p.Page(p.Const(500)))),))
    async with api.database.read() as connection:
        exported = await fetch_records(
            plan, api.blueprint, api.tables, api.inspector, connection, context(INSPECTOR), MOMENTS[3]
        )
    key = lambda each: (each["qty"] is None, each["qty"] or "")  # noqa: E731
    assert sorted(exported["x"]["n"], key=key) == sorted(found["nodes"], key=key)


HIDDEN = [
    "{ lots { nodes { %s } } }",
    '{ lots(where: {%s: {eq: "A1"}}) { totalCount } }',
    "{ lots(orderBy: [{%s: ASC}]) { totalCount } }",
    "{ lots { groups(by: [%s]) { count } } }",
    "{ lots { aggregate { min { %s } } } }",
    '{ nonconformances(where: {lots: {some: {%s: {eq: "A1"}}}}) { totalCount } }',
]


@pytest.mark.parametrize("document", HIDDEN)
async def test_hidden_field_oracle(api: Api, document: str) -> None:
    """A hidden field and a misspelt one are told apart by their spelling alone."""
    hidden = await api.ask(document % "supplierLot", api.inspector, INSPECTOR)
    missing = await api.ask(document % "supplierLox", api.inspector, INSPECTOR)
    assert hidden["errors"]
    assert "data" not in hidden
    assert json.dumps(hidden).replace("supplierLot", "X") == json.dumps(missing).replace("supplierLox", "X")


async def test_hidden_fields_are_not_searched(api: Api) -> None:
    everybody = await api.data('{ lots(search: "A1") { totalCount } }')
    assert everybody["lots"]["totalCount"] > 0
    assert await api.codes('{ lots(search: "A1") { totalCount } }', api.inspector, INSPECTOR) == ["GRAPHQL_INVALID"]
    name = "query($q: String) { suppliers(search: $q, orderBy: [{number: ASC}]) { nodes { number } } }"
    found = await api.data(name, q="yixie")
    assert [each["number"] for each in found["suppliers"]["nodes"]] == ["SUP0"]
    masked = await api.data(name, api.auditor, AUDITOR, q="yixie")
    assert masked["suppliers"]["nodes"] == []


async def test_masked_values_cannot_be_probed(api: Api) -> None:
    masked = [row for row in api.world.rows("lot", None) if row["site"] == SITES[1] and row["voided_at"] is None]
    assert masked
    for row in masked:
        document = "query($q: Decimal, $n: String) { lots(where: {number: {eq: $n}, qty: {eq: $q}}) { totalCount } }"
        found = await api.data(document, api.inspector, INSPECTOR, q=f"{row['qty']:.4f}", n=row["number"])
        assert found["lots"]["totalCount"] == 0
    document = "{ lots(orderBy: [{qty: ASC}], first: 200) { edges { cursor node { qty } } } }"
    edges = await api.data(document, api.inspector, INSPECTOR)
    for edge in edges["lots"]["edges"]:
        values = json.loads(bytes.fromhex(edge["cursor"]))
        assert values[1] == edge["node"]["qty"]


PATHS = {
    "list": "{ lots(first: 500) { nodes { id } } }",
    "forward": "{ serialUnits(first: 500) { nodes { lot { id } } } }",
    "links": "{ nonconformances(first: 500) { nodes { lots { nodes { id } } } } }",
    "union": "{ nonconformances(first: 500) { nodes { subject { ... on Lot { id } } } } }",
    "back": "{ suppliers(first: 20) { nodes { lots(first: 500) { nodes { id } } } } }",
    "group": "{ serialUnits { groups(by: [lot]) { key { lot { id } } } } }",
    "edges": "{ lots(first: 500) { edges { node { id } } } }",
}


def ids_in(found: Any) -> set[str]:
    if isinstance(found, dict):
        own = {found["id"]} if isinstance(found.get("id"), str) else set()
        return own.union(*(ids_in(each) for each in found.values()))
    return set().union(*(ids_in(each) for each in found)) if isinstance(found, list) else set()


@pytest.mark.parametrize("role", ["inspector", "auditor"])
async def test_every_path(api: Api, role: str) -> None:
    """Whatever way leads to a lot, only readable ones are there."""
    person = INSPECTOR if role == "inspector" else AUDITOR
    decision = api.inspector if role == "inspector" else api.auditor
    lots = api.world.rows("lot", None)
    readable = {
        str(row["id"])
        for row in lots
        if (row["site"] in person.sites or row["state"] == "released" if role == "inspector" else
            row["site"] == person.site or row["qty"] < 30)
    }  # fmt: skip
    assert 0 < len(readable) < len(lots)
    for name, document in PATHS.items():
        found = ids_in(await api.data(document, decision, person))
        assert found <= readable, name
        assert found, name
    for row in lots:
        document = "query($id: ID!) { lot(id: $id) { id } node(id: $id) { id } }"
        one = await api.data(document, decision, person, id=str(row["id"]))
        assert (one["lot"] is not None) is (one["node"] is not None) is (str(row["id"]) in readable)


async def test_empty_means_deny(api: Api) -> None:
    nothing = Decision("nothing", {})
    assert await api.codes("{ lots { totalCount } }", nothing) == ["GRAPHQL_INVALID"]
    nowhere = Person(uid(9, 2), "x", "X")
    only_sites = replace(api.inspector, digest="sites-only")
    for document in ("{ nonconformances { totalCount } }",):
        assert (await api.data(document, only_sites, nowhere))["nonconformances"]["totalCount"] == 0
    for operator, count in (("in", 0), ("notIn", None)):
        where = f"{{id: {{{operator}: $i}}}}"
        document = f"query($i: [ID!]) {{ lots(where: {where}) {{ totalCount }} all: lots {{ totalCount }} }}"
        found = await api.data(document, i=[])
        assert found["lots"]["totalCount"] == (count if count is not None else found["all"]["totalCount"])
    document = "query($q: Decimal) { lots(where: {qty: {lt: $q}}) { totalCount } }"
    assert await api.codes(document, q=None) == ["BAD_INPUT"]
    assert (await api.data("{ lots(where: {or: []}) { totalCount } }"))["lots"]["totalCount"] == 0


async def test_empty_grants_in_a_plan(api: Api) -> None:
    """A plan made by hand cannot name what is hidden either."""
    entities = dict(api.all.entities)
    entities["lot"] = EntityAccess(read=ALWAYS, fields={"number": FieldAccess(ALWAYS), "qty": FieldAccess(NEVER)})
    entities["item"] = EntityAccess(read=Grant(True, ()), fields={})
    decision = Decision("narrow", entities)
    serials = p.Listing("serial_unit", (p.TotalCount("n"),), p.Page(p.Const(1)))
    for item in (p.Leaf("x", "qty"), p.One("x", "item", ()), p.Many("x", "serial_units", serials)):
        plan = p.Plan((p.RecordRoot("r", "lot", (("id", p.Slot("id")),), (item,)),))
        with pytest.raises(Exception) as refused:
            compile_plan(plan, api.blueprint, api.tables, decision, api.database.dialect)
        assert getattr(refused.value, "code", "") == "UNKNOWN_NAME"


async def test_discovery_off(api: Api) -> None:
    engine = api.make(Options.production())
    assert await api.codes("{ __schema { queryType { name } } }", engine=engine) == ["GRAPHQL_DISCOVERY_OFF"]
    assert await api.codes('{ a: __type(name: "Lot") { name } }', engine=engine) == ["GRAPHQL_DISCOVERY_OFF"]
    closed = await api.ask("{ lots { nodes { numbr } } }", engine=engine)
    assert "mean" not in json.dumps(closed)
    open_ = await api.ask("{ lots { nodes { numbr } } }")
    assert "number" in json.dumps(open_)
    assert await api.data("{ __typename }", engine=engine) == {"__typename": "Query"}


async def test_introspection_shows_the_view(api: Api) -> None:
    from graphql import get_introspection_query

    def names(found: Any) -> set[str]:
        return {each["name"] for each in found["__schema"]["types"]}

    everything = await api.data(get_introspection_query())
    narrow = await api.data(get_introspection_query(), api.auditor, AUDITOR)
    assert {"Item", "ItemWhere", "Lot"} <= names(everything)
    assert "Lot" in names(narrow)
    assert not {each for each in names(narrow) if each in ("Item", "ItemWhere", "ItemConnection", "ItemOrder")}
    assert "supplierLot" not in json.dumps(await api.data(get_introspection_query(), api.inspector, INSPECTOR))


async def test_if_visible_serves_several_roles(api: Api) -> None:
    document = "{ lots(first: 1) { nodes { number supplierLot @ifVisible item @ifVisible { name } } } }"
    boss = (await api.data(document))["lots"]["nodes"][0]
    auditor = (await api.data(document, api.auditor, AUDITOR))["lots"]["nodes"][0]
    assert set(boss) == {"number", "supplierLot", "item"}
    assert set(auditor) == {"number", "supplierLot"}


async def test_as_of_goes_through_relations_under_todays_policy(api: Api) -> None:
    supplier = uid(3, 1)
    document = "query($id: ID!, $t: DateTime) { supplier(id: $id, asOf: $t) { state rowVersion } }"
    early = {"id": str(supplier), "t": MOMENTS[0].isoformat()}
    assert (await api.data(document, **early))["supplier"] == {"state": "draft", "rowVersion": 1}
    assert (await api.data(document, api.inspector, INSPECTOR, **early))["supplier"] is None
    before = await api.data(document, id=str(supplier), t=(MOMENTS[0] - timedelta(days=1)).isoformat())
    assert before["supplier"] is None


async def test_history_and_audit(api: Api) -> None:
    lot = next(id for id, versions in api.world.versions["lot"].items() if len(versions) > 1)
    async with api.database.write() as connection:
        header = json.dumps({"reason": "wrong count", "channel": "api", "release": "r"})
        qty, lot_no = {"c": "x", "s": "y", "o": "1.0000", "n": "2.0000"}, {"c": "z", "s": "q", "o": "a", "n": "b"}
        fields = json.dumps({"qty": qty, "supplier_lot": lot_no})
        values = {
            "leaf_id": uid(8, 1), "at": MOMENTS[1], "action": "update", "entity": "lot", "record_id": lot,
            "row_version": 2, "actor": uid(9, 1), "header": header, "fields": fields, "digest": "d" * 64,
        }  # fmt: skip
        await connection.execute(sa.insert(system.leaf), values)
    document = """query($id: ID!) { lot(id: $id) {
      history(first: 10) { txFrom txTo rowVersion reason action record { qty item { name } } }
      audit { action reason rowVersion changes { field old new } } } }"""
    found = (await api.data(document, id=str(lot)))["lot"]
    versions = api.world.versions["lot"][lot]
    assert [each["rowVersion"] for each in found["history"]] == list(range(len(versions), 0, -1))
    assert found["history"][0]["txTo"] is None
    quantities = [each["record"]["qty"] for each in found["history"]]
    assert quantities == [f"{row['qty']:.4f}" for _, _, row in versions[::-1]]
    assert [each["reason"] for each in found["history"] if each["rowVersion"] == 2] == ["wrong count"]
    assert found["audit"] == [
        {"action": "update", "reason": "wrong count", "rowVersion": 2, "changes": [
            {"field": "qty", "old": "1.0000", "new": "2.0000"}, {"field": "supplier_lot", "old": "a", "new": "b"}]}
    ]  # fmt: skip
    document = "{ lots(first: 500) { nodes { audit { changes { field } } } } }"
    seen = json.dumps(await api.data(document, api.inspector, INSPECTOR))
    assert "supplier_lot" not in seen


async def test_pages_stay_right_while_rows_change(api: Api) -> None:
    document = """query($a: Cursor) { lots(first: 5, after: $a, orderBy: [{number: DESC}]) {
      nodes { number } pageInfo { endCursor } } }"""
    first = (await api.data(document))["lots"]
    numbers = [each["number"] for each in first["nodes"]]
    async with api.database.write() as connection:
        lot = api.tables.current("lot")
        row = (await connection.fetch(sa.select(lot).where(lot.c.number == numbers[-1])))[0]
        values = dict(zip(lot.c.keys(), row, strict=True)) | {"id": uid(4, 500), "number": "L999"}
        await connection.execute(sa.insert(lot), values)
        await connection.execute(sa.update(lot).where(lot.c.number == numbers[-1]).values(voided_at=MOMENTS[0]))
    second = (await api.data(document, a=first["pageInfo"]["endCursor"]))["lots"]
    expected = sorted((row["number"] for row in api.world.rows("lot", None) if row["voided_at"] is None), reverse=True)
    assert [each["number"] for each in second["nodes"]] == expected[5:10]


async def test_bad_cursors_and_pages(api: Api) -> None:
    found = await api.data("{ lots(first: 2, orderBy: [{qty: ASC}]) { pageInfo { endCursor } } }")
    cursor = found["lots"]["pageInfo"]["endCursor"]
    document = "query($a: Cursor) { lots(first: 2, after: $a) { totalCount nodes { id } } }"
    forged = json.loads(bytes.fromhex(cursor))
    forged[1] = {"x": 1}
    wrong = [cursor, "zz", "5b5d", "", "00", json.dumps(forged).encode().hex(), "5b" * 5000]
    for each in wrong:
        assert await api.codes(document, a=each) == ["BAD_CURSOR"], each
    for arguments in ("first: 501", "first: -1", "last: 100000", "first: 2147483647"):
        assert await api.codes(f"{{ lots({arguments}) {{ nodes {{ id }} }} }}") in (["BAD_PAGE"], ["GRAPHQL_LIMIT"])
    assert await api.codes("{ lots(first: 1, last: 1) { nodes { id } } }") == ["BAD_INPUT"]
    assert (await api.data("{ lots(first: 0) { nodes { id } pageInfo { hasNextPage } } }"))["lots"] == {
        "nodes": [], "pageInfo": {"hasNextPage": True}
    }  # fmt: skip


BAD_VALUES = [
    ("ID!", "lot(id: $v) { id }", ["1", "x' OR '1'='1", 5, {"a": 1}, ["a"], None, "\u0000"]),
    (
        "Decimal",
        "lots(where: {qty: {eq: $v}}) { totalCount }",
        ["1.23456", "NaN", "1e5", "Infinity", 1.5, True, "9" * 19, {}],
    ),
    ("Date", "lots(where: {expOn: {eq: $v}}) { totalCount }", ["2026-13-01", "20260101", 5, "0000-00-00"]),
    ("DateTime", "lots(asOf: $v) { totalCount }", ["2026-01-01", "now()", 5, "0001-01-01T00:00:00+23:59"]),
    ("String", "lots(where: {number: {eq: $v}}) { totalCount }", ["a\u0000b", 5, True, ["a"], "\ud800"]),
    (
        "LotWhere",
        "lots(where: $v) { totalCount }",
        [{"nope": {}}, {"qty": 5}, {"qty": {"nope": 1}}, [], "x", {"and": None}],
    ),
    (
        "[LotOrder!]",
        "lots(orderBy: $v) { totalCount nodes { id } }",
        [[{"qty": "asc"}], [{"qty; drop": "ASC"}], [{}], [None]],
    ),
]


@pytest.mark.parametrize(("type_", "field", "values"), BAD_VALUES)
async def test_bad_values_are_coded_errors(api: Api, type_: str, field: str, values: list[Any]) -> None:
    for value in values:
        found = await api.ask(f"query($v: {type_}) {{ {field} }}", v=value)
        codes = {each["extensions"]["code"] for each in found["errors"]}
        assert codes <= {"BAD_INPUT", "GRAPHQL_INVALID"}, (value, found)
        assert "Traceback" not in json.dumps(found)


PAYLOADS = st.one_of(
    st.sampled_from(
        ["'; DROP TABLE lot; --", '" OR 1=1', 'a") || (SELECT 1)', "%s", ":x", "$1", "\\'", "/*", "x\u2019", "?"]
    ),
    st.text(max_size=20),
)


async def test_identifier_injection(api: Api) -> None:
    """Payloads in values never change the statement; in names they never get past the document."""
    document = """query($t: String, $w: LotWhere) { lots(where: {number: {contains: $t}}) { totalCount }
      x: lots(where: $w) { totalCount } suppliers(search: $t) { totalCount } }"""
    caller = Caller(context(BOSS), api.all)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PAYLOADS)
    def statements(text: str) -> None:
        variables = {"t": text, "w": {"supplierLot": {"startsWith": text}}}
        operation = api.engine._operation(Question(document, None, variables), caller)
        if "\x00" in text:
            with pytest.raises(BadVariable):
                operation.coerce(variables)
            return
        _, shape = operation.coerce(variables)
        sql = api.engine._prepare(operation, shape, caller).statement.sql
        seen.add(sql)
        dialect = "postgres" if api.database.dialect == "postgresql" else "sqlite"
        shapes.add(repr(sqlglot.parse(sql, read=dialect)) if len(seen) > len(shapes) else next(iter(shapes)))

    seen: set[str] = set()
    shapes: set[str] = set()
    statements()
    assert len(seen) == len(shapes) == 1
    for name in ("a; DROP TABLE lot", "a'--", 'a"', "a\\u0022"):
        ordered = f"{{ lots(orderBy: [{{{name}: ASC}}]) {{ totalCount }} }}"
        for text in (f"{{ {name}: lots {{ totalCount }} }}", ordered):
            assert set(await api.codes(text)) <= {"GRAPHQL_SYNTAX", "GRAPHQL_INVALID"}
    long = "a" * 500
    assert await api.data(f"{{ {long}: lots(first: 1) {{ {long}: totalCount }} }}") == {long: {long: len(
        [row for row in api.world.rows("lot", None) if row["voided_at"] is None])}}  # fmt: skip


async def test_literal_payloads_are_constants(api: Api) -> None:
    for text in ("'; DROP TABLE lot; --", "%s ?1 $1 :x", 'back\\slash "quote"', "上海\t\n"):
        literal = json.dumps(text, ensure_ascii=True)
        found = await api.data(f"{{ lots(where: {{number: {{eq: {literal}}}}}) {{ totalCount }} }}")
        assert found["lots"]["totalCount"] == 0
    assert (await api.data("{ lots { totalCount } }"))["lots"]["totalCount"] > 0


async def test_persisted_documents(api: Api) -> None:
    text = "{ lots { totalCount } }"
    engine = api.make(Options.production({"abc": text}, only_known=True))
    known = {"persistedQuery": {"sha256Hash": "abc"}}
    assert (await api.ask(None, engine=engine, extensions=known))["data"]["lots"]["totalCount"] > 0
    assert (await api.ask(text, engine=engine))["data"]
    assert await api.codes("{ items { totalCount } }", engine=engine) == ["GRAPHQL_UNKNOWN_DOCUMENT"]
    assert await api.codes(None, engine=engine, extensions={"documentId": "x"}) == ["GRAPHQL_UNKNOWN_DOCUMENT"]


async def test_session_is_checked_in_the_same_statement(api: Api) -> None:
    session = {"id": "token", "account": uid(9, 1), "data": {}, "epoch": 4, "created_at": MOMENTS[0],
               "seen_at": MOMENTS[0], "expires_at": MOMENTS[0] + timedelta(days=90000), "revoked_at": None}  # fmt: skip
    async with api.database.write() as connection:
        await connection.execute(sa.insert(identity_tables.session), session)
    question = Question("{ lots { totalCount } }")

    async def ask(epoch: int, token: str = "token") -> bytes:
        caller = Caller(context(BOSS, session=token, epoch=epoch), api.all)
        return (await api.engine.execute(question, caller)).body

    assert b"totalCount" in await ask(4)
    for wrong in (ask(3), ask(5), ask(4, "other")):
        with pytest.raises(SessionEnded):
            await wrong
    async with api.database.write() as connection:
        await connection.execute(sa.update(identity_tables.session).values(revoked_at=MOMENTS[1]))
    with pytest.raises(SessionEnded):
        await ask(4)


async def test_shapes_share_statements_values_do_not(api: Api) -> None:
    document = "query($w: LotWhere, $n: Int) { lots(where: $w, first: $n) { nodes { number } } }"
    for qty, size in (("1", 3), ("50", 4), ("99.5", 5)):
        await api.data(document, w={"qty": {"gt": qty}}, n=size)
    view = api.engine.views.view(api.all, "en")
    operation = view.documents[(document, None)]
    assert len(operation.reads) == 1
    await api.data(document, w={"qty": {"lt": "1"}}, n=3)
    await api.data(document, n=3)
    assert len(operation.reads) == 3


async def test_include_skip_and_defaults(api: Api) -> None:
    document = """query($yes: Boolean!, $n: Int = 1) { lots(first: $n) {
      nodes { number qty @include(if: $yes) state @skip(if: $yes) } } }"""
    for flag, keys in ((True, {"number", "qty"}), (False, {"number", "state"})):
        [node] = (await api.data(document, yes=flag))["lots"]["nodes"]
        assert set(node) == keys


async def test_errors_in_the_callers_language(api: Api) -> None:
    zh = await api.ask("{ lots(first: 501) { nodes { id } } }", locale="zh")
    assert "整数" in zh["errors"][0]["message"]
    assert zh["errors"][0]["extensions"]["input"] == ["first"]
    descriptions = await api.data('{ __type(name: "Lot") { description } }', locale="zh")
    assert descriptions["__type"]["description"] == "一批同样的物料"


async def test_voided_records(api: Api) -> None:
    voided = {row["number"] for row in api.world.rows("lot", None) if row["voided_at"]}
    assert voided
    found = await api.data("{ a: lots(voided: ONLY) { nodes { number } } b: lots(voided: INCLUDE) { totalCount } }")
    assert {each["number"] for each in found["a"]["nodes"]} == voided
    assert found["b"]["totalCount"] == len(api.world.rows("lot", None))


async def test_a_chain_of_deep_fragments_is_refused_alike(api: Api) -> None:
    inner = "item { lots { nodes { " * 3 + "...F{}" + " } } }" * 3
    chain = "".join(f"fragment F{at} on Lot {{ {inner.replace('{}', str(at + 1))} }}\n" for at in range(80))
    document = f"{{ lots {{ nodes {{ ...F0 }} }} }}\n{chain}fragment F80 on Lot {{ id }}"
    assert await api.codes(document) == ["GRAPHQL_LIMIT"]
    stream = api.engine.stream(Question(document, None, {}, None), Caller(context(BOSS), api.all))
    [streamed] = [json.loads(each.body) async for each in stream]
    assert streamed["errors"][0]["extensions"]["code"] == "GRAPHQL_LIMIT", streamed


async def test_huge_filters_are_refused(api: Api) -> None:
    document = "query($w: LotWhere) { lots(where: $w) { totalCount } }"
    deep: dict[str, Any] = {"number": {"eq": "x"}}
    for _ in range(70):
        deep = {"not": deep}
    assert await api.codes(document, w=deep) == ["BAD_INPUT"]
    wide = {"or": [{"number": {"eq": "x"}}] * 400}
    assert await api.codes(document, w=wide) == ["GRAPHQL_LIMIT"]
    for _ in range(3000):
        deep = {"and": [deep]}
    assert set(await api.codes(document, w=deep)) <= {"BAD_INPUT", "GRAPHQL_LIMIT"}
    refused = {"BAD_INPUT", "STATEMENT_TOO_LARGE"}
    for levels in (20, 35, 55, 70):
        # Deeper than a database's parser goes is a refusal of the request, never a fault of the platform.
        nested: dict[str, Any] = {"number": {"eq": "x"}}
        for _ in range(levels):
            nested = {"not": nested}
        written = "{not:" * levels + '{number:{eq:"x"}}' + "}" * levels
        for found in (
            await api.ask(document, w=nested),
            await api.ask(f"{{ lots(where: {written}) {{ totalCount }} }}"),
        ):
            codes = {each["extensions"]["code"] for each in found.get("errors", [])}
            assert codes <= refused, found
            assert codes or found["data"]["lots"] is not None, found
    assert await api.codes("{" + "lots(where:{not:" * 900 + "}") in (["GRAPHQL_SYNTAX"], ["GRAPHQL_LIMIT"])
    assert await api.codes("#" + "x" * 300_000 + "\n{ __typename }") == ["GRAPHQL_LIMIT"]
    reasonable: dict[str, Any] = {"number": {"eq": "x"}}
    for _ in range(10):
        reasonable = {"not": {"or": [reasonable, {"supplier": {"name": {"eq": "y"}}}]}}
    assert "lots" in await api.data(document, w=reasonable)


async def test_many_fields_and_aliases(api: Api) -> None:
    """More members than SQLite's 63 or PostgreSQL's 50 JSON arguments, and names longer than an identifier."""
    fields = " ".join(f"{'n' * 70}{at}: number" for at in range(150))
    [node] = (await api.data(f"{{ lots(first: 1) {{ nodes {{ {fields} }} }} }}"))["lots"]["nodes"]
    assert len(node) == 150
    assert len(set(node.values())) == 1


async def test_a_statement_that_takes_too_long_is_a_coded_error(api: Api, database: TestDatabase) -> None:
    """Really too long, on a real database; every connection of the pool can be used afterwards."""
    table = api.tables.current("lot")
    some = next(row for row in api.world.rows("lot", None) if row["voided_at"] is None)
    async with api.database.write() as connection:
        known = {column.key: some.get(column.key, False if column.key == "legal_hold" else None) for column in table.c}
        more = [{**known, "id": uid(77, at), "number": f"T{at:06}"} for at in range(4000)]
        await connection.execute_many(sa.insert(table), more)
    impatient = await database.open(statement_timeout=0.05)
    try:
        engine = GraphQLEngine(
            api.blueprint, api.tables, impatient, SystemClock(), Options(Limits(cost=10**9, fields=10**6))
        )
        parts = (f"a{at}: lots {{ groups(by: [createdAtDay, number]) {{ count sum {{ qty }} }} }}" for at in range(60))
        found = await api.ask("{" + " ".join(parts) + "}", engine=engine)
        assert found["data"] is None
        assert found["errors"][0]["extensions"] == {
            "code": "STATEMENT_TIMEOUT",
            "hint": "Ask for less at once: narrow the filter or the page.",
            "retryable": True,
            "requestId": "req-1",
        }
        for _ in range(20):
            assert (await api.data("{ lots(first: 1) { nodes { id } } }", engine=engine))["lots"]["nodes"]
    finally:
        await impatient.close()


async def test_groups_by_a_polymorphic_reference(api: Api) -> None:
    document = """{ nonconformances { groups(by: [subject], first: 500) { count
      key { subject { __typename ... on Lot { number } ... on SerialUnit { serial } } } } } }"""
    groups = (await api.data(document, api.inspector, INSPECTOR))["nonconformances"]["groups"]
    rows = [row for row in api.world.rows("nonconformance", None) if row["site"] in INSPECTOR.sites]
    subjects = {row["subject_id"] if row["severity"] != "minor" else None for row in rows}
    assert len(groups) == len(subjects)
    assert sum(each["count"] for each in groups) == len(rows)
    refused = await api.codes("{ nonconformances { groups(by: [state]) { key { severity } } } }")
    assert refused == ["BAD_INPUT"]
