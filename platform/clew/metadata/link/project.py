"""What the linking steps share: the documents by kind, the findings, what has been linked so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from clew.kernel.diagnostics import Findings, Place, Rule, nearest
from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.alerts import StandingAlert
from clew.metadata.blueprint import CodeList, CodingRule, Entity, Field, FieldKind
from clew.metadata.decisions import DecisionTable
from clew.metadata.documents import Document
from clew.metadata.forms import Form
from clew.metadata.link.drafts import EntityDraft
from clew.metadata.policies import Policies
from clew.metadata.processes import Workflow
from clew.metadata.project import Project
from clew.metadata.watches import Watch
from clew.metadata.working_time import WorkingCalendar

NO_TEXT = Bilingual()


@dataclass(slots=True)
class Linking:
    """One run of the linker. `holes` are names that exist but could not be read: never reported as unknown."""

    documents: Mapping[str, tuple[Document, ...]]
    findings: Findings
    holes: set[str]
    texts: Mapping[str, Bilingual] = field(default_factory=dict)
    """Labels from i18n/ by the name of the thing."""
    used_texts: set[str] = field(default_factory=set)
    project: Project | None = None
    code_lists: dict[str, CodeList] = field(default_factory=dict)
    coding_rules: dict[str, CodingRule] = field(default_factory=dict)
    drafts: dict[str, EntityDraft] = field(default_factory=dict)
    entities: dict[str, Entity] = field(default_factory=dict)
    policies: Policies | None = None
    calendars: dict[str, WorkingCalendar] = field(default_factory=dict)
    watches: dict[str, Watch] = field(default_factory=dict)
    decisions: dict[str, DecisionTable] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    alerts: dict[str, StandingAlert] = field(default_factory=dict)
    workflows: dict[str, Workflow] = field(default_factory=dict)
    sites_named: list[tuple[str, Place]] = field(default_factory=list)
    """Codes of sites under `active`, and where they are written."""

    def label(self, name: str, given: Bilingual, fallback: Bilingual = NO_TEXT) -> Bilingual:
        """A label from the YAML; a language it lacks comes from i18n/, or else from the fallback."""
        extra = self.texts.get(name, NO_TEXT)
        if extra:
            self.used_texts.add(name)
        return Bilingual(given.zh or extra.zh or fallback.zh, given.en or extra.en or fallback.en)

    def unknown(self, rule: Rule, place: Place, name: str, known: Iterable[str], path: str = "", **more: Any) -> None:
        """Report a name that does not exist, with the nearest that does."""
        if name in self.holes:
            return
        self.findings.add(rule, place, path=path, nearest=nearest(name, known), name=name, **more)

    def known_entity(self, name: str, place: Place, path: str = "") -> bool:
        if name in self.drafts:
            return True
        self.unknown(rules.UNKNOWN_ENTITY, place, name, self.drafts, path)
        return False

    def walk(self, entity: str, path: str, place: Place, where: str = "") -> Field | None:
        """The field at the end of a path such as `item.base_uom`, or None with a finding at the first wrong step.

        Steps go through single references only (`ref`; an envelope field or a scalar ends the path).
        """
        at, found = entity, None
        for step in path.split("."):
            if found is not None:
                if found.kind is not FieldKind.REF or not found.targets:
                    if found.targets or found.kind not in (FieldKind.REF, FieldKind.ANY):
                        self.findings.add(
                            rules.BAD_FIELD_USE,
                            place,
                            path=where,
                            name=path,
                            reason=f"{found.name} is not a single reference",
                            reason_zh=f"{found.name} 不是单一引用",
                        )
                    return None
                at = found.target
            linked = self.entities.get(at)
            if linked is None:
                return None
            found = linked.fields.get(step)
            if found is None:
                self.unknown(rules.UNKNOWN_FIELD, place, step, linked.fields, where, entity=at)
                return None
        return found
