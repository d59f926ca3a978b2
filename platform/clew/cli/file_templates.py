"""What `clew new` writes: for each kind a file to begin with, which passes the check as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from clew.cli.usage import WrongUsage
from clew.cli.workflow_templates import NO_PERMISSIONS, Shape, flow, known_entity, readers, workflow_text

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint, Entity
    from clew.metadata.processes import Step, Workflow

_MODELINE = "# yaml-language-server: $$schema=${up}.clew/schemas/$kind.json\n"
_PLAIN: dict[str, str] = {
    "entity": """\
entity: $name
label: {zh: $zh, en: $en}
class: master
key: [code]
title: "code + ' ' + name"
fields:
  code: {type: text, required: true, max_length: 40, search: true, label: {zh: 编码, en: Code}}
  name: {type: text, required: true, search: true, label: {zh: 名称, en: Name}}
unique:
  - [code]
""",
    "code_list": """\
code_list: $name
label: {zh: $zh, en: $en}
values:
  low: {zh: 低, en: Low}
  high: {zh: 高, en: High}
""",
    "coding_rule": """\
coding_rule: $name
label: {zh: $zh, en: $en}
pattern: "$upper-{yyyy}-{seq:6}"
gap_free: false
""",
    "role": """\
role: $name
label: {zh: $zh, en: $en}
may:
  "*": {read: always}
""",
    "calendar": """\
# Holidays are those of the country, by its code; add what differs, such as 2026-10-10: make-up day.
calendar: $name
label: {zh: $zh, en: $en}
zone: $zone
days: [monday, tuesday, wednesday, thursday, friday]
hours: 08:30-12:00, 13:00-17:30
years:
  $year: {holidays: CN}
""",
    "decision": """\
# A cell for each input, then a value for each output. Gaps and overlaps are found by `clew check`.
decision: $name
label: {zh: $zh, en: $en}
inputs:
  amount: {type: integer, min: 0, label: {zh: 数量, en: Amount}}
outputs:
  level: {type: text, label: {zh: 级别, en: Level}}
hit: unique
rows:
  - [0..99, low]
  - [">= 100", high]
examples:
  - [99, low]
  - [100, high]
""",
    "watch": """\
# Actions of the audit trail that raise an alert when they happen this often.
watch: $name
label: {zh: $zh, en: $en}
severity: medium
of: [export]
per: actor
times: 5
within_minutes: 60
""",
}
_ALERT = """\
# Raised once for each record for which it holds, and again after it has ceased to hold.
alert: $name
label: {zh: $zh, en: $en}
for: $entity
when: "$condition"
tell: $role
say: {zh: $zh, en: $en}
"""
_FORM = """\
# A step of a workflow shows it by its name: `form: $name`.
form: $name
label: {zh: $zh, en: $en}
for: $entity
sections:
  - title: {zh: $zh, en: $en}
    columns: 2
    fields: $fields
"""
_POLICY_TEST = """\
# What whoever holds the role tries, and what must come out.
policy_test: $name
as: {roles: [$role]}
cases:
  - {try: $entity.read, expect: allow}
"""
_SEPARATION = """\
# Nobody holds roles of two of these groups.
separation: $name
label: {zh: $zh, en: $en}
roles: [[$first], [$second]]
"""
_SCENARIO = """\
# What else a record requires is made up. Go on with who does what (`do`), what passes (`wait`), what is so `then`.
scenario: $name
label: {zh: $zh, en: $en}
people: {$people}
given:
  one: {$entity: {}}
steps:
$steps"""


class Kind(StrEnum):
    """What can be added to a project."""

    entity = "entity"
    code_list = "code_list"
    coding_rule = "coding_rule"
    calendar = "calendar"
    workflow = "workflow"
    decision = "decision"
    form = "form"
    alert = "alert"
    scenario = "scenario"
    watch = "watch"
    role = "role"
    separation = "separation"
    policy_test = "policy_test"

    @property
    def folder(self) -> Path:
        """Where its file is put, from the project's folder."""
        from clew.metadata.kinds import GROUND

        top = Path(next(each.folders[0] for each in GROUND if each.name == self.value))
        return top / f"{self.value}s" if self in (Kind.code_list, Kind.coding_rule) else top


class NoSuchWorkflow(WrongUsage):
    """A scenario was asked for of a process the project does not have, or of none."""

    code = "SCENARIO_WORKFLOW"
    en = "Say with --for which process the scenario plays; there are: {known}."
    zh = "请用 --for 写明场景所演练的流程;现有:{known}。"


