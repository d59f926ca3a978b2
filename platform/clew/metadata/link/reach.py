"""How a record is found to belong to a site and to a product family: `scope: site`, or the paths of `belongs_to`."""

from __future__ import annotations

from clew.expressions.rewrite import through
from clew.expressions.tree import Checked
from clew.metadata.blueprint import Entity
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.policies import Reach
from clew.metadata.source import find


def reach_of(linking: Linking, expressions: Expressions) -> dict[str, Reach]:
    """By entity; those that belong nowhere are left out. A line belongs where its owner does."""
    own = {name: _own(linking, expressions, entity) for name, entity in linking.entities.items()}
    for name, entity in linking.entities.items():
        owner = own.get(entity.part_of or "")
        if owner is None or entity.part_of is None or "owner" not in entity.fields:
            continue
        own[name] = Reach(
            own[name].site or _through_owner(owner.site, name, entity.part_of),
            own[name].family or _through_owner(owner.family, name, entity.part_of),
        )
    return {name: reach for name, reach in sorted(own.items()) if reach != Reach()}


def _own(linking: Linking, expressions: Expressions, entity: Entity) -> Reach:
    draft = linking.drafts[entity.name]
    declared = draft.spec.belongs_to
    site = "site" if entity.site_scoped else declared.site if declared else None
    family = declared.family if declared else None

    def condition(path: str | None, key: str, fact: str) -> Checked | None:
        if path is None:
            return None
        node = find(draft.node, "belongs_to", key)
        return expressions.condition(f"{path} in user.{fact}", node, entity.name, f"belongs_to.{key}")

    return Reach(condition(site, "site", "sites"), condition(family, "family", "families"))


def _through_owner(of_owner: Checked | None, line: str, owner: str) -> Checked | None:
    return through(of_owner, "owner", line, owner) if of_owner is not None else None
