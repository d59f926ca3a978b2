"""Label files in i18n/: the other language of what the models say in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clew.kernel.diagnostics import nearest
from clew.kernel.text import Bilingual
from clew.metadata import rules
from clew.metadata.documents import Document
from clew.metadata.link.project import Linking
from clew.metadata.spec.others import LabelsSpec


def read_labels(documents: Iterable[Document]) -> Mapping[str, Bilingual]:
    """Texts of all label files by the name of the thing: `entity.lot.field.qty`, `code_list.severity.minor` …"""
    found: dict[str, Bilingual] = {}
    for document in documents:
        spec = document.spec
        assert isinstance(spec, LabelsSpec)
        for name, text in spec.texts.items():
            known = found.get(name, Bilingual())
            found[name] = Bilingual(text, known.en) if spec.labels == "zh" else Bilingual(known.zh, text)
    return found


def report_unused(linking: Linking) -> None:
    """A text for something that does not exist is a misspelt name."""
    known = [*linking.used_texts, *(f"entity.{name}" for name in linking.entities)]
    for document in linking.documents.get("labels", ()):
        spec = document.spec
        assert isinstance(spec, LabelsSpec)
        for name in spec.texts:
            if name not in linking.used_texts and not set(name.split(".")) & linking.holes:
                linking.findings.add(
                    rules.UNKNOWN_TEXT, document.at("texts", name, key=True), name=name, nearest=nearest(name, known)
                )
