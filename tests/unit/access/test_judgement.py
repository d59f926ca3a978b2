"""The kept answers equal the whole Casbin enforcer, whatever the policies are."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.access.policy_world import ACTIONS, FIELDS, NOW, allows, person, project, random_role, record

from clew.access.casbin_policy import Bench, PolicyRefused
from clew.access.judgement import Judgement
from clew.access.lines import Line, lines_of
from clew.access.unite import Unite, held_by
from clew.expressions.interpret import holds
from clew.kernel.context import Person, Scope
from clew.metadata.blueprint import Blueprint
from clew.testing.plugin import Tier

USER = "@user"


def holding(line: Line, blueprint: Blueprint, found: dict[str, Any], who: Person) -> bool:
    """Whether a line's conditions hold on a record for one who holds its role directly or by inheritance."""
    assert blueprint.policies is not None
    deny = line.effect == "deny"
    if not all(holds(each, found, on_error=deny, now=NOW, person=who) for each in line.conditions):
        return False
    return not line.own_sites or found["site"] in who.sites


def test_kept_answers_equal_the_whole_enforcer(tier: Tier) -> None:
    """Random roles, holders and records: every action, transition and field, by Casbin over all lines at once."""
    compared = 0
    for seed in range(tier.count(12, 200)):
        chance = random.Random(seed)
        names: list[str] = []
        documents = []
        for at in range(chance.choice((2, 4, 6))):
            documents.append(random_role(f"r{at}", chance, names))
            names.append(f"r{at}")
        blueprint = project(*documents)
        assert blueprint.policies is not None
        entity = blueprint.entities["thing"]
        asked = lines_of(blueprint.policies, entity)
        unite = Unite(Judgement(blueprint))
        inherits = {name: role.inherits for name, role in blueprint.policies.roles.items()}
        numbered = [line for lines in asked.lines.values() for line in lines]
        rows = [(line.role, line.question, str(at), line.effect) for at, line in enumerate(numbered)]
        for _ in range(4):
            roles = tuple(chance.sample(names, chance.choice((1, 1, 2, len(names)))))
            # One site for all, so that who holds a role by two ways holds it alike; test_scope tells them apart.
            site = record(chance)["site"]
            who = Person(person().id, "p", "P", roles, (site,), scopes={each: Scope((site,), None) for each in roles})
            decision = unite.decision(held_by(who, blueprint.policies)).on("thing")
            enforcer = Bench({**inherits, USER: roles}, rows)
            for _ in range(3):
                found = record(chance)
                facts = frozenset(str(at) for at, line in enumerate(numbered) if holding(line, blueprint, found, who))
                for action in (*ACTIONS, "do:close", "do:reopen"):
                    grant = decision.transitions[action[3:]] if action.startswith("do:") else getattr(decision, action)
                    want = enforcer.allowed(USER, action, facts)
                    assert allows(grant, found, who) == want, (seed, roles, action, found, documents)
                    compared += 1
                for name in FIELDS:
                    access = decision.fields[name]
                    for verb, row, grant in (
                        ("see", decision.read, access.read),
                        ("update", decision.update, access.giving("update")),
                        ("create", decision.create, access.giving("create")),
                        ("correct", decision.correct, access.giving("correct")),
                    ):
                        question = asked.question(verb, name)
                        want = enforcer.allowed(USER, question, facts)
                        denied = row_is_denied(enforcer, verb, facts)
                        got = allows(row, found, who) and allows(grant, found, who)
                        assert got == (want and not denied), (seed, roles, question, found, documents)
                        compared += 1
    assert compared > 1_000


def row_is_denied(enforcer: Bench, verb: str, facts: frozenset[str]) -> bool:
    """Whether the row itself is refused: then its fields are as well."""
    return not enforcer.allowed(USER, "read" if verb == "see" else verb, facts)


@pytest.mark.parametrize(
    "row",
    [
        ("r", "read", "0", "Allow"),
        ("r", "read", "0", "alow"),
        ("r", "read", "0", ""),
        ("s", "read", "0", "allow"),
        ("", "read", "0", "allow"),
        ("r", "read", "x", "allow"),
        ("r", "read", "0"),
        ("r", "read", "0", "allow", "more"),
    ],
)
def test_a_line_that_is_not_exact_is_refused(row: Any) -> None:
    """Casbin itself takes `Allow` for no effect at all and one malformed row for a fault of every user."""
    with pytest.raises(PolicyRefused):
        Bench({"r": ()}, [row])
    bench = Bench({"r": ()}, [("r", "read", "0", "allow")])
    with pytest.raises(PolicyRefused):
        bench.load([("r", "read", "1", "allow"), row])
    assert bench.allowed("r", "read", frozenset({"0"})), "what was loaded before goes on"


def test_two_lines_with_one_number_are_refused() -> None:
    with pytest.raises(PolicyRefused):
        Bench({"r": ()}, [("r", "read", "0", "allow"), ("r", "read", "0", "deny")])


def test_an_empty_policy_allows_nothing() -> None:
    """Casbin over an empty policy says yes to empty requests."""
    bench = Bench({"r": ()}, [])
    for role in ("", "r"):
        for question in ("", "read"):
            for facts in ((), ("",), ("0",)):
                assert not bench.allowed(role, question, frozenset(facts))
            assert bench.deciding(role, question) == ((), ())


def test_inheritance_deeper_than_casbin_goes_by_itself() -> None:
    inherits = {f"r{at}": (f"r{at - 1}",) if at else () for at in range(40)}
    bench = Bench(inherits, [("r0", "read", "0", "allow")])
    assert bench.deciding("r39", "read") == ((0,), ())


def test_the_fill_answers_everything(tier: Tier) -> None:
    blueprint = project(random_role("r0", random.Random(1), ()), random_role("r1", random.Random(2), ("r0",)))
    judgement = Judgement(blueprint)
    asked: Callable[[str], Any] = judgement.asked
    assert judgement.fill() == sum(len(asked(name).lines) * 2 for name in blueprint.entities)
