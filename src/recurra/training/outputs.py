"""The outputs of a network for many sequences of different lengths."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from recurra.data.batches.buckets import Buckets

__all__ = ["Encoded", "outputs_of", "step_outputs_of"]

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


def outputs_of(network: nn.Module, encoded: Encoded, device: torch.device) -> np.ndarray:
    """What a network returns first (N, K) float32, in evaluation mode; sequences of similar length are batched.

    Args:
        network: from a batch to its outputs (B, K) and a state.
        encoded: at least one sequence.
        device: the network's.
    """
    batches = list(_batches(network, encoded, device))
    return np.concatenate([outputs for _, outputs in batches])[_order(batches)]


def step_outputs_of(network: nn.Module, encoded: Encoded, device: torch.device) -> list[np.ndarray]:
    """What a network returns first of each sequence, (T, K) float32 of its true steps; else as `outputs_of`.

    Args:
        network: from a batch to its outputs (B, T, K) and a state.
        encoded: at least one sequence.
        device: the network's.
    """
    batches = list(_batches(network, encoded, device))
    each = [one[: encoded.lengths[row]] for rows, outputs in batches for row, one in zip(rows, outputs, strict=True)]
    return [each[row] for row in _order(batches)]


@torch.no_grad()
def _batches(network: nn.Module, encoded: Encoded, device: torch.device) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The indices of each batch, and the outputs of these sequences."""
    at_once = max(_STEPS_AT_ONCE, int(encoded.lengths.max()))
    buckets = Buckets(encoded.lengths, tokens=at_once, shuffle=False)
    network.eval()
    for step in range(1, buckets.steps_per_epoch + 1):
        rows = buckets(step)
        yield rows, network(encoded.batch(rows).to(device))[0].float().cpu().numpy()


def _order(batches: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Where the output of each sequence is among those of all batches."""
    return np.argsort(np.concatenate([rows for rows, _ in batches]))
