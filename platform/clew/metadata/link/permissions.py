"""Roles, separations and policy tests, resolved: every name exists, every condition is checked over its record.

Strict on purpose: what is unknown refuses to load, and nothing is granted by leaving something out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from clew.expressions.functions import SQL
from clew.expressions.rewrite import both, through
from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.blueprint import Entity
from clew.metadata.documents import Document
from clew.metadata.link.active import active_clause, named_sites
from clew.metadata.link.connectors import connector_grants
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.processes import process_grants, with_processes
from clew.metadata.link.project import Linking
from clew.metadata.link.reach import reach_of
from clew.metadata.link.separations import link_separations
from clew.metadata.link.trials import link_tests
from clew.metadata.naming import human
from clew.metadata.policies import DO, RECORD_ACTIONS, Clause, Clauses, EntityGrants, Policies, Role
from clew.metadata.source import AnyNode, ListNode, find, place_of
from clew.metadata.spec.others import ActiveSpec
from clew.metadata.spec.permissions import ALWAYS, ANYTHING, ActionsSpec, MaySpec, NeverSpec, RoleSpec
from clew.metadata.spec.words import text_of

KEPT = frozenset({"id", "row_version"})
"""Fields no role can be without where it sees a record: they name it and its version."""
_FOR_LINES = frozenset({"read", "export", "audit"})
"""What may be said of a line entity; the rest is asked of its owner."""
_WITH_OWNER = frozenset({"create", "update", "correct"})
"""Writing the owner writes its lines."""


def link_permissions(linking: Linking, expressions: Expressions) -> Policies | None:
    """The policies, or None when the project has no permissions/."""
    reach = reach_of(linking, expressions)
    given = {kind: linking.documents.get(kind, ()) for kind in ("role", "separation", "policy_test")}
    if not any(given.values()):
        return None
    documents = _unique(linking, given["role"])
    lineage = _lineages(linking, documents)
    linker = _RoleLinker(linking, expressions)
    roles = {name: linker.role(document, lineage[name], documents) for name, document in documents.items()}
    separations = link_separations(linking, expressions, given["separation"], roles)
    return Policies(
        roles=MappingProxyType(roles),
        separations=MappingProxyType(separations),
        tests=MappingProxyType(link_tests(linking, given["policy_test"], roles, separations)),
        reach=MappingProxyType(reach),
    )


def _unique(linking: Linking, documents: Iterable[Document]) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for document in documents:
        earlier = found.setdefault(document.name, document)
        if earlier is not document:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="roles",
                kind_zh="角色",
                name=document.name,
                related=[earlier.place],
            )
    return found


def _spec(document: Document) -> RoleSpec:
    assert isinstance(document.spec, RoleSpec)
    return document.spec


def _lineages(linking: Linking, documents: Mapping[str, Document]) -> dict[str, tuple[str, ...]]:
    """Each role with all it inherits from, nearest first. A circle is a finding and ends there."""
    parents: dict[str, list[str]] = {}
    for name, document in documents.items():
        parents[name] = []
        for index, each in enumerate(_spec(document).inherits):
            if each in documents:
                parents[name].append(each)
            else:
                linking.unknown(
                    rules.UNKNOWN_ROLE, place_of(document.node, "inherits", index), each, documents, "inherits"
                )
    for name, document in documents.items():
        circle = _circle(parents, name)
        if circle and name == min(circle):
            linking.findings.add(
                rules.ROLE_CYCLE, document.at("inherits"), path="inherits", circle=" → ".join((*circle, circle[0]))
            )
    return {name: _closure(parents, name) for name in documents}


def _closure(parents: Mapping[str, list[str]], name: str) -> tuple[str, ...]:
    found = [name]
    for each in found:
        found += [parent for parent in dict.fromkeys(parents[each]) if parent not in found]
    return tuple(found)


def _circle(parents: Mapping[str, list[str]], start: str) -> list[str]:
    """A way from a role back to itself, or nothing."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop()
        for parent in parents[way[-1]]:
            if parent == start:
                return way
            if parent not in seen:
                seen.add(parent)
                ways.append([*way, parent])
    return []


