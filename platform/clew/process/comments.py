"""Comments on an instance: what somebody says beside the steps, whom they mention, which files they add.

They are kept apart from the timeline of acts: who only comments has done nothing in the process and gets
no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from clew.kernel.errors import BadInput
from clew.kernel.ids import uuid7
from clew.kernel.scalars import instant_text
from clew.kernel.text import Bilingual
from clew.process import store
from clew.process.announce import announce
from clew.process.errors import NoSuchProcess
from clew.records.attachments import use_file
from clew.records.notices import Notice, tell
from clew.records.spoken import LONGEST, spoken
from clew.records.unit import Unit
from clew.storage import process_tables
from clew.storage.engine import Connection

MOST_FILES = 20
_WHAT = Bilingual("流程", "process")
_comment = process_tables.process_comment


@dataclass(frozen=True, slots=True)
class Said:
    """A comment. `files` are uploaded ones, `{name, sha256}`; `mentioned` are accounts, and their logins as written."""

    text: str
    files: tuple[dict[str, str], ...] = ()
    mentioned: tuple[tuple[UUID, str], ...] = ()

    def __post_init__(self) -> None:
        if not spoken(self.text, "text"):
            what = Bilingual(f"评论须为 1 至 {LONGEST} 字。", f"A comment has 1 to {LONGEST} characters.")
            raise BadInput(path=["text"], what=what)
        if len(self.files) > MOST_FILES:
            what = Bilingual(f"至多 {MOST_FILES} 个文件。", f"At most {MOST_FILES} files.")
            raise BadInput(path=["files"], what=what)


async def write(unit: Unit, process: UUID, said: Said) -> None:
    """Keep it, keep its files, tell whom it mentions. Raises NoSuchProcess, BlobMissing."""
    instance = await store.load(unit.connection, process, lock=True)
    if instance is None:
        raise NoSuchProcess(what=_WHAT)
    for index, each in enumerate(said.files):
        await use_file(unit, each["sha256"], ("files", index, "sha256"))
    person = unit.context.person
    row = {
        "id": uuid7(),
        "process": process,
        "at": unit.at,
        "actor": person.id,
        "text": said.text,
        "files": list(said.files),
        "mentions": [login for _, login in said.mentioned],
    }
    await unit.connection.execute(sa.insert(_comment).values(**row))
    people = [account for account, _ in said.mentioned if account != person.id]
    text = Bilingual(said.text, said.text)
    notice = Notice(process, "mention", text=text)
    await tell(unit.connection, unit.engine.blueprint.project, people, notice, unit.at)
    announce(unit, instance, "commented", told=[str(each) for each in people])


async def of_process(connection: Connection, process: UUID) -> list[dict[str, Any]]:
    """The comments on an instance as entries of its timeline, the oldest first."""
    c = _comment.c
    query = sa.select(c.at, c.actor, c.text, c.files, c.mentions).where(c.process == process).order_by(c.at, c.id)
    return [
        {
            "at": instant_text(at), "what": "comment", "step": None, "actor": str(actor), "behalf": None,
            "outcome": None, "comment": text, "files": files, "mentions": mentions,
        }
        for at, actor, text, files, mentions in await connection.fetch(query)
    ]  # fmt: skip


async def file_name(connection: Connection, process: UUID, sha256: str) -> str | None:
    """How a file is called that a comment on an instance brings; None when none does."""
    query = sa.select(_comment.c.files).where(_comment.c.process == process).order_by(_comment.c.at, _comment.c.id)
    for (files,) in await connection.fetch(query):
        for each in files:
            if each["sha256"] == sha256:
                return str(each["name"])
    return None


def merged(acts: Sequence[dict[str, Any]], comments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Acts and comments in the order of time; acts have no files and mention nobody."""
    plain = [{**each, "files": [], "mentions": []} for each in acts]
    return sorted([*plain, *comments], key=lambda each: str(each["at"])) if comments else plain
