"""`active: {sites, from}` as a condition: what carries it is compiled with it, and nothing treats it specially."""

from __future__ import annotations

from collections.abc import Mapping

from clew.kernel.diagnostics import Place
from clew.metadata import rules
from clew.metadata.blueprint import Entity, FieldKind
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.policies import Clause
from clew.metadata.source import AnyNode, ListNode, find, place_of
from clew.metadata.spec.others import ActiveSpec

SITE = "site"


def named_sites(linking: Linking, spec: ActiveSpec, node: AnyNode) -> None:
    """Remember the codes of sites that are written here: whether there are such sites, records say."""
    for index, code in enumerate(spec.sites):
        listed = isinstance(find(node, "sites"), ListNode)
        linking.sites_named.append((code, place_of(node, "sites", index) if listed else place_of(node, "sites")))


def active_clause(
    linking: Linking,
    expressions: Expressions,
    entity: Entity,
    spec: ActiveSpec,
    node: AnyNode,
    path: str,
    *,
    forbids: bool = False,
) -> Clause | None:
    """The clause that holds where `active` does, over records of `entity`; None where nothing holds it back. What
    forbids is not held back by a site that is left empty."""
    text = active_condition(linking.entities, entity, spec, everywhere=forbids)
    checked = expressions.condition(text, node, entity.name, path) if text else None
    return None if checked is None else Clause(node.place, checked, text)


def switched_on(linking: Linking, entity: Entity, spec: ActiveSpec, place: Place, path: str) -> str:
    """The condition under which it is in force, as expression text; empty, with a finding, when there is none."""
    if not spec.sites and spec.from_ is None:
        linking.findings.add(rules.ACTIVE_EMPTY, place, path=path)
        return ""
    if spec.sites and site_path(linking.entities, entity) is None:
        linking.findings.add(rules.ACTIVE_NO_SITE, place, path=path, entity=entity.name)
        return ""
    return active_condition(linking.entities, entity, spec)


def active_condition(
    entities: Mapping[str, Entity], entity: Entity, spec: ActiveSpec, *, everywhere: bool = False
) -> str:
    """The condition over records of `entity`: its site is one of these, and today is not before the first day.

    Records of entities that belong to no site are not held back by `sites`; with `everywhere` nor are those whose site
    is left empty. Empty when nothing holds them back at all.
    """
    parts = []
    reached = site_path(entities, entity)
    if spec.sites and reached:
        codes = ", ".join(_quoted(code) for code in spec.sites)
        named = f"{reached}.{site_key(entities)} in [{codes}]"
        parts.append(f"({reached} == null || {named})" if everywhere and _may_lack_site(entities, entity) else named)
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


def _may_lack_site(entities: Mapping[str, Entity], entity: Entity) -> bool:
    found = entity if _has_site(entity) else entities[entity.part_of or ""]
    return not found.fields[SITE].required


def _has_site(entity: Entity) -> bool:
    field = entity.fields.get(SITE)
    return field is not None and field.kind is FieldKind.REF and field.targets == (SITE,)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
