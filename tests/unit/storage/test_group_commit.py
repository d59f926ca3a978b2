"""Short units that come at the same time are committed together, or each by itself; nobody is told too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from clew.storage import group_commit
from clew.storage.errors import DatabaseBusy, DatabaseUnreachable
from clew.storage.group_commit import GroupCommit

pytestmark = pytest.mark.anyio
WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Wire:
    """A transaction: what it wrote, and whether it was begun before anything was said."""

    def __init__(self) -> None:
        self.wrote, self.begun = list[str](), False

    async def begin(self) -> None:
        self.begun = True

    def another(self) -> Wire:
        return self


class Book:
    """What is committed, transaction by transaction. `rivals`: how many commits fail because another was first."""

    def __init__(self) -> None:
        self.pages, self.rivals, self.lost = list[list[str]](), 0, False
        self.alone, self.undone = list[str](), 0
        self.groups = GroupCommit(self.open, self.by_itself, self.inside)  # type: ignore[arg-type]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        wire = Wire()
        try:
            yield wire
        except BaseException:
            self.undone += 1
            raise
        assert wire.begun
        await asyncio.sleep(0)
        if self.rivals:
            self.rivals -= 1
            self.undone += 1
            raise DatabaseBusy(what="a rival")
        if self.lost:
            raise DatabaseUnreachable(reason="gone")
        self.pages.append(wire.wrote)

    async def by_itself(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        wire = Wire()
        found = await work(wire)
        self.pages.append(wire.wrote)
        self.alone += wire.wrote
        return found

    async def inside(self, work: Callable[[Any], Awaitable[Any]], *, on: Wire) -> Any:
        return await work(on)

    async def write(self, what: str, pause: float = 0) -> list[str]:
        """A unit that writes this, and tells what its transaction had written before."""

        async def work(wire: Wire) -> list[str]:
            before = list(wire.wrote)
            await asyncio.sleep(pause)
            if what.startswith("bad"):
                raise ValueError(what)
            wire.wrote.append(what)
            return before

        found: list[str] = await self.groups.run(work)  # type: ignore[arg-type]
        assert any(what in page for page in self.pages), "told before it was committed"
        return found

    async def all(self, *what: str) -> list[Any]:
        return await asyncio.gather(*(self.write(each) for each in what), return_exceptions=True)


async def test_what_comes_meanwhile_is_committed_together_in_order() -> None:
    book = Book()
    assert await book.all("a", "b", "c", "d") == [[], [], ["b"], ["b", "c"]]
    assert book.pages == [["a"], ["b", "c", "d"]]
    assert await book.all("e") == [[]]
    assert book.pages[-1] == ["e"]


async def test_many_wait_for_the_next_group() -> None:
    book = Book()
    names = [f"{number:02}" for number in range(20)]
    await book.all(*names)
    assert [len(page) for page in book.pages] == [1, group_commit._MOST, group_commit._MOST, 3]
    assert [each for page in book.pages for each in page] == names


async def test_one_that_fails_undoes_all_and_each_runs_by_itself() -> None:
    book = Book()
    told = await book.all("a", "b", "bad c", "d")
    assert [str(each) for each in told] == ["[]", "[]", "bad c", "[]"]
    assert book.pages == [["a"], ["b"], ["d"]]
    assert book.undone == 1


async def test_a_rival_lets_the_group_begin_again_and_in_the_end_each_by_itself() -> None:
    book = Book()
    book.rivals = 1
    await book.all("a", "b", "c")
    assert (book.pages, book.undone) == ([["a"], ["b", "c"]], 1)
    book.rivals = 2
    await book.all("d", "e", "f")
    assert (book.pages[2:], book.undone) == ([["d"], ["e"], ["f"]], 3)


async def test_a_commit_that_is_not_answered_is_not_done_again() -> None:
    book = Book()
    book.lost = True
    told = await book.all("a", "b", "c")
    assert [type(each).__name__ for each in told] == ["list", "DatabaseUnreachable", "DatabaseUnreachable"]
    assert book.alone == ["a"]


async def test_whoever_goes_away_while_waiting_is_left_out() -> None:
    book = Book()
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(book.write(each)) for each in ("a", "b", "c")]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert book.pages == [["a"], ["c"]]


async def test_whoever_takes_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_BRIEF", 0.0)
    book = Book()
    slow = asyncio.get_running_loop().create_task(book.write("slow", 0.3))
    await asyncio.sleep(0)
    await asyncio.wait_for(book.all("a", "b"), 5)
    assert book.pages == [["a"], ["b"]]
    await slow
    monkeypatch.setattr(group_commit, "_BRIEF", 60.0)
    assert await book.all("c", "d", "e") == [[], [], ["d"]], "and has no turn to give"


async def test_one_that_takes_long_is_undone_and_runs_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "_BRIEF", 0.1)
    book = Book()
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(book.write(*each)) for each in (("a",), ("b",), ("slow", 0.4), ("d",))]
    await asyncio.gather(*tasks)
    assert book.undone == 1
    assert book.pages == [["a"], ["b"], ["d"], ["slow"]]


async def test_a_unit_runs_in_the_context_of_whoever_asked() -> None:
    book, seen = Book(), list[str]()

    async def asks(name: str) -> None:
        WHO.set(name)

        async def work(_wire: Any) -> None:
            await asyncio.sleep(0)
            seen.append(WHO.get())
            WHO.set("changed")

        await book.groups.run(work)
        assert WHO.get() == ("changed" if name == "a" else name)

    await asyncio.gather(*(asks(each) for each in "abc"))
    assert seen == ["a", "b", "c"]
