"""The functions a cell's `update` may call.

Each runs on torch tensors, and on any other value that has an `apply_op(name, *arguments)` method: one
definition of a cell thus serves both for computing and for tracing. Arithmetic and comparison operators need no
function here.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "absolute",
    "cos",
    "exp",
    "floor",
    "log",
    "maximum",
    "minimum",
    "relu",
    "sigmoid",
    "sin",
    "softplus",
    "sqrt",
    "tanh",
    "where",
]


def _of_tensors(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, Any], Tensor]:
    """Let a function of two tensors take a number for one of them."""

    def with_numbers(a: Any, b: Any) -> Tensor:
        # A 0-dimensional float64 keeps its precision and does not change the dtype of the other.
        a, b = (x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64) for x in (a, b))
        return function(a, b)

    return with_numbers


_ON_TENSORS = {
    "absolute": torch.abs,
    "cos": torch.cos,
    "exp": torch.exp,
    "floor": torch.floor,
    "log": torch.log,
    "maximum": _of_tensors(torch.maximum),
    "minimum": _of_tensors(torch.minimum),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "softplus": torch.nn.functional.softplus,
    "sqrt": torch.sqrt,
    "tanh": torch.tanh,
    "where": torch.where,
}


def _apply(name: str, *arguments: Any) -> Any:
    for argument in arguments:
        if hasattr(argument, "apply_op"):
            return argument.apply_op(name, *arguments)
    return _ON_TENSORS[name](*arguments)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), in (0, 1)."""
    return _apply("sigmoid", x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent, in (-1, 1)."""
    return _apply("tanh", x)


def relu(x: Any) -> Any:
    """max(x, 0)."""
    return _apply("relu", x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), positive."""
    return _apply("softplus", x)


def exp(x: Any) -> Any:
    """Exponential."""
    return _apply("exp", x)


def log(x: Any) -> Any:
    """Natural logarithm, of positive x."""
    return _apply("log", x)


def sqrt(x: Any) -> Any:
    """Square root, of x at least 0."""
    return _apply("sqrt", x)


def sin(x: Any) -> Any:
    """Sine, of x in radians."""
    return _apply("sin", x)


def cos(x: Any) -> Any:
    """Cosine, of x in radians."""
    return _apply("cos", x)


def floor(x: Any) -> Any:
    """The largest whole number that is at most x; its derivative is zero. x - floor(x) is x modulo 1."""
    return _apply("floor", x)


def absolute(x: Any) -> Any:
    """|x|."""
    return _apply("absolute", x)


def minimum(a: Any, b: Any) -> Any:
    """The lesser of a and b, by element; either may be a number."""
    return _apply("minimum", a, b)


def maximum(a: Any, b: Any) -> Any:
    """The greater of a and b, by element; either may be a number."""
    return _apply("maximum", a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """a if the condition holds, else b, by element; either may be a number."""
    return _apply("where", condition, a, b)
