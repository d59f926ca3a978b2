"""Scenarios: every name in them exists, where it is said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from clew.kernel.diagnostics import Place
from clew.kernel.text import Bilingual
from clew.metadata import naming, rules, rules_process
from clew.metadata.documents import Document
from clew.metadata.link.project import Linking
from clew.metadata.processes import SEPARATOR, Workflow
from clew.metadata.scenarios import Act, Scenario
from clew.metadata.source import find
from clew.metadata.spec.scenario import ACTS, INSTANCE, ActSpec, ScenarioSpec
from clew.metadata.spec.words import text_of


def link_scenarios(linking: Linking, documents: Iterable[Document]) -> Mapping[str, Scenario]:
    """Every scenario of the project, by name."""
    found: dict[str, Scenario] = {}
    steps = _Steps(linking.workflows)
    for document in documents:
        scenario = _Scenario(linking, document, steps).linked()
        earlier = found.setdefault(scenario.name, scenario)
        if earlier is not scenario:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="scenarios",
                kind_zh="场景",
                name=scenario.name,
                related=[earlier.place],
            )
    return MappingProxyType(found)


class _Steps:
    """What steps are called, by their workflow and in all of them: worked out once, because every task says it."""

    def __init__(self, workflows: Mapping[str, Workflow]) -> None:
        self._workflows = workflows
        self._known: dict[tuple[str, bool], frozenset[str]] = {}

    def known(self, workflow: str, *, by_path: bool) -> frozenset[str]:
        """The names or the paths of a workflow's steps; of all workflows when none is named."""
        found = self._known.get((workflow, by_path))
        if found is None:
            found = self._known[workflow, by_path] = frozenset(
                each.path if by_path else each.name
                for other in self._workflows.values()
                if workflow in ("", other.name)
                for _, each in other.walk()
            )
        return found


