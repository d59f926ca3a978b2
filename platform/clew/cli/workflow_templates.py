"""Workflows to start from: an approval, a review board, reviews side by side, a duty of every year."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from string import Template
from typing import TYPE_CHECKING

from clew.cli.usage import WrongUsage
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint, Entity

_MOST_FIELDS = 4
_PLAIN = frozenset({"text", "long_text", "integer", "decimal", "boolean", "date", "datetime", "choice"})
NO_PERMISSIONS = ("requester", "approver")
"""Roles of a project that has none yet."""

_HEAD = """\
# yaml-language-server: $$schema=../.clew/schemas/workflow.json
# A beginning: put your own words, fields, roles and time limits, then run `clew process prove $name`.
workflow: $name
label: {zh: $zh, en: $en}
for: $entity
owner: $owner
starts:
  - $start
steps:
"""
_COMMON = """
    owner: $owner
    within: $limit
    alert: {50%: assignee, 80%: supervisor, late: department_head, 150%: owner}"""
_PREPARE = """\
  prepare:
    label: {zh: 填写, en: Prepare}
    help: {zh: 填写并提交审批。, en: Fill in and hand in.}
    who: $doer
    input: $input
    output: $output$common
"""
_APPROVE = """\
  approve:
    label: {zh: 审批, en: Approve}
    help: {zh: 任一审批人决定。, en: One of the approvers decides.}
    any_sign: {posts: $approvers}
    outcomes:
      approve: {label: {zh: 同意, en: Approve}}
      reject: {against: true, comment: required, label: {zh: 退回修改, en: Back for changes}}
    not_same_person_as: [prepare]
    input: $input
    output: []$common
    then: {any: approved, reject: prepare}
"""
_BOARD = """\
  board:
    label: {zh: 会签, en: Review board}
    help: {zh: 三分之二以上同意且主持人同意方为通过。, en: "Passed by two thirds of the votes, with that of the chair."}
    countersign:
      posts: $approvers
      enough: 66%
      must: [$owner]
    outcomes:
      approve: {label: {zh: 同意, en: Approve}}
      reject: {against: true, comment: required, label: {zh: 不同意, en: Reject}}
    not_same_person_as: [prepare]
    input: $input
    output: []$common
    then: {any: approved, reject: prepare}
"""
_REVIEWS = """\
  reviews:
    label: {zh: 并行评审, en: Reviews}
    help: {zh: 各方同时评审。, en: "All review at the same time, each their own part."}
    parallel:
$branches    input: $input
    output: []$common
    wait_for: all
  approve:
    label: {zh: 批准, en: Approve}
    help: {zh: 阅看各方意见后决定。, en: Decide with the reviews at hand.}
    who: $owner
    outcomes:
      approve: {label: {zh: 批准, en: Approve}}
      reject: {against: true, comment: required, label: {zh: 退回修改, en: Back for changes}}
    not_same_person_as: [prepare]
    input: $input
    output: []$common
    returns_to: [prepare]
    then: {any: approved, reject: prepare}
"""
_BRANCH = """\
      $role:
        $role_review:
          label: {zh: $zh, en: $en}
          help: {zh: 写明评审意见。, en: Say what was found.}
          who: $role
          outcomes:
            done: {comment: required, label: {zh: 已评审, en: Reviewed}}
          not_same_person_as: [prepare]
          input: $input
          output: []$common
          returns_to: []
"""
_CHECK = """\
  check:
    label: {zh: 检查, en: Check}
    help: {zh: 检查并记录结果。, en: Check and record what was found.}
    who: $doer
    outcomes:
      done: {comment: required, label: {zh: 已检查, en: Checked}}
    input: $input
    output: $output$common
  confirm:
    label: {zh: 复核, en: Confirm}
    help: {zh: 由他人复核检查结果。, en: Somebody else confirms the check.}
    any_sign: {posts: $approvers}
    outcomes:
      approve: {label: {zh: 确认, en: Confirm}}
      reject: {against: true, comment: required, label: {zh: 重新检查, en: Check again}}
    not_same_person_as: [check]
    input: $input
    output: []$common
    then: {any: finished, reject: check}
  finished: {end: done}
