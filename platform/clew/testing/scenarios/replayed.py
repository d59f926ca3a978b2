"""Replaying a counterexample of the proof: the same moves on the process as it is now."""

from __future__ import annotations

from collections import deque

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.scenarios import Scenario
from clew.process.proof.explore import Walk

AHEAD = 20_000
"""How far it is looked for an end from where the moves lead."""


def replayed(blueprint: Blueprint, scenario: Scenario) -> Bilingual | None:
    """None when the way can no longer be walked, or an end can be reached from where it leads; else what is wrong."""
    graph = Walk(blueprint, blueprint.workflows[scenario.workflow], AHEAD).graph()
    at = 0
    for number, move in enumerate(scenario.moves):
        wanted = {key: value for key, value in move.items() if key != "assuming"}
        assuming = tuple(str(each) for each in move.get("assuming", ()))
        next_ = [
            target for target, found in graph.moves[at] if dict(found.replay) == wanted and found.assuming == assuming
        ]
        if not next_:
            return None
        at = next_[0]
        if number + 1 == len(scenario.moves):
            break
    seen, waiting = {at}, deque([at])
    while waiting:
        here = waiting.popleft()
        if not graph.worlds[here].state.live:
            return None
        for target, _ in graph.edges[here]:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    steps = ", ".join(sorted({each.step for each in graph.worlds[at].state.tokens.values()})) or "–"
    return Bilingual(
        f"这些动作之后流程停在 {steps},到不了结束", f"after these moves it stands at {steps}, and no end can be reached"
    )
