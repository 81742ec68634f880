"""The cells that torch has not, each with the loop it is measured against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import recurra
from benchmarks import _eager_loops as loops
from benchmarks import _eager_steps as steps
from recurra import cells


@dataclass(frozen=True)
class Custom:
    """A cell and its peer.

    Attributes:
        cell: its class in `recurra.cells`.
        loop: the same in torch operations, with all that needs no state made for the whole sequence at once.
        plain_loop: the same with all of a step in the loop.
        inference: ratio to reach, of the loop's time over ours.
        training: ratio to reach, of a training step.
        options: of the cell.
    """

    cell: str
    loop: loops.Loop
    plain_loop: loops.Loop
    inference: float
    training: float
    options: Mapping[str, Any] = field(default_factory=dict)

    def make_layer(self, input_size: int, hidden_size: int, backend: str) -> nn.Module:
        """recurra's layer of this cell."""
        cell = getattr(cells, self.cell)(**self.options)
        return recurra.Recurrent(cell, input_size, hidden_size, backend=backend)


_SLSTM = steps.in_a_loop(steps.slstm, gates=4, parts=4, last=-torch.inf)
CUSTOM = {
    "peephole LSTM": Custom(
        "PeepholeLSTM", loops.peephole_lstm, steps.in_a_loop(steps.peephole_lstm, gates=4, parts=2), 20, 15
    ),
    "layer-norm LSTM": Custom(
        "LayerNormLSTM", loops.layer_norm_lstm, steps.in_a_loop(steps.layer_norm_lstm, gates=4, parts=2), 20, 15
    ),
    "IndRNN": Custom("IndRNN", loops.indrnn, steps.in_a_loop(steps.indrnn, gates=1), 20, 15),
    "sLSTM": Custom("SLSTM", loops.slstm, _SLSTM, 20, 15),
    "sLSTM, 4 heads": Custom("SLSTM", loops.slstm, _SLSTM, 20, 15, {"heads": 4}),
    "minGRU": Custom("MinGRU", loops.min_gru, steps.in_a_loop(steps.min_gru, gates=2), 30, 20),
    "RG-LRU": Custom("RGLRU", loops.rg_lru, steps.in_a_loop(steps.rg_lru, gates=3), 30, 20),
}


def parameters_by_name(layer: nn.Module) -> dict[str, Tensor]:
    """Of a single layer, without the suffix."""
    return {name.removesuffix("_l0"): parameter for name, parameter in layer.named_parameters()}
