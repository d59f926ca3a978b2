"""What the platform does by itself in a process: sets, creates, moves, starts, notifies; for one record or many."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from clew.expressions.tree import Base, Checked, Type
from clew.metadata import rules, rules_process
from clew.metadata.blueprint import Field, FieldKind, Origin
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.processes import Action, Value, Who
from clew.metadata.source import AnyNode, find
from clew.metadata.spec.words import text_of
from clew.metadata.spec.workflow import ActionSpec, WhoSpec

PERSON = Type(Base.ID, nullable=True)
_EACH = re.compile(r"each(?:\.(.+))?")
_KINDS = ("set", "create", "move", "start", "run", "notify")
_RELATIONS = (FieldKind.REF, FieldKind.MANY, FieldKind.LINES)


@dataclass(slots=True)
class Names:
    """What a workflow may refer to beside entities: the workflows and, by entity, what they are about."""

    workflows: dict[str, str]


@dataclass(slots=True)
class Actions:
    """Links actions and whoever they name."""

    linking: Linking
    expressions: Expressions
    names: Names

    def link(
        self, specs: tuple[ActionSpec, ...], node: AnyNode, entity: str, path: str, sign: str | None = None
    ) -> tuple[Action, ...]:
        """The actions of one moment; what is wrong is reported and left out. `sign` is what the step's signature means:
        it covers what the step moves."""
        found = [self._action(spec, find(node, at), entity, f"{path}.{at}", sign) for at, spec in enumerate(specs)]
        return tuple(each for each in found if each is not None)

    def who(self, spec: WhoSpec, node: AnyNode, entity: str, path: str) -> Who:
        """Whom a step or a message means. `actor_of` is checked where the steps are known."""
        for index, role in enumerate(spec.role):
            self.role(role, find(node, "role", index) if find(node, "role") is not node else node, f"{path}.role")

        self._declared(spec, node, path)

        def person(key: str, text: str | None) -> Checked | None:
            if text is None:
                return None
            return self.expressions.check(text, find(node, key), entity, PERSON, f"{path}.{key}")

        return Who(
            roles=spec.role,
            positions=spec.position,
            person=person("person", spec.person),
            manager_of=person("manager_of", spec.manager_of),
            starter=spec.starter,
            actor_of=spec.actor_of,
            least_loaded=spec.least_loaded,
            qualified_for=person("qualified_for", spec.qualified_for),
        )

    def _declared(self, spec: WhoSpec, node: AnyNode, path: str) -> None:
        """Managers, positions and training are records of the project: which ones, clew.yaml must say."""
        project = self.linking.project
        identity = project.identity if project is not None else None
        for key, asked, known, missing in (
            ("manager_of", spec.manager_of, identity and identity.people.manager, "people.manager"),
            ("position", spec.position, identity and identity.positions, "positions"),
            ("qualified_for", spec.qualified_for, identity and identity.training, "training"),
        ):
            if asked and not known:
                self.linking.findings.add(
                    rules_process.PEOPLE_NOT_DECLARED,
                    find(node, key).place,
                    path=f"{path}.{key}",
                    key=key,
                    missing=missing,
                )

    def role(self, name: str, node: AnyNode, path: str) -> None:
        """Roles are known by the policies; a project without any has no roles to be wrong about."""
        policies = self.linking.policies
        if policies is not None and name not in policies.roles:
            self.linking.unknown(rules_process.UNKNOWN_ROLE_IN_STEP, node.place, name, policies.roles, path)

    def relation(self, entity: str, name: str, node: AnyNode, path: str) -> str | None:
        """The entity at the other end of a relation of a record, forward or back."""
        known = self.linking.entities[entity]
        source, _, column = name.partition(".")
        origin = self.linking.entities.get(source)
        if column and origin is not None and column in origin.fields and entity in origin.fields[column].targets:
            return source
        field, back = known.fields.get(name), known.inverses.get(name)
        if field is not None and field.kind in _RELATIONS and field.computed is None and field.targets:
            return field.target
        if back is not None:
            return back.source
        relations = [each.name for each in known.fields.values() if each.kind in _RELATIONS]
        self.linking.unknown(
            rules_process.UNKNOWN_RELATION, node.place, name, [*relations, *known.inverses], path, entity=entity
        )
        return None

    def _action(self, spec: ActionSpec, node: AnyNode, entity: str, path: str, sign: str | None) -> Action | None:
        given: dict[str, Any] = {
            "set": spec.set,
            "create": spec.create,
            "move": spec.move,
            "start": spec.start,
            "run": spec.run,
            "notify": spec.notify,
        }
        kinds = [name for name in _KINDS if given[name]]
        if len(kinds) != 1:
            self.linking.findings.add(rules_process.ACTION_KIND, node.place, path=path)
            return None
        kind: Literal["set", "create", "move", "start", "notify", "run"] = kinds[0]  # type: ignore[assignment]
        target: str | None = entity
        if spec.of is not None:
            target = self.relation(entity, spec.of, find(node, "of"), f"{path}.of")
        if target is None:
            return None
        where = self.expressions.condition(spec.where, find(node, "where"), target, f"{path}.where")
        when = self.expressions.condition(spec.when, find(node, "when"), entity, f"{path}.when")
        values: tuple[tuple[str, Value], ...] = ()
        written = target
        if kind == "set":
            values = self.values(spec.set, find(node, "set"), entity, target, target, f"{path}.set")
        elif kind == "create":
            assert spec.create
            if spec.create not in self.linking.entities:
                place = find(node, "create").place
                self.linking.unknown(rules.UNKNOWN_ENTITY, place, spec.create, self.linking.entities, f"{path}.create")
                return None
            written = spec.create
            each = target if spec.of is not None else None
            values = self.values(spec.with_, find(node, "with"), entity, each, written, f"{path}.with")
            self.complete(written, {name for name, _ in values} | set(spec.with_), node, path)
        elif kind == "move":
            moves = self.linking.entities[target].transitions
            if spec.move not in moves:
                place = find(node, "move").place
                self.linking.unknown(
                    rules_process.UNKNOWN_TRANSITION, place, str(spec.move), moves, f"{path}.move", entity=target
                )
            self._covered(target, str(spec.move), find(node, "move"), f"{path}.move", sign)
        elif kind == "start":
            about = self.names.workflows.get(str(spec.start))
            place = find(node, "start").place
            if about is None:
                self.linking.unknown(
                    rules_process.UNKNOWN_WORKFLOW, place, str(spec.start), self.names.workflows, f"{path}.start"
                )
            elif about != target:
                self.linking.findings.add(
                    rules.BAD_VALUE,
                    place,
                    path=f"{path}.start",
                    value=spec.start,
                    reason=f"it is about {about}",
                    reason_zh=f"它针对的是 {about}",
                )
        elif kind == "run":
            self._runs(str(spec.run), target, find(node, "run"), f"{path}.run")
        return Action(
            kind,
            node.place,
            written,
            spec.of,
            where,
            when,
            values,
            spec.move or "",
            spec.start or "",
            self.who(spec.notify, find(node, "notify"), entity, f"{path}.notify") if spec.notify else None,
            text_of(spec.say),
            spec.because or "",
            spec.run or "",
        )

    def _runs(self, name: str, target: str, node: AnyNode, path: str) -> None:
        """What a plugin does is declared by the project, for the entity it is done with."""
        known = self.linking.project.actions if self.linking.project is not None else {}
        if name not in known:
            self.linking.unknown(rules_process.UNKNOWN_ACTION, node.place, name, known, path)
        elif known[name].entity != target:
            self.linking.findings.add(
                rules.BAD_VALUE,
                node.place,
                path=path,
                value=name,
                reason=f"it is about {known[name].entity}",
                reason_zh=f"它针对的是 {known[name].entity}",
            )

    def _covered(self, target: str, move: str, node: AnyNode, path: str, sign: str | None) -> None:
        """A transition that takes a signature is made by a step that takes one with the same meaning."""
        known = self.linking.entities[target].transitions.get(move)
        if known is not None and known.sign is not None and known.sign != sign:
            self.linking.findings.add(
                rules_process.SIGN_MISSING, node.place, path=path, name=known.target, meaning=known.sign
            )

    def values(
        self, given: dict[str, Any], node: AnyNode, entity: str, each: str | None, written: str, path: str
    ) -> tuple[tuple[str, Value], ...]:
        """Values for the fields of `written`, from this record or from each record of the action."""
        known = self.linking.entities[written]
        found: list[tuple[str, Value]] = []
        for name, text in given.items():
            at = find(node, name)
            field = known.fields.get(name)
            if field is None:
                self.linking.unknown(rules.UNKNOWN_FIELD, at.place, name, known.fields, path, entity=written)
                continue
            if field.computed is not None or field.origin is Origin.ENVELOPE:
                self.linking.findings.add(
                    rules.BAD_FIELD_USE,
                    at.place,
                    path=path,
                    name=name,
                    reason="the platform sets it",
                    reason_zh="由平台设置",
                )
                continue
            value = self._value(text, at, entity, each, field, f"{path}.{name}")
            if value is not None:
                found.append((name, value))
        return tuple(found)

    def _value(self, given: Any, node: AnyNode, entity: str, each: str | None, field: Field, path: str) -> Value | None:
        match = _EACH.fullmatch(given) if isinstance(given, str) and each is not None else None
        if given == "this" or (match and match[1] is None):
            of = entity if given == "this" else str(each)
            if of not in field.targets:
                self.linking.findings.add(
                    rules.BAD_FIELD_USE,
                    node.place,
                    path=path,
                    name=field.name,
                    reason=f"it cannot refer to {of}",
                    reason_zh=f"它不能引用 {of}",
                )
                return None
            return Value("this" if given == "this" else "each")
        if field.kind is FieldKind.MANY and isinstance(given, str):
            checked = self.expressions.check(given, node, entity, Type(Base.RECORD, True, field.targets), path)
            return None if checked is None else Value("this", checked)
        if match:
            assert each is not None
            checked = self.expressions.value(match[1], node, each, field, path)
            return None if checked is None else Value("each", checked)
        checked = self.expressions.value(given, node, entity, field, path)
        return None if checked is None else Value("this", checked)

    def complete(self, written: str, given: set[str], node: AnyNode, path: str) -> None:
        """Whatever a new record must have is given, set by default, or carried over (site and thread)."""
        for field in self.linking.entities[written].fields.values():
            needed = field.required and field.default is None and field.computed is None
            carried = field.origin is not Origin.DECLARED or field.kind is FieldKind.NUMBER
            if needed and not carried and field.name not in given:
                self.linking.findings.add(
                    rules_process.ACTION_INPUT, node.place, path=path, entity=written, name=field.name
                )
