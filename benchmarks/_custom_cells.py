"""The cells that torch has not, each with the loop it is measured against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

import recurra
from benchmarks import _eager_loops as loops
from recurra import cells


@dataclass(frozen=True)
class Custom:
    """A cell and its peer.

    Attributes:
        cell: its class in `recurra.cells`.
        loop: the same in torch operations.
        inference: ratio to reach, of the loop's time over ours.
        training: ratio to reach, of a training step.
        options: of the cell.
    """

    cell: str
    loop: loops.Loop
    inference: float
    training: float
    options: Mapping[str, Any] = field(default_factory=dict)

    def make_layer(self, input_size: int, hidden_size: int, backend: str) -> nn.Module:
        """recurra's layer of this cell."""
        cell = getattr(cells, self.cell)(**self.options)
        return recurra.Recurrent(cell, input_size, hidden_size, backend=backend)


CUSTOM = {
    "peephole LSTM": Custom("PeepholeLSTM", loops.peephole_lstm, 20, 15),
    "layer-norm LSTM": Custom("LayerNormLSTM", loops.layer_norm_lstm, 20, 15),
    "IndRNN": Custom("IndRNN", loops.indrnn, 20, 15),
    "sLSTM": Custom("SLSTM", loops.slstm, 20, 15),
    "sLSTM, 4 heads": Custom("SLSTM", loops.slstm, 20, 15, {"heads": 4}),
    "minGRU": Custom("MinGRU", loops.min_gru, 30, 20),
    "RG-LRU": Custom("RGLRU", loops.rg_lru, 30, 20),
}


def parameters_by_name(layer: nn.Module) -> dict[str, Tensor]:
    """Of a single layer, without the suffix."""
    return {name.removesuffix("_l0"): parameter for name, parameter in layer.named_parameters()}
