"""What a run of this task keeps: the model, and all the data it was given."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from recurra.data.series.series_set import SeriesSet
from recurra.data.series.store import load_series, save_series
from recurra.errors import RunError
from recurra.files import prepare_folder
from recurra.tasks.forecast.fitted import FittedModel
from recurra.training import Run, read_run, write_run

__all__ = ["ForecastRun"]

_TASK = "forecast"
_DATA = "data.safetensors"


@dataclass(frozen=True)
class ForecastRun(Run):
    """What `Run` is, of a forecaster.

    Attributes:
        model: its weights are in `best.safetensors`.
        data: all series given to training, those steps held out included.
        held_out: steps at the end of each series that training did not see.
    """

    model: FittedModel
    data: SeriesSet
    held_out: int = 0

    def write(self, folder: Path) -> None:
        prepare_folder(folder)
        save_series(self.data, folder / _DATA)
        values = {"source": self.data.source, "series": len(self.data), "held_out": self.held_out}
        write_run(folder, _TASK, values | self.model.to_json())

    @classmethod
    def read(cls, folder: Path) -> Self:
        values = read_run(folder, _TASK)
        try:
            model, held_out = FittedModel.from_json(values), values["held_out"]
        except (KeyError, TypeError) as error:
            raise RunError(f"{folder}: damaged run.json ({error!r})") from error
        return cls(model, load_series(folder / _DATA), held_out)

    def differences(self, given: "ForecastRun") -> list[str]:
        # Not the margins, which only training fills in.
        before, now = (json.loads(json.dumps(run.model.to_json())) for run in (self, given))
        names = ("frequency", "encoding", "shape", "sizes", "trained_until")
        parts = [name for name in names if before[name] != now[name]]
        if not _same_values(self.data, given.data):
            parts.append("values")
        return ["data (" + ", ".join(parts) + ")"] if parts else []


def _same_values(a: SeriesSet, b: SeriesSet) -> bool:
    return a.ids == b.ids and all(
        one.static == other.static
        and all(
            np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in ("y", "past", "known")
        )
        for one, other in zip(a, b, strict=True)
    )
