"""Frames of videos as features of steps: convolutions of each frame, trained from the start or fine-tuned."""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, adaptive_max_pool2d

from recurra.errors import ShapeError
from recurra.layers import ConvLSTM
from recurra.models.image.efficientnet_lite import EfficientNetLite0
from recurra.models.image.grid_network import GridNetwork
from recurra.shapes import check_positive

__all__ = ["FrameReader", "MapReader"]

_AT_ONCE = 256  # frames that are read together where no gradients are computed
_MIDDLE = 127.0
_CHANGE = 2.0  # what changes is small beside what is there, and would be learned late


class FrameReader(nn.Module):
    """Convolutions that read each frame, the first half of a CRNN (Donahue et al. 2015).

    Each frame becomes maps of about 8 x 8 cells, see `GridNetwork`. A linear map of all cells, a layer normalisation
    and relu make the features of the step of them; or of the mean and the maximum of the maps over parts of the
    picture, which say less of where something is.

    Args:
        size: S, pixels of a side of a frame, at least 16.
        channels: D, of the maps.
        differences: whether the convolutions also read what changed since the frame before; at the first nothing did.
        map_hidden_size: channels of a ConvLSTM over the sequence of maps, whose output takes their place; 0: none.
        parts: of the height and of the width of a picture, over which maps are pooled; 0: every cell is read.
        num_features: F, of a step.

    Attributes:
        output_size: features of a step, F.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        differences: bool = False,
        map_hidden_size: int = 0,
        parts: int = 0,
        num_features: int = 128,
    ) -> None:
        super().__init__()
        check_positive("parts", parts, at_least=0)
        check_positive("num_features", num_features)
        check_positive("map_hidden_size", map_hidden_size, at_least=0)
        self.size, self.differences = size, differences
        self.grid = GridNetwork(size, channels, 6 if differences else 3, strided=True)
        self.maps = ConvLSTM(channels, map_hidden_size, batch_first=True) if map_hidden_size else None
        self.parts = parts
        self.output_size = num_features
        cells = 2 * parts**2 or self.grid.grid**2
        self.features = nn.Sequential(
            nn.Linear((map_hidden_size or channels) * cells, num_features), nn.LayerNorm(num_features), nn.ReLU()
        )

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
        valid = _valid(frames, lengths)
        pixels = frames[valid]
        if self.differences:
            earlier = torch.cat([frames[:, :1] if before is None else before.unsqueeze(1), frames[:, :-1]], 1)[valid]
            change = (pixels.to(torch.float32) - earlier.to(torch.float32)) * _CHANGE + _MIDDLE
            pixels = torch.cat([pixels.to(torch.float32), change], 3)
        maps = torch.cat([self.grid(part) for part in _parts(pixels)])
        if self.maps is not None:
            padded = maps.new_zeros(batch, steps, *maps.shape[1:]).index_put((valid,), maps)
            output, state = self.maps(padded, state, lengths)
            maps = output[valid]
        if self.parts:
            maps = torch.cat([adaptive_avg_pool2d(maps, self.parts), adaptive_max_pool2d(maps, self.parts)], 1)
        features = self.features(maps.flatten(1))
        return features.new_zeros(batch, steps, features.shape[1]).index_put((valid,), features), state


class MapReader(nn.Module):
    """The last blocks of EfficientNet-Lite0, fine-tuned; the means of its features over a frame are those of the step.

    A layer normalisation brings them to one size. The network before these blocks is frozen, and is not part of this.

    Args:
        blocks: how many, 1 to 16.

    Attributes:
        output_size: features of a step, 1,280.

    Raises:
        MissingExtraError: the extra `pretrained` is not installed.
    """

    differences, state_shapes = False, ()

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self._shape = EfficientNetLite0.maps_shape(blocks)
        self.ending = EfficientNetLite0.pretrained().ending(blocks)
        self.output_size = EfficientNetLite0.channels
        self.normalization = nn.LayerNorm(self.output_size)

    def forward(
        self, frames: Tensor, lengths: Tensor, state: tuple[Tensor, ...] | None = None, before: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """Read sequences of frames; each frame alone, so that there is no state.

        Args:
            frames: the maps that the blocks read, see `EfficientNetLite0.beginning`, (B, T, C, G, G).
            lengths: see `FrameReader.forward`.
            state: None.
            before: not read.

        Returns:
            The features (B, T, 1280), zero beyond the lengths, and None.

        Raises:
            ShapeError: if the maps have another shape.
        """
        if tuple(frames.shape[2:]) != self._shape:
            channels, side, _ = self._shape
            raise ShapeError("frames", f"shape (B, T, {channels}, {side}, {side})", tuple(frames.shape))
        valid = _valid(frames, lengths)
        maps = frames[valid].to(self.normalization.weight.dtype)
        features = self.normalization(torch.cat([self.ending(part).mean((2, 3)) for part in _parts(maps)]))
        return features.new_zeros(*frames.shape[:2], self.output_size).index_put((valid,), features), None


def _valid(frames: Tensor, lengths: Tensor) -> Tensor:
    """Which steps (B, T) are within the lengths."""
    return (torch.arange(frames.shape[1]) < lengths.unsqueeze(1)).to(frames.device)


def _parts(frames: Tensor) -> tuple[Tensor, ...]:
    """Frames (N, ...) that are read together: all for gradients, else some, for which memory suffices."""
    return frames.split(max(len(frames) if torch.is_grad_enabled() else _AT_ONCE, 1))
