"""What the commands of `clew access` work with, and how their answers look as text and JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clew.access.judgement import Judgement
from clew.access.review.explain import Link
from clew.access.review.matrix import Cell
from clew.audit.trail import Trail
from clew.cli.applying import owner_database
from clew.identity.assignments import Assignments
from clew.identity.book import book_of
from clew.kernel.canonical import wire
from clew.kernel.text import Bilingual, Locale
from clew.records.engine import Engine
from clew.records.review.answer import Standing
from clew.records.review.desk import ReviewDesk
from clew.runtime import stored_blueprint
from clew.settings import Settings
from clew.storage import releases
from clew.storage.engine import Connection
from clew.storage.tables import Tables

FORMAT = 1
"""Of every JSON answer of `clew access`; raised when one changes its meaning."""
SIGNS = {"allow": "✓", "conditional": "◐", "deny": "✗"}
KINDS = {
    "permanent": Bilingual("长期", "permanent"),
    "delegation": Bilingual("代行", "delegation"),
    "break_glass": Bilingual("应急", "break-glass"),
    "claim": Bilingual("单点登录声明", "by single sign-on"),
}
FORCES = {
    "in force": Bilingual("有效", "in force"),
    "not yet": Bilingual("尚未生效", "not in force yet"),
    "expired": Bilingual("已过期", "expired"),
    "ended": Bilingual("已终止", "ended"),
    "requested": Bilingual("仅为申请", "only requested"),
    "refused": Bilingual("已被拒绝", "refused"),
    "unknown role": Bilingual("角色已不存在", "the role does not exist"),
    "account disabled": Bilingual("账号已停用", "the account is disabled"),
}
EFFECTS = {
    "allow": Bilingual("允许", "allowed"),
    "conditional": Bilingual("有条件", "conditional"),
    "deny": Bilingual("拒绝", "denied"),
}


@dataclass(frozen=True, slots=True)
class Reviewing:
    """A review desk on a connection, at a moment."""

    desk: ReviewDesk
    connection: Connection
    at: datetime
    release: int


@asynccontextmanager
async def reviewing(settings: Settings) -> AsyncIterator[Reviewing]:
    """The release that is served, with the people and records of its database. Raises NoRelease, NoPolicies."""
    async with owner_database(settings) as database:
        found = await releases.current(database)
        blueprint = stored_blueprint(found.sources)
        tables = Tables(blueprint, found.catalog, database.dialect)
        judgement = Judgement(blueprint) if blueprint.policies is not None else None
        assignments = Assignments(Trail(), book_of(blueprint.policies))
        desk = ReviewDesk(database, Engine(blueprint, tables, str(found.number)), judgement, assignments)
        async with database.read() as connection:
            yield Reviewing(desk, connection, await connection.now(), found.number)


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def both(words: Bilingual) -> dict[str, str]:
    return {"zh": words.to("zh"), "en": words.to("en")}


def cell_json(cell: Cell) -> dict[str, Any]:
    return {
        "role": cell.role,
        "entity": cell.entity,
        "action": cell.action,
        "field": cell.field or None,
        "label": both(cell.label),
        "effect": cell.effect,
        "when": both(cell.when),
        "policy": [str(each) for each in cell.places],
        "through": list(cell.through),
    }


def standing_json(standing: Standing) -> dict[str, Any]:
    account = standing.known.account
    return {
        "login": account.login,
        "name": account.name,
        "account": account.id,
        "allowed": standing.allowed,
        "chains": [link_json(each) for each in standing.links],
        "forbidden_by": [link_json(each) for each in standing.forbids],
        "reasons": [{"code": each.code, "text": both(each.text)} for each in standing.reasons],
        "roles_that_could": list(standing.could),
    }


def link_json(link: Link) -> dict[str, Any]:
    holding = link.holding
    return {
        "assignment": holding.assignment,
        "kind": holding.kind,
        "delegator": holding.delegator,
        "valid_from": holding.valid_from,
        "valid_to": holding.valid_to,
        "force": holding.force,
        "way": list(link.way),
        "policy": str(link.line.place),
        "holds": link.holds,
        "conditions": [
            {
                "text": each.test.text,
                "words": both(each.test.words),
                "policy": str(each.test.place),
                "holds": each.holds,
                "values": plain(each.values),
                "names": plain(each.names),
            }
            for each in link.tried
        ],
    }


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a record as on the wire; what has no wire form as its text."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        try:
            found[name] = wire(value)
        except TypeError:
            found[name] = str(value)
    return found


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def chain_lines(link: Link, locale: Locale, *, forbids: bool = False) -> Iterable[str]:
    """One chain as a person reads it: assignment, roles, policy line, conditions with their values. One that forbids
    stands in the way where it holds."""
    holding = link.holding
    zh = locale == "zh"
    until = f" – {holding.valid_to:%Y-%m-%d}" if holding.valid_to is not None else ""
    since = f"{holding.valid_from:%Y-%m-%d}{until}"
    holds = link.holds and holding.force == "in force"
    mark = "✓" if holds != forbids else "✗"
    comma = "," if zh else ", "
    kind, force = KINDS[holding.kind].to(locale), FORCES[holding.force].to(locale)
    said = comma.join((kind, since, force))
    never = ("禁止:" if zh else "never: ") if forbids else ""
    yield f"{mark} {never}{' → '.join(link.way)}  ({said})"
    yield f"    {'策略' if zh else 'policy'} {link.line.place}"
    for each in link.tried:
        if each.test.condition is None:
            continue
        shown = {True: "✓", False: "✗", None: "?"}[each.holds]
        values = ", ".join(f"{name} = {_shown(each.names.get(name, value))}" for name, value in each.values.items())
        yield f"    {shown} {each.test.words.to(locale)}" + (f"  [{values}]" if values else "")


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_shown(each) for each in value) or "–"
    return "–" if value is None else str(plain({"": value})[""])
