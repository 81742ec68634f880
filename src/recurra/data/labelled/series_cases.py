"""Series as a file holds them, before their labels are split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.data.labelled.labels import Labels, LabelType
from recurra.errors import DataError

__all__ = ["SeriesCases", "numbers", "side_by_side", "without_padding"]


@dataclass(frozen=True)
class SeriesCases:
    """N series of a file, with their label fields.

    Attributes:
        series: arrays (T, C) of any numeric type. Missing values are NaN.
        fields: the label field of each series. A missing one is None. None: the file has no labels.
        locations: the name of each series in messages, with the file's name.
        channels: the channel names. Empty: "1", "2" and so on.
        ids: the names of the series. Empty: "1", "2" and so on.
        label_type: what the label fields are: "target" or "class" if the file declares it.
    """

    series: list[np.ndarray]
    fields: Sequence[str | Labels | None] | None
    locations: list[str]
    channels: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    label_type: LabelType = "text"


def numbers(fields: Sequence[str | None], location: str) -> np.ndarray:
    """Convert fields to (len(fields),) float64. None, "?" and "NaN" become NaN.

    Raises:
        DataError: a field is not a number.
    """
    fields = ["nan" if field is None or field.strip() == "?" else field for field in fields]
    try:
        values = np.array([float(field) for field in fields])
        if not any("_" in field for field in fields):  # Python reads 1_000 as 1000; a file does not mean it
            return values
        position = next(k for k, field in enumerate(fields) if "_" in field)
    except ValueError:
        position = next(k for k, field in enumerate(fields) if not _is_number(field))
    got = fields[position].strip()[:40]
    raise DataError(f"{location}: value {position + 1} is {got!r}, expected a number, or ? for a missing value.")


def side_by_side(channels: Sequence[np.ndarray], location: str, word: str) -> np.ndarray:
    """Stack channels (T,) into (T, C).

    Args:
        channels: one or more arrays (T,).
        location: the name of the series in the message.
        word: the word of the file format for a channel.

    Raises:
        DataError: the channels differ in length.
    """
    for k, channel in enumerate(channels):
        if len(channel) != len(channels[0]):
            raise DataError(
                f"{location}: {word} 1 has {len(channels[0])} values and {word} {k + 1} has {len(channel)}, expected "
                "the same number in each. Write ? for a missing value."
            )
    return np.stack(channels, axis=1)


def without_padding(values: np.ndarray) -> np.ndarray:
    """Cut the steps at the end of (T, C) that are missing in all channels, unless all steps are."""
    held = np.flatnonzero(~np.isnan(values).all(axis=1))
    return values[: held[-1] + 1] if len(held) else values


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
