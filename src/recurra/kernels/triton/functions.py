"""What a kernel written by `recurra.codegen.triton` calls beside `tl`: the functions of `recurra.ops`.

`recurra.kernels.triton.load` compiles them together with the kernel. None calls a function of `tl` that is itself
written in Triton, such as `tl.sigmoid` or `tl.sum`: whether those are interpreted is settled when triton is imported.
"""

import triton.language as tl

__all__ = [
    "absolute",
    "add",
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
]


def absolute(x):
    return tl.abs(x)


def cos(x):
    return tl.cos(x)


def exp(x):
    return tl.exp(x)


def floor(x):
    return tl.floor(x)


def log(x):
    return tl.log(x)


def maximum(x, y):
    return tl.maximum(x, y, propagate_nan=tl.PropagateNan.ALL)


def minimum(x, y):
    return tl.minimum(x, y, propagate_nan=tl.PropagateNan.ALL)


def relu(x):
    return tl.where(x < 0, 0.0, x)


def sigmoid(x):
    return 1 / (1 + tl.exp(-x))


def sin(x):
    return tl.sin(x)


def softplus(x):
    """max(x, 0) + log(1 + y) with y = exp(-|x|), where what 1 + y rounds off is not lost."""
    y = tl.exp(-tl.abs(x))
    rounded = 1 + y
    lost = rounded == 1
    tail = tl.where(lost, y, tl.log(rounded) * (y / tl.where(lost, 1.0, rounded - 1)))
    return tl.where(x < 0, 0.0, x) + tail


def sqrt(x):
    return tl.sqrt(x)


def tanh(x):
    """By the exponential function; near 0, where that loses digits, by the first seven terms of the series."""
    y = tl.exp(-2 * tl.abs(x))
    far = (1 - y) / (1 + y)
    z = x * x
    near = z * (21844 / 6081075) - 1382 / 155925
    near = near * z + 62 / 2835
    near = near * z - 17 / 315
    near = near * z + 2 / 15
    near = near * z - 1 / 3
    near = x + x * (z * near)
    return tl.where(z < 0.01, near, tl.where(x < 0, -far, far))


def add(x, y):
    return x + y
