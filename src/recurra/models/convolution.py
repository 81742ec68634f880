"""A convolution over time that knows the true lengths."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_lengths, check_positive

__all__ = ["SequenceConvolution"]


class SequenceConvolution(nn.Module):
    """A convolution over the steps of sequences and a relu, before recurrent layers say.

    Around a sequence, and beyond its length, steps count as zeros, so that a sequence gets in a batch what it gets
    alone.

    Args:
        input_size: I, features of a step.
        output_size: F, filters.
        kernel_size: steps a filter sees, an odd number.
        stride: steps from one output to the next; with 2 there are half as many.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, input_size: int, output_size: int, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__()
        for name, value in (
            ("input_size", input_size),
            ("output_size", output_size),
            ("kernel_size", kernel_size),
            ("stride", stride),
        ):
            check_positive(name, value)
        if kernel_size % 2 == 0:
            raise ParameterError("kernel_size", "an odd number", kernel_size)
        self.input_size = input_size
        self.stride = stride
        self.convolution = nn.Conv1d(input_size, output_size, kernel_size, stride, kernel_size // 2)

    def forward(self, inputs: Tensor, lengths: Tensor | Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
        """Filter.

        Args:
            inputs: (B, T, I). What is beyond the lengths is never read.
            lengths: true lengths (B,), 0 to T; None: all T.

        Returns:
            What the filters found (B, ceil(T / stride), F), zero beyond its lengths; and these (B,), on the CPU.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        if inputs.dim() != 3 or inputs.shape[2] != self.input_size:
            raise ShapeError("inputs", f"shape (B, T, I = {self.input_size})", tuple(inputs.shape))
        batch, steps = inputs.shape[:2]
        ends = torch.full((batch,), steps) if lengths is None else check_lengths(lengths, batch, steps)
        after = -(-ends // self.stride)
        if not steps or not batch:
            return inputs.new_zeros(batch, -(-steps // self.stride), self.convolution.out_channels), after
        found = self.convolution(inputs.masked_fill(_beyond(ends, steps, inputs), 0).transpose(1, 2)).transpose(1, 2)
        return torch.relu(found).masked_fill(_beyond(after, found.shape[1], inputs), 0), after


def _beyond(lengths: Tensor, steps: int, like: Tensor) -> Tensor:
    """Which steps are padding, bool (B, T, 1)."""
    return (torch.arange(steps, device=like.device) >= lengths.to(like.device).unsqueeze(1)).unsqueeze(2)
