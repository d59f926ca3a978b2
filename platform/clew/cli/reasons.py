"""Why somebody administers: asked for wherever what is done is the trail's to explain (21 CFR 11.10(e), Annex 11)."""

from __future__ import annotations

from typing import Annotated

import typer

from clew.cli.usage import WrongUsage
from clew.cli.words import t


class ReasonMissing(WrongUsage):
    """Blanks, and characters nobody sees, are no reason."""

    code = "REASON_MISSING"
    en, zh = "Say why with {option}: it stands in the trail.", "请用 {option} 说明原因,将记入审计轨迹。"


def stated(text: str, option: str = "--reason") -> str:
    """The reason as it is kept. Raises ReasonMissing for a blank one, BadInput for what a reason cannot be."""
    from clew.records.spoken import spoken

    given = spoken(text, option)
    if not given:
        raise ReasonMissing(option=option)
    return given


def _reason(given: str) -> str:
    return stated(given)


def _note(given: str) -> str:
    return stated(given, "--note")


Reason = Annotated[
    str, typer.Option("--reason", help=t("Why; it stands in the trail.", "原因,记入审计轨迹。"), callback=_reason)
]
Note = Annotated[
    str, typer.Option("--note", help=t("What it is for; it stands in the bundle.", "说明,载入发布包。"), callback=_note)
]
