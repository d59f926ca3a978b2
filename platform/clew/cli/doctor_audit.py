"""What `clew doctor` says about the trail: its key, its last anchor, whether anchors leave the house."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from clew.audit.sealing import checkpoints, keys, log, outside
from clew.audit.sealing.notes import verifier_key
from clew.cli.finding import Finding, State, same
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual
from clew.settings import Settings
from clew.storage.engine import Connection

LATE = timedelta(hours=1)
"""How old entries may be that no anchor covers before somebody should look."""


async def trail_findings(settings: Settings, connection: Connection) -> AsyncIterator[Finding]:
    """All that is to be said, the worst included."""
    yield await _key(settings, connection)
    yield await _checkpoint(settings, connection)
    wanted = outside.places(settings)
    if not wanted:
        yield _nowhere(settings)
    lacking = set(await outside.undelivered(connection, wanted))
    told = {each.place: each for each in await outside.deliveries(connection)}
    for place in wanted:
        yield _place(place.name, told.get(place.name), place.name in lacking)


async def _key(settings: Settings, connection: Connection) -> Finding:
    subject = Bilingual("审计密钥", "Key of the trail")
    named = await keys.named_keys(connection)
    if not named and not settings.production and not settings.audit_key and not settings.audit_key_file.exists():
        return Finding(subject, "ok", Bilingual("首次签署时生成", "is made with the first anchor"))
    try:
        key = keys.configured_key(settings)
    except ClewError as problem:
        told = Bilingual(problem.message("zh"), problem.message("en"))
        return Finding(subject, "bad", told, Bilingual(problem.hint("zh"), problem.hint("en")))
    origin, _ = await keys.origin_of(connection)
    mine = verifier_key(origin, key.public_key().public_bytes_raw())
    if named and named[-1].key != mine:
        found = Bilingual("与日志所载密钥不符", "is not the one the log names")
        mend = Bilingual("用 clew audit key rotate 更换密钥", "Change keys with clew audit key rotate")
        return Finding(subject, "bad", found, mend)
    return Finding(subject, "ok", same(mine.split("+")[1]))


async def _checkpoint(settings: Settings, connection: Connection) -> Finding:
    subject = Bilingual("审计轨迹锚点", "Anchor of the trail")
    size, newest, at = await log.size_of(connection), await checkpoints.newest(connection), await connection.now()
    covered = newest.size if newest is not None else 0
    if covered == size:
        return Finding(subject, "ok", Bilingual(f"{size} 条均已覆盖", f"covers all {size} entries"))
    age = at - newest.at if newest is not None else None
    limit = max(LATE, timedelta(seconds=settings.audit_checkpoint_every * 10))
    state: State = "warn" if age is None or age > limit else "ok"
    found = Bilingual(f"覆盖 {size} 条中的 {covered} 条", f"covers {covered} of {size} entries")
    mend = Bilingual(
        "请确认服务节点在运行,或执行 clew audit checkpoint", "See that a server runs, or run clew audit checkpoint"
    )
    return Finding(subject, state, found, mend)


def _nowhere(settings: Settings) -> Finding:
    subject = Bilingual("库外锚点", "Anchors outside")
    state: State = "warn" if settings.production else "ok"
    mend = Bilingual(
        "设置 audit_outside_folder 或 audit_outside_url,否则无法识别被整体重建或恢复的数据库",
        "Set audit_outside_folder or audit_outside_url: without it nobody can tell a database that was rebuilt or put"
        " back",
    )
    return Finding(subject, state, Bilingual("未配置", "none configured"), mend)


def _place(name: str, told: outside.Delivery | None, lacking: bool) -> Finding:
    subject = Bilingual(f"锚点送达 {name}", f"Anchors to {name}")
    if told is not None and told.error is not None:
        since = told.failing_since.isoformat(timespec="seconds") if told.failing_since else ""
        found = Bilingual(f"自 {since} 起失败:{told.error}", f"failing since {since}: {told.error}")
        mend = Bilingual("请恢复该位置;系统会自动重试", "Make the place reachable; it is tried again by itself")
        return Finding(subject, "bad", found, mend)
    if lacking:
        return Finding(subject, "ok", Bilingual("等待发送", "on its way"))
    return Finding(subject, "ok", Bilingual("已是最新", "up to date"))
