"""Fewer cases that meet the same faults: covering arrays, in place of products of parameters.

A fault shows itself where one, two or rarely three parameters take certain values. A covering array of strength 2
contains every pair of values of every two parameters; it needs about as many rows as the product of the two longest
lists, however many parameters there are.
"""

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from itertools import combinations, product
from typing import Any, TypeVar

import numpy as np
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
    if not items:
        return []
    joined = min(strength, len(next(iter(distinct))))
    exact, of_more = (_combinations(list(distinct), joined + more) for more in (0, 1))

    def cost(k: int) -> tuple[int, int, int, int]:
        occurred = of_more.occurred(k)
        return -exact.new(k), -int(np.count_nonzero(occurred == 0)), int(occurred.sum()), k

    # Costs only grow as items are chosen: an item whose cost is still what the heap says is the best.
    heap = [(-new, -more, 0, k) for k, (new, more) in enumerate(zip(exact.sizes, of_more.sizes, strict=True))]
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
        exact.choose(k)
        of_more.choose(k)
    return [items[k] for k in sorted(chosen)]


class _Combinations:
    """How often the combinations of each item's traits have occurred in items that were chosen."""

    def __init__(self, numbers: np.ndarray, sizes: np.ndarray) -> None:
        """The numbers of the combinations of all items, one item after the other; how many each item has."""
        self.sizes: list[int] = sizes.tolist()
        self._numbers, self._ends = numbers, np.cumsum(sizes).tolist()
        self._counts = np.zeros(numbers.max(initial=-1) + 1, dtype=np.int64)

    def occurred(self, k: int) -> np.ndarray:
        """How often each combination of item `k` has occurred."""
        return self._counts[self._of(k)]

    def new(self, k: int) -> int:
        """How many combinations of item `k` have not occurred."""
        return int(np.count_nonzero(self.occurred(k) == 0))

    def choose(self, k: int) -> None:
        """Item `k` is chosen."""
        np.add.at(self._counts, self._of(k), 1)

    def _of(self, k: int) -> np.ndarray:
        return self._numbers[self._ends[k - 1] if k else 0 : self._ends[k]]


def _combinations(items: Sequence[Sequence[Sequence[Hashable]]], size: int) -> _Combinations:
    """The combinations of traits of `size` factors, of items given by their traits by factor.

    All items at once, because a test may have a hundred thousand: tuples of traits took a third of the time in which
    the tests are collected.
    """
    known: dict[Hashable, int] = {}
    columns = []
    for factor in range(len(items[0])):
        widths = np.array([len(item[factor]) for item in items])
        numbers = [
            known.setdefault((factor, place, trait), len(known))
            for item in items
            for place, trait in enumerate(item[factor])
        ]
        columns.append((np.array(numbers, dtype=np.int64), widths))
    found, owners, start = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], 0
    for factors in combinations(columns, size):
        codes, owner = np.zeros(len(items), dtype=np.int64), np.arange(len(items))
        for numbers, widths in factors:
            begins = np.cumsum(widths) - widths
            times = widths[owner]
            place = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
            codes, owner = np.repeat(codes, times), np.repeat(owner, times)
            codes = codes * len(known) + numbers[begins[owner] + place]
        distinct, own = np.unique(codes, return_inverse=True)
        found.append(own + start)
        owners.append(owner)
        start += len(distinct)
    every, owner = np.concatenate(found), np.concatenate(owners)
    return _Combinations(every[np.argsort(owner, kind="stable")], np.bincount(owner, minlength=len(items)))


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
