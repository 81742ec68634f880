"""The tail of a distribution of scores: a generalised Pareto distribution of the excesses over a high level."""

from typing import NamedTuple

import numpy as np

__all__ = ["ScoreTail", "Tail", "fit_tail", "predictive_tail"]

# A shape beyond these is not told from few excesses: a lower one has an end, an upper one has no mean.
_SHAPES = (-0.5, 0.9)
# The shape is pulled towards 0, an exponential tail, as much as this many excesses of it would.
_PRIOR = 10
_FEWEST = 5
_NEARLY_ZERO = 1e-9
# The grid of a predictive tail: shapes, with a normal prior about 0 as strong as `_PRIOR` excesses, and logarithms of
# scales over the likely one, in standard errors of it.
_GRID_SHAPES = np.linspace(-0.5, 0.9, 15)[:, None]
_GRID_SCALES = np.linspace(-4, 4, 17)
_WIDEST = 3.0
_MATCHED = np.linspace(0.0, 12.0, 200)  # -log of the probabilities between which a mixture is inverted
_HEAVIEST = 3.0
_MOST = 200  # excesses whose likelihood is computed one by one; of more, as many quantiles stand for all


class Tail(NamedTuple):
    """A generalised Pareto distribution of excesses.

    Attributes:
        shape: 0 for an exponential tail, positive for a heavier one, negative for one that ends.
        scale: at least 0. With 0 nothing exceeds the level.
    """

    shape: float
    scale: float

    def survival(self, excess: np.ndarray) -> np.ndarray:
        """The probability (N,) that an excess is larger than these (N,), from 0 to 1."""
        return survival(excess, np.array(self.shape), np.array(self.scale))

    def excess(self, probability: np.ndarray) -> np.ndarray:
        """The excesses (N,) that are exceeded with these probabilities (N,), each above 0 and at most 1."""
        return excess_of(probability, np.array(self.shape), np.array(self.scale))


class ScoreTail(NamedTuple):
    """The tail of the distribution of scores.

    Attributes:
        level: where it begins.
        rate: the probability of a score above the level.
        excesses: the distribution of what such a score exceeds it by.
    """

    level: float
    rate: float
    excesses: Tail

    def survival(self, scores: np.ndarray) -> np.ndarray:
        """The probability (N,) of a score that is larger than these (N,), which are at least the level."""
        return self.rate * self.excesses.survival(scores - self.level)


