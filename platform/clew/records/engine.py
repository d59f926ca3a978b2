"""What all units of work of one release share: its tables, statements, participants and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from clew.access.decision import Decision, permit_all
from clew.metadata.blueprint import Blueprint, Entity
from clew.records.judge import in_memory
from clew.records.numbers import Numbers
from clew.records.participants import Participant, Signer
from clew.records.statements import Statements
from clew.records.unseen import Book
from clew.storage.blobs import Blobs
from clew.storage.tables import Tables

T = TypeVar("T")


class Engine:
    """What all units of one release share. Immutable but for caches and number blocks."""

    def __init__(
        self,
        blueprint: Blueprint,
        tables: Tables,
        release: str,
        participants: Sequence[Participant] = (),
        signer: Signer | None = None,
        blobs: Blobs | None = None,
    ) -> None:
        self.blueprint, self.tables, self.release, self.signer = blueprint, tables, release, signer
        self.blobs = blobs
        self.statements = Statements(tables)
        self.numbers = Numbers()
        self.unseen = Book()
        self.zone = ZoneInfo(blueprint.project.time_zone)
        self._participants = {
            name: tuple(each for each in participants if each.wants(entity))
            for name, entity in blueprint.entities.items()
        }
        self._statements: dict[Any, Any] = {}
        self._plain: dict[str, bool] = {}
        self._process: Decision | None = None

    def plain(self, entity: Entity) -> bool:
        """Whether a record of this entity is one row and decides all its rules by itself."""
        found = self._plain.get(entity.name)
        if found is None:
            found = self._plain[entity.name] = (
                not (entity.postings or entity.no_overlaps or entity.acyclics)
                and all(each.stored or each.computed is not None for each in entity.fields.values())
                and all(in_memory(rule.condition, entity) for rule in entity.rules)
                and all(
                    each.required_when is None or in_memory(each.required_when, entity)
                    for each in entity.fields.values()
                )
            )
        return found

    @property
    def process(self) -> Decision:
        """What a process may do: whatever its definition, reviewed and released, says."""
        if self._process is None:
            self._process = permit_all(self.blueprint)
        return self._process

    def participants(self, entity: str) -> tuple[Participant, ...]:
        return self._participants[entity]

    def remember(self, key: Any, build: Callable[[], T], keep: Any = None) -> T:
        """A statement built once; the cache is bounded because its keys hold the caller's grants.

        `keep` holds on to objects whose identity is part of the key.
        """
        found = self._statements.get(key)
        if found is None:
            if len(self._statements) > 5_000:
                self._statements.clear()
            found = self._statements[key] = (build(), keep)
        built: T = found[0]
        return built
