"""What grows with the number of entities: compile, assemble, first answer, reload, a server and its memory at rest.

    python -m benchmarks.growth [--entities 6,129,500]

The pack is the middle row; the smallest is the benchmark's own project; larger ones are copies of its entities under
further names. Ratios to the pack are what to look at: absolute times are this machine's on this day. Each measurement
has a process of its own, which finds every module compiled to bytecode, as an installation once started does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

REST_SECONDS = 10.0
ROOT = Path(__file__).parents[1]


def copies(folder: Path, count: int) -> None:
    """A project of `count` entities: the benchmark's item with a reference to its neighbour, again and again."""
    (folder / "models").mkdir(parents=True)
    (folder / "clew.yaml").write_text((ROOT / "benchmarks/project/clew.yaml").read_text())
    for number in range(count):
        after = (number + 1) % count
        (folder / "models" / f"thing_{number}.yaml").write_text(
            f"entity: thing_{number}\nlabel: {{zh: 事物{number}, en: Thing {number}}}\n"
            "class: master\nkey: [code]\nfields:\n"
            "  code: {type: text, required: true, max_length: 20, label: {zh: 代码, en: Code}}\n"
            "  name: {type: text, search: true, label: {zh: 名称, en: Name}}\n"
            f"  next: {{type: ref, of: thing_{after}, label: {{zh: 下一个, en: Next}}}}\n"
            "  qty: {type: decimal, scale: 4, min: 0, label: {zh: 数量, en: Quantity}}\n"
            "  on_day: {type: date, label: {zh: 日期, en: Day}}\n"
            "states:\n  draft: {zh: 草稿, en: Draft}\n  active: {zh: 有效, en: Active}\n"
            "transitions:\n  approve: {from: draft, to: active, label: {zh: 批准, en: Approve}}\n"
            'rules:\n  - require: "qty == null || qty < 1000"\n    say: {zh: 数量过大, en: Too many}\n'
        )


async def measure(project: Path) -> dict[str, Any]:
    """Everything a worker does between its start and its first answer, step by step, in CPU seconds."""
    began = time.process_time()
    from clew.kernel.collector import starting

    with starting():  # as a server does
        found, reload = await _started(project, began)
    began = time.process_time()
    reload()
    return {**found, "reload": time.process_time() - began}


async def _started(project: Path, began: float) -> tuple[dict[str, Any], Callable[[], None]]:
    """What the steps of a start took, and what a reload is."""
    from clew.access.decision import permit_all
    from clew.access.loading import load_bundle, load_project
    from clew.api.exchange import Caller, Question
    from clew.kernel.clock import SystemClock
    from clew.kernel.context import Context
    from clew.records.feed import Feed
    from clew.runtime import assemble
    from clew.storage.blobs import Blobs
    from clew.storage.change.install import install
    from clew.storage.open import open_database

    imported = time.process_time()
    loaded = load_project(project)
    if loaded.blueprint is None:
        raise SystemExit("\n".join(f"{each.place} {each.message('en')}" for each in loaded.diagnostics[:10]))
    compiled = time.process_time()
    database = await open_database("sqlite://", clock=SystemClock())
    release = await install(database, loaded.blueprint)
    installed = time.process_time()
    clock, blobs = SystemClock(), Blobs(Path(tempfile.gettempdir()))
    runtime = assemble(release, loaded.blueprint, database, clock, Feed(database, clock), blobs)
    context, allowed = Context(runtime.operator, "bench"), permit_all(loaded.blueprint)
    entity = next(each for each in loaded.blueprint.entities.values() if each.part_of is None)
    from clew.metadata import naming

    text = f"query {{ {naming.list_query(entity.plural)} {{ totalCount nodes {{ id rowVersion }} }} }}"
    answer = await runtime.graphql.execute(Question(text, None, None, None), Caller(context, allowed))
    if b'"errors"' in answer.body:
        raise SystemExit(answer.body.decode()[:500])
    first = time.process_time()

    def reload() -> None:
        again = load_bundle(release.sources)
        assert again.blueprint is not None
        assemble(release, again.blueprint, database, clock, Feed(database, clock), blobs)

    return {
        "entities": len(loaded.blueprint.entities),
        "import": imported - began,
        "compile": compiled - imported,
        "install": installed - compiled,
        "assemble and first answer": first - installed,
        "start without install": (imported - began) + (compiled - imported) + (first - installed),
    }, reload


