"""From rows to what each channel adds to the scores: what networks say of rows, their errors, and several as one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from recurra.data.series.channel_statistics import ChannelStatistics
from recurra.data.series.row_times import RowTimes
from recurra.detection.error_gaussian import ErrorGaussian
from recurra.detection.error_growth import ErrorGrowth
from recurra.detection.error_model import Member
from recurra.detection.smoothing import smoothed
from recurra.detection.subsequences import spread
from recurra.models.channel_forecaster import ChannelForecaster
from recurra.models.detector_ensemble import DetectorEnsemble
from recurra.models.sequence_autoencoder import SequenceAutoencoder, trailing_windows
from recurra.models.timed_forecaster import TimedForecaster

__all__ = [
    "Network",
    "Parts",
    "after_warm_up",
    "ages_of_errors",
    "all_scores",
    "combined",
    "distances",
    "expecting",
    "fast_distance",
    "forecast_errors",
    "member_parts",
    "networks_of",
    "parts_of_errors",
    "parts_of_values",
    "scaled_errors",
    "window_of",
]

Array = NDArray[np.float64]
Network = ChannelForecaster | TimedForecaster | SequenceAutoencoder

_CHUNK = 4096
_WINDOWS = 1024  # written again at a time


@dataclass(frozen=True)
class Parts:
    """What each channel adds to the scores of T rows, before thresholds.

    Attributes:
        slow: (T, C) to the slow score, by way: causal, in hindsight, or both.
        fast: (T, C) to the square of the fast score.
        short: (T,), the means that tell when an alarm is over.
        expected: (T, C), what was expected of each row, standardised; NaN if nothing was.
    """

    slow: tuple[Array, ...]
    fast: Array
    short: Array
    expected: Array


def networks_of(network: Network | DetectorEnsemble) -> list[Network]:
    """The networks of a detector: one, or those of an ensemble."""
    return list(network.networks) if isinstance(network, DetectorEnsemble) else [network]  # type: ignore[arg-type]


def window_of(network: Network) -> int:
    """The rows that an autoencoder reads for one; 0 for a forecaster."""
    return network.window if isinstance(network, SequenceAutoencoder) else 0


def expecting(networks: Sequence[Network]) -> list[int]:
    """The indices of the networks whose expectations are shown: the forecasters, or if there are none, all."""
    return [k for k, network in enumerate(networks) if not window_of(network)] or list(range(len(networks)))


def fast_distance(parts: Array) -> Array:
    """The fast scores (...) of contributions (..., C): the distance, where the slow score is a squared one."""
    return np.sqrt(np.maximum(parts.sum(axis=-1), 0))


@torch.no_grad()
def forecast_errors(
    statistics: ChannelStatistics, network: Network, standard: Array, elapsed: Array | None = None
) -> tuple[Array, Array]:
    """Errors of the forecasts of each row, the next step's first, and what was expected of it.

    A row's errors use the rows up to it alone. Of an autoencoder they are those of the last row of the window that ends
    with it, as if of one forecast.

    Args:
        statistics: of the channels.
        network: of it.
        standard: (T, C + D), NaN if missing.
        elapsed: (T,), the times since the row before, for a network that reads them.

    Returns:
        Errors (T, N, C), NaN if a value or its forecast is missing; and expectations (T, C).
    """
    own = statistics.watched(standard)
    steps, channels = own.shape
    expected = np.full((steps, channels), np.nan)
    if isinstance(network, SequenceAutoencoder):
        for ends, written in _written_again(statistics, network, standard):
            expected[ends] = written[:, -1]
        return (own - expected)[:, None], expected
    rows = torch.from_numpy(statistics.inputs(standard, elapsed, network.horizon)).float()
    forecasts, state = [], None
    network.eval()
    for part in rows.split(_CHUNK):
        output, state = network(part.unsqueeze(0).to(_device(network)), state)
        forecasts.append(output[0].cpu().double().numpy())
    ahead = np.concatenate(forecasts).reshape(steps, -1, channels)
    errors = np.full(ahead.shape, np.nan)
    for n in range(ahead.shape[1]):
        errors[n + 1 :, n] = own[n + 1 :] - ahead[: max(0, steps - n - 1), n]
    expected[1:] = ahead[:-1, 0]
    return errors, expected


def scaled_errors(
    statistics: ChannelStatistics,
    network: Network,
    standard: Array,
    elapsed: Array | None = None,
    growth: ErrorGrowth | None = None,
) -> tuple[Array, Array, Array]:
    """The errors of the forecasts of each row, divided by their growth with age, if there is one.

    Args:
        statistics: of the channels.
        network: of the detector.
        standard: (T, C + D), NaN if missing.
        elapsed: (T,), the times since the row before, for a network that reads them.
        growth: of the errors.

    Returns:
        Errors (T, N * C), expectations (T, C), see `forecast_errors`; and what the errors of the next step were divided
        by (T, C), 1 if there is no growth.
    """
    errors, expected = forecast_errors(statistics, network, standard, elapsed)
    if growth is None or elapsed is None:
        return errors.reshape(len(errors), -1), expected, np.ones_like(expected)
    factors = growth.factors(ages_of_errors(statistics.watched(standard), elapsed, errors.shape[1]))
    return (errors / factors).reshape(len(errors), -1), expected, factors[:, 0]


def ages_of_errors(standard: Array, elapsed: Array, horizon: int) -> Array:
    """How old the values (T, C) were (T, N, C) that each row was forecast from one row before, two, and so on."""
    return RowTimes.forecast_ages(RowTimes.ages(np.isnan(standard), elapsed), elapsed, horizon)


@torch.no_grad()
def _written_again(
    statistics: ChannelStatistics, network: SequenceAutoencoder, standard: Array
) -> Iterator[tuple[slice, Array]]:
    """Rows, and what an autoencoder writes (n, W, C) of the windows that end with them."""
    window = network.window
    if len(standard) < window:
        return
    network.eval()
    windows = trailing_windows(torch.from_numpy(statistics.inputs(standard)).float(), window)
    for begin in range(0, len(windows), _WINDOWS):
        written = network(windows[begin : begin + _WINDOWS].to(_device(network)))[0].cpu().double().numpy()
        yield slice(begin + window - 1, begin + window - 1 + len(written)), written


def _device(network: Network) -> torch.device:
    return next(network.parameters()).device


def distances(
    statistics: ChannelStatistics,
    network: Network,
    standard: Array,
    errors: Array,
    gaussian: ErrorGaussian,
    aside: NDArray[np.bool_] | None = None,
) -> Array:
    """What each channel adds to the squared distance of each row (T, C), before it is smoothed.

    That of a forecaster is the distance of the errors of the row. That of an autoencoder is the mean distance of the
    errors of the window that ends with the row (Malhotra et al. 2016).

    Args:
        statistics: of the channels.
        network: of it.
        standard: (T, C + D), NaN if missing.
        errors: (T, N * C), see `forecast_errors`.
        gaussian: of normal errors.
        aside: (T, 1), rows that add nothing. None: there are none. The errors of these are NaN already.
    """
    own = statistics.watched(standard)
    channels = own.shape[1]
    if not isinstance(network, SequenceAutoencoder):
        return gaussian.parts(errors, channels)
    window = network.window
    wanted = own if aside is None else np.where(aside, np.nan, own)
    parts = np.zeros_like(own)
    for ends, written in _written_again(statistics, network, standard):
        rows = wanted[ends.start - window + 1 : ends.stop]
        views = np.lib.stride_tricks.sliding_window_view(rows, window, axis=0).transpose(0, 2, 1)
        deviations = np.nan_to_num(views - written - gaussian.mean)
        parts[ends] = (deviations * (deviations @ gaussian.precision)).mean(axis=1) / channels
    return parts


def parts_of_errors(
    statistics: ChannelStatistics, network: Network, raw: Array, fast: Array, expected: Array, ways: Sequence[bool]
) -> Parts:
    """The parts of the scores of rows.

    Args:
        statistics: of the channels.
        network: of it.
        raw: (T, C), see `distances`; 0 for rows that are not judged.
        fast: (T, C), what each channel adds to the squared distance of the errors of the next step; likewise.
        expected: (T, C), see `forecast_errors`.
        ways: whether in hindsight, of each of the slow scores.
    """
    window = window_of(network)
    short = smoothed((fast if window else raw).sum(axis=1), statistics.short)
    return Parts(tuple(_slow(statistics, window, raw, way) for way in ways), fast, short, expected)


def _slow(statistics: ChannelStatistics, window: int, raw: Array, hindsight: bool) -> Array:
    """The slow scores of distances (T, C): means over the period, or of an autoencoder over its window."""
    if not window:
        return smoothed(raw, statistics.period, hindsight)
    if not hindsight or len(raw) < window:
        return raw
    ends = raw[window - 1 :].T
    return np.stack([spread(channel, window, hindsight=True) for channel in ends], axis=1)


def after_warm_up(parts: Array, warm_up: int) -> Array:
    """The contributions (T, C), 0 for the first rows, which are not judged."""
    return np.concatenate([np.zeros_like(parts[:warm_up]), parts[warm_up:]])


def member_parts(
    statistics: ChannelStatistics,
    network: Network,
    member: Member,
    values: Array,
    ways: Sequence[bool],
    elapsed: Array | None = None,
) -> Parts:
    """The parts of the scores that one network gives the rows of a series; see `parts_of_values`."""
    standard, gaussian, warm_up = statistics.standardize(values), member.gaussian, int(member.warm_up)
    errors, expected, factors = scaled_errors(statistics, network, standard, elapsed, member.growth)
    raw = after_warm_up(distances(statistics, network, standard, errors, gaussian), warm_up)
    fast = after_warm_up(gaussian.next_step_parts(errors, statistics.beyond(values) / factors), warm_up)
    return parts_of_errors(statistics, network, raw, fast, expected, ways)


def parts_of_values(
    statistics: ChannelStatistics,
    networks: Sequence[Network],
    members: Sequence[Member],
    values: Array,
    ways: Sequence[bool] = (False,),
    elapsed: Array | None = None,
) -> Parts:
    """The parts of the scores that several networks together give the rows of a series, NaN if missing.

    Args:
        statistics: of the channels.
        networks: of the detector.
        members: of each network.
        values: (T, C + D), of the channels and the covariates.
        ways: whether in hindsight, of each of the slow scores that are returned.
        elapsed: (T,), the times since the row before, for networks that read them.
    """
    pairs = zip(networks, members, strict=True)
    each = [member_parts(statistics, network, member, values, ways, elapsed) for network, member in pairs]
    return combined(each, np.stack([member.weights for member in members]), expecting(networks))


def combined(each: Sequence[Parts], weights: Array, shown: Sequence[int]) -> Parts:
    """Several networks' parts as one: weighted sums, and the means of what is expected.

    Args:
        each: of the same rows.
        weights: (M, 2) of the slow and of the fast parts of each.
        shown: the indices of those whose expectations count.
    """
    if len(each) == 1:
        return each[0]
    slow = [sum(w * one.slow[k] for w, one in zip(weights[:, 0], each, strict=True)) for k in range(len(each[0].slow))]
    fast = sum(w * one.fast for w, one in zip(weights[:, 1], each, strict=True))
    short = sum(w * one.short for w, one in zip(weights[:, 0], each, strict=True))
    return Parts(tuple(slow), fast, short, np.mean([each[k].expected for k in shown], axis=0))  # type: ignore[arg-type]


def all_scores(parts: Parts) -> Array:
    """The scores (W + 1, T) of rows: the slow ones of each way, and the fast ones."""
    return np.stack([*(slow.sum(axis=1) for slow in parts.slow), fast_distance(parts.fast)])
