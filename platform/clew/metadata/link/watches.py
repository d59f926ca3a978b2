"""Watches: each name once, entities that exist."""

from __future__ import annotations

from clew.kernel.text import Bilingual
from clew.metadata import naming, rules
from clew.metadata.link.project import Linking
from clew.metadata.spec.calendar import shift_of
from clew.metadata.spec.watch import WatchSpec
from clew.metadata.spec.words import text_of
from clew.metadata.watches import Watch


def link_watches(linking: Linking) -> None:
    """Every watch of the project, by name."""
    for document in linking.documents.get("watch", ()):
        spec = document.spec
        assert isinstance(spec, WatchSpec)
        earlier = linking.watches.get(spec.watch)
        if earlier is not None:
            linking.findings.add(
                rules.DUPLICATE_NAME,
                document.place,
                kind="watches",
                kind_zh="监视规则",
                name=spec.watch,
                related=[earlier.place],
            )
            continue
        for index, name in enumerate(spec.entities):
            linking.known_entity(name, document.at("entities", index), "entities")
        label = linking.label(f"watch.{spec.watch}", text_of(spec.label), Bilingual("", naming.human(spec.watch)))
        linking.watches[spec.watch] = Watch(
            spec.watch,
            document.place,
            label,
            text_of(spec.help),
            spec.severity,
            spec.of,
            spec.entities,
            spec.times,
            spec.within_minutes,
            spec.per,
            shift_of(spec.outside) if spec.outside is not None else None,
            spec.elsewhere,
        )
