"""`clew serve`, `clew dev`, `clew demo`: the server for production, for writing YAML, and for a first look."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import AsJson, DatabaseUrl, Host, Lang, Port, Project, SettingsFile, Situation, situation
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.runtime import RuntimeHost

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
        given = situation(project, database_url, settings, lang, as_json, host=host, port=port)
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
    from clew.cli.applying import bring_up, make_room
    from clew.web.log import configure_logging
    from clew.web.server import address_of, bind, refuse_strangers, serve_workers

    settings = given.settings
    refuse_strangers(settings)
    make_room(settings)
    configure_logging(settings.log_level, human=sys.stderr.isatty())
    with bind(settings) as listening:
        if prepare:
            asyncio.run(bring_up(settings, given.terminal))
        if settings.workers > 1 and not watch:
            asyncio.run(_look(given, address_of(listening)))
            serve_workers(settings, listening)
        else:
            _run(_one_process(given, listening, watch, seed))


def _run(work: object) -> None:
    import uvloop

    uvloop.run(work)  # type: ignore[arg-type]


async def _look(given: Situation, address: str) -> None:
    """Open and close once, so that what is wrong is told by this process and not by each worker."""
    from clew.runtime import open_runtime

    host = await open_runtime(given.settings)
    _announce(given, host, address)
    await host.close()


async def _one_process(given: Situation, listening: object, watch: bool, seed: str) -> None:
    import socket

    from clew.runtime import open_runtime
    from clew.web.server import address_of, serve

    assert isinstance(listening, socket.socket)
    host = await open_runtime(given.settings)
    watching: asyncio.Task[None] | None = None
    try:
        if seed:
            await _seed(given, host, seed)
        address = address_of(listening)

        def ready() -> None:
            _announce(given, host, address)

        if watch:
            watching = asyncio.create_task(_watch(given, host))
        await serve(host, given.settings, listening, ready)
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await host.close()


def _announce(given: Situation, host: RuntimeHost, address: str) -> None:
    terminal = given.terminal
    current = host.current
    label = current.blueprint.project.label
    terminal.say(
        f"{label.to('en')}, release {current.number}, {current.database.dialect}."
        " This machine only: there are no access policies yet.",
        f"{label.to('zh')},发布 {current.number},{current.database.dialect}。尚无权限策略,仅限本机访问。",
    )
    doors = [(f"{address}/", "start page", "起始页"), (f"{address}/graphql", "GraphQL API", "GraphQL 接口")]
    if not given.settings.production:
        doors.insert(1, (f"{address}/graphiql", "GraphiQL", "GraphiQL"))
    for url, en, zh in doors:
        terminal.say(f"  {url}  {en}", f"  {url}  {zh}")
    terminal.emit(ok=True, address=address, release=current.number)
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
