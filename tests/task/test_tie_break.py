import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.task.tie_break import LARGEST_PART, with_tie_broken


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_second_figure_decides_among_equal_rates(first: float, second: float) -> None:
    low, high = sorted((first, second))
    assert with_tie_broken(0.0, low) <= with_tie_broken(0.0, high) <= LARGEST_PART


@pytest.mark.parametrize("items", [2, 1000, 100_000])
def test_one_item_weighs_more_than_any_second_figure(items: int) -> None:
    assert with_tie_broken(1 / items, 1e9) < with_tie_broken(2 / items, 0.0)
