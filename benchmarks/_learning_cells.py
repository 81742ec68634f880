"""Cells as the learning benchmarks train them: how large, how initialised, at which learning rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from recurra.cells import Cell
from recurra.layers import Recurrent
from recurra.layers.stack import SequenceLayer


class SequenceModel(nn.Module):
    """Recurrent layers under a linear readout.

    Args:
        recurrent: reads (T, B, I).
        output_size: O.
        every_step: whether every step is read out, (T, B, O), or the last one, (B, O).
        limit: recurrent weights are kept within +- this; infinity for no limit.
    """

    def __init__(self, recurrent: Recurrent | SequenceLayer, output_size: int, every_step: bool, limit: float) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.readout = nn.Linear(recurrent.output_size, output_size)
        self.every_step = every_step
        self.limit = limit

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and self.limit < math.inf:
            self._limit_weights()
        output, state = self.recurrent(x)
        return self.readout(output if self.every_step else output[-1]), state

    @torch.no_grad()
    def _limit_weights(self) -> None:
        for weight in _recurrent_weights(self.recurrent):
            weight.clamp_(-self.limit, self.limit)


@dataclass(frozen=True)
class Learner:
    """A cell with what it needs to learn.

    Attributes:
        cell: the equations.
        hidden_size: of each layer.
        learning_rate: the first, of Adam.
        num_layers: stacked.
        prepare: changes the first values of a model for sequences of T steps; None for torch's.
        bounded: whether recurrent weights are kept within +- 2^(1/T), so that no unit more than doubles what it
            holds over a sequence (Li et al. 2018, section 3.2).
    """

    cell: Cell
    hidden_size: int
    learning_rate: float
    num_layers: int = 1
    prepare: Callable[[SequenceModel, int], None] | None = None
    bounded: bool = False

    def make(self, input_size: int, output_size: int, steps: int, every_step: bool) -> SequenceModel:
        """A model for sequences of `steps` steps."""
        recurrent = Recurrent(self.cell, input_size, self.hidden_size, self.num_layers)
        limit = 2 ** (1 / steps) if self.bounded else math.inf
        model = SequenceModel(recurrent, output_size, every_step, limit)
        if self.prepare is not None:
            self.prepare(model, steps)
        return model


def keep_orthogonal(model: SequenceModel, steps: int) -> None:
    """Recurrent weights that are drawn orthogonal and stay so (Lezcano-Casado and Martínez-Rubio 2019)."""
    (weight,) = _recurrent_weights(model.recurrent)
    nn.init.orthogonal_(weight)
    orthogonal(model.recurrent, "weight_hh_l0", "matrix_exp")


@torch.no_grad()
def remember_in_gates(model: SequenceModel, steps: int) -> None:
    """Forget (LSTM, JANET) or update (GRU) gates that first hold for 1 to T - 1 steps (Tallec and Ollivier 2018)."""
    layer = model.recurrent
    if not isinstance(layer, Recurrent) or not layer.cell.keeps:
        raise TypeError(f"{layer!r} has no such gate")
    cell, size = layer.cell, layer.hidden_size
    parameters = dict(model.recurrent.named_parameters())
    bias = torch.log(1 + (steps - 2) * torch.rand(size))
    for gate, sign in {**cell.keeps, **dict.fromkeys(cell.admits, -1)}.items():
        for name, gates, value in (("ih", cell.input_gates(), sign * bias), ("hh", cell.recurrent_gates(), 0 * bias)):
            parameters[f"bias_{name}_l0"].unflatten(0, (len(gates), size))[gates.index(gate)] = value


@torch.no_grad()
def remember_by_unit(model: SequenceModel, steps: int) -> None:
    """An IndRNN's first recurrent weights: below 0 to 2^(1/T), in the last layer 2^(-1/T) to 2^(1/T)."""
    limit = 2 ** (1 / steps)
    *below, last = _recurrent_weights(model.recurrent)
    for weight in below:
        nn.init.uniform_(weight, 0, limit)
    nn.init.uniform_(last, 1 / limit, limit)


def _recurrent_weights(recurrent: nn.Module) -> list[nn.Parameter]:
    return [parameter for name, parameter in recurrent.named_parameters() if name.startswith("weight_hh")]
