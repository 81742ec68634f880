"""The time since the last step: checked, and as the reverse direction of a layer reads it."""

from typing import Any

import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.layers.precision import in_dtype_of
from recurra.shapes import check_shape

__all__ = ["backward_elapsed", "check_elapsed"]


def check_elapsed(module: Any, elapsed: Tensor, x: Tensor, parameter: Tensor, letters: str) -> Tensor:
    """The times (..., E) of the steps of x (..., I), in the dtype of the parameter.

    Args:
        module: a layer or cell, with the attributes of `Recurrent`.
        elapsed: the times.
        x: the inputs.
        parameter: of the module.
        letters: of the shape that is expected.

    Raises:
        ParameterError: if the module's cell does not read the time.
        ShapeError: if the shape or dtype does not fit.
    """
    if module.cell.elapsed == "none":
        raise ParameterError("elapsed", f"None, as {module.cell!r} does not read the time", type(elapsed).__name__)
    check_shape("elapsed", elapsed, (*x.shape[:-1], module.elapsed_size), letters)
    return in_dtype_of("elapsed", elapsed, parameter)


def backward_elapsed(x: Tensor, times: int, lengths: Tensor | None) -> Tensor:
    """x (T, B, I + times) with the times of each step replaced by those of the step after it, at the last of the first.

    Args:
        x: inputs, then times since the step before.
        times: E.
        lengths: (B,) int64 on the CPU. If None, all are T.
    """
    inputs, elapsed = x[:, :, :-times], x[:, :, -times:]
    after = torch.cat([elapsed[1:], elapsed[:1]])
    if lengths is not None:
        last = torch.arange(1, x.shape[0] + 1).unsqueeze(1) >= lengths
        after = torch.where(last.unsqueeze(2).to(x.device), elapsed[:1], after)
    return torch.cat([inputs, after], 2)
