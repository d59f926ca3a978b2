"""The access difference that a release bundle carries: computed on the database it goes to, and computed again there
when it is promoted, because people and their roles go on changing between the signatures and the promotion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from clew.audit.trail import Trail
from clew.identity.assignments import Assignments
from clew.identity.book import book_of
from clew.kernel.errors import Conflict
from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.records.engine import Engine
from clew.records.review.difference import Comparison, Difference, Side
from clew.records.review.people import everybody
from clew.storage.engine import Connection
from clew.storage.releases import Loader, current_in
from clew.storage.tables import Tables

FORMAT = 1
"""Of the difference as JSON; raised when a member changes its meaning."""


class AccessStale(Conflict):
    """What a release changes in people's access is not, or no longer, what its bundle says and people signed."""

    code = "ACCESS_STALE"
    en = "This release would change access in a way nobody signed: {what}"
    zh = "该发布会造成未经签署的权限变化:{what}"
    hint_en = "Plan again, so that the signed difference is the present one, and sign again: clew release plan"
    hint_zh = "请重新制定计划并重新签署,使所签署的差异与现状一致:clew release plan"


async def access_change(connection: Connection, after: Blueprint, load: Loader) -> Difference:
    """What a project would change for the people of this database, from what it serves now (nothing at first)."""
    live = await current_in(connection)
    if live is None:
        return Difference((), (), (), tuple(sorted(after.policies.roles if after.policies else ())))
    blueprint = load(live.sources)
    before, then = Side(blueprint), Side(after)
    at = await connection.now()
    people = await everybody(connection, Assignments(Trail(), book_of(blueprint.policies)), before.policies, at)
    engine = Engine(blueprint, Tables(blueprint, live.catalog, connection.dialect), str(live.number))
    return await Comparison(engine, connection, at, before, then).difference(people)


def difference_json(found: Difference) -> dict[str, Any]:
    """Versioned; also what a release bundle carries."""
    return {
        "format": FORMAT,
        "changes": [
            {
                "login": each.login,
                "name": each.name,
                "entity": each.entity,
                "action": each.action,
                "field": each.field or None,
                "subject": _both(each.subject),
                "label": _both(each.label),
                "effect": each.effect,
                "records_gained": each.gained,
                "records_lost": each.lost,
                "before": _both(each.before),
                "after": _both(each.after),
            }
            for each in found.changes
        ],
        "new_conflicts": [
            {"login": each.login, "name": each.name, "separation": each.separation, "roles": list(each.roles)}
            for each in found.conflicts
        ],
        "roles_gone": list(found.roles_gone),
        "roles_new": list(found.roles_new),
    }


def unsigned(signed: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Bilingual]:
    """What the release changes now that the signed difference does not say. How many records it is about goes on
    changing and is no part of it; a change that fell away (somebody has left) needs no signature."""
    if signed.get("format") != now["format"]:
        yield Bilingual("差异的格式不同", "the difference has another format")
        return
    known = {_change(each) for each in signed["changes"]}
    for each in now["changes"]:
        if _change(each) not in known:
            subject, label = each["subject"], each["label"]
            yield Bilingual(
                f"{each['login']}:{subject['zh']} · {label['zh']}({each['after']['zh']})",
                f"{each['login']}: {subject['en']} · {label['en']} ({each['after']['en']})",
            )
    broken = {(each["login"], each["separation"]) for each in signed["new_conflicts"]}
    for each in now["new_conflicts"]:
        if (each["login"], each["separation"]) not in broken:
            yield Bilingual(
                f"{each['login']} 将违反 {each['separation']}", f"{each['login']} would break {each['separation']}"
            )
    for name, zh, en in (("roles_gone", "角色取消", "role gone"), ("roles_new", "新角色", "new role")):
        yield from (Bilingual(f"{zh}:{each}", f"{en}: {each}") for each in now[name] if each not in signed[name])


async def require_signed(connection: Connection, after: Blueprint, load: Loader, signed: Mapping[str, Any]) -> None:
    """Under the lock, before anything is touched. Raises AccessStale with everything that was not signed."""
    found = list(unsigned(signed, difference_json(await access_change(connection, after, load))))
    if found:
        raise AccessStale(what=Bilingual(";".join(each.zh for each in found), "; ".join(each.en for each in found)))


def _change(each: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(each[name] for name in ("login", "entity", "action", "field")) + tuple(
        each[name][locale] for name in ("before", "after") for locale in ("zh", "en")
    )


def _both(words: Bilingual) -> dict[str, str]:
    return {"zh": words.to("zh"), "en": words.to("en")}
