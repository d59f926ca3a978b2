"""What a process costs: completing a task, many open instances, a long history, due timers, beside SpiffWorkflow.

    python -m benchmarks.process [--few 1000] [--many 100000] [--timers 100000] [--rounds 4] [--requests 100]
                                 [--workers 1] [--only complete,history,events,timers,spiff]
                                 [--kinds effects,released,timed] [--json FILE]

Everything durable, on one PostgreSQL. `complete`: a task with lock, guards, three records written, trail and outbox,
through GraphQL over HTTP with a session, against the bare insert handler of `benchmarks.run`; the same among few and
among many open instances, in turns, so that what else the machine does meets all of them. `--workers`: so many
processes of the server, and as many of the bare one. Ratios of processor time stand beside those of throughput: the
machine is seldom alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import psutil

from benchmarks import data, process_data, process_events, run
from benchmarks.meter import Meter
from benchmarks.process_data import SECRET, caller, multiply, open_tasks
from benchmarks.storm import Storm, storm
from clew.process import jobs
from clew.runtime import RuntimeHost, open_runtime
from clew.settings import Settings

SIZE = data.Size(items=200, lots=1000)
KINDS = ("effects", "released", "timed")
"""The workflows whose task is completed: three effects on three records, which has a target; a form and a state of the
record besides; and that with time limits."""
PARTS = ("complete", "history", "events", "timers", "spiff")
COMMAND = (sys.executable, "-m", "benchmarks.peers.process_server", "{port}")
HEADERS = {"Authorization": f"Bearer {SECRET}", "Accept": "application/json"}
WORKERS = 2
"""Processes that sweep timers at once."""

Report = dict[str, Any]


def completion(workflow: str, step: str, task: UUID, outcome: str = "done") -> bytes:
    """The request that completes a task."""
    name = f"{workflow}{step.capitalize()}"
    text = (
        f"mutation Complete($task: ID!, $input: {name[0].upper()}{name[1:]}Input) "
        f"{{ {name}(task: $task, outcome: {outcome}, input: $input) {{ process {{ status at }} }} }}"
    )
    variables: dict[str, Any] = {"task": str(task), "input": {"reading": "2.5"}}
    if workflow == "effects":
        text = text.replace(f", $input: {name[0].upper()}{name[1:]}Input", "").replace(", input: $input", "")
        del variables["input"]
    return json.dumps({"query": text, "variables": variables}).encode()


async def runtime(url: str, folder: Path) -> RuntimeHost:
    """The platform in this process. Its own workers are stopped: what is measured is told to it."""
    host = await open_runtime(Settings(database_url=url, project=folder, blobs=folder))
    for task in host._tasks:
        task.cancel()
    return host


async def furnish(url: str, copies: int, folder: Path, kinds: Sequence[str] = KINDS) -> None:
    """The project, its people, and this many open instances of the workflows that are completed."""
    await process_data.install(url)
    host = await runtime(url, folder)
    connection = await asyncpg.connect(url)
    try:
        await data.load(connection, SIZE)
        for workflow in kinds:
            one = await process_data.start(host, workflow, f"TEMPLATE-{workflow}")
            await multiply(connection, one, f"TEMPLATE-{workflow}", copies // len(kinds))
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")  # or the first rounds pay for what was loaded
    finally:
        await connection.close()
        await host.close()


def told(storms: list[Storm], spent: list[tuple[float, float]]) -> Report:
    return {
        "rps": [round(each.rate, 1) for each in storms],
        "p50_ms": median(each.share(0.5) * 1e3 for each in storms),
        "p99_ms": median(each.share(0.99) * 1e3 for each in storms),
        "server_ms": median(each[0] for each in spent),
        "database_ms": median(each[1] for each in spent),
        "cpu_ms": [sum(each) for each in spent],
    }


# ── completing a task ─────────────────────────────────────────────────────────────────────────────────────────────


async def complete(
    live: dict[str, tuple[run.Live, str]],
    postmaster: psutil.Process | None,
    requests: int,
    rounds: int,
    kinds: Sequence[str],
) -> Report:
    """Every round: the bare insert, then each workflow's task on each database."""
    storms: dict[str, list[Storm]] = {}
    spent: dict[str, list[tuple[float, float]]] = {}
    for turn in range(rounds + 1):
        for name, ((_server, port, process, _start), url) in live.items():
            asked: list[tuple[str, str, list[bytes]]] = []
            if name == "bare":
                given = run.questions("insert", SIZE, requests * 5)
                bodies = [json.dumps({**each["input"], "lotNo": secrets.token_hex(8)}).encode() for each in given]
                asked.append((name, "/insert", bodies))
            else:
                for workflow in kinds:
                    tasks = await _asked(url, open_tasks, workflow, "inspect", requests if turn else requests // 4 + 1)
                    bodies = [completion(workflow, "inspect", each) for each in tasks]
                    asked.append((f"{name} {workflow}", "/graphql", bodies))
            for case, path, bodies in asked:
                before = await _asked(url, _done_tasks) if name != "bare" else 0
                meter = Meter(process, postmaster)
                found = await storm(port, path, bodies, HEADERS if name != "bare" else {}, run.CONNECTIONS)
                each = meter.each(len(bodies))
                if name != "bare" and await _asked(url, _done_tasks) - before != len(bodies):
                    raise SystemExit(f"{case}: not every task that was answered is done")
                if turn:  # the first round only warms up
                    storms.setdefault(case, []).append(found)
                    spent.setdefault(case, []).append(each)
    return {case: told(each, spent[case]) for case, each in storms.items()}


async def _done_tasks(connection: asyncpg.Connection[Any]) -> int:
    return int(await connection.fetchval("SELECT count(*) FROM clew_task WHERE status = 'done'"))


async def _asked(url: str, question: Any, *given: Any) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await question(connection, *given)
    finally:
        await connection.close()


# ── a long history ────────────────────────────────────────────────────────────────────────────────────────────────


async def history(live: run.Live, url: str, postmaster: psutil.Process | None, folder: Path) -> Report:
    """One instance goes round: what a completion costs after so many."""
    _server, port, process, _start = live
    host = await runtime(url, folder)
    found = await process_data.start(host, "rounds", f"ROUNDS-{secrets.token_hex(4)}")
    await host.close()
    connection = await asyncpg.connect(url)
    report: Report = {}
    query = "SELECT id FROM clew_task WHERE process = $1 AND status = 'open'"
    done = 0
    try:
        for until, measured in ((10, 0), (60, 50), (250, 0), (300, 50), (950, 0), (1000, 50)):
            meter, began, count = Meter(process, postmaster), time.perf_counter(), until - done
            while done < until:
                task = await connection.fetchval(query, found.process)
                await storm(port, "/graphql", [completion("rounds", "look", task, "again")], HEADERS, 1)
                done += 1
            if measured:
                server, database = meter.each(count)
                wall = (time.perf_counter() - began) * 1e3 / count
                report[f"{until - measured}–{until}"] = {"server_ms": server, "database_ms": database, "ms": wall}
    finally:
        await connection.close()
    return report


async def events(live: run.Live, url: str, postmaster: psutil.Process | None, requests: int, rounds: int) -> Report:
    """Completions while nobody and while somebody listens."""
    _server, port, process, _start = live

    async def one() -> tuple[float, float, float]:
        tasks = await _asked(url, open_tasks, "released", "inspect", requests)
        meter, began = Meter(process, postmaster), time.perf_counter()
        await storm(port, "/graphql", [completion("released", "inspect", each) for each in tasks], HEADERS, 1)
        wall = (time.perf_counter() - began) * 1e3 / len(tasks)
        await asyncio.sleep(0.5)  # the server sends what it has to send
        return (wall, *meter.each(len(tasks)))

    return await process_events.compared(port, HEADERS, one, rounds)


# ── timers ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def timers(url: str, count: int, folder: Path) -> Report:
    """So many instances whose one alert is due, swept by several processes: how fast, and each once."""
    await process_data.install(url)
    host = await runtime(url, folder)
    one = await process_data.start(host, "reminded", "TEMPLATE-reminded")
    await host.close()
    connection = await asyncpg.connect(url)
    try:
        await multiply(connection, one, "TEMPLATE-reminded", count - 1)
        earlier = "- interval '1 day'"
        await connection.execute(f"UPDATE clew_process_timer SET since = since {earlier}, due_at = due_at {earlier}")
        await connection.execute(f"UPDATE clew_job SET run_at = run_at {earlier} WHERE kind = 'process.timer'")
        await connection.execute("VACUUM ANALYZE")
        began = time.perf_counter()
        sweeping = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.process", "--sweep", url, cwd=run.HERE.parent,
                stdout=asyncio.subprocess.PIPE,
            )
            for _ in range(WORKERS)
        ]  # fmt: skip
        said = [json.loads((await each.communicate())[0]) for each in sweeping]
        seconds = time.perf_counter() - began
        query = "SELECT process, count(*) FROM clew_process_log WHERE what = 'alert' GROUP BY process"
        fired = [row[1] for row in await connection.fetch(query)]
    finally:
        await connection.close()
    if fired != [1] * count:
        raise SystemExit(f"{count} alerts were due, {sum(fired)} were fired of {len(fired)} instances")
    return {
        "timers": count,
        "workers": WORKERS,
        "seconds": seconds,
        "rate": count / seconds,
        "server_ms": sum(each["cpu"] for each in said) * 1e3 / count,
        "by_worker": [each["jobs"] for each in said],
    }


