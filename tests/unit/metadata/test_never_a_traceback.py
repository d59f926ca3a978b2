"""Whatever stands in the files, loading answers with findings at real places, never with an exception."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from clew.metadata.load import load_folder, load_sources

MINI = Path(__file__).parents[2] / "projects" / "mini"
SOURCES = dict(load_folder(MINI).blueprint.sources)  # type: ignore[union-attr]
PIECES = [
    "",
    "- ",
    "  ",
    "\n",
    "\t",
    "&a ",
    "*a",
    "!x ",
    "---\n",
    "? ",
    *[":", "{", "}", "[", "]", "'", '"', "|", ">", "#", "%", "@", "`", "\\", "不"],
]
PIECES += ["null", "true", "12", "1.5", "'a'", "[]", "{}", "{a:", "1}", "''", "size(lots)", ","]
WORDS = ["lot", "item", "text", "x y", "a.b", "{seq:3}", "'"]
KEYS = "entity fields type of label en states unique from to range rules require posts key add index number rule years"
BEHAVIOUR = "states transitions unique no_overlap acyclic index rules posts"
TRAITS = "label fields key number title per_site retention part_of scope class renamed_from plural system"
SHAPES = f"{BEHAVIOUR} {TRAITS}".split()
SMALL = {"clew.yaml": "project: odd\n", "models/site.yaml": SOURCES["models/site.yaml"]}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, max_size=5),
    max_leaves=12,
)
FILES = {
    "models/odd.yaml": [
        *(f"entity: odd\n{name}: " for name in SHAPES),
        "code_list: odd\nvalues: ",
        "coding_rule: odd\npattern: ",
        "entity: site\noverlay: true\nfields: ",
    ],
    "i18n/odd.yaml": ["labels: zh\ntexts: "],
    "clew.yaml": ["project: odd\noverlays: "],
}


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, str]:
    """The mini project with one to three stretches replaced by something else."""
    sources = dict(SOURCES)
    for _ in range(draw(st.integers(1, 3))):
        file = draw(st.sampled_from(sorted(sources)))
        text = sources[file]
        start = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 1, 2, 5, 20, 100]))
        sources[file] = text[:start] + draw(st.sampled_from(PIECES)) + text[start + length :]
    return sources


def assert_answered(sources: dict[str, str]) -> None:
    loaded = load_sources(sources)
    errors = [each for each in loaded.diagnostics if each.severity == "error"]
    assert (loaded.blueprint is None) == bool(errors)
    for finding in loaded.diagnostics:
        lines = [*sources.get(finding.place.file, "").splitlines(), ""]
        assert finding.place.line <= len(lines)
        for text in (finding.message("en"), finding.message("zh"), finding.hint("en"), finding.hint("zh")):
            assert "pydantic" not in text
            assert "Traceback" not in text
        assert finding.message("en")
        assert finding.message("zh")


@settings(max_examples=150)
@given(damaged())
def test_damage_is_reported(sources: dict[str, str]) -> None:
    assert_answered(sources)


@settings(max_examples=300)
@given(st.sampled_from([(file, text) for file, texts in FILES.items() for text in texts]), VALUES)
def test_any_shape_is_answered(place: tuple[str, str], value: object) -> None:
    """Each key may hold any shape whatsoever."""
    file, text = place
    assert_answered({**SMALL, file: text + json.dumps(value) + "\n"})
