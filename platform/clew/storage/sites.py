"""Codes of sites that a project names under `active`, held against the sites there are."""

from __future__ import annotations

import sqlalchemy as sa

from clew.kernel.diagnostics import Diagnostic, Findings, nearest
from clew.metadata import rules
from clew.metadata.blueprint import Blueprint
from clew.metadata.link.active import SITE, site_key
from clew.storage import releases
from clew.storage.engine import Connection

MOST = 10_000
"""How many sites are looked through."""


async def unknown_sites(connection: Connection, blueprint: Blueprint) -> tuple[Diagnostic, ...]:
    """A warning for each code that no site of the database has. Nothing before a release with sites was applied."""
    current = await releases.current_in(connection) if blueprint.sites_named else None
    names = current.catalog.entities.get(SITE) if current is not None else None
    column = names.columns.get(site_key(blueprint.entities)) if names is not None else None
    if names is None or column is None:
        return ()
    rows = await connection.fetch(sa.select(sa.column(column)).select_from(sa.table(names.table)).limit(MOST))
    known = {str(row[0]) for row in rows}
    findings = Findings()
    for code, place in blueprint.sites_named:
        if code not in known:
            findings.add(rules.UNKNOWN_SITE, place, path="active.sites", nearest=nearest(code, known), name=code)
    return findings.sorted()
