"""Contenders: processes of their own, each a server of the same database, that are told at once what to do.

They fork off before the test has an event loop, so that a project that is compiled already need not be compiled again.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_FORK = multiprocessing.get_context("fork")
Doing = Callable[[Any], Awaitable[str]]
"""What a contender does when it is asked, and what became of it."""
Opening = Callable[[str], Awaitable[Doing]]
"""Opens the database of this URL as a server does."""


class Contender:
    """One of them, as the test sees it."""

    def __init__(self, opening: Opening) -> None:
        self._line, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=_serve, args=(theirs, opening), daemon=True)
        self._process.start()
        theirs.close()

    async def ask(self, what: Any) -> str:
        """Have it do something; what became of it. First of all: the URL of its database."""
        self._line.send(what)
        answer = await asyncio.to_thread(self._line.recv)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    def close(self) -> None:
        self._line.send(None)
        self._process.join(10)
        self._process.kill()


@contextmanager
def contenders(number: int, opening: Opening) -> Iterator[list[Contender]]:
    """So many. They are gone when the block ends."""
    made: list[Contender] = []
    try:
        made.extend(Contender(opening) for _ in range(number))
        yield made
    finally:
        for each in made:
            each.close()


def _serve(line: Connection, opening: Opening) -> None:
    asyncio.run(_answer(line, opening))


async def _answer(line: Connection, opening: Opening) -> None:
    doing: Doing | None = None
    while True:
        asked = await asyncio.to_thread(line.recv)
        if asked is None:
            return
        answer: str | Exception = "open"
        try:
            if doing is None:
                doing = await opening(asked)
            else:
                answer = await doing(asked)
        except Exception as error:
            answer = RuntimeError(repr(error))
        line.send(answer)
