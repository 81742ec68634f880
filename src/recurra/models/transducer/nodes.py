"""The nodes of a batch of lattices, packed, and the log-probabilities that each has."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurra.errors import ParameterError, ShapeError
from recurra.kernels.native import extension, transducer
from recurra.shapes import check_lengths

__all__ = ["Nodes", "log_probs", "runs_in_engine"]


@dataclass(frozen=True)
class Nodes:
    """The nodes (t, u) of a batch: utterance after utterance, t slower than u, N = sum of T_b (U_b + 1) in all.

    Attributes:
        frames: T of each utterance (B,) int64 on the CPU.
        counts: U of each utterance, its labels (B,) int64 on the CPU.
        labels: of each utterance the label that each number of labels is followed by, (U_b + 1,), -1 for the last.
    """

    frames: Tensor
    counts: Tensor
    labels: tuple[Tensor, ...]

    @classmethod
    def of(cls, targets: Tensor, lengths: Tensor, target_lengths: Tensor, steps: int, blank: int) -> "Nodes":
        """The nodes of a batch.

        Args:
            targets: labels (B, U), integers.
            lengths: frames of each utterance (B,).
            target_lengths: labels of each utterance (B,).
            steps: frames at most.
            blank: the symbol that no label may be.

        Raises:
            ShapeError: if a shape, type or length does not fit.
            ParameterError: if a label is negative or the blank.
        """
        if targets.dim() != 2 or targets.dtype.is_floating_point or targets.dtype == torch.bool:
            raise ShapeError("targets", "integers of shape (B, U)", f"{targets.dtype} of shape {tuple(targets.shape)}")
        batch, most = targets.shape
        frames = check_lengths(lengths, batch, steps).contiguous()
        counts = check_lengths(target_lengths, batch, most, name="target_lengths", letter="U").contiguous()
        padded = targets.detach().cpu().long()
        valid = torch.arange(most) < counts.unsqueeze(1)
        used = padded[valid]
        if len(used) and (int(used.min()) < 0 or bool((used == blank).any())):
            got = int(used.min()) if int(used.min()) < 0 else blank
            raise ParameterError("targets", f"labels of at least 0 other than the blank, {blank}", got)
        ended = torch.cat([padded.masked_fill(~valid, -1), padded.new_full((batch, 1), -1)], 1)
        rows = tuple(row[: count + 1] for row, count in zip(ended.unbind(), counts.tolist(), strict=True))
        return cls(frames, counts, rows)

    def next_labels(self) -> Tensor:
        """The label that may follow in each node (N,) int64, -1 for none."""
        repeated = [row.repeat(steps) for row, steps in zip(self.labels, self.frames.tolist(), strict=True)]
        return torch.cat(repeated) if repeated else torch.empty(0, dtype=torch.int64)

    def rows_of_padded(self, steps: int, columns: int) -> Tensor:
        """The row of each node (N,) in padded logits (B * T * (U + 1), V) with these T and U + 1."""
        lattice = steps * columns
        rows = [
            (b * lattice + torch.arange(frames).unsqueeze(1) * columns + torch.arange(count + 1)).flatten()
            for b, (frames, count) in enumerate(zip(self.frames.tolist(), self.counts.tolist(), strict=True))
        ]
        return torch.cat(rows) if rows else torch.empty(0, dtype=torch.int64)

    def rows_of_labels(self, columns: int) -> Tensor:
        """The row of each node (N,) in padded predictions (B * (U + 1), K) with this U + 1."""
        rows = [
            (b * columns + torch.arange(count + 1)).repeat(frames)
            for b, (frames, count) in enumerate(zip(self.frames.tolist(), self.counts.tolist(), strict=True))
        ]
        return torch.cat(rows) if rows else torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        return int((self.frames * (self.counts + 1)).sum())


def log_probs(logits: Tensor, labels: Tensor, index: Tensor | None, blank: int) -> Tensor:
    """The log-probabilities of the blank and of the next label in each node (R, 2), float64.

    Args:
        logits: (M, V), unnormalised.
        labels: (R,) int64 on the CPU, -1 for none, whose log-probability is minus infinity.
        index: which row of the logits a node reads (R,); None: in order.
        blank: the symbol that is the blank.

    Raises:
        ParameterError: if the blank or a label is not a symbol.
    """
    symbols = logits.shape[1]
    if isinstance(blank, bool) or not isinstance(blank, int) or not 0 <= blank < symbols:
        raise ParameterError("blank", f"a symbol from 0 to V - 1 = {symbols - 1}", blank)
    if len(labels) and int(labels.max()) >= symbols:
        raise ParameterError("targets", f"labels from 0 to V - 1 = {symbols - 1}", int(labels.max()))
    logits = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    if runs_in_engine(logits):
        return _LogProbs.apply(logits, labels, index, blank)
    labels = labels.to(logits.device)
    rows = logits if index is None else logits[index.to(logits.device)]
    normalized = rows.double().log_softmax(1)
    chosen = normalized.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    return torch.stack([normalized[:, blank], chosen.masked_fill(labels < 0, -torch.inf)], 1)


def runs_in_engine(tensor: Tensor) -> bool:
    """Whether the extension computes with this tensor, and not torch."""
    return extension.is_installed() and tensor.device.type == "cpu"


class _LogProbs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, index: Tensor | None, blank: int) -> Tensor:
        logits = logits.contiguous()
        pairs, normalizers = transducer.log_probs(logits, labels, index, blank)
        ctx.save_for_backward(logits, labels, index, normalizers)
        ctx.blank = blank
        return pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        logits, labels, index, normalizers = ctx.saved_tensors
        by_logit = transducer.d_logits(logits, labels, index, ctx.blank, normalizers, gradients[0])
        return by_logit, None, None, None
