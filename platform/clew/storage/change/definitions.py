"""What a change does to definitions that have no tables of their own: processes, roles, separations, decision tables.

Each that is new, changed or gone, with what that means for what runs and who holds what, counted in the database. Who
gains and who loses by name is asked with `clew access diff`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import sqlalchemy as sa

from clew.kernel.text import Bilingual, counted
from clew.metadata.blueprint import Blueprint
from clew.metadata.compile import meaning
from clew.metadata.policies import Policies
from clew.metadata.processes import Workflow
from clew.storage.engine import Connection
from clew.storage.identity_tables import assignment
from clew.storage.process_tables import process

Kind = Literal["process", "role", "separation", "decision_table"]
KINDS: Mapping[Kind, Bilingual] = {
    "process": Bilingual("流程", "process"),
    "role": Bilingual("角色", "role"),
    "separation": Bilingual("职责分离", "separation"),
    "decision_table": Bilingual("决策表", "decision table"),
}
_NEW, _CHANGED, _GONE = Bilingual("新增", "new"), Bilingual("有变化", "changed"), Bilingual("被移除", "removed")
_SIGNS: Mapping[str, Bilingual] = {"+": _NEW, "~": _CHANGED, "-": _GONE}


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One definition that is new (`+`), changed (`~`) or gone (`-`), and what that means. `counts` are of the present
    database: `running` cases of a process, `holders` of a role."""

    sign: Literal["+", "~", "-"]
    kind: Kind
    name: str
    label: Bilingual
    effect: Bilingual
    counts: Mapping[str, int]

    @property
    def text(self) -> Bilingual:
        kind, said = KINDS[self.kind], _SIGNS[self.sign]
        zh, en = self.label.to("zh") or self.name, self.label.to("en") or self.name
        return Bilingual(f"{kind.zh}“{zh}”({self.name}){said.zh}", f"{said.en} {kind.en} “{en}” ({self.name})")

    def to_json(self) -> dict[str, Any]:
        return {
            "sign": self.sign,
            "kind": self.kind,
            "name": self.name,
            "label": {"zh": self.label.to("zh"), "en": self.label.to("en")},
            "effect": {"zh": self.effect.zh, "en": self.effect.en},
            "counts": dict(self.counts),
        }

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> DefinitionChange:
        label, effect = Bilingual(**data["label"]), Bilingual(**data["effect"])
        return cls(data["sign"], data["kind"], data["name"], label, effect, dict(data["counts"]))


async def definition_changes(
    connection: Connection, old: Blueprint | None, new: Blueprint, tables: Collection[str]
) -> list[DefinitionChange]:
    """The differences in a stable order; none for an empty database, where everything is new. `tables`: what the
    database has of the platform's own."""
    if old is None:
        return []
    count = partial(_count, connection, tables)
    was, now = old.policies or Policies({}), new.policies or Policies({})
    found: list[DefinitionChange] = []
    for name, one, other in _pairs(old.workflows, new.workflows, lambda each: each.digest):
        live = sa.and_(process.c.workflow == name, process.c.status.in_(("running", "suspended")))
        running = await count(process, process.c.id, live)
        found.append(_told("process", name, one, other, _process(one, other, running), {"running": running}))
    for name, one, other in _pairs(was.roles, now.roles, meaning):
        roles = [each for each, role in now.roles.items() if name in role.lineage] if other else [name]
        held = sa.and_(assignment.c.role.in_(roles), assignment.c.state == "active")
        holders = await count(assignment, assignment.c.account, held)
        found.append(_told("role", name, one, other, _role(one, other, holders), {"holders": holders}))
    for name, one, other in _pairs(was.separations, now.separations, meaning):
        found.append(_told("separation", name, one, other, _SEPARATION[_sign(one, other)], {}))
    for name, one, other in _pairs(old.decisions, new.decisions, meaning):
        found.append(_told("decision_table", name, one, other, _TABLE[_sign(one, other)], {}))
    return found


