"""`clew audit …`: verify the trail, sign and send anchors, change keys."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clew.cli import audit_signatures
from clew.cli.audit_erased import erased_json, names_of, say_erased
from clew.cli.options import AsJson, Lang, Out, Situation, common, situation
from clew.cli.project import FileExists
from clew.cli.reasons import Reason
from clew.cli.usage import WrongUsage
from clew.cli.words import t
from clew.kernel.errors import Conflict
from clew.kernel.text import Bilingual

if TYPE_CHECKING:
    from uuid import UUID

    from clew.audit.sealing.notes import Checkpoint
    from clew.audit.verify.whole import Report
    from clew.records.watching import Raised

SHOWN = 50


class LogsDiffer(Conflict):
    """Of two anchors the later does not continue the earlier."""

    code = "LOGS_DIFFER"
    en = "The anchor of {new} entries does not continue that of {old}: the log was rebuilt in between."
    zh = "{new} 条的锚点并未延续 {old} 条的锚点:其间日志被重建。"


class NoSuchCheckpoint(WrongUsage):
    """Neither a file nor the size of a stored checkpoint."""

    code = "NO_SUCH_CHECKPOINT"
    en = "{given} is neither an anchor's file nor the size of a stored one."
    zh = "{given} 既不是锚点文件,也不是已存锚点的条数。"


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help=t("The audit trail: verify, seal, export.", "审计轨迹:核验、封存、导出。"), no_args_is_help=True
    )
    group.command("verify", help=t("Prove the trail whole, or name what is not.", "核验审计轨迹,指出异常之处。"))(
        verify
    )
    group.command("consistency", help=t("Whether one anchor continues another.", "核对后一锚点是否延续前一锚点。"))(
        consistency
    )
    audit_signatures.register(group)
    group.command("alerts", help=t("What the watches raised.", "列出监视规则触发的警示。"))(alerts)
    group.command("export", help=t("Evidence of a record or a period.", "导出某记录或某时段的证据包。"))(export)
    group.command("checkpoint", help=t("Seal, sign and send an anchor now.", "立即封存、签署并送出锚点。"))(checkpoint)
    key = typer.Typer(help=t("Keys that sign anchors.", "签署锚点的密钥。"), no_args_is_help=True)
    key.command("new", help=t("Make a key.", "生成密钥。"))(new)
    key.command("show", help=t("The public keys the log names.", "显示日志所载公钥。"))(show)
    key.command("rotate", help=t("Go over to another key.", "更换密钥。"))(rotate)
    group.add_typer(key, name="key")
    app.add_typer(group, name="audit")


@common
def verify(
    given: Situation,
    outside: Annotated[
        Path | None,
        typer.Option("--outside", help=t("Folder of anchors kept elsewhere.", "库外锚点目录。")),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help=t("The public key you trust.", "所信任的公钥。"))] = None,
    records: Annotated[
        bool, typer.Option("--records/--no-records", help=t("Also compare records.", "同时核对业务记录。"))
    ] = True,
) -> None:
    folder = outside or given.settings.audit_outside_folder
    report, names = asyncio.run(_verify(given, folder, key, records))
    terminal, findings = given.terminal, report.findings
    for each in findings[:SHOWN]:
        said = each.text()
        terminal.say(f"✗ {said.en}", f"✗ {said.zh}")
    more = len(findings) - SHOWN + report.unlisted
    if more > 0:
        terminal.say(f"… and {more} more", f"……另有 {more} 处")
    if not findings:
        _say_whole(given, report, folder)
    say_erased(given, report.erasures, names)
    terminal.emit(
        ok=not findings,
        origin=report.origin,
        entries=report.entries,
        checkpoints=report.checkpoints,
        outside=report.outside,
        root=report.root,
        findings=[each.to_json() | {"text": terminal.text(each.text())} for each in findings],
        unlisted=report.unlisted,
        erasures=erased_json(report.erasures),
    )
    if findings:
        raise typer.Exit(1)


def _say_whole(given: Situation, report: Report, folder: Path | None) -> None:
    given.terminal.say(
        f"✓ {report.entries} entries are whole; {report.checkpoints} anchors fit, {report.outside} outside.",
        f"✓ {report.entries} 条日志完整;{report.checkpoints} 个锚点相符,库外 {report.outside} 个。",
    )
    if folder is None:
        given.terminal.say(
            "  Without anchors kept outside, nobody can tell a trail that was rebuilt as a whole.",
            "  没有库外锚点,就无法识别被整体重建的轨迹。",
        )


async def _verify(
    given: Situation, folder: Path | None, key: str | None, records: bool
) -> tuple[Report, dict[UUID, Bilingual]]:
    from clew.audit.verify.whole import verify_trail
    from clew.cli.applying import owner_database
    from clew.records.reconcile import reconcile
    from clew.runtime import stored_blueprint
    from clew.storage import releases
    from clew.storage.tables import Tables

    def progress(done: int) -> None:
        if done % 100_000 == 0:
            given.terminal.note(f"{done} entries", f"{done} 条")

    async with owner_database(given.settings) as database:
        release = await releases.current(database)
        report = await verify_trail(database, outside=folder, trusted=key, progress=progress)
        if records:
            tables = Tables(stored_blueprint(release.sources), release.catalog, database.dialect)
            async for each in reconcile(database, tables):
                report.add([each])
        async with database.read() as connection:
            return report, await names_of(connection, report.erasures)


@common
def consistency(
    given: Situation,
    old: Annotated[str, typer.Argument(help=t("An anchor: file or size.", "锚点:文件或条数。"))],
    new: Annotated[str, typer.Argument(help=t("A later one: file or size.", "较晚的锚点:文件或条数。"))],
) -> None:
    one, other, proof = asyncio.run(_consistency(given, [_named(old), _named(new)]))
    given.terminal.say(
        f"✓ The log of {other} entries begins with that of {one}.", f"✓ {other} 条的日志以 {one} 条的日志为开头。"
    )
    given.terminal.emit(ok=True, old=one, new=other, proof=[each.hex() for each in proof])


async def _consistency(given: Situation, named: list[int | Checkpoint]) -> tuple[int, int, tuple[bytes, ...]]:
    from clew.audit.sealing import checkpoints, log
    from clew.audit.sealing.merkle import proves_consistency
    from clew.cli.applying import owner_database

    async with owner_database(given.settings) as database, database.read() as connection:
        points = []
        for each in named:
            if isinstance(each, int):
                stored = await checkpoints.at_size(connection, each)
                if stored is None:
                    raise NoSuchCheckpoint(given=each)
                points.append((stored.size, bytes.fromhex(stored.root)))
            else:
                points.append((each.size, each.root))
        (one, one_root), (other, other_root) = sorted(points)
        try:
            given_proof = await log.prove_consistency(connection, one, other)
        except log.NodeMissing:
            raise LogsDiffer(old=one, new=other) from None
        if not proves_consistency(one, other, one_root, other_root, given_proof.proof):
            raise LogsDiffer(old=one, new=other)
        return one, other, given_proof.proof


def _named(given: str) -> int | Checkpoint:
    """An anchor named by its size, or read from its file."""
    from clew.audit.sealing.notes import read_note

    if given.isdigit():
        return int(given)
    if Path(given).is_file():
        return read_note(Path(given).read_text(encoding="utf-8")).checkpoint
    raise NoSuchCheckpoint(given=given)


@common
def alerts(
    given: Situation,
    most: Annotated[int, typer.Option("--most", help=t("How many, newest first.", "条数,最新在前。"))] = 50,
) -> None:
    found = asyncio.run(_alerts(given, most))
    heads = [
        Bilingual("时间", "When"),
        Bilingual("严重程度", "Severity"),
        Bilingual("规则", "Watch"),
        Bilingual("次数", "Times"),
        Bilingual("对象", "About"),
        Bilingual("操作人", "Actor"),
    ]
    rows = [
        [
            each.at.isoformat(timespec="seconds"),
            each.severity,
            each.watch,
            str(each.times),
            f"{each.entity} {each.record_id}",
            str(each.actor or ""),
        ]
        for each in found
    ]
    if found:
        given.terminal.table(heads, rows)
    else:
        given.terminal.say("Nothing was raised.", "没有警示。")
    names = ("id", "at", "severity", "watch", "times", "index", "entity", "record_id", "actor")
    given.terminal.emit(alerts=[{name: getattr(each, name) for name in names} for each in found])


async def _alerts(given: Situation, most: int) -> list[Raised]:
    from clew.cli.applying import owner_database
    from clew.records.watching import alerts

    async with owner_database(given.settings) as database, database.read() as connection:
        return list(await alerts(connection, most))


@common
def export(
    given: Situation,
    out: Annotated[Path, typer.Option("--out", "-o", help=t("A zip file, or a new folder.", "zip 文件或新目录。"))],
    entity: Annotated[str | None, typer.Argument(help=t("The record's entity.", "记录所属实体。"))] = None,
    record: Annotated[str | None, typer.Argument(help=t("Its id, or its key.", "记录 id 或业务主键。"))] = None,
    begin: Annotated[str | None, typer.Option("--from", help=t("From this moment.", "起始时刻。"))] = None,
    end: Annotated[str | None, typer.Option("--to", help=t("Up to this moment.", "截止时刻。"))] = None,
    redact: Annotated[
        str | None, typer.Option("--redact", help=t("Fields to leave out: a,b.", "需遮盖的字段:a,b。"))
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help=t("Why.", "原因。"))] = None,
) -> None:
    from clew.cli.evidence import make_bundle, period

    terminal = given.terminal
    if (entity is None) == (begin is None and end is None) or (entity is None) != (record is None):
        words = Bilingual("请给出记录(实体与 id),或 --from/--to 时段", "give a record (entity and id), or --from/--to")
        raise typer.BadParameter(words.to(terminal.locale))
    if out.exists():
        raise FileExists(file=out)
    hidden = frozenset(each.strip() for each in (redact or "").split(",") if each.strip())
    made = asyncio.run(make_bundle(given, entity, record, period(begin, end), hidden, reason, out))
    terminal.say(
        f"{made.entries} entries and {made.signatures} signatures were written to {out}.",
        f"已将 {made.entries} 条审计条目与 {made.signatures} 个签名写入 {out}。",
    )
    if made.unsealed:
        left = made.unsealed
        terminal.say(f"! {left} leaves are not sealed yet and not in it.", f"! 另有 {left} 条尚未封存,未包含在内。")
    terminal.emit(
        ok=True, file=str(out), entries=made.entries, signatures=made.signatures, size=made.size, unsealed=made.unsealed
    )


@common
def checkpoint(given: Situation) -> None:
    note, sent = asyncio.run(_checkpoint(given))
    if given.terminal.as_json:
        given.terminal.emit(ok=True, note=note, sent=sent)
    else:
        given.terminal.raw(note)


async def _checkpoint(given: Situation) -> tuple[str, dict[str, int]]:
    from clew.audit.sealing import checkpoints, outside
    from clew.audit.sealing.sealer import Sealer
    from clew.cli.applying import owner_database

    async with owner_database(given.settings) as database:
        made = await Sealer(database, given.settings).sign()
        sent = {each.name: await outside.deliver(database, each) for each in outside.places(given.settings)}
        if made is None:
            async with database.read() as connection:
                made = await checkpoints.newest(connection)
    return made.note if made else "", sent


def new(out: Out = None, lang: Lang = None, as_json: AsJson = False) -> None:
    from clew.audit.sealing.keys import new_key

    given = situation(None, None, None, lang, as_json)
    text = new_key()
    if out is None:
        given.terminal.raw(text)
        return
    try:
        with out.open("x", encoding="utf-8") as stream:
            out.chmod(0o600)
            stream.write(text)
    except FileExistsError:
        raise FileExists(file=out) from None
    given.terminal.say(f"A key was written to {out}; keep it secret.", f"密钥已写入 {out},请妥善保密。")
    given.terminal.emit(ok=True, file=str(out))


@common
def show(given: Situation) -> None:
    from clew.audit.sealing.keys import named_keys
    from clew.cli.applying import owner_database

    async def ask() -> list[Any]:
        async with owner_database(given.settings) as database, database.read() as connection:
            return list(await named_keys(connection))

    found = asyncio.run(ask())
    given.terminal.emit(keys=[{"key": each.key, "endorsed": each.endorsed} for each in found])
    for each in found:
        given.terminal.say(each.key, each.key)
    if not found:
        given.terminal.say("The log names no key yet.", "日志尚未载明密钥。")


@common
def rotate(
    given: Situation,
    new: Annotated[Path, typer.Option("--new", help=t("File of the new key.", "新密钥文件。"))],
    reason: Reason,
    old: Annotated[Path | None, typer.Option("--old", help=t("File of the key in force.", "现行密钥文件。"))] = None,
    lost: Annotated[
        bool, typer.Option("--lost", help=t("It is lost: nobody endorses the new one.", "旧密钥已遗失,新密钥无背书。"))
    ] = False,
) -> None:
    if (old is None) != lost:
        words = Bilingual("请给出 --old,或以 --lost 声明旧密钥已遗失", "give --old, or say --lost when it is gone")
        raise typer.BadParameter(words.to(given.terminal.locale))
    from clew.audit.sealing.keys import read_key

    fresh = read_key(new.read_text(encoding="utf-8"))
    before = read_key(old.read_text(encoding="utf-8")) if old is not None else None
    named = asyncio.run(_rotate(given, fresh, before, reason))
    given.terminal.say(f"From now on the log is signed with {named}", f"自此日志由此密钥签署:{named}")
    given.terminal.emit(ok=True, key=named)


async def _rotate(given: Situation, new: Any, old: Any, reason: str) -> str:
    from clew.audit.sealing.keys import rotate
    from clew.cli.applying import operator_context, owner_database
    from clew.storage.releases import current_number

    async with owner_database(given.settings) as database:
        async with database.read() as connection:
            release = str(await current_number(connection))
        return await database.run_write(
            lambda connection: rotate(connection, operator_context(), release, new, old, reason)
        )
