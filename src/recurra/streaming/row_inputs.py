"""Rows of measurements, one by one, as the network of a detector reads them."""

from collections.abc import Sequence
from numbers import Real
from types import NoneType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.series.channel_statistics import ChannelStatistics
from recurra.data.series.row_times import RowTimes
from recurra.detection.error_model import Member
from recurra.errors import DataError
from recurra.models.timed_forecaster import TimedForecaster
from recurra.streaming.state import StreamState

__all__ = ["GridRows", "TimedRows"]

Array = NDArray[np.float64]


class GridRows:
    """Rows on a grid: objects with the value of each channel and covariate, or lists of them; null if missing.

    Args:
        statistics: of the channels.
        members: of the networks, which `recurra.models.channel_forecaster.ErrorScores` or an ensemble of these run.
    """

    def __init__(self, statistics: ChannelStatistics, members: Sequence[Member]) -> None:
        self._statistics, self._members = statistics, members
        # What the errors of missing values are taken for follows from what networks forecast, which is in the state.
        self._states = ["forecasts"]
        if len(members) > 1:
            self._states = [f"members.{k}.forecasts" for k in range(len(members))]
        self.item = f"a row: {', '.join(statistics.names)}"
        self.example = dict(zip(statistics.names, statistics.centre, strict=True))

    def encode(self, item: Any, state: StreamState) -> NDArray[np.float32]:
        """What the program reads of a row; see `recurra.models.channel_forecaster.ErrorScores`. Raises DataError."""
        values = _values(_named(item, self._statistics.names), self._statistics.names)
        standard = self._statistics.standardize(values)
        present, own = np.isfinite(standard), self._statistics.watched(standard)
        instead = [np.zeros((1, len(member.mean))) for member in self._members]
        if np.isnan(own).any():
            each = zip(self._states, self._members, strict=True)
            instead = [_assumed(own, state.parts[name][0], member) for name, member in each]
        beyond = self._statistics.beyond(values)
        parts = [np.where(present, standard, 0), present, beyond, *instead]
        return np.concatenate(parts, axis=1).astype(np.float32)


class TimedRows:
    """Rows on no grid: as those on a grid, with the time since the row before under the name of its column.

    Args:
        statistics: of the channels, with times.
        network: of the detector.
        member: of it.
    """

    def __init__(self, statistics: ChannelStatistics, network: TimedForecaster, member: Member) -> None:
        assert statistics.times is not None
        assert member.growth is not None
        self._statistics, self._network, self._member = statistics, network, member
        self._times: RowTimes = statistics.times
        self._growth = member.growth
        self._names = (*statistics.names, self._times.column)
        unit = "seconds" if self._times.are_seconds else f"units of {self._times.column}"
        self.item = f"a row: {', '.join(self._names)}, the time since the row before in {unit}"
        self.example = dict(zip(self._names, (*statistics.centre, self._times.unit), strict=True))

    @torch.no_grad()
    def encode(self, item: Any, state: StreamState) -> NDArray[np.float32]:
        """What the program reads of a row; see `recurra.models.timed_forecaster.TimedErrorScores`. Raises DataError."""
        statistics, horizon = self._statistics, self._network.horizon
        row = _named(item, self._names)
        values = _values(row, statistics.names)
        count = int(state.parts["count"][0, 0])
        elapsed = self._elapsed(row) if count else 1.0
        standard = statistics.standardize(values)
        missing = np.isnan(standard)
        filled = np.where(missing, state.parts["last"][0], standard)
        # Of the last N rows, the latest first: the time since the row before each, and the ages of their values.
        past = state.parts["times"][0].reshape(horizon, -1)[::-1].astype(np.float64)
        ages = np.where(missing, past[0, 1:] + elapsed, 0.0)
        ahead = np.concatenate([[elapsed], past[: horizon - 1, 0]]).cumsum()[:, None]
        left = np.ascontiguousarray(state.parts["ahead"][0].reshape(horizon, -1)[::-1])
        forecasts = self._network.forecast(torch.from_numpy(left), torch.from_numpy(ahead).float()).double().numpy()
        factors = self._growth.factors(statistics.watched(past[:, 1:]) + ahead)
        own = statistics.watched(standard)
        errors = np.where(np.arange(horizon)[:, None] < count, (own - forecasts) / factors, np.nan)
        deviations = self._member.gaussian.completed(errors.reshape(1, -1) - self._member.mean)
        features = self._times.features(filled, missing, ages, np.array([elapsed]))
        expected = forecasts[:1] if count else np.zeros((1, len(statistics.channels)))
        beyond = statistics.beyond(values) / factors[:1]
        parts = [features, np.array([[elapsed]]), ages, deviations, beyond, expected]
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _elapsed(self, row: dict[str, Any]) -> float:
        passed, name = row.get(self._times.column), self._times.column
        if passed is None or not np.isfinite(passed) or passed < 0:
            raise DataError(f"{name}: expected the time since the row before, a number of at least 0, got {passed!r}")
        return self._times.shortened(float(passed))


def _named(item: Any, names: Sequence[str]) -> dict[str, Any]:
    """A row as an object whose values are numbers or None. Raises DataError."""
    is_list = isinstance(item, list | tuple) and len(item) == len(names)
    row = item if isinstance(item, dict) else dict(zip(names, item, strict=True)) if is_list else {}
    if not row or not row.keys() <= set(names):
        raise DataError(f"item: expected an object with numbers for {', '.join(names)}")
    # Whether a type is a number takes long to say; a row has few types.
    if any(kind is bool or not (kind is NoneType or issubclass(kind, Real)) for kind in set(map(type, row.values()))):
        raise DataError(f"item: expected numbers, or null if missing, for {', '.join(names)}")
    return row


def _values(row: dict[str, Any], channels: Sequence[str]) -> Array:
    """The values (1, C) of a row, NaN if missing. Raises DataError."""
    try:
        values = np.array([[np.nan if row.get(name) is None else row[name] for name in channels]], np.float64)
    except OverflowError:
        raise DataError("item: expected numbers of double precision") from None
    if np.isinf(values).any():
        raise DataError("item: expected finite numbers")
    return values


def _assumed(standard: Array, forecasts: NDArray[np.float32], member: Member) -> Array:
    """What the errors of the missing values of a row (1, C) are taken for, less their mean: (1, N * C).

    Args:
        standard: the row.
        forecasts: (N * N * C,), what the last N steps forecast, the oldest first.
        member: the network that did.
    """
    channels = standard.shape[1]
    horizon = len(member.mean) // channels
    ahead = forecasts.astype(np.float64).reshape(horizon, horizon, channels)
    # What the network forecast of this row n steps before is the n-th forecast of the n-th step from the end.
    forecast = np.stack([ahead[horizon - 1 - step, step] for step in range(horizon)])
    return member.gaussian.completed((standard - forecast).reshape(1, -1) - member.mean)
