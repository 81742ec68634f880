"""The linear recurrence on a Triton kernel, parallel in time."""

import torch
from torch import Tensor

from recurra.kernels.triton.load import load_scan

__all__ = ["fused_scan"]

# Most steps of a chunk by parts, with fewer steps of larger matrices, and most units of a tile: a program has a chunk
# of its tile in registers.
_CHUNK, _CHUNK_OF_MORE_PARTS = {1: 64, 2: 16}, 4
_TILE = 32


def fused_scan(a: Tensor, b: Tensor, initial: Tensor, adjoint: bool = False) -> Tensor:
    """All states of s_t = A_t s_{t-1} + b_t, (P, T, ...), without gradients.

    Args:
        a: the matrices A_t, (P, P, T, ...), of the dtype and on the device of all arguments.
        b: the shifts b_t, (P, T, ...).
        initial: the state before the first step, (P, ...); zeros if `adjoint`.
        adjoint: solve s_t = A_{t+1}^T s_{t+1} + b_t instead, backward in time from zeros.
    """
    parts, steps = b.shape[:2]
    units = initial[0].numel()
    states = torch.empty_like(b, memory_format=torch.contiguous_format)
    chunk = min(_CHUNK.get(parts, _CHUNK_OF_MORE_PARTS), _power_of_two(steps))
    block = _power_of_two(min(units, _TILE))
    # Triton launches on the current device.
    with torch.cuda.device_of(b):
        load_scan(parts)[(-(-units // block),)](
            a.contiguous(),
            b.contiguous(),
            initial.contiguous(),
            states,
            steps=steps,
            units=units,
            CHUNK=chunk,
            BLOCK=block,
            ADJOINT=adjoint,
            enable_fp_fusion=True,
            num_warps=4,
        )
    return states


def _power_of_two(size: int) -> int:
    """The least one that is at least `size`."""
    return 1 << (size - 1).bit_length()
