"""Reading YAML: what is refused, how fast, and that every place is right."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from decimal import Decimal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.kernel.diagnostics import Findings, Place
from clew.metadata.load import load_sources
from clew.metadata.positions import place_in
from clew.metadata.source import MAX_DEPTH, MapNode, ScalarNode, find, parse, plain

PROJECT = {"clew.yaml": "project: sample\n"}


def findings_of(text: str) -> list[tuple[str, int, int]]:
    found = Findings()
    parse("a.yaml", text, found)
    return [(each.code, each.place.line, each.place.column) for each in found.sorted()]


def read(text: str) -> MapNode:
    found = Findings()
    (document,) = parse("a.yaml", text, found)
    assert not len(found), found.sorted()
    return document


@pytest.mark.parametrize(
    "tag",
    ["!!python/object/apply:os.system", "!!python/name:os.system", "!!str", "!secret", "!<tag:x,1:y>", "!!binary"],
)
def test_yaml_tags_rejected(tag: str) -> None:
    text = f"entity: lot\nlabel:\n  en: {tag} [echo]\n"
    assert findings_of(text) == [("YAML_TAG", 3, 7)]
    loaded = load_sources({**PROJECT, "models/lot.yaml": text})
    assert loaded.blueprint is None
    assert any(each.place == Place("models/lot.yaml", 3, 7) for each in loaded.diagnostics)


BOMBS = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from clew.metadata.load import load_sources

def load(text):
    begin = time.process_time()
    loaded = load_sources({"clew.yaml": "project: sample\\n", "models/a.yaml": text})
    return time.process_time() - begin, {each.code for each in loaded.diagnostics}, loaded.blueprint

aliases = "a: &a [x, x]\\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\\n" for n in range(20))
bombs = {
    "YAML_ALIAS": [aliases, "a: &a [*a]\\n", "a: &a {b: *a}\\n"],
    "TOO_DEEP": ["a: " + "[" * 3000 + "]" * 3000, "a: " + "{a: " * 50_000,
                 "".join(f"{' ' * n}a:\\n" for n in range(1300)),
                 "a: " + "[" * 1_000_000, "a:\\n " + "- " * 100_000],
    "TOO_MANY_NODES": ["a: [" + "x," * 1_000_000 + "]"],
    "FILE_TOO_LARGE": ["# " + "x" * (3 << 20)],
    "YAML_SYNTAX": ["a: '" + "x" * 1_000_000, "? " * 1_000],
}
plain = "".join(
    f"---\\nentity: e{n}\\nlabel: {{zh: 甲, en: A}}\\nkey: [code]\\nfields:\\n"
    + "".join(f"  f{m}: {{type: decimal, scale: 2, min: 0, label: {{zh: 数, en: Number}}}}\\n" for m in range(30))
    + "  code: {type: text, required: true}\\n" for n in range(60))
load("entity: warm\\n")
bound, codes, blueprint = load(plain)
assert blueprint is not None, codes
for code, texts in bombs.items():
    for text in texts:
        took, codes, blueprint = load(text)
        assert blueprint is None and (code in codes or code == "YAML_SYNTAX"), (code, codes, text[:40])
        assert took <= bound, f"{code}: {took} s, a plain project takes {bound} s"
"""


def test_yaml_bomb_bounded() -> None:
    """In a process with 1 GiB: each bomb is refused in less time than a plain 120 KB project takes to load."""
    done = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


TRAPS = [
    "yes", "No", "ON", "off", "True", "FALSE", "Null", "NULL", "0123", "00",
    "0x1F", "0o17", "0b1", "1_000", "12:30:45", "1:20", "190:20:30.15", ".inf", "-.INF", ".NaN",
    "nan", "inf", "1e3", "1.5E-7", "+1", ".5", "1.", "+.5", "=", "<<",
]  # fmt: skip


@pytest.mark.parametrize("text", TRAPS)
def test_yaml_traps_are_findings(text: str) -> None:
    assert ("AMBIGUOUS_SCALAR", 1, 4) in findings_of(f"a: {text}\n")
    assert ("AMBIGUOUS_SCALAR", 1, 1) in findings_of(f"{text}: a\n")
    assert plain(read(f"a: '{text}'\n")) == {"a": text}


_SHAPES = [
    r"[+-]?[0-9]{1,4}", r"[+-]?0[0-9_]{1,4}", r"[+-]?[0-9]{1,3}_[0-9]{0,3}", r"[+-]?0[xob][0-9a-fA-F_]{1,4}",
    r"[+-]?[0-9]{1,3}(:[0-9]{1,2}){1,2}(\.[0-9]?)?", r"[+-]?[0-9]{0,3}\.[0-9]{0,3}",
    r"[+-]?[0-9]{1,3}(\.[0-9]{0,2})?[eE][+-]?[0-9]{1,2}", r"[+-]?[0-9_.:xobeE+-]{1,12}", r"[+-]?\.?(inf|nan)",
]  # fmt: skip
_CORE = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|null|Null|NULL|~|true|True|TRUE|false|False|FALSE"
)
"""What YAML 1.2's core schema reads as something else than text."""
_WORDS = ["yes", "no", "on", "off", "true", "false", "null", "inf", "nan"]


def _older_reading(text: str) -> str:
    """What YAML 1.1 makes of a plain scalar, by a reader that is not ours."""
    tag: str = yaml.resolver.Resolver().resolve(yaml.ScalarNode, text, (True, False))
    return tag.rpartition(":")[2]


