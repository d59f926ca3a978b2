"""The schema of a view: complete, valid, lazy, pruned, and every name with one owner."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate, validate_schema

from clew.access.decision import ALWAYS, Decision, EntityAccess, FieldAccess, permit_all
from clew.api.errors import NameClash
from clew.api.names import Names
from clew.api.view import Views
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.testing.blueprints import blueprint, entity, field

ROOT = Path(__file__).parents[3]


def load(folder: Path) -> Blueprint:
    loaded = load_folder(folder)
    assert loaded.blueprint is not None
    return loaded.blueprint


@pytest.fixture(scope="module")
def pack() -> Blueprint:
    return load(ROOT)


@pytest.fixture(scope="module")
def mini() -> Blueprint:
    return load(ROOT / "tests" / "projects" / "mini")


def test_the_whole_pack_makes_a_valid_schema(pack: Blueprint) -> None:
    view = Views(pack).view(permit_all(pack), "en")
    whole = view.whole()
    again = GraphQLSchema(whole.query_type, directives=whole.directives)
    assert validate_schema(again) == []
    assert len(whole.type_map) > 10 * len(pack.entities)
    assert build_schema(view.sdl()).query_type is not None


def test_a_document_makes_only_the_types_it_touches(pack: Blueprint) -> None:
    view = Views(pack).view(permit_all(pack), "en")
    document = parse('{ items(first: 3, where: {itemNo: {eq: "x"}}) { nodes { id name } } }')
    assert validate(view.schema, document) == []
    built = len(view.build._types)
    # Arguments of the roots name types of every entity; their fields are made only where the document goes.
    opened = [each for each in view.build._types.values() if "fields" in vars(each)]
    assert built < len(list(view.build.type_names()))
    assert len(opened) < 12


def test_what_is_hidden_is_not_there(mini: Blueprint) -> None:
    fields = {name: FieldAccess(ALWAYS) for name in ("number", "supplier", "item")}
    narrow = Decision("narrow", MappingProxyType({"lot": EntityAccess(read=ALWAYS, fields=fields)}))
    sdl = Views(mini).view(narrow, "en").sdl()
    assert "number: String" in sdl
    for gone in ("supplier", "Supplier", "qty", "nonconformance", "history", "audit:", "itemNo"):
        assert gone not in sdl


def test_descriptions_follow_the_language(mini: Blueprint) -> None:
    views = Views(mini)
    decision = permit_all(mini)
    assert "一批同样的物料" in views.view(decision, "zh").sdl()
    assert "A quantity of one item made under the same conditions." in views.view(decision, "en").sdl()


def test_views_are_shared_by_decision_and_bounded(mini: Blueprint) -> None:
    views = Views(mini, keep=2)
    decision = permit_all(mini)
    assert views.view(decision, "en") is views.view(replace(decision), "en")
    for digest in ("a", "b", "c"):
        views.view(replace(decision, digest=digest), "en")
    assert len(views._views) == 2


@pytest.mark.parametrize(
    ("entities", "first", "second"),
    [
        ([entity("lot", []), entity("lot_where", [])], "entity lot ", "entity lot_where"),
        ([entity("lot", [field("a_b"), field("aB")])], "lot.a_b", "lot.aB"),
        ([entity("lot", [field("history")])], "the platform", "lot.history"),
        ([entity("part", [], plural="lot"), entity("lot", [])], "list of entity part", "entity lot "),
    ],
)
def test_a_clash_names_both_owners(entities: list[object], first: str, second: str) -> None:
    with pytest.raises(NameClash) as clash:
        Names(blueprint(*entities))  # type: ignore[arg-type]
    text = clash.value.message("en")
    assert first in text
    assert second in text
