"""The GraphQL engine of one release: text in, bytes out.

On the hot path there are two dictionary look-ups, the coercion of the variables, one statement, and the splicing of
its text into the answer.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import msgspec
from graphql import DocumentNode, OperationType, SelectionSetNode, execute_sync

from clew.api import answers
from clew.api.build import Feature
from clew.api.cost import Limits
from clew.api.documents import Invalid, make_operation
from clew.api.errors import BadRequestBody, NoOperation, TooLarge, UnknownDocument
from clew.api.exchange import Answer, Caller, Question
from clew.api.operations import (
    READ_ID,
    Call,
    Operation,
    ReadBack,
    Reading,
    answered_live,
    arguments_of,
    plan_record_selection,
)
from clew.api.planner import DISCOVERY, Planner, Selected
from clew.api.trees import Shape
from clew.api.view import READ_FEATURES, Views
from clew.identity.errors import SessionEnded
from clew.kernel.clock import Clock
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import Blueprint
from clew.records.engine import Engine as RecordEngine
from clew.records.query import plan as p
from clew.records.query.run import Prepared, prepare
from clew.records.signing.answers import SigningAnswers
from clew.records.signing.verify import Verifier
from clew.storage.blobs import Blobs
from clew.storage.engine import Connection, Database
from clew.storage.tables import Tables

_NONE: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Options:
    """How the engine behaves. `documents` maps an id to a document's text; `only_known` accepts no others."""

    limits: Limits = Limits()
    suggestions: bool = True
    documents: Mapping[str, str] = field(default_factory=dict)
    only_known: bool = False
    documents_kept: int = 500
    longest_kept: int = 20_000
    """Characters of the longest document that is kept ready."""
    shapes_kept: int = 50

    @classmethod
    def production(cls, documents: Mapping[str, str] = _NONE, *, only_known: bool = False) -> Options:
        """No introspection, no suggestions."""
        return cls(Limits(discovery=False), False, documents, only_known)


