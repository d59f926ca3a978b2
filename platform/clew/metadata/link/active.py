"""`active: {sites, from}` as a condition: what carries it is compiled with it, and nothing treats it specially."""

from __future__ import annotations

from collections.abc import Mapping

from clew.kernel.diagnostics import Place
from clew.metadata import rules
from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.link.project import Linking
from clew.metadata.spec.others import ActiveSpec

SITE = "site"


def switched_on(linking: Linking, entity: Entity, spec: ActiveSpec, place: Place, path: str) -> str:
    """The condition under which it is in force, as expression text; empty, with a finding, when there is none."""
    if not spec.sites and spec.from_ is None:
        linking.findings.add(rules.ACTIVE_EMPTY, place, path=path)
        return ""
    if spec.sites and site_path(linking.entities, entity) is None:
        linking.findings.add(rules.ACTIVE_NO_SITE, place, path=path, entity=entity.name)
        return ""
    return active_condition(linking.entities, entity, spec)


def active_condition(entities: Mapping[str, Entity], entity: Entity, spec: ActiveSpec) -> str:
    """The condition over records of `entity`: its site is one of these, and today is not before the first day.

    Records that belong to no site are not held back by `sites`. Empty when nothing holds them back at all.
    """
    parts = []
    reached = site_path(entities, entity)
    if spec.sites and reached:
        codes = ", ".join(_quoted(code) for code in spec.sites)
        parts.append(f"{reached}.{site_key(entities)} in [{codes}]")
    if spec.from_ is not None:
        parts.append(f"today >= date('{spec.from_}')")
    return " && ".join(parts)


def site_path(entities: Mapping[str, Entity], entity: Entity) -> str | None:
    """How the site of a record is reached; None for an entity whose records belong to none."""
    if _has_site(entity):
        return SITE
    owner = entities.get(entity.part_of or "")
    return f"owner.{SITE}" if owner is not None and _has_site(owner) else None


def site_key(entities: Mapping[str, Entity]) -> str:
    """The field that names a site in YAML: the first of its business key."""
    site = entities.get(SITE)
    return site.key[0] if site is not None and site.key else "code"


def _has_site(entity: Entity) -> bool:
    field = entity.fields.get(SITE)
    return field is not None and field.kind is FieldKind.REF and field.targets == (SITE,)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
