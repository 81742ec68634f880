"""Several models as one."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.errors import ParameterError
from recurra.models.decoding.rows import Step

__all__ = ["ensemble"]


def ensemble(steps: Sequence[Step]) -> Step:
    """The step function of several models over the same tokens: the mean of their probabilities.

    Args:
        steps: one or more.

    Returns:
        A step function whose state is the tuple of theirs.

    Raises:
        ParameterError: for none.
    """
    if not steps:
        raise ParameterError("steps", "one step function or more", steps)

    def step(tokens: Tensor, states: Any) -> tuple[Tensor, Any]:
        results = [one(tokens, state) for one, state in zip(steps, states, strict=True)]
        log_probs = torch.stack([log_probs for log_probs, _ in results])
        return log_probs.logsumexp(0) - math.log(len(results)), tuple(state for _, state in results)

    return step
