"""`clew serve`, `clew dev`, `clew demo`: the server for production, for writing YAML, and for a first look."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import AsJson, DatabaseUrl, Host, Lang, Port, Project, SettingsFile, Situation, situation
from clew.cli.words import t
from clew.kernel.collector import starting, uncollected
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from clew.runtime import RuntimeHost
    from clew.settings import Settings

Workers = Annotated[int | None, typer.Option("--workers", help=t("Server processes.", "服务进程数。"))]
Production = Annotated[
    bool,
    typer.Option(
        "--production", help=t("Introspection, suggestions, GraphiQL off.", "关闭内省、拼写建议与 GraphiQL。")
    ),
]
Size = Annotated[str, typer.Option("--size", help=t("small, medium or large.", "small、medium 或 large。"))]


def register(app: typer.Typer) -> None:
    @app.command(help=t("Serve the newest applied release.", "运行数据库上最新的发布。"))
    def serve(
        host: Host = None,
        port: Port = None,
        workers: Workers = None,
        production: Production = False,
        project: Project = None,
        database_url: DatabaseUrl = None,
        settings: SettingsFile = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        mode = "production" if production else None
        given = situation(
            project, database_url, settings, lang, as_json, host=host, port=port, workers=workers, mode=mode
        )
        _serve(given)

    @app.command(help=t("Serve and apply safe changes of the YAML at once.", "运行服务,并即时应用 YAML 的安全变更。"))
    def dev(
        host: Host = None,
        port: Port = None,
        project: Project = None,
        database_url: DatabaseUrl = None,
        settings: SettingsFile = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        # Whoever writes the YAML wants to see what it does; no other command lets anybody in without signing in.
        given = situation(project, database_url, settings, lang, as_json, host=host, port=port, trust_this_machine=True)
        _serve(given, prepare=True, watch=True)

    @app.command(help=t("Everything at once: apply, seed, serve.", "一步到位:应用、填充示例数据、运行。"))
    def demo(
        host: Host = None,
        port: Port = None,
        size: Size = "small",
        project: Project = None,
        database_url: DatabaseUrl = None,
        settings: SettingsFile = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        given = situation(project, database_url, settings, lang, as_json, host=host, port=port)
        _serve(given, prepare=True, seed=size)


def _serve(given: Situation, *, prepare: bool = False, watch: bool = False, seed: str = "") -> None:
    with uncollected():
        from clew.cli.applying import bring_up, make_room
        from clew.web.log import configure_logging
        from clew.web.server import address_of, bind, refuse_strangers, serve_workers

    settings = given.settings
    if not prepare:
        refuse_strangers(settings, guarded=settings.loopback or asyncio.run(_guarded(settings)))
    make_room(settings)
    configure_logging(settings.log_level, human=sys.stderr.isatty())
    with bind(settings) as listening:
        if prepare:
            asyncio.run(bring_up(settings, given.terminal))
            refuse_strangers(settings, guarded=settings.loopback or asyncio.run(_guarded(settings)))
        if settings.workers > 1 and not watch:
            asyncio.run(_look(given, address_of(listening)))
            serve_workers(settings, listening)
        else:
            _run(_one_process(given, listening, watch, seed))


async def _guarded(settings: Settings) -> bool:
    """Whether the release to be served has policies; False when there is none to look at. Raises PlatformBehind."""
    from clew.kernel.clock import SystemClock
    from clew.kernel.errors import ClewError
    from clew.runtime import stored_blueprint
    from clew.storage import releases
    from clew.storage.errors import PlatformBehind
    from clew.storage.open import open_database

    try:
        database = await open_database(settings.database, clock=SystemClock(), connections=1)
    except ClewError:
        return False
    try:
        return stored_blueprint((await releases.current(database)).sources).policies is not None
    except PlatformBehind:
        raise
    except ClewError:
        return False
    finally:
        await database.close()


def _run(work: object) -> None:
    import uvloop

    uvloop.run(work)  # type: ignore[arg-type]


async def _look(given: Situation, address: str) -> None:
    """Open and close once, so that what is wrong is told by this process and not by each worker."""
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    _announce(given, host, address, await _nobody(host), [])
    await host.close()


async def _one_process(given: Situation, listening: object, watch: bool, seed: str) -> None:
    import socket

    from clew.runtime import open_runtime
    from clew.web.server import address_of, serve

    assert isinstance(listening, socket.socket)
    with starting():
        host = await open_runtime(given.settings)
    watching: asyncio.Task[None] | None = None
    demo: list[dict[str, str]] = []
    try:
        if seed:
            await _seed(given, host, seed)
            demo = await _demo_accounts(given, host)
        address = address_of(listening)
        empty = await _nobody(host)

        def ready() -> None:
            _announce(given, host, address, empty, demo)

        if watch:
            watching = asyncio.create_task(_watch(given, host))
        await serve(host, given.settings, listening, ready)
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await host.close()


async def _nobody(host: RuntimeHost) -> bool:
    """Whether everybody must sign in and nobody can."""
    from clew.identity import accounts

    if not host.current.guarded:
        return False
    async with host.database.read() as connection:
        return not await accounts.any_exists(connection)


async def _demo_accounts(given: Situation, host: RuntimeHost) -> list[dict[str, str]]:
    """One account for each role, shown with its password: this is a demonstration."""
    from clew.cli.demo_accounts import demo_accounts

    found = await demo_accounts(host.current, given.terminal.locale)
    if found:
        given.terminal.say("Accounts to try (demonstration only):", "演示账号(仅供演示):")
        names = {"login": "账号", "password": "密码", "role": "角色"}
        rows = [[each.login, each.password or "–", f"{each.role} {each.name}"] for each in found]
        given.terminal.table([Bilingual(zh, en) for en, zh in names.items()], rows)
    return [{"login": each.login, "password": each.password, "role": each.role} for each in found]


def _announce(given: Situation, host: RuntimeHost, address: str, nobody: bool, demo: list[dict[str, str]]) -> None:
    terminal = given.terminal
    current = host.current
    label = current.blueprint.project.label
    if current.guarded and given.settings.loopback and given.settings.trust_this_machine:
        en = " Whoever does not sign in has every right (trust_this_machine); other people sign in."
        zh = "不登录者拥有全部权限(trust_this_machine);其他人须登录。"
    elif current.guarded:
        en, zh = " Everybody signs in.", "须登录访问。"
    else:
        en, zh = " This machine only: there are no access policies yet.", "尚无权限策略,仅限本机访问。"
    terminal.say(
        f"{label.to('en')}, release {current.number}, {current.database.dialect}.{en}",
        f"{label.to('zh')},发布 {current.number},{current.database.dialect}。{zh}",
    )
    if nobody:
        terminal.say(
            "There is no account yet. On this machine: clew user add LOGIN --admin",
            "尚无任何账号。请在本机执行:clew user add 账号 --admin",
        )
    doors = [(f"{address}/", "start page", "起始页"), (f"{address}/graphql", "GraphQL API", "GraphQL 接口")]
    if not given.settings.production:
        doors.insert(1, (f"{address}/graphiql", "GraphiQL", "GraphiQL"))
    for url, en, zh in doors:
        terminal.say(f"  {url}  {en}", f"  {url}  {zh}")
    accounts = {"accounts": demo} if demo else {}
    terminal.emit(ok=True, address=address, release=current.number, **accounts)
    sys.stdout.flush()


async def _seed(given: Situation, host: RuntimeHost, size: str) -> None:
    """Records to look at, unless the database has some from an earlier start."""
    from clew.cli.data import seed_with_progress
    from clew.cli.seeding import AlreadyFilled

    try:
        await seed_with_progress(given.terminal, host, size)
    except AlreadyFilled:
        given.terminal.say("The database has records already.", "数据库中已有记录。")


async def _watch(given: Situation, host: RuntimeHost) -> None:
    """Apply what changes in the folder. Whatever is wrong with it is told; the running release goes on."""
    from watchfiles import awatch

    from clew.cli.applying import bring_up
    from clew.kernel.errors import ClewError
    from clew.runtime import ProjectInvalid

    folder = given.settings.project
    async for changes in awatch(folder, recursive=True, step=100, debounce=400):
        if not any(_matters(folder, Path(name)) for _, name in changes):
            continue
        try:
            if await bring_up(given.settings, given.terminal) is not None:
                await host.refresh()
        except ProjectInvalid as problem:
            if given.terminal.as_json:
                given.terminal.problem(problem)
            given.terminal.say("The running release goes on.", "正在运行的发布不受影响。")
        except ClewError as problem:
            given.terminal.problem(problem)
            given.terminal.say("The running release goes on.", "正在运行的发布不受影响。")


def _matters(folder: Path, file: Path) -> bool:
    try:
        inside = file.relative_to(folder.resolve())
    except ValueError:
        return False
    return file.suffix in (".yaml", ".yml") and not any(part.startswith(".") for part in inside.parts)
