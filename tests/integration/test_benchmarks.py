"""The benchmarks can still be run: the limit and the platform answer every question, and with equal amounts of data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from benchmarks import data, growth, process, run

from clew.testing.databases import TestDatabase

SIZE = data.Size(items=200, lots=1000)


def test_the_limit_and_the_platform_answer_alike(new_database: Callable[[str], TestDatabase], tmp_path: Path) -> None:
    url = new_database("postgresql").url
    asyncio.run(run.prepare(url, SIZE))
    known = run.servers()
    with ExitStack() as stack:
        live = {name: (known[name], *stack.enter_context(run.running(known[name], url))) for name in ("bare", "clew")}
        for case in ("by_id", "list", "nested", "insert"):
            assert set(run.ask_the_same(live, case, SIZE, tmp_path)) == {"bare", "clew"}


def test_growth_is_measured_from_import_to_reload() -> None:
    measured = growth.in_own_process(run.HERE / "project", rest=0.0, compiled=False)
    assert measured["entities"] == 6
    assert min(measured.values()) > 0


def test_processes_are_measured(
    new_database: Callable[[str], TestDatabase], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every task that was answered is done, beside the bare insert; every due timer rings once."""
    monkeypatch.setenv("BENCH_POSTGRES", new_database("postgresql").url)
    monkeypatch.setattr(process, "WORKERS", 1)
    small = ["--few", "12", "--many", "0", "--timers", "3", "--rounds", "1", "--requests", "2"]
    report = process.measure(process.parser().parse_args([*small, "--only", "complete,timers"]))
    assert set(report["complete"]) == {"bare", "12 open effects", "12 open released", "12 open timed"}
    assert report["timers"]["by_worker"] == [3]
    assert list(process.lines(report))
