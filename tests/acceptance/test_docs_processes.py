"""Every example of docs/processes.md and its pages runs, in order, on the demonstration, by the account it names, and
says where its process stands; the Chinese pages show the same ones. `--update-golden` writes what they say anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.acceptance.demonstration import Demonstration, demonstration
from tests.integration.pack_world import pack

from clew.metadata import naming
from clew.testing.office import Refused
from clew.testing.plugin import Tier

pytestmark = pytest.mark.anyio
DOCS = Path(__file__).parents[2] / "docs"
_PAGE = re.compile(r"^\| \[[^\]]+\]\(([^)]+)\)", re.MULTILINE)
_EXAMPLE = re.compile(
    r"```graphql\n# (?P<who>\w+)\n(?P<document>.+?)(?:^# → (?P<at>[^\n]+)\n)?```\n", re.DOTALL | re.MULTILINE
)
_PART = re.compile(r"<!-- (part|again): (\w+) -->\n")
_ROW = re.compile(r"^\| \[.+$", re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """One example and where it stands. `at`: the steps at which its process is afterwards."""

    page: str
    span: tuple[int, int]
    who: str
    document: str
    at: str

    @property
    def mutation(self) -> str:
        found = re.search(r"\{\s*(\w+)\(", self.document)
        return found[1] if found is not None else ""

    @property
    def login(self) -> str:
        return self.who.replace("_", ".")


def pages(index: str) -> list[str]:
    return _PAGE.findall((DOCS / index).read_text(encoding="utf-8"))


def sections(page: str) -> dict[str, list[Example]]:
    """Title → its examples in the order they are done: a part that comes again is done again."""
    text = (DOCS / page).read_text(encoding="utf-8")
    starts = [(each.start(), each[1]) for each in re.finditer(r"^## (.+)$", text, re.MULTILINE)]
    found = {}
    for (start, title), (end, _) in zip(starts, [*starts[1:], (len(text), "")], strict=True):
        found[title] = list(_done(page, text, start, end))
    return found


def _done(page: str, text: str, start: int, end: int) -> Iterator[Example]:
    parts: dict[str, list[Example]] = {}
    marks = [(each.start(), each[1], each[2]) for each in _PART.finditer(text, start, end)]
    for (at, kind, name), (until, _, _) in zip([(start, "part", ""), *marks], [*marks, (end, "", "")], strict=True):
        here = [
            Example(page, each.span(), each["who"], each["document"], each["at"] or "")
            for each in _EXAMPLE.finditer(text, at, until)
        ]
        if kind == "again":
            yield from parts[name]
        else:
            parts[name] = here
        yield from here


def test_both_languages_show_the_same_examples() -> None:
    def shown(index: str) -> list[Any]:
        return [
            [[(each.who, each.document, each.at) for each in done] for done in sections(page).values()]
            for page in (index, *pages(index))
        ]

    assert shown("processes.md") == shown("processes.zh.md")


def test_every_process_that_begins_has_its_examples() -> None:
    told = re.findall(r"`(\w+)`", "\n".join(_ROW.findall((DOCS / "processes.md").read_text(encoding="utf-8"))))
    begun = {each.name for each in pack().workflows.values() if each.starts}
    assert set(told) <= set(pack().workflows)
    assert begun - set(told) == set()


async def test_every_example_runs(new_database: Any, request: pytest.FixtureRequest, tier: Tier) -> None:
    """As a reader does it: what the page calls a variable is looked up as the page says. At full size the Chinese pages
    are read as well, and the platform answers in Chinese."""
    for index in ("processes.md", "processes.zh.md")[: tier.count(1, 2)]:
        demo = await demonstration(new_database("sqlite"), whole=tier.full)
        wrong, seen = await walked(demo, index)
        if request.config.getoption("--update-golden") and index == "processes.md":
            told_anew(seen)
            seen.clear()
        assert not wrong, "\n".join(wrong)
        assert seen == {}, "the pages say something else: --update-golden"


async def walked(demo: Demonstration, index: str) -> tuple[list[str], dict[tuple[str, tuple[int, int]], str]]:
    """What went wrong on the pages, and where a process stands otherwise than they say."""
    demo.locale = "zh" if index.endswith(".zh.md") else "en"
    reader = Reader(demo)
    for example in (each for done in sections(index).values() for each in done):
        await reader.looks_up(example)
    wrong: list[str] = []
    seen: dict[tuple[str, tuple[int, int]], str] = {}
    for title, examples in ((title, each) for page in pages(index) for title, each in sections(page).items()):
        for example in examples:
            try:
                at = await reader.does(example)
            except (Refused, ValueError, LookupError) as problem:
                wrong.append(f"{title}: {example.who} {example.mutation}: {problem}; {await reader.open_tasks()}")
                break
            if at != example.at:
                seen[example.page, example.span] = at
        words = set(await reader.labels()) if demo.locale == "zh" else set()
        wrong += [f"{title}: {label} is not in Chinese" for label in words if not re.search("[\u4e00-\u9fff]", label)]
    return wrong, seen


class Reader:
    """Somebody at GraphiQL who signs in as whoever an example names, and fills in its variables."""

    def __init__(self, demo: Demonstration) -> None:
        self._demo = demo
        self._ids: dict[str, Any] = {}
        today = datetime.now(UTC).date()
        self._days: dict[str, date] = {"today": today, "later": today + timedelta(days=90)}

    async def looks_up(self, example: Example) -> None:
        """The queries of the page: the practice records, and whose record belongs to which account."""
        for name, found in (await self._demo.ask(example.login, example.document)).items():
            if name == "userAccounts":
                for each in found:
                    owner = naming.field_name("employee_" + each["login"].replace(".", "_"))
                    self._ids[owner] = each["employee"]
                continue
            (node,) = found["nodes"]
            (self._ids[name],) = node.values()

    async def does(self, example: Example) -> str:
        """Do an example; the steps its process is at when the platform has done its part."""
        answer = await self._demo.ask(example.login, example.document, **await self._variables(example))
        await self._demo.waits()
        found = answer[example.mutation]
        if isinstance(found, list):  # the processes of a record, each with where it stands
            return "; ".join(f"{each['workflow']}: {', '.join(each['at']) or 'end'}" for each in found)
        process = found.get("process")
        return "" if process is None else ", ".join(process["at"]) or "end"

    async def _variables(self, example: Example) -> dict[str, Any]:
        names = re.findall(r"\$(\w+):", example.document)
        found = {name: await self._value(name) for name in names if name not in ("task", "version", "signature")}
        if "task" in names:
            mine = [each for each in await self._demo.tasks(example.login) if step_mutation(each) == example.mutation]
            if not mine:
                raise LookupError("there is no such task")
            task = max(mine, key=lambda each: each["id"])
            found["task"] = task["id"]
            if "signature" in names:
                found |= await self._signed(example, task["entity"], task["recordId"], task["sign"])
        elif "version" in names:
            about = re.search(r"id: \$(\w+)", example.document)
            assert about is not None
            entity = next(each for each in pack().entities if naming.field_name(each) == about[1])
            moves = pack().entities[entity].transitions.values()
            named = [each for each in moves if naming.transition_mutation(entity, each.name) == example.mutation]
            found |= await self._signed(example, entity, found[about[1]], str(named[0].sign) if named else "")
        return found

    async def _signed(self, example: Example, entity: str, record: str, meaning: str) -> dict[str, Any]:
        """What is shown of a record, and the signature over it where one is asked for."""
        one = naming.field_name(entity)
        look = f"query($id: ID!) {{ {one}(id: $id) {{ rowVersion signable {{ digest }} }} }}"
        seen = (await self._demo.ask(example.login, look, id=record))[one]
        if "$signature" not in example.document:
            return {"version": seen["rowVersion"]}
        digest, password = seen["signable"]["digest"], self._demo.passwords[example.login]
        signature = {"login": example.login, "password": password, "digest": digest, "meaning": meaning}
        return {"version": seen["rowVersion"], "signature": signature}

    async def _value(self, name: str) -> Any:
        """A time, what the page looked up, or the newest record of an entity."""
        if name == "now":
            return datetime.now(UTC)
        if name in self._days:
            return self._days[name]
        if name in self._ids:
            return self._ids[name]
        entity = next((each for each in pack().entities if naming.field_name(each) == name), None)
        if entity is None:
            raise LookupError(f"the page does not say what ${name} is")
        many = naming.list_query(pack().entities[entity].plural)
        (node,) = (await self._demo.ask("auditor", f"{{ {many}(last: 1) {{ nodes {{ id }} }} }}"))[many]["nodes"]
        return UUID(node["id"])

    async def labels(self) -> list[str]:
        """What the open tasks of everybody who has acted are called."""
        found: list[str] = []
        for login in self._demo.known:
            with suppress(Refused):
                mine = await self._demo.ask(login, "{ myTasks(first: 200) { label } }")
                found += [each["label"] for each in mine["myTasks"]]
        return found

    async def open_tasks(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for login in self._demo.people:
            with suppress(Refused):  # whoever takes no part in processes has no tasks to ask for
                found[login] = [step_mutation(each) for each in await self._demo.tasks(login)]
        return {login: each for login, each in found.items() if each}


def step_mutation(task: dict[str, Any]) -> str:
    return naming.field_name(task["workflow"]) + "".join(map(naming.type_name, task["step"].split("/")))


def told_anew(seen: dict[tuple[str, tuple[int, int]], str]) -> None:
    """Write the steps after each example into both languages."""
    for page in dict.fromkeys(page for page, _ in seen):
        files = (DOCS / page, (DOCS / page).with_suffix(".zh.md"))
        texts = [file.read_text(encoding="utf-8") for file in files]
        shown = [list(_EXAMPLE.finditer(text)) for text in texts]
        for file, text, examples in zip(files, texts, shown, strict=True):
            for english, each in reversed(list(zip(shown[0], examples, strict=True))):
                at = seen.get((page, english.span()))
                if at is not None:
                    told = f"# → {at}\n" if at else ""
                    new = f"```graphql\n# {each['who']}\n{each['document']}{told}```\n"
                    text = text[: each.start()] + new + text[each.end() :]
            file.write_text(text, encoding="utf-8")
