"""Series as a file has them, before their labels are taken apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.data.labelled.labels import Labels
from recurra.errors import DataError

__all__ = ["SeriesCases", "numbers", "side_by_side"]


@dataclass(frozen=True)
class SeriesCases:
    """N series and what the file says of each.

    Attributes:
        series: each (T, C), of any numeric type, NaN where missing.
        fields: of the labels, None where one is missing; None where the file has none.
        places: of each, for messages, with the file's name.
        channels: names; "1", "2" and so on where empty.
        ids: names of the series; "1", "2" and so on where empty.
    """

    series: list[np.ndarray]
    fields: Sequence[str | Labels | None] | None
    places: list[str]
    channels: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


def numbers(fields: Sequence[str | None], place: str) -> np.ndarray:
    """The fields as (len(fields),) float64, NaN where one is None, "?" or "NaN".

    Raises:
        DataError: a field that is no number.
    """
    fields = ["nan" if field is None or field.strip() == "?" else field for field in fields]
    try:
        found = np.array([float(field) for field in fields])
        if not any("_" in field for field in fields):  # Python's own way to write 1000 as 1_000
            return found
        position = next(k for k, field in enumerate(fields) if "_" in field)
    except ValueError:
        position = next(k for k, field in enumerate(fields) if not _is_number(field))
    got = fields[position].strip()[:40]
    raise DataError(f"{place}: value {position + 1} is {got!r}, expected a number, or ? where it is missing.")


def side_by_side(channels: Sequence[np.ndarray], place: str, word: str) -> np.ndarray:
    """Channels, each (T,), as (T, C).

    Args:
        place: for the message.
        word: what the file's format calls a channel.

    Raises:
        DataError: where they are not of one length.
    """
    for k, channel in enumerate(channels):
        if len(channel) != len(channels[0]):
            raise DataError(
                f"{place}: {word} 1 has {len(channels[0])} values and {word} {k + 1} has {len(channel)}, expected as "
                "many in each. Write ? where a value is missing."
            )
    return np.stack(channels, axis=1)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
