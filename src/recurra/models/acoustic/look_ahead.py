"""A convolution over the next steps of a layer, so that a causal network hears a little of what follows."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.errors import ShapeError
from recurra.shapes import check_positive

__all__ = ["LookAhead"]


class LookAhead(nn.Module):
    """The row convolution of Deep Speech 2 (Amodei et al. 2016), delayed by as many steps as it looks ahead.

    y_t = sum over k = 0 ... steps of weight_k * x_{t - k}, unit by unit. Step t of the output belongs to step
    t - `steps` of the input and reads the `steps` steps after that. The delay is stated rather than hidden, and a
    stream computes the same.

    Args:
        size: H, units.
        steps: how many steps an output reads beyond its own.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, size: int, steps: int) -> None:
        super().__init__()
        check_positive("size", size)
        check_positive("steps", steps)
        self.size = size
        self.steps = steps
        self.weight = nn.Parameter(torch.empty(steps + 1, size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with the step itself, and nothing of those after it."""
        with torch.no_grad():
            self.weight.zero_()
            self.weight[-1] = 1

    def extra_repr(self) -> str:
        return f"size={self.size}, steps={self.steps}"

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (B, T, H); the result has the same shape. Raises ShapeError."""
        if x.dim() != 3 or x.shape[2] != self.size:
            raise ShapeError("x", f"shape (B, T, H = {self.size})", tuple(x.shape))
        filters = self.weight.flip(0).t().unsqueeze(1)
        padded = F.pad(x.transpose(1, 2), (self.steps, 0))
        return F.conv1d(padded, filters, groups=self.size).transpose(1, 2)
