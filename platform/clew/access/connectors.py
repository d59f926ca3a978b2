"""Policy lines about connectors, judged by Casbin like every other: who may read, run and administer which.

A role that names a connector says everything about it; its `*` covers the others.
"""

from __future__ import annotations

from collections.abc import Iterator

from clew.access.lines import Line
from clew.metadata.policies import CONNECTOR, Clause, ConnectorGrants, Policies
from clew.metadata.spec.permissions import ANYTHING


def connectors_named(policies: Policies) -> tuple[str, ...]:
    """Every connector that some role names, and `*` for the others."""
    named = {name for role in policies.roles.values() for name in role.connectors}
    return tuple(sorted({*named, ANYTHING}))


def connector_lines(policies: Policies, connector: str, action: str) -> tuple[Line, ...]:
    """All lines about an action on a connector, in the order of role names."""
    said = [
        (role, effect, place)
        for role, grants in _of(policies, connector)
        for effect, places in (("allow", grants.may), ("deny", grants.never))
        for place in [places.get(action)]
        if place is not None
    ]
    return tuple(
        Line(number, role, CONNECTOR + connector, action, "allow" if effect == "allow" else "deny", (Clause(place),))
        for number, (role, effect, place) in enumerate(said)
    )


def _of(policies: Policies, connector: str) -> Iterator[tuple[str, ConnectorGrants]]:
    for role in policies.roles.values():
        grants = role.connectors.get(connector) or role.connectors.get(ANYTHING)
        if grants is not None:
            yield role.name, grants
