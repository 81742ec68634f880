"""What is normal: the errors of the networks, and the scores that thresholds follow from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.channel_statistics import ChannelStatistics
from recurra.data.series.channels import ChannelSet
from recurra.detection.error_gaussian import ErrorGaussian
from recurra.detection.error_growth import ErrorGrowth
from recurra.detection.error_model import ErrorModel, Member
from recurra.detection.two_scales import reference_threshold
from recurra.errors import DataError
from recurra.models.detector_errors import (
    Network,
    Parts,
    after_warm_up,
    ages_of_errors,
    all_scores,
    combined,
    distances,
    expecting,
    forecast_errors,
    member_parts,
    parts_of_errors,
    scaled_errors,
    window_of,
)
from recurra.models.sequence_autoencoder import SequenceAutoencoder

__all__ = ["fit_error_model", "training_rows"]

_log = logging.getLogger("recurra.anomaly")

_CALIBRATION_ROWS = 500
_CALIBRATION_PERIODS = 5
_FEWEST_SCORES = 20  # that a tail is fitted to
_COLD_ROWS, _COLD_STARTS = 100, 100  # of windows that begin without a past, and how many of them
_USUAL = 0.9  # the quantile of the short means, below which an alarm ends
_UNUSUAL = 1.5  # times the usual distance: the network has no past yet
_SETTLED = 3  # periods after which the exponential mean of the scores has forgotten the start
_HIGH = 0.9  # the quantile of distances that are compared: the mean is that of a few anomalies
_WAYS = (False, True)  # scores are causal, and in hindsight

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Fit:
    """The errors of one network on the training rows.

    Attributes:
        network: whose they are.
        gaussian: of those of the rows that it was trained on.
        growth: of the errors with age. None: rows are as if on a grid.
        warm_up: first rows that are not judged.
        settled: first rows whose scores are lower than later ones, as smoothing begins at 0.
        parts: of the scores of each series.
    """

    network: Network
    gaussian: ErrorGaussian
    growth: ErrorGrowth | None
    warm_up: int
    settled: int
    parts: list[Parts]

    def member(self, weights: Array) -> Member:
        """What is stored of it, with the weights (2,) of its distances."""
        return Member(*self.gaussian, np.array(self.warm_up), weights, *(self.growth or ()))


def training_rows(rows: int, validation_fraction: float) -> int:
    """How many of the first rows of a series are trained on."""
    return rows - int(rows * validation_fraction)


def fit_error_model(
    statistics: ChannelStatistics,
    networks: Sequence[Network],
    data: ChannelSet,
    validation_data: ChannelSet | None,
    baselines: Array,
    *,
    validation_fraction: float,
    contamination: float = 0.0,
) -> ErrorModel:
    """The Gaussians of the errors of trained networks, and the scores that calibrate thresholds.

    The Gaussian is that of the rows that the networks were trained on. The scores are those of validation data, or of
    the last rows of each series; if these are few, a message says so, and they are those of all rows. With a
    `contamination` the Gaussian is fitted twice, the second time without that fraction of the rows, the least likely,
    which do not calibrate the threshold either. Of several networks, distances are averaged in units of those that one
    row in 10,000 exceeds.

    Args:
        statistics: of the channels.
        networks: of the detector.
        data: the training rows.
        validation_data: rows that are not among them; None: there are none.
        baselines: see `ErrorModel`.
        validation_fraction: of the training rows, the last ones of each series, that were not trained on.
        contamination: the fraction of the training rows that may be anomalous.

    Raises:
        DataError: too few rows are left to calibrate the threshold with.
    """
    fraction = validation_fraction if validation_data is None else 0.0
    trained = [training_rows(len(one), fraction) for one in data]
    fits = [_fit(statistics, network, data, trained, contamination) for network in networks]
    settled = max(one.settled for one in fits)
    judged, begins = [one.parts for one in fits], [max(end, settled) for end in trained]
    if validation_data is not None:
        judged = [
            [
                member_parts(
                    statistics, one.network, one.member(np.ones(2)), own.values, _WAYS, statistics.elapsed(own)
                )
                for own in validation_data
            ]
            for one in fits
        ]
        begins = [settled] * len(validation_data)
    enough = max(_CALIBRATION_ROWS, _CALIBRATION_PERIODS * statistics.period)
    rows = sum(max(0, len(one.fast) - begin) for one, begin in zip(judged[0], begins, strict=True))
    if rows < enough:
        _log.info("the last %d rows are too few to set the threshold by; all rows set it", rows)
        begin = min(settled, max(map(len, data)) // 2)
        judged, begins = [one.parts for one in fits], [begin] * len(data)
        rows = sum(max(0, len(one) - begin) for one in data)
        if rows < _FEWEST_SCORES:
            raise DataError(
                f"{data.source}: {rows} rows are left to set the threshold by, after the first {begin} that the "
                f"network and the period of {statistics.period} rows need; expected at least {_FEWEST_SCORES}. Give "
                "more rows."
            )
    weights = _weights([_joined(parts, begins) for parts in judged])
    shown = expecting([one.network for one in fits])
    slow, hindsight, fast = _joined(_series_as_one(judged, weights, shown), begins)
    warm_up = max(one.warm_up for one in fits)
    short = [one.short[warm_up:] for one in _series_as_one([one.parts for one in fits], weights, shown)]
    usual = np.quantile(np.concatenate(short), _USUAL)
    members = tuple(one.member(own) for one, own in zip(fits, weights, strict=True))
    return ErrorModel(members, slow, hindsight, fast, np.array(usual), baselines)


def _fit(
    statistics: ChannelStatistics, network: Network, data: ChannelSet, trained: Sequence[int], contamination: float
) -> _Fit:
    """The Gaussian of a network's errors, and the parts of the scores of all rows."""
    size, window = len(statistics.channels), window_of(network)
    first = window if isinstance(network, SequenceAutoencoder) else network.horizon  # row whose errors are all there
    standard = [statistics.standardize(one.values) for one in data]
    passed = [statistics.elapsed(one) for one in data]
    growth = _growth(statistics, network, standard, passed, first, trained)
    forecasts = [scaled_errors(statistics, network, *own, growth) for own in zip(standard, passed, strict=True)]
    errors = [one for one, _, _ in forecasts]
    beyond = [statistics.beyond(one.values) / factors for one, (_, _, factors) in zip(data, forecasts, strict=True)]
    gaussian = ErrorGaussian.fit(np.concatenate([one[first:end] for one, end in zip(errors, trained, strict=True)]))
    aside: list[NDArray[np.bool_]] | list[None] = [None] * len(errors)
    if contamination:
        raw = [gaussian.parts(one, size).sum(axis=1) for one in errors]
        limit = np.quantile(np.concatenate(raw), 1 - contamination)
        aside = [(one > limit)[:, None] for one in raw]
        errors = [np.where(rows, np.nan, own) for rows, own in zip(aside, errors, strict=True)]
        beyond = [np.where(rows, 0.0, own) for rows, own in zip(aside, beyond, strict=True)]
        left = np.concatenate([one[first:end] for one, end in zip(errors, trained, strict=True)])
        gaussian = ErrorGaussian.fit(left[~np.isnan(left).all(axis=1)])
    settled = warm_up = window - 1 if window > 1 else 1
    if not window:
        warm_up = _warm_up(statistics, network, standard, passed, gaussian, growth, np.concatenate(errors))
        settled = warm_up + _SETTLED * statistics.period
    parts = [
        parts_of_errors(
            statistics,
            network,
            after_warm_up(distances(statistics, network, one, own, gaussian, rows), warm_up),
            after_warm_up(gaussian.next_step_parts(own, far), warm_up),
            expected,
            _WAYS,
        )
        for one, own, rows, far, (_, expected, _) in zip(standard, errors, aside, beyond, forecasts, strict=True)
    ]
    return _Fit(network, gaussian, growth, warm_up, settled, parts)


