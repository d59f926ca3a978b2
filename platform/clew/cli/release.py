"""`clew release`: carry a release to production in one file – exported, planned, signed by two people, promoted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli.bundle_files import described, planned, read_bundle, results, write_bundle
from clew.cli.change import Consent, release_json
from clew.cli.environment import By
from clew.cli.options import (
    AsJson,
    BundleFile,
    Lang,
    Out,
    Situation,
    common,
    situation,
)
from clew.cli.reasons import Note
from clew.cli.release_signing import sign_command
from clew.cli.sealing import sealing_key
from clew.cli.words import t
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint
    from clew.storage.promotion.bundle import Bundle
    from clew.storage.releases import Release

Tests = Annotated[
    list[Path] | None,
    typer.Option("--tests", help=t("A JSON file: suite, total, failed; repeat it.", "测试结果 JSON 文件,可重复。")),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=t("Carry a release to production, signed by two.", "将发布送入生产环境,须两人签署。"),
        no_args_is_help=True,
    )
    group.command("key", help=t("Make a key that seals bundles.", "生成封印发布包的密钥。"))(key_command)
    group.command("export", help=t("Put a release into a sealed file.", "将发布导出为已封印的文件。"))(export_command)
    group.command("plan", help=t("Plan a bundle for this database.", "针对该数据库为发布包制定计划。"))(plan_command)
    group.command("show", help=t("What a bundle says, and what it still lacks.", "显示发布包内容及其缺项。"))(
        show_command
    )
    group.command("sign", help=t("Sign a bundle as author or approver.", "以编制人或批准人身份签署发布包。"))(
        sign_command
    )
    group.command("promote", help=t("Apply a signed bundle.", "应用已签署的发布包。"))(promote_command)
    app.add_typer(group, name="release")


def key_command(
    file: Annotated[Path, typer.Argument(help=t("The new file.", "新密钥文件。"))],
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    from clew.cli.project import FileExists
    from clew.storage.promotion.keys import new_key

    given = situation(None, None, None, lang, as_json)
    try:
        key = new_key(file)
    except FileExistsError:
        raise FileExists(file=file) from None
    given.terminal.say(
        f"{file} seals bundles: keep it secret. Production believes it when told this line:",
        f"{file} 用于封印发布包,请妥善保密。将下面一行告知生产环境后即受信任:",
    )
    given.terminal.say(key.public, key.public)
    given.terminal.emit(ok=True, key=key.id, public=key.public)


@common
def export_command(
    given: Situation,
    note: Note,
    number: Annotated[int | None, typer.Argument(help=t("Which release (the newest).", "发布编号,默认最新。"))] = None,
    out: Out = None,
    tests: Tests = None,
) -> None:
    suites = [results(file) for file in tests or ()]
    bundle = asyncio.run(_export(given, number, suites, note))
    write_bundle(given.terminal, bundle, out or Path("release.json"))


@common
def plan_command(
    given: Situation,
    bundle: BundleFile,
    by: By,
    out: Out = None,
    consent: Consent = None,
) -> None:
    planned = asyncio.run(_plan(given, read_bundle(bundle), frozenset(consent or ()), by))
    write_bundle(given.terminal, planned, out or bundle)


@common
def show_command(
    given: Situation,
    bundle: BundleFile,
) -> None:
    found = read_bundle(bundle)
    lacks = asyncio.run(_lacks(given, found)) if found.target else []
    terminal = given.terminal
    terminal.emit(**found.without_sources(), lacks=[{"zh": each.zh, "en": each.en} for each in lacks])
    for en, zh in described(found):
        terminal.say(en, zh)
    for each in lacks:
        terminal.say(f"  ✗ {each.en}", f"  ✗ {each.zh}")
    if lacks or found.target is None:
        raise typer.Exit(1)


@common
def promote_command(
    given: Situation,
    bundle: BundleFile,
    by: By,
) -> None:
    release = asyncio.run(_promote(given, read_bundle(bundle), by))
    given.terminal.say(f"Release {release.number} is live.", f"发布 {release.number} 已生效。")
    given.terminal.emit(ok=True, release=release_json(release))


async def _export(given: Situation, number: int | None, suites: list[dict[str, Any]], note: str) -> Bundle:
    import sqlalchemy as sa

    from clew.cli.applying import owner_database
    from clew.runtime import stored_blueprint
    from clew.storage import releases, system
    from clew.storage.promotion.bundle import exported
    from clew.storage.promotion.environment import declaration

    key = sealing_key(given.settings)
    async with owner_database(given.settings) as database:
        found = await (releases.current(database) if number is None else releases.numbered(database, number))
        async with database.read() as connection:
            told = await declaration(connection)
            database_id = await connection.fetch_value(sa.select(system.platform.c.database_id))
            now = await connection.now()
    blueprint = stored_blueprint(found.sources)
    project = blueprint.project
    content = {
        "project": {"name": project.name, "version": project.version},
        "origin": {"database": database_id, "environment": told.environment.value, "release": found.number},
        "compiler": found.compiler,
        "blueprint_digest": found.blueprint_digest,
        "release": {"digest": found.digest, "plan": found.plan_id, "at": found.at, "by": found.by, "note": found.note},
        "sources": dict(found.sources),
        "tests": [*policy_suite(blueprint), *suites],
        "note": note,
        "at": now,
    }
    return exported(content, key)


def policy_suite(blueprint: Blueprint) -> list[dict[str, Any]]:
    """The project's own policy tests, run now; nothing when it has none."""
    from clew.access.trial import failures

    policies = blueprint.policies
    cases = sum(len(each.cases) for each in policies.tests.values()) if policies is not None else 0
    if not cases:
        return []
    return [{"suite": "policy_tests", "total": cases, "failed": len(tuple(failures(blueprint)))}]


