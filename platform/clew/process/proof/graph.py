"""What a walk through a process found: its worlds, what leads from one to the next, and what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from clew.kernel.text import Bilingual
from clew.process.proof.world import World


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that may happen: what is told of it, whether nobody need do anything for it."""

    text: Bilingual
    automatic: bool
    replay: dict[str, Any] = field(default_factory=dict)
    assuming: tuple[str, ...] = ()

    def given(self, assumed: tuple[str, ...]) -> Move:
        """The same, with what was assumed for it."""
        return replace(self, assuming=assumed) if assumed else self


@dataclass(frozen=True, slots=True)
class Refusal:
    """What somebody or something could not do at a world, and why."""

    step: str
    why: Bilingual
    unsigned: str | None = None
    impossible: bool = False


@dataclass(slots=True)
class Graph:
    """Every world that was reached, by number; the first is the beginning."""

    worlds: list[World] = field(default_factory=list)
    came: list[tuple[int, Move] | None] = field(default_factory=list)
    """From which world and by what move each was reached first."""
    edges: list[list[tuple[int, bool]]] = field(default_factory=list)
    """Where each leads, and whether by itself."""
    moves: list[list[tuple[int, Move]]] = field(default_factory=list)
    """The same with what was done."""
    refusals: list[tuple[Refusal, ...]] = field(default_factory=list)
    refused: list[tuple[Refusal, Move]] = field(default_factory=list)
    """Beginnings that come to nothing."""
    walked: int | None = None
    """Worlds from this number on were reached and not walked further; None when all were."""
    passed: set[str] = field(default_factory=set)
    """Paths of every step that was begun, those included that are over at once."""
    bypassed: dict[tuple[str, Bilingual], int] = field(default_factory=dict)
    """Steps that get round a signature, and the place from which it was seen first."""

    def way(self, number: int) -> list[Move]:
        """What has to happen for this world to be reached."""
        moves = []
        while (came := self.came[number]) is not None:
            moves.append(came[1])
            number = came[0]
        return moves[::-1]
