"""What a regressor learns from its training data without gradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from recurra.errors import DataError
from recurra.task.learned import Learned

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from recurra.data.labelled.series import LabelledSeries
    from recurra.data.labelled.series_encoding import EncodedSeries, Normalization, SeriesEncoding
    from recurra.models.baselines.nearest_neighbour import NearestNeighbour
    from recurra.models.baselines.ridge import Ridge

__all__ = ["RegressorLearned", "learn"]


@dataclass(frozen=True)
class RegressorLearned(Learned):
    """The values that a regressor needs beside its weights.

    Attributes:
        encoding: of series.
        mean: of the targets of training.
        deviation: their standard deviation, above 0.
        nearest_neighbour: a baseline, whose targets are numbers.
        ridge: another baseline.
    """

    encoding: "SeriesEncoding"
    mean: float
    deviation: float
    nearest_neighbour: "NearestNeighbour"
    ridge: "Ridge"

    def encode(self, series: Sequence["np.ndarray"], source: str = "the data") -> "EncodedSeries":
        """Series ready to be cut into batches.

        Raises:
            DataError: series have other channels than in training.
        """
        from recurra.data.labelled.series_encoding import EncodedSeries

        return EncodedSeries(self.encoding, series, source)

    def standardize(self, targets: "np.ndarray") -> "np.ndarray":
        """Targets (N,) with training's mean at 0, in units of its standard deviation; float32."""
        return ((targets - self.mean) / self.deviation).astype("float32")

    def restore(self, outputs: "np.ndarray") -> "np.ndarray":
        """The inverse of `standardize`, float64."""
        return outputs.astype("float64") * self.deviation + self.mean

    def baselines(self, series: Sequence["np.ndarray"]) -> "dict[str, np.ndarray]":
        """The numbers (N,) that the baselines predict for series, by the name of each."""
        import numpy as np

        return {
            "mean of training": np.full(len(series), self.mean),
            self.nearest_neighbour.name: self.nearest_neighbour.predict(self.encoding, series).numpy(),
            "ridge": self.ridge.predict(self.encoding, series),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "encoding": self.encoding.to_json(),
            "mean": self.mean,
            "deviation": self.deviation,
            "window": self.nearest_neighbour.window,
            "bias": self.ridge.bias,
        }

    def tensors(self) -> "dict[str, Tensor]":
        return {
            "nearest_neighbour.values": self.nearest_neighbour.values,
            "nearest_neighbour.target": self.nearest_neighbour.target,
            "ridge.weight": self.ridge.weight,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], tensors: "dict[str, Tensor]") -> Self:
        from recurra.data.labelled.series_encoding import SeriesEncoding
        from recurra.models.baselines.nearest_neighbour import NearestNeighbour
        from recurra.models.baselines.ridge import Ridge

        series, target = tensors["nearest_neighbour.values"], tensors["nearest_neighbour.target"]
        return cls(
            SeriesEncoding.from_json(values["encoding"]),
            values["mean"],
            values["deviation"],
            NearestNeighbour(series, target, values["window"]),
            Ridge(tensors["ridge.weight"], values["bias"]),
        )


def learn(
    training: "LabelledSeries", validation: "LabelledSeries | None", normalization: "Normalization"
) -> RegressorLearned:
    """Learn from training series.

    Raises:
        DataError: every series has the same target, or validation series have other channels.
    """
    import torch

    from recurra.data.labelled.series_encoding import SeriesEncoding
    from recurra.data.labelled.targets import targets_of
    from recurra.models.baselines.nearest_neighbour import fit_nearest_neighbour
    from recurra.models.baselines.ridge import fit_ridge

    targets = targets_of(training)
    mean, deviation = float(targets.mean()), float(targets.std())
    if deviation <= 1e-12 * abs(mean):
        raise DataError(f"{training.source}: every series has the target {mean:g}; there is nothing to learn.")
    encoding = SeriesEncoding.of(training.series, training.channels, normalization, training.timed)
    neighbour = fit_nearest_neighbour(encoding, training.series, torch.from_numpy(targets), _squared_error)
    learned = RegressorLearned(encoding, mean, deviation, neighbour, fit_ridge(encoding, training.series, targets))
    if validation is not None:
        learned.encode(validation.series, validation.source)
    return learned


def _squared_error(predicted: "Tensor", target: "Tensor") -> float:
    return float(((predicted - target) ** 2).sum())
