"""The linking steps in their order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from clew.kernel.diagnostics import Findings
from clew.kernel.text import Bilingual
from clew.metadata import naming, rules
from clew.metadata.documents import Document
from clew.metadata.kinds import Kinds
from clew.metadata.link.alerts import link_alerts
from clew.metadata.link.answerable import check_answerable
from clew.metadata.link.attach import attach
from clew.metadata.link.calendars import link_calendars
from clew.metadata.link.checks import (
    check_names,
    check_renames,
    check_systems,
    check_units,
    computed_cycles,
    old_is_stored,
    required_cycles,
    retention_fields,
    thread_fields,
)
from clew.metadata.link.codes import check_patterns, link_codes
from clew.metadata.link.decisions import link_decisions
from clew.metadata.link.drafts import collect
from clew.metadata.link.entities import link_entities
from clew.metadata.link.expressions import Expressions
from clew.metadata.link.forms import link_forms
from clew.metadata.link.identity import link_identity
from clew.metadata.link.labels import read_labels, report_unused
from clew.metadata.link.nesting import computed_size
from clew.metadata.link.permissions import link_permissions
from clew.metadata.link.project import Linking
from clew.metadata.link.relations import link_inverses, link_lines
from clew.metadata.link.watches import link_watches
from clew.metadata.link.workflows import link_workflows
from clew.metadata.project import Channel, PluginAction, Project
from clew.metadata.schema import BlueprintSchema
from clew.metadata.spec.others import ProjectSpec
from clew.metadata.spec.words import text_of


def link(
    documents: Mapping[str, tuple[Document, ...]], findings: Findings, holes: frozenset[str], kinds: Kinds
) -> tuple[Linking, dict[str, Any]]:
    """Link everything; what is wrong is in the findings, what can be linked is linked all the same."""
    linking = Linking(documents, findings, set(holes))
    linking.texts = read_labels(documents.get("labels", ()))
    linking.project = _project(linking)
    linking.drafts = collect(documents.get("entity", ()), findings)
    link_codes(linking)
    link_decisions(linking)
    link_lines(linking)
    link_entities(linking)
    link_inverses(linking)
    expressions = Expressions(linking, BlueprintSchema(linking.entities, linking.code_lists, linking.decisions))
    finished = {name: attach(linking, expressions, draft) for name, draft in linking.drafts.items()}
    linking.entities = finished
    link_calendars(linking)
    link_watches(linking)
    check_patterns(linking)
    check_units(linking)
    check_systems(linking)
    retention_fields(linking)
    thread_fields(linking)
    check_renames(linking)
    computed_cycles(linking)
    computed_size(linking)
    old_is_stored(linking)
    required_cycles(linking)
    check_names(linking)
    schema = BlueprintSchema(finished, linking.code_lists, linking.decisions)
    linking.policies = link_permissions(linking, Expressions(linking, schema))
    if linking.project is not None:
        linking.project = replace(linking.project, identity=link_identity(linking))
    link_forms(linking, Expressions(linking, schema))
    _plugin_actions(linking)
    link_workflows(linking)
    check_answerable(linking)
    link_alerts(linking, Expressions(linking, schema))
    report_unused(linking)
    extras = {
        kind.name: kind.link(linking, documents.get(kind.name, ()))
        for kind in kinds.all.values()
        if kind.link is not None
    }
    return linking, extras


def _project(linking: Linking) -> Project | None:
    found = linking.documents.get("project", ())
    for extra in found[1:]:
        linking.findings.add(
            rules.DUPLICATE_NAME,
            extra.place,
            kind="projects",
            kind_zh="项目",
            name=extra.name,
            related=[found[0].place],
        )
    if not found:
        return None
    spec = found[0].spec
    assert isinstance(spec, ProjectSpec)
    try:
        ZoneInfo(spec.time_zone)
    except (ValueError, OSError, KeyError):
        linking.findings.add(
            rules.BAD_VALUE,
            found[0].at("time_zone"),
            path="time_zone",
            value=spec.time_zone,
            reason="there is no such time zone",
            reason_zh="没有这个时区",
        )
    label = linking.label("project", text_of(spec.label), Bilingual("", naming.human(spec.project)))
    actions = {
        name: PluginAction(
            name,
            each.plugin,
            each.for_,
            linking.label(f"action.{name}", text_of(each.label), Bilingual("", naming.human(name))),
            found[0].at("actions", name, "plugin"),
            None if each.writes is None else frozenset(each.writes),
            None if each.makes is None else frozenset(each.makes),
        )
        for name, each in spec.actions.items()
    }
    return Project(
        spec.project,
        label,
        spec.version,
        spec.locale,
        found[0].place,
        spec.time_zone,
        spec.company,
        actions=MappingProxyType(actions),
        channels=MappingProxyType(
            {
                name: Channel(name, each.plugin, found[0].at("channels", name, "plugin"), each.about)
                for name, each in spec.channels.items()
            }
        ),
    )


def _plugin_actions(linking: Linking) -> None:
    """What plugins do is done with records of an entity there is."""
    if linking.project is None:
        return
    place = linking.documents["project"][0]
    for name, each in linking.project.actions.items():
        if each.entity not in linking.entities:
            where = f"actions.{name}.for"
            at = place.at("actions", name, "for")
            linking.unknown(rules.UNKNOWN_ENTITY, at, each.entity, linking.entities, where)
            continue
        fields = linking.entities[each.entity].fields
        for unknown in sorted((each.writes or frozenset()) - set(fields)):
            at = place.at("actions", name, "writes")
            linking.unknown(rules.UNKNOWN_FIELD, at, unknown, fields, f"actions.{name}.writes")
        for made in sorted(each.makes or ()):
            entity, _, move = made.partition(".")
            at, path = place.at("actions", name, "makes"), f"actions.{name}.makes"
            known = linking.entities.get(entity)
            if known is None:
                linking.unknown(rules.UNKNOWN_ENTITY, at, entity, linking.entities, path)
            elif move and move != "void" and move not in known.transitions:
                linking.unknown(rules.UNKNOWN_TRANSITION, at, move, known.transitions, path, entity=entity)