def survival(excess: np.ndarray, shape: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The probability of a larger excess, by tails with these shapes and scales; all (N,)."""
    ratio = np.maximum(excess, 0) / np.where(scale > 0, scale, 1)
    ratio = np.where((scale > 0) | (ratio == 0), ratio, np.inf)
    exponential = np.abs(shape) < _NEARLY_ZERO
    safe = np.where(exponential, 1.0, shape)
    with np.errstate(divide="ignore"):  # beyond the end of a tail: log(0), and a probability of 0
        exponent = np.where(exponential, ratio, np.log1p(np.maximum(safe * ratio, -1)) / safe)
    return np.exp(-exponent)


def excess_of(probability: np.ndarray, shape: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The inverse of `survival`; all (N,). Probabilities above 1 give 0."""
    log = -np.log(np.minimum(probability, 1))
    exponential = np.abs(shape) < _NEARLY_ZERO
    safe = np.where(exponential, 1.0, shape)
    return scale * np.where(exponential, log, np.expm1(safe * log) / safe)


def fit_tail(excesses: np.ndarray, beyond: np.ndarray | None = None, weight: float = 1.0) -> Tail:
    """Fit a generalised Pareto distribution to excesses over a level.

    The likelihood depends on shape / scale alone once the best shape for it is put in (Grimshaw, Technometrics 1993).
    This ratio is averaged over a grid, weighted by the likelihood, which needs no iteration and is less biased than the
    maximum (Zhang and Stephens, Technometrics 2009). An excess of which only a lower bound is known counts by the
    probability of exceeding the bound.

    Args:
        excesses: (n,) positive. Infinite and missing ones are left out. With fewer than 5, or without any spread, the
            tail is exponential; without any it has the scale 0.
        beyond: (m,) lower bounds of further excesses. None: there are none.
        weight: what each of `beyond` counts, 0 to 1.
    """
    x = excesses[np.isfinite(excesses) & (excesses > 0)]
    bounds = np.empty(0) if beyond is None else beyond
    if not len(x):
        return Tail(0.0, 0.0)
    mean = float(x.mean() + weight * bounds.sum() / len(x))
    if len(x) < _FEWEST or x.max() - x.min() <= _NEARLY_ZERO * x.max():
        return Tail(0.0, mean)
    ratio = _ratio(x, bounds, weight)
    total = np.log1p(ratio * x).sum() + weight * np.log1p(ratio * bounds).sum()
    shape = float(total / len(x))
    scale = mean if abs(ratio * mean) < _NEARLY_ZERO else shape / ratio
    likely = len(x) / (len(x) + _PRIOR)
    limited = float(np.clip(shape * likely, *_SHAPES))
    if limited != shape:
        # Another shape with the same median.
        half = np.array(0.5)
        middle = Tail(shape, scale).excess(half)
        scale = float(middle / Tail(limited, 1.0).excess(half))
    return Tail(limited, scale)


def predictive_tail(
    excesses: np.ndarray, effective: float, probability: float, beyond: np.ndarray | None = None, weight: float = 1.0
) -> Tail:
    """The tail of the next excess, when shape and scale are only known as well as so many excesses tell them.

    The generalised Pareto distributions of a grid are averaged by their likelihood and a prior: the predictive
    distribution (Coles, An Introduction to Statistical Modeling of Extreme Values 2001, section 9.1.2). Its tail is
    heavier than the likeliest one: a threshold of that is exceeded too often, the more so the fewer excesses there
    are. Excesses of neighbouring steps are alike, so that the likelihood is raised to the power of `effective` over
    their number. The tail returned has the median of the average, and the excess of one probability.

    Args:
        excesses: see `fit_tail`.
        effective: as how many independent ones the excesses tell, at least 1.
        probability: at which the average is met exactly, below 1/2.
        beyond: see `fit_tail`.
        weight: see `fit_tail`.
    """
    likely = fit_tail(excesses, beyond, weight)
    x = excesses[np.isfinite(excesses) & (excesses > 0)]
    if not len(x) or not likely.scale > 0:
        return likely
    bounds = np.empty(0) if beyond is None else beyond
    effective = min(max(effective, 1.0), len(x) + weight * len(bounds))
    repeated = max(1.0, len(x) / _MOST)
    width = min(1 / np.sqrt(effective), _WIDEST / _GRID_SCALES[-1])
    mean = float(x.mean() + weight * bounds.sum() / len(x))
    total = len(x) + weight * len(bounds)
    if repeated > 1:
        x = np.quantile(x, (np.arange(_MOST) + 0.5) / _MOST)
    shapes, scales = np.broadcast_arrays(
        _GRID_SHAPES, mean * np.maximum(1 - _GRID_SHAPES, 0.3) * np.exp(width * _GRID_SCALES)
    )
    shapes, scales = shapes.reshape(-1, 1), scales.reshape(-1, 1)
    with np.errstate(divide="ignore"):  # beyond the end of a tail
        densities = np.log(survival(x, shapes, scales)) * (1 + shapes) - np.log(scales)
        log = repeated * densities.sum(axis=1) + weight * np.log(survival(bounds, shapes, scales)).sum(axis=1)
    log = log * effective / total - _PRIOR * shapes[:, 0] ** 2 / 2
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    # Inverted on a grid of excesses: those of the likely tail, far enough for the heavier one.
    grid = mean * np.expm1(_MATCHED)
    logs = -np.log(np.maximum(weights @ survival(grid, shapes, scales), 1e-300))
    middle, far = (mean * np.expm1(np.interp(-np.log(p), logs, _MATCHED)) for p in (0.5, probability))
    return _through(float(middle), float(far), probability)


def _through(middle: float, far: float, probability: float) -> Tail:
    """The tail with this median and this excess of a probability."""
    candidates = np.linspace(_SHAPES[0], _HEAVIEST, 351)
    candidates = candidates[np.abs(candidates) > _NEARLY_ZERO]
    ones = np.ones_like(candidates)
    ratios = excess_of(probability * ones, candidates, ones) / excess_of(0.5 * ones, candidates, ones)
    shape = float(np.interp(far / middle, ratios, candidates))
    return Tail(shape, middle / float(Tail(shape, 1.0).excess(np.array(0.5))))


def _ratio(x: np.ndarray, bounds: np.ndarray, weight: float) -> float:
    """The likely shape / scale. The smallest that allows the largest excess is -1 / largest."""
    count = 20 + int(np.sqrt(len(x)))
    largest = max(float(x.max()), float(bounds.max(initial=0.0)))
    quartile = float(np.quantile(x, 0.25))
    grid = -1 / largest + (np.sqrt(count / (np.arange(count) + 0.5)) - 1) / (3 * quartile)
    grid = grid[np.abs(grid * largest) > _NEARLY_ZERO]
    logs = np.log1p(grid[:, None] * x).sum(axis=1)
    shapes = (logs + weight * np.log1p(grid[:, None] * bounds).sum(axis=1)) / len(x)
    likelihood = len(x) * (np.log(grid / shapes) - 1) - logs
    weights = np.exp(likelihood - likelihood.max())
    return float((grid * weights).sum() / weights.sum())
