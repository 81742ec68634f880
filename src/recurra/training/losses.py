"""The loss of a batch of sequences: a mean over its true steps, whatever is padded, masked or missing."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.data.batches.ignored import is_ignored
from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_lengths, check_shape

__all__ = ["CRITERIA", "sequence_loss", "true_steps"]

CRITERIA = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "poisson_nll_loss",
)
_OF_CLASSES = ("cross_entropy", "nll_loss")

Criterion = str | Callable[[Tensor, Tensor], Tensor]
Lengths = Tensor | Sequence[int]


def sequence_loss(
    output: Tensor,
    target: Tensor,
    criterion: Criterion = "cross_entropy",
    at: str = "every",
    lengths: Lengths | None = None,
    mask: Tensor | None = None,
    features: str = "mean",
) -> Tensor:
    """The mean of a criterion over the true steps of a batch.

    A step is true where it is within `lengths`, `mask` has it and its target is not ignored: an integer of -100, as
    torch's `ignore_index`, or a NaN. Of a step with several targets those that are ignored do not count. What the
    output holds where nothing counts (padding never written, say) reaches neither the loss nor a gradient.

    Args:
        output: (B, T, ...), for classes (B, T, ..., V).
        target: (B, T, ...), with `at` "last" (B, ...): class indices, or numbers (or probabilities of the V classes)
            in the output's shape.
        criterion: a name of torch.nn.functional among `CRITERIA`, or a function of the outputs (N, ...) and the
            targets (N, ...) of N true steps that returns a loss for each (N,) or each of their features (N, ...), such
            as torch.nn.HuberLoss(reduction="none", delta=0.1).
        at: "every" step, or the "last" true one of each sequence.
        lengths: true lengths (B,), 0 to T; None: all T.
        mask: bool (B, T), with `at` "last" (B,), of what counts.
        features: "mean" or "sum" over the features of a step; the sum of binary cross-entropies over 88 notes, say, is
            the negative log-likelihood of a frame.

    Returns:
        0-dim, in float32 at least; 0 if no step counts.

    Raises:
        ParameterError: for an unknown name, or a criterion that does not return a loss for each step.
        ShapeError: if shapes do not fit; they are never broadcast.
    """
    if isinstance(criterion, str) and criterion not in CRITERIA:
        raise ParameterError("criterion", f"one of {', '.join(CRITERIA)}, or a function", criterion)
    if features not in ("mean", "sum"):
        raise ParameterError("features", "'mean' or 'sum'", features)
    counted = _counted(target, at, lengths, mask)
    if at == "last":
        output = _last(output, lengths)
    _check_shapes(output, target, criterion, counted.dim())
    if at == "every":
        output, target, counted = output.flatten(0, 1), target.flatten(0, 1), counted.flatten()
    if not counted.all():
        index = counted.nonzero().squeeze(1)
        output, target = output.index_select(0, index), target.index_select(0, index)
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    losses = _by_step(output, target, criterion, features)
    return losses.sum() / max(len(losses), 1)


def true_steps(target: Tensor, lengths: Lengths | None = None, mask: Tensor | None = None, at: str = "every") -> float:
    """The number of steps that `sequence_loss` is a mean over, the `weight` of a batch; arguments as there."""
    return float(_counted(target, at, lengths, mask).sum())


def _counted(target: Tensor, at: str, lengths: Lengths | None, mask: Tensor | None) -> Tensor:
    """Which steps are true: bool (B, T), or (B,) for the last ones."""
    if at not in ("every", "last"):
        raise ParameterError("at", "'every' or 'last'", at)
    letters = "(B, T)" if at == "every" else "(B,)"
    lead = 2 if at == "every" else 1
    if target.dim() < lead:
        raise ShapeError("target", f"{letters} and any features", tuple(target.shape))
    counted = ~is_ignored(target)
    if counted.dim() > lead:
        counted = counted.flatten(lead).any(lead)
    if lengths is not None and at == "every":
        ends = check_lengths(lengths, *target.shape[:2]).to(target.device)
        counted = counted & (torch.arange(target.shape[1], device=target.device) < ends.unsqueeze(1))
    elif lengths is not None:
        counted = counted & (torch.as_tensor(lengths, device=target.device) > 0)
    if mask is not None:
        check_shape("mask", mask, counted.shape, letters)
        if mask.dtype != torch.bool:
            raise ShapeError("mask", "bool", mask.dtype)
        counted = counted & mask.to(target.device)
    return counted


def _last(output: Tensor, lengths: Lengths | None) -> Tensor:
    """The output (B, ...) of the last true step of each sequence, of any step for those of length 0."""
    batch, steps = output.shape[:2]
    if lengths is None:
        return output[:, -1]
    if not steps:
        return output.sum(1)
    ends = check_lengths(lengths, batch, steps).to(output.device)
    return output[torch.arange(batch, device=output.device), (ends - 1).clamp(min=0)]


def _check_shapes(output: Tensor, target: Tensor, criterion: Criterion, lead: int) -> None:
    """Refuse shapes that torch would broadcast; what a function's features are like is its own affair."""
    steps = "B, T" if lead == 2 else "B"
    if callable(criterion):
        if output.shape[:lead] != target.shape[:lead]:
            raise ShapeError("output", f"({steps}, ...) = {tuple(target.shape[:lead])} and more", tuple(output.shape))
    elif _are_indices(criterion, target):
        check_shape("output", output, (*target.shape, *output.shape[-1:]), f"({steps}, ..., V)")
    else:
        check_shape("output", output, target.shape, f"({steps}, ...) of the target")


def _are_indices(criterion: Criterion, target: Tensor) -> bool:
    return criterion in _OF_CLASSES and not target.is_floating_point()


def _by_step(output: Tensor, target: Tensor, criterion: Criterion, features: str) -> Tensor:
    """The loss of each of N true steps (N,)."""
    indices = _are_indices(criterion, target)
    missing = None
    if target.dim() > 1 and (indices or (output.shape == target.shape and criterion not in _OF_CLASSES)):
        missing = is_ignored(target)
        if missing.any():
            # Filled before and after: a loss of 0 times the gradient of what is not a number would be none either.
            target = target.masked_fill(missing, 0)
            output = output.masked_fill(missing.unsqueeze(-1) if indices else missing, 0)
        else:
            missing = None
    if callable(criterion):
        losses = criterion(output, target)
        if losses.shape[:1] != output.shape[:1]:
            hint = 'Make it return them unreduced, as with reduction="none".'
            raise ParameterError(
                "criterion", f"a function that returns {len(output)} losses", tuple(losses.shape), hint
            )
    elif criterion in _OF_CLASSES:
        target = target if indices else target.movedim(-1, 1)
        losses = getattr(F, criterion)(output.movedim(-1, 1), target, reduction="none")
    else:
        losses = getattr(F, criterion)(output, target.to(output.dtype), reduction="none")
    if losses.dim() == 1:
        return losses
    if missing is None or losses.shape != missing.shape:
        return losses.flatten(1).sum(1) if features == "sum" else losses.flatten(1).mean(1)
    summed = losses.masked_fill(missing, 0).flatten(1).sum(1)
    return summed if features == "sum" else summed / (~missing).flatten(1).sum(1)
