"""Predictions and evaluations of a regressor as results: text, tables, a picture."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recurra.data.labelled.series import LabelledSeries
from recurra.data.labelled.targets import targets_of
from recurra.figures import write_figure
from recurra.task import Evaluation
from recurra.task.results import Table, TablePredictions
from recurra.tasks.regress.training import FittedRegressor, predicted

__all__ = ["PredictedNumbers", "evaluate", "scores"]

_BLUE, _GREY = "#1f5fa8", "#8a8f98"


class PredictedNumbers(TablePredictions[np.ndarray]):
    """A number for each series.

    Args:
        ids: of the series.
        values: the predictions (N,).
        path: of the file that was read. None: there was none.
    """

    def __init__(self, ids: Sequence[str], values: np.ndarray, path: Path | None = None) -> None:
        self._ids, self._values, self.read_from = ids, values, path

    @property
    def values(self) -> np.ndarray:
        return self._values

    def text(self, color: bool = False) -> Iterator[str]:
        low, high = self._values.min(), self._values.max()
        yield f"{len(self._values):,} series, predictions from {low:.4g} to {high:.4g}\n"

    def table(self) -> Table:
        """One row for each series: its id and the prediction."""
        return Table(("id", "prediction"), list(zip(self._ids, map(float, self._values), strict=True)))

    @property
    def frame(self) -> pl.DataFrame:
        """The table, with predictions of six significant digits, as its CSV has them."""
        values = [float(f"{value:.6g}") for value in self._values]
        return pl.DataFrame({"id": pl.Series(self._ids, dtype=pl.String), "prediction": values})


def scores(predictions: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """RMSE and MAE in the units of the targets (N,), and R2, the part of their variance that is explained.

    R2 is 0 if it is undefined, because all targets are equal.
    """
    errors, variance = predictions - targets, np.var(targets)
    squared = np.mean(errors**2)
    return {
        "RMSE": float(squared**0.5),
        "MAE": float(np.abs(errors).mean()),
        "R2": float(1 - squared / variance) if variance else 0.0,
    }


def evaluate(fitted: FittedRegressor, series: LabelledSeries) -> Evaluation:
    """Compare predictions with known targets; see `Regressor.evaluate`."""
    learned, targets = fitted.learned, targets_of(series)
    numbers = {
        "model": predicted(fitted, learned.encode(series.series, series.source)),
        **learned.baselines(series.series),
    }
    rows = list(zip(series.ids, targets.tolist(), *(one.tolist() for one in numbers.values()), strict=True))
    return Evaluation(
        f"{series.source}: {len(series):,} series",
        {name: scores(one, targets) for name, one in numbers.items()},
        "R2",
        formats={"RMSE": ".4g", "MAE": ".4g", "R2": ".3f"},
        losses=frozenset({"RMSE", "MAE"}),
        tables={"predictions": Table(("id", "target", *numbers), rows)},
        facts={"source": series.source, "series": len(series)},
        pictures={"predictions": partial(draw_predictions, targets, numbers["model"])},
    )


def draw_predictions(targets: np.ndarray, predictions: np.ndarray, path: Path) -> None:
    """Draw predictions against targets, both (N,), into a PNG file."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    ax = figure.subplots()
    both = np.concatenate([targets, predictions])
    ends = [both.min(), both.max()]
    ax.plot(ends, ends, color=_GREY, linewidth=0.9, linestyle="--", label="equal")
    ax.scatter(targets, predictions, s=12, color=_BLUE, alpha=0.6, label="series")
    ax.set_xlabel("target")
    ax.set_ylabel("prediction")
    ax.set_aspect("equal", "datalim")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    write_figure(figure, path)
