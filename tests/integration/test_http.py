"""The GraphQL door over HTTP, on a real runtime: the specification's rules, and what must not get in."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from tests.integration.http_case import ADDRESS, Served, served

from clew.audit.sealing.keys import new_key
from clew.kernel.clock import SystemClock
from clew.testing import TestDatabase

pytestmark = pytest.mark.anyio

RESPONSE, JSON = "application/graphql-response+json", "application/json"
QUERY = json.dumps({"query": "{ suppliers(first: 5) { totalCount } }"})
WRONG = json.dumps({"query": "{ nothing_like_it }"})


async def post(house: Served, body: Any, **headers: str) -> httpx2.Response:
    given = {"content-type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await house.client.post("/graphql", content=body, headers=given)


async def test_a_query_is_answered_in_the_type_the_client_prefers(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path) as house:
        for accept, expected in (
            ("", RESPONSE),
            ("*/*", RESPONSE),
            (JSON, JSON),
            (f"{RESPONSE}, {JSON};q=0.9", RESPONSE),
            (f"{JSON}, text/plain, */*", JSON),
            (f"{RESPONSE};q=0, */*;q=0.1", JSON),
        ):
            answer = await post(house, QUERY, accept=accept)
            assert answer.status_code == 200, (accept, answer.text)
            assert answer.headers["content-type"] == f"{expected}; charset=utf-8"
            assert answer.json() == {"data": {"suppliers": {"totalCount": 0}}}
        refused = await post(house, QUERY, accept="text/html")
        assert refused.status_code == 406


async def test_a_request_error_is_400_or_200_by_media_type(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path) as house:
        modern, legacy = await post(house, WRONG, accept=RESPONSE), await post(house, WRONG, accept=JSON)
        assert (modern.status_code, legacy.status_code) == (400, 200)
        assert "data" not in modern.json()
        assert modern.json()["errors"][0]["extensions"]["code"] == "GRAPHQL_INVALID"


async def test_what_is_not_a_request_is_refused_in_both_languages(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path) as house:
        for body in (b"", b"{", b"[]", b'{"query": 1}', b'{"variables": []}', b"[" * 5000, b'{"query": "\xff"}'):
            answer = await post(house, body)
            assert answer.status_code == 400, body[:20]
            assert answer.json()["errors"][0]["extensions"]["code"] == "MALFORMED_REQUEST"
        zh = await post(house, b"{", accept_language="zh-CN,zh;q=0.9")
        assert "无法读取请求体" in zh.json()["errors"][0]["message"]


async def test_csrf_get_mutation(tmp_path: Path, new_database: Any) -> None:
    """What a foreign page can make a browser send without asking never reaches the engine."""
    url = new_database("sqlite").url
    async with served(url, tmp_path, get_queries=True, origins=("https://portal.example",)) as house:
        mutation = "mutation { __typename }"
        assert (await house.client.get("/graphql", params={"query": mutation})).status_code in (400, 405)
        # A page may send Accept of its own choosing with a plain GET, without an Origin.
        create = 'mutation { createSupplier(input: {name: "Evil"}) { created } }'
        for accept in (RESPONSE, JSON, "text/event-stream", "*/*"):
            await house.client.get("/graphql", params={"query": create}, headers={"accept": accept})
            made = (await post(house, QUERY)).json()["data"]["suppliers"]["totalCount"]
            assert made == 0, f"a mutation by GET, accepting {accept}"
        good = await house.client.get("/graphql", params={"query": "{ suppliers { totalCount } }"})
        assert good.json()["data"] == {"suppliers": {"totalCount": 0}}
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            assert (await post(house, QUERY, content_type=kind)).status_code == 415, kind
        for origin in ("https://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1.evil.example:8000"):
            assert (await post(house, QUERY, origin=origin)).status_code == 403, origin
            assert (await house.client.post("/files", content=b"x", headers={"origin": origin})).status_code == 403
        for origin in ("http://127.0.0.1:8000", "https://portal.example"):
            assert (await post(house, QUERY, origin=origin)).status_code == 200, origin
        shared = await post(house, QUERY, origin="https://portal.example")
        assert shared.headers["access-control-allow-origin"] == "https://portal.example"
        assert "access-control-allow-origin" not in (await post(house, QUERY)).headers
        assert (await post(house, QUERY, host="clew.evil.example")).status_code == 403, "DNS rebinding"


async def test_get_is_refused_unless_asked_for(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path) as house:
        answer = await house.client.get("/graphql", params={"query": "{ __typename }"})
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"


async def test_discovery_off(tmp_path: Path, new_database: Any) -> None:
    """Production: no introspection, no suggestions, no GraphiQL. Development has them."""
    introspection = json.dumps({"query": "{ __schema { queryType { name } } }"})
    typing_mistake = json.dumps({"query": "{ supplers { totalCount } }"})
    async with served(new_database("sqlite").url, tmp_path, mode="production") as house:
        assert (await post(house, introspection)).json()["errors"][0]["extensions"]["code"] == "GRAPHQL_DISCOVERY_OFF"
        assert "suppliers" not in (await post(house, typing_mistake)).text
        assert (await house.client.get("/graphiql")).status_code == 404
        assert "/graphiql" not in (await house.client.get("/")).text
    async with served(new_database("sqlite").url, tmp_path) as house:
        assert (await post(house, introspection)).json()["data"]["__schema"]["queryType"] == {"name": "Query"}
        assert "suppliers" in (await post(house, typing_mistake)).text
        assert (await house.client.get("/graphiql")).status_code in (200, 503)


async def test_http_limits(tmp_path: Path, new_database: Any) -> None:
    """Too long, too slow, cut off: refused with its own code, whether the length was declared or not."""
    async with served(new_database("sqlite").url, tmp_path, body_limit=2048, body_timeout=0.2) as house:
        assert (await post(house, b"x" * 4096)).status_code == 413

        async def chunks() -> Any:
            for _ in range(100):
                yield b" " * 100

        undeclared = await post(house, chunks())
        assert undeclared.status_code == 413

        async def stalled() -> Any:
            yield b"{"
            await asyncio.sleep(30)

        assert (await asyncio.wait_for(post(house, stalled()), 10)).status_code == 408
        assert (await post(house, QUERY, content_encoding="gzip")).status_code == 415
        assert (await post(house, QUERY)).status_code == 200, "and the door still opens"


async def test_log_amplification(tmp_path: Path, new_database: Any) -> None:
    """A flood of bad requests writes less log than it sent bytes."""
    from clew.web.log import RequestLog

    written: list[str] = []

    class Logger:
        def info(self, event: str, **members: Any) -> None:
            written.append(json.dumps({"event": event, **members}))

        error = info

    sent = 0
    log = RequestLog(Logger(), monotonic=lambda: 100.0)
    async with served(new_database("sqlite").url, tmp_path, log=log) as house:
        for body in (WRONG.encode(), b"{" * 300, json.dumps({"query": "{" + "a" * 30_000 + "}"}).encode()) * 20:
            sent += len(body) + 100
            await post(house, body)
    assert sum(map(len, written)) <= sent * 2
    assert len(written) == 1, "within one second one line"
    assert not any("aaaa" in line for line in written), "what was sent is never repeated"


def test_log_amplification_by_libraries() -> None:
    """A request of three bytes makes the HTTP server write a line of its own; a flood of them does not."""
    from clew.web.log import Forward

    lines: list[str] = []

    class Logger:
        def log(self, level: int, event: str, **members: Any) -> None:
            lines.append(json.dumps({"level": level, "event": event, **members}))

    now = [100.0]
    library = logging.Logger("uvicorn.error")
    library.addHandler(Forward(Logger(), lambda: now[0]))
    sent = 0
    for at in range(3000):
        now[0] = 100 + at / 1000
        sent += 3
        library.warning("Invalid HTTP request received.")
    assert sum(map(len, lines)) <= sent * 2
    assert json.loads(lines[-1])["unlogged"] == 999
    library.warning("Something else %s", 1)
    assert "Something else 1" in lines[-1]


async def test_an_unforeseen_failure_shows_only_a_request_id(tmp_path: Path, new_database: Any) -> None:
    from clew.web.log import RequestLog

    lines: list[dict[str, Any]] = []

    class Logger:
        def info(self, event: str, **members: Any) -> None:
            lines.append({"event": event, **members})

        error = info

    class Broken:
        async def execute(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError("secret detail" + "." * 50_000)

    async with served(new_database("sqlite").url, tmp_path, log=RequestLog(Logger())) as house:
        current = house.host.current
        object.__setattr__(current, "graphql", Broken())
        answer = await post(house, QUERY, x_request_id="given-by-caller-1")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["errors"][0]["extensions"] == {"code": "INTERNAL", "requestId": "given-by-caller-1"}
    [line] = [line for line in lines if line["event"] == "failed"]
    assert line["request"] == "given-by-caller-1"
    assert line["kind"] == "ZeroDivisionError"
    assert len(line["trace"]) < 5_000


async def test_readiness_tells_that_the_trail_cannot_be_signed(new_database: Any, tmp_path: Path) -> None:
    url, key = new_database("sqlite").url, tmp_path / "audit.pem"
    async with served(url, tmp_path, mode="production", audit_key=str(key)) as house:
        ready = (await house.client.get("/readyz")).json()
        assert (ready["status"], ready["checkpointsNotSigned"]) == ("ready", "AUDIT_KEY_MISSING")
        key.write_text("no key", encoding="utf-8")
        assert (await house.client.get("/readyz")).json()["checkpointsNotSigned"] == "AUDIT_KEY_UNREADABLE"
        key.write_text(new_key(), encoding="utf-8")
        assert "checkpointsNotSigned" not in (await house.client.get("/readyz")).json()


async def test_readiness_tells_of_a_clock_that_is_off(
    database: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(database.url, tmp_path) as house:
        assert "databaseClockAheadSeconds" not in (await house.client.get("/readyz")).json()
        behind = SystemClock().now() - timedelta(seconds=60)
        monkeypatch.setattr(house.host, "clock", SimpleNamespace(now=lambda: behind))
        assert (await house.client.get("/readyz")).json()["databaseClockAheadSeconds"] > 55


async def test_health_and_figures(database: TestDatabase, tmp_path: Path) -> None:
    async with served(database.url, tmp_path) as house:
        assert (await house.client.get("/healthz")).json() == {"status": "alive"}
        ready = (await house.client.get("/readyz")).json()
        assert (ready["status"], ready["release"]) == ("ready", 1)
        await post(house, QUERY)
        await post(house, b"{")
        figures = (await house.client.get("/metrics")).text
        assert 'clew_graphql_seconds_count{outcome="answered"} 1.0' in figures
        assert 'clew_refused_total{code="MALFORMED_REQUEST"} 1.0' in figures
        assert "clew_release 1.0" in figures
        for headers in ({"x-forwarded-for": "10.1.2.3"}, {"via": "1.1 proxy"}):
            assert (await house.client.get("/metrics", headers=headers)).status_code == 401
        far = httpx2.ASGITransport(app=house.app, client=("10.1.2.3", 4000))
        async with httpx2.AsyncClient(transport=far, base_url=ADDRESS) as stranger:
            assert (await stranger.get("/metrics")).status_code == 401
            house.app.entrance.settings.__dict__["metrics_token"] = "a secret for the collector"
            assert (await house.client.get("/metrics")).status_code == 401
            for token, status in (("a secret for the collector", 200), ("another", 401)):
                answer = await stranger.get("/metrics", headers={"authorization": f"Bearer {token}"})
                assert answer.status_code == status


async def test_pages_need_no_other_host(tmp_path: Path, new_database: Any) -> None:
    async with served(new_database("sqlite").url, tmp_path) as house:
        zh, en = (await house.client.get("/?lang=zh")), (await house.client.get("/?lang=en"))
        assert "迷你项目" in zh.text
        assert "Release" in en.text
        for page in (zh, en, await house.client.get("/graphiql")):
            assert "http://" not in page.text
            assert "https://" not in page.text
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert "unsafe-eval" not in page.headers["content-security-policy"]
        assert (await house.client.get("/static/../app.py")).status_code == 404
        assert (await house.client.get("/static/%2e%2e/app.py")).status_code == 404