def _growth(
    statistics: ChannelStatistics,
    network: Network,
    standard: list[Array],
    passed: Sequence[Array | None],
    first: int,
    trained: Sequence[int],
) -> ErrorGrowth | None:
    """How the errors of the rows that a network was trained on grow with age. None: it does not read times."""
    errors, ages = [], []
    for one, elapsed, end in zip(standard, passed, trained, strict=True):
        if elapsed is None:
            return None
        own = forecast_errors(statistics, network, one, elapsed)[0]
        size = own.shape[2]
        channels = statistics.watched(one)
        ages.append(ages_of_errors(channels, elapsed, own.shape[1])[first:end].reshape(-1, size))
        errors.append(own[first:end].reshape(-1, size))
    return ErrorGrowth.fit(np.concatenate(ages), np.concatenate(errors))


def _warm_up(
    statistics: ChannelStatistics,
    network: Network,
    standard: list[Array],
    passed: Sequence[Array | None],
    gaussian: ErrorGaussian,
    growth: ErrorGrowth | None,
    errors: Array,
) -> int:
    """After how many first rows distances are as small as usual, measured on windows of the training rows."""
    channels = len(statistics.channels)
    steps = min(_COLD_ROWS, max(map(len, standard)) // 3)
    pairs = zip(standard, passed, strict=True)
    starts = [(*own, at) for own in pairs for at in range(len(own[0]) - steps + 1)]
    chosen = starts[:: max(1, len(starts) // _COLD_STARTS)]
    cold = []
    for one, elapsed, at in chosen:
        rows = slice(at, at + steps)
        own = scaled_errors(statistics, network, one[rows], None if elapsed is None else elapsed[rows], growth)[0]
        cold.append(gaussian.parts(own, channels).sum(axis=1))
    usual = np.quantile(gaussian.parts(errors, channels).sum(axis=1), _HIGH)
    above = np.flatnonzero(np.quantile(cold, _HIGH, axis=0) > _UNUSUAL * usual)
    least = len(gaussian.mean) // channels + 1
    return max(least, int(above[-1]) + 1 if len(above) else 0)


def _joined(parts: Sequence[Parts], begins: Sequence[int]) -> Array:
    """The scores (3, S) of series one after the other, each from its row on: slow ones of both ways, and fast ones."""
    return np.concatenate([all_scores(one)[:, begin:] for one, begin in zip(parts, begins, strict=True)], axis=1)


def _series_as_one(each: Sequence[Sequence[Parts]], weights: Array, shown: Sequence[int]) -> list[Parts]:
    """Of each series the combined parts of all networks; `each` has a list of series for each network."""
    return [combined(parts, weights, shown) for parts in zip(*each, strict=True)]


def _weights(scores: Sequence[Array]) -> Array:
    """The weights (M, 2) with which networks count as much as each other, by their scores (3, S) of normal rows.

    The units are those of the first network. A fast score is the root of a distance, and distances are weighted.
    """
    units = np.array([[reference_threshold(slow), reference_threshold(fast) ** 2] for slow, _, fast in scores])
    ratios = np.divide(units[0], units, out=np.ones_like(units), where=units > 0)
    return ratios / len(scores)