async def sweep(url: str) -> None:
    """One worker: does what is due until nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        host = await runtime(url, Path(folder))
        began, count = time.process_time(), 0
        while some := await jobs.drain(host.current.processes):
            count += some
        print(json.dumps({"jobs": count, "cpu": time.process_time() - began}))
        await host.close()


# ── beside a library ──────────────────────────────────────────────────────────────────────────────────────────────


async def spiff(url: str, postmaster: psutil.Process | None, folder: Path, instances: int, rounds: int) -> Report:
    """Five approvals one after the other, each durable: inside one process, in turns, one after the other."""
    from benchmarks.peers.spiff import TABLE, Spiff
    from clew.process.drawing.bpmn import export

    host = await runtime(url, folder)
    call, processes = await caller(host), host.current.processes
    connection = await asyncpg.connect(url)
    await connection.execute(TABLE)
    library = Spiff(connection, export(host.current.blueprint, host.current.blueprint.workflows["five"], "en"), "five")
    mine = psutil.Process()
    spent: dict[str, list[tuple[float, float, float]]] = {"spiff": [], "clew": []}
    query = "SELECT id FROM clew_task WHERE process = $1 AND status = 'open'"
    for turn in range(rounds + 1):
        theirs = [await library.begin() for _ in range(instances)]
        meter, began = Meter(mine, postmaster), time.perf_counter()
        for instance in theirs:
            while not await library.complete(instance):
                pass
        each = (*meter.each(instances * 5), (time.perf_counter() - began) * 1e3 / instances / 5)
        code = secrets.token_hex(4)
        ours = [await process_data.start(host, "five", f"FIVE-{code}-{at}") for at in range(instances)]
        before = (0.0, 0.0, 0.0)
        for _ in range(5):
            tasks = [await connection.fetchval(query, instance.process) for instance in ours]
            meter, began = Meter(mine, postmaster), time.perf_counter()
            for task in tasks:
                await processes.decide(call, task, "done")
            wall = (time.perf_counter() - began) * 1e3 / instances / 5
            server, database = meter.each(instances * 5)
            before = before[0] + server, before[1] + database, before[2] + wall
        if turn:
            spent["spiff"].append(each)
            spent["clew"].append(before)
    await connection.close()
    await host.close()
    return {
        name: dict(zip(("server_ms", "database_ms", "ms"), map(median, zip(*found, strict=True)), strict=True))
        for name, found in spent.items()
    }


# ── the whole ─────────────────────────────────────────────────────────────────────────────────────────────────────


def measure(options: argparse.Namespace) -> Report:
    """Every part that is asked for."""
    report: Report = {}
    parts, kinds = options.only.split(","), options.kinds.split(",")
    with ExitStack() as stack:
        url, postmaster = stack.enter_context(run.postgres())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        few = asyncio.run(another(url, "few"))
        asyncio.run(furnish(few, options.few, folder, kinds))
        if {"complete", "history", "events"} & set(parts):
            with ExitStack() as serving:
                workers = str(options.workers)
                bare, server = run.servers()["bare"], run.Server("clew", (*COMMAND, workers), None)
                bare = replace(bare, command=(*bare.command, "--workers", workers))
                live = {"bare": ((bare, *serving.enter_context(run.running(bare, few))), few)}
                name = f"{options.few:,} open"
                live[name] = ((server, *serving.enter_context(run.running(server, few))), few)
                if "complete" in parts and options.many:
                    many = asyncio.run(another(url, "many"))
                    asyncio.run(furnish(many, options.many, folder, kinds))
                    live[f"{options.many:,} open"] = ((server, *serving.enter_context(run.running(server, many))), many)
                if "complete" in parts:
                    asked = complete(live, postmaster, options.requests, options.rounds, kinds)
                    report["complete"] = asyncio.run(asked)
                if "events" in parts:
                    asked = events(live[name][0], few, postmaster, options.requests, options.rounds)
                    report["events"] = asyncio.run(asked)
                if "history" in parts:
                    report["history"] = asyncio.run(history(live[name][0], few, postmaster, folder))
        if "spiff" in parts:
            instances = max(4, options.requests // 10)
            report["spiff"] = asyncio.run(spiff(few, postmaster, folder, instances, options.rounds))
        if "timers" in parts:
            report["timers"] = asyncio.run(timers(asyncio.run(another(url, "timers")), options.timers, folder))
    return report


async def another(url: str, name: str) -> str:
    """A further database on the same server."""
    connection = await asyncpg.connect(url)
    made = f"bench_{name}_{secrets.token_hex(4)}"
    try:
        await connection.execute(f"CREATE DATABASE {made} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
    finally:
        await connection.close()
    from urllib.parse import urlsplit, urlunsplit

    return urlunsplit(urlsplit(url)._replace(path=f"/{made}"))


def lines(report: Report) -> Iterable[str]:
    """The report as tables."""
    if "complete" in report:
        found = report["complete"]
        yield "| completing a task | req/s (p50/p99 ms) | processor ms: server + database | of bare | by processor |"
        yield "|---|---|---|---|---|"
        bare = found["bare"]
        for case, each in found.items():
            rate = median(mine / theirs for mine, theirs in zip(each["rps"], bare["rps"], strict=True))
            # A round may be too short for the clock of processor time to have moved.
            costs = [theirs / mine for mine, theirs in zip(each["cpu_ms"], bare["cpu_ms"], strict=True) if mine]
            cost = f"{median(costs):.3f} ×" if costs else "–"
            yield (
                f"| {case} | {median(each['rps']):,.0f} ({each['p50_ms']:.1f}/{each['p99_ms']:.1f}) | "
                f"{each['server_ms']:.2f} + {each['database_ms']:.2f} | {rate:.3f} × | {cost} |"
            )
        yield ""
        for kind in KINDS:
            both = [each for case, each in found.items() if case.endswith(f" {kind}")]
            if len(both) == 2:
                few, many = both
                grown = median(m / f for m, f in zip(many["cpu_ms"], few["cpu_ms"], strict=True))
                slower = median(f / m for m, f in zip(many["rps"], few["rps"], strict=True))
                yield f"{kind}: many against few open instances: processor {grown:.2f} ×, time {slower:.2f} ×"
            yield ""
    for name, title in (("history", "completions before"), ("spiff", "five approvals, one step")):
        if name in report:
            yield f"| {title} | ms | ms of processor: server + database |"
            yield "|---|---|---|"
            for case, each in report[name].items():
                yield f"| {case} | {each['ms']:.2f} | {each['server_ms']:.2f} + {each['database_ms']:.2f} |"
            yield ""
    if "events" in report:
        yield from process_events.lines(report["events"])
    if "timers" in report:
        each = report["timers"]
        yield (
            f"{each['timers']:,} due timers swept by {each['workers']} processes in {each['seconds']:.0f} s: "
            f"{each['rate']:.0f} a second, each once; {each['server_ms']:.2f} ms of a worker's processor each"
        )


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--few", type=int, default=1000, help="open instances of the first database, of all kinds")
    made.add_argument("--many", type=int, default=100_000, help="open instances of the second")
    made.add_argument("--timers", type=int, default=100_000)
    made.add_argument("--workers", type=int, default=1, help="processes of the server, and of the bare one")
    made.add_argument("--rounds", type=int, default=4)
    made.add_argument("--requests", type=int, default=75, help="tasks completed in a turn of a round")
    made.add_argument("--only", default=",".join(PARTS))
    made.add_argument("--kinds", default=",".join(KINDS), help="workflows whose task is completed")
    made.add_argument("--json", type=Path)
    made.add_argument("--sweep", help=argparse.SUPPRESS)
    return made


def main() -> None:
    options = parser().parse_args()
    if options.sweep:
        asyncio.run(sweep(options.sweep))
        return
    wanted = options.rounds * options.requests + options.requests // 4 + 1
    kinds = options.kinds.split(",")
    if "events" in options.only and "released" not in kinds:
        raise SystemExit("events are counted where `released` is completed: --kinds must name it")
    if "complete" in options.only and wanted > options.few // len(kinds):
        least = wanted * len(kinds)
        raise SystemExit(f"{wanted} tasks of each workflow would be completed: --few must be at least {least}")
    report = measure(options)
    print("\n".join(lines(report)))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