class GraphQLEngine:
    """Answers for one release. `clew.api.exchange.GraphQL` describes it for transports."""

    def __init__(
        self,
        blueprint: Blueprint,
        tables: Tables,
        database: Database,
        clock: Clock,
        options: Options | None = None,
        features: Iterable[Feature] = READ_FEATURES,
        blobs: Blobs | None = None,
    ) -> None:
        """With `blobs`, a signature is verified down to the content of the record's files."""
        self.blueprint, self.tables, self.database, self.clock = blueprint, tables, database, clock
        self._complete = SigningAnswers(Verifier(RecordEngine(blueprint, tables, ""), blobs)).complete
        self.options = options or Options()
        self.views = Views(blueprint, features)

    # ── queries and mutations ─────────────────────────────────────────────────────────────────────────────────────

    async def execute(self, question: Question, caller: Caller, *, queries_only: bool = False) -> Answer:
        """Answer a query or mutation. `queries_only` refuses mutations."""
        context = caller.context
        try:
            operation = self._operation(question, caller)
            if operation.kind is OperationType.QUERY:
                return await self._query(operation, question.variables or _NONE, caller)
            if queries_only or operation.kind is not OperationType.MUTATION:
                raise NoOperation(what="only queries are answered here" if queries_only else "subscribe over a socket")
        except Invalid as found:
            return answers.invalid(found.errors, context.locale, context.request_id)
        except SessionEnded:
            raise
        except ClewError as error:
            return answers.refused(error, context.locale, context.request_id)
        except RecursionError:
            return answers.refused(self._too_deep(), context.locale, context.request_id)
        return await self._mutation(operation, question.variables or _NONE, caller)

    async def stream(
        self, question: Question, caller: Caller, *, queries_only: bool = False
    ) -> AsyncGenerator[Answer, None]:
        """Answers of any operation: one of a query or mutation, one per event of a subscription.

        `queries_only` refuses mutations.
        """
        context = caller.context
        try:
            operation = self._operation(question, caller)
        except Invalid as found:
            yield answers.invalid(found.errors, context.locale, context.request_id)
            return
        except ClewError as error:
            yield answers.refused(error, context.locale, context.request_id)
            return
        if operation.kind is not OperationType.SUBSCRIPTION:
            yield await self.execute(question, caller, queries_only=queries_only)
            return
        try:
            [call] = self._calls(operation, question.variables or _NONE, caller)
            async for text in call.selected.spec.events(call):
                yield answers.members([(call.selected.key, text)])
        except ClewError as error:
            yield answers.failed(error, context.locale, context.request_id)

    # ── documents ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _operation(self, question: Question, caller: Caller) -> Operation:
        """The operation asked for, from the view's cache or made now."""
        view = self.views.view(caller.decision, caller.context.locale)
        text = question.document
        if text is None or self.options.only_known:
            text = self._known_document(question)
        key = (text, question.operation)
        found: Operation | None = view.documents.get(key)
        if found is None:
            options = self.options
            try:
                found = make_operation(
                    view,
                    text,
                    question.operation,
                    options.limits,
                    question.variables or _NONE,
                    suggestions=options.suggestions,
                )
            except RecursionError:
                raise self._too_deep() from None
            if len(text) <= options.longest_kept:
                _keep(view.documents, key, found, options.documents_kept)
        elif found.priced:
            found.weigh(question.variables or _NONE)
        return found

    def _too_deep(self) -> TooLarge:
        return TooLarge(what="levels", count="too many", limit=self.options.limits.depth)

    def _known_document(self, question: Question) -> str:
        """The text of a persisted document, named by `extensions.persistedQuery.sha256Hash` or `documentId`."""
        extensions = question.extensions or _NONE
        persisted = extensions.get("persistedQuery")
        id = persisted.get("sha256Hash") if isinstance(persisted, Mapping) else extensions.get("documentId")
        documents = self.options.documents
        if isinstance(id, str) and id in documents:
            return documents[id]
        if question.document is not None and question.document in documents.values():
            return question.document
        if id is None and question.document is None:
            raise BadRequestBody(what="there is no query")
        raise UnknownDocument()

    # ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _query(self, operation: Operation, variables: Mapping[str, Any], caller: Caller) -> Answer:
        context = caller.context
        args, shape = operation.coerce(variables)
        key = (shape, context.session is not None)
        prepared = operation.reads.get(key)
        if prepared is None:
            prepared = self._prepare(operation, shape, caller)
            self._remember(operation, key, prepared)
        try:
            async with self.database.read() as connection:
                text = await prepared.fetch(connection, args, context, self.clock.now())
                if operation.live:
                    text = await self._with_live(operation, variables, caller, text, connection)
        except SessionEnded:
            raise
        except ClewError as error:
            if error.status == 400:
                raise
            return answers.failed(error, context.locale, context.request_id)
        if operation.discovers:
            return self._with_discovery(operation, shape, variables, text)
        return answers.data(text)

    def _prepare(self, operation: Operation, shape: Shape, caller: Caller) -> Prepared:
        planner = operation.planner(shape, self.options.limits.paging, self.options.limits.conditions)
        roots = tuple(
            planner.item(selected, operation.root)
            for selected in planner.collect(operation.root, [operation.node.selection_set])
            if selected.name not in DISCOVERY and not answered_live(selected)
        )
        operation.live = operation.live or any(
            answered_live(each) for each in planner.collect(operation.root, [operation.node.selection_set])
        )
        return prepare(
            p.Plan(roots),
            self.blueprint,
            self.tables,
            caller.decision,
            self.database.dialect,
            session=caller.context.session is not None,
            late=tuple(planner.late),
            after=self._complete if planner.incomplete else None,
        )

    async def _with_live(
        self, operation: Operation, variables: Mapping[str, Any], caller: Caller, text: str, connection: Connection
    ) -> str:
        """What rooms of the platform answer, beside what the database said, on the same connection."""
        calls = self._calls(operation, variables, caller, live=True)
        found = [(each.selected.key, await each.selected.spec.answer(each, connection)) for each in calls]
        inner = ",".join(f"{json.dumps(key)}:{answer}" for key, answer in found)
        return "{" + ",".join(part for part in (text[1:-1], inner) if part) + "}"

    def _remember(self, operation: Operation, key: Any, prepared: Prepared) -> None:
        if len(operation.reads) >= self.options.shapes_kept:
            operation.reads.clear()
        operation.reads[key] = prepared

    def _with_discovery(self, operation: Operation, shape: Shape, variables: Mapping[str, Any], text: str) -> Answer:
        """Introspection is answered by graphql-core on the complete view and put beside what the database said."""
        planner = operation.planner(shape, self.options.limits.paging, self.options.limits.conditions)
        chosen = planner.collect(operation.root, [operation.node.selection_set])
        fields = tuple(node for each in chosen if each.name in DISCOVERY for node in each.nodes)
        if not fields:
            return answers.data(text)
        asked = replace(operation.node, selection_set=SelectionSetNode(selections=fields))
        document = DocumentNode(definitions=(asked, *operation.fragments.values()))
        result = execute_sync(operation.view.whole(), document, variable_values=operation.plain(variables))
        found = msgspec.json.encode(result.data or {}).decode()
        inner = ",".join(part for part in (text[1:-1], found[1:-1]) if part)
        return answers.data("{" + inner + "}")

    # ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _mutation(self, operation: Operation, variables: Mapping[str, Any], caller: Caller) -> Answer:
        """The fields one after the other, each in a unit of work of its own."""
        context = caller.context
        parts: list[tuple[str, str]] = []
        errors: list[dict[str, Any]] = []
        try:
            calls = self._calls(operation, variables, caller)
        except ClewError as error:
            return answers.refused(error, context.locale, context.request_id)
        for call in calls:
            key = call.selected.key
            try:
                parts.append((key, await call.selected.spec.run(call)))
            except SessionEnded as error:
                # Before anything is written the whole request may be decided anew; afterwards it is told per field.
                if not parts:
                    raise
                parts.append((key, "null"))
                errors.append(answers.error_entry(error, context.locale, context.request_id, (key,)))
            except ClewError as error:
                parts.append((key, "null"))
                errors.append(answers.error_entry(error, context.locale, context.request_id, (key,)))
        return answers.members(parts, errors)

    def _calls(
        self, operation: Operation, variables: Mapping[str, Any], caller: Caller, *, live: bool = False
    ) -> list[Call]:
        args, shape = operation.coerce(variables)
        planner = operation.planner(shape, self.options.limits.paging, self.options.limits.conditions)
        plain, wholes = operation.plain(variables), operation.wholes(variables)
        calls: list[Call] = []
        chosen = operation.chosen.get(shape)
        if chosen is None:
            chosen = planner.collect(operation.root, [operation.node.selection_set]), planner.walked
            if len(operation.chosen) >= self.options.shapes_kept:
                operation.chosen.clear()
            operation.chosen[shape] = chosen
        fields, planner.walked = chosen
        for selected in fields:
            if live and not answered_live(selected):
                continue
            if selected.name == "__typename":
                raise NoOperation(what="__typename is not a mutation")

            def reader(inner: Selected, entity: str) -> ReadBack:
                return self._reader(operation, (args, shape), caller, planner, inner, entity)

            def read(plan: p.Plan) -> Reading:
                return self._reading(plan, planner, args, caller)

            calls.append(Call(caller, selected, arguments_of(selected, plain, wholes), planner, reader, read))
        return calls

    def _reading(self, plan: p.Plan, planner: Planner, args: Mapping[str, Any], caller: Caller) -> Reading:
        prepared = self._compile(plan, planner, caller, session=caller.context.session is not None)

        async def run(connection: Connection, slots: Mapping[str, Any]) -> str:
            return await prepared.fetch(connection, {**args, **slots}, caller.context, self.clock.now())

        return run

    def _compile(self, plan: p.Plan, planner: Planner, caller: Caller, *, session: bool = False) -> Prepared:
        return prepare(
            plan,
            self.blueprint,
            self.tables,
            caller.decision,
            self.database.dialect,
            session=session,
            late=tuple(planner.late),
            after=self._complete if planner.incomplete else None,
        )

    def _reader(
        self,
        operation: Operation,
        coerced: tuple[Mapping[str, Any], Shape],
        caller: Caller,
        planner: Planner,
        selected: Selected,
        entity: str,
    ) -> ReadBack:
        """Reads back the record a payload selects; compiled once per place in the document and shape."""
        args, shape = coerced
        key = ("read back", id(selected.nodes[0]), entity, shape)
        prepared = operation.reads.get(key)
        if prepared is None:
            planner.late.clear()
            prepared = self._compile(plan_record_selection(planner, selected, entity), planner, caller)
            self._remember(operation, key, prepared)

        async def read(connection: Connection, id: UUID) -> str:
            now = self.clock.now()
            text = await prepared.fetch(connection, {**args, READ_ID: id}, caller.context, now)
            return text[len('{"r":') : -1]

        return read


def _keep(cache: OrderedDict[Any, Any], key: Any, value: Any, size: int) -> None:
    cache[key] = value
    if len(cache) > size:
        cache.popitem(last=False)
