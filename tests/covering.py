"""Fewer cases that meet the same faults: covering arrays, in place of products of parameters.

A fault shows itself where one, two or rarely three parameters take certain values. A covering array of strength 2
contains every pair of values of every two parameters; it needs about as many rows as the product of the two longest
lists, however many parameters there are.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


def cover(items: Iterable[T], key: Callable[[T], Sequence[Sequence[Hashable]]], strength: int = 2) -> list[T]:
    """Few of the items that together have each combination of traits that some item has.

    A trait of an item belongs to a factor: the cell, say, of which there may be several traits, or the direction, of
    which there is one. A combination joins traits of `strength` different factors, one of each.

    The choice is greedy and deterministic. It takes the item with the most combinations that no item before it has.
    Among equals it takes the one with the most new combinations of one factor more, then the one whose combinations of
    one factor more occurred the least, then the first.

    Args:
        items: what to choose from.
        key: the traits of an item by factor, as many for each item.
        strength: the number of factors in a combination; all of them if there are fewer.

    Returns:
        The chosen items, in the order in which they were given.
    """
    # Of items with the same traits the first stands for all.
    distinct: dict[tuple[tuple[Hashable, ...], ...], T] = {}
    for item in items:
        distinct.setdefault(tuple(map(tuple, key(item))), item)
    items = list(distinct.values())
    numbers: dict[Hashable, int] = {}
    # A number for each trait in its place: a combination of them is a tuple of numbers.
    traits = [
        [
            [numbers.setdefault((factor, place, trait), len(numbers)) for place, trait in enumerate(found)]
            for factor, found in enumerate(found_by_factor)
        ]
        for found_by_factor in distinct
    ]
    seen: Counter[tuple[int, ...]] = Counter()

    def combined(k: int, more: int) -> Iterator[tuple[int, ...]]:
        for factors in combinations(traits[k], min(strength, len(traits[k])) + more):
            yield from product(*factors)

    def cost(k: int) -> tuple[int, int, int, int]:
        counts, of_more = ([seen[found] for found in combined(k, more)] for more in (0, 1))
        return -counts.count(0), -of_more.count(0), sum(of_more), k

    # Costs only grow as items are chosen: an item whose cost is still what the heap says is the best.
    heap = [cost(k) for k in range(len(items))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and heap[0][0] < 0:
        k = heap[0][-1]
        now = cost(k)
        if now > heap[0]:
            heapq.heapreplace(heap, now)
            continue
        heapq.heappop(heap)
        chosen.append(k)
        for more in (0, 1):
            seen.update(combined(k, more))
    return [items[k] for k in sorted(chosen)]


def parametrize(
    factors: Mapping[str | tuple[str, ...], Iterable[Any]],
    strength: int = 2,
    *,
    traits: Mapping[str | tuple[str, ...], Callable[[Any], Sequence[Hashable]]] | None = None,
    where: Callable[..., bool] = lambda *values: True,
) -> pytest.MarkDecorator:
    """Parametrize a test so that every combination of `strength` factors' values occurs, not every row of the product.

    Args:
        factors: the values of each parameter, by name; a tuple of names has tuples of values, and is one factor.
        strength: how many factors a combination joins.
        traits: for a factor, by its key in `factors`, a function from a value to its traits. Then each trait occurs in
            each combination, and not each value.
        where: called with a row's values, one a factor: whether the row makes sense.
    """
    functions = [(traits or {}).get(name) for name in factors]
    lists = [list(values) for values in factors.values()]
    # By factor, the values, and the traits of each: without a function, its place in the list.
    valued = [
        [(value, (k,) if function is None else tuple(function(value))) for k, value in enumerate(values)]
        for values, function in zip(lists, functions, strict=True)
    ]
    rows = [row for row in product(*valued) if where(*(value for value, _ in row))]
    names: list[str] = []
    for name in factors:
        names += [name] if isinstance(name, str) else name
    cases = []
    for row in cover(rows, lambda row: [found for _, found in row], strength):
        case: list[Any] = []
        for name, (value, _) in zip(factors, row, strict=True):
            case += [value] if isinstance(name, str) else value
        cases.append(case)
    return pytest.mark.parametrize(names, cases if len(names) > 1 else [case for (case,) in cases], ids=_name)


def _name(value: Any) -> str:
    """Of a value in a test's id; that of a function does not tell its address."""
    return getattr(value, "__name__", str(value))
