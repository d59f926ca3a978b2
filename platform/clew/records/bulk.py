"""Many rows in one transaction, with a report per row.

Rows run in chunks under one savepoint. A chunk with a refused row is rolled back and run again row by row, so that
good data costs almost nothing and bad data is named exactly.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from clew.kernel.errors import BadInput, ClewError, Unavailable
from clew.kernel.text import Bilingual
from clew.records import verbs
from clew.records.errors import TooManyUnseen
from clew.records.numbers import Restart

if TYPE_CHECKING:
    from clew.records.unit import Unit

Mode = Literal["all", "good", "dry"]
Prepare = Callable[["Unit", Mapping[str, Any], Sequence[str | int]], Awaitable[Mapping[str, Any]]]
"""Makes the input of a row when its turn comes, so that it may look up what rows before it have written."""
CHUNK = 200


@dataclass(frozen=True, slots=True)
class RowReport:
    """What became of one row. `error` keeps code, path and both languages."""

    index: int
    id: UUID | None = None
    row_version: int | None = None
    created: bool = False
    error: ClewError | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        """For the ledger. A refused row is kept with its code and texts."""
        error = self.error
        return {
            "index": self.index,
            "id": str(self.id) if self.id else None,
            "row_version": self.row_version,
            "created": self.created,
            "error": error
            and {"code": error.code, "path": list(error.path), "zh": error.message("zh"), "en": error.message("en")},
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> RowReport:
        record_id = UUID(kept["id"]) if kept["id"] else None
        error = kept["error"]
        return cls(
            kept["index"], record_id, kept["row_version"], kept["created"], _Repeated.of(error) if error else None
        )


class _Repeated(BadInput):
    """A refusal told again from the ledger."""

    en, zh = "{what}", "{what}"

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> _Repeated:
        found = cls(path=kept["path"], what=Bilingual(kept["zh"], kept["en"]))
        found.code = kept["code"]  # type: ignore[misc]
        return found


async def run_rows(
    unit: Unit,
    entity: str,
    rows: Sequence[Mapping[str, Any]],
    verb: str,
    progress: Callable[[int], None] | None = None,
    prepare: Prepare | None = None,
) -> list[RowReport]:
    """Run every row; refused ones are rolled back, each on its own, and reported.

    Whether refused rows undo the others is the caller's business.
    """
    reports: list[RowReport] = []
    for start in range(0, len(rows), CHUNK):
        chunk = list(enumerate(rows[start : start + CHUNK], start))
        done = await _chunk(unit, entity, chunk, verb, prepare)
        if done is None:
            done = [await _row(unit, entity, at, row, verb, prepare) for at, row in chunk]
        reports.extend(done)
        if progress is not None:
            progress(len(reports))
    return reports


async def _chunk(
    unit: Unit, entity: str, chunk: Sequence[tuple[int, Mapping[str, Any]]], verb: str, prepare: Prepare | None
) -> list[RowReport] | None:
    """All rows of a chunk, or None after undoing them because one was refused."""
    mark, unseen = unit.mark(), len(unit.unseen)
    await unit.connection.run_sql("SAVEPOINT rows")
    try:
        reports = [await _apply(unit, entity, at, row, verb, prepare) for at, row in chunk]
    except (Restart, Unavailable, TooManyUnseen):
        raise
    except ClewError:
        del unit.unseen[unseen:]  # each row is asked again
        await unit.connection.run_sql("ROLLBACK TO SAVEPOINT rows")
        await unit.connection.run_sql("RELEASE SAVEPOINT rows")
        unit.back_to(mark)
        return None
    await unit.connection.run_sql("RELEASE SAVEPOINT rows")
    return reports


async def _row(
    unit: Unit, entity: str, at: int, row: Mapping[str, Any], verb: str, prepare: Prepare | None
) -> RowReport:
    mark = unit.mark()
    await unit.connection.run_sql("SAVEPOINT row")
    try:
        report = await _apply(unit, entity, at, row, verb, prepare)
    except (Restart, Unavailable, TooManyUnseen):
        raise
    except ClewError as error:
        await unit.connection.run_sql("ROLLBACK TO SAVEPOINT row")
        await unit.connection.run_sql("RELEASE SAVEPOINT row")
        refused = [each for each in unit.traces[mark.traces :] if each.outcome == "refused"]
        unit.back_to(mark)
        unit.traces += refused
        return RowReport(at, error=error)
    await unit.connection.run_sql("RELEASE SAVEPOINT row")
    return report


async def _apply(
    unit: Unit, entity: str, at: int, row: Mapping[str, Any], verb: str, prepare: Prepare | None
) -> RowReport:
    path = ("inputs", at)
    if prepare is not None:
        row = await prepare(unit, row, path)
    if verb == "create":
        record = await verbs.create(unit, entity, row, path)
        return RowReport(at, record["id"], record["row_version"], True)
    if verb == "upsert":
        record, created = await verbs.upsert(unit, entity, row, path)
        return RowReport(at, record["id"], record["row_version"], created)
    if verb == "update":
        record = await verbs.update(unit, entity, row["id"], row["row_version"], row["input"], (*path, "input"))
        return RowReport(at, record["id"], record["row_version"])
    if verb == "void":
        record = await verbs.void(unit, entity, row["id"], row["row_version"])
        return RowReport(at, record["id"], record["row_version"])
    raise BadInput(path=path, what=Bilingual(f"不支持的批量操作 {verb}", f"There is no bulk {verb}"))
