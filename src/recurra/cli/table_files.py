"""`recurra predict` on folders, patterns and URLs of tables."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recurra.options import Setting
from recurra.prediction.options import TableOptions
from recurra.prediction.sources import are_tables
from recurra.task import Estimator
from recurra.task.row_predictors import SeriesPredictor, TextPredictor

__all__ = ["print_predicted_files", "table_settings", "take_table_options"]


def table_settings(kind: type[Estimator[Any, Any, Any]], others: Iterable[str]) -> list[Setting]:
    """The options of tables that the command has beside `others`. None: the task predicts no rows of tables."""
    if not issubclass(kind, TextPredictor | SeriesPredictor):
        return []
    return [setting for name, setting in TableOptions.settings().items() if name not in others]


def take_table_options(kind: type[Estimator[Any, Any, Any]], values: dict[str, Any]) -> TableOptions | None:
    """Remove the options of tables from `values`, and return them. None: the data are one file, predicted at once.

    Raises:
        ParameterError: they do not fit together.
    """
    if not issubclass(kind, TextPredictor | SeriesPredictor):
        return None
    reading = kind.Reading.settings() if kind.Reading is not None else {}
    named = [name for name in TableOptions.settings() if name in values and name not in reading]
    if not named and not are_tables(values.get("data")):
        return None
    return TableOptions(**{name: values.pop(name) for name in named})


def print_predicted_files(
    estimator: Estimator[Any, Any, Any], values: dict[str, Any], out: Path, options: TableOptions
) -> None:
    """Predict tables into a folder, and say what was written. Raises as `predict_files`."""
    from recurra.prediction import predict_files

    try:
        predicted = predict_files(estimator, values.pop("data"), out, options=options, **values)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; the same command resumes in {out}") from None
    print("".join(predicted.text()), end="")
