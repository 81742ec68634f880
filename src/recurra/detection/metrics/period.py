"""The period of a series as the TSB-AD benchmark estimates it, for the window of the volumes under the surface."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recurra.errors import ParameterError, ShapeError

__all__ = ["DEFAULT_PERIOD", "period"]

# What TSB-AD takes for a series without a clear period.
DEFAULT_PERIOD = 125
_STEPS, _LAGS, _FIRST_LAG, _LAST_LAG = 20_000, 400, 3, 303


def period(values: ArrayLike) -> int:
    """The lag of the highest peak of the autocorrelation, from 6 to 303 steps; 125 if there is no such peak.

    This is TSB-AD's `find_length_rank` with rank 1: it reads the first 20,000 steps and the lags 3 to 400. Of several
    channels, TSB-AD takes the first.

    Args:
        values: (T,) float.

    Raises:
        ShapeError: the values are not one-dimensional, or there are none.
        ParameterError: a value is not finite.
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or not series.size:
        raise ShapeError("values", "shape (T,) with at least one step", series.shape, "Pass one channel.")
    series = series[:_STEPS]
    if not np.isfinite(series).all():
        raise ParameterError("values", "finite numbers", series[~np.isfinite(series)][0], "Fill in what is missing.")
    correlations = _autocorrelation(series)[_FIRST_LAG : _LAGS + 1]
    peaks = 1 + np.flatnonzero((correlations[1:-1] > correlations[:-2]) & (correlations[1:-1] > correlations[2:]))
    if not len(peaks):
        return DEFAULT_PERIOD
    # Of equal peaks, the last.
    lag = _FIRST_LAG + int(peaks[::-1][correlations[peaks[::-1]].argmax()])
    return lag if 2 * _FIRST_LAG <= lag <= _LAST_LAG else DEFAULT_PERIOD


def _autocorrelation(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """The autocorrelation at lags 0 to T - 1, biased, so that long lags weigh less; zeros if the series is constant."""
    deviations = series - series.mean()
    # The complex transform at a length without prime factors above 5 is statsmodels' own: whether equal neighbours make
    # a peak is a matter of rounding.
    spectrum = np.fft.fft(deviations, n=_smooth_length(2 * len(series) + 1))
    covariances = np.fft.ifft(spectrum * spectrum.conj())[: len(series)].real / len(series)
    return covariances / covariances[0] if covariances[0] > 0 else np.zeros(len(series))


def _smooth_length(least: int) -> int:
    """The smallest number of at least `least` whose prime factors are 2, 3 and 5."""
    lengths = []
    power_of_5 = 1
    while power_of_5 < 5 * least:
        product = power_of_5
        while product < 3 * least:
            lengths.append(product << max(0, (-(-least // product) - 1).bit_length()))
            product *= 3
        power_of_5 *= 5
    return min(lengths)