class TwoRoles(WrongUsage):
    """A separation was asked for without the roles it keeps apart."""

    code = "SEPARATION_ROLES"
    en = "Say with --role, twice, which two roles nobody may hold together. There are: {known}."
    zh = "请用两个 --role 写明不得由同一人持有的两个角色。现有:{known}。"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the analyst said: `labels` are YAML scalars, zh and en; `about` is what stands after --for."""

    kind: Kind
    name: str
    labels: tuple[str, str]
    about: str | None = None
    roles: Sequence[str] = ()
    shape: Shape = Shape.approval
    year: int = 2026


def file_text(wanted: Wanted, project: Callable[[], Blueprint]) -> str:
    """The file. `project` is asked for only by kinds that speak of what is there already.

    Raises NoSuchEntity, NoSuchRole, NoSuchWorkflow, TwoRoles.
    """
    if wanted.kind is Kind.workflow:
        return workflow_text(project(), wanted.shape, wanted.name, wanted.labels, wanted.about, wanted.roles)
    words = {
        "name": wanted.name, "zh": wanted.labels[0], "en": wanted.labels[1], "kind": wanted.kind.value,
        "up": "../" * len(wanted.kind.folder.parts), "upper": wanted.name.upper().replace("_", "")[:6],
        "year": str(wanted.year), "zone": "Asia/Shanghai",
    }  # fmt: skip
    text = _PLAIN.get(wanted.kind.value)
    if text is None:
        text, further = _MADE[wanted.kind](wanted, project())
        words |= further
    return Template(_MODELINE + text).substitute(words)


def _alert(wanted: Wanted, blueprint: Blueprint) -> tuple[str, dict[str, str]]:
    entity = known_entity(blueprint, wanted.about)
    asked = wanted.roles or (() if blueprint.policies is not None else NO_PERMISSIONS)
    (role, *_) = readers(blueprint, entity, asked)
    return _ALERT, {"entity": entity.name, "role": role, "condition": _condition(entity)}


def _condition(entity: Entity) -> str:
    """Something that a record can come to: a day draws near, it stands in its first state, its first field is empty."""
    declared = [field for field in entity.fields.values() if field.origin == "declared"]
    for field in declared:
        if field.kind == "date" and field.computed is None:
            return f"{field.name} != null && days(today, {field.name}) <= 30"
    if entity.initial:
        return f"state == '{entity.initial}'"
    return f"{declared[0].name} == null"


def _form(wanted: Wanted, blueprint: Blueprint) -> tuple[str, dict[str, str]]:
    entity = known_entity(blueprint, wanted.about)
    fields = [each.name for each in entity.fields.values() if each.origin == "declared" and each.computed is None]
    return _FORM, {"entity": entity.name, "fields": flow(fields)}


def _policy_test(wanted: Wanted, blueprint: Blueprint) -> tuple[str, dict[str, str]]:
    entity = known_entity(blueprint, wanted.about)
    (role, *_) = readers(blueprint, entity, wanted.roles)
    return _POLICY_TEST, {"entity": entity.name, "role": role}


def _separation(wanted: Wanted, blueprint: Blueprint) -> tuple[str, dict[str, str]]:
    known = blueprint.policies.roles if blueprint.policies is not None else {}
    asked = tuple(dict.fromkeys(wanted.roles))
    if len(asked) != 2 or not set(asked) <= set(known):
        raise TwoRoles(known=", ".join(known) or "–")
    return _SEPARATION, {"first": asked[0], "second": asked[1]}


def _scenario(wanted: Wanted, blueprint: Blueprint) -> tuple[str, dict[str, str]]:
    workflow = blueprint.workflows.get(wanted.about or "")
    if workflow is None:
        raise NoSuchWorkflow(known=", ".join(blueprint.workflows) or "–")
    starters = [role for start in workflow.starts for role in start.roles][:1]
    people = {role: role for role in (*starters, *(role for step in _steps(workflow) for role in _asked(step)))}
    # What an event, the calendar or another process begins has nobody who starts it.
    by = f"by: {starters[0]}, " if starters else ""
    steps = [f"  - {{{by}start: {workflow.name}, of: one}}"]
    first = workflow.flow.first
    if first.who is not None and not first.who.least_loaded and first.who.qualified_for is None and _asked(first):
        steps.append(f"  - then: {{tasks: {{{_asked(first)[0]}: [{first.name}]}}}}")
    return _SCENARIO, {
        "entity": workflow.entity,
        "people": ", ".join(f"{person}: {role}" for person, role in people.items()),
        "steps": "\n".join(steps) + "\n",
    }


def _steps(workflow: Workflow) -> Iterator[Step]:
    waiting = [workflow.flow]
    while waiting:
        for step in waiting.pop(0).steps.values():
            yield step
            waiting.extend(step.flows.values())


def _asked(step: Step) -> tuple[str, ...]:
    return (*(step.who.roles if step.who else ()), *(step.approval.posts if step.approval else ()))


_MADE: dict[Kind, Callable[[Wanted, Blueprint], tuple[str, dict[str, str]]]] = {
    Kind.alert: _alert,
    Kind.form: _form,
    Kind.policy_test: _policy_test,
    Kind.separation: _separation,
    Kind.scenario: _scenario,
}
