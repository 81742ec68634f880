"""A small convolutional network that is trained with what reads its grid."""

import math

from torch import Tensor, nn

from recurra.errors import ParameterError, ShapeError
from recurra.shapes import check_positive

__all__ = ["GridNetwork", "check_channels"]

_CELLS = 8  # of a side of the grid, about


class GridNetwork(nn.Module):
    """Convolutions that make a grid of about 8 x 8 cells of a small image.

    As often as the grid is halved, a convolution of 3 x 3 with batch normalisation and relu comes before a maximum over
    2 x 2, and doubles the channels; one more convolution follows. Most of the time goes to the first convolution, at
    every pixel: a strided one of 5 x 5 at every second pixel of a row and of a column can take the place of it and of
    its maximum.

    Args:
        size: S, pixels of a side of an image, at least 16.
        channels: D, features of a cell, a multiple of 2 to the number of halvings.
        input_channels: of an image, 3 or more.
        strided: whether the first convolution is strided.

    Attributes:
        grid: G, cells of a side of the grid.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, size: int = 64, channels: int = 128, input_channels: int = 3, strided: bool = False) -> None:
        super().__init__()
        check_positive("size", size, at_least=16)
        check_positive("input_channels", input_channels)
        check_channels(size, channels)
        halvings = _halvings(size)
        self.size, self.channels, self.input_channels = size, channels, input_channels
        layers: list[nn.Module] = []
        before, side = input_channels, size
        for power in range(halvings, 0, -1):
            after = channels // 2 ** (power - 1)
            if strided and not layers:
                layers += _convolution(before, after, 5, 2)
            else:
                layers += [*_convolution(before, after), nn.MaxPool2d(2, ceil_mode=True)]
            before, side = after, -(-side // 2)
        self.layers = nn.Sequential(*layers, *_convolution(before, channels))
        self.grid = side

    def forward(self, pixels: Tensor) -> Tensor:
        """The grid of features (B, D, G, G) of images.

        Args:
            pixels: red, green and blue, 0 to 255, uint8 (B, S, S, 3); or of as many channels as the network reads.

        Raises:
            ShapeError: they are of another size.
        """
        if tuple(pixels.shape[1:]) != (self.size, self.size, self.input_channels):
            expected = f"shape (B, {self.size}, {self.size}, {self.input_channels})"
            raise ShapeError("pixels", expected, tuple(pixels.shape))
        weight = next(self.parameters())
        return self.layers((pixels.permute(0, 3, 1, 2).to(weight.dtype) - 127) / 128)


def check_channels(size: int, channels: int, name: str = "channels") -> None:
    """Check the channels of a `GridNetwork` for images of `size` pixels of a side, before there is one.

    Raises:
        ParameterError: they are not what it takes; the message calls them `name`.
    """
    check_positive(name, channels)
    if channels % (multiple := 2 ** _halvings(size)):
        raise ParameterError(name, f"a multiple of {multiple}, for images of {size} pixels", channels)


def _halvings(size: int) -> int:
    return round(math.log2(size / _CELLS))


def _convolution(before: int, after: int, size: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU()
