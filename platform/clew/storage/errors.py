"""What can go wrong in the database, in the platform's own words."""

from __future__ import annotations

from typing import Literal

from clew.kernel.errors import BadInput, ClewError, Conflict, Unavailable

FaultKind = Literal["unique", "reference", "required", "check"]


class IntegrityFault(Conflict):
    """A constraint of the database refused a row. `records` turns this into the message a person reads.

    `kind` says which sort of constraint, `constraint` its name where the database gives one, `columns` the physical
    columns where the database names them.
    """

    code = "INTEGRITY"
    en = "The database refused the row: {kind} {constraint}."
    zh = "数据库拒绝了该行:{kind} {constraint}。"

    def __init__(
        self, kind: FaultKind, *, table: str = "", constraint: str = "", columns: tuple[str, ...] = ()
    ) -> None:
        self.kind = kind
        self.table = table
        self.constraint = constraint
        self.columns = columns
        super().__init__(kind=kind, constraint=constraint or ", ".join(columns))


class InsertOnly(ClewError):
    """Somebody tried to change or delete what may only be added to: the trail, the outbox."""

    code, status = "INSERT_ONLY", 500
    en = "Rows of the trail can only be added: {what}."
    zh = "审计轨迹只能追加:{what}。"


class DatabaseBusy(Unavailable):
    """Too many writers wanted the same rows, or the lock could not be had in time."""

    code = "DATABASE_BUSY"
    en = "The database is busy: {what}."
    zh = "数据库繁忙:{what}。"


class StatementTimeout(Unavailable):
    """A statement ran longer than the configured limit and was stopped."""

    code = "STATEMENT_TIMEOUT"
    en = "The request took the database too long and was stopped."
    zh = "该请求占用数据库时间过长,已被中止。"
    hint_en = "Ask for less at once: narrow the filter or the page."
    hint_zh = "请缩小筛选范围或每页数量。"


class StatementTooLarge(BadInput):
    """What was asked makes a statement that the database does not take: too deep, too many terms, too many values."""

    code = "STATEMENT_TOO_LARGE"
    en = "The request asks for more at once than the database can take: {what}."
    zh = "该请求一次所求超出数据库所能接受:{what}。"
    hint_en = "Use fewer levels, conditions or values, or several requests."
    hint_zh = "请减少层次、条件或取值,或分成多个请求。"


class DatabaseUnreachable(Unavailable):
    code = "DATABASE_UNREACHABLE"
    en = "The database cannot be opened: {reason}"
    zh = "无法打开数据库:{reason}"
    hint_en = "Check CLEW_DATABASE_URL and run: clew doctor"
    hint_zh = "请检查 CLEW_DATABASE_URL 并运行 clew doctor"


class UnknownDatabaseUrl(BadInput):
    code = "DATABASE_URL_UNKNOWN"
    en = "This is not a database address: {url}"
    zh = "不是有效的数据库地址:{url}"
    hint_en = "Use sqlite:///path/to/file.db or postgresql://user@host/name"
    hint_zh = "请使用 sqlite:///path/to/file.db 或 postgresql://user@host/name"


class NoRelease(ClewError):
    """The database carries no applied release yet."""

    code, status = "NO_RELEASE", 503
    en = "Nothing has been applied to this database yet."
    zh = "该数据库尚未应用任何发布。"
    hint_en, hint_zh = "Run: clew plan, then clew apply", "请先运行 clew plan,再运行 clew apply"


class ReleaseUnreadable(ClewError):
    """A stored release does not compile with this version of the platform."""

    code, status = "RELEASE_UNREADABLE", 500
    en = "The stored release cannot be compiled: {reason}"
    zh = "无法编译已存储的发布:{reason}"
    hint_en = "Run the platform version that applied it, or plan the corrected project with this one."
    hint_zh = "请使用当初应用它的平台版本,或用当前版本重新制定计划。"


class PlanStale(Conflict):
    """The database is not in the state the plan was made for."""

    code = "PLAN_STALE"
    en = "This plan was made for {planned}, but the database is now at {found}."
    zh = "该计划针对 {planned} 制定,而数据库现为 {found}。"
    hint_en, hint_zh = "Run clew plan again and review it.", "请重新运行 clew plan 并复核。"


class PlanBlocked(Conflict):
    """Existing data contradicts the change; no consent can override it."""

    code = "PLAN_BLOCKED"
    en = "The change cannot be applied: {reasons}"
    zh = "无法应用该变更:{reasons}"
    hint_en, hint_zh = "Mend the data, then plan again.", "请先修正数据,再重新制定计划。"


