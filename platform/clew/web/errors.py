"""What a door says when it does not let a request in, and the one JSON shape it says it in."""

from __future__ import annotations

from typing import Any

import msgspec

from clew.kernel.errors import ClewError
from clew.kernel.text import Locale


class MalformedRequest(ClewError):
    """The body is not the JSON object that was asked for."""

    code, status = "MALFORMED_REQUEST", 400
    en, zh = "The request body cannot be read: {what}.", "无法读取请求体:{what}。"


class MethodNotAllowed(ClewError):
    """The address exists, but not for this method."""

    code, status = "METHOD_NOT_ALLOWED", 405
    en, zh = "This address takes {allowed} only.", "该地址仅接受 {allowed}。"


class NotAcceptable(ClewError):
    """None of the media types the client accepts can be produced."""

    code, status = "NOT_ACCEPTABLE", 406
    en = "Accept one of: {types}."
    zh = "请接受下列类型之一:{types}。"


class UnsupportedMediaType(ClewError):
    """The body comes as something a web page could send without asking (threat 13), or in an unknown form."""

    code, status = "UNSUPPORTED_MEDIA_TYPE", 415
    en, zh = "Send the body as {types}.", "请求体类型应为 {types}。"


class ForeignOrigin(ClewError):
    """A web page of another origin called."""

    code, status = "FOREIGN_ORIGIN", 403
    en = "Pages of another origin may not call this server."
    zh = "不允许其他来源的网页调用本服务。"
    hint_en, hint_zh = "Allow it with the setting origins.", "可用设置项 origins 放行。"


class BodyTooLarge(ClewError):
    """More bytes than the limit; nothing was kept."""

    code, status = "BODY_TOO_LARGE", 413
    en, zh = "The body is larger than {limit} bytes.", "请求体超过 {limit} 字节。"


class BodyTooSlow(ClewError):
    """The body did not arrive in time."""

    code, status = "BODY_TOO_SLOW", 408
    en, zh = "The body did not arrive within {seconds} seconds.", "请求体未在 {seconds} 秒内送达。"


class TooManyConnections(ClewError):
    """The process holds as many live connections as it may."""

    code, status, retryable = "TOO_MANY_CONNECTIONS", 503, True
    en, zh = "There are too many live connections; try again.", "实时连接过多,请稍后重试。"


class LoopbackOnly(ClewError):
    """Without access policies nobody outside this machine is let in (fail closed)."""

    code, status = "LOOPBACK_ONLY", 400
    en = "Without access policies the server listens on 127.0.0.1 only, not on {host}."
    zh = "尚无权限策略,服务只能监听 127.0.0.1,不能监听 {host}。"
    hint_en, hint_zh = "Leave out --host.", "请去掉 --host。"


class FileRefused(ClewError):
    """The uploaded bytes are not kept."""

    code, status = "FILE_REFUSED", 400
    en, zh = "The file is refused: {what}.", "文件被拒绝:{what}。"


class AddressInUse(ClewError):
    """Another program listens there."""

    code, status = "ADDRESS_IN_USE", 503
    en, zh = "{host}:{port} is taken by another program.", "{host}:{port} 已被其他程序占用。"
    hint_en, hint_zh = "Choose another: --port 8001", "请换一个端口:--port 8001"


def error_object(problem: ClewError, locale: Locale, request_id: str = "") -> dict[str, Any]:
    """One entry of a GraphQL `errors` list; every plain HTTP surface answers with the same shape."""
    extensions: dict[str, Any] = {"code": problem.code}
    if hint := problem.hint(locale):
        extensions["hint"] = hint
    if request_id:
        extensions["requestId"] = request_id
    shown: dict[str, Any] = {"message": problem.message(locale), "extensions": extensions}
    if problem.path:
        shown["path"] = list(problem.path)
    return shown


def error_body(problem: ClewError, locale: Locale, request_id: str = "") -> bytes:
    return msgspec.json.encode({"errors": [error_object(problem, locale, request_id)]})
