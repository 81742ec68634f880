"""The recurrent transducer's nodes and lattices in C++, see csrc/transducer.hpp."""

from typing import Any

import torch
from torch import Tensor

from recurra.kernels.native import extension

__all__ = ["d_logits", "lattices", "log_probs"]


def log_probs(logits: Tensor, labels: Tensor, index: Tensor | None, blank: int) -> tuple[Tensor, Tensor]:
    """The log-probabilities of the blank and of a label in each node.

    Args:
        logits: (M, V), contiguous, float32 or float64 on the CPU.
        labels: the label of each node (R,) int64, -1 for none, whose log-probability is minus infinity.
        index: which row of the logits a node reads (R,) int64; None: in order, M = R.
        blank: the symbol that is the blank.

    Returns:
        The log-probabilities (R, 2) float64, and the normalizer of each row (R,): log of the sum of exponentials.
    """
    pairs = torch.empty(len(labels), 2, dtype=torch.float64)
    normalizers = logits.new_empty(len(labels))
    extension.loaded().transducer_forward(_machine(), blank, index, labels, logits, pairs, normalizers)
    return pairs, normalizers


def d_logits(
    logits: Tensor, labels: Tensor, index: Tensor | None, blank: int, normalizers: Tensor, d_pairs: Tensor
) -> Tensor:
    """The gradient of the logits (M, V) from that of the log-probabilities (R, 2); zero in rows that no node reads."""
    gradient = torch.empty_like(logits) if index is None else torch.zeros_like(logits)
    extension.loaded().transducer_backward(
        _machine(), blank, index, labels, logits, normalizers, d_pairs.contiguous(), gradient
    )
    return gradient


def lattices(pairs: Tensor, frames: Tensor, labels: Tensor, gradient: bool) -> tuple[Tensor, Tensor | None]:
    """The loss of each utterance (B,), and its gradient by the log-probabilities (N, 2) if it is wanted.

    Args:
        pairs: log-probabilities of the blank and of the next label (N, 2) float64, contiguous.
        frames: T of each utterance (B,) int64.
        labels: U of each utterance (B,) int64.
        gradient: whether the gradient is wanted.
    """
    losses = pairs.new_empty(len(frames))
    d_pairs = torch.empty_like(pairs) if gradient else None
    extension.loaded().transducer_lattices(_machine(), frames, labels, pairs, losses, d_pairs)
    return losses, d_pairs


def _machine() -> Any:
    chosen = extension.instruction_set()
    return extension.loaded().LossMachine(
        "baseline" if chosen == "neon" else chosen, torch.get_num_threads(), extension.parallel()
    )
