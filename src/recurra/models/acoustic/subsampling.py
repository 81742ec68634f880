"""Convolutions over time and frequency that make few steps of many frames."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_lengths, check_positive

__all__ = ["FACTORS", "Subsampling"]

FACTORS = (2, 4, 8)


class Subsampling(nn.Module):
    """Convolutions over frames (time) and bins (frequency), which halve both, one after the other.

    Each has filters of 3 x 3 with a stride of 2 and a relu. A layer normalisation of each step follows the last one.
    Step j reads frames up to `factor` * (j + 1) - 1, which are its own: it needs no frame of a later step, and the
    network streams. Frames before the first, and beyond a length, count as zeros.

    Args:
        input_size: F, bins of a frame.
        channels: C, filters of each convolution.
        factor: frames of a step: 2, 4 or 8.

    Attributes:
        output_size: features of a step, the channels of each remaining bin.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, input_size: int, channels: int = 32, factor: int = 4) -> None:
        super().__init__()
        check_positive("input_size", input_size)
        check_positive("channels", channels)
        if factor not in FACTORS:
            raise ParameterError("factor", f"one of {', '.join(map(str, FACTORS))}", factor)
        self.input_size = input_size
        self.channels = channels
        self.factor = factor
        sizes = [1] + [channels] * (factor.bit_length() - 1)
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, 2) for before, after in pairwise(sizes))
        self.output_size = channels * -(-input_size // factor)
        self.norm = nn.LayerNorm(self.output_size)

    def extra_repr(self) -> str:
        return f"input_size={self.input_size}, channels={self.channels}, factor={self.factor}"

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Make steps of frames.

        Args:
            frames: (B, T, F). What is beyond the lengths is never read.
            lengths: true lengths (B,), 0 to T.

        Returns:
            The steps (B, ceil(T / factor), output_size), and their lengths (B,), on the CPU.

        Raises:
            ShapeError: if a shape or length does not fit.
        """
        if frames.dim() != 3 or frames.shape[2] != self.input_size:
            raise ShapeError("frames", f"shape (B, T, F = {self.input_size})", tuple(frames.shape))
        batch, steps = frames.shape[:2]
        lengths = check_lengths(lengths, batch, steps)
        if not batch or not steps:
            return frames.new_zeros(batch, -(-steps // self.factor), self.output_size), -(-lengths // self.factor)
        beyond = torch.arange(steps, device=frames.device) >= lengths.to(frames.device).unsqueeze(1)
        if beyond.any():
            frames = frames.masked_fill(beyond.unsqueeze(2), 0)
        features = F.pad(frames, (0, 0, 0, -steps % self.factor)).unsqueeze(1)
        for convolution in self.convolutions:
            # One zero before the first frame and the first bin, and one after the last of an odd number of bins.
            features = convolution(F.pad(features, (1, features.shape[3] % 2, 1, 0))).relu()
        # The channels of a bin are side by side: a filter then reads bins that are neighbours in memory.
        return self.norm(features.permute(0, 2, 3, 1).flatten(2)), -(-lengths // self.factor)
