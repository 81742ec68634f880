from typing import Any

import pytest
import torch

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_dtype, check_lengths, check_positive, check_probability, check_shape


def test_shape() -> None:
    check_shape("x", torch.zeros(2, 3), (2, 3), "(B, I)")
    check_shape("x", torch.zeros(()), (), "()")
    for shape in ((3, 2), (2,), (2, 3, 1)):
        with pytest.raises(ShapeError) as raised:
            check_shape("x", torch.zeros(shape), (2, 3), "(B, I)")
        assert str(raised.value) == f"x: expected shape (B, I) = (2, 3), got {shape}."


def test_dtype() -> None:
    parameter = torch.zeros(1)
    check_dtype("x", torch.zeros(2), parameter)
    with pytest.raises(ShapeError) as raised:
        check_dtype("x", torch.zeros(2).double(), parameter)
    assert str(raised.value) == "x: expected the parameters' dtype torch.float32, got torch.float64."
    with torch.autocast("cpu"):
        check_dtype("x", torch.zeros(2).bfloat16(), parameter)


@pytest.mark.parametrize("lengths", [[0, 5, 3], (0, 5, 3), torch.tensor([0, 5, 3], dtype=torch.uint8)])
def test_lengths_become_int64(lengths: Any) -> None:
    found = check_lengths(lengths, 3, 5)
    assert found.dtype == torch.int64
    assert found.tolist() == [0, 5, 3]


@pytest.mark.parametrize("empty", [[], (), torch.tensor([]), torch.tensor([], dtype=torch.int32)])
def test_lengths_of_no_sequences(empty: Any) -> None:
    found = check_lengths(empty, 0, 5)
    assert found.dtype == torch.int64
    assert found.shape == (0,)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([1.0, 2.0], "lengths: expected integers, got torch.float32."),
        ([True, False], "lengths: expected integers, got torch.bool."),
        ([1], "lengths: expected shape (B,) = (2,), got (1,)."),
        ([], "lengths: expected shape (B,) = (2,), got (0,)."),
        ([[1, 2]], "lengths: expected shape (B,) = (2,), got (1, 2)."),
        ([1, 6], "lengths: expected values from 0 to T = 5, got 1 to 6."),
        ([-1, 5], "lengths: expected values from 0 to T = 5, got -1 to 5."),
    ],
)
def test_lengths_refused(lengths: Any, message: str) -> None:
    with pytest.raises(ShapeError) as raised:
        check_lengths(lengths, 2, 5)
    assert str(raised.value) == message


@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1", None])
def test_positive(value: Any) -> None:
    check_positive("size", 1)
    with pytest.raises(ParameterError) as raised:
        check_positive("size", value)
    assert str(raised.value) == f"size: expected a whole number of at least 1, got {value!r}."


def test_positive_from_another_least() -> None:
    check_positive("size", 0, at_least=0)
    check_positive("size", 3, at_least=3)
    with pytest.raises(ParameterError, match="at least 3, got 2"):
        check_positive("size", 2, at_least=3)


@pytest.mark.parametrize("value", [0, 1, 0.0, 0.3, 1.0])
def test_probability(value: float) -> None:
    check_probability("p", value)


@pytest.mark.parametrize("value", [-1e-9, 1.01, 2, float("nan"), float("inf"), True, "0.5", None])
def test_probability_refused(value: Any) -> None:
    with pytest.raises(ParameterError) as raised:
        check_probability("p", value)
    assert str(raised.value) == f"p: expected a number from 0 to 1, got {value!r}."
