"""What a transport hands to the GraphQL engine, and what it gets back: bytes, never Python objects."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from clew.access.decision import Decision
from clew.kernel.context import Context


@dataclass(frozen=True, slots=True)
class Question:
    """One GraphQL-over-HTTP request. No `document` means: a persisted one, named in `extensions`."""

    document: str | None
    operation: str | None = None
    variables: Mapping[str, Any] | None = None
    extensions: Mapping[str, Any] | None = None


class RequestBody(msgspec.Struct):
    """The JSON a client sends, over HTTP and inside a WebSocket message."""

    query: str | None = None
    operationName: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None

    def question(self) -> Question:
        return Question(self.query, self.operationName, self.variables, self.extensions)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what they may do in the release that answers."""

    context: Context
    decision: Decision


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete GraphQL response as JSON text. `executed` is False for a request error: it has no `data` entry."""

    body: bytes
    executed: bool


class GraphQL(Protocol):
    """The engine of one release, as transports see it."""

    async def execute(self, question: Question, caller: Caller, *, queries_only: bool = False) -> Answer:
        """Answer a query or mutation. `queries_only` refuses mutations (GET)."""
        ...

    def stream(self, question: Question, caller: Caller, *, queries_only: bool = False) -> AsyncGenerator[Answer, None]:
        """Answers of any operation: one of a query or mutation, one per event of a subscription.

        `queries_only` refuses mutations (GET).
        """
        ...
