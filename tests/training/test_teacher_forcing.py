"""The teacher forcing ratios of Bengio et al. 2015, by their formulas."""

import math
from typing import Any

import pytest

from recurra.errors import ParameterError
from recurra.training.teacher_forcing import constant, exponential, inverse_sigmoid, linear


def test_constant_is_constant() -> None:
    assert [constant(step, 0.3) for step in (1, 5, 10**9)] == [0.3] * 3


def test_linear_is_a_line_and_then_flat() -> None:
    assert [linear(step, 4) for step in (1, 2, 3, 4, 5, 6, 10**9)] == [1, 0.75, 0.5, 0.25, 0, 0, 0]
    assert [linear(step, 2, start=0.9, end=0.5) for step in (1, 2, 3, 4)] == pytest.approx([0.9, 0.7, 0.5, 0.5])
    assert [linear(step, 2, start=0.0, end=1.0) for step in (1, 2, 3, 4)] == [0, 0.5, 1, 1]


def test_exponential_is_a_power() -> None:
    assert [exponential(step, 0.5) for step in (1, 2, 3, 4)] == [1, 0.5, 0.25, 0.125]
    assert exponential(694, 0.999) == pytest.approx(0.5, abs=1e-3)
    assert exponential(10**9, 0.5) == 0
    assert exponential(10**9, 1) == 1


@pytest.mark.parametrize("rate", [1, 10.5, 200.0])
def test_inverse_sigmoid_is_the_formula(rate: float) -> None:
    for step in (1, 2, 10, 100, 400):
        assert inverse_sigmoid(step, rate) == pytest.approx(rate / (rate + math.exp((step - 1) / rate)), rel=1e-12)
    assert inverse_sigmoid(10**9, rate) == 0
    assert inverse_sigmoid(1 + round(rate * math.log(rate)), rate) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("schedule", "options", "name"),
    [
        (constant, {"ratio": 1.1}, "ratio"),
        (linear, {"steps": 0}, "steps"),
        (linear, {"steps": 5, "start": -0.1}, "start"),
        (linear, {"steps": 5, "end": 1.1}, "end"),
        (exponential, {"base": 1.1}, "base"),
        (inverse_sigmoid, {"rate": 0.5}, "rate"),
        (inverse_sigmoid, {"rate": math.nan}, "rate"),
        (constant, {"step": 0, "ratio": 1.0}, "step"),
    ],
)
def test_what_is_out_of_range_is_refused(schedule: Any, options: dict[str, Any], name: str) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected .*, got "):
        schedule(**{"step": 1, **options})
