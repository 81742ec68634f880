"""Linear recurrences of blocks, parallel in time, within lengths and between boundaries."""

import torch
from torch import Tensor

from recurra.kernels.scan.linear import linear_scan

__all__ = ["run_linear"]


def run_linear(
    a: Tensor, b: Tensor, initial: Tensor, lengths: Tensor | None, resets: Tensor | None
) -> tuple[Tensor, Tensor]:
    """All states of s_t = A_t s_{t-1} + b_t, and the last true one.

    Args:
        a: the matrices A_t, (P, P, T, B, H), perhaps expanded.
        b: the shifts b_t, (P, T, B, H).
        initial: the state before the first step, (P, B, H).
        lengths: (B,), or None.
        resets: bool (B, T), before which steps the state is zero; or None.

    Returns:
        The states (P, T, B, H), of which those at padding are the last true one, and the last (P, B, H).
    """
    steps = b.shape[1]
    if not steps:
        return b, initial
    if resets is not None:
        a = a.masked_fill(resets.t().unsqueeze(2).to(a.device), 0)
    if lengths is not None:
        padding = (torch.arange(steps).unsqueeze(1) >= lengths).unsqueeze(2).to(a.device)
        same = torch.eye(len(b), dtype=a.dtype, device=a.device)[:, :, None, None, None]
        a, b = torch.where(padding, same, a), b.masked_fill(padding, 0)
    states = linear_scan(a, b, initial)
    return states, states[:, -1]