class ConsentMissing(Conflict):
    """The plan would drop, narrow or convert something and nobody said yes to exactly that."""

    code = "CONSENT_MISSING"
    en = "The plan needs your explicit consent to: {objects}"
    zh = "该计划需要您明确同意:{objects}"
    hint_en = "Add --consent for each object after checking that its data may go."
    hint_zh = "确认数据可以弃用后,为每个对象加上 --consent。"


class PlatformBehind(ClewError):
    """The database was made by an earlier version of the platform and lacks tables that this one works with."""

    code, status = "PLATFORM_BEHIND", 503
    en = "This database is of an earlier version of Clew: it lacks {lacking}."
    zh = "该数据库属于较早版本的 Clew,缺少 {lacking}。"
    hint_en = "Back it up, then run once with this version, as the owner of the tables: clew apply --resume"
    hint_zh = "请先备份,然后以本版本、用拥有数据表的角色执行一次:clew apply --resume"


class Drift(Conflict):
    """Somebody changed the tables behind the platform's back."""

    code = "DATABASE_DRIFT"
    en = "The database differs from its release: {differences}"
    zh = "数据库与其发布不一致:{differences}"
    hint_en = "Undo the change made outside the platform, then plan again."
    hint_zh = "请撤销平台之外所做的更改,再重新制定计划。"


class ChangeRunning(Conflict):
    """Another change is half-way; it must be finished first."""

    code = "CHANGE_RUNNING"
    en = "Release {release} is still being applied."
    zh = "发布 {release} 仍在应用中。"
    hint_en, hint_zh = "Finish it with: clew apply --resume", "请用 clew apply --resume 完成它"


class NodesBehind(Unavailable):
    """The change cannot run beside the earlier release; its nodes must stop first."""

    code = "NODES_BEHIND"
    en = "These nodes still run the earlier release: {nodes}."
    zh = "以下节点仍在运行旧发布:{nodes}。"
    hint_en = "Stop them, then run: clew apply --resume"
    hint_zh = "请停止这些节点,然后运行 clew apply --resume"


class TextFormsMissing(ClewError):
    """A fill needs sort keys or search grams and its caller did not say how they are made."""

    code = "TEXT_FORMS_MISSING"
    en = "Sort keys or search grams of {object} cannot be made here."
    zh = "此处无法生成 {object} 的排序键或检索词。"


class BlobMissing(BadInput):
    code = "BLOB_MISSING"
    en = "There is no uploaded file {sha256}."
    zh = "没有已上传的文件 {sha256}。"
    hint_en = "Upload the file again: a record refers to what the same person has uploaded within a day."
    hint_zh = "请重新上传该文件:只能引用本人一天内上传的文件。"


class BlobTooLarge(BadInput):
    code, status = "BLOB_TOO_LARGE", 413
    en = "The file is larger than {limit} bytes."
    zh = "文件超过 {limit} 字节。"


class UploadsWaiting(ClewError):
    """What one person has uploaded and no record refers to is as much as it may be."""

    code, status = "UPLOADS_WAITING", 429
    en = "Your uploads that no record refers to yet take {waiting} bytes; they may take {limit}."
    zh = "您已上传而尚无记录引用的文件共 {waiting} 字节,上限为 {limit} 字节。"
    hint_en = "Save the records that name them, or come back later: what no record names is removed after a day."
    hint_zh = "请先保存引用这些文件的记录,或稍后再试:无记录引用的文件一天后清除。"


class UploadsFull(ClewError):
    """What everybody has uploaded and no record refers to is as much as it may be."""

    code, status, retryable = "UPLOADS_FULL", 507, True
    en = "Uploads that no record refers to yet take as much as they may: {limit} bytes."
    zh = "全部已上传而尚无记录引用的文件已达上限({limit} 字节)。"
    hint_en = "Try again later. An operator may raise the setting upload_waiting_all."
    hint_zh = "请稍后重试;运维人员可调高设置项 upload_waiting_all。"


class BlobCorrupt(ClewError):
    """A stored file's content does not have the hash it is known by."""

    code, status = "BLOB_CORRUPT", 500
    en = "The stored file {sha256} is damaged or lost."
    zh = "已存储的文件 {sha256} 已损坏或丢失。"
    hint_en, hint_zh = "Restore it from a backup.", "请从备份恢复。"


class LeaseLost(Conflict):
    """A job's lease ran out and somebody else may hold it now."""

    code = "LEASE_LOST"
    en = "Job {job} is no longer leased to this worker."
    zh = "任务 {job} 已不再由该工作进程持有。"
