from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import combinations, product

import pytest

import covering
from covering import cover

FACTORS = {
    "one long list": (27, 5, 2, 2, 2),
    "three long lists": (6, 6, 6, 2),
    "as many as there are parameters": (3,) * 7,
    "no choice": (4, 1),
}


def rows(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return list(product(*map(range, sizes)))


def each(row: Sequence[Hashable]) -> list[tuple[Hashable]]:
    """Every value is a factor of one trait."""
    return [(value,) for value in row]


def combined(chosen: list[tuple[int, ...]], strength: int) -> set[object]:
    return {(places, *(row[k] for k in places)) for row in chosen for places in combinations(range(len(row)), strength)}


@pytest.mark.parametrize("strength", [1, 2, 3])
@pytest.mark.parametrize("sizes", FACTORS.values(), ids=FACTORS)
def test_every_combination_occurs(sizes: tuple[int, ...], strength: int) -> None:
    every = rows(sizes)
    chosen = cover(every, each, strength)
    width = min(strength, len(sizes))
    assert combined(chosen, width) == combined(every, width)
    assert len(set(chosen)) == len(chosen)
    assert chosen == sorted(chosen)


@pytest.mark.parametrize(
    ("sizes", "strength", "most"),
    [
        ((27, 5, 2, 2, 2), 1, 27),
        ((27, 5, 2, 2, 2), 2, 27 * 5),
        ((27, 5, 2, 2, 2), 3, 27 * 5 * 2),
        ((6, 6, 6, 2), 2, 45),
        ((3,) * 7, 2, 18),
    ],
    ids=str,
)
def test_few_rows_are_enough(sizes: tuple[int, ...], strength: int, most: int) -> None:
    assert len(cover(rows(sizes), each, strength)) <= most


def test_the_rows_of_a_long_list_meet_many_combinations_of_the_others() -> None:
    """Of three values and more, as far as they come for nothing: ties are broken so."""
    chosen = cover(rows((27, 5, 2, 2, 2)), each)
    assert {row[1:] for row in chosen} == set(rows((5, 2, 2, 2)))
    assert len({(row[0], *row[2:4]) for row in chosen}) > 0.9 * 27 * 2 * 2
    once = cover(rows((27, 2, 2)), each, 1)
    assert sorted(Counter(row[1:] for row in once).values()) == [6, 7, 7, 7]


def test_the_choice_is_the_same_again_and_does_not_depend_on_hashes() -> None:
    named = [tuple(f"{k}" for k in row) for row in rows((6, 4, 3, 2))]
    assert cover(named, each) == cover(named, each)
    assert [tuple(map(int, row)) for row in cover(named, each)] == cover(rows((6, 4, 3, 2)), each)


def test_combinations_that_no_row_has_are_not_missed() -> None:
    possible = [row for row in rows((4, 4, 4)) if row[0] <= row[1]]
    assert combined(cover(possible, each), 2) == combined(possible, 2)


def test_items_by_their_traits() -> None:
    words = ["ab", "ac", "bb", "ba", "aa", "bc"]
    assert cover(words, lambda word: [word[:1]], 1) == ["ab", "bb"]
    assert cover(words, lambda word: [word], 2) == cover(words, lambda word: [word], 1) == ["ab", "ac", "ba"]
    assert cover(words, each, 2) == words
    assert cover([], each) == []


def test_parameters_of_a_test() -> None:
    mark = covering.parametrize(
        {("cell", "backend"): [("gru", "aten"), ("lstm", "aten"), ("lstm", "native")], "reverse": [False, True]},
        where=lambda pair, reverse: pair[0] != "gru" or not reverse,
    ).mark
    names, cases = mark.args
    assert names == ["cell", "backend", "reverse"]
    assert cases == [
        ["gru", "aten", False],
        ["lstm", "aten", False],
        ["lstm", "aten", True],
        ["lstm", "native", False],
        ["lstm", "native", True],
    ]
    assert covering.parametrize({"size": [3, 4]}).mark.args == (["size"], [3, 4])


def test_traits_of_a_parameter_count_in_place_of_its_values() -> None:
    words = ["ab", "ac", "ba", "bc"]
    mark = covering.parametrize({"word": words, "reverse": [False, True]}, traits={"word": tuple}).mark
    found = {(word, reverse) for word, reverse in mark.args[1]}
    for place, letter in ((0, "a"), (0, "b"), (1, "a"), (1, "b"), (1, "c")):
        assert {reverse for word, reverse in found if word[place] == letter} == {False, True}
    assert len(found) == 6 < len(words) * 2


@covering.parametrize({"ragged": [(1, 2), None], "size": [3, 4], "reverse": [False, True]})
def test_a_parametrized_test_is_called_with_its_values(ragged: object, size: int, reverse: bool) -> None:
    assert (ragged in ((1, 2), None), size in (3, 4), reverse in (False, True)) == (True, True, True)
