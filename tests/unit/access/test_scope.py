"""Roles held at different sites and for different product families do not mix."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.unit.access.policy_world import FLAGS, MODELS, PROJECT, SITES, allows, person, project

from clew.access.deciding import Deciding
from clew.access.unite import Held, Unite, held_by
from clew.kernel.context import EVERYWHERE, Context, Person, Scope
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources

OPERATOR = UUID(int=77)
READER = "role: reader\nlabel: {zh: 读, en: R}\nsites: own\nmay: {thing: {read: always, hide: [x]}}\n"
WRITER = (
    "role: writer\nlabel: {zh: 写, en: W}\nsites: own\nmay: {thing: {read: always, update: always, audit: always}}\n"
)


def thing(site: UUID, **more: Any) -> dict[str, Any]:
    return {**dict.fromkeys(FLAGS), "x": "x", "y": "y", "z": "z", "site": site, "created_by": UUID(int=5), **more}


def access(blueprint: Blueprint, who: Person) -> Any:
    return Deciding(blueprint, OPERATOR)(Context(who, "r")).on("thing")


def test_a_role_at_one_site_says_nothing_about_another() -> None:
    blueprint = project(READER, WRITER)
    who = person("reader", "writer", reader=Scope((SITES[0],), None), writer=Scope((SITES[1],), None))
    found = access(blueprint, who)
    here, there = thing(SITES[0]), thing(SITES[1])
    assert allows(found.read, here, who)
    assert allows(found.read, there, who)
    assert not allows(found.update, here, who)
    assert allows(found.update, there, who)
    assert not allows(found.audit, here, who)
    assert allows(found.audit, there, who)
    # The field that the reader does not have is seen only where the writer reads.
    assert not allows(found.fields["x"].read, here, who)
    assert allows(found.fields["x"].read, there, who)
    assert allows(found.fields["y"].read, here, who)
    assert not allows(found.read, thing(UUID(int=3)), who)


def test_an_assignment_for_all_sites_has_no_condition_and_one_for_none_reaches_nothing() -> None:
    blueprint = project(WRITER)
    everywhere = person("writer", writer=Scope(None, None))
    assert access(blueprint, everywhere).update.always
    nowhere = person("writer", writer=Scope((), None))
    assert not allows(access(blueprint, nowhere).update, thing(SITES[0]), nowhere)
    unsaid = person("writer")
    assert not allows(access(blueprint, unsaid).update, thing(SITES[0]), unsaid)


def test_a_decision_is_the_same_object_for_all_with_the_same_grants() -> None:
    blueprint = project(WRITER)
    deciding = Deciding(blueprint, OPERATOR)
    first = deciding(Context(person("writer", writer=Scope((SITES[0],), None)), "r"))
    second = deciding(Context(person("writer", writer=Scope((SITES[1],), None)), "r"))
    assert first is second
    assert first.digest != deciding(Context(person("writer", writer=Scope(None, None)), "r")).digest


def test_user_sites_in_a_condition_are_those_of_the_assignment_it_comes_from() -> None:
    one = 'role: one\nlabel: {zh: 一, en: O}\nmay: {thing: {read: "site in user.sites"}}\n'
    two = 'role: two\nlabel: {zh: 二, en: T}\nmay: {thing: {update: "!(site in user.sites)"}}\n'
    blueprint = project(one, two)
    who = person("one", "two", one=Scope((SITES[0],), None), two=Scope((SITES[1],), None))
    found = access(blueprint, who)
    assert allows(found.read, thing(SITES[0]), who)
    assert not allows(found.read, thing(SITES[1]), who)
    assert allows(found.update, thing(SITES[0]), who)
    assert not allows(found.update, thing(SITES[1]), who)
    everywhere = person("one", "two", one=Scope(None, None), two=Scope(None, None))
    found = access(blueprint, everywhere)
    assert found.read.always
    assert not found.update.allowed


def test_inherited_grants_belong_to_the_assignment_of_the_role_held() -> None:
    chief = "role: chief\nlabel: {zh: 主管, en: C}\ninherits: writer\nmay: {thing: {void: always}}\n"
    blueprint = project(WRITER, chief)
    who = person("chief", chief=Scope((SITES[0],), None), writer=Scope((SITES[1],), None))
    found = access(blueprint, who)
    assert allows(found.update, thing(SITES[0]), who)
    assert not allows(found.update, thing(SITES[1]), who)
    assert found.void.always


def test_never_holds_wherever_the_role_is_held() -> None:
    guard = "role: guard\nlabel: {zh: 禁, en: G}\nsites: own\nnever: {thing: {update: always, hide: [y]}}\n"
    blueprint = project(WRITER, guard)
    who = person("writer", "guard", writer=Scope((SITES[0],), None), guard=Scope((SITES[1],), None))
    found = access(blueprint, who)
    assert not found.update.allowed
    assert not found.fields["y"].read.allowed
    assert found.fields["x"].read.always


def test_what_cannot_be_decided_forbids_under_never() -> None:
    guard = 'role: guard\nlabel: {zh: 禁, en: G}\nnever: {thing: {update: "10 / size(y) > 1"}}\n'
    open_writer = WRITER.replace("sites: own\n", "")
    blueprint = project(open_writer, guard.replace("size(y)", "(size(coalesce(y, '')))"))
    who = person("writer", "guard")
    found = access(blueprint, who)
    assert allows(found.update, thing(SITES[0], y="0123456789"), who)
    assert not allows(found.update, thing(SITES[0], y=""), who), "a division by zero"


def test_recreated_field_or_role() -> None:
    """Threat 23: a grant is of a name in one release; what is declared anew is granted what it is declared."""
    before = project(READER, WRITER)
    unite = united(before)
    assert unite.decision(frozenset({Held("reader", False, False)})).on("thing").sees("z")
    # The role is gone: whoever still holds it holds nothing.
    without = project(WRITER)
    assert held_by(person("reader"), without.policies) == frozenset()  # type: ignore[arg-type]
    assert not access(without, person("reader", reader=Scope(None, None))).read.allowed
    # A role of the same name with other grants has only those, and its decisions have another name.
    anew = project("role: reader\nlabel: {zh: 读, en: R}\nmay: {thing: {read: always, show: [y]}}\n")
    fresh = united(anew).decision(frozenset({Held("reader", False, False)}))
    assert [name for name, each in fresh.on("thing").fields.items() if each.read.allowed] == ["id", "row_version", "y"]
    assert fresh.digest != unite.decision(frozenset({Held("reader", False, False)})).digest


def united(blueprint: Blueprint) -> Unite:
    from clew.access.judgement import Judgement

    return Unite(Judgement(blueprint))


def test_the_operator_is_nobody_at_a_door() -> None:
    """On the command line the database lies open anyway; through a door the operator has no right by being one."""
    blueprint = project(WRITER)
    role = "platform_operator"
    operator = Person(OPERATOR, "operator", "Operator", (role,), scopes={role: EVERYWHERE})
    deciding = Deciding(blueprint, OPERATOR)
    assert deciding(Context(operator, "r", channel="cli")).on("thing").update.always
    assert not deciding(Context(operator, "r", channel="api")).on("thing").read.allowed
    # People who operate equipment are others.
    plant = project(WRITER, "role: operator\nlabel: {zh: 操作工, en: O}\nmay: {thing: {read: always}}\n")
    assert Deciding(plant, OPERATOR)(Context(operator, "r", channel="cli")).on("thing").update.always
    declared = project(WRITER, "role: platform_operator\nlabel: {zh: 操作员, en: O}\nmay: {thing: {read: always}}\n")
    found = Deciding(declared, OPERATOR)(Context(operator, "r", channel="cli")).on("thing")
    assert found.read.always
    assert not found.update.allowed
    assert not Deciding(declared, OPERATOR)(Context(operator, "r", channel="api")).on("thing").read.allowed


def test_a_legal_hold_is_set_by_roles_that_say_so_only() -> None:
    keep = MODELS.replace("scope: site\n", "scope: site\nretention: {years: 5, basis: law}\n")
    both = (
        "role: writer\nlabel: {zh: 写, en: W}\nmay: {thing: {read: always, update: always}}\n---\n"
        "role: counsel\nlabel: {zh: 法务, en: C}\nmay: {thing: {read: always, update: always, write: [legal_hold]}}\n"
    )
    loaded = load_sources({"clew.yaml": PROJECT, "models/m.yaml": keep, "permissions/p.yaml": both})
    assert loaded.blueprint is not None
    found = {role: access(loaded.blueprint, person(role)).fields for role in ("writer", "counsel")}
    assert not found["writer"]["legal_hold"].write.allowed
    assert found["writer"]["legal_hold"].read.always
    assert found["writer"]["x"].write.always
    assert found["counsel"]["legal_hold"].write.always
    assert not found["counsel"]["x"].write.allowed
