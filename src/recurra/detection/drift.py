"""Drift: whether the scores of recent steps as a whole are higher than those of calibration."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift", "DriftWatch"]

_LENGTHS = (4, 8, 16, 32)  # blocks that are compared with those of calibration
_FEWEST_BLOCKS = 5  # of calibration
_FEWEST_STEPS = 10  # of a block
_CAP = 0.9  # the quantile of calibration that logarithms end at: a few anomalies are no drift
_LEAST_RATIO = 1.2  # a smaller change, such as from rows of training to others, makes no difference to a person
_FLOOR = 0.01  # the quantile that they begin at
_SUM, _COUNT, _BLOCKS, _HEADER = 0, 1, 2, 3

Array = NDArray[np.float64]


class Drift(NamedTuple):
    """What a look at the latest blocks says.

    Attributes:
        probability: of such a look if nothing has changed, corrected for the lengths that were compared.
        steps: since the change, by the most likely of the remembered blocks.
        ratio: of the typical score since then to that of calibration.
        or_earlier: whether all remembered blocks are since then.
    """

    probability: float
    steps: int
    ratio: float
    or_earlier: bool


class DriftWatch:
    """A test of whether scores are still those of calibration, block by block.

    The mean logarithm of the scores of a block, each limited to the range of most calibration scores, is one number:
    an event that is shorter than a block hardly moves it. At the end of each block the last 4, 8, 16 and 32 blocks are
    compared with those of calibration by Student's test for two samples, one-sided, with the level divided by the
    number of comparisons (Bonferroni). So at most the stated fraction of looks notices a drift that is none, whatever
    their number.

    The state is one array, so that it can lie within the state of a stream.

    Args:
        clean: (S,) scores of normal steps that are hardly correlated over a block, above 0.
        block: steps of a block, such as a period; fewer if there are few scores.
        level: of looks at unchanged scores that notice a drift.
    """

    def __init__(self, clean: Array, block: int, level: float = 1e-3) -> None:
        clean = clean[np.isfinite(clean) & (clean > 0)]
        self.block = max(_FEWEST_STEPS, min(block, len(clean) // _FEWEST_BLOCKS))
        self.level = level
        self._low, self._high = 1.0, 1.0
        self._normal = np.zeros(0)
        if len(clean) >= _FEWEST_BLOCKS * self.block:
            self._low, self._high = np.quantile(clean, [_FLOOR, _CAP]).tolist()
            blocks = self._logs(clean)[: len(clean) // self.block * self.block].reshape(-1, self.block)
            self._normal = blocks.mean(axis=1)

    @property
    def works(self) -> bool:
        """Whether there were enough scores to compare with."""
        return len(self._normal) > 0

    def new_state(self) -> Array:
        """The state before the first step: (35,)."""
        return np.zeros(_HEADER + _LENGTHS[-1])

    def step(self, state: NDArray[np.floating], score: float) -> Drift | None:
        """Take the score of a step, and look at the end of each block.

        Args:
            state: (35,), which is changed.
            score: 0 or NaN if it is missing.

        Returns:
            What the look says. None: the block has not ended, or too few have.
        """
        if not self.works or not score > 0:
            return None
        state[_SUM] += self._logs(np.array(score))
        state[_COUNT] += 1
        if state[_COUNT] < self.block:
            return None
        blocks = int(state[_BLOCKS])
        state[_HEADER + blocks % _LENGTHS[-1]] = state[_SUM] / self.block
        # Counts beyond the ring's length only tell where it begins.
        state[_BLOCKS] = blocks + 1 if blocks + 1 < 2 * _LENGTHS[-1] else _LENGTHS[-1]
        state[_SUM] = state[_COUNT] = 0
        return self._look(state)

    def run(self, scores: Array) -> Drift | None:
        """The last look at scores (T,), as of their end. None: they are too few."""
        state, last = self.new_state(), None
        for score in scores.tolist():
            last = self.step(state, score) or last
        return last

    def is_drift(self, look: Drift | None) -> bool:
        """Whether a look notices a drift, of scores that are at least a fifth higher."""
        return look is not None and look.probability <= self.level and look.ratio >= _LEAST_RATIO

    def _logs(self, scores: Array) -> Array:
        return np.log(np.clip(scores, self._low, self._high))

    def _look(self, state: NDArray[np.floating]) -> Drift | None:
        count = int(state[_BLOCKS])
        size = min(count, _LENGTHS[-1])
        ring = state[_HEADER:].astype(np.float64)
        recent = ring[(count - 1 - np.arange(size)) % _LENGTHS[-1]]  # the latest first
        lengths = [length for length in _LENGTHS if length <= size]
        if not lengths:
            return None
        probability = min(1.0, len(lengths) * min(_tail(recent[:length], self._normal) for length in lengths))
        # The change lies where blocks since then differ most from all others, in units of what such a mean varies by.
        sums, sizes = np.cumsum(recent), np.arange(1, size + 1)
        others = len(self._normal) + size - sizes
        differences = sums / sizes - (self._normal.sum() + sums[-1] - sums) / others
        since = int((differences * np.sqrt(sizes * others / (sizes + others))).argmax()) + 1
        ratio = math.exp(sums[since - 1] / since - self._normal.mean())
        return Drift(probability, since * self.block, ratio, since == _LENGTHS[-1])


def _tail(sample: Array, normal: Array) -> float:
    """The p-value of Student's test of whether the mean of a sample is higher than that of another."""
    degrees = len(sample) + len(normal) - 2
    squares = ((sample - sample.mean()) ** 2).sum() + ((normal - normal.mean()) ** 2).sum()
    error = math.sqrt(squares / degrees * (1 / len(sample) + 1 / len(normal)))
    difference = float(sample.mean() - normal.mean())
    if error == 0:
        return 1.0 if difference <= 0 else 0.0
    # The tail of Student's distribution, by the angle whose tangent is t / sqrt(degrees).
    angles = np.linspace(math.atan(difference / error / math.sqrt(degrees)), math.pi / 2, 2001)
    density = np.cos(angles) ** (degrees - 1)
    whole = math.sqrt(math.pi) * math.exp(math.lgamma(degrees / 2) - math.lgamma((degrees + 1) / 2))
    return float((density[1:] + density[:-1]).sum() / 2 * (angles[1] - angles[0]) / whole)
