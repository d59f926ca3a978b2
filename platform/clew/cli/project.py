"""`clew init` and `clew new`: a project, and further files in it, that pass the check as they are."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clew.cli.file_templates import Kind, Wanted, file_text
from clew.cli.options import AsJson, Lang, Project, situation
from clew.cli.usage import WrongUsage
from clew.cli.words import t
from clew.cli.workflow_templates import Shape
from clew.kernel.errors import Conflict
from clew.kernel.text import Bilingual
from clew.metadata.naming import RESERVED_TYPES
from clew.metadata.spec.words import REFUSED_CODES

if TYPE_CHECKING:
    from clew.metadata.blueprint import Blueprint

NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")

_PROJECT = """\
# yaml-language-server: $schema=.clew/schemas/project.json
project: {name}
label: {{zh: {zh}, en: {en}}}
version: 0.1.0
locale: zh
time_zone: Asia/Shanghai
"""


class FileExists(Conflict):
    """A command would have overwritten a file."""

    code = "FILE_EXISTS"
    en, zh = "{file} exists already; nothing was written.", "{file} 已存在,未写入任何内容。"


class BadName(WrongUsage):
    """A name that is not snake_case, or that YAML or the API reads otherwise."""

    code = "BAD_NAME"
    en = (
        "{name} is not a name: use small letters, digits and _, at most 48, a letter first; no word of YAML or of the"
        " API such as `no` or `query`."
    )
    zh = "{name} 不是有效名称:只用小写字母、数字与 _,以字母开头,最多 48 个字符;不能是 YAML 或接口的保留字。"


def register(app: typer.Typer) -> None:
    @app.command(help=t("Begin a project in a folder.", "在目录中新建项目。"))
    def init(
        folder: Annotated[
            Path, typer.Argument(help=t("The folder; made when missing.", "目录,不存在则创建。"))
        ] = Path(),
        name: Annotated[
            str | None, typer.Option("--name", help=t("Its snake_case name.", "项目名(snake_case)。"))
        ] = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        given = situation(folder, None, None, lang, as_json)
        name = name or re.sub(r"[^a-z0-9_]+", "_", folder.resolve().name.lower()).strip("_") or "project"
        _named(name)
        thing = Wanted(Kind.entity, "thing", ("物件", "Thing"))
        files = {
            folder / "clew.yaml": _PROJECT.format(name=name, zh=_in_chinese(folder) or name, en=_words(name)),
            folder / Kind.entity.folder / "thing.yaml": file_text(thing, lambda: _there(folder)),
        }
        for file in files:
            if file.exists():
                raise FileExists(file=file)
        for file, text in files.items():
            _write(file, text)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            _write(ignore, ".clew/\n")
        given.terminal.say(
            f"A project was made in {folder}. Next: clew schema, then clew dev",
            f"已在 {folder} 新建项目。下一步:clew schema,再 clew dev",
        )
        given.terminal.emit(ok=True, files=[str(file) for file in files])

    @app.command(help=t("Add a file to the project.", "为项目新增一个文件。"))
    def new(
        kind: Annotated[Kind, typer.Argument(help=t("What to add.", "新增内容的类型。"))],
        name: Annotated[str, typer.Argument(help=t("Its snake_case name.", "名称(snake_case)。"))],
        zh: Annotated[str | None, typer.Option("--zh", help=t("Chinese label.", "中文名称。"))] = None,
        en: Annotated[str | None, typer.Option("--en", help=t("English label.", "英文名称。"))] = None,
        template: Annotated[
            Shape, typer.Option("--template", help=t("What a workflow begins as.", "流程所用的模板。"))
        ] = Shape.approval,
        about: Annotated[
            str | None,
            typer.Option(
                "--for",
                help=t(
                    "The entity that a workflow, form, alert or policy test is about; the workflow of a scenario.",
                    "流程、表单、预警、策略测试所针对的实体;场景所演练的流程。",
                ),
            ),
        ] = None,
        roles: Annotated[
            list[str] | None,
            typer.Option(
                "--role",
                help=t(
                    "Whom a workflow asks: the first does the work, the others approve, the last answers for it."
                    " Whom an alert tells; whose policy is tested; which two are kept apart.",
                    "流程涉及的角色:第一个办理,其余审批,最后一个负责。亦为预警通知的、策略测试的或须分离的角色。",
                ),
            ),
        ] = None,
        project: Project = None,
        lang: Lang = None,
        as_json: AsJson = False,
    ) -> None:
        given = situation(project, None, None, lang, as_json)
        _named(name)
        file = given.settings.project / kind.folder / f"{name}.yaml"
        if file.exists():
            raise FileExists(file=file)
        labels = Bilingual(zh=zh or "", en=en or ("" if zh else _words(name)))
        scalars = _scalar(labels.to("zh")), _scalar(labels.to("en"))
        wanted = Wanted(kind, name, scalars, about, roles or (), template, datetime.now(UTC).year)
        text = file_text(wanted, lambda: _there(given.settings.project))
        _write(file, text)
        given.terminal.say(f"Wrote {file}", f"已写入 {file}")
        given.terminal.emit(ok=True, files=[str(file)])


def _there(project: Path) -> Blueprint:
    from clew.metadata.load import load_folder
    from clew.runtime import usable

    return usable(load_folder(project))


def _named(name: str) -> None:
    if not NAME.fullmatch(name) or name in REFUSED_CODES or name in RESERVED_TYPES:
        raise BadName(name=name)


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _in_chinese(folder: Path) -> str:
    """The folder's name as a label, where it is a Chinese one."""
    name = folder.resolve().name
    return _scalar(name) if re.search(r"[\u4e00-\u9fff]", name) else ""


def _scalar(text: str) -> str:
    """A text as it may stand in a flow of YAML: in quotes, unless it is plain words."""
    plain = re.fullmatch(r"[^\W\d_][\w ]*", text) and text == text.strip() and text.lower() not in REFUSED_CODES
    return text if plain else json.dumps(text, ensure_ascii=False)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("x", encoding="utf-8") as stream:
        stream.write(text)
