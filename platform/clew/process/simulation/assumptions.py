"""What a simulation assumes: how many cases arrive, how long steps take, who is there, and what is chosen how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from clew.kernel.errors import fill
from clew.kernel.text import Bilingual

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


_SAID: Mapping[str, tuple[str, str]] = {
    "extra_forbidden": ("不认识这一项", "this is not known here"),
    "missing": ("缺少这一项", "this is missing"),
    "greater_than": ("须大于 {gt}", "it must be above {gt}"),
    "greater_than_equal": ("不得小于 {ge}", "it must be at least {ge}"),
    "less_than": ("须小于 {lt}", "it must be below {lt}"),
    "less_than_equal": ("不得大于 {le}", "it must be at most {le}"),
    "too_long": ("最多 {max_length} 项", "there may be at most {max_length}"),
    "finite_number": ("须为有限的数", "it must be a finite number"),
    "string_type": ("须为文字", "it must be text"),
}
_NUMBER, _WHOLE = ("须为数字", "it must be a number"), ("须为整数", "it must be a whole number")
_LIST, _MAPPING = ("须为列表", "it must be a list"), ("须为键值映射", "it must be a mapping of keys")
_KINDS = {"float": _NUMBER, "int": _WHOLE, "list": _LIST, "tuple": _LIST, "dict": _MAPPING, "model": _MAPPING}


def problem(detail: Mapping[str, Any]) -> Bilingual:
    """What is wrong with an assumption, of an error as pydantic tells it."""
    kind, bounds = str(detail["type"]), detail.get("ctx", {})
    said = _SAID.get(kind) or _KINDS.get(kind.split("_")[0])
    if said is None:
        return Bilingual(f"值不合适({detail['msg']})", str(detail["msg"]))
    return Bilingual(fill(said[0], bounds), fill(said[1], bounds))
