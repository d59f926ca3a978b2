"""What grows with the number of entities: compile, assemble, first answer, memory; each in a process of its own.

    python -m benchmarks.growth [--entities 6,129,500]

The pack is the middle row; the smallest is the benchmark's own project; larger ones are copies of its entities under
further names. Ratios to the pack are what to look at: absolute times are this machine's on this day.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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
    from clew.access.decision import permit_all
    from clew.api.exchange import Caller, Question
    from clew.kernel.clock import SystemClock
    from clew.kernel.context import Context
    from clew.metadata.load import load_folder, load_sources
    from clew.records.feed import Feed
    from clew.runtime import assemble
    from clew.storage.blobs import Blobs
    from clew.storage.change.install import install
    from clew.storage.open import open_database

    imported = time.process_time()
    loaded = load_folder(project)
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
    again = load_sources(release.sources)
    assert again.blueprint is not None
    assemble(release, again.blueprint, database, clock, Feed(database, clock), blobs)
    reloaded = time.process_time()
    await database.close()
    return {
        "entities": len(loaded.blueprint.entities),
        "import": imported - began,
        "compile": compiled - imported,
        "install": installed - compiled,
        "assemble and first answer": first - installed,
        "reload": reloaded - first,
        "start without install": (imported - began) + (compiled - imported) + (first - installed),
        "memory MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_own_process(project: Path) -> dict[str, Any]:
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", "--measure", str(project)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if printed.returncode:
        raise SystemExit(printed.stderr or printed.stdout)
    result: dict[str, Any] = json.loads(printed.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", default="500", help="sizes of further synthetic projects")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(asyncio.run(measure(options.measure))))
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
