"""What only steps of one kind have: approvals, decisions, waits, calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clew.expressions.tree import Base, Checked, Type
from clew.metadata import rules, rules_process
from clew.metadata.blueprint import FieldKind
from clew.metadata.link.actions import Actions
from clew.metadata.link.project import Linking
from clew.metadata.processes import Alert, Approval, ApprovalMode, Branch, Condition, Legal, TimeLimit, Wait
from clew.metadata.source import AnyNode, find
from clew.metadata.spec.words import text_of
from clew.metadata.spec.workflow import (
    ApprovalSpec,
    GuardSpec,
    LegalSpec,
    StepSpec,
    WaitSpec,
    WhenSpec,
    limit_of,
    share_of,
)

_INSTANT = Type(Base.DATETIME, nullable=True)
_DATE = Type(Base.DATE, nullable=True)
_MINUTES = Type(Base.DECIMAL, nullable=True, scale=9)
LEGAL_ALERTS = (Alert(50, "assignee"), Alert(75, "supervisor"), Alert(90, "owner"), Alert(100, "owner"))
"""Who is told of a time limit of the law that names nobody."""
_COUNT = Type(Base.INTEGER)


def alerts_of(spec: Mapping[str, tuple[str, ...]]) -> tuple[Alert, ...]:
    """Who is told at which share of a time limit, each by themselves."""
    return tuple(Alert(share_of(at), whom) for at, people in spec.items() for whom in people)


@dataclass(slots=True)
class Kinds:
    """Links the parts of one workflow's steps that belong to their kind."""

    linking: Linking
    actions: Actions

    def branches(
        self, specs: tuple[WhenSpec, ...], node: AnyNode, entity: str, names: list[str], where: str
    ) -> tuple[Branch, ...]:
        """Ways on by condition."""
        found = []
        for at, each in enumerate(specs):
            place = find(node, "decide", at)
            if each.then not in names:
                self.linking.unknown(rules_process.UNKNOWN_STEP, place.place, each.then, names, f"{where}.decide.{at}")
            last = at == len(specs) - 1
            if last != (each.when is None):
                rule = rules_process.LAST_BRANCH if last else rules_process.BRANCH_AFTER_ELSE
                self.linking.findings.add(rule, place.place, path=f"{where}.decide.{at}")
            when = self.actions.expressions.condition(each.when, find(place, "when"), entity, f"{where}.decide.{at}")
            found.append(Branch(each.then, when))
        return tuple(found)

    def approval(self, key: str, step: StepSpec, node: AnyNode, entity: str, where: str) -> Approval:
        spec = getattr(step, key)
        assert isinstance(spec, ApprovalSpec)
        at, path = find(node, key), f"{where}.{key}"
        asked = (*spec.posts, *spec.also)
        for role in asked:
            self.actions.role(role, find(at, "posts"), path)
        if spec.among is not None:
            self.actions.role(spec.among, find(at, "among"), path)
        for name in (*spec.must, *spec.veto):
            if name not in asked:
                self.linking.unknown(rules_process.POST_NOT_ASKED, at.place, name, asked, path)
        if key == "any_sign" and (spec.must or spec.veto or spec.enough is not None):
            self.linking.findings.add(rules_process.ANY_SIGN_ALONE, at.place, path=path)
        also = []
        for role, text in spec.also.items():
            checked = self.actions.expressions.condition(text, find(at, "also", role), entity, f"{path}.also.{role}")
            if checked is not None:
                also.append((role, checked))
        if spec.once and step.sign is not None:
            self.linking.findings.add(rules_process.SIGNED_ONCE, find(at, "once").place, path=path)
        enough, share, enough_of = None, None, None
        if isinstance(spec.enough, int):
            enough = spec.enough
            if enough > len(asked):
                self.linking.findings.add(
                    rules_process.ENOUGH_TOO_MANY, find(at, "enough").place, path=path, enough=enough, posts=len(asked)
                )
        elif isinstance(spec.enough, str) and spec.enough.rstrip("%").isdecimal() and spec.enough.endswith("%"):
            share = int(spec.enough[:-1])
            if not 1 <= share <= 100:
                self.linking.findings.add(
                    rules.BAD_VALUE,
                    find(at, "enough").place,
                    path=path,
                    value=spec.enough,
                    reason="a share is 1% to 100%",
                    reason_zh="比例应为 1% 至 100%",
                )
        elif spec.enough is not None:
            enough_of = self.actions.expressions.check(spec.enough, find(at, "enough"), entity, _COUNT, path)
        return Approval(
            ApprovalMode(key),
            spec.posts,
            tuple(also),
            enough,
            share,
            enough_of,
            self.actions.expressions.condition(spec.all_when, find(at, "all_when"), entity, f"{path}.all_when"),
            frozenset(spec.must),
            frozenset(spec.veto),
            spec.once,
            spec.among or "",
        )

    def wait(self, spec: WaitSpec, node: AnyNode, entity: str, path: str) -> Wait:
        given = [each for each in (spec.for_, spec.until) if each is not None]
        if len(given) + (spec.event is not None) == 0 or len(given) > 1:
            self.linking.findings.add(
                rules.BAD_VALUE,
                node.place,
                path=path,
                value="wait",
                reason="say for, until or event",
                reason_zh="应写 for、until 或 event",
            )
        until = None
        if spec.until is not None:
            wanted = self._moment(spec.until, entity)
            until = self.actions.expressions.check(spec.until, find(node, "until"), entity, wanted, f"{path}.until")
        about, verb = event_of(self.linking, spec.event, find(node, "event"), f"{path}.event")
        where = self.actions.expressions.condition(spec.where, find(node, "where"), about or entity, f"{path}.where")
        if about and about != entity and spec.same is None:
            self.linking.findings.add(rules.MISSING_KEY, node.place, path=path, key="same")
        elif about and spec.same is not None:
            field = self.linking.entities[about].fields.get(spec.same)
            if field is None or entity not in field.targets:
                self.linking.findings.add(
                    rules.BAD_FIELD_USE,
                    find(node, "same").place,
                    path=f"{path}.same",
                    name=spec.same,
                    reason=f"it does not refer to {entity}",
                    reason_zh=f"它不引用 {entity}",
                )
        limit = TimeLimit(*limit_of(spec.for_)) if spec.for_ else None
        return Wait(limit, until, about, verb, where, spec.same or "")

    def minutes(self, spec: StepSpec, node: AnyNode, entity: str, path: str) -> Checked | None:
        """The time limit that the record says; `within` stands beside it for where it is missing."""
        if spec.within_minutes is None:
            return None
        if spec.within is None:
            self.linking.findings.add(rules.MISSING_KEY, node.place, path=path, key="within")
        at = find(node, "within_minutes")
        return self.actions.expressions.check(spec.within_minutes, at, entity, _MINUTES, f"{path}.within_minutes")

    def legal(self, spec: LegalSpec | None, node: AnyNode, entity: str, path: str) -> Legal | None:
        if spec is None:
            return None
        found = [
            self.actions.expressions.check(text, find(node, key), entity, self._moment(text, entity), f"{path}.{key}")
            for key, text in (("from", spec.from_), ("until", spec.until))
        ]
        start, until = found
        alerts = alerts_of(spec.alert) or LEGAL_ALERTS
        return None if start is None or until is None else Legal(start, until, alerts)

    def _moment(self, text: str, entity: str) -> Type:
        field = self.linking.entities[entity].fields.get(text)
        return _DATE if field is not None and field.kind is FieldKind.DATE else _INSTANT

    def call(self, spec: StepSpec, node: AnyNode, entity: str, path: str) -> dict[str, Any]:
        assert spec.call is not None
        target: str | None = entity
        if spec.call.about is not None:
            target = self.actions.relation(entity, spec.call.about, find(node, "about"), f"{path}.about")
        about = self.actions.names.workflows.get(spec.call.workflow)
        if about is None:
            self.linking.unknown(
                rules_process.UNKNOWN_WORKFLOW,
                find(node, "workflow").place,
                spec.call.workflow,
                self.actions.names.workflows,
                path,
            )
        elif target is not None and about != target:
            self.linking.findings.add(
                rules.BAD_VALUE,
                find(node, "workflow").place,
                path=path,
                value=spec.call.workflow,
                reason=f"it is about {about}",
                reason_zh=f"它针对的是 {about}",
            )
        return {"call": spec.call.workflow, "about": spec.call.about or ""}

    def guard(self, spec: GuardSpec | None, node: AnyNode, entity: str, path: str) -> Condition | None:
        if spec is None:
            return None
        when = self.actions.expressions.condition(spec.when, find(node, "when"), entity, path)
        return None if when is None else Condition(when, text_of(spec.say))


def event_of(linking: Linking, text: str | None, node: AnyNode, path: str) -> tuple[str, str]:
    """`complaint.create` as entity and verb; two empty texts when it is none."""
    if text is None:
        return "", ""
    entity, _, verb = text.partition(".")
    known = linking.entities.get(entity)
    if known is None or verb not in ("create", "update", "void", "correct", *known.transitions):
        linking.findings.add(rules_process.UNKNOWN_EVENT, node.place, path=path, name=text)
        return "", ""
    return entity, verb
