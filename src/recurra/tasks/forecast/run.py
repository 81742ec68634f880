"""What a run of this task keeps: the model, and all the data it was given."""

from dataclasses import dataclass
from pathlib import Path

from recurra.data.series import SeriesSet
from recurra.data.store import load_series, save_series
from recurra.errors import RunError
from recurra.files import prepare_folder
from recurra.tasks.forecast.fitted import FittedModel
from recurra.training import load_checkpoint, read_run, write_run

__all__ = ["TASK", "ForecastRun", "load_forecast_run", "load_weights", "save_forecast_run"]

TASK = "forecast"
_DATA = "data.safetensors"


@dataclass
class ForecastRun:
    """A run folder's content, beside weights and log.

    Attributes:
        model: the weights are in `best.safetensors`.
        data: all series given to training, those steps held out included.
        held_out: steps at the end of each series that training did not see.
    """

    model: FittedModel
    data: SeriesSet
    held_out: int = 0


def save_forecast_run(run: ForecastRun, folder: Path) -> None:
    """Write all but the weights.

    Raises:
        RunError: where the folder cannot be written.
    """
    prepare_folder(folder)
    save_series(run.data, folder / _DATA)
    values = {"source": run.data.source, "series": len(run.data), "held_out": run.held_out}
    write_run(folder, TASK, values | run.model.to_json())


def load_forecast_run(folder: Path) -> ForecastRun:
    """Read all but the weights.

    Raises:
        RunError: where the folder is not a run of this task.
        DataError: where the data kept there are damaged.
    """
    values = read_run(folder, TASK)
    try:
        model, held_out = FittedModel.from_json(values), values["held_out"]
    except (KeyError, TypeError) as error:
        raise RunError(f"{folder}: damaged run.json ({error!r})") from error
    return ForecastRun(model, load_series(folder / _DATA), held_out)


def load_weights(model: FittedModel, folder: Path) -> None:
    """Load the best weights of a run into its model.

    Raises:
        RunError: where they are missing or damaged.
    """
    path = folder / "best.safetensors"
    weights = load_checkpoint(path).group("model")
    try:
        model.network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise RunError(f"{path}: not the weights of the model in run.json ({reason})") from error
    model.network.eval()
