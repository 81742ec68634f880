"""The settings of training name what is wrong with them."""

import math
from typing import Any

import pytest

from recurra.errors import ParameterError
from recurra.training import TrainingSettings


@pytest.mark.parametrize("name", ["max_steps", "validate_every"])
@pytest.mark.parametrize("value", [0, -1, 1.0, True, None])
def test_counts_are_whole_and_positive(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected a whole number of at least 1, got {value!r}"):
        TrainingSettings(**{name: value})


@pytest.mark.parametrize("name", ["patience", "seed"])
@pytest.mark.parametrize("value", [-1, 0.0, False, "0"])
def test_counts_from_zero_are_whole(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected a whole number of at least 0, got {value!r}"):
        TrainingSettings(**{name: value})


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "max_grad_norm"])
@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf, "0.1", None, True])
def test_rates_are_numbers(name: str, value: Any) -> None:
    with pytest.raises(ParameterError, match=f"^{name}: expected a number not below 0, got {value!r}"):
        TrainingSettings(**{name: value})


def test_the_learning_rate_is_not_zero() -> None:
    with pytest.raises(ParameterError, match=r"^learning_rate: expected a positive number, got 0"):
        TrainingSettings(learning_rate=0)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, "0.9"])
def test_averaging_is_a_decay(value: Any) -> None:
    with pytest.raises(ParameterError, match=r"^averaging: expected a number from 0 to 1, got"):
        TrainingSettings(averaging=value)


def test_averaging_is_below_one() -> None:
    with pytest.raises(ParameterError, match=r"^averaging: expected a number less than 1, got 1"):
        TrainingSettings(averaging=1.0)


def test_names_are_of_those_known() -> None:
    with pytest.raises(ParameterError, match=r"^optimizer: expected one of Adam, .*, got 'LBFGS'"):
        TrainingSettings(optimizer="LBFGS")
    with pytest.raises(ParameterError, match=r"^schedule: expected one of constant, .*, got 'none'"):
        TrainingSettings(schedule="none")


def test_what_is_at_the_edge_is_accepted() -> None:
    settings = TrainingSettings(
        max_steps=1, validate_every=1, patience=0, seed=0, weight_decay=0, max_grad_norm=0, averaging=0, learning_rate=1
    )
    assert settings.averaging == 0
