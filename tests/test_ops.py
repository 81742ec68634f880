"""The operations of a cell: on tensors as in mathematics, on anything else as it says itself."""

import math
from typing import Any

import pytest
import torch

from recurra import ops

X = torch.tensor([-30.0, -2.5, -0.5, 0.0, 0.5, 2.5, 30.0], dtype=torch.float64)
OF_NUMBERS = {
    "absolute": abs,
    "cos": math.cos,
    "exp": math.exp,
    "floor": math.floor,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(-abs(x))) + max(x, 0.0),
    "sin": math.sin,
    "tanh": math.tanh,
    "log": math.log,
    "sqrt": math.sqrt,
    "maximum": max,
    "minimum": min,
    "where": lambda condition, a, b: a if condition else b,
}
ARITY = {name: {"maximum": 2, "minimum": 2, "where": 3}.get(name, 1) for name in ops.__all__}


def test_every_operation_is_tested() -> None:
    assert sorted(OF_NUMBERS) == sorted(ops.__all__)


@pytest.mark.parametrize("name", [name for name, arity in ARITY.items() if arity == 1])
def test_functions_of_one_number(name: str) -> None:
    x = X.abs() + 1e-3 if name in ("log", "sqrt") else X
    expected = torch.tensor([OF_NUMBERS[name](value) for value in x.tolist()], dtype=torch.float64)
    torch.testing.assert_close(getattr(ops, name)(x), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_greater_and_the_lesser(name: str, dtype: torch.dtype) -> None:
    function, x = getattr(ops, name), X.to(dtype)
    expected = torch.tensor([OF_NUMBERS[name](a, -a) for a in x.tolist()], dtype=dtype)
    assert torch.equal(function(x, -x), expected)
    for number in (0.1, 1):
        expected = torch.tensor([OF_NUMBERS[name](a, number) for a in x.tolist()], dtype=dtype)
        for found in (function(x, number), function(number, x)):
            assert found.dtype == dtype
            assert torch.equal(found, expected)


def test_where() -> None:
    assert torch.equal(ops.where(X > 0, X, -X), X.abs())
    assert torch.equal(ops.where(X > 0, X, 0.0), X.relu())
    assert torch.equal(ops.where(X > 0, 0.1, X), torch.where(X > 0, torch.full_like(X, 0.1), X))


class Traced:
    """A value that is not a tensor: it keeps what is asked of it."""

    def apply_op(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        return (name, *arguments)


@pytest.mark.parametrize("name", ops.__all__)
def test_other_values_speak_for_themselves(name: str) -> None:
    for position in range(ARITY[name]):
        arguments: list[Any] = [X, 2.0, X][: ARITY[name]]
        arguments[position] = Traced()
        found = getattr(ops, name)(*arguments)
        assert found[0] == name
        assert all(a is b for a, b in zip(found[1:], arguments, strict=True))