def _pairs(old: Mapping[str, Any], new: Mapping[str, Any], means: Callable[[Any], Any]) -> list[tuple[str, Any, Any]]:
    """Names of which the two versions say different things: new ones, changed ones, then those that are gone."""
    names = [*new, *(each for each in old if each not in new)]
    pairs = [(name, old.get(name), new.get(name)) for name in names]
    return [each for each in pairs if each[1] is None or each[2] is None or means(each[1]) != means(each[2])]


def _sign(one: Any, other: Any) -> Literal["+", "~", "-"]:
    return "+" if one is None else "-" if other is None else "~"


def _told(
    kind: Kind, name: str, one: Any, other: Any, effect: Bilingual, counts: Mapping[str, int]
) -> DefinitionChange:
    label = (one if other is None else other).label or Bilingual(name, name)
    return DefinitionChange(_sign(one, other), kind, name, label, effect, counts)


async def _count(
    connection: Connection, tables: Collection[str], table: sa.Table, of: sa.Column[Any], where: Any
) -> int:
    if table.name not in tables:
        return 0
    return int(await connection.fetch_value(sa.select(sa.func.count(of.distinct())).where(where)) or 0)


def _process(one: Workflow | None, other: Workflow | None, running: int) -> Bilingual:
    on_zh, on_en = f"运行中的 {running} 个个案", f"{counted(running, 'running case')}"
    if one is None and other is not None:
        steps = sum(1 for _ in other.walk())
        return Bilingual(f"{steps} 个步骤,针对 {other.entity}", f"{counted(steps, 'step')}, about {other.entity}")
    if one is not None and other is None:
        return Bilingual(
            f"不可再发起;{on_zh}按原定义办完",
            f"nobody starts it any more; the definition they began with stays with {on_en}",
        )
    assert one is not None
    assert other is not None
    was, now = ({step.path: meaning(step) for _, step in each.walk()} for each in (one, other))
    parts = [
        (Bilingual("新步骤", "new steps"), [each for each in now if each not in was]),
        (Bilingual("移除步骤", "steps removed"), [each for each in was if each not in now]),
        (Bilingual("改动步骤", "steps changed"), [each for each in now if each in was and was[each] != now[each]]),
    ]
    said = [(words, ", ".join(names)) for words, names in parts if names]
    zh = ";".join([*(f"{words.zh}:{names}" for words, names in said), f"{on_zh}仍按其原定义"])
    en = "; ".join(
        [*(f"{words.en}: {names}" for words, names in said), f"the definition they began with stays with {on_en}"]
    )
    return Bilingual(zh, en)


def _role(one: Any, other: Any, holders: int) -> Bilingual:
    people_zh, people_en = f"{holders} 人", counted(holders, "person", "people")
    if other is None:
        return Bilingual(f"{people_zh}的授权从此无效", f"the assignments of {people_en} give nothing any more")
    if one is None and not holders:
        return Bilingual("授予之前无人持有", "nobody holds it until it is given")
    if one is None:
        return Bilingual(
            f"{people_zh}仍有此前同名角色的授权,立即生效",
            f"{people_en} still have assignments of this name: it holds at once",
        )
    return Bilingual(f"涉及 {people_zh}(含继承者)", f"concerns {people_en}, holders of roles that inherit it included")


_SEPARATION: Mapping[str, Bilingual] = {
    "+": Bilingual(
        "此后违反者被拒绝;现存冲突见 clew access diff",
        "what breaks it is refused from now on; clew access diff names present conflicts",
    ),
    "~": Bilingual(
        "此后按新内容执行;现存冲突见 clew access diff",
        "enforced as it now reads; clew access diff names present conflicts",
    ),
    "-": Bilingual("不再执行", "no longer enforced"),
}
_TABLE: Mapping[str, Bilingual] = {
    "+": Bilingual("此后可供流程与规则查询", "may be asked by processes and rules"),
    "~": Bilingual(
        "规则与新个案用新表;运行中的个案仍用其原表",
        "rules and new cases ask it as it now reads; running cases keep theirs",
    ),
    "-": Bilingual("不可再查询;运行中的个案仍用其原表", "asked no more; running cases keep theirs"),
}
