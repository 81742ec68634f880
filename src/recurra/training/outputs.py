"""The outputs of a network for many sequences of different lengths."""

from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from recurra.data.batches.buckets import Buckets

__all__ = ["Encoded", "outputs_of"]

_STEPS_AT_ONCE = 4096


class Encoded(Protocol):
    """Sequences of which batches are cut."""

    @property
    def lengths(self) -> np.ndarray:
        """Of each sequence (N,)."""
        ...

    def batch(self, indices: np.ndarray) -> Any:
        """The batch of some sequences, which has a method `to`."""
        ...


@torch.no_grad()
def outputs_of(network: nn.Module, encoded: Encoded, device: torch.device) -> np.ndarray:
    """What a network returns first (N, K) float32, in evaluation mode; sequences of similar length are batched.

    Args:
        network: from a batch to its outputs (B, K) and a state.
        encoded: at least one sequence.
        device: the network's.
    """
    at_once = max(_STEPS_AT_ONCE, int(encoded.lengths.max()))
    buckets = Buckets(encoded.lengths, tokens=at_once, shuffle=False)
    network.eval()
    order, outputs = [], []
    for step in range(1, buckets.steps_per_epoch + 1):
        order.append(buckets(step))
        outputs.append(network(encoded.batch(order[-1]).to(device))[0].float().cpu().numpy())
    return np.concatenate(outputs)[np.argsort(np.concatenate(order))]
