"""`clew schema` and `clew docs`: the project and the platform, written down for editors, clients and people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.options import AsJson, Lang, Out, Project, situation
from clew.cli.words import t

if TYPE_CHECKING:
    from clew.api.view import Views
    from clew.kernel.text import Locale
    from clew.metadata.blueprint import Blueprint


def register(app: typer.Typer) -> None:
    app.command(
        "schema",
        help=t("Write the editors' JSON Schemas, or the GraphQL schema.", "生成编辑器用 JSON Schema 或 GraphQL 架构。"),
    )(schema_command)
    app.command("docs", help=t("Build the bilingual data dictionary as a static site.", "生成双语数据字典静态站点。"))(
        docs_command
    )


def schema_command(
    graphql: Annotated[
        bool, typer.Option("--graphql", help=t("The GraphQL schema (SDL).", "GraphQL 架构(SDL)。"))
    ] = False,
    out: Out = None,
    project: Project = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    from clew.cli.applying import checked_project
    from clew.metadata.export import write_schemas
    from clew.metadata.load import load_folder

    given = situation(project, None, None, lang, as_json)
    folder, terminal = given.settings.project, given.terminal
    if graphql:
        text = asyncio.run(sdl(checked_project(folder, terminal), terminal.locale))
        if out is None:
            terminal.raw(text)
            return
        out.write_text(text + "\n", encoding="utf-8")
        written = [out]
    else:
        # A project with mistakes still gets its schemas: they help to mend it.
        written = list(write_schemas(out or folder, load_folder(folder).blueprint))
    terminal.say(f"{len(written)} files written.", f"已写入 {len(written)} 个文件。")
    terminal.emit(ok=True, files=[str(each) for each in written])


def docs_command(
    out: Out = None,
    reference: Annotated[
        bool,
        typer.Option(
            "--reference", help=t("The platform's own reference pages instead.", "改为生成平台自身的参考文档。")
        ),
    ] = False,
    project: Project = None,
    lang: Lang = None,
    as_json: AsJson = False,
) -> None:
    given = situation(project, None, None, lang, as_json)
    if reference:
        from clew.cli.reference_pages import pages

        folder = out or Path("docs")
        texts = pages()
    else:
        from clew.cli.applying import checked_project
        from clew.cli.dictionary import site

        folder = out or Path("dist/docs")
        texts = site(checked_project(given.settings.project, given.terminal))
    for name, text in texts.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    given.terminal.say(f"{len(texts)} pages written to {folder}.", f"已将 {len(texts)} 个页面写入 {folder}。")
    given.terminal.emit(ok=True, files=[str(folder / name) for name in texts])


async def sdl(blueprint: Blueprint, locale: Locale) -> str:
    """The whole API of a project as GraphQL text, with descriptions in one language."""
    from clew.access.decision import permit_all

    async with views_of(blueprint) as views:
        return views.view(permit_all(blueprint), locale).sdl()


@asynccontextmanager
async def views_of(blueprint: Blueprint) -> AsyncIterator[Views]:
    """The API of a project as anybody may see it, over a database with nothing in it."""
    from clew.api.view import Views
    from clew.kernel.clock import SystemClock
    from clew.process.engine import Processes
    from clew.process.staff import AssignedStaff
    from clew.records.commands import Commands
    from clew.records.feed import Feed
    from clew.runtime import api_features, identity_desk, identity_parts
    from clew.settings import Settings
    from clew.storage.catalog import Catalog
    from clew.storage.open import open_database
    from clew.storage.tables import Tables

    clock = SystemClock()
    database = await open_database("sqlite://", clock=clock)
    try:
        tables = Tables(blueprint, Catalog.first(blueprint), database.dialect)
        desk = identity_desk(identity_parts(Settings()), blueprint, database, clock)
        commands = Commands(database, blueprint, tables)
        processes = Processes(database, blueprint, commands, AssignedStaff())
        yield Views(blueprint, api_features(commands, Feed(database, clock), database, desk, processes))
    finally:
        await database.close()
