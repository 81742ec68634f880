"""Frames in the library that the data came in."""

from typing import Any, Literal

import numpy as np
import polars as pl

from recurra.data.series.stamp_form import StampForm
from recurra.data.series.zones import zone_of_python

__all__ = ["Library", "library_of", "native_frame"]

Library = Literal["polars", "pandas"]


def library_of(source: Any) -> Library:
    """The library that results are made for: "pandas" for its frames, "polars" for all else, such as a file."""
    return "pandas" if type(source).__module__.partition(".")[0] == "pandas" else "polars"


def native_frame(frame: pl.DataFrame, library: Library, time: str | None, stamps: np.ndarray, form: StampForm) -> Any:
    """A frame of R rows in a library. In pandas, stamps are of the type and in the zone that they came in.

    Args:
        frame: the rows.
        library: see `library_of`.
        time: the column of the stamps. None: there is none.
        stamps: (R,) of the rows, datetime64[us] or integers.
        form: in which stamps came.
    """
    if library != "pandas":
        return frame
    import pandas as pd

    columns: dict[str, Any] = {column.name: column.to_numpy() for column in frame}
    if time is not None and form.zone is not None and form.kind == "datetime":
        utc = pd.Series(form.utc(stamps)).dt.tz_localize("UTC")
        columns[time] = utc.dt.tz_convert(zone_of_python(form.zone))
    elif time is not None and form.period:
        columns[time] = pd.PeriodIndex(stamps, freq=form.period)
    return pd.DataFrame(columns)
