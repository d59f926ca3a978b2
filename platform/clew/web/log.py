"""Logs: one JSON object a line, on stderr, bounded: a flood of requests cannot become a flood of log (threat 48).

A refused request is not logged one by one: it is counted in the metrics, and once a second a line says how many of each
code there were. Only failures of our own carry a traceback, cut to a size, one per kind and second.
"""

from __future__ import annotations

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO, cast

import structlog

LONGEST_TRACE = 4000
LONGEST_TEXT = 500
KINDS = 200
"""Different messages of libraries that are spaced out; beyond that all may speak again."""


def configure_logging(level: str, human: bool) -> None:
    """Set up structlog and route the libraries' loggers into it. `human` prints for a terminal instead of JSON."""
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        cut_long_texts,
        structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, PresentStderr())),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [Forward()]
    root.setLevel(logging.WARNING)


class PresentStderr:
    """Whatever is standard error when a line is written: loggers outlive a stream that was put in its place."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class Forward(logging.Handler):
    """Takes what libraries log into the one stream: each message once a second, its traceback cut.

    The HTTP server writes a line for every request it cannot read, which may be three bytes long.
    """

    def __init__(self, logger: Any = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._log, self._monotonic = logger, monotonic
        self._last: dict[tuple[str, str], float] = {}
        self._silent: dict[tuple[str, str], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        kind, now = (record.name, str(record.msg)[:100]), self._monotonic()
        if now - self._last.get(kind, -1.0e9) < 1.0:
            self._silent[kind] = self._silent.get(kind, 0) + 1
            return
        if len(self._last) >= KINDS:
            self._last.clear()
            self._silent.clear()
        self._last[kind] = now
        unlogged = self._silent.pop(kind, 0)
        trace = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
        more: dict[str, Any] = {"trace": trace[-LONGEST_TRACE:]} if trace else {}
        if unlogged:
            more["unlogged"] = unlogged
        log = self._log if self._log is not None else structlog.get_logger()
        log.log(record.levelno, record.getMessage(), logger=record.name, **more)


def cut_long_texts(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        if not isinstance(value, str) or key == "trace" or len(value) <= LONGEST_TEXT
        else value[:LONGEST_TEXT] + "…"
        for key, value in event.items()
    }


class RequestLog:
    """What the doors write down. `monotonic` is the clock that spaces the lines."""

    def __init__(self, logger: Any = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._log = logger if logger is not None else structlog.get_logger("clew.web")
        self._monotonic = monotonic
        self._refused: dict[str, int] = {}
        self._last_refused = 0.0
        self._last_failure: dict[str, float] = {}
        self._silent: dict[str, int] = {}

    def refused(self, code: str) -> None:
        """A request the caller is to blame for."""
        self._refused[code] = self._refused.get(code, 0) + 1
        now = self._monotonic()
        if now - self._last_refused >= 1.0:
            self._last_refused = now
            counts, self._refused = self._refused, {}
            self._log.info("refused", **counts)

    def failed(self, problem: BaseException, request_id: str, where: str) -> None:
        """A failure of our own. The caller only ever learns the request id."""
        kind = type(problem).__name__
        now = self._monotonic()
        if now - self._last_failure.get(kind, -1.0e9) < 1.0:
            self._silent[kind] = self._silent.get(kind, 0) + 1
            return
        self._last_failure[kind] = now
        trace = "".join(traceback.format_exception(problem))
        self._log.error(
            "failed",
            where=where,
            kind=kind,
            request=request_id,
            unlogged=self._silent.pop(kind, 0),
            trace=trace if len(trace) <= LONGEST_TRACE else "…" + trace[-LONGEST_TRACE:],
        )
