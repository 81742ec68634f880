"""The recurrent transducer's loss from what a joiner reads, in chunks."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recurra.errors import ShapeError
from recurra.models.transducer.lattices import losses
from recurra.models.transducer.loss import Reduction, check_reduction, reduce_losses
from recurra.models.transducer.nodes import Nodes, log_probs
from recurra.shapes import check_positive

__all__ = ["joined_transducer_loss"]


def joined_transducer_loss(
    join: Callable[[Tensor, Tensor], Tensor],
    frames: Tensor,
    predictions: Tensor,
    targets: Tensor,
    lengths: Tensor,
    target_lengths: Tensor,
    *,
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
    chunk: int = 4096,
) -> Tensor:
    """The loss of `transducer_loss`, without an array of all logits.

    The joiner is called for some frames of one utterance at a time, and its logits are reduced to two
    log-probabilities a node; the backward pass calls it again. Memory for all nodes is therefore 32 bytes each, and
    that of V symbols or of the joiner's hidden units is needed for one chunk only. All nodes of a batch that has no
    more of them than a chunk are joined in one call, and nothing is computed twice.

    Args:
        join: from frames (n, 1, J) and predictions (1, U_b + 1, K) to logits (n, U_b + 1, V), or from predictions
            (n, 1, K) to (n, 1, V); such as a module that adds them, takes the hyperbolic tangent and projects. Where it
            is called twice, it has the same random numbers.
        frames: of the encoder, (B, T, J).
        predictions: of the prediction network after 0 to U labels, (B, U + 1, K).
        targets: labels (B, U).
        lengths: frames of each utterance (B,), 0 to T.
        target_lengths: labels of each utterance (B,), 0 to U.
        blank: the symbol that is the blank.
        reduction: "none", "mean" or "sum", see `transducer_loss`.
        zero_infinity: whether an infinite loss counts as zero.
        chunk: nodes that are joined at a time, about.

    Returns:
        The loss, of the frames' dtype, but float32 for shorter ones; it can be differentiated once.

    Raises:
        ShapeError: if a shape, type or length does not fit.
        ParameterError: if the blank, a label, the reduction or the chunk is out of its range.
    """
    check_positive("chunk", chunk)
    check_reduction(reduction)
    batch = len(targets)
    if frames.dim() != 3 or len(frames) != batch:
        raise ShapeError("frames", f"shape (B, T, J) with B = {batch}", tuple(frames.shape))
    nodes = Nodes.of(targets, lengths, target_lengths, frames.shape[1], blank)
    columns = int(nodes.counts.max()) + 1 if batch else 1
    if predictions.dim() != 3 or len(predictions) != batch or predictions.shape[1] < columns:
        expected = f"shape (B, U + 1, K) with B = {batch} and U + 1 at least {columns}"
        raise ShapeError("predictions", expected, tuple(predictions.shape))

    def joined(some: Tensor, after: Tensor, labels: Tensor) -> Tensor:
        logits = join(some, after)
        if logits.dim() != 3 or logits.shape[:2] != (len(some), after.shape[1]):
            expected = f"logits of shape (n, U + 1, V) with n = {len(some)} and U + 1 = {after.shape[1]}"
            raise ShapeError("join", expected, tuple(logits.shape))
        return log_probs(logits.flatten(0, 1), labels, None, blank)

    if len(nodes) <= chunk:
        at_frame = nodes.rows_of_padded(frames.shape[1], columns) // columns
        at_label = nodes.rows_of_labels(predictions.shape[1])
        some, after = (
            each.flatten(0, 1)[index.to(each.device)].unsqueeze(1)
            for each, index in ((frames, at_frame), (predictions, at_label))
        )
        pairs = joined(some, after, nodes.next_labels())
        return reduce_losses(losses(pairs, nodes), nodes, reduction, zero_infinity, frames.dtype)
    pairs = [torch.empty(0, 2, dtype=torch.float64, device=frames.device)]
    for of_frames, of_labels, labels, steps in zip(
        frames.unbind(), predictions.unbind(), nodes.labels, nodes.frames.tolist(), strict=True
    ):
        after = of_labels[: len(labels)].unsqueeze(0)
        parts = of_frames[:steps].unsqueeze(1).split(max(chunk // len(labels), 1)) if steps else ()
        pairs.extend(checkpoint(joined, some, after, labels.repeat(len(some)), use_reentrant=False) for some in parts)
    return reduce_losses(losses(torch.cat(pairs), nodes), nodes, reduction, zero_infinity, frames.dtype)
