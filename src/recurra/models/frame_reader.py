"""Frames of videos as features of steps: convolutions of each frame, and perhaps a ConvLSTM over their maps."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from recurra.errors import ShapeError
from recurra.layers import ConvLSTM
from recurra.models.image.grid_network import GridNetwork
from recurra.shapes import check_positive

__all__ = ["FrameReader"]

_AT_ONCE = 256  # frames that are read together where no gradients are computed
_MIDDLE = 127.0


class FrameReader(nn.Module):
    """Convolutions that read each frame, the first half of a CRNN (Donahue et al. 2015).

    Each frame becomes maps of about 8 x 8 cells, see `GridNetwork`; their mean and their maximum over positions are the
    features of the step, or those over each of `parts` x `parts` parts of the picture.

    Args:
        size: S, pixels of a side of a frame, at least 16.
        channels: D, of the maps.
        differences: whether the convolutions also read what changed since the frame before; at the first nothing did.
        map_hidden_size: channels of a ConvLSTM over the sequence of maps, whose output takes their place; 0: none.
        parts: of the height and of the width of a picture; of more than one, features tell where something is.

    Attributes:
        output_size: features of a step.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self, size: int, channels: int, differences: bool = False, map_hidden_size: int = 0, parts: int = 1
    ) -> None:
        super().__init__()
        check_positive("parts", parts)
        check_positive("map_hidden_size", map_hidden_size, at_least=0)
        self.size, self.differences = size, differences
        self.grid = GridNetwork(size, channels, 6 if differences else 3)
        self.maps = ConvLSTM(channels, map_hidden_size, batch_first=True) if map_hidden_size else None
        self.parts = parts
        self.output_size = 2 * (map_hidden_size or channels) * parts**2

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shape of each part of the state of one sequence; none without a ConvLSTM."""
        if self.maps is None:
            return ()
        return ((1, 1, self.maps.hidden_size, self.grid.grid, self.grid.grid),) * len(self.maps.cell.state)

    def forward(
        self, frames: Tensor, lengths: Tensor, state: tuple[Tensor, ...] | None = None, before: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...] | None]:
        """Read sequences of frames, or continue them.

        Args:
            frames: red, green and blue, uint8 (B, T, S, S, 3). What is beyond the lengths is never read.
            lengths: true lengths (B,), 0 to T, int64 on the CPU.
            state: of the ConvLSTM, as this returned it. None: zeros.
            before: the frame before the first, uint8 (B, S, S, 3). None: there is none.

        Returns:
            The features (B, T, F), zero beyond the lengths, and the state of the ConvLSTM, if there is one.

        Raises:
            ShapeError: if the frames have another shape.
        """
        batch, steps = frames.shape[:2]
        if tuple(frames.shape[2:]) != (self.size, self.size, 3):
            raise ShapeError("frames", f"shape (B, T, {self.size}, {self.size}, 3)", tuple(frames.shape))
        valid = (torch.arange(steps) < lengths.unsqueeze(1)).to(frames.device)
        pixels = frames[valid]
        if self.differences:
            earlier = torch.cat([frames[:, :1] if before is None else before.unsqueeze(1), frames[:, :-1]], 1)[valid]
            change = (pixels.to(torch.float32) - earlier.to(torch.float32)) / 2 + _MIDDLE
            pixels = torch.cat([pixels.to(torch.float32), change], 3)
        size = len(pixels) if torch.is_grad_enabled() else _AT_ONCE
        maps = torch.cat([self.grid(part) for part in pixels.split(max(size, 1))])
        if self.maps is not None:
            padded = maps.new_zeros(batch, steps, *maps.shape[1:]).index_put((valid,), maps)
            output, state = self.maps(padded, state, lengths)
            maps = output[valid]
        pooled = adaptive_avg_pool2d(maps, self.parts), adaptive_max_pool2d(maps, self.parts)
        features = torch.cat([one.flatten(1) for one in pooled], 1)
        return features.new_zeros(batch, steps, features.shape[1]).index_put((valid,), features), state
