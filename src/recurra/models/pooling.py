"""Many to one: from the output at every step to one vector a sequence."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_lengths, check_positive

__all__ = ["POOLINGS", "Pooling"]

POOLINGS = ("last", "mean", "max", "attention")


class Pooling(nn.Module):
    """One vector a sequence from what recurrent layers put out at its true steps.

    "last" is the output after the whole sequence was read: of a forward direction that at the last true step, of a
    backward one that at the first. "mean" and "max" are by feature, over steps. "attention" is the mean weighted by
    softmax(v^T tanh(W h_t + b)) over steps (Yang et al. 2016, equations 5 to 7, with one word level).

    Args:
        kinds: one or more of these; several are put side by side.
        size: F, features of a step.
        bidirectional: whether the latter half of the features is of a direction that reads backward.

    Attributes:
        output_size: F for each kind.

    Raises:
        ParameterError: for an unknown kind, none, one twice, or a size out of its range.
    """

    def __init__(self, kinds: str | Sequence[str], size: int, bidirectional: bool = False) -> None:
        super().__init__()
        self.kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        if not self.kinds or len(set(self.kinds)) < len(self.kinds) or not set(self.kinds) <= set(POOLINGS):
            raise ParameterError("pooling", f"one or more of {', '.join(POOLINGS)}, each once", kinds)
        check_positive("size", size)
        if bidirectional and size % 2:
            raise ParameterError("size", "an even number, half for each direction", size)
        self.size = size
        self.bidirectional = bidirectional
        self.output_size = size * len(self.kinds)
        self.scores = None
        if "attention" in self.kinds:
            self.scores = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))

    def forward(self, output: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Pool.

        Args:
            output: (B, T, F). What is beyond the lengths is never read.
            lengths: true lengths (B,), 0 to T; None: all T. A sequence of length 0 has zeros.

        Returns:
            (B, `output_size`).

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        if output.dim() != 3 or output.shape[2] != self.size:
            raise ShapeError("output", f"shape (B, T, F = {self.size})", tuple(output.shape))
        batch, steps = output.shape[:2]
        ends = torch.full((batch,), steps) if lengths is None else check_lengths(lengths, batch, steps)
        ends = ends.to(output.device)
        if not steps:
            return output.new_zeros(batch, self.output_size)
        padding = (torch.arange(steps, device=output.device) >= ends.unsqueeze(1)).unsqueeze(2)
        output = output.masked_fill(padding, 0)
        parts = [self._pooled(kind, output, ends, padding) for kind in self.kinds]
        return torch.cat(parts, dim=1)

    def extra_repr(self) -> str:
        return f"{self.kinds}, {self.size}" + (", bidirectional=True" if self.bidirectional else "")

    def _pooled(self, kind: str, output: Tensor, ends: Tensor, padding: Tensor) -> Tensor:
        if kind == "last":
            rows = torch.arange(output.shape[0], device=output.device)
            last = output[rows, (ends - 1).clamp(min=0)]
            if not self.bidirectional:
                return last
            return torch.cat([last[:, : self.size // 2], output[:, 0, self.size // 2 :]], dim=1)
        if kind == "mean":
            return output.sum(1) / ends.clamp(min=1).unsqueeze(1)
        if kind == "max":
            # The least number and not minus infinity, which a sequence of nothing but padding would be left with.
            largest = output.masked_fill(padding, torch.finfo(output.dtype).min).amax(1)
            return largest.masked_fill((ends == 0).unsqueeze(1), 0)
        return (self._weights(output, padding) * output).sum(1)

    def _weights(self, output: Tensor, padding: Tensor) -> Tensor:
        assert self.scores is not None
        scores = self.scores(output)
        # Under autocast scores are of another type than the output.
        scores = scores.masked_fill(padding, torch.finfo(scores.dtype).min)
        return scores.softmax(1).masked_fill(padding, 0)
