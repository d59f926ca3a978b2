"""What `clew doctor` looks at in the database: what is wrong there and how to mend it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clew.access.loading import load_project
from clew.cli.applying import owner_database
from clew.cli.doctor_audit import trail_findings
from clew.cli.finding import Finding, State, same
from clew.kernel.clock import SystemClock
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual, counted
from clew.settings import Settings
from clew.storage import health, releases
from clew.storage.behind import lacking
from clew.storage.engine import Connection
from clew.storage.open import open_database
from clew.storage.promotion.environment import Environment, declaration
from clew.storage.sites import unknown_sites

POSTGRES_NEEDED = 14
CLOCK_SECONDS = 2.0
MOST_WAITING = 10_000
"""Leaves or events that may wait before somebody should look at what takes them away."""
_SHOWN = 5


async def database_findings(settings: Settings) -> AsyncIterator[Finding]:
    """All that is known of the database; a database that cannot be opened is one finding."""
    subject = Bilingual("数据库", "Database")
    try:
        async with owner_database(settings) as database, database.read() as connection:
            yield await _engine(subject, connection)
            yield await _clock(connection)
            yield _environment((await declaration(connection)).environment, settings)
            current = await releases.current_in(connection)
            if current is None:
                yield _nothing_applied()
                return
            yield Finding(Bilingual("发布", "Release"), "ok", same(str(current.number)))
            yield await _own_tables(connection)
            yield await _change(connection)
            async for each in _sites(settings.project, connection):
                yield each
            async for each in _upkeep(connection):
                yield each
            async for each in trail_findings(settings, connection):
                yield each
        if settings.database.startswith("postgres"):
            async for each in _rights(settings):
                yield each
    except ClewError as problem:
        told = Bilingual(problem.message("zh"), problem.message("en"))
        yield Finding(subject, "bad", told, Bilingual(problem.hint("zh"), problem.hint("en")))


def _environment(found: Environment, settings: Settings) -> Finding:
    subject = Bilingual("数据库所属环境", "Environment of the database")
    if found is Environment.PRODUCTION and not settings.production:
        mend = Bilingual("以 --production 运行服务(关闭内省与建议)", "serve with --production: no introspection")
        return Finding(subject, "warn", same(found.value), mend)
    if found is Environment.PRODUCTION and not settings.environment:
        mend = Bilingual(
            "设置 CLEW_ENVIRONMENT=production,以便发现连错数据库",
            "set CLEW_ENVIRONMENT=production, so that a wrong database is noticed",
        )
        return Finding(subject, "warn", same(found.value), mend)
    return Finding(subject, "ok", same(found.value))


def _nothing_applied() -> Finding:
    found = Bilingual("尚未应用任何发布", "nothing has been applied")
    mend = Bilingual("clew plan,然后 clew apply", "clew plan, then clew apply")
    return Finding(Bilingual("发布", "Release"), "warn", found, mend)


async def _own_tables(connection: Connection) -> Finding:
    subject = Bilingual("平台自身的表", "The platform's own tables")
    missing = await lacking(connection)
    if not missing:
        return Finding(subject, "ok", Bilingual("与本版本相符", "as this version needs them"))
    found = Bilingual(f"属于较早版本,缺少 {_some(missing)}", f"of an earlier version: {_some(missing)} missing")
    mend = Bilingual(
        "请先备份,然后以本版本、用拥有数据表的角色执行一次:clew apply --resume",
        "Back the database up, then run once with this version, as the owner of the tables: clew apply --resume",
    )
    return Finding(subject, "bad", found, mend)


async def _engine(subject: Bilingual, connection: Connection) -> Finding:
    version = await health.server_version(connection)
    if version is None:
        return Finding(subject, "ok", same("SQLite"))
    state: State = "ok" if version[0] >= POSTGRES_NEEDED else "bad"
    mend = Bilingual(
        f"需要 PostgreSQL {POSTGRES_NEEDED} 或更高,请升级数据库服务器",
        f"PostgreSQL {POSTGRES_NEEDED} or newer is needed: upgrade the server",
    )
    return Finding(subject, state, same(f"PostgreSQL {version[0]}.{version[1]}"), mend)


async def _clock(connection: Connection) -> Finding:
    ahead = (await health.clock_ahead(connection, datetime.now(UTC))).total_seconds()
    state: State = "ok" if abs(ahead) <= CLOCK_SECONDS else "bad"
    mend = Bilingual(
        "请在本机与数据库服务器上启用时间同步(NTP):历史与审计以数据库时间为准",
        "Switch on time synchronisation (NTP) here and on the database server: history and trail use its time",
    )
    return Finding(Bilingual("时钟偏差", "Clock difference"), state, same(f"{ahead:+.1f} s"), mend)


async def _sites(project: Path, connection: Connection) -> AsyncIterator[Finding]:
    """A project that cannot be loaded is told by itself."""
    blueprint = load_project(project).blueprint
    if blueprint is None or not blueprint.sites_named:
        return
    subject = Bilingual("场所代码", "Codes of sites")
    found = await unknown_sites(connection, blueprint)
    if not found:
        yield Finding(subject, "ok", Bilingual("均有场所使用", "each is a site's"))
        return
    said = [Bilingual(f"{each.place}:{each.message('zh')}", f"{each.place}: {each.message('en')}") for each in found]
    told = Bilingual("; ".join(each.zh for each in said), "; ".join(each.en for each in said))
    yield Finding(subject, "warn", told, Bilingual(found[0].hint("zh"), found[0].hint("en")))


async def _change(connection: Connection) -> Finding:
    subject = Bilingual("变更", "Change")
    left = await health.unfinished(connection)
    if left is None:
        return Finding(subject, "ok", Bilingual("无未完成的步骤", "nothing is unfinished"))
    resume = same("clew apply --resume")
    if left.state == "pending":
        found = Bilingual(
            f"发布 {left.release} 中断于 {left.first},尚余 {left.steps} 步",
            f"release {left.release} stopped before {left.first}; {counted(left.steps, 'step')} left",
        )
        return Finding(subject, "bad", found, resume)
    found = Bilingual(
        f"发布 {left.release} 已生效,尚有 {left.steps} 步收紧未完成({left.first})",
        f"release {left.release} is live; {counted(left.steps, 'tightening step')} left ({left.first})",
    )
    if not left.waits_for:
        return Finding(subject, "warn", found, resume)
    names = _some(left.waits_for)
    mend = Bilingual(
        f"节点 {names} 仍在运行旧发布:请重启或停止它们,然后运行 clew apply --resume",
        f"Nodes {names} still run the earlier release: restart or stop them, then run clew apply --resume",
    )
    return Finding(subject, "warn", found, mend)


async def _upkeep(connection: Connection) -> AsyncIterator[Finding]:
    at = await connection.now()
    if connection.dialect == "postgresql":
        yield await _partitions(connection)
    for subject, queue in (
        (Bilingual("待封存审计", "Leaves to seal"), await health.sealing_queue(connection)),
        (Bilingual("待派发事件", "Events to dispatch"), await health.outbox_queue(connection)),
    ):
        since = f", {(at - queue.since).total_seconds() / 60:.0f} min" if queue.since else ""
        state: State = "ok" if queue.length <= MOST_WAITING else "warn"
        mend = Bilingual(
            "请确认至少有一个服务节点在运行(clew serve),并查看其日志",
            "See that at least one server runs (clew serve), and read its log",
        )
        yield Finding(subject, state, same(f"{queue.length}{since}"), mend)
    failed = await health.failed_jobs(connection)
    if failed:
        listed = ", ".join(f"{kind} × {count}" for kind, count in failed)
        mend = Bilingual("原因见 clew_job 的 last_error 列", "The reason stands in clew_job, column last_error")
        yield Finding(Bilingual("失败任务", "Failed jobs"), "warn", same(listed), mend)


async def _partitions(connection: Connection) -> Finding:
    subject = Bilingual("月度分区", "Monthly partitions")
    mend = Bilingual(
        "使用有建表权限的角色启动服务节点或运行 clew apply,即会创建所缺分区",
        "Run clew apply, or a server, under the role that owns the tables: it makes what is missing",
    )
    strays = await health.strays(connection)
    if strays:
        found = Bilingual(
            f"默认分区中有本月及以后的行:{_some(strays)}", f"rows of this month or later in {_some(strays)}"
        )
        move = Bilingual(
            "请停机后将这些行移出默认分区,建立当月分区,再移回",
            "Stop the servers, move these rows out, make the month's partition, and move them back",
        )
        return Finding(subject, "bad", found, move)
    missing = await health.missing_partitions(connection)
    if missing:
        found = Bilingual(f"缺 {len(missing)} 个:{_some(missing)}", f"{len(missing)} missing: {_some(missing)}")
        return Finding(subject, "bad", found, mend)
    return Finding(subject, "ok", Bilingual("本月与下月均已建立", "this month and the next are there"))


async def _rights(settings: Settings) -> AsyncIterator[Finding]:
    """As the servers' own role: what it can, and cannot, do."""
    subject = Bilingual("服务角色权限", "Rights of the servers' role")
    database = await open_database(settings.database, clock=SystemClock(), connections=1)
    try:
        async with database.read() as connection:
            excess = await health.excess_rights(connection)
            lacking = await health.lacking_rights(connection)
    finally:
        await database.close()
    if excess:
        state: State = "bad" if settings.production else "warn"
        listed = _some(excess)
        found = Bilingual(f"可更改审计轨迹或发布:{listed}", f"it can alter the trail or releases: {listed}")
        mend = Bilingual(
            "另建一个不拥有任何表的角色供服务使用(CLEW_DATABASE_URL),"
            "属主角色只用于 apply(CLEW_OWNER_DATABASE_URL),然后运行 clew apply",
            "Give the servers a role of their own that owns no table (CLEW_DATABASE_URL), keep the owner for apply"
            " (CLEW_OWNER_DATABASE_URL), then run clew apply",
        )
        yield Finding(subject, state, found, mend)
    if lacking:
        found = Bilingual(f"缺少:{_some(lacking)}", f"it lacks: {_some(lacking)}")
        mend = Bilingual(
            "以属主角色(CLEW_OWNER_DATABASE_URL)运行 clew apply --resume,即会授予所需权限",
            "Run clew apply --resume as the owner (CLEW_OWNER_DATABASE_URL): it grants what a server needs",
        )
        yield Finding(subject, "bad", found, mend)
    if not excess and not lacking:
        yield Finding(subject, "ok", Bilingual("审计轨迹只能追加", "it can only add to the trail"))


def _some(names: Sequence[str]) -> str:
    more = f" … (+{len(names) - _SHOWN})" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