def at_rest(project: Path, seconds: float) -> dict[str, Any]:
    """A real `clew serve` of the project: CPU seconds until it has answered, and what it keeps when nobody asks."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        url = f"sqlite:///{folder}/rest.db"
        question = asyncio.run(_applied(project, folder, url))
        with _serving(folder, url) as (server, port):
            headers = {"content-type": "application/json"}
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", question, headers)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                assert b'"errors"' not in answer.read()
            spent = server.cpu_times()
            time.sleep(seconds)
            return {"server's first answer": spent.user + spent.system, "at rest MB": server.memory_info().rss / 2**20}


async def _applied(project: Path, folder: Path, url: str) -> bytes:
    """The project copied to a folder of its own and applied to a new database; a first question about it."""
    from clew.kernel.clock import SystemClock
    from clew.metadata import naming
    from clew.metadata.load import load_folder
    from clew.storage.change.install import install
    from clew.storage.open import open_database

    blueprint = load_folder(project).blueprint
    assert blueprint is not None
    for name, text in blueprint.sources.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    if (project / "plugins").is_dir():
        shutil.copytree(project / "plugins", folder / "plugins")
    database = await open_database(url, clock=SystemClock())
    await install(database, blueprint)
    await database.close()
    entity = next(each for each in blueprint.entities.values() if each.part_of is None)
    return json.dumps({"query": f"{{ {naming.list_query(entity.plural)} {{ totalCount }} }}"}).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _serving(folder: Path, url: str) -> Iterator[tuple[psutil.Process, int]]:
    """A server that takes whoever asks for this machine's operator, and its port."""
    port = free_port()
    command = [sys.executable, "-c", "from clew.cli import main; main()", "serve", "--port", str(port)]
    places = ["--project", str(folder), "--database-url", url]
    environment = {**os.environ, "CLEW_TRUST_THIS_MACHINE": "true"}
    with subprocess.Popen([*command, *places], stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            until = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60).close()
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > until:
                        raise SystemExit("the server did not come up") from None
                    time.sleep(0.05)
            yield psutil.Process(process.pid), port
        finally:
            process.terminate()


def in_own_process(project: Path, rest: float = REST_SECONDS, *, compiled: bool = True) -> dict[str, Any]:
    """All of it for one project; a server is looked at after so many seconds of rest. `compiled`: with bytecode of all
    modules, as an installation has it; what makes it is not counted."""
    result: dict[str, Any] = {}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    measuring = ["-m", "benchmarks.growth", "--measure", str(project)]
    resting = ["-m", "benchmarks.growth", "--rest", str(project), "--seconds", str(rest)]
    compiling = [["-c", "import clew.cli.app, clew.cli.applying, clew.web.server"], measuring]
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {**environment, "PYTHONPYCACHEPREFIX": bytecode} if compiled else dict(os.environ)
        for arguments in (*(compiling if compiled else ()), measuring, resting):
            printed = subprocess.run(
                [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
            )  # fmt: skip
            if printed.returncode:
                raise SystemExit(printed.stderr or printed.stdout)
            result |= json.loads(printed.stdout.splitlines()[-1]) if printed.stdout else {}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", default="500", help="sizes of further synthetic projects")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rest", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=REST_SECONDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure or options.rest:
        print(
            json.dumps(
                asyncio.run(measure(options.measure)) if options.measure else at_rest(options.rest, options.seconds)
            )
        )
        return
    rows = [in_own_process(ROOT / "benchmarks/project"), in_own_process(ROOT)]
    for count in (int(each) for each in options.entities.split(",") if each):
        with tempfile.TemporaryDirectory() as folder:
            copies(Path(folder) / "project", count)
            rows.append(in_own_process(Path(folder) / "project"))
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names))
    for row in rows:
        print("| " + " | ".join(str(row[name]) if name == "entities" else f"{row[name]:.2f}" for name in names) + " |")


if __name__ == "__main__":
    main()
