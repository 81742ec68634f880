"""The dtype that a layer computes in."""

from torch import Tensor

from recurra.errors import ShapeError
from recurra.layers.torch_words import dtype_of_input
from recurra.shapes import check_dtype

__all__ = ["in_dtype_of"]


def in_dtype_of(name: str, tensor: Tensor, parameter: Tensor) -> Tensor:
    """The tensor in the parameters' dtype. Another dtype is refused, or converted within autocast.

    Raises:
        ShapeError: naming the tensor, the parameters' dtype and the one it has.
    """
    if tensor.dtype == parameter.dtype:
        return tensor
    check_dtype(name, tensor, parameter, dtype_of_input(tensor, parameter) if name == "input" else "")
    if not tensor.is_floating_point():
        raise ShapeError(name, "a floating-point dtype", tensor.dtype)
    # Autocast does not know all operations, and some refuse a float32 state beside a bfloat16 input.
    return tensor.to(parameter.dtype)