@settings(max_examples=600, deadline=None)
@given(st.one_of(
    *(st.from_regex(each, fullmatch=True) for each in _SHAPES),
    st.sampled_from(_WORDS).flatmap(
        lambda word: st.tuples(*(st.sampled_from([letter, letter.upper()]) for letter in word)).map("".join)),
))  # fmt: skip
def test_yaml_ambiguity(text: str) -> None:
    """A plain scalar is a number only in the one form all versions share, a truth value only as true or false;
    everything else is either a finding or text that every version reads as text."""
    found = Findings()
    documents = parse("a.yaml", f"a: {text}\n", found)
    if not documents or len(found):
        return
    value = plain(documents[0])["a"]
    if isinstance(value, bool):
        assert text in ("true", "false")
    elif isinstance(value, int):
        assert str(value) == text or text == "-0"
    elif isinstance(value, Decimal):
        assert re.fullmatch(r"-?[0-9]+\.[0-9]+", text)
        assert Decimal(text) == value
    elif isinstance(value, str):
        assert value == text
        assert not _CORE.fullmatch(text)
        assert _older_reading(text) in ("str", "timestamp")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("%YAML 1.1\n---\na: no\n", "YAML_DIRECTIVE"),
        ("%TAG ! tag:x,1:\n---\na: b\n", "YAML_DIRECTIVE"),
        ("a: 1\na: 2\n", "DUPLICATE_KEY"),
        ("a: {b: 1, 'b': 2}\n", "DUPLICATE_KEY"),
        ("[a]: 1\n", "BAD_KEY"),
        ("a:\n", "EMPTY_VALUE"),
        ("a: b\u200bc\n", "INVISIBLE_CHARACTER"),
        ("a: b # \u202e\n", "INVISIBLE_CHARACTER"),
        ("\u2066a: b\n", "INVISIBLE_CHARACTER"),
        ("a: b\x00\n", "INVISIBLE_CHARACTER"),
        ("- a\n", "NOT_A_MAPPING"),
    ],
)
def test_refused(text: str, code: str) -> None:
    assert code in {found for found, _, _ in findings_of(text)}


def test_a_homoglyph_is_not_a_name() -> None:
    loaded = load_sources(
        {**PROJECT, "models/a.yaml": "entity: l\u043et\nkey: [code]\nfields:\n  cod\u0435: {type: text}\n"}
    )
    assert {each.code for each in loaded.diagnostics} >= {"BAD_NAME"}
    assert loaded.blueprint is None


def test_depth_is_bounded_exactly() -> None:
    nested = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert findings_of(f"a: {nested}\n") == []
    assert findings_of(f"a: [{nested}]\n") == [("TOO_DEEP", 1, 3 + MAX_DEPTH)]


STYLES = {
    "plain": "a: {}\n",
    "single": "a: '{}'\n",
    "double": 'a: "{}"\n',
    "flow": "x: 1\na: {{b: [1], c: '{}'}}\n",
    "block": "a: |\n  {}\n",
    "kept": "a: |2+\n    {}\n",
    "folded": "a: >-\n     {}\n",
}


@pytest.mark.parametrize("style", STYLES)
@given(
    words=st.lists(
        st.sampled_from(["ab", "不合格", "😀", "it''s", "\\\\", "\\u4e2d", "x > 1", "|"]), min_size=1, max_size=6
    )
)
def test_places_inside_scalars(style: str, words: list[str]) -> None:
    """The mark `@` inside a value is found where it stands in the file, whatever the quoting."""
    quoted = style in ("single", "flow")
    body = " ".join([*words, "@", words[0]]).replace("|", "/")
    body = body if style == "double" else body.replace("\\", "/")
    text = STYLES[style].format(body if quoted else body.replace("it''s", "its"))
    assert_mark(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: >\n  one\n  two\n\n  three @ four\n",
        "a: >-\n  one\n    more\n  two @\n",
        "a: |\n  one\n\n\n    two\n  @ three\n",
        'a: "one\n  two\n\n  three @ x"\n',
        "a: 'one\n  two\n\n  three @ x'\n",
        "a: one\n  two\n\n  three @ x\n",
        'a: "tab\\t \\\n   @ x"\n',
        'a: "\\x41\\u4e2d\\U0001F600 @"\n',
        "b: 1\r\na: |\r\n  one\r\n  two @\r\n",
    ],
)
def test_places_in_folded_text(text: str) -> None:
    assert_mark(text)


def assert_mark(text: str) -> None:
    node = find(read(text), "a")
    node = find(node, "c") if isinstance(node, MapNode) else node
    assert isinstance(node, ScalarNode)
    before = text[: text.index("@")]
    expected = Place("a.yaml", before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    assert place_in(node, node.text.index("@")) == expected


def test_plain_reading() -> None:
    text = textwrap.dedent("""\
        \ufeffa: 12
        b: -3.50
        c: [true, false, null, text with spaces]
        d: 2026-01-01
        e: 1.0.0
        f: "12"
        """)
    assert plain(read(text)) == {
        "a": 12,
        "b": Decimal("-3.50"),
        "c": [True, False, None, "text with spaces"],
        "d": "2026-01-01",
        "e": "1.0.0",
        "f": "12",
    }
