"""Which separations stand between the roles of one person, and between acts of one person about the same subject."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from clew.metadata.policies import Act, Policies


def broken(policies: Policies, roles: Iterable[str], until: date | None = None) -> tuple[str, ...]:
    """Separations that one holder of all these roles, with all they inherit, breaks, in the order of their names.

    `until` is the last day on which the roles are held together: a separation that begins later is not broken.
    """
    held = {each.name for role in roles for each in policies.lineage(role)}
    return tuple(
        name
        for name, each in sorted(policies.separations.items())
        if (until is None or each.begins is None or each.begins <= until)
        and sum(1 for group in each.groups if group & held) > 1
    )


def between(policies: Policies, act: Act, earlier: Iterable[Act]) -> tuple[str, ...]:
    """Separations that keep whoever did one of the `earlier` acts from this one, in the order of their names."""
    done = tuple(earlier)
    return tuple(
        name
        for name, each in sorted(policies.separations.items())
        if any(
            duty.name != other.name and duty.covers(act) and any(other.covers(before) for before in done)
            for duty in each.duties
            for other in each.duties
        )
    )
