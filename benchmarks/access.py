"""What permissions cost: a decision from 50 to 5,000 policy lines, and reads with row and field rules against without.

    python -m benchmarks.access [--rounds 9] [postgresql://…]

Ratios within one run. Without an address a throw-away PostgreSQL starts.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

from benchmarks.read_path import BY_ID, LIST, MINI, NESTED, ROWS, SITE, fill
from clew.access.casbin_policy import Bench
from clew.access.deciding import Deciding
from clew.access.decision import Decision, permit_all
from clew.access.judgement import Judgement
from clew.access.lines import lines_of
from clew.access.loading import load_bundle
from clew.api.engine import GraphQLEngine
from clew.api.exchange import Caller, Question
from clew.kernel.clock import SystemClock
from clew.kernel.context import Context, Person, Scope
from clew.metadata.blueprint import Blueprint
from clew.metadata.load import load_folder
from clew.storage.change.install import install
from clew.storage.open import open_database
from clew.storage.tables import Tables
from clew.testing.databases import PostgresServer

OPERATOR = UUID(int=77)
READER = """\
role: reader
label: {zh: 阅读, en: Reader}
sites: own
may:
  lot: {read: always, mask: {supplier_lot: "state != 'rejected'"}}
  "*": {read: always}
"""


def sources(permissions: str) -> dict[str, str]:
    loaded = load_folder(MINI)
    assert loaded.blueprint is not None
    return {**loaded.blueprint.sources, "permissions/p.yaml": permissions}


def project(permissions: str) -> Blueprint:
    found = load_bundle(sources(permissions))
    assert found.blueprint is not None, [each.message("en") for each in found.diagnostics[:5]]
    return found.blueprint


def policies(lines: int) -> str:
    """So many clauses over the entities of the mini project, by as many roles as that takes."""
    entities = ("lot", "item", "supplier", "nonconformance", "serial_unit")
    found: list[str] = []
    written = 0
    while written < lines:
        may = []
        for entity in entities:
            may.append(
                f'  {entity}: {{read: always, create: always, update: "created_by == user.id",'
                f' void: "created_by == user.id", audit: always}}'
            )
            written += 5
            if written >= lines:
                break
        found.append(f"role: r{len(found)}\nlabel: {{zh: 角色, en: Role}}\nsites: own\nmay:\n" + "\n".join(may) + "\n")
    return "---\n".join(found)


def seconds(work: Callable[[], Any], repeat: int = 1) -> float:
    began = time.process_time()
    for _ in range(repeat):
        work()
    return (time.process_time() - began) / repeat


def everything(decision: Decision) -> None:
    """Ask about each entity and field: a decision works out only what is asked about."""
    for access in decision.entities.values():
        for field in access.fields:
            access.fields.get(field)


def decisions() -> Iterator[str]:
    """Everything in CPU seconds of this process; the ratio is to the smallest."""
    base: float | None = None
    for lines in (50, 500, 5_000):
        blueprint = project(policies(lines))
        assert blueprint.policies is not None
        roles = tuple(blueprint.policies.roles)
        judgement = Judgement(blueprint)
        fill_ = seconds(judgement.fill)
        who = Person(UUID(int=9), "x", "X", roles[:2], (SITE,), SITE, scopes={r: Scope((SITE,), None) for r in roles})
        deciding, context = Deciding(blueprint, OPERATOR), Context(who, "bench")
        first = seconds(lambda: everything(deciding(context)))  # noqa: B023
        later = min(seconds(lambda: deciding(context), 20_000) for _ in range(5))  # noqa: B023
        base = base or later
        asked = lines_of(blueprint.policies, blueprint.entities["lot"])
        rows = [
            (each.role, question, str(at), each.effect)
            for at, (question, each) in enumerate((q, e) for q, es in asked.lines.items() for e in es)
        ]
        bench = Bench({name: role.inherits for name, role in blueprint.policies.roles.items()}, rows)
        enforce = seconds(lambda: bench.allowed(roles[0], "read", frozenset({"0"})), 3)  # noqa: B023
        yield (
            f"{lines:>6} lines, {len(roles):>4} roles | fill {fill_:6.2f} s | first {first * 1e3:7.1f} ms |"
            f" after {later * 1e6:5.2f} µs = {later / base:4.2f} × | one Casbin enforce {enforce * 1e3:7.2f} ms"
        )


async def reads(url: str, rounds: int) -> None:
    blueprint = project(READER)
    database = await open_database(url, clock=SystemClock())
    release = await install(database, blueprint)
    tables = Tables(blueprint, release.catalog, database.dialect)
    ids = await fill(database, tables)
    engine = GraphQLEngine(blueprint, tables, database, SystemClock())
    who = Person(UUID(int=9), "x", "X", ("reader",), (SITE,), SITE, scopes={"reader": Scope((SITE,), None)})
    context = Context(who, "bench", session=None)
    ruled, free = Deciding(blueprint, OPERATOR)(context), permit_all(blueprint)
    cases: dict[str, tuple[str, Callable[[int], dict[str, Any]], int]] = {
        "by id, 8 fields": (BY_ID, lambda at: {"id": str(ids[at % ROWS])}, 400),
        "50 rows, filtered and ordered": (LIST, lambda at: {"q": str(at % 7)}, 80),
        "nested 4 levels": (NESTED, lambda at: {}, 60),
    }

    async def run(decision: Any, case: str, at: int) -> float:
        document, variables, _ = cases[case]
        began = time.perf_counter()
        answer = await engine.execute(Question(document, None, variables(at)), Caller(context, decision))
        assert b'"errors"' not in answer.body
        return time.perf_counter() - began

    async def both(case: str) -> float:
        """One read after the other, so that a busy moment meets both; medians, so that it does not count."""
        with_rules, without = [], []
        for at in range(cases[case][2]):
            without.append(await run(free, case, at))
            with_rules.append(await run(ruled, case, at))
        return median(with_rules) / median(without)

    for case in cases:
        await both(case)
        ratios = [await both(case) for _ in range(rounds)]
        print(f"{case:<32} with rules ÷ without: {median(ratios):.2f} × ({min(ratios):.2f} … {max(ratios):.2f})")
    await database.close()


async def measured(url: str | None, rounds: int) -> None:
    if url is not None:
        await reads(url, rounds)
        return
    with tempfile.TemporaryDirectory(prefix="clew-bench-", ignore_cleanup_errors=True) as folder:
        await reads(await asyncio.to_thread(lambda: PostgresServer.start(Path(folder)).create()), rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("url", nargs="?")
    given = parser.parse_args()
    for line in decisions():
        print(line)
    asyncio.run(measured(given.url, given.rounds))


if __name__ == "__main__":
    main()
