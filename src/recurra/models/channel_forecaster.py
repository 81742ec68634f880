"""Forecasts of the next values of every channel, and scores of their errors."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.layers import Architecture, trunk

__all__ = ["ChannelForecaster", "ErrorScores", "exponential_means", "next_precision"]


class ChannelForecaster(nn.Module):
    """Recurrent layers, and at each step a linear forecast of the next steps of every channel (Malhotra et al. 2015).

    Args:
        cell: the equations of recurrent layers, or the architecture of a stack.
        input_size: I, features of a step.
        channels: C.
        horizon: N, steps forecast.
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
        self.channels, self.horizon = channels, horizon
        self.recurrent = trunk(cell, input_size, hidden_size, num_layers, dropout=dropout)
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


class ErrorScores(nn.Module):
    """How unlikely each step is, on two scales.

    Slow: the squared Mahalanobis distance of the errors of all its forecasts, smoothed. Fast: the distance of the
    errors of the forecasts one step ahead, not smoothed, in which values beyond what the network reads have their size.

    Args:
        network: with an input of C + D values, or of as many values and flags, 1 for a missing value.
        mean: (N * C,) of the errors of normal steps, the next step's first.
        precision: (N * C, N * C), the inverse of their covariance.
        time_constant: of the exponential mean of the scores, in steps.
        short: of another mean, that follows the end of an anomaly sooner.
        warm_up: first steps, which have the score 0: the network has no past yet.
        covariates: D, values of a step that the network reads beside the channels, and that are not scored.
    """

    mean: Tensor
    precision: Tensor
    next_precision: Tensor

    def __init__(
        self,
        network: ChannelForecaster,
        mean: Tensor,
        precision: Tensor,
        time_constant: float,
        short: float,
        warm_up: int,
        covariates: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.read = network, network.channels + covariates
        self.marks_missing = network.recurrent.input_size > self.read
        self.warm_up = warm_up
        self.keep, self.short_keep = math.exp(-1 / time_constant), math.exp(-1 / short)
        self.register_buffer("mean", mean.float())
        self.register_buffer("precision", precision.float())
        self.register_buffer("next_precision", next_precision(precision, network.channels).float())

    def forward(self, steps: Tensor) -> Tensor:
        """Score whole sequences.

        Args:
            steps: (B, T, 2 * (C + D) + C + N * C), values within what the network reads, the channels first, 0 if
                missing; then flags, 1 if present; then how far a channel lies beyond that, else 0; then for missing
                channels what their errors are taken for, less the mean.

        Returns:
            (B, T, 3 * C + 1): what each channel adds to the slow score of the step; then what was expected of it, 0 at
            the first step; then what each channel adds to the fast distance; then the sum of the channels, smoothed
            over the short time.
        """
        channels, horizon = self.network.channels, self.network.horizon
        values, present, beyond, instead = steps.split([self.read, self.read, channels, channels * horizon], -1)
        filled = _filled(values, present)
        ahead, _ = self.network(torch.cat([filled, 1 - present], -1) if self.marks_missing else filled)
        filled, present = filled[..., :channels], present[..., :channels]
        errors = []
        for step in range(horizon):
            forecast = _later(ahead[..., step * channels : (step + 1) * channels], step + 1)
            known = _later(torch.ones_like(present), step + 1)
            own = self.mean[step * channels : (step + 1) * channels]
            assumed = instead[..., step * channels : (step + 1) * channels]
            errors.append(known * (present * (filled - forecast - own) + (1 - present) * assumed))
        joined = torch.cat(errors, -1)
        terms = joined * (joined @ self.precision) / joined.shape[-1]
        parts = terms.unflatten(-1, (horizon, channels)).sum(-2)
        following = joined[..., :channels] + beyond
        fast = following * (following @ self.next_precision) / channels
        parts[:, : self.warm_up] = fast[:, : self.warm_up] = 0
        means = exponential_means(parts, self.keep)
        short = exponential_means(parts.sum(-1, keepdim=True), self.short_keep)
        return torch.cat([means, _later(ahead[..., :channels], 1), fast, short], -1)


def next_precision(precision: Tensor, channels: int) -> Tensor:
    """The precision (C, C) of the errors of the next step alone, of that of all errors (N * C, N * C)."""
    return torch.linalg.inv(torch.linalg.inv(precision.double())[:channels, :channels])


def exponential_means(values: Tensor, keep: float) -> Tensor:
    """The exponential means of values (B, T, F)."""
    mean, means = torch.zeros_like(values[:, 0]), []
    for value in values.unbind(1):
        mean = keep * mean + (1 - keep) * value
        means.append(mean)
    return torch.stack(means, 1)


def _filled(values: Tensor, present: Tensor) -> Tensor:
    """Values (B, T, C) in which a missing one is the last that came before, 0 if there is none."""
    last, steps = torch.zeros_like(values[:, 0]), []
    for value, here in zip(values.unbind(1), present.unbind(1), strict=True):
        last = here * value + (1 - here) * last
        steps.append(last)
    return torch.stack(steps, 1)


def _later(values: Tensor, steps: int) -> Tensor:
    """Values (B, T, ...) that come so many steps later, 0 before."""
    return torch.cat([torch.zeros_like(values[:, :steps]), values[:, :-steps]], 1)[:, : values.shape[1]]
