"""From raw values to quantiles in the units of the series: a network with all that is around it, as one module."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from recurra.data.series.covariates import CovariateEncoding, standardize
from recurra.data.series.windows import Window, WindowShape
from recurra.errors import ParameterError
from recurra.models.forecasting.conformal import apply_margins
from recurra.models.forecasting.direct import DirectNetwork
from recurra.models.forecasting.heads import Head, NormalHead, QuantileHead
from recurra.models.forecasting.network import forecast_quantiles
from recurra.models.forecasting.normalization import normalize
from recurra.models.forecasting.reservoir import ReservoirNetwork

__all__ = ["ForecastPipeline"]


class ForecastPipeline(nn.Module):
    """What a forecaster computes from the values of series and of covariates as people have them.

    Args:
        network: that forecasts the whole horizon at once.
        head: whose quantiles are no samples.
        levels: of the quantiles (Q,).
        encoding: of the covariates.
        shape: of the windows.
        calendar: features of the stamps at each step.
        margins: of conformal intervals, for each of `interval_pairs(levels)`; None: they are not moved.
        nonnegative: whether forecasts below zero are raised to zero.

    Raises:
        ParameterError: the network or the head samples.
    """

    def __init__(
        self,
        network: nn.Module,
        head: Head,
        levels: tuple[float, ...],
        encoding: CovariateEncoding,
        shape: WindowShape,
        *,
        calendar: int = 0,
        margins: list[float] | None = None,
        nonnegative: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(network, DirectNetwork | ReservoirNetwork):
            expected = "a DirectNetwork or a ReservoirNetwork, which do not sample"
            raise ParameterError("network", expected, type(network).__name__)
        if not isinstance(head, QuantileHead | NormalHead):
            raise ParameterError(
                "head", "quantiles or a normal distribution, which need no samples", type(head).__name__
            )
        self.network = network
        self.head = head
        self.levels = levels
        self.encoding = encoding
        self.shape = shape
        self.calendar = calendar
        self.margins = margins
        self.nonnegative = nonnegative

    @property
    def numbers(self) -> list[tuple[float, float]]:
        """Mean and standard deviation of the static numbers."""
        return [moments for moments in self.encoding.numbers if moments is not None]

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Quantiles (B, T, Q) float64.

        Args:
            inputs: by name; NaN is a missing value. "history" (B, N) float64, of which the last steps are read;
                with covariates "past" (B, N, P) and "known" (B, N + T, K) float64, "calendar" (B, N + T, C) float32,
                "numbers" (B, S) float64, "categories" (B, C) int64.
        """
        window = self._window(inputs)
        quantiles = forecast_quantiles(self.network, self.head, window, self.levels, 1, 0).numpy()
        if self.margins is not None:
            units = normalize(window.history, self.shape.seasons[0])
            scales = torch.where(units.level > 0, units.scale, 0.0).squeeze(1).numpy()
            quantiles = apply_margins(quantiles, scales, self.levels, self.margins)
        return torch.from_numpy(np.maximum(quantiles, 0.0) if self.nonnegative else quantiles)

    def _window(self, inputs: Mapping[str, Tensor]) -> Window:
        shape, history = self.shape, inputs["history"]
        batch, steps = history.shape
        ahead = steps + shape.horizon
        past = self._encoded(inputs, "past", (batch, steps), self.encoding.past)
        known = self._encoded(inputs, "known", (batch, ahead), self.encoding.known)
        calendar = inputs.get("calendar", torch.zeros(batch, ahead, 0)).float()
        numbers = self._encoded(inputs, "numbers", (batch,), self.numbers)[:, : len(self.numbers)]
        return Window(
            pad(history, (shape.history, 0), value=torch.nan)[:, -shape.history :],
            history.new_zeros(batch, shape.horizon),
            _last(past, shape.context),
            _last(torch.cat([known, calendar], dim=2), shape.context + shape.horizon),
            numbers,
            inputs.get("categories", torch.zeros(batch, 0, dtype=torch.int64)),
        )

    @staticmethod
    def _encoded(
        inputs: Mapping[str, Tensor], name: str, leading: tuple[int, ...], moments: list[tuple[float, float]]
    ) -> Tensor:
        values = inputs.get(name, torch.zeros(*leading, 0))
        return torch.from_numpy(standardize(values.double().numpy(), moments))


def _last(values: Tensor, count: int) -> Tensor:
    """The last `count` steps of (B, N, F), after zeros if there are fewer."""
    return pad(values, (0, 0, count, 0))[:, -count:]
