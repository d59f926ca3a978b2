"""Alerts: entities, conditions the database can ask, changes that are events, people and processes that exist."""

from __future__ import annotations

from clew.kernel.text import Bilingual
from clew.metadata import naming, rules, rules_process
from clew.metadata.alerts import StandingAlert, Trigger
from clew.metadata.documents import Document
from clew.metadata.link.actions import Actions, Names
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.project import Linking
from clew.metadata.link.step_kinds import event_of
from clew.metadata.source import find
from clew.metadata.spec.alert import AlertSpec
from clew.metadata.spec.words import text_of


def link_alerts(linking: Linking, expressions: Expressions) -> None:
    """Every alert of the project, by name."""
    about = {name: each.entity for name, each in linking.workflows.items()}
    actions = Actions(linking, expressions, Names(about))
    for document in linking.documents.get("alert", ()):
        spec = document.spec
        assert isinstance(spec, AlertSpec)
        earlier = linking.alerts.get(spec.alert)
        if earlier is not None:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="alerts",
                kind_zh="预警",
                name=spec.alert,
                related=[earlier.place],
            )
        elif spec.for_ not in linking.entities:
            linking.unknown(rules.UNKNOWN_ENTITY, document.at("for"), spec.for_, linking.entities, "for")
        else:
            found = _alert(linking, actions, document, spec, about)
            if found is not None:
                linking.alerts[spec.alert] = found


def _alert(
    linking: Linking, actions: Actions, document: Document, spec: AlertSpec, about: dict[str, str]
) -> StandingAlert | None:
    node = document.node
    when = actions.expressions.condition(spec.when, find(node, "when"), spec.for_, "when", database=True)
    who = actions.who(spec.tell, find(node, "tell"), spec.for_, "tell")
    if spec.tell.starter or spec.tell.actor_of:
        place = find(node, "tell").place
        linking.findings.add(
            rules.BAD_VALUE,
            place,
            path="tell",
            value="starter",
            reason="no process is running",
            reason_zh="此时没有流程",
        )
    if spec.start is not None and about.get(spec.start) != spec.for_:
        place = document.at("start")
        if spec.start in about:
            linking.findings.add(
                rules.BAD_VALUE,
                place,
                path="start",
                value=spec.start,
                reason=f"it is about {about[spec.start]}",
                reason_zh=f"它针对的是 {about[spec.start]}",
            )
        else:
            linking.unknown(rules_process.UNKNOWN_WORKFLOW, place, spec.start, about, "start")
    label = linking.label(f"alert.{spec.alert}", text_of(spec.label), Bilingual("", naming.human(spec.alert)))
    triggers = _triggers(linking, document, spec)
    if when is None:
        return None
    return StandingAlert(
        spec.alert,
        label,
        document.place,
        spec.for_,
        when,
        who,
        spec.severity,
        text_of(spec.help),
        text_of(spec.say),
        triggers,
        spec.again_after_days,
        spec.start or "",
    )


def _triggers(linking: Linking, document: Document, spec: AlertSpec) -> tuple[Trigger, ...]:
    found = []
    for at, each in enumerate(spec.at_once):
        node = find(document.node, "at_once", at)
        entity, verb = event_of(linking, each.event, find(node, "event"), f"at_once.{at}.event")
        if not entity:
            continue
        field = linking.entities[entity].fields.get(each.of or "")
        if each.of is None and entity != spec.for_:
            linking.findings.add(rules.MISSING_KEY, node.place, path=f"at_once.{at}", key="of")
        elif each.of is not None and (field is None or field.computed is not None or spec.for_ not in field.targets):
            linking.findings.add(
                rules.BAD_FIELD_USE,
                find(node, "of").place,
                path=f"at_once.{at}.of",
                name=each.of,
                reason=f"it does not refer to {spec.for_}",
                reason_zh=f"它不引用 {spec.for_}",
            )
        else:
            found.append(Trigger(entity, verb, each.of or ""))
    return tuple(found)
