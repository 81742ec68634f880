"""A trained forecaster as it computes: from series and origins to quantiles."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import SeriesSet
from recurra.tasks.forecast.conformal import apply_margins, fit_margins
from recurra.tasks.forecast.covariates import CovariateEncoding
from recurra.tasks.forecast.heads import Head
from recurra.tasks.forecast.network import forecast_quantiles, make_network
from recurra.tasks.forecast.normalization import normalize
from recurra.tasks.forecast.settings import ForecastSettings
from recurra.tasks.forecast.windows import Window, Windows, WindowShape
from recurra.training.device import usable_device

__all__ = ["FittedModel", "empty_window", "input_sizes"]

_ROWS_AT_ONCE = 4096


@dataclass
class FittedModel:
    """Everything a forecast needs, beyond the series.

    Attributes:
        settings: of the forecaster.
        frequency: of the training data.
        encoding: of the covariates.
        shape: of the windows.
        sizes: of the inputs, by part of a window.
        trained_until: by series, the last stamp that training saw, in microseconds or steps.
        margins: of conformal intervals; None where not used or not fitted yet.
    """

    settings: ForecastSettings
    frequency: Frequency
    encoding: CovariateEncoding
    shape: WindowShape
    sizes: dict[str, int]
    trained_until: dict[str, int]
    margins: list[float] | None = None
    network: nn.Module = field(init=False)
    head: Head = field(init=False)

    def __post_init__(self) -> None:
        self.device = usable_device(self.settings.device)
        example = empty_window(self.shape, self.sizes)
        network, self.head = make_network(self.settings, self.shape, example, self.encoding.cardinalities)
        self.network = network.to(self.device)

    def quantiles(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Forecasts (N, T, Q) for series `rows` (N,) of the data from `origins` (N,), counts of steps seen."""
        found, scales = [], []
        windows = Windows(data, self.encoding, self.shape)
        self.network.eval()
        for part in self._batches(len(rows)):
            window = windows.cut(rows[part], origins[part])
            scales.append(normalize(window.history, self.shape.seasons[0]).scale.squeeze(1).numpy())
            values = forecast_quantiles(self.network, self.head, window.to(self.device), self.settings)
            found.append(values.double().cpu().numpy())
        quantiles, scale = np.concatenate(found), np.concatenate(scales)
        if self.margins is not None:
            quantiles = apply_margins(quantiles, scale, self.settings.quantiles, self.margins)
        return np.maximum(quantiles, 0.0) if self.settings.nonnegative else quantiles

    def fit_margins(self, data: SeriesSet, rows: np.ndarray, origins: np.ndarray) -> None:
        """Fit the margins of conformal intervals on windows that training did not see."""
        self.margins = None
        quantiles = self.quantiles(data, rows, origins)
        window = Windows(data, self.encoding, self.shape).cut(rows, origins)
        scale = normalize(window.history, self.shape.seasons[0]).scale.squeeze(1).numpy()
        self.margins = fit_margins(window.target.numpy(), quantiles, scale, self.settings.quantiles)

    def to_json(self) -> dict[str, Any]:
        """All but the weights, as values for JSON."""
        return {
            "settings": asdict(self.settings),
            "frequency": str(self.frequency),
            "encoding": self.encoding.to_json(),
            "shape": {"seasons": self.shape.seasons, "context": self.shape.context},
            "sizes": self.sizes,
            "trained_until": self.trained_until,
            "margins": self.margins,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "FittedModel":
        """From what `to_json` gave; the weights are still to be loaded."""
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values["settings"].items()}
        shape = values["shape"]
        return cls(
            ForecastSettings(**settings),
            Frequency.parse(values["frequency"]),
            CovariateEncoding.from_json(values["encoding"]),
            WindowShape(tuple(shape["seasons"]), shape["context"], settings["horizon"]),
            values["sizes"],
            values["trained_until"],
            values["margins"],
        )

    def _batches(self, count: int) -> Iterator[slice]:
        paths = self.settings.sample_paths if self.settings.output_kind != "quantiles" else 1
        size = max(1, _ROWS_AT_ONCE * 4 // paths) if paths > 1 else _ROWS_AT_ONCE // 8
        for start in range(0, count, size):
            yield slice(start, start + size)


def input_sizes(window: Window) -> dict[str, int]:
    """Features of each part of a window that depends on the data."""
    return {name: getattr(window, name).shape[-1] for name in ("past", "known", "numbers", "categories")}


def empty_window(shape: WindowShape, sizes: dict[str, int]) -> Window:
    """One window of zeros, of these sizes."""
    return Window(
        torch.zeros(1, shape.history, dtype=torch.float64),
        torch.zeros(1, shape.horizon, dtype=torch.float64),
        torch.zeros(1, shape.context, sizes["past"]),
        torch.zeros(1, shape.context + shape.horizon, sizes["known"]),
        torch.zeros(1, sizes["numbers"]),
        torch.zeros(1, sizes["categories"], dtype=torch.int64),
    )
