"""Taking a condition apart, and the fewest deeds that make it hold."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.expressions.shop import NOW, checked, lot

from clew.expressions import way_out
from clew.expressions.interpret import holds
from clew.expressions.way_out import Atom, atoms, holding, in_the_way, least, taken_apart

ATOMS = ("flag", "qty > 2.0", "note != null", "pieces == 4", "state in ['held', 'open']", "lots.exists(l, l.flag)")
SOURCE = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(("&&", "||")), inner).map(lambda each: f"({' '.join(each)})"),
        inner.map(lambda each: f"!({each})"),
    ),
    max_leaves=6,
)
DEEDS = st.one_of(st.none(), st.frozensets(st.integers(0, 4), min_size=1, max_size=3))


def true(atom: Atom, record: dict[str, Any]) -> bool:
    return holds(atom.condition, record, on_error=False, now=NOW)


@given(SOURCE, st.booleans(), st.sampled_from((None, "x")), st.sampled_from(("held", "released")), st.integers(3, 5))
def test_the_parts_say_together_what_the_condition_says(
    source: str, flag: bool, note: str | None, state: str, pieces: int
) -> None:
    record = lot(flag=flag, note=note, state=state, pieces=pieces, lots=[])
    whole = checked(source)
    part = taken_apart(whole)
    truths = {each: true(each, record) for each in atoms(part)}
    assert holding(part, truths) is holds(whole, record, on_error=False, now=NOW)
    assert bool(list(in_the_way(part, truths))) is not holding(part, truths)


@given(SOURCE, st.data())
def test_the_advice_makes_the_condition_hold_and_none_is_smaller(source: str, data: st.DataObject) -> None:
    part = taken_apart(checked(source))
    known = list(atoms(part))
    ways = {each: frozenset() if data.draw(st.booleans()) else data.draw(DEEDS) for each in known}
    anyway = data.draw(st.frozensets(st.integers(0, 4), max_size=2))

    def after(deeds: frozenset[int]) -> bool:
        return holding(part, {each: (way := ways[each]) is not None and way <= deeds for each in known})

    advice = least(part, ways, anyway=anyway)
    every = chain.from_iterable(combinations(range(5), size) for size in range(6))
    enough = [found for each in every if after(found := frozenset(each) | anyway)]
    assert advice.exact
    if advice.deeds is None:
        assert not enough
    else:
        assert after(advice.deeds)
        assert len(advice.deeds) == min(map(len, enough))


def test_a_way_with_less_burden_goes_before_a_shorter_one() -> None:
    part = taken_apart(checked("flag || (note != null && pieces == 4)"))
    first, second, third = atoms(part)
    ways = {first: frozenset({"bend"}), second: frozenset({"note"}), third: frozenset({"count"})}
    assert least(part, ways).deeds == frozenset({"bend"})
    assert least(part, ways, {"bend": 1}).deeds == frozenset({"note", "count"})


def test_beyond_the_bound_the_answer_holds_and_says_that_it_may_not_be_the_smallest() -> None:
    part = taken_apart(checked(" && ".join("(flag || pieces == 4)" for _ in range(10))))
    known = list(atoms(part))
    ways = {each: frozenset({at}) for at, each in enumerate(known)}
    advice = least(part, ways)
    assert way_out.BOUND < 2**10
    assert not advice.exact
    assert advice.deeds is not None
    assert holding(part, {each: ways[each] <= advice.deeds for each in known})
