"""The settings of a process: option, then `CLEW_…` in the environment, then a settings file, then the default.

Secrets (the password inside a database address) come from here and never from a project's YAML.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.fields import FieldInfo

from clew.kernel.diagnostics import nearest
from clew.kernel.errors import ClewError
from clew.kernel.text import Bilingual, Locale

PREFIX = "CLEW_"
OUTSIDE = frozenset({"CLEW_SETTINGS", "CLEW_TEST_TIER", "CLEW_TEST_DATABASE_URL"})
"""Variables with our prefix that are not settings of a process."""


class SettingsInvalid(ClewError):
    """A setting has a value it cannot have, or a settings file a key that does not exist."""

    code, status = "SETTINGS_INVALID", 400
    en, zh = "Setting {name}: {what}", "设置项 {name}:{what}"
    hint_en, hint_zh = "All settings: docs/settings.md", "全部设置项见 docs/settings.zh.md"


def _setting(default: Any, en: str, zh: str, **more: Any) -> Any:
    return Field(default, description=en, json_schema_extra={"zh": zh}, **more)


class Settings(BaseModel):
    """Everything an operator may set. The table in docs/settings.md is made from this class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    project: Path = _setting(Path(), "The project's folder (the one with clew.yaml).", "项目目录(含 clew.yaml)。")
    database_url: str = _setting(
        "",
        "postgresql://… or sqlite:///path; empty: SQLite in the project's .clew folder.",
        "postgresql://… 或 sqlite:///路径;留空则用项目 .clew 目录中的 SQLite。",
        repr=False,
    )
    owner_database_url: str = _setting(
        "",
        "The role that may change tables, for apply; empty: the same as database_url.",
        "可更改表结构的角色(apply 使用);留空则同 database_url。",
        repr=False,
    )
    blobs: Path | None = _setting(
        None, "Folder of stored files; empty: .clew/blobs in the project.", "文件存放目录;留空为项目内 .clew/blobs。"
    )
    host: str = _setting("127.0.0.1", "Address to listen on.", "监听地址。")
    port: int = _setting(
        8000, "Port to listen on; 0 takes a free one.", "监听端口;0 表示任选空闲端口。", ge=0, le=65535
    )
    workers: int = _setting(1, "Server processes.", "服务进程数。", ge=1, le=256)
    lang: Locale | None = _setting(
        None, "Language of messages: zh or en; empty: the caller's.", "消息语言:zh 或 en;留空随调用者。"
    )
    mode: Literal["development", "production"] = _setting(
        "development",
        "production switches off introspection, suggestions and GraphiQL.",
        "production 会关闭内省、拼写建议与 GraphiQL。",
    )
    environment: Literal["", "development", "test", "production"] = _setting(
        "",
        "What the database must be; empty takes what it is. The database itself knows: clew environment.",
        "数据库必须属于的环境;留空则以数据库自身记录为准(clew environment)。",
    )
    release_key: Path | None = _setting(
        None,
        "File with the Ed25519 key that seals release bundles (clew release key).",
        "封印发布包的 Ed25519 密钥文件(clew release key)。",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "Least level that is logged.", "日志最低级别。"
    )
    origins: tuple[str, ...] = _setting(
        (),
        "Further web origins that may call the API, separated by commas; the own one always may.",
        "允许调用接口的其他网页来源,逗号分隔;本站来源始终允许。",
    )
    body_limit: int = _setting(1_048_576, "Largest request body in bytes.", "请求体上限(字节)。", ge=1024)
    body_timeout: float = _setting(10.0, "Seconds a request body may take to arrive.", "请求体接收时限(秒)。", gt=0)
    upload_limit: int = _setting(104_857_600, "Largest uploaded file in bytes.", "上传文件上限(字节)。", ge=1024)
    upload_timeout: float = _setting(300.0, "Seconds an upload may take.", "上传时限(秒)。", gt=0)
    upload_waiting: int = _setting(
        1_073_741_824,
        "Bytes of one person's uploads that may wait for a record to refer to them.",
        "每人已上传而尚无记录引用的文件的总字节数上限。",
        ge=4096,
    )
    upload_waiting_all: int = _setting(
        21_474_836_480,
        "Bytes of all uploads that may wait for a record to refer to them.",
        "全部已上传而尚无记录引用的文件的总字节数上限。",
        ge=4096,
    )
    get_queries: bool = _setting(
        False, "Answer queries (never mutations) sent by GET.", "是否接受 GET 方式的查询(变更一律不接受)。"
    )
    statement_timeout: float = _setting(
        10.0, "Seconds one read may take in the database.", "单次读取的数据库时限(秒)。", gt=0
    )
    persisted_only: bool = _setting(
        False, "Answer only documents of the persisted list.", "仅执行预登记清单中的查询文档。"
    )
    persisted: Path | None = _setting(
        None, "Folder of persisted documents (*.graphql).", "预登记查询文档目录(*.graphql)。"
    )
    socket_init_timeout: float = _setting(
        5.0, "Seconds a WebSocket has to send connection_init.", "WebSocket 发送 connection_init 的时限(秒)。", gt=0
    )
    socket_subscriptions: int = _setting(
        100, "Live operations one WebSocket may hold.", "单个 WebSocket 的并发订阅上限。", ge=1
    )
    socket_connections: int = _setting(
        1000, "Live connections (WebSocket and SSE) of one process.", "单进程的实时连接上限。", ge=1
    )
    audit_key: str = _setting(
        "",
        "Ed25519 key that signs anchors of the trail: a PEM file, or the PEM text itself; empty: .clew/audit.pem in"
        " the project, made when it is missing (in production it must be there).",
        "签署审计轨迹锚点的 Ed25519 密钥:PEM 文件路径或 PEM 文本;留空为项目内 .clew/audit.pem,缺失时自动生成"
        "(production 模式下必须已存在)。",
        repr=False,
    )
    audit_checkpoint_every: float = _setting(
        60.0, "Least seconds between two anchors of the trail.", "两次审计轨迹锚点之间的最短间隔(秒)。", gt=0
    )
    audit_outside_folder: Path | None = _setting(
        None,
        "Folder where anchors are kept besides the database, out of reach of its administrator.",
        "锚点的库外存放目录,应在数据库管理员权限之外。",
    )
    audit_outside_url: str | None = _setting(
        None,
        "Address every anchor is sent to (HTTP POST): https, or http on this machine.",
        "每个锚点发送到的地址(HTTP POST):https,本机可用 http。",
        repr=False,
    )
    audit_outside_required: float | None = _setting(
        None,
        "Refuse writes when anchors have failed to leave the database for this many seconds; empty: never.",
        "锚点无法送出数据库超过该秒数时拒绝写入;留空则从不拒绝。",
        gt=0,
    )
    idempotency_days: int = _setting(
        30,
        "Days the answer to a request with an idempotency key is kept; one that comes again later is refused.",
        "带幂等键请求的结果保存天数;此后重发的请求被拒绝。",
        ge=1,
        le=36_500,
    )
    release_poll: float = _setting(
        1.0, "Seconds between looks for a newer release.", "检查新发布的间隔(秒)。", gt=0, le=60
    )
    shutdown_grace: float = _setting(
        10.0, "Seconds running requests get to finish at shutdown.", "停机时等待在途请求的秒数。", ge=0
    )

    public_url: str = _setting(
        "", "The address people use, such as https://clew.example.com; https makes cookies travel over TLS only.",
        "用户访问本系统的地址,如 https://clew.example.com;https 时 Cookie 仅经 TLS 传输。",
    )  # fmt: skip
    trust_this_machine: bool = _setting(
        False,
        "Development, loopback only: who does not sign in is this machine's operator, with every right.",
        "仅供开发且仅限本机:未登录者视为本机操作员,拥有全部权限。",
    )
    secret_key: str = _setting(
        "",
        "Key that seals stored secrets (code generators); empty: .clew/secret.key, made when first needed, except in"
        " production on a database server.",
        "加密已存密钥(动态验证码)的密钥;留空则用首次需要时生成的 .clew/secret.key(生产模式且用数据库服务器时除外)。",
        repr=False,
    )
    session_idle: float = _setting(
        600.0, "Seconds without a request that end a session.", "无操作多少秒后会话结束。", ge=30, le=86_400
    )
    session_limit: float = _setting(
        43_200.0, "Seconds after which a session ends in any case.", "会话最长秒数。", ge=60, le=604_800
    )
    password_length: int = _setting(12, "Least characters of a password.", "密码最少字符数。", ge=8, le=64)
    password_days: int = _setting(
        180, "Days after which a password must be changed; 0: never.", "密码多少天后须更换;0 表示不限。", ge=0
    )
    pin_days: int = _setting(
        180, "Days after which a signing PIN must be changed; 0: never.", "签名 PIN 多少天后须更换;0 表示不限。", ge=0
    )
    oidc_issuer: str = _setting(
        "", "Single sign-on: the provider's issuer address.", "单点登录:身份提供方地址(issuer)。"
    )
    oidc_client_id: str = _setting("", "Single sign-on: our client id.", "单点登录:客户端标识。")
    oidc_client_secret: str = _setting("", "Single sign-on: our client secret.", "单点登录:客户端密钥。", repr=False)
    oidc_login_claim: str = _setting(
        "preferred_username", "Claim that is the login here.", "作为本系统登录账号的声明(claim)。"
    )
    oidc_roles_claim: str = _setting("groups", "Claim that lists groups.", "列出用户组的声明(claim)。")
    oidc_roles: tuple[str, ...] = _setting(
        (), "Which group gives which role: group=role, separated by commas.", "用户组对应的角色:组=角色,逗号分隔。"
    )
    oidc_create: bool = _setting(
        False, "Make an account for whoever the provider vouches for.", "为身份提供方认可的用户自动建立账号。"
    )
    oidc_match_login: bool = _setting(
        True,
        "Take an existing account by the login claim at its first single sign-on. No: its holder links it at /me/sso, "
        "as whoever administers anything always does.",
        "首次单点登录时按登录账号声明认领已有账号。关闭后由本人在 /me/sso 关联;有管理权限的账号始终须本人关联。",
    )
    metrics_token: str = _setting(
        "",
        "Secret that opens /metrics (Authorization: Bearer …); empty: only this machine itself, not through a proxy.",
        "读取 /metrics 所需的密文(Authorization: Bearer …);留空则仅限本机直接访问,经代理不可。",
        repr=False,
    )
    sign_in_tries: int = _setting(
        5, "Wrong tries, over every way in, that lock an account.", "各途径累计多少次失败后锁定账号。", ge=2, le=100
    )
    sign_in_lock: float = _setting(900.0, "Seconds a lock lasts.", "锁定持续秒数。", ge=1)

    @field_validator("origins", "oidc_roles", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("audit_outside_url")
    @classmethod
    def _guarded(cls, value: str | None) -> str | None:
        # Whoever can answer in the place's stead would make an undelivered checkpoint look delivered.
        parts = urlsplit(value or "")
        here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        if value and (not parts.hostname or (parts.scheme != "https" and not here)):
            raise ValueError("must be https, or http on this machine")
        return value

    @property
    def production(self) -> bool:
        return self.mode == "production"

    @property
    def state_folder(self) -> Path:
        """Where the embedded database, stored files and caches live. Never in version control."""
        return self.project / ".clew"

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{(self.state_folder / 'clew.db').resolve()}"

    @property
    def owner_database(self) -> str:
        return self.owner_database_url or self.database

    @property
    def blob_folder(self) -> Path:
        return self.blobs or self.state_folder / "blobs"

    @property
    def audit_key_file(self) -> Path:
        """Where the key of the trail is looked for when the setting does not hold it itself."""
        return Path(self.audit_key) if self.audit_key else self.state_folder / "audit.pem"

    @property
    def loopback(self) -> bool:
        return self.host in ("127.0.0.1", "::1", "localhost")


def load_settings(file: Path | None = None, environ: Mapping[str, str] | None = None, **options: Any) -> Settings:
    """Settings from options that are not None, the environment, and a TOML file (`--settings`, `CLEW_SETTINGS`).

    Raises SettingsInvalid for a key that does not exist or a value that cannot be.
    """
    given = {name: value for name, value in options.items() if value is not None}
    environ = os.environ if environ is None else environ
    path = file or (Path(environ["CLEW_SETTINGS"]) if environ.get("CLEW_SETTINGS") else None)
    from_file = _read(path) if path else {}
    from_environment = {name: value for name in Settings.model_fields if (value := environ.get(variable(name)))}
    try:
        return Settings.model_validate({**from_file, **from_environment, **given})
    except ValidationError as problem:
        first = problem.errors(include_input=False)[0]
        raise SettingsInvalid(name=str(first["loc"][0]), what=first["msg"]) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise SettingsInvalid(name=str(path), what=str(problem)) from None
    for name in content:
        if name not in Settings.model_fields:
            near = nearest(name, Settings.model_fields)
            what = Bilingual(
                en="no such setting." + (f" Did you mean {near}?" if near else ""),
                zh="没有该设置项。" + (f"是否想写 {near}?" if near else ""),
            )
            raise SettingsInvalid(name=name, what=what)
    return content


def unknown_variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """`CLEW_…` variables nobody reads, with the nearest one that exists: most likely typing mistakes."""
    known = {variable(name) for name in Settings.model_fields} | OUTSIDE
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            yield name, nearest(name, known)


def variable(name: str) -> str:
    return PREFIX + name.upper()


def option(name: str) -> str:
    return "--" + name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One row of the documented table."""

    name: str
    default: str
    help: Bilingual


def described() -> tuple[SettingDoc, ...]:
    return tuple(
        SettingDoc(name, _shown(info), Bilingual(en=info.description or "", zh=_zh(info)))
        for name, info in Settings.model_fields.items()
    )


def _shown(info: FieldInfo) -> str:
    value = info.default
    return "" if value in (None, "", ()) else str(value).lower() if isinstance(value, bool) else str(value)


def _zh(info: FieldInfo) -> str:
    return str(info.json_schema_extra.get("zh", "")) if isinstance(info.json_schema_extra, dict) else ""
