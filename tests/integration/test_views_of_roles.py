"""What each of the pack's roles can learn of the API by asking it: whole, valid, and nothing about others' records."""

from __future__ import annotations

from uuid import uuid5

import pytest
from graphql import validate_schema
from tests.integration.pack_world import pack

from clew.access.deciding import Deciding
from clew.access.decision import Decision, permit_all
from clew.api.build import spec_of
from clew.api.cost import ROOMS
from clew.api.view import View, Views
from clew.cli.reference import views_of
from clew.kernel.context import EVERYWHERE, Context, Person
from clew.runtime import OPERATOR
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio


def decision(role: str) -> Decision:
    policies = pack().policies
    assert policies is not None
    party = OPERATOR.id if policies.roles[role].kind == "external" else None
    one = uuid5(OPERATOR.id, role)
    who = Person(one, login=role, name=role, employee=one, party=party, roles=(role,), scopes={role: EVERYWHERE})
    return Deciding(pack(), OPERATOR.id)(Context(who, "request"))


def names(view: View, kind: str) -> set[str]:
    whole = view.whole()
    type_ = {"query": whole.query_type, "mutation": whole.mutation_type, "stream": whole.subscription_type}[kind]
    return set() if type_ is None else set(type_.fields)


async def test_every_role_can_ask_what_there_is(tier: Tier) -> None:
    policies = pack().policies
    assert policies is not None
    assert len(policies.roles) > 50
    # In the short tier: nothing to read, few things, everything to read and nothing to write, and a working role.
    few = ("sys_admin", "supplier", "auditor", "qc_inspector")
    async with views_of(pack()) as views:
        roles = sorted(policies.roles, key=lambda each: each not in few)
        for role in roles[: tier.count(len(few), len(roles))]:
            whole = views.view(decision(role), "en").whole()
            # Making a schema anew collects and checks everything that can be reached.
            whole._validation_errors = None
            assert validate_schema(whole) == [], role


async def test_whatever_a_room_answers_has_a_price() -> None:
    """A field without one could be asked for two hundred times in one document."""
    async with views_of(pack()) as views:
        roots = views.view(permit_all(pack()), "en").whole().query_type
        assert roots is not None
        answered = {name for name, each in roots.fields.items() if hasattr(spec_of(each), "answer")}
        assert "myTasks" in answered
        assert answered <= ROOMS.keys()


@pytest.mark.parametrize("role", ["supplier", "sys_admin"])
async def test_a_process_about_hidden_records_does_not_exist(role: str) -> None:
    async with views_of(pack()) as views:
        told, all_known = whole_names(views, role), whole_names(views, "qa_manager")
        processes = [each for each in all_known if "onconformanceHandling" in each or "orrectiveAction" in each]
        assert len(processes) > 10
        assert told.isdisjoint(processes)
        # A supplier sees orders, which have processes; the administrator sees nothing that has one.
        assert told.isdisjoint({"startProcess", "decideTask", "myTasks", "processesOf"}) == (role == "sys_admin")


def whole_names(views: Views, role: str) -> set[str]:
    view = views.view(decision(role), "en")
    return names(view, "query") | names(view, "mutation") | set(view.whole().type_map)


async def test_who_reads_nothing_has_nothing_to_listen_to() -> None:
    async with views_of(pack()) as views:
        assert views.view(decision("sys_admin"), "en").whole().subscription_type is None
        assert names(views.view(decision("supplier"), "en"), "stream")
