"""What is noted while a regulated action is decided: each check with its answer and the facts it read.

Regulated is what moves a record from state to state, voids or corrects it, or changes a regulated field. A trace is
closed as allowed or refused; who opened the unit keeps it (`records.decisions.keep`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from clew.expressions.tree import Checked
from clew.kernel.errors import ClewError
from clew.metadata.blueprint import Entity, FieldKind
from clew.records.decisions.tables import tables_asked
from clew.records.values import plain

if TYPE_CHECKING:
    from clew.records.unit import Unit

Kind = Literal["grant", "state", "guard", "reason", "frozen", "rule", "signature", "separation", "refusal"]
Stage = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was asked, and the answer.

    `conditions` are the expressions as written; none and `held` means always, none and not `held` means never. `facts`
    are the record's own values they read; `elsewhere` are paths to other records, whose values the history keeps.
    """

    kind: Kind
    name: str
    held: bool
    stage: Stage = "before"
    conditions: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()


@dataclass(slots=True)
class Trace:
    """One regulated action while it is decided."""

    action: str
    """`transition:<name>`, `update`, `void` or `correct`."""
    entity: Entity
    record_id: UUID
    given: tuple[str, ...] = ()
    """Fields that were to be changed."""
    row_version: int = 0
    """The version it was decided on; 0 when the caller found no record."""
    outcome: Literal["open", "allowed", "refused"] = "open"
    code: str = ""
    checks: list[Check] = field(default_factory=list)

    def note(
        self,
        kind: Kind,
        name: str,
        held: bool,
        stage: Stage = "before",
        conditions: Sequence[Checked] = (),
        record: Mapping[str, Any] | None = None,
    ) -> None:
        """Remember an answer with what it was asked of."""
        facts, elsewhere = read_by(conditions, record or {})
        sources = tuple(each.source for each in conditions)
        self.checks.append(Check(kind, name, held, stage, sources, facts, elsewhere))

    def fact(self, kind: Kind, name: str, held: bool, **facts: Any) -> None:
        """Remember an answer that needs no expression."""
        self.checks.append(Check(kind, name, held, facts={key: plain(value) for key, value in facts.items()}))


def read_by(conditions: Sequence[Checked], record: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The record's own values that conditions read, and the paths they follow to other records."""
    facts: dict[str, Any] = {}
    elsewhere: set[str] = set()
    for condition in conditions:
        for path in condition.reads:
            if len(path) == 1 and path[0] in record:
                facts[path[0]] = plain(record[path[0]])
            else:
                elsewhere.add(".".join(path))
        facts.update(tables_asked(condition, record))
    return facts, tuple(sorted(elsewhere))


def regulated(entity: Entity, given: Any, lines: Mapping[str, Entity]) -> tuple[str, ...]:
    """Which of the given fields are regulated; a list of lines is when its lines have a regulated field."""
    found: list[str] = []
    for name in given if isinstance(given, Mapping) else ():
        known = entity.fields.get(name)
        if known is None:
            continue
        line = lines.get(known.target) if known.kind is FieldKind.LINES else None
        if known.regulated or (line is not None and any(each.regulated for each in line.fields.values())):
            found.append(name)
    return tuple(found)


@contextmanager
def decided(unit: Unit, action: str, entity: Entity, record_id: UUID, given: tuple[str, ...] = ()) -> Iterator[Trace]:
    """Decide a regulated action: whatever is asked meanwhile is noted, and how it ends."""
    trace = Trace(action, entity, record_id, given)
    outer, unit.trace = unit.trace, trace
    unit.traces.append(trace)
    try:
        yield trace
    except ClewError as error:
        if not _is_decision(error):
            raise
        trace.outcome, trace.code = "refused", error.code
        if all(each.held for each in trace.checks):
            trace.fact("refusal", error.code, False, **_shown(error))
        raise
    else:
        trace.outcome = "allowed"
    finally:
        unit.trace = outer


_RULES = ("RULE", "REASON_REQUIRED")
_ACCIDENTS = ("CONFLICT", "NOT_WHAT_WAS_SHOWN", "DUPLICATE")


def _is_decision(error: ClewError) -> bool:
    """Whether a rule said no. An input that cannot be read is none, nor is coming second (threats 34, 35)."""
    return error.code in _RULES or (error.status in (403, 404, 409) and error.code not in _ACCIDENTS)


def _shown(error: ClewError) -> dict[str, Any]:
    """Particulars of a refusal that are plain; labels and sentences are not facts."""
    return {name: value for name, value in error.params.items() if isinstance(value, str | int | bool)}
