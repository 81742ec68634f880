"""The recurrent transducer's loss from logits."""

from typing import Literal, get_args

import torch
from torch import Tensor

from recurra.errors import ParameterError, ShapeError
from recurra.models.transducer.lattices import losses
from recurra.models.transducer.nodes import Nodes, log_probs

__all__ = ["Reduction", "check_reduction", "reduce_losses", "transducer_loss"]

Reduction = Literal["none", "mean", "sum"]


def transducer_loss(
    logits: Tensor,
    targets: Tensor,
    lengths: Tensor,
    target_lengths: Tensor,
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """The recurrent transducer's loss (Graves 2012): -log p(y | x), summed over all alignments of labels and frames.

    In each node (t, u), after u labels at frame t, the network either emits the next label, and stays at the frame, or
    the blank, and goes to the next one; the last frame ends with a blank. Forward and backward variables (equations 16
    to 18) and the gradient (20) are computed by anti-diagonals in C++, utterances beside each other, in float64.

    Per node the loss saves 36 bytes, and nothing of V symbols: the gradient of the logits, which has their size, is the
    only other such array. `joined_transducer_loss` needs neither.

    Args:
        logits: unnormalised, (B, T, U + 1, V); or packed (N, V) without padding: utterance after utterance,
            T_b (U_b + 1) rows each, frames slower than labels. float32 or float64; float16 and bfloat16 are converted.
        targets: labels (B, U), integers from 0 to V - 1 that are not the blank; what is beyond the lengths is never
            read.
        lengths: frames of each utterance (B,), 0 to T. An utterance without frames has the probability 1 if it has no
            labels, else 0.
        target_lengths: labels of each utterance (B,), 0 to U.
        blank: the symbol that is the blank.
        reduction: as of torch's `ctc_loss`: "none" for the loss of each utterance (B,), "sum", or "mean", which divides
            each by its labels (at least 1) and takes the mean over the batch.
        zero_infinity: whether an infinite loss, of labels that no alignment can produce, counts as zero. Its gradient
            is zero in either case.

    Returns:
        The loss, of the logits' dtype, but float32 for shorter ones; it can be differentiated once.

    Raises:
        ShapeError: if a shape, type or length does not fit.
        ParameterError: if the blank, a label or the reduction is out of its range.
    """
    check_reduction(reduction)
    padded = logits.dim() == 4
    if logits.dim() not in (2, 4) or not logits.dtype.is_floating_point:
        expected = "floats of shape (B, T, U + 1, V), or packed (N, V)"
        raise ShapeError("logits", expected, f"{logits.dtype} of shape {tuple(logits.shape)}")
    steps = logits.shape[1] if padded else len(logits)
    nodes = Nodes.of(targets, lengths, target_lengths, steps, blank)
    index = None
    if padded:
        if logits.shape[0] != targets.shape[0] or logits.shape[2] <= int(nodes.counts.max() if len(targets) else 0):
            expected = f"shape (B, T, U + 1, V) with B = {targets.shape[0]} and U at least the longest target_lengths"
            raise ShapeError("logits", expected, tuple(logits.shape))
        index = nodes.rows_of_padded(*logits.shape[1:3])
    elif len(logits) != len(nodes):
        raise ShapeError("logits", f"shape (N, V) with N = sum of T_b (U_b + 1) = {len(nodes)}", tuple(logits.shape))
    pairs = log_probs(logits.flatten(0, -2), nodes.next_labels(), index, blank)
    return reduce_losses(losses(pairs, nodes), nodes, reduction, zero_infinity, logits.dtype)


def check_reduction(reduction: str) -> None:
    """Refuse a reduction that there is not.

    Raises:
        ParameterError: for another than "none", "mean" and "sum".
    """
    if reduction not in get_args(Reduction):
        raise ParameterError("reduction", "none, mean or sum", reduction)


def reduce_losses(
    values: Tensor, nodes: Nodes, reduction: Reduction, zero_infinity: bool, dtype: torch.dtype
) -> Tensor:
    """The losses of the utterances (B,) as one, see `transducer_loss`; of this dtype, but float32 for shorter ones."""
    if zero_infinity:
        values = values.masked_fill(values == torch.inf, 0)
    if reduction == "mean":
        values = (values / nodes.counts.clamp(min=1).to(values.device)).mean()
    elif reduction == "sum":
        values = values.sum()
    return values.to(torch.promote_types(dtype, torch.float32))
