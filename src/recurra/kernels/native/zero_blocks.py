"""Whether many weights of a layer are zero, in blocks: inference as a stream's steps skips them, see `run_steps`."""

import numpy as np
import torch

from recurra.kernels.native import extension
from recurra.kernels.native.arguments import Arguments
from recurra.kernels.native.prepared import Prepared
from recurra.kernels.weights import Weights

__all__ = ["BLOCK", "has_zero_blocks", "serves_steps"]

BLOCK = 16
"""Rows and columns of a block, as csrc/zero_blocks.hpp has it: one vector of the engine with AVX-512, two with AVX2. A
block is square, so that it is also one of the transposed weight."""

# Below so many steps of all rows, or weights, packing takes as long as what it saves.
_LEAST_STEPS, _LEAST_WEIGHTS = 64, 2**16
# The fraction of the blocks of both weights that may be other than zero: with more, the engine's own loop is as fast.
_MOST_DENSE = 0.5


def has_zero_blocks(weights: Weights) -> bool:
    """Whether so many blocks of 16 by 16 weights are zero that products which skip them take less time.

    Dense weights cost a look at one value in each of a half of their blocks.
    """
    weight_ih, weight_hh = weights.weight_ih, weights.weight_hh
    if not extension.is_installed() or weight_hh is None or weight_hh.numel() < _LEAST_WEIGHTS:
        return False
    left = _MOST_DENSE * (weight_ih.numel() + weight_hh.numel())
    for weight in (weight_hh, weight_ih):
        if weight.dtype != torch.float32 or not weight.is_cpu:
            return False
        array, most = np.ascontiguousarray(weight.detach().numpy()), left / max(weight.numel(), 1)
        density = extension.loaded().block_density(array, most)
        if density > most:
            return False
        left -= density * weight.numel()
    return True


def serves_steps(prepared: Prepared, a: Arguments) -> bool:
    """Whether a stream's steps run this inference, and save time."""
    plain = a.mask is None and not a.zoneout and a.weights.norm_ih is None
    steps, batch, _ = a.inputs.shape
    return plain and prepared.plain_product and steps * batch >= _LEAST_STEPS and has_zero_blocks(a.weights)
