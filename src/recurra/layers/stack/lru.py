"""The linear recurrent unit: a diagonal recurrence of complex numbers."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import ParameterError
from recurra.layers.stack.block import Block
from recurra.layers.stack.linear_recurrence import run_linear
from recurra.shapes import check_positive

__all__ = ["LRU"]


class LRU(Block):
    """Linear recurrent unit (Orvieto et al. 2023, Resurrecting recurrent neural networks for long sequences).

    h_t = lambda * h_{t-1} + gamma * (B x_t)     complex, unit by unit; lambda = exp(-exp(nu) + i exp(theta))
    y_t = Re(C h_t) + D * x_t

    The state is that of the units, (1, B, H, 2) with real and imaginary parts. All steps are computed by a scan.

    Args:
        size: I, features of the input and of the output.
        hidden_size: H, complex units. If None, I.
        radii: smallest and largest modulus of a lambda at first, 0 to 1: between these, units are uniform on the ring.
        max_phase: largest angle of a lambda at first, in radians.

    `weight_ih` (2 H, I) is the real and the imaginary part of B, and `weight_ho` (I, 2 H) the real and the negative
    imaginary part of C; `nu` and `theta` (H,) are as above, `gamma` (H,) is the logarithm of gamma, at first
    sqrt(1 - abs(lambda)^2), and `skip` (I,) is D.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(
        self,
        size: int,
        hidden_size: int | None = None,
        *,
        radii: tuple[float, float] = (0.9, 0.999),
        max_phase: float = 2 * math.pi,
    ) -> None:
        super().__init__(size, size)
        self.hidden_size = size if hidden_size is None else hidden_size
        check_positive("hidden_size", self.hidden_size)
        low, high = radii
        if not 0 <= low < high < 1:
            raise ParameterError("radii", "two numbers from 0 to below 1, the smaller first", radii)
        if not 0 < max_phase <= 2 * math.pi:
            raise ParameterError("max_phase", "a number above 0, at most 2 pi", max_phase)
        self.radii = (float(low), float(high))
        self.max_phase = float(max_phase)
        self.weight_ih = nn.Parameter(torch.empty(2 * self.hidden_size, size))
        self.weight_ho = nn.Parameter(torch.empty(size, 2 * self.hidden_size))
        self.nu = nn.Parameter(torch.empty(self.hidden_size))
        self.theta = nn.Parameter(torch.empty(self.hidden_size))
        self.gamma = nn.Parameter(torch.empty(self.hidden_size))
        self.skip = nn.Parameter(torch.empty(size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Sample the parameters again, as in the paper: lambda on the ring, normal values for the others."""
        low, high = self.radii
        squares = torch.rand_like(self.nu) * (high**2 - low**2) + low**2
        self.nu.copy_((-0.5 * squares.clamp(min=1e-12).log()).log())
        self.theta.copy_((self.max_phase * torch.rand_like(self.theta).clamp(min=1e-6)).log())
        self.gamma.copy_(0.5 * (1 - squares).log())
        nn.init.normal_(self.weight_ih, std=(2 * self.input_size) ** -0.5)
        nn.init.normal_(self.weight_ho, std=self.hidden_size**-0.5)
        nn.init.normal_(self.skip)

    def eigenvalues(self) -> tuple[Tensor, Tensor]:
        """The real and the imaginary parts (H,) of lambda."""
        radius, angle = (-self.nu.exp()).exp(), self.theta.exp()
        return radius * angle.cos(), radius * angle.sin()

    def initial_state(self, batch_size: int = 1) -> Tensor:
        return self.zeros(1, batch_size, self.hidden_size, 2)

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, Tensor]:
        before = self.checked_state(state, "h", x, self.hidden_size, 2)[0]
        real, imaginary = self.eigenvalues()
        matrix = torch.stack([torch.stack([real, -imaginary]), torch.stack([imaginary, real])])
        # (2, T, B, H): real and imaginary parts of what enters each unit.
        shifts = nn.functional.linear(x, self.weight_ih).unflatten(2, (2, -1)).permute(2, 1, 0, 3) * self.gamma.exp()
        matrices = matrix[:, :, None, None].expand(2, *shifts.shape[:1], *shifts.shape[1:])
        states, last = run_linear(matrices, shifts, before.permute(2, 0, 1), lengths, resets)
        output = nn.functional.linear(states.permute(2, 1, 0, 3).flatten(2), self.weight_ho)
        return output + self.skip * x, last.permute(1, 2, 0).unsqueeze(0)

    def extra_repr(self) -> str:
        return f"{self.input_size}, hidden_size={self.hidden_size}"