class _RoleLinker:
    """Links one role after another."""

    def __init__(self, linking: Linking, expressions: Expressions) -> None:
        self.linking, self.expressions = linking, expressions
        self.entities: Mapping[str, Entity] = linking.entities

    def role(self, document: Document, lineage: tuple[str, ...], documents: Mapping[str, Document]) -> Role:
        spec = _spec(document)
        self._named(spec.active, find(document.node, "active"), "active")
        family = [_spec(documents[each]) for each in lineage]
        return Role(
            name=document.name,
            label=self.linking.label(f"role.{document.name}", text_of(spec.label), Bilingual("", human(document.name))),
            place=document.place,
            help=text_of(spec.help),
            kind=spec.kind,
            inherits=tuple(each for each in spec.inherits if each in documents),
            lineage=lineage,
            own_sites=spec.sites == "own",
            own_families=spec.families == "own",
            signs=frozenset(each for one in family for each in one.signs),
            administer=frozenset(each for one in family for each in one.administer),
            may=MappingProxyType(
                self._switched(
                    document, with_processes(self.linking, document.name, self._part(document, "may", spec.may))
                )
            ),
            never=MappingProxyType(self._switched(document, self._part(document, "never", spec.never), forbids=True)),
            connectors=connector_grants(self.linking, document, spec),
        )

    def _switched(
        self, document: Document, found: dict[str, EntityGrants], *, forbids: bool = False
    ) -> dict[str, EntityGrants]:
        """With `active` before every clause, so that elsewhere and before its day the role says nothing."""
        active = _spec(document).active
        if active is None:
            return found
        node = find(document.node, "active")
        return {name: self._active(each, active, node, "active", forbids=forbids) for name, each in found.items()}

    def _active(
        self, grants: EntityGrants, active: ActiveSpec, node: AnyNode, path: str, *, forbids: bool
    ) -> EntityGrants:
        entity = self.entities[grants.entity]
        on = active_clause(self.linking, self.expressions, entity, active, node, path, forbids=forbids)
        if on is None:
            return grants
        actions = {key: tuple(_when(on, each) for each in clauses) for key, clauses in grants.actions.items()}
        whole = on if grants.active is None else _when(on, grants.active)
        return replace(grants, actions=MappingProxyType(actions), active=replace(whole, written=None))

    def _named(self, active: ActiveSpec | None, node: AnyNode, path: str) -> None:
        """What is wrong with `active` itself, said once wherever it is written out."""
        if active is None:
            return
        if not active.sites and active.from_ is None:
            self.linking.findings.add(rules.ACTIVE_EMPTY, node.place, path=path)
        named_sites(self.linking, active, node)

    def _part(self, document: Document, part: str, given: Mapping[str, ActionsSpec]) -> dict[str, EntityGrants]:
        """`may` or `never`, with `*` written out and lines granted as their owners."""
        found: dict[str, EntityGrants] = {}
        for name, spec in given.items():
            if isinstance(spec, NeverSpec):
                self._named(spec.active, find(document.node, part, name, "active"), f"{part}.{name}.active")
            if name == ANYTHING:
                continue
            place = place_of(document.node, part, name, key=True)
            if self.linking.known_entity(name, place, f"{part}.{name}") and name in self.entities:
                found[name] = self.grants(document, part, name, self.entities[name], spec)
        if ANYTHING in given:
            for name, entity in self.entities.items():
                if name not in found and entity.part_of is None:
                    found[name] = self.grants(document, part, ANYTHING, entity, given[ANYTHING])
        for name, entity in self.entities.items():
            owner = self.entities.get(entity.part_of or "")
            granted = found.get(entity.part_of or "")
            if owner is None or granted is None:
                continue
            if name in found:
                found[name] = self._written_with(found[name], entity, owner, granted)
                continue
            as_owner = self._as_owner(entity, owner, granted, forbids=part == "never")
            if as_owner is not None:
                found[name] = as_owner
        return dict(sorted(found.items()))

    # ── one entity ────────────────────────────────────────────────────────────────────────────────────────────────

    def grants(self, document: Document, part: str, key: str, entity: Entity, spec: ActionsSpec) -> EntityGrants:
        node, path = find(document.node, part, key), f"{part}.{key}"
        wildcard = key == ANYTHING
        actions: dict[str, Clauses] = {}
        for action in RECORD_ACTIONS:
            texts = getattr(spec, action)
            if texts is None:
                continue
            if entity.part_of is not None and action not in _FOR_LINES:
                self.linking.findings.add(
                    rules.NOT_FOR_LINES, place_of(node, action, key=True), path=f"{path}.{action}", key=action
                )
                continue
            actions[action] = self.clauses(texts, find(node, action), entity.name, f"{path}.{action}", wildcard)
        actions.update(self._moves(spec, node, entity, path, wildcard))
        actions.update(process_grants(self.linking, self.clauses, spec, node, entity, path))
        hide = self._fields(spec.hide if isinstance(spec, MaySpec | NeverSpec) else (), node, "hide", entity, path)
        mask: dict[str, Clauses] = {}
        show = write = None
        if isinstance(spec, MaySpec):
            for name, texts in spec.mask.items():
                if self._field(name, place_of(node, "mask", name, key=True), entity, f"{path}.mask"):
                    mask[name] = self.clauses(texts, find(node, "mask", name), entity.name, f"{path}.mask.{name}")
            if spec.show is not None:
                show = self._fields(spec.show, node, "show", entity, path, kept=True)
                for name in set(hide) & set(show):
                    self._contradiction(show[name], f"{path}.show", name)
            if spec.write is not None:
                write = self._fields(spec.write, node, "write", entity, path, kept=True)
        elif isinstance(spec, NeverSpec):
            write = self._fields(spec.write, node, "write", entity, path)
        found = EntityGrants(
            entity=entity.name,
            place=place_of(document.node, part, key, key=True),
            actions=MappingProxyType(actions),
            hide=MappingProxyType(hide),
            mask=MappingProxyType(mask),
            show=MappingProxyType(show) if show is not None else None,
            write=MappingProxyType(write) if write is not None else None,
            wildcard=wildcard,
        )
        if isinstance(spec, NeverSpec) and spec.active is not None:
            return self._active(found, spec.active, find(node, "active"), f"{path}.active", forbids=True)
        return found

    def _moves(self, spec: ActionsSpec, node: AnyNode, entity: Entity, path: str, wildcard: bool) -> dict[str, Clauses]:
        if spec.do is None:
            return {}
        if spec.do == ALWAYS:
            always = (Clause(place_of(node, "do")),)
            return {DO + name: always for name in entity.transitions}
        found: dict[str, Clauses] = {}
        inline = spec.do if isinstance(spec.do, Mapping) else dict.fromkeys(spec.do, (ALWAYS,))
        for index, (name, texts) in enumerate(inline.items()):
            listed = not isinstance(spec.do, Mapping)
            place = place_of(node, "do", index) if listed else place_of(node, "do", name, key=True)
            if name not in entity.transitions:
                if not wildcard:
                    self.linking.unknown(
                        rules.UNKNOWN_TRANSITION, place, name, entity.transitions, f"{path}.do", entity=entity.name
                    )
                elif not any(name in each.transitions for each in self.entities.values()):
                    every = {move for each in self.entities.values() for move in each.transitions}
                    self.linking.unknown(rules.UNKNOWN_TRANSITION, place, name, every, f"{path}.do", entity=ANYTHING)
                continue
            if listed:
                found[DO + name] = (Clause(place),)
            else:
                found[DO + name] = self.clauses(texts, find(node, "do", name), entity.name, f"{path}.do.{name}")
        return found

    def clauses(self, texts: Iterable[str], node: AnyNode, entity: str, path: str, wildcard: bool = False) -> Clauses:
        found = []
        for index, text in enumerate(texts):
            at = node.items[index] if isinstance(node, ListNode) and index < len(node.items) else node
            if text.strip() == ALWAYS:
                found.append(Clause(at.place))
                continue
            checked = self.expressions.condition(text, at, entity, path)
            if checked is None:
                continue
            if SQL not in checked.runs_in:
                self.linking.findings.add(rules.CONDITION_NOT_IN_SQL, at.place, path=path, source=text)
            found.append(Clause(at.place, checked, text))
        return tuple(found)

    def _fields(
        self, names: Iterable[str], node: AnyNode, key: str, entity: Entity, path: str, *, kept: bool = False
    ) -> dict[str, Place]:
        found: dict[str, Place] = {}
        for index, name in enumerate(names):
            place = place_of(node, key, index) if isinstance(find(node, key), ListNode) else place_of(node, key)
            if self._field(name, place, entity, f"{path}.{key}", kept=kept):
                found[name] = place
        return found

    def _field(self, name: str, place: Place, entity: Entity, path: str, *, kept: bool = False) -> bool:
        if name in KEPT and not kept:
            self.linking.findings.add(
                rules.BAD_FIELD_USE,
                place,
                path=path,
                name=name,
                reason="every record that is seen has it",
                reason_zh="可见的记录都带有该字段",
            )
            return False
        if name in entity.fields or name in entity.inverses:
            return True
        known = (*entity.fields, *entity.inverses)
        self.linking.unknown(rules.UNKNOWN_FIELD, place, name, known, path, entity=entity.name)
        return False

    def _contradiction(self, place: Place, path: str, name: str) -> None:
        self.linking.findings.add(
            rules.BAD_FIELD_USE,
            place,
            path=path,
            name=name,
            reason="it is hidden and shown at once",
            reason_zh="不能同时隐藏又显示",
        )

    # ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _as_owner(self, line: Entity, owner: Entity, grants: EntityGrants, *, forbids: bool) -> EntityGrants | None:
        """What a grant on the owner means for a line that is not named: the same, asked of the owner."""
        listing = line.part_field or ""
        hidden = listing in grants.hide or (grants.show is not None and listing not in grants.show)
        if hidden != forbids and hidden:
            return None

        actions = {
            name: _lifted(clauses, line, owner)
            for name, clauses in grants.actions.items()
            if name in _FOR_LINES or name in _WITH_OWNER
        }
        if forbids and hidden:
            hidden_by = (_when(grants.active, Clause(grants.hide[listing])),) if grants.active else ()
            actions["read"] = _lifted(hidden_by, line, owner) or (Clause(grants.hide[listing]),)
        elif listing in grants.mask and "read" in actions:
            actions["read"] = _product(actions["read"], _lifted(grants.mask[listing], line, owner))
        if not actions:
            return None
        return EntityGrants(
            entity=line.name,
            place=grants.place,
            actions=MappingProxyType(actions),
            wildcard=grants.wildcard,
            owner=owner.name,
        )

    def _written_with(self, line: EntityGrants, entity: Entity, owner: Entity, granted: EntityGrants) -> EntityGrants:
        """Of a line that is named: its fields are written where the owner is written by the same role."""
        writes = {
            name: _lifted(clauses, entity, owner) for name, clauses in granted.actions.items() if name in _WITH_OWNER
        }
        return replace(line, actions=MappingProxyType({**line.actions, **writes}))


def _lifted(clauses: Clauses, line: Entity, owner: Entity) -> Clauses:
    """What is said of the owner, asked of its line."""

    def lifted(clause: Clause) -> Clause:
        if clause.condition is None:
            return clause
        condition = through(clause.condition, "owner", line.name, owner.name)
        return replace(clause, condition=condition, written=lifted(clause.written) if clause.written else None)

    return tuple(lifted(each) for each in clauses)


def _when(on: Clause, clause: Clause) -> Clause:
    """The clause, where it is switched on."""
    assert on.condition is not None
    written = clause.written or clause
    if clause.condition is None:
        return Clause(clause.place, on.condition, on.text, written)
    return Clause(clause.place, both(on.condition, clause.condition), f"{on.text} && ({clause.text})", written)


def _product(first: Clauses, second: Clauses) -> Clauses:
    """What holds when one of each holds."""
    found = []
    for one in first:
        for other in second:
            if one.condition is None or other.condition is None:
                found.append(other if one.condition is None else one)
            else:
                whole = both(one.condition, other.condition)
                found.append(Clause(other.place, whole, whole.source))
    return tuple(found)
