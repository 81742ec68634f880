"""Forced alignment by CTC: at which frames each label of a known text is."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from recurra.errors import DataError, ParameterError, ShapeError
from recurra.kernels.native import extension
from recurra.models.decoding.timed import TimedToken

__all__ = ["forced_align", "least_frames"]


def least_frames(labels: Sequence[int]) -> int:
    """The frames that CTC needs for labels: one each, and a blank between two that are equal (Graves et al. 2006)."""
    return len(labels) + sum(one == other for one, other in pairwise(labels))


def forced_align(log_probs: Tensor, targets: Tensor, blank: int = 0) -> tuple[list[TimedToken], float]:
    """The best alignment of known labels, by Viterbi's algorithm over CTC's lattice (Graves et al. 2006).

    Args:
        log_probs: of each frame and symbol (T, V).
        targets: labels (U,), integers without the blank.
        blank: the symbol that is the blank.

    Returns:
        For each label its frames, which do not overlap, and the path's log-probability. It takes T (2 U + 1) bytes.

    Raises:
        ShapeError: if a shape or type is another.
        ParameterError: if the blank or a label is not a symbol, or a label the blank.
        DataError: if there are too few frames for the labels, or no path has a probability.
        CompilerError: if the package was installed without its C++ extension.
    """
    if log_probs.dim() != 2 or not log_probs.dtype.is_floating_point:
        raise ShapeError("log_probs", "floats of shape (T, V)", f"{log_probs.dtype} of shape {tuple(log_probs.shape)}")
    if targets.dim() != 1 or targets.dtype.is_floating_point or targets.dtype == torch.bool:
        raise ShapeError("targets", "integers of shape (U,)", f"{targets.dtype} of shape {tuple(targets.shape)}")
    steps, symbols = log_probs.shape
    if isinstance(blank, bool) or not 0 <= blank < symbols:
        raise ParameterError("blank", f"a symbol from 0 to V - 1 = {symbols - 1}", blank)
    labels = targets.detach().cpu().long().contiguous()
    wrong = labels[(labels < 0) | (labels >= symbols) | (labels == blank)]
    if len(wrong):
        raise ParameterError("targets", f"labels from 0 to {symbols - 1} other than the blank, {blank}", int(wrong[0]))
    values = log_probs.detach().cpu().float().contiguous()
    aligned, log_prob = extension.loaded().ctc_align(values, labels, blank)
    if len(aligned) < len(labels) or log_prob == -torch.inf:
        needed = least_frames(labels.tolist())
        if steps < needed:
            raise DataError(f"{len(labels)} labels need {needed} frames for their alignment, but there are {steps}")
        raise DataError(f"no alignment of these {len(labels)} labels has a probability above zero")
    return [TimedToken(*one) for one in aligned], log_prob
