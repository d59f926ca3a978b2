"""The limiter: bombs are refused by their count, in one pass, before anything is validated."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from clew.api.cost import Limits, Meter, Weight
from clew.api.documents import make_operation
from clew.api.errors import DiscoveryOff, FragmentCycle, TooLarge
from clew.api.merging import check_merging


def weigh(text: str, variables: dict[str, Any] | None = None, limits: Limits | None = None) -> Weight:
    document = parse(text)
    operation = next(each for each in document.definitions if isinstance(each, OperationDefinitionNode))
    return Meter(document, limits or Limits(), variables or {}).weigh(operation)


def bomb(levels: int) -> str:
    chain = "".join(f"fragment F{at} on Lot {{ ...F{at + 1} ...F{at + 1} }}\n" for at in range(levels))
    return f"query {{ lot(id: 1) {{ ...F0 }} }}\n{chain}fragment F{levels} on Lot {{ id number }}"


@pytest.mark.parametrize("levels", range(12, 31))
def test_fragment_dag_bomb(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[int] = []
    original = Meter._selection

    def counted(self: Meter, *args: Any, **more: Any) -> Weight:
        visited.append(1)
        return original(self, *args, **more)

    monkeypatch.setattr(Meter, "_selection", counted)
    with pytest.raises(TooLarge) as refused:
        weigh(bomb(levels))
    assert refused.value.code == "GRAPHQL_LIMIT"
    # One visit per selection set written in the document, however often it is spread.
    assert len(visited) <= levels + 3


def test_fragment_cycle_is_named() -> None:
    with pytest.raises(FragmentCycle) as refused:
        weigh("{ lot { ...A } } fragment A on Lot { ...B } fragment B on Lot { item { ...A } }")
    assert refused.value.params["name"] in ("A", "B")


def test_unused_fragments_are_measured_too() -> None:
    with pytest.raises(FragmentCycle):
        weigh("{ lot { id } } fragment A on Lot { ...A }")


def test_alias_batch_duplicates() -> None:
    aliases = " ".join(f"a{at}: lots {{ totalCount }}" for at in range(300))
    duplicates, directives = "id " * 21, "@skip(if: false) " * 101
    for text in (f"{{ {aliases} }}", f"{{ lot {{ {duplicates} }} }}", f"{{ lot {directives} {{ id }} }}"):
        with pytest.raises(TooLarge):
            weigh(text)
    assert weigh("{ lot { " + "id " * 20 + "} }").fields == 21


def repeated(times: int, levels: int) -> str:
    return " ".join([f"item {{ {repeated(times, levels - 1)} }}"] * times) if levels else "id"


SPREAD = " ".join(f"...F{at}" for at in range(90))
FRAGMENTS = "".join(f"fragment F{at} on Lot {{ {'id ' * 15} }}\n" for at in range(90))


@pytest.mark.parametrize(
    "text",
    [
        f"{{ {repeated(2, 9)} }}",
        f"{{ {repeated(20, 2)} }}",
        "{ lot { " + ("... { " + "id " * 20 + "} ") * 150 + "} }",
        f"{{ lot {{ {SPREAD} }} }} {FRAGMENTS}",
        f"query A {{ lot {{ id }} }} query B {{ {repeated(20, 2)} }}",
        f"query A {{ lot {{ id }} }} fragment Unused on Lot {{ {repeated(2, 9)} }}",
    ],
)
def test_fields_that_merge_are_counted_before_they_are_compared(text: str) -> None:
    """Comparing them would take seconds; no view is needed to refuse."""
    no_view: Any = None
    with pytest.raises(TooLarge):
        make_operation(no_view, text, "A" if "query A" in text else None, Limits(), {}, suggestions=False)


def test_ordinary_fragments_may_repeat_each_other() -> None:
    spread = " ".join(f"...F{at}" for at in range(40))
    fragments = "".join(f"fragment F{at} on Lot {{ id number item {{ id }} }}\n" for at in range(40))
    check_merging(parse(f"{{ lot {{ {spread} }} }} {fragments}"), Limits().pairs, Limits().fields)


def test_aliases_behind_fragments_count_each_time() -> None:
    inner = " ".join(f"a{at}: number" for at in range(60))
    spreads = " ".join(f"l{at}: lot(id: 1) {{ ...F }}" for at in range(4))
    with pytest.raises(TooLarge):
        weigh(f"{{ {spreads} }} fragment F on Lot {{ {inner} }}")


def nested(*sizes: str) -> str:
    text = "id"
    for size in reversed(sizes):
        text = f"lots{f'({size})' if size else ''} {{ nodes {{ {text} }} }}"
    return text


@pytest.mark.parametrize("size", ["first: 500", "last: 500", "", "first: null", "last: null", "first: -1, last: 400"])
def test_cost_counts_paging(size: str) -> None:
    with pytest.raises(TooLarge) as refused:
        weigh("{ " + nested(size, size, size, size) + " }")
    assert refused.value.params["what"] == "cost"


def test_cost_of_variables_is_their_value() -> None:
    text = "query($n: Int) { " + nested("first: $n", "first: $n", "first: $n") + " }"
    small = weigh(text, {"n": 5})
    assert small.priced
    assert small.cost < 1000
    for value in (None, 500, 10**30, "x"):
        with pytest.raises(TooLarge):
            weigh(text, {} if value is None else {"n": value})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_price_covers_the_rows_a_query_can_give(sizes: list[int]) -> None:
    rows, factor = 0, 1
    for size in sizes:
        factor *= size
        rows += factor
    text = "{ " + nested(*(f"first: {size}" for size in sizes)) + " }"
    if rows > Limits().cost:
        with pytest.raises(TooLarge):
            weigh(text)
    else:
        generous = Limits(cost=10**9)
        assert weigh(text, limits=generous).cost >= rows


def test_paging_inside_a_fragment_is_priced_by_its_place() -> None:
    def price(size: int) -> int:
        fragment = "fragment C on LotConnection { edges { node { id } } }"
        return weigh(f"{{ lots(first: {size}) {{ ...C }} }} {fragment}").cost

    assert price(400) - price(100) == 300 * (price(101) - price(100))


def test_rooms_of_the_platform_are_priced_at_the_root_and_nowhere_else() -> None:
    """What a list of processes reads grows with its rows, also where a fragment asks for it; fields of records may have
    the same names."""
    first = "(first: 500) { status timeline { what } }"
    many = " ".join(f"p{at}: myProcesses{first}" for at in range(10))
    for text in (f"{{ {many} }}", f"{{ ...A }} fragment A on Query {{ {many} }}", f"{{ ... on Query {{ {many} }} }}"):
        with pytest.raises(TooLarge):
            weigh(text)
    cost = weigh("{ myProcesses(first: 500) { status } }").cost - weigh("{ myProcesses(first: 100) { status } }").cost
    assert cost == 400 * 20
    record = "{ lots(first: 500) { nodes { alerts myTasks decision ...F } } } fragment F on Lot { notices whyBlocked }"
    assert weigh(record).cost <= weigh("{ lots(first: 500) { nodes { a b c ...F } } } fragment F on Lot { d e }").cost


def test_an_operation_named_schema_is_priced_like_any_other() -> None:
    with pytest.raises(TooLarge):
        weigh("query __schema { " + nested("first: 500", "first: 500", "first: 500") + " }")


def test_discovery_is_refused_in_one_place() -> None:
    closed = Limits(discovery=False)
    hidden = '{ ...F } fragment F on Query { __type(name: "Lot") { name } }'
    for text in ("{ __schema { queryType { name } } }", hidden):
        with pytest.raises(DiscoveryOff):
            weigh(text, limits=closed)
    assert weigh("{ __typename }", limits=closed).fields == 1


def test_depth() -> None:
    deep = "{ a " * 30 + "}" * 30
    with pytest.raises(TooLarge):
        weigh(deep)


def test_memory_stays_small() -> None:
    text = bomb(30)
    tracemalloc.start()
    with pytest.raises(TooLarge):
        weigh(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_answers_of_the_platform_cost_what_they_take() -> None:
    many = " ".join(f'a{at}: whyBlocked(entity: "lot", record: "1") {{ transition }}' for at in range(60))
    with pytest.raises(TooLarge) as refused:
        weigh(f"{{ {many} }}")
    assert refused.value.params["what"] == "cost"
    assert weigh('{ whyBlocked(entity: "lot", record: "1") { transition } }').cost < Limits().cost / 40
