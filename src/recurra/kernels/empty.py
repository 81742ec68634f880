"""Sequences without a step and batches without a sequence: there is nothing to run."""

import torch
from torch import Tensor

from recurra.kernels.weights import Weights

__all__ = ["run_empty"]


def run_empty(inputs: Tensor, state: tuple[Tensor, ...], weights: Weights) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The result where no sequence has a step: outputs of zeros, and the state as it was.

    Both depend on the inputs, the state and the weights, so the backward pass gives each of them a gradient of zeros,
    as it does after torch's kernels.

    Args:
        inputs: (T, B, I), or of maps (T, B, I, Y, X).
        state: the initial state by part.
        weights: of the layer in this direction.

    Returns:
        The outputs (T, B, R), or of maps (T, B, R, Y, X), and the final state by part.
    """
    # The sum of no elements: 0 whatever the values are, and its gradient is zeros. It is of squares: then the gradient
    # depends on the tensor too, and can be differentiated again.
    tensors = [tensor for tensor in (inputs, *state, *weights) if tensor is not None]
    zero = torch.stack([tensor.narrow(0, 0, 0).square().sum() for tensor in tensors]).sum()
    outputs = inputs.new_zeros(*inputs.shape[:2], *state[0].shape[1:]) + zero
    return outputs, tuple(part + zero for part in state)
