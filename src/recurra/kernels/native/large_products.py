"""Products of large matrices, by torch or by the engine: whichever is the faster on this processor."""

import os
from functools import cache

from torch import Tensor
from torch.nn import functional

from recurra.errors import ParameterError
from recurra.kernels.native import extension

__all__ = ["linear", "product", "runs_here"]

# Below either, torch's own call takes less time than ours.
_LEAST_SIZE, _LEAST_OPERATIONS = 24, 2**20
# A weight is read by columns and packed: below so many rows that takes longer than it saves.
_LEAST_ROWS = 256


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """weight x + bias: (..., M) from (..., K) and (M, K)."""
    rows = inputs.flatten(0, -2)
    if rows.shape[0] < _LEAST_ROWS or not _is_large(rows, weight.shape[0]):
        return functional.linear(inputs, weight, bias)
    return _run(rows, weight.T, bias).view(*inputs.shape[:-1], -1)


def product(a: Tensor, b: Tensor) -> Tensor:
    """a b: (M, N) from (M, K) and (K, N), with any strides."""
    if not _is_large(a, b.shape[1]):
        return a @ b
    if a.stride(1) != 1 and a.shape[0] > b.shape[1] and b.stride(1) == 1 and a.stride(0) == 1:
        # The columns of the left-hand matrix are copied, which costs less for the one that has fewer.
        return _run(b.T, a.T, None).T.contiguous()
    return _run(a, b, None)


def runs_here() -> bool:
    """Whether the engine makes large products here, and not torch.

    The environment's `RECURRA_PRODUCTS` says so: "engine" or "torch". If it is not set, the engine makes them on
    processors with AVX-512 that are not Intel's, because MKL, which torch is built with, uses half of their vector
    units. This is a rule and not a measurement, because the same run must give the same bits tomorrow.
    """
    return _chosen(os.environ.get("RECURRA_PRODUCTS", "auto"))


@cache
def _chosen(name: str) -> bool:
    if name not in ("auto", "engine", "torch"):
        raise ParameterError("RECURRA_PRODUCTS", "auto, engine or torch", name)
    if name == "auto":
        return extension.instruction_set() == "avx512" and extension.vendor() != "intel"
    return name == "engine"


def _is_large(a: Tensor, columns: int) -> bool:
    rows, depth = a.shape
    return min(rows, columns, depth) >= _LEAST_SIZE and rows * columns * depth >= _LEAST_OPERATIONS and runs_here()


def _run(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    result = a.new_empty(a.shape[0], b.shape[1])
    bias = None if bias is None else bias.contiguous()
    extension.large_product(a, b, bias, result)
    return result
