"""A real OpenID Connect provider (npm `oidc-provider`) on loopback, and a browser that signs in there."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
from tests.integration.http_case import ADDRESS
from tests.integration.node_case import with_packages

FOLDER = Path(__file__).parents[1] / "oidc"
SECRET = "a client secret for tests, long enough"
CALLBACK = f"{ADDRESS}/login/oidc/callback"


@contextmanager
def provider(people: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The provider's address while it runs."""
    with_packages(FOLDER, "oidc-provider")
    given = json.dumps({"secret": SECRET, "redirects": [CALLBACK], "people": people})
    running = subprocess.Popen(
        ["node", "provider.mjs"], cwd=FOLDER, env={**os.environ, "OIDC_TEST": given},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        issuer = running.stdout.readline().strip()
        assert issuer.startswith("http://127.0.0.1:"), running.stderr.read() if running.stderr else issuer
        yield issuer
    finally:
        running.kill()
        running.communicate()


async def at_the_provider(address: str, subject: str, jar: httpx2.Cookies | None = None) -> str:
    """Sign in as `subject` with the provider's own pages and agree; where it sends the browser back to. With a `jar`
    the provider may remember its visitor."""
    async with httpx2.AsyncClient(timeout=30, trust_env=False, cookies=jar) as browser:
        answer = await browser.get(address)
        for _ in range(12):
            if answer.is_redirect:
                to = str(answer.next_request.url) if answer.next_request else ""
                if to.startswith(CALLBACK):
                    if jar is not None:
                        jar.update(browser.cookies)
                    return to
                answer = await browser.get(to)
                continue
            assert answer.status_code == 200, answer.text
            form = re.search(r'<form[^>]*action="([^"]+)"', answer.text)
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert form, answer.text
            # Before somebody else comes in it signs out whom it remembers, by a form that sends itself.
            hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.text)
            fields = {name: unescape(value) for name, value in hidden}
            if prompt and prompt[1] == "login":
                fields |= {"login": subject, "password": "any will do"}
            answer = await browser.post(unescape(form[1]), data=fields)
    raise AssertionError("the provider never sent anybody back")
