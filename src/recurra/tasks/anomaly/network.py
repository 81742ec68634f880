"""The network of a detector: it forecasts the next values of every channel."""

from typing import Any

from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers import Recurrent

__all__ = ["ChannelForecaster"]


class ChannelForecaster(nn.Module):
    """Recurrent layers, and at each step a linear forecast of the next steps of every channel (Malhotra et al. 2015).

    Args:
        cell: the equations.
        input_size: I, features of a step.
        channels: C.
        horizon: N, steps forecast.
        hidden_size: H.
        num_layers: L.
        dropout: probability, on the output of each layer but the last, while training.
    """

    def __init__(
        self,
        cell: Cell,
        input_size: int,
        channels: int,
        horizon: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.recurrent = Recurrent(cell, input_size, hidden_size, num_layers, batch_first=True, dropout=dropout)
        self.output = nn.Linear(self.recurrent.output_size, horizon * channels)

    def forward(self, steps: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Forecast.

        Args:
            steps: (B, T, I).
            state: after the step before; None: zeros.

        Returns:
            After each step, the forecasts (B, T, N * C) of the next one, then of the one after it, and so on; and the
            state.
        """
        output, state = self.recurrent(steps, state)
        return self.output(output), state
