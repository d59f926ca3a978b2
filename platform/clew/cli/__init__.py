"""The commands, one group per file. Heavy imports happen inside a command, so that `clew --help` is quick."""

from __future__ import annotations


def main() -> None:
    """Entry point of `clew`."""
    from clew.kernel.collector import uncollected

    with uncollected():
        from clew.cli.app import run

    raise SystemExit(run())
