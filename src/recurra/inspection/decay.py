"""Exponential decay, fitted."""

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["FORGOTTEN", "LEAST_R_SQUARED", "Decay", "fit_decay"]

FORGOTTEN = 0.01  # the fraction of its value down to which a gradient counts
LEAST_R_SQUARED = 0.5  # of a fit, below which the decay is not exponential
_FITTED = 1e-4  # the fraction of the largest norm down to which the decay is fitted


@dataclass(frozen=True)
class Decay:
    """norm(k) = start factor^k, fitted to norms by lag k.

    Attributes:
        start: the fitted norm at lag 0.
        factor: by which the fitted norm changes each step back: below 1 it vanishes, above 1 it explodes.
        r_squared: of the fit to the logarithms; 1 if it is exact.
        measured_horizon: the first lag from which on the measured norm stays below 1 % of its largest value; None if
            it does not within the sequence.
    """

    start: float
    factor: float
    r_squared: float
    measured_horizon: int | None

    @property
    def is_fitted(self) -> bool:
        """Whether the norms decay or grow exponentially at all: R² is at least 0.5, or all but the first are zero."""
        return self.factor == 0 or self.r_squared >= LEAST_R_SQUARED

    @property
    def time_constant(self) -> float:
        """Steps in which the fitted norm falls to 1/e; infinite if it does not fall, nan if no decay can be fitted."""
        if not self.is_fitted:
            return math.nan
        return -1 / math.log(self.factor) if 0 < self.factor < 1 else 0.0 if self.factor == 0 else math.inf

    @property
    def horizon(self) -> float:
        """The memory horizon: steps in which the fitted norm falls to 1 %.

        It is infinite if the norm does not fall, and nan if no decay can be fitted.
        """
        return self.time_constant * math.log(1 / FORGOTTEN)

    def at(self, lags: np.ndarray) -> np.ndarray:
        """The fitted norms at lags."""
        return self.start * self.factor**lags


def fit_decay(norms: np.ndarray, lags: np.ndarray | None = None) -> Decay:
    """Fit the logarithms of norms by lag by least squares.

    Lag 0 is left out where there are three others: there the loss itself still acts, and on one part of the state only.
    Norms under 1e-4 of the largest are left out as long as three others remain: what happens there no longer matters to
    learning. Norms of zero are left out too; where all but the first are zero the factor is 0, and where there is
    nothing to fit it is nan.

    Args:
        norms: (K,), none negative.
        lags: (K,), increasing; None: 0, 1, 2 and so on.
    """
    lags = np.arange(len(norms)) if lags is None else lags
    used = norms > 0
    if (used & (lags > 0)).sum() >= 3:
        used &= lags > 0
    deep = used & (norms < _FITTED * norms.max(initial=0.0))
    if (used & ~deep).sum() >= 3:
        used &= ~deep
    horizon = _measured_horizon(norms, lags)
    if used.sum() < 2:
        gone = len(norms) > 1 and used[0]
        return Decay(float(norms[0]) if used.any() else math.nan, 0.0 if gone else math.nan, math.nan, horizon)
    logs = np.log(norms[used])
    slope, intercept = np.polyfit(lags[used], logs, 1)
    residual, spread = logs - (intercept + slope * lags[used]), logs - logs.mean()
    total = float(spread @ spread)
    r_squared = 1.0 if total < 1e-20 else 1 - float(residual @ residual) / total
    return Decay(math.exp(intercept), math.exp(slope), r_squared, horizon)


def _measured_horizon(norms: np.ndarray, lags: np.ndarray) -> int | None:
    if not len(norms) or norms.max() == 0:
        return None
    above = np.flatnonzero(norms >= FORGOTTEN * norms.max())
    return int(lags[above[-1] + 1]) if above[-1] + 1 < len(norms) else None