"""
_APPROVED = "  approved: {end: approved}\n"
_BY_HAND = "person: [$doer]"
_EVERY_YEAR = "calendar: {every: year, by: '12-31', ahead: 30 cd, each: $entity}"


class Shape(StrEnum):
    """What kind of procedure."""

    approval = "approval"
    review_board = "review_board"
    parallel_review = "parallel_review"
    periodic = "periodic"


_SHAPES: dict[Shape, tuple[str, tuple[str, ...]]] = {
    Shape.approval: (_BY_HAND, (_PREPARE, _APPROVE, _APPROVED)),
    Shape.review_board: (_BY_HAND, (_PREPARE, _BOARD, _APPROVED)),
    Shape.parallel_review: (_BY_HAND, (_PREPARE, _REVIEWS, _APPROVED)),
    Shape.periodic: (_EVERY_YEAR, (_CHECK,)),
}


class NoSuchEntity(WrongUsage):
    """A file was asked for about an entity the project does not have, or about none."""

    code = "WORKFLOW_ENTITY"
    en = "Say with --for which entity it is about; there are: {known}."
    zh = "请用 --for 写明所针对的实体;现有:{known}。"


class NoSuchRole(WrongUsage):
    """The roles that are asked or told were not named, or do not exist, or their holders cannot read its records."""

    code = "WORKFLOW_ROLE"
    en = "Say with --role whom it asks (who does, who approves) or tells: roles that read {entity}. There are: {known}."
    zh = "请用 --role 写明相关角色(由谁办理、由谁审批、通知谁):须为可读取 {entity} 的角色。现有:{known}。"


def workflow_text(
    blueprint: Blueprint, shape: Shape, name: str, labels: tuple[str, str], entity: str | None, roles: Sequence[str]
) -> str:
    """The file. Of the roles the first does the work, the others approve, the last answers for it and has the chair.

    `labels` are YAML scalars, zh and en. Raises NoSuchEntity, NoSuchRole.
    """
    known = known_entity(blueprint, entity)
    asked = readers(blueprint, known, roles or (() if blueprint.policies is not None else NO_PERMISSIONS))
    approvers = asked[1:] or asked
    declared = [field for field in known.fields.values() if field.origin == "declared"]
    filled = [each.name for each in declared if each.kind in _PLAIN and each.computed is None and not each.immutable]
    limit = "3 wd" if any(each.default for each in blueprint.calendars.values()) else "5 cd"
    words = {
        "name": name, "zh": labels[0], "en": labels[1], "entity": known.name,
        "doer": asked[0], "owner": asked[-1], "approvers": flow(approvers), "limit": limit,
        "input": flow(each.name for each in declared[:_MOST_FIELDS]), "output": flow(filled[:_MOST_FIELDS]),
    }  # fmt: skip
    start, parts = _SHAPES[shape]
    words["start"] = "{" + Template(start).substitute(words) + "}"
    words["common"] = Template(_COMMON).substitute(words)
    words["branches"] = "".join(_branch(blueprint, role, words) for role in approvers)
    return "".join(Template(each).substitute(words) for each in (_HEAD, *parts))


def known_entity(blueprint: Blueprint, name: str | None) -> Entity:
    """The entity of that name. Raises NoSuchEntity."""
    known = blueprint.entities.get(name or "")
    if known is None:
        raise NoSuchEntity(known=", ".join(blueprint.entities) or "–")
    return known


def readers(blueprint: Blueprint, entity: Entity, roles: Sequence[str]) -> tuple[str, ...]:
    """The roles, each once: at least one, and all may read the entity. Raises NoSuchRole."""
    asked = tuple(dict.fromkeys(roles))
    known = _readers(blueprint, entity.name)
    if not asked or (blueprint.policies is not None and not set(asked) <= set(known)):
        raise NoSuchRole(entity=entity.name, known=", ".join(known) or "–")
    return asked


def _readers(blueprint: Blueprint, entity: str) -> list[str]:
    """Roles that people hold and that may read the entity, by their own grants or inherited ones."""
    policies = blueprint.policies
    if policies is None:
        return []
    found = []
    for role in policies.roles.values():
        grants = [policies.roles[each].may.get(entity) for each in role.lineage if each in policies.roles]
        if role.kind == "person" and any(each is not None and "read" in each.actions for each in grants):
            found.append(role.name)
    return found


def _branch(blueprint: Blueprint, role: str, words: dict[str, str]) -> str:
    known = blueprint.policies.roles[role].label if blueprint.policies is not None else Bilingual("", role)
    deeper = words["common"].replace("\n", "\n      ")
    labels = {
        "zh": _quoted(f"{known.to('zh')}评审"),
        "en": _quoted(f"Review by {known.to('en')}"),
        "role_review": f"{role}_review",
    }
    return Template(_BRANCH).substitute({**words, **labels, "role": role, "common": deeper})


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def flow(names: Iterable[str]) -> str:
    return f"[{', '.join(names)}]"
