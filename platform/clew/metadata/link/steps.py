"""The steps of a workflow: what kind each is, who does it, where it leads; every name resolved in its own flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from clew.kernel.text import Bilingual
from clew.metadata import naming, rules, rules_process
from clew.metadata.blueprint import FieldKind
from clew.metadata.link.actions import Actions
from clew.metadata.link.forms import form_of_step
from clew.metadata.link.phrases import phrases
from clew.metadata.link.project import Linking
from clew.metadata.link.step_decisions import ask_table
from clew.metadata.link.step_kinds import Kinds, alerts_of
from clew.metadata.processes import (
    ANY,
    DONE,
    SEPARATOR,
    STARTED,
    STARTER,
    Action,
    Alert,
    Checkpoint,
    Flow,
    Outcome,
    Step,
    StepKind,
    TimeLimit,
)
from clew.metadata.source import AnyNode, MapNode, find
from clew.metadata.spec.words import text_of
from clew.metadata.spec.workflow import AskSpec, StepSpec, limit_of

_KIND_KEYS: dict[str, StepKind] = {
    "who": StepKind.TASK,
    "countersign": StepKind.APPROVAL,
    "any_sign": StepKind.APPROVAL,
    "one_by_one": StepKind.APPROVAL,
    "do": StepKind.ACTION,
    "decide": StepKind.DECISION,
    "parallel": StepKind.PARALLEL,
    "for_each": StepKind.EACH,
    "wait": StepKind.WAIT,
    "call": StepKind.CALL,
    "end": StepKind.END,
}
_HUMAN_ONLY = frozenset(
    {"outcomes", "choose", "form", "exit", "not_same_person_as", "sign", "must_output", "returns_to", "phrases"}
)
_ONLY: dict[str, frozenset[StepKind]] = {
    **dict.fromkeys(_HUMAN_ONLY, frozenset({StepKind.TASK, StepKind.APPROVAL})),
    "when_late": frozenset({StepKind.TASK, StepKind.APPROVAL, StepKind.WAIT}),
    "wait_for": frozenset({StepKind.PARALLEL, StepKind.EACH}),
    "retries": frozenset({StepKind.ACTION}),
    "on_error": frozenset({StepKind.ACTION}),
    "steps": frozenset({StepKind.EACH}),
    "legal": frozenset(StepKind) - {StepKind.END, StepKind.DECISION},
    "checkpoint": frozenset({StepKind.TASK, StepKind.APPROVAL, StepKind.ACTION}),
    "then": frozenset(StepKind) - {StepKind.END, StepKind.DECISION},
}
WORDS = ("assignee", "supervisor", "department_head", "owner")
"""Whom an alert may name beside roles."""
STANDARD_ALERTS = (Alert(50, "assignee"), Alert(80, "supervisor"), Alert(100, "department_head"), Alert(150, "owner"))
"""The escalation of every time limit that says nothing else (domain B)."""
_OUTCOMES = {"approve": Bilingual("同意", "Approve"), "reject": Bilingual("不同意", "Reject")}
_TASK_DONE = Bilingual("完成", "Done")


@dataclass(slots=True)
class Steps:
    """Links the steps of one workflow."""

    linking: Linking
    actions: Actions
    workflow: str
    kinds: Kinds = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = Kinds(self.linking, self.actions)

    def flow(self, specs: dict[str, StepSpec], node: AnyNode, entity: str, prefix: str, outer: tuple[str, ...]) -> Flow:
        """One flow. `outer` are the paths of the steps before and around it that `not_same_person_as` may name."""
        names = list(specs)
        steps: dict[str, Step] = {}
        known = (*outer, *(f"{prefix}{name}" for name in names), *_inside(specs, prefix))
        for index, (name, spec) in enumerate(specs.items()):
            follows = names[index + 1] if index + 1 < len(names) else None
            step = self._step(name, spec, find(node, name), entity, prefix, follows, names, known)
            if step is not None:
                steps[name] = step
        return Flow(entity, MappingProxyType(steps))

    def _step(
        self,
        name: str,
        spec: StepSpec,
        node: AnyNode,
        entity: str,
        prefix: str,
        follows: str | None,
        names: list[str],
        known: tuple[str, ...],
    ) -> Step | None:
        path = f"{prefix}{name}"
        where = f"steps.{path.replace(SEPARATOR, '.')}"
        said = set(node.keys) if isinstance(node, MapNode) else set()
        kinds = [key for key in _KIND_KEYS if key in said]
        if len(kinds) != 1:
            self.linking.findings.add(
                rules_process.STEP_KIND,
                node.place,
                path=where,
                name=name,
                count=len(kinds),
                kinds=", ".join(kinds or _KIND_KEYS),
            )
            return None
        kind = _KIND_KEYS[kinds[0]]
        for key in sorted(said):
            if key in _ONLY and kind not in _ONLY[key]:
                self.linking.findings.add(
                    rules_process.STEP_KEY, find(node, key).place, path=f"{where}.{key}", key=key, kind=kinds[0]
                )
        outcomes = self._outcomes(kind, spec, node, entity, where)
        changes = self._by_kind(kind, kinds[0], spec, node, entity, outcomes, (path, prefix, where), (names, known))
        changes.setdefault("entry", self.kinds.guard(spec.entry, find(node, "entry"), entity, f"{where}.entry"))
        # A decision is over as it begins: nothing happens at its end that did not at its beginning.
        moments = {STARTED, DONE, *outcomes} if kind not in (StepKind.END, StepKind.DECISION) else {STARTED}
        effects = self._effects(spec, node, entity, moments, where)
        for moment, actions in changes.pop("effects", {}).items():
            effects[moment] = (*actions, *effects.get(moment, ()))
        changes["effects"] = MappingProxyType(effects)
        for target in (spec.when_late, spec.on_error, *(spec.returns_to or ())):
            if target is not None and target not in names:
                self.linking.unknown(rules_process.UNKNOWN_STEP, node.place, target, names, where)
        self._fields(spec, node, entity, where)
        told = (*spec.alert.values(), *(spec.legal.alert.values() if spec.legal is not None else ()))
        for role in (spec.owner, *(each for people in told for each in people if each not in WORDS)):
            if role is not None:
                self.actions.role(role, find(node, "owner"), where)
        limit = TimeLimit(*limit_of(spec.within)) if spec.within else None
        alerts = alerts_of(spec.alert)
        return Step(
            name=name,
            path=path,
            kind=kind,
            label=self.linking.label(
                f"workflow.{self.workflow}.{path.replace(SEPARATOR, '.')}",
                text_of(spec.label),
                Bilingual("", naming.human(name)),
            ),
            place=node.place,
            help=text_of(spec.help),
            outcomes=MappingProxyType(outcomes),
            choose=spec.choose or "",
            next=MappingProxyType(self._next(spec, node, outcomes, names, where)),
            follows=follows,
            exit=self.kinds.guard(spec.exit, find(node, "exit"), entity, f"{where}.exit"),
            form=spec.form or "",
            layout=form_of_step(self.linking, spec, node, entity, where),
            phrases=phrases(self.linking, spec.phrases, find(node, "phrases"), f"{where}.phrases"),
            inputs=spec.input,
            outputs=spec.output,
            must_outputs=spec.must_output,
            owner=spec.owner or "",
            limit=limit,
            minutes=self.kinds.minutes(spec, node, entity, where),
            alerts=(alerts or STANDARD_ALERTS) if limit else (),
            when_late=spec.when_late,
            legal=self.kinds.legal(spec.legal, find(node, "legal"), entity, f"{where}.legal"),
            checkpoint=Checkpoint(spec.checkpoint.clause, spec.checkpoint.before) if spec.checkpoint else None,
            sign=spec.sign,
            apart=self._earlier(spec.not_same_person_as, find(node, "not_same_person_as"), prefix, known, where),
            states=MappingProxyType(self._states(spec, node, entity, moments, where)),
            outcome=spec.end or "",
            returns_to=frozenset(spec.returns_to) if spec.returns_to is not None else None,
            retries=spec.retries if kind is StepKind.ACTION else 0,
            on_error=spec.on_error,
            compensate=self.actions.link(spec.compensate, find(node, "compensate"), entity, f"{where}.compensate"),
            **changes,
        )

    def _by_kind(
        self,
        kind: StepKind,
        key: str,
        spec: StepSpec,
        node: AnyNode,
        entity: str,
        outcomes: dict[str, Outcome],
        at: tuple[str, str, str],
        steps: tuple[list[str], tuple[str, ...]],
    ) -> dict[str, Any]:
        """What only steps of one kind have. `at` is path, prefix and YAML path; `steps` of the flow and around."""
        (path, prefix, where), (names, known) = at, steps
        changes: dict[str, Any] = {}
        if kind is StepKind.TASK and spec.who:
            changes["who"] = self.actions.who(spec.who, find(node, "who"), entity, f"{where}.who")
            self._earlier((spec.who.actor_of,) if spec.who.actor_of else (), find(node, "who"), prefix, known, where)
        elif kind is StepKind.APPROVAL:
            changes["approval"] = self.kinds.approval(key, spec, node, entity, where)
            if not any(not each.against for each in outcomes.values()):
                self.linking.findings.add(rules_process.NO_OUTCOME_FOR, find(node, "outcomes").place, path=where)
            if len(outcomes) > 1 and not any(each.against for each in outcomes.values()):
                self.linking.findings.add(rules_process.NO_OUTCOME_AGAINST, find(node, "outcomes").place, path=where)
        elif kind is StepKind.ACTION:
            changes["actions"] = self.actions.link(spec.do, find(node, "do"), entity, f"{where}.do")
        elif kind is StepKind.DECISION:
            changes.update(self._decide(spec, node, entity, names, where))
        elif kind.nested:
            changes.update(self._nested(kind, spec, node, entity, path, known, where))
        elif kind is StepKind.WAIT and spec.wait:
            changes["wait"] = self.kinds.wait(spec.wait, find(node, "wait"), entity, f"{where}.wait")
        elif kind is StepKind.CALL and spec.call:
            changes.update(self.kinds.call(spec, find(node, "call"), entity, f"{where}.call"))
        return changes

    # ── outcomes and ways on ──────────────────────────────────────────────────────────────────────────────────────

    def _outcomes(self, kind: StepKind, spec: StepSpec, node: AnyNode, entity: str, where: str) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        if spec.choose is not None:
            field = self.linking.entities[entity].fields.get(spec.choose)
            codes = self.linking.code_lists.get(field.code_list or "") if field is not None else None
            if field is None:
                known = self.linking.entities[entity].fields
                place = find(node, "choose").place
                self.linking.unknown(rules.UNKNOWN_FIELD, place, spec.choose, known, f"{where}.choose", entity=entity)
            elif field.kind is not FieldKind.CHOICE or codes is None:
                self.linking.findings.add(
                    rules.BAD_FIELD_USE,
                    find(node, "choose").place,
                    path=f"{where}.choose",
                    name=spec.choose,
                    reason="it is no choice",
                    reason_zh="它不是选择字段",
                )
            else:
                found = {name: Outcome(name, code.label) for name, code in codes.codes.items()}
        for name, given in spec.outcomes.items():
            label = text_of(given.label) if given else Bilingual()
            found[name] = Outcome(
                name,
                label or _OUTCOMES.get(name) or Bilingual("", naming.human(name)),
                bool(given and given.against) or name == "reject",
                bool(given and given.comment == "required"),
            )
        if kind is StepKind.APPROVAL and not found:
            return {name: Outcome(name, label, name == "reject") for name, label in _OUTCOMES.items()}
        if kind is StepKind.TASK and not found:
            return {DONE: Outcome(DONE, _TASK_DONE)}
        return found

    def _next(
        self, spec: StepSpec, node: AnyNode, outcomes: dict[str, Outcome], names: list[str], where: str
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        for outcome, target in (spec.then or {}).items():
            at = find(node, "then", outcome)
            called = spec.call is not None
            if outcome not in (*outcomes, ANY, DONE) and not called:
                self.linking.unknown(rules_process.UNKNOWN_OUTCOME, at.place, outcome, outcomes, f"{where}.then")
            if target not in names:
                self.linking.unknown(rules_process.UNKNOWN_STEP, at.place, target, names, f"{where}.then")
            else:
                found[outcome] = target
        for outcome, each in outcomes.items():
            if each.against and outcome not in found and ANY not in found:
                self.linking.findings.add(rules_process.NO_WAY_ON, node.place, path=f"{where}.then", name=outcome)
        return found

    def _decide(self, spec: StepSpec, node: AnyNode, entity: str, names: list[str], where: str) -> dict[str, Any]:
        """By conditions, or by a decision table that fills in fields and says where it goes on."""
        at = find(node, "decide")
        if not isinstance(spec.decide, AskSpec):
            return {"branches": self.kinds.branches(spec.decide, node, entity, names, where)}
        return ask_table(self.linking, self.actions, spec, spec.decide, at, entity, names, f"{where}.decide")

    # ── kinds ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _nested(
        self, kind: StepKind, spec: StepSpec, node: AnyNode, entity: str, path: str, known: tuple[str, ...], where: str
    ) -> dict[str, Any]:
        flows: dict[str, Flow] = {}
        if kind is StepKind.PARALLEL:
            for name, steps in spec.parallel.items():
                at = find(node, "parallel", name)
                flows[name] = self.flow(steps, at, entity, f"{path}{SEPARATOR}{name}{SEPARATOR}", known)
            most: int | None = len(flows)
        else:
            target = self.actions.relation(entity, str(spec.for_each), find(node, "for_each"), f"{where}.for_each")
            if target is not None:
                at = find(node, "steps")
                flows["each"] = self.flow(spec.steps, at, target, f"{path}{SEPARATOR}each{SEPARATOR}", known)
            most = None
        needed = {"all": None, "any": 1}.get(str(spec.wait_for), spec.wait_for)
        if isinstance(needed, int) and (needed < 1 or (most is not None and needed > most)):
            self.linking.findings.add(
                rules.BAD_VALUE,
                find(node, "wait_for").place,
                path=f"{where}.wait_for",
                value=spec.wait_for,
                reason=f"there are {most} branches",
                reason_zh=f"共有 {most} 个分支",
            )
        if not flows or any(not each.steps for each in flows.values()):
            self.linking.findings.add(rules.MISSING_KEY, node.place, path=where, key="steps")
        return {"flows": MappingProxyType(flows), "needed": needed, "each": spec.for_each or ""}

    # ── the rest ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _earlier(
        self, given: tuple[str, ...], node: AnyNode, prefix: str, known: tuple[str, ...], where: str
    ) -> tuple[str, ...]:
        """Names of steps as paths: of this flow first, then of the flows around it, then every one of that name in a
        branch."""
        found = []
        for name in given:
            if name == STARTER:
                found.append(STARTER)
                continue
            named = [each for each in known if each.split(SEPARATOR)[-1] == name]
            around = [each for each in named if prefix.startswith(each.removesuffix(name))]
            paths = sorted(around, key=len, reverse=True)[:1] or list(dict.fromkeys(named))
            if not paths:
                names = [each.split(SEPARATOR)[-1] for each in known]
                self.linking.unknown(rules_process.UNKNOWN_STEP, node.place, name, [*names, STARTER], where)
            found += paths
        return tuple(found)

    def _fields(self, spec: StepSpec, node: AnyNode, entity: str, where: str) -> None:
        known = self.linking.entities[entity]
        for key in ("input", "output", "must_output"):
            for name in getattr(spec, key):
                if name not in known.fields and name not in known.inverses:
                    self.linking.unknown(
                        rules.UNKNOWN_FIELD, find(node, key).place, name, known.fields, f"{where}.{key}", entity=entity
                    )
        for name in spec.must_output:
            if name not in spec.output:
                self.linking.unknown(
                    rules.UNKNOWN_FIELD, find(node, "must_output").place, name, spec.output, where, entity="output"
                )

    def _states(self, spec: StepSpec, node: AnyNode, entity: str, moments: set[str], where: str) -> dict[str, str]:
        known = self.linking.entities[entity]
        reached = {each.target for each in known.transitions.values()}
        for moment, state in spec.state.items():
            at = find(node, "state", moment)
            self._moment(moment, at, moments, f"{where}.state")
            if state not in known.states:
                self.linking.unknown(
                    rules.UNKNOWN_STATE, at.place, state, known.states, f"{where}.state", entity=entity
                )
            elif state not in reached:
                self.linking.findings.add(
                    rules_process.STATE_NOT_REACHED, at.place, path=f"{where}.state", entity=entity, name=state
                )
            else:
                meanings = {each.sign for each in known.transitions.values() if each.target == state and each.sign}
                if meanings and spec.sign not in meanings:
                    self.linking.findings.add(
                        rules_process.SIGN_MISSING,
                        at.place,
                        path=f"{where}.state",
                        name=state,
                        meaning=", ".join(sorted(meanings)),
                    )
        return dict(spec.state)

    def _effects(
        self, spec: StepSpec, node: AnyNode, entity: str, moments: set[str], where: str
    ) -> dict[str, tuple[Action, ...]]:
        found = {}
        for moment, actions in spec.effects.items():
            at = find(node, "effects", moment)
            self._moment(moment, at, moments, f"{where}.effects")
            found[moment] = self.actions.link(actions, at, entity, f"{where}.effects.{moment}", spec.sign)
        return found

    def _moment(self, name: str, node: AnyNode, moments: set[str], path: str) -> None:
        if name not in moments and name != ANY:
            self.linking.unknown(rules_process.UNKNOWN_OUTCOME, node.place, name, moments, path)


def _inside(specs: dict[str, StepSpec], prefix: str) -> Iterator[str]:
    """The paths of the steps in the branches of these steps."""
    for name, spec in specs.items():
        for branch, steps in (*spec.parallel.items(), *((("each", spec.steps),) if spec.steps else ())):
            at = f"{prefix}{name}{SEPARATOR}{branch}{SEPARATOR}"
            yield from (f"{at}{each}" for each in steps)
            yield from _inside(steps, at)