class _Scenario:
    def __init__(self, linking: Linking, document: Document, steps: _Steps) -> None:
        assert isinstance(document.spec, ScenarioSpec)
        self.linking, self.document, self.spec, self.steps = linking, document, document.spec, steps
        self.records: dict[str, str] = {}
        """Name → entity, of the records there are so far."""

    def linked(self) -> Scenario:
        spec, linking = self.spec, self.linking
        roles = linking.policies.roles if linking.policies is not None else None
        for person, held in spec.people.items():
            for role in held:
                if roles is not None and role not in roles:
                    linking.unknown(rules.UNKNOWN_ROLE, self._at("people", person), role, roles, f"people.{person}")
        given = []
        for name, each in spec.given.items():
            for entity, values in each.items():
                if linking.known_entity(entity, self._at("given", name), f"given.{name}"):
                    self._fields(entity, values, "given", name, entity)
                    self.records[name] = entity
                    given.append((name, entity, MappingProxyType(dict(values))))
        if spec.workflow is not None and spec.workflow not in linking.workflows:
            linking.unknown(
                rules_process.UNKNOWN_WORKFLOW, self._at("workflow"), spec.workflow, linking.workflows, "workflow"
            )
        acts = tuple(act for at, each in enumerate(spec.steps) if (act := self._act(at, each)) is not None)
        label = linking.label(
            f"scenario.{spec.scenario}", text_of(spec.label), Bilingual("", naming.human(spec.scenario))
        )
        return Scenario(
            spec.scenario, label, self.document.place, spec.people, tuple(given), spec.at or "", acts,
            spec.workflow or "", spec.moves,
        )  # fmt: skip

    def _act(self, at: int, spec: ActSpec) -> Act | None:
        place, path = self._at("steps", at), f"steps.{at}"
        if len(spec.acts) != 1:
            self.linking.findings.add(
                rules_process.ONE_ACT, place, path=path, known=", ".join(ACTS), given=", ".join(spec.acts) or "–"
            )
            return None
        kind = spec.acts[0]
        if kind == "then":
            self._expected(at, spec)
            assert spec.then is not None
            return Act("then", "", place, expected=MappingProxyType(spec.then.model_dump()))
        what = str(getattr(spec, kind))
        if kind not in ("wait", "find") and not (kind == "start" and spec.by is None):
            self._person(spec.by or "", at, "by")
        if kind in ("create", "find") and self.linking.known_entity(what, self._at("steps", at, "create"), path):
            self._fields(what, spec.with_, "steps", at, "with")
            if spec.name is not None:
                self.records[spec.name] = what
        elif kind == "update" and self._record(what, at, "update"):
            self._fields(self.records[what], spec.with_, "steps", at, "with")
        elif kind == "move" and self._record(spec.of or "", at, "of"):
            moves = self.linking.entities[self.records[spec.of or ""]].transitions
            if what not in moves:
                self.linking.unknown(
                    rules.UNKNOWN_TRANSITION, self._at("steps", at, "move"), what, moves, path, entity=spec.of
                )
        elif kind in ("start", *INSTANCE) and self._record(spec.of or "", at, "of"):
            if what not in self.linking.workflows:
                self.linking.unknown(
                    rules_process.UNKNOWN_WORKFLOW, self._at("steps", at, kind), what, self.linking.workflows, path
                )
        elif kind == "do":
            self._step(what, at, "do")
        return Act(
            kind, what, place, spec.by or "", spec.of or "", spec.name or "", MappingProxyType(dict(spec.with_)),
            spec.outcome, spec.comment, spec.because, spec.refused or "",
        )  # fmt: skip

    def _expected(self, at: int, spec: ActSpec) -> None:
        then = spec.then
        assert then is not None
        for name, state in then.state.items():
            if self._record(name, at, "then", "state", name):
                states = self.linking.entities[self.records[name]].states
                if state not in states:
                    self.linking.unknown(
                        rules.UNKNOWN_STATE, self._at("steps", at, "then", "state", name), state, states,
                        f"steps.{at}.then.state", entity=self.records[name],
                    )  # fmt: skip
        for name, values in then.record.items():
            if self._record(name, at, "then", "record", name):
                self._fields(self.records[name], values, "steps", at, "then", "record", name)
        for person, steps in then.tasks.items():
            self._person(person, at, "then", "tasks", person)
            for step in steps:
                self._step(step, at, "then", "tasks", person)
        for name in then.ended:
            if name not in self.linking.workflows:
                place = self._at("steps", at, "then", "ended", name)
                self.linking.unknown(rules_process.UNKNOWN_WORKFLOW, place, name, self.linking.workflows)
        for name, alerts in then.alerts.items():
            self._record(name, at, "then", "alerts", name)
            for alert in alerts:
                if alert not in self.linking.alerts:
                    place = self._at("steps", at, "then", "alerts", name)
                    self.linking.unknown(rules_process.UNKNOWN_ALERT, place, alert, self.linking.alerts)
        for name in then.count:
            self.linking.known_entity(name, self._at("steps", at, "then", "count", name))

    def _fields(self, entity: str, values: Mapping[str, Any], *path: str | int) -> None:
        known = self.linking.entities.get(entity)
        if known is None:
            return
        for name in values:
            if name not in known.fields:
                self.linking.unknown(
                    rules.UNKNOWN_FIELD,
                    self._at(*path, name),
                    name,
                    known.fields,
                    ".".join(map(str, path)),
                    entity=entity,
                )

    def _person(self, name: str, at: int, *path: str) -> None:
        if name not in self.spec.people:
            self.linking.unknown(
                rules_process.UNKNOWN_PERSON, self._at("steps", at, *path), name, self.spec.people, f"steps.{at}"
            )

    def _record(self, name: str, at: int, *path: str) -> bool:
        if name in self.records:
            return True
        self.linking.unknown(
            rules_process.UNKNOWN_RECORD, self._at("steps", at, *path), name, self.records, f"steps.{at}"
        )
        return False

    def _step(self, name: str, at: int, *path: str) -> None:
        """A step by its name or path, with its workflow before it where two have one."""
        workflow, _, step = name.rpartition(".")
        known = self.steps.known(workflow, by_path=SEPARATOR in step)
        if step not in known:
            self.linking.unknown(rules_process.UNKNOWN_STEP, self._at("steps", at, *path), name, known, f"steps.{at}")

    def _at(self, *path: str | int) -> Place:
        """The place of what stands there, or of the nearest it stands in."""
        return find(self.document.node, *path).place
