"""A small project whose conditions are truth values of its own fields, and random policies over it."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from clew.access.decision import Grant
from clew.expressions.interpret import holds
from clew.kernel.context import Person, Scope
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_sources

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SITES = (UUID(int=1), UUID(int=2))
FLAGS = ("a", "b", "c", "d")
FIELDS = (*FLAGS, "x", "y", "z")
ACTIONS = ("read", "create", "update", "void", "correct", "export", "audit")

PROJECT = """\
project: sample
label: {zh: 样例, en: Sample}
"""
MODELS = """\
entity: site
label: {zh: 工厂, en: Site}
key: [code]
fields: {code: {type: text, required: true, label: {zh: 编码, en: Code}}}
---
entity: thing
label: {zh: 物, en: Thing}
scope: site
key: [x]
states: {open: {zh: 开, en: Open}, shut: {zh: 关, en: Shut}}
transitions:
  close: {from: open, to: shut, label: {zh: 关闭, en: Close}}
  reopen: {from: shut, to: open, label: {zh: 重开, en: Reopen}}
fields:
  a: {type: boolean, label: {zh: 甲, en: A}}
  b: {type: boolean, label: {zh: 乙, en: B}}
  c: {type: boolean, label: {zh: 丙, en: C}}
  d: {type: boolean, label: {zh: 丁, en: D}}
  x: {type: text, label: {zh: 子, en: X}}
  y: {type: text, label: {zh: 丑, en: Y}}
  z: {type: text, label: {zh: 寅, en: Z}}
"""


def project(*permissions: str) -> Blueprint:
    """The project with these permission documents; it must load."""
    loaded = load_sources(
        {"clew.yaml": PROJECT, "models/m.yaml": MODELS, "permissions/p.yaml": "---\n".join(permissions)}
    )
    assert loaded.blueprint is not None, [each.message("en") for each in loaded.diagnostics]
    return loaded.blueprint


def person(*roles: str, **scopes: Scope) -> Person:
    return Person(UUID(int=9), "p", "P", roles, scopes=scopes)


def allows(grant: Grant, record: dict[str, Any], who: Person) -> bool:
    """The grant on a record, as every command asks it."""
    if grant.always:
        return True
    return grant.allowed and any(holds(each, record, on_error=False, now=NOW, person=who) for each in grant.conditions)


def record(chance: random.Random) -> dict[str, Any]:
    values: dict[str, Any] = {name: chance.choice((True, False, None)) for name in FLAGS}
    return {**values, "x": "x", "y": "y", "z": "z", "site": chance.choice(SITES), "created_by": UUID(int=9)}


def random_role(name: str, chance: random.Random, earlier: Iterable[str]) -> str:
    """A role that loads, of every shape."""
    lines = [f"role: {name}", "label: {zh: 角色, en: Role}"]
    parents = [each for each in earlier if chance.random() < 0.3]
    if parents:
        lines.append(f"inherits: [{', '.join(parents)}]")
    if chance.random() < 0.4:
        lines.append("sites: own")
    for part, likely in (("may", 0.9), ("never", 0.3)):
        if chance.random() < likely:
            key = chance.choice(("thing", '"*"')) if chance.random() < 0.4 else "thing"
            said = _said(part, chance, named=key == "thing")
            if said:
                lines += [f"{part}:", f"  {key}: {{{', '.join(said)}}}"]
    return "\n".join(lines) + "\n"


def _said(part: str, chance: random.Random, *, named: bool) -> list[str]:
    likely = 0.5 if part == "may" else 0.15
    # What stands under `*` must fit every entity.
    said = [f"{action}: {_condition(chance, named)}" for action in ACTIONS if chance.random() < likely]
    if named and chance.random() < likely:
        said.append(chance.choice(("do: always", "do: [close]", "do: {close: a, reopen: [b, c]}")))
    if named and chance.random() < 0.4:
        said.append(f"hide: [{chance.choice('xy')}]")
    if part == "may" and named:
        if chance.random() < 0.4:
            said.append(f"mask: {{z: {_condition(chance, named)}}}")
        if chance.random() < 0.3:
            said.append(chance.choice(("write: [z, a]", "write: [x]")))
    elif named and chance.random() < 0.2:
        said.append("write: [z]")
    return said


def _condition(chance: random.Random, named: bool) -> str:
    if chance.random() < 0.4:
        return "always"
    if not named:
        return '"created_by == user.id"'
    picked = [
        f'"{each}"' for each in chance.sample((*FLAGS, "!(a == true)", "a && b == true"), chance.choice((1, 1, 2)))
    ]
    return picked[0] if len(picked) == 1 else f"[{', '.join(picked)}]"
