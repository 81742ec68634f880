"""Storage of a set of series in one file, without loss."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from recurra.data.series.frequency import Frequency
from recurra.data.series.series_set import Columns, Series, SeriesSet
from recurra.errors import DataError
from recurra.files import write_atomically

__all__ = ["load_series", "save_series"]


def save_series(data: SeriesSet, path: Path) -> None:
    """Write a set of series atomically.

    Raises:
        RunError: the file cannot be written.
    """
    dates = all(isinstance(series.start, np.datetime64) for series in data)
    arrays = {
        "starts": np.array([np.asarray(series.start).astype(np.int64) for series in data]),
        "lengths": data.lengths,
        "known_lengths": np.array([len(series.known) for series in data]),
        "y": np.concatenate([series.y for series in data]),
        "past": np.concatenate([series.past for series in data]),
        "known": np.concatenate([series.known for series in data]),
    }
    values = {
        "ids": data.ids,
        "static": [series.static for series in data],
        "columns": asdict(data.columns),
        "frequency": str(data.frequency),
        "dates": dates,
        "source": data.source,
    }
    write_atomically(path, lambda aside: save_file(arrays, aside, {"values": json.dumps(values)}))


def load_series(path: Path) -> SeriesSet:
    """Read a file that `save_series` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            values = json.loads(file.metadata()["values"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    lengths, known_lengths = arrays["lengths"], arrays["known_lengths"]
    parts = zip(
        values["ids"],
        arrays["starts"],
        np.split(arrays["y"], np.cumsum(lengths)[:-1]),
        np.split(arrays["past"], np.cumsum(lengths)[:-1]),
        np.split(arrays["known"], np.cumsum(known_lengths)[:-1]),
        values["static"],
        strict=True,
    )
    series = tuple(
        Series(
            name,
            np.datetime64(int(start), "us") if values["dates"] else int(start),
            y,
            past,
            known,
            tuple(static),
        )
        for name, start, y, past, known, static in parts
    )
    frequency, columns = Frequency.parse(values["frequency"]), Columns.from_json(values["columns"])
    return SeriesSet(series, frequency, columns, values["source"])
