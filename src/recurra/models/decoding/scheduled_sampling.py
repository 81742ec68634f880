"""Inputs for training that are in part the network's own samples."""

import math
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ShapeError
from recurra.models.decoding.rows import Step
from recurra.shapes import check_probability

__all__ = ["scheduled_inputs"]


@torch.no_grad()
def scheduled_inputs(
    step: Step, state: Any, inputs: Tensor, end: int, teacher_forcing_ratio: float, lengths: Tensor | None = None
) -> Tensor:
    """Inputs of which some are sampled from the network, for scheduled sampling (Bengio et al. 2015, section 2.4).

    Each token after the first stays with the probability `teacher_forcing_ratio`, independently of the others. Another
    one is sampled from what `step` predicts after the tokens before it, sampled or true. The network then trains on the
    result; the targets stay. As in the paper, no gradient flows through the choice. The network runs once more for it,
    without gradients. Samples are those of torch's generator.

    Args:
        step: of the network.
        state: before the first token.
        inputs: the true inputs (B, T), the begin first.
        end: the token that ends a sequence, which is never sampled: nothing follows it.
        teacher_forcing_ratio: 0 to 1.
        lengths: true lengths (B,); None: all T. Beyond them nothing changes.

    Raises:
        ParameterError: the ratio is out of its range.
        ShapeError: the inputs are not (B, T).
    """
    check_probability("teacher_forcing_ratio", teacher_forcing_ratio)
    if inputs.dim() != 2:
        raise ShapeError("inputs", "shape (B, T)", tuple(inputs.shape))
    sampled = torch.rand(inputs.shape, device=inputs.device) >= teacher_forcing_ratio
    sampled[:, :1] = False
    if lengths is not None:
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        sampled &= steps < lengths.to(inputs.device).unsqueeze(1)
    mixed = inputs.clone()
    columns = sampled.any(0).nonzero()
    for t in range(1, int(columns[-1]) + 1 if len(columns) else 1):
        log_probs, state = step(mixed[:, t - 1], state)
        rows = sampled[:, t].nonzero().squeeze(1)
        if len(rows):
            chosen = log_probs[rows]
            chosen[:, end] = -math.inf
            mixed[rows, t] = torch.multinomial(chosen.softmax(1), 1).squeeze(1)
    return mixed