async def _plan(given: Situation, bundle: Bundle, consents: frozenset[str], by: str) -> Bundle:
    from clew.cli.access_difference import difference_lines
    from clew.cli.applying import owner_database, plan_for
    from clew.records.review.promoted import access_change, difference_json
    from clew.runtime import stored_blueprint

    blueprint = stored_blueprint(bundle.sources)
    async with owner_database(given.settings) as database:
        made = await plan_for(database, blueprint)
        async with database.read() as connection:
            now = await connection.now()
            access = difference_json(await access_change(connection, blueprint, stored_blueprint))
    given.terminal.say(made.text("en"), made.text("zh"))
    for line in difference_lines(access):
        given.terminal.say(line.en, line.zh)
    plan = {name: part for name, part in made.to_json().items() if name != "sources"}
    kept = sorted(consents & set(made.needs))
    return bundle.aimed({"plan": plan, "consents": kept, "access": access, "at": now, "by": by})


async def _lacks(given: Situation, bundle: Bundle) -> list[Bilingual]:
    import sqlalchemy as sa

    from clew.cli.applying import owner_database
    from clew.records.review.promoted import access_change, difference_json, unsigned
    from clew.runtime import stored_blueprint
    from clew.storage import system
    from clew.storage.promotion.environment import declaration
    from clew.storage.promotion.verdict import reasons

    assert bundle.target is not None
    async with owner_database(given.settings) as database, database.read() as connection:
        told = await declaration(connection)
        database_id = await connection.fetch_value(sa.select(system.platform.c.database_id)) if told.number else None
        after = stored_blueprint(bundle.sources)
        access = difference_json(await access_change(connection, after, stored_blueprint)) if told.number else None
    lacks = list(reasons(bundle, planned(bundle), told, database_id))
    for each in unsigned(bundle.target["access"], access) if access is not None else ():
        lacks.append(Bilingual(f"未签署的权限变化:{each.zh}", f"access changes nobody signed: {each.en}"))
    return lacks


async def _promote(given: Situation, bundle: Bundle, by: str) -> Release:
    from clew.cli.applying import carry_out, open_to_servers, owner_database

    plan = planned(bundle)
    async with owner_database(given.settings) as database:
        note = str(bundle.export["note"])
        release = await carry_out(database, plan, consents=bundle.consents, by=by, note=note, bundle=bundle)
        await open_to_servers(given.settings, database)
    return release
