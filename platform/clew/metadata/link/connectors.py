"""What roles say of connectors: no records, so no conditions over records and no sites; allowed, or never.

Connectors are documents of the kind `connector`; a name that none has refuses to load. `administer: [connectors]` is
reading and administering every one of them, as if it stood under `connectors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from clew.kernel.diagnostics import Place
from clew.metadata import rules
from clew.metadata.documents import Document
from clew.metadata.link.project import Linking
from clew.metadata.policies import CONNECTOR_ACTIONS, ConnectorGrants
from clew.metadata.source import ListNode, find, place_of
from clew.metadata.spec.permissions import ALWAYS, ANYTHING, RoleSpec

KIND = "connector"
_ALL = "connectors"
_LOOKED_AFTER = ("read", "administer")


def connector_names(linking: Linking) -> tuple[str, ...]:
    return tuple(sorted({each.name for each in linking.documents.get(KIND, ())}))


def connector_grants(linking: Linking, document: Document, spec: RoleSpec) -> Mapping[str, ConnectorGrants]:
    """By connector, `*` for those the role does not name."""
    known = connector_names(linking)
    found: dict[str, ConnectorGrants] = {}
    for name, each in spec.connectors.items():
        place = place_of(document.node, "connectors", name, key=True)
        if name != ANYTHING and name not in known:
            linking.unknown(rules.UNKNOWN_CONNECTOR, place, name, known, "connectors")
            continue
        said = {action: getattr(each, action) for action in CONNECTOR_ACTIONS if getattr(each, action) is not None}
        places = {action: place_of(document.node, "connectors", name, action) for action in said}
        found[name] = ConnectorGrants(
            name,
            place,
            MappingProxyType({action: places[action] for action in said if said[action] == ALWAYS}),
            MappingProxyType({action: places[action] for action in said if said[action] != ALWAYS}),
        )
    if _ALL in spec.administer:
        at = _administered(document, spec)
        for name in dict.fromkeys((*found, ANYTHING)):
            grants = found.get(name, ConnectorGrants(name, at))
            may = {**{action: at for action in _LOOKED_AFTER if action not in grants.never}, **grants.may}
            found[name] = ConnectorGrants(name, grants.place, MappingProxyType(may), grants.never)
    return MappingProxyType(dict(sorted(found.items())))


def _administered(document: Document, spec: RoleSpec) -> Place:
    node = find(document.node, "administer")
    return place_of(node, spec.administer.index(_ALL)) if isinstance(node, ListNode) else node.place
