"""Names over releases: a rename keeps its data, and so does the way back."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from clew.storage.layout import earlier_name


@dataclass(frozen=True)
class Named:
    renamed_from: tuple[str, ...] = ()


PLAIN, FROM_A, FROM_B = Named(), Named(("a",)), Named(("b",))


@pytest.mark.parametrize(
    ("old", "new", "name", "earlier"),
    [
        ({"a": PLAIN}, {"a": PLAIN}, "a", "a"),
        ({"a": PLAIN}, {"b": FROM_A}, "b", "a"),
        ({"b": FROM_A}, {"b": FROM_A}, "b", "b"),
        ({"b": FROM_A}, {"a": PLAIN}, "a", "b"),
        ({"b": FROM_A}, {"a": PLAIN, "b": PLAIN}, "a", None),
        ({"b": FROM_A}, {"a": PLAIN, "c": FROM_B}, "c", "b"),
        ({"b": FROM_A}, {"a": PLAIN, "c": FROM_B}, "a", None),
        ({"b": Named(("a", "z"))}, {"a": PLAIN, "z": PLAIN}, "z", None),
        ({"b": Named(("a", "z"))}, {"a": PLAIN, "z": PLAIN}, "a", "b"),
        ({"x": PLAIN}, {"a": PLAIN}, "a", None),
    ],
)
def test_what_a_name_was_before(old: dict[str, Named], new: dict[str, Named], name: str, earlier: str | None) -> None:
    assert earlier_name(name, new[name].renamed_from, old, new) == earlier
