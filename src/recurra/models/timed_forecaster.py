"""Forecasts of every channel at any time ahead, from rows that come when they come; and scores of their errors."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from recurra.cells import Cell
from recurra.layers import Architecture, trunk
from recurra.models.channel_forecaster import exponential_means, next_precision

__all__ = ["TimedErrorScores", "TimedForecaster"]

_SLOWEST, _FASTEST = 0.01, 2.0  # of the first frequencies, in radians a unit of time
_FIRST_RATE = 0.1  # at which features fade, a unit of time


class TimedForecaster(nn.Module):
    """Recurrent layers, and at each row a forecast of every channel at given times ahead.

    What a row leaves is H features, of which each moves on its own until the next row, as the solution of a linear
    differential equation does: exp(-rate * t) * (a * cos(frequency * t) + b * sin(frequency * t)). The amplitudes a and
    b follow from the layers' output; rates and frequencies are learned. A forecast is linear in the features.

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack. A cell that reads the time since the
            last step gets it; in a stack it does not.
        input_size: I, features of a row.
        channels: C.
        horizon: N, the rows ahead that are forecast.
        hidden_size: H.
        num_layers: L.
        dropout: probability, on the output of each layer but the last, while training.
    """

    def __init__(
        self,
        cell: Cell | Architecture,
        input_size: int,
        channels: int,
        horizon: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.channels, self.horizon, self.input_size = channels, horizon, input_size
        self.recurrent = trunk(cell, input_size, hidden_size, num_layers, dropout=dropout)
        self.reads_elapsed = isinstance(cell, Cell) and cell.elapsed != "none"
        self.amplitudes = nn.Linear(self.recurrent.output_size, 2 * hidden_size)
        self.frequency = nn.Parameter(torch.logspace(math.log10(_SLOWEST), math.log10(_FASTEST), hidden_size))
        # The inverse of softplus, which keeps rates above 0.
        self.rate = nn.Parameter(torch.full((hidden_size,), math.log(math.expm1(_FIRST_RATE))))
        self.output = nn.Linear(hidden_size, channels)

    def forward(self, steps: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Forecast.

        Args:
            steps: (B, T, I + 1 + N): the features of rows, then the time since the row before, then the times from the
                row to the N that follow.
            state: after the row before; None: zeros.

        Returns:
            After each row, the forecasts (B, T, N * C) of the next one, then of the one after it, and so on; and the
            state.
        """
        features, elapsed, ahead = steps.split([self.input_size, 1, self.horizon], -1)
        amplitudes, state = self.read(features, elapsed, state)
        return self.forecast(amplitudes.unsqueeze(-2), ahead.unsqueeze(-1)).flatten(-2), state

    def read(self, features: Tensor, elapsed: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """The amplitudes (B, T, 2 * H) that rows (B, T, I), with the times (B, T, 1) since those before, leave."""
        times = {"elapsed": elapsed} if self.reads_elapsed else {}
        output, state = self.recurrent(features, state, **times)
        return self.amplitudes(output), state

    def forecast(self, amplitudes: Tensor, ahead: Tensor) -> Tensor:
        """The channels (..., C) at times (..., 1) after the rows that left the amplitudes (..., 2 * H)."""
        cosine, sine = amplitudes.chunk(2, -1)
        angle, fading = self.frequency * ahead, torch.exp(-softplus(self.rate) * ahead)
        return self.output(fading * (cosine * torch.cos(angle) + sine * torch.sin(angle)))


class TimedErrorScores(nn.Module):
    """How unlikely each row is on two scales, of rows whose errors were computed from what earlier rows have left.

    Args:
        network: of the detector.
        precision: (N * C, N * C), the inverse of the covariance of the errors of normal rows.
        time_constant: of the exponential mean of the scores, in rows.
        short: of another mean, that follows the end of an anomaly sooner.
        warm_up: first rows, which have the score 0: the network has no past yet.
        covariates: D, values of a row that the network reads beside the channels, and that are not scored.
    """

    precision: Tensor
    next_precision: Tensor

    def __init__(
        self,
        network: TimedForecaster,
        precision: Tensor,
        time_constant: float,
        short: float,
        warm_up: int,
        covariates: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.warm_up = network, warm_up
        self.read = network.channels + covariates
        self.keep, self.short_keep = math.exp(-1 / time_constant), math.exp(-1 / short)
        self.register_buffer("precision", precision.float())
        self.register_buffer("next_precision", next_precision(precision, network.channels).float())

    @property
    def input_size(self) -> int:
        """The values of a row; see `forward`."""
        channels = self.network.channels
        return self.network.input_size + 1 + self.read + (2 + self.network.horizon) * channels

    def forward(self, steps: Tensor) -> Tensor:
        """Score whole sequences.

        Args:
            steps: (B, T, I + 1 + C + D + N * C + C + C): the features of rows; the time since the row before; the ages
                of the channels and of the covariates; the errors of the forecasts of the row, less their mean; what is
                added to those of the next row's; and what was expected of the row.

        Returns:
            (B, T, 3 * C + 1): what each channel adds to the slow score of the row; then what was expected of it; then
            what each channel adds to the fast distance; then the sum of the channels, smoothed over the short time.
        """
        channels, horizon = self.network.channels, self.network.horizon
        sizes = [self.network.input_size, 1, self.read, horizon * channels, channels, channels]
        _, _, _, errors, beyond, expected = steps.split(sizes, -1)
        terms = errors * (errors @ self.precision) / errors.shape[-1]
        parts = terms.unflatten(-1, (horizon, channels)).sum(-2)
        following = errors[..., :channels] + beyond
        fast = following * (following @ self.next_precision) / channels
        parts[:, : self.warm_up] = fast[:, : self.warm_up] = 0
        means = exponential_means(parts, self.keep)
        short = exponential_means(parts.sum(-1, keepdim=True), self.short_keep)
        return torch.cat([means, expected, fast, short], -1)
