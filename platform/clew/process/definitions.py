"""Definitions by digest: those of the release, and earlier ones that instances are pinned to, linked again."""

from __future__ import annotations

from dataclasses import dataclass, field

from clew.kernel.text import Bilingual
from clew.metadata.blueprint import Blueprint
from clew.metadata.link.workflows import link_again, pinned_text
from clew.metadata.processes import Workflow
from clew.process import store
from clew.process.errors import DefinitionGone, ProcessesWouldBreak
from clew.process.store import Definition
from clew.storage.engine import Connection


@dataclass(slots=True)
class Definitions:
    """Looks definitions up; a text is linked once."""

    blueprint: Blueprint
    release: str
    _known: dict[str, Workflow] = field(init=False)

    def __post_init__(self) -> None:
        self._known = {each.digest: each for each in self.blueprint.workflows.values()}

    async def of(self, connection: Connection, digest: str) -> Workflow:
        """The definition with this digest. Raises DefinitionGone when the present release does not bear it."""
        found = self._known.get(digest)
        if found is None:
            stored = await store.definition(connection, digest)
            if stored is None:
                raise DefinitionGone(problem=digest)
            again, problems = link_again(stored.workflow, stored.file, stored.source, self.blueprint)
            if again is None:
                raise DefinitionGone(problem="; ".join(each.message("en") for each in problems[:3]))
            # The present release may say the same in other words of its own: what counts is what was pinned.
            found = self._known[digest] = again.addressed(digest)
        return found

    def text_of(self, workflow: Workflow) -> Definition:
        """What to keep of a definition of this release."""
        file = workflow.place.file
        return Definition(workflow.digest, workflow.name, file, pinned_text(file, self.blueprint))


async def require_borne(connection: Connection, blueprint: Blueprint) -> None:
    """Before a release is applied: every instance that lives must be able to go on under it, by the definition it began
    with. Raises ProcessesWouldBreak with each definition that cannot, how many instances follow it, and why."""
    broken = []
    offered = {each.digest for each in blueprint.workflows.values()}
    for digest, count in await store.definitions_in_use(connection):
        if digest in offered:
            continue
        stored = await store.definition(connection, digest)
        again, problems = (
            (None, ()) if stored is None else link_again(stored.workflow, stored.file, stored.source, blueprint)
        )
        if again is None:
            name = digest[:12] if stored is None else stored.workflow
            reasons = {
                locale: "; ".join(f"{each.place} {each.message(locale)}" for each in problems[:3]) or "–"
                for locale in ("zh", "en")
            }
            broken.append((name, count, reasons))
    if broken:
        raise ProcessesWouldBreak(
            which=Bilingual(
                "; ".join(f"{name}({count} 个在办):{reasons['zh']}" for name, count, reasons in broken),
                "; ".join(f"{name} ({count} running): {reasons['en']}" for name, count, reasons in broken),
            )
        )
