"""Blocks that read each step by itself, and remember nothing."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, relu, silu

from recurra.errors import ParameterError
from recurra.layers.stack.block import Block
from recurra.shapes import check_positive

__all__ = ["ACTIVATIONS", "Activation", "GatedMLP", "HeadNorm"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "relu": relu,
    "sigmoid": torch.sigmoid,
    "silu": silu,
    "tanh": torch.tanh,
}


class GatedMLP(Block):
    """A gated multilayer perceptron (GeGLU, Shazeer 2020; Griffin, De et al. 2024, section 2.2).

    y = W_o (gelu(W_g x + b_g) * (W_v x + b_v)) + b_o

    Args:
        input_size: I.
        output_size: O.
        inner_size: features of both products.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, input_size: int, output_size: int, inner_size: int) -> None:
        super().__init__(input_size, output_size)
        check_positive("inner_size", inner_size)
        self.gate = nn.Linear(input_size, inner_size)
        self.value = nn.Linear(input_size, inner_size)
        self.output = nn.Linear(inner_size, output_size)

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, tuple[()]]:
        return self.output(gelu(self.gate(x)) * self.value(x)), ()


class Activation(Block):
    """A nonlinearity, feature by feature.

    Args:
        size: I, features.
        name: "gelu", "relu", "sigmoid", "silu" (swish) or "tanh".

    Raises:
        ParameterError: for another name.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size, size)
        if name not in ACTIVATIONS:
            raise ParameterError("name", f"one of {', '.join(ACTIVATIONS)}", name)
        self.name = name

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, tuple[()]]:
        return ACTIVATIONS[self.name](x), ()

    def extra_repr(self) -> str:
        return self.name


class HeadNorm(Block):
    """Normalisation of each of N groups of features by itself at each step (group normalisation, Wu and He 2018).

    Args:
        size: I, features.
        heads: N, a divisor of I.

    Raises:
        ParameterError: for a parameter out of its range.
    """

    def __init__(self, size: int, heads: int = 1) -> None:
        super().__init__(size, size)
        check_positive("heads", heads)
        if size % heads:
            raise ParameterError("heads", f"a divisor of the {size} features", heads)
        self.heads = heads
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def run(self, x: Tensor, state: Any, lengths: Tensor | None, resets: Tensor | None) -> tuple[Tensor, tuple[()]]:
        groups = x.unflatten(2, (self.heads, -1))
        return layer_norm(groups, groups.shape[3:]).flatten(2) * self.weight + self.bias, ()

    def extra_repr(self) -> str:
        return f"{self.input_size}, heads={self.heads}"
