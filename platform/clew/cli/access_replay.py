"""`clew access decisions`, `replay`, `checkpoints`: what was decided, whether it comes out again, and by what rules."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from clew.cli.options import AsJson, Lang, Project, SettingsFile, Situation, common, situation
from clew.cli.words import t
from clew.kernel.errors import NotFound
from clew.kernel.text import Bilingual, Locale

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint
    from clew.records.decisions.checkpoints import Checkpoint
    from clew.records.decisions.evaluate import Answer
    from clew.records.decisions.replay import Replay
    from clew.records.decisions.stored import Stored

FORMAT = 1
DecisionId = Annotated[str, typer.Argument(metavar="DECISION", help=t("The decision's id.", "决策编号。"))]
OfEntity = Annotated[str | None, typer.Option("--entity", help=t("Only this entity.", "仅此实体。"))]
Outcome = Annotated[str | None, typer.Option("--outcome", help=t("allowed or refused.", "allowed 或 refused。"))]
Days = Annotated[int, typer.Option("--days", min=1, help=t("Within these days.", "最近的天数。"))]
Count = Annotated[int, typer.Option("--first", min=1, help=t("At most so many.", "最多条数。"))]


def register(group: typer.Typer) -> None:
    group.command("decisions", help=t("Decisions on regulated actions.", "受监管操作的决策。"))(decisions_command)
    group.command("replay", help=t("Decide again: as known then, and now.", "重放决策:按当时与现在所知。"))(
        replay_command
    )
    group.command(
        "checkpoints", help=t("Every rule that decides a regulated action.", "所有作出受监管决策之处(决策点)及其规则。")
    )(checkpoints_command)


@common
def decisions_command(
    given: Situation,
    days: Days = 30,
    outcome: Outcome = None,
    first: Count = 200,
) -> None:
    found = asyncio.run(_decisions(given, days, outcome, first))
    terminal = given.terminal
    terminal.emit(format=FORMAT, decisions=[_stored_json(each) for each in found])
    if not found:
        terminal.say(f"No decisions in the last {days} days.", f"最近 {days} 天没有决策。")
        return
    heads = [Bilingual("时间", "When"), Bilingual("操作", "Action"), Bilingual("结果", "Outcome"),
             Bilingual("代码", "Code"), Bilingual("编号", "Id")]  # fmt: skip
    terminal.table(
        heads,
        [
            [f"{each.at:%Y-%m-%d %H:%M:%S}", f"{each.entity} {each.action}",
             OUTCOMES[each.outcome].to(terminal.locale), each.code,
             str(each.decision_id)]
            for each in found
        ],
    )  # fmt: skip


@common
def replay_command(
    given: Situation,
    decision: DecisionId,
) -> None:
    found = asyncio.run(_replay(given, decision))
    terminal = given.terminal
    terminal.emit(format=FORMAT, **_replay_json(found))
    stored, now = found.decision, found.now.outcome if found.now is not None else "-"
    outcome, then = (OUTCOMES[each] for each in (stored.outcome, found.then.outcome))
    today = OUTCOMES[now] if now in OUTCOMES else Bilingual("不再存在该操作", "there is no such action any more")
    code = f" ({stored.code})" if stored.code else ""
    terminal.say(
        f"{stored.entity} {stored.action}: {outcome.en}{code}; by what was known then {then.en}, today {today.en}.",
        f"{stored.entity} {stored.action}:{outcome.zh}{code};按当时所知{then.zh},按现在{today.zh}。",
    )
    rows = []
    for each in found.then.answers:
        later = found.now.answer(each.key) if found.now is not None else None
        rows.append(
            [KINDS[each.kind].to(terminal.locale), each.name, _held(each.held), _held(later.held) if later else "-",
             " | ".join(each.conditions) or _because(each, later, terminal.locale),
             " ".join(str(rule["at"]) for rule in each.rules)]
        )  # fmt: skip
    heads = [Bilingual("种类", "Kind"), Bilingual("名称", "Name"), Bilingual("当时", "Then"), Bilingual("现在", "Now"),
             Bilingual("条件", "When"), Bilingual("规则", "Rule at")]  # fmt: skip
    terminal.table(heads, rows)
    for difference in found.differences:
        what, was, becomes = WHATS[difference.what], _shown(difference.then), _shown(difference.now)
        terminal.say(
            f"{what.en} {difference.name}: {was} → {becomes}", f"{what.zh} {difference.name}:{was} → {becomes}"
        )
    for problem in found.unfaithful:
        terminal.say(f"Not as kept: {problem}", f"与存档不一致:{problem}")
    if not found.faithful:
        raise typer.Exit(1)


def checkpoints_command(
    entity: OfEntity = None,
    project: Project = None,
    settings: SettingsFile = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, None, settings, lang, as_json)
    from clew.access.loading import load_project
    from clew.records.decisions.checkpoints import checkpoints
    from clew.runtime import usable

    blueprint = usable(load_project(given.settings.project))
    found = checkpoints(blueprint, entity)
    terminal, locale = given.terminal, given.terminal.locale
    terminal.emit(format=FORMAT, checkpoints=[_checkpoint_json(each) for each in found])
    last = ("", "")
    for each in found:
        if (each.entity, each.action) != last:
            last = (each.entity, each.action)
            known = blueprint.entities.get(each.entity)
            move = known.transitions.get(each.action.partition(":")[2]) if known is not None else None
            label = known.label.to(locale) if known is not None else each.entity
            did = move.label.to(locale) if move is not None else ""
            name = " · ".join(part for part in (label, did) if part)
            terminal.say(f"{name} ({each.entity}: {each.action})", f"{name}({each.entity}:{each.action})")
        kind, roles = KINDS[each.kind].to(locale), names_of_roles(blueprint, each.roles, locale)
        said = each.label.to(locale) if each.kind not in ("grant", "state", "signature") else ""
        rule = each.words.to(locale) or (_one_line(each.rule) if each.rule not in ("-", "reason: required") else "")
        said = "" if said == rule else said
        line = " · ".join(part for part in (rule, said, roles) if part)
        terminal.say(f"  {kind}: {line or '–'}", f"  {kind}:{line or '–'}")
        for place in each.at.split():
            terminal.say(f"      {place}", f"      {place}")


def names_of_roles(blueprint: Blueprint, roles: Iterable[str], locale: Locale) -> str:
    """Roles as people call them."""
    known = blueprint.policies.roles if blueprint.policies is not None else {}
    labels = (known[name].label.to(locale) or name if name in known else name for name in roles)
    return ("、" if locale == "zh" else ", ").join(labels)


async def _decisions(given: Situation, days: int, outcome: str | None, first: int) -> list[Stored]:
    from datetime import timedelta

    from clew.records.decisions import stored
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    try:
        async with host.database.read() as connection:
            since = await connection.now() - timedelta(days=days)
            return await stored.since(connection, since, first, outcome)
    finally:
        await host.close()


async def _replay(given: Situation, decision: str) -> Replay:
    from clew.records.decisions import stored
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    try:
        async with host.database.read() as connection:
            try:
                wanted = UUID(decision)
            except ValueError:
                raise NotFound(what=Bilingual(f"决策 {decision}", f"decision {decision}")) from None
            return await host.current.replayer.replay(connection, await stored.one(connection, wanted))
    finally:
        await host.close()


def _because(then: Answer, now: Answer | None, locale: Locale) -> str:
    """What an answer without conditions stands on; what it stands on today, where that is something else."""
    said = [each.why.to(locale) or _earlier(each.facts, locale) for each in (then, now) if each is not None]
    return " → ".join(part for part in dict.fromkeys(said) if part)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _held(value)
    if isinstance(value, list | tuple):
        return " | ".join(map(_shown, value)) or "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return "–" if value is None else str(value)


def _earlier(read: Mapping[str, Any], locale: Locale) -> str:
    """What a separation found: the duty that excludes this one."""
    found = read.get("earlier")
    if not found:
        return ""
    done = f"{found['entity']} {found['action']}"
    return Bilingual(f"已履行 {done}", f"did {done}").to(locale)


def _one_line(rule: str) -> str:
    return " ".join(rule.split())


KINDS = {
    "grant": Bilingual("授权", "granted"),
    "state": Bilingual("状态", "state"),
    "guard": Bilingual("前提", "guard"),
    "reason": Bilingual("原因", "reason"),
    "signature": Bilingual("签名", "signature"),
    "frozen": Bilingual("定稿", "frozen"),
    "regulated": Bilingual("受监管字段", "regulated field"),
    "rule": Bilingual("规则", "rule"),
    "separation": Bilingual("职责分离", "separation of duties"),
    "refusal": Bilingual("拒绝", "refusal"),
}
WHATS = {
    "outcome": Bilingual("结果", "outcome"),
    "check": Bilingual("检查", "check"),
    "fact": Bilingual("事实", "fact"),
    "rule": Bilingual("规则", "rule"),
    "role": Bilingual("角色", "role"),
    "policy": Bilingual("权限策略", "policy"),
    "release": Bilingual("发布", "release"),
    "record": Bilingual("记录", "record"),
}
OUTCOMES = {"allowed": Bilingual("允许", "allowed"), "refused": Bilingual("拒绝", "refused")}


def _held(held: bool) -> str:
    return "✓" if held else "✗"


def _stored_json(each: Stored) -> dict[str, Any]:
    return {
        "id": str(each.decision_id),
        "at": each.at.isoformat(),
        "outcome": each.outcome,
        "code": each.code,
        "action": each.action,
        "entity": each.entity,
        "record": str(each.record_id),
        "row_version": each.row_version,
        "account": str(each.account),
        "release": each.release,
        "policy": each.policy,
    }


def _replay_json(found: Replay) -> dict[str, Any]:
    from clew.kernel.canonical import wire

    def verdict(of: Any) -> Any:
        if of is None:
            return None
        checks = [
            {"kind": each.kind, "name": each.name, "held": each.held, "stage": each.stage, "again": each.again,
             "why": {"zh": each.why.to("zh"), "en": each.why.to("en")} if each.why else None,
             "conditions": list(each.conditions), "rules": [dict(rule) for rule in each.rules]}
            for each in of.answers
        ]  # fmt: skip
        return {"outcome": of.outcome, "release": of.release, "policy": of.policy, "checks": checks}

    return {
        "decision": _stored_json(found.decision),
        "faithful": found.faithful,
        "unfaithful": list(found.unfaithful),
        "then": verdict(found.then),
        "now": verdict(found.now),
        "differences": [
            {"what": each.what, "name": each.name, "then": wire(each.then), "now": wire(each.now)}
            for each in found.differences
        ],
    }


def _checkpoint_json(each: Checkpoint) -> dict[str, Any]:
    return {
        "entity": each.entity,
        "action": each.action,
        "kind": each.kind,
        "rule": each.rule,
        "at": each.at,
        "label": {"zh": each.label.to("zh"), "en": each.label.to("en")},
        "words": {"zh": each.words.to("zh"), "en": each.words.to("en")},
        "roles": list(each.roles),
    }
