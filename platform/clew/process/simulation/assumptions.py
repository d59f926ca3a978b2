"""What a simulation assumes: how many cases arrive, how long steps take, who is there, and what is chosen how often."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class StepAssumption(BaseModel):
    """Of one step, by its path. `takes` is the least, the likeliest and the most: working hours of one person's work
    for a task or vote, working hours on the clock for a wait, a sub-process or an action."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    takes: tuple[Amount, Amount, Amount] | None = None
    outcomes: dict[str, Amount] = {}
    """How often each outcome comes, in any measure; outcomes left out do not come. Of a sub-process too."""
    branches: list[Amount] = []
    """Of a decision the process itself cannot decide: how often each way is taken, in the order written."""
    elements: Annotated[int, Field(ge=0, le=1_000)] | None = None
    """How many records a for-each runs over."""


class Assumptions(BaseModel):
    """Everything a simulation needs beside the process itself. Each has a default that can be argued with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_day: Annotated[float, Field(gt=0, le=100_000)] = 4.0
    """Cases that arrive on a working day, on average; the time between two is exponential."""
    cases: Annotated[int, Field(gt=0, le=1_000_000)] = 2_000
    """Over all runs."""
    runs: Annotated[int, Field(ge=2, le=200)] = 20
    """Independent repetitions: what differs between them gives the confidence intervals."""
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """The share of each run's cases that only fills the house and is not counted."""
    staff: dict[str, Annotated[int, Field(ge=0, le=10_000)]] = {}
    """People a role has; `*` stands for every other role."""
    steps: dict[str, StepAssumption] = {}
    seed: int = 1


DEFAULT_STAFF = 2
