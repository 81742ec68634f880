"""Convolutions over time that know the true lengths."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_lengths, check_positive

__all__ = ["SequenceConvolutions"]


class SequenceConvolutions(nn.Module):
    """Convolutions over the steps of sequences, one after the other, before recurrent layers.

    Each is followed by a batch normalisation and a relu, as in the convolutional branch of LSTM-FCN (Karim et al.
    2018). Around a sequence, and beyond its length, steps count as zeros, and the normalisation counts true steps only:
    in evaluation a sequence gets in a batch what it gets alone.

    Args:
        input_size: I, features of a step.
        output_size: F, filters of each convolution; those between the first and the last have 2 F.
        kernel_sizes: steps that a filter of each convolution sees, odd numbers.
        stride: steps whose mean makes one step of the output.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self, input_size: int, output_size: int, kernel_sizes: Sequence[int] = (7, 5, 3), stride: int = 1
    ) -> None:
        super().__init__()
        for name, value in (("input_size", input_size), ("output_size", output_size), ("stride", stride)):
            check_positive(name, value)
        if not kernel_sizes or any(size < 1 or size % 2 == 0 for size in kernel_sizes):
            raise ParameterError("kernel_sizes", "one or more odd numbers", kernel_sizes)
        self.input_size = input_size
        self.output_size = output_size
        self.stride = stride
        last = len(kernel_sizes) - 1
        sizes = [output_size if k in (0, last) else 2 * output_size for k in range(last + 1)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel_size, padding=kernel_size // 2)
            for before, after, kernel_size in zip([input_size, *sizes[:-1]], sizes, kernel_sizes, strict=True)
        )
        self.normalizations = nn.ModuleList(nn.BatchNorm1d(size) for size in sizes)

    def forward(self, inputs: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Filter.

        Args:
            inputs: (B, T, I). What is beyond the lengths is never read.
            lengths: true lengths (B,), 0 to T; None: all T.

        Returns:
            The features (B, ceil(T / stride), F), zero beyond its lengths; and these (B,), on the CPU.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        if inputs.dim() != 3 or inputs.shape[2] != self.input_size:
            raise ShapeError("inputs", f"shape (B, T, I = {self.input_size})", tuple(inputs.shape))
        batch, steps = inputs.shape[:2]
        ends = torch.full((batch,), steps) if lengths is None else check_lengths(lengths, batch, steps)
        after = -(-ends // self.stride)
        if not batch or not int(ends.max()):
            return inputs.new_zeros(batch, -(-steps // self.stride), self.output_size), after
        inside = torch.arange(steps, device=inputs.device) < ends.to(inputs.device).unsqueeze(1)
        features = inputs.masked_fill(~inside.unsqueeze(2), 0)
        whole = bool((ends == steps).all())
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            features = convolution(features.transpose(1, 2))
            if whole:
                features = _normalized(normalization, features).relu().transpose(1, 2)
            else:
                true = _normalized(normalization, features.transpose(1, 2)[inside]).relu()
                features = true.new_zeros(batch, steps, true.shape[1]).index_put((inside,), true)
        return self._shortened(features, inside), after

    def _shortened(self, features: Tensor, inside: Tensor) -> Tensor:
        """Means over `stride` steps, of the true ones among them."""
        if self.stride == 1:
            return features
        batch, steps, size = features.shape
        missing = -steps % self.stride
        features = F.pad(features, (0, 0, 0, missing))
        counts = F.pad(inside, (0, missing)).reshape(batch, -1, self.stride).sum(2, keepdim=True)
        return features.reshape(batch, -1, self.stride, size).sum(2) / counts.clamp(min=1)


def _normalized(normalization: nn.Module, values: Tensor) -> Tensor:
    """Values (N, F) or (B, F, T), normalised by feature; by the running figures where a batch has no deviation."""
    assert isinstance(normalization, nn.BatchNorm1d)
    if normalization.training and values.numel() > values.shape[1]:
        return normalization(values)
    mean, variance = normalization.running_mean, normalization.running_var
    return F.batch_norm(values, mean, variance, normalization.weight, normalization.bias, eps=normalization.eps)
