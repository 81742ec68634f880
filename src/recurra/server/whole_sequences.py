"""Predictions for whole inputs: from JSON to what a task reads, and from its predictions to JSON."""

import base64
import dataclasses
import inspect
import logging
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from recurra.data.audio.json_samples import SAMPLES, read_json_samples
from recurra.data.audio.sound import Sound
from recurra.data.audio.timed_words import Segment
from recurra.errors import MissingExtraError, RecurraError
from recurra.server.refusal import Refusal
from recurra.task import Estimator

__all__ = ["predict"]

_log = logging.getLogger("recurra.server")
_EXPECTED = (
    "data: expected a list of texts, of lists of words or of lists of numbers (of each step, or of each feature of "
    "each step), or an object with a list for each column of a table"
)


def predict(estimator: Estimator[Any, Any, Any], data: Any) -> Any:
    """The predictions of a fitted estimator, as JSON.

    Args:
        estimator: of any task.
        data: JSON. For a language model it is a text; for the other tasks a list of inputs, or the columns of a table.
            A sound is its samples at the rate of the model; see `recurra.data.audio.json_samples`. An image is the
            content of its file in base64.

    Raises:
        Refusal: if the task cannot read the data.
    """
    try:
        with np.errstate(over="ignore"):  # of numbers beyond float32, which the tasks refuse as not finite
            predictions = estimator.predictions(_input(estimator, data))
        # Predictions that are a sequence hold more of each input than their values do.
        return to_json(list(predictions) if isinstance(predictions, Sequence) else predictions.values)
    except MissingExtraError as error:
        _log.error("%s", error)
        raise Refusal(501, "not_installed", "the server lacks a package that this model needs") from None
    except RecurraError as error:
        raise Refusal(422, "invalid_data", str(error)) from None
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, pl.exceptions.PolarsError) as error:
        _log.info("data for %s could not be read: %r", estimator.task, error)
        raise Refusal(422, "invalid_data", _EXPECTED) from None


def to_json(value: Any) -> Any:
    """A value as JSON can hold it: frames by column, objects by field or as they say, numbers not finite as null."""
    if isinstance(value, pl.DataFrame):
        return {column.name: to_json(column.to_list()) for column in value}
    if isinstance(value, np.ndarray | np.generic):
        return to_json(value.tolist())
    if isinstance(value, Segment):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return to_json(value._asdict())  # type: ignore[attr-defined]  # a named tuple
    if isinstance(value, Mapping):
        return {str(key): to_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _input(estimator: Estimator[Any, Any, Any], data: Any) -> Any:
    """What the task's `predictions` takes. A text never stands for the path of a file."""
    if sound := estimator.sound_format:
        return _sounds(data, sound["sample_rate"])
    if estimator.reads_content:
        return _contents(data)
    if next(iter(inspect.signature(estimator.predictions).parameters)) != "data":
        if not isinstance(data, str):
            raise Refusal(422, "invalid_data", "data: expected a text")
        return data
    if isinstance(data, dict) and data and all(isinstance(column, list) for column in data.values()):
        return pl.DataFrame(data)
    if not isinstance(data, list) or not data:
        raise Refusal(422, "invalid_data", _EXPECTED)
    if estimator.reads_texts and all(isinstance(one, str) for one in data):
        return data
    if all(isinstance(one, list) and one and all(isinstance(part, str) for part in one) for one in data):
        return data
    if all(isinstance(one, list) and one for one in data):
        arrays = [np.asarray(one) for one in data]
        if all(one.dtype.kind in "iuf" and one.ndim in (1, 2) and one.size for one in arrays):
            return [one.astype(np.float64) for one in arrays]
    raise Refusal(422, "invalid_data", _EXPECTED)


def _contents(data: Any) -> list[bytes]:
    """What a task that reads files takes: a text is the content of a file in base64, and not its path."""
    if not isinstance(data, list) or not data or not all(isinstance(one, str) for one in data):
        raise Refusal(422, "invalid_data", "data: expected a list of files, the content of each in base64")
    contents = []
    for row, one in enumerate(data, start=1):
        try:
            contents.append(base64.b64decode(one, validate=True))
        except ValueError:
            raise Refusal(422, "invalid_data", f"data, file {row}: expected its content in base64") from None
    return contents


def _sounds(data: Any, sample_rate: int) -> list[Sound]:
    """What a task that reads sound takes: a text is samples in base64, and not a file."""
    if not isinstance(data, list) or not data:
        raise Refusal(422, "invalid_data", f"data: expected a list of sounds, each {SAMPLES}")
    return [Sound(read_json_samples(one, f"data, sound {row}"), sample_rate) for row, one in enumerate(data, start=1)]
