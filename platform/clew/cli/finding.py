"""What `clew doctor` says about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clew.kernel.text import Bilingual

State = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `mend` says what to do when it is not well."""

    subject: Bilingual
    state: State
    found: Bilingual
    mend: Bilingual = Bilingual()


def same(text: str) -> Bilingual:
    """A text that is the same in both languages."""
    return Bilingual(text, text)
