"""Systems whose gradients, exponents and memory are known in closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor

import recurra
from recurra.cells import Cell, Gates, PerUnit, State


@dataclass(frozen=True)
class Linear(Cell):
    """h = W_ih x + W_hh h: what flows back is multiplied by W_hh' at each step."""

    gates = ("a",)
    state = ("h",)

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        return State(h=x.a + u.a)


@dataclass(frozen=True)
class LinearPair(Cell):
    """Two parts: a memory m = 0.5 m + x + u, and the output h = 2 m."""

    gates = ("a",)
    state = ("h", "m")

    def update(self, x: Gates, u: Gates, s: State, p: PerUnit) -> State:
        m = 0.5 * s.m + x.a + u.a
        return State(h=2 * m, m=m)


def linear(recurrent: Tensor, inputs: Tensor | None = None, **options: bool) -> recurra.Recurrent:
    """A linear layer in float64 with these weights, without biases, batch first."""
    size = recurrent.shape[0]
    given = torch.eye(size, dtype=torch.float64) if inputs is None else inputs
    # On the reference, so that nothing is compiled.
    layer = recurra.Recurrent(
        *(Linear(), given.shape[1], size, 1, False, True),
        backend="reference",
        dtype=torch.float64,
        **options,
    )
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(given if name.startswith("weight_ih") else recurrent)
    return layer


def rotation(size: int) -> Tensor:
    """An orthogonal matrix, drawn."""
    return torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))[0]


def delay_line(size: int) -> recurra.Recurrent:
    """Unit k holds the input of k steps ago: the state is the last `size` inputs, and nothing else."""
    shift = torch.diag(torch.ones(size - 1, dtype=torch.float64), -1)
    first = torch.zeros(size, 1, dtype=torch.float64)
    first[0] = 1
    return linear(shift, first)
