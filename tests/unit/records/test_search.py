"""Search grams and sort keys: what is found by what."""

from __future__ import annotations

import pytest

from clew.records.search import grams, normalise, query_grams, sort_key

NAME = "一次性使用无菌注射器 5ML（带针）"


def found(query: str, text: str) -> bool:
    stored = grams(text)
    return any(stored.issuperset(alternative) for alternative in query_grams(query))


@pytest.mark.parametrize(
    "query",
    [
        "注射器",
        "无菌",
        "针",
        "wjzsq",
        "zsq",
        "wujunzhushe",
        "zhushe",
        "5ml",
        "５ＭＬ",
        "5",
        "(带针)",
        "WJ",
        "射器 5m",
        "y",
    ],
)
def test_found(query: str) -> None:
    assert found(query, NAME)


@pytest.mark.parametrize("query", ["注器", "输液", "x", "zsw", "6ml", "wujinn", "针管"])
def test_not_found(query: str) -> None:
    assert not found(query, NAME)


def test_a_blank_query_narrows_nothing() -> None:
    assert query_grams("  　 ") == ()
    assert query_grams("") == ()
    assert grams("") == frozenset()


def test_the_longest_query_is_bounded() -> None:
    assert sum(len(each) for each in query_grams("注" * 10_000 + "射")) <= 200


def test_normalise_is_idempotent_and_folds_width_and_case() -> None:
    assert normalise("ＬＯＴ　Ａ\t1") == "lot a 1"
    assert normalise(normalise(NAME)) == normalise(NAME)


def test_sort_keys_order_digits_letters_then_pinyin() -> None:
    names = ["注射器", "重庆", "阿莫西林", "Zebra", "10号", "apple", "中国"]
    assert sorted(names, key=sort_key) == ["10号", "apple", "Zebra", "阿莫西林", "重庆", "中国", "注射器"]
    assert sort_key("a") != sort_key("A b")


def test_equal_pinyin_is_ordered_by_the_characters() -> None:
    assert sort_key("李四") != sort_key("里四")
