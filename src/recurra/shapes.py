"""Checks of tensors' shapes and dtypes, and of scalar arguments.

The letters are B batch, T time, I input, H hidden, G gates, L layers, D directions.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from recurra.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "check_dtype",
    "check_lengths",
    "check_positive",
    "check_positive_number",
    "check_probability",
    "check_shape",
]


def check_shape(name: str, tensor: "Tensor", expected: Sequence[int], letters: str, hint: str = "") -> None:
    """Refuse a tensor whose shape is not the expected one.

    Args:
        name: what the message calls the tensor.
        tensor: to check.
        expected: the shape.
        letters: the shape in letters.
        hint: a sentence that ends the message.

    Raises:
        ShapeError: naming the tensor, the shape expected in letters and numbers, and the one it has.
    """
    if tuple(tensor.shape) != tuple(expected):
        raise ShapeError(name, f"shape {letters} = {tuple(expected)}", tuple(tensor.shape), hint)


def check_dtype(name: str, tensor: "Tensor", parameter: "Tensor", hint: str = "") -> None:
    """Refuse a tensor whose dtype is not the parameters', except under autocast, which converts it.

    Args:
        name: what the message calls the tensor.
        tensor: to check.
        parameter: a parameter.
        hint: a sentence that ends the message.

    Raises:
        ShapeError: naming the tensor, the parameters' dtype and the one it has.
    """
    import torch

    if tensor.dtype != parameter.dtype and not torch.is_autocast_enabled(tensor.device.type):
        raise ShapeError(name, f"the parameters' dtype {parameter.dtype}", tensor.dtype, hint)


def check_lengths(
    lengths: "Tensor | Sequence[int]", batch: int, steps: int, *, name: str = "lengths", letter: str = "T"
) -> "Tensor":
    """The true lengths as an int64 tensor (B,) on the CPU; the message calls them and their maximum by these names.

    torch.compile sees no values: the native kernel checks them when it runs, and other kernels take values outside the
    range for 0 or T.

    Raises:
        ShapeError: if the shape is not (B,), the type is not an integer, or a length is outside 0..T.
    """
    import torch
    from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor

    tensor = torch.as_tensor(lengths).cpu()
    if tensor.numel() == 0:
        tensor = tensor.long()  # an empty list has no type of its own
    if tensor.dtype.is_floating_point or tensor.dtype == torch.bool:
        raise ShapeError(name, "integers", tensor.dtype)
    check_shape(name, tensor, (batch,), "(B,)")
    if batch and not torch.compiler.is_compiling():
        values = tensor
        while is_functorch_wrapped_tensor(values):
            values = get_unwrapped(values)  # those of vmap's whole batch dimension
        if values.min() < 0 or values.max() > steps:
            actual = f"{int(values.min())} to {int(values.max())}"
            raise ShapeError(name, f"values from 0 to {letter} = {steps}", actual)
    return tensor.long()


def check_positive(name: str, value: int, at_least: int = 1) -> None:
    """Refuse a value that is not a whole number of at least `at_least`.

    Raises:
        ParameterError: naming the parameter.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ParameterError(name, f"a whole number of at least {at_least}", value)


def check_positive_number(name: str, value: float, at_most: float = math.inf) -> None:
    """Refuse a value that is not a finite number above 0, and of at most `at_most`.

    Raises:
        ParameterError: naming the parameter.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf or value > at_most:
        limit = "" if at_most == math.inf else f" of at most {at_most:g}"
        raise ParameterError(name, f"a positive number{limit}", value)


def check_probability(name: str, value: float) -> None:
    """Refuse a value that is not a number from 0 to 1.

    Raises:
        ParameterError: naming the parameter.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ParameterError(name, "a number from 0 to 1", value)
