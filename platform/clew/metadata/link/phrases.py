"""Stock phrases of a workflow or step: words offered for comments."""

from __future__ import annotations

from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.link.project import Linking
from clew.metadata.source import AnyNode, find
from clew.metadata.spec.words import Label, text_of


def phrases(linking: Linking, given: tuple[Label, ...], node: AnyNode, path: str) -> tuple[Bilingual, ...]:
    """Each says something, and none is offered twice."""
    found: list[Bilingual] = []
    for index, each in enumerate(given):
        text, at = text_of(each), find(node, index)
        if not text:
            linking.findings.add(rules.MISSING_KEY, at.place, path=f"{path}.{index}", key="zh")
        elif text in found:
            linking.findings.add(
                rules.BAD_VALUE,
                at.place,
                path=f"{path}.{index}",
                value=text.to("en"),
                reason="it is offered already",
                reason_zh="已列出",
            )
        found.append(text)
    return tuple(found)
