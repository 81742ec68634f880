"""The units in which a window is learned: its own level and its own seasonal change.

Errors that count alike for every series (as in the mean absolute scaled error) must be of order one: so the scale
is the mean absolute change from season to season, not the level, which for many series is a thousand times larger.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CONSTANT_FRACTION", "LEAST_FRACTION", "LEAST_OF_LEVEL", "Normalization", "are_constant", "normalize"]

#: The scale is at least this fraction of the mean absolute deviation, so that a perfectly regular window has one.
LEAST_FRACTION = 1e-2
#: And at least this fraction of the level: smaller changes are rounding errors of float64, in values and their mean.
LEAST_OF_LEVEL = 1e-14
#: A constant window has no scale of its own; a change of this fraction of its level then counts as one.
CONSTANT_FRACTION = 1e-3


class Normalization(NamedTuple):
    """The units of each window, all (B, 1) float64."""

    location: Tensor  # mean of the last season
    scale: Tensor  # mean absolute change from season to season
    deviation: Tensor  # mean absolute deviation from the location
    level: Tensor  # mean absolute value

    def apply(self, values: Tensor) -> Tensor:
        """Values in the data's units (B, ...) to normalised ones."""
        return (values - self._like(self.location, values)) / self._like(self.scale, values)

    def invert(self, values: Tensor) -> Tensor:
        """Normalised values (B, ...) to the data's units, in float64."""
        return values.double() * self._like(self.scale, values) + self._like(self.location, values)

    def repeat_interleave(self, count: int) -> "Normalization":
        """Each window's units `count` times, (B * count, 1)."""
        return Normalization(*(part.repeat_interleave(count, 0) for part in self))

    @staticmethod
    def _like(part: Tensor, values: Tensor) -> Tensor:
        return part.reshape(part.shape[0], *[1] * (values.dim() - 1))


def normalize(history: Tensor, season: int) -> Normalization:
    """The units of windows.

    Args:
        history: (B, L) float64, NaN if missing; needs no observed value at all.
        season: the shortest cycle, in steps, at most L.
    """
    overall = _mean(history)
    recent = _mean(history[:, -season:])
    location = torch.where(recent.isnan(), overall, recent).nan_to_num(0.0)
    level = _mean(history.abs()).nan_to_num(0.0)
    deviation = _mean((history - location).abs()).nan_to_num(0.0)
    change = _mean((history[:, season:] - history[:, :-season]).abs())
    change = torch.where(change.isnan(), deviation, change)
    least = torch.maximum(LEAST_FRACTION * deviation, LEAST_OF_LEVEL * level)
    # A constant window deviates from its mean by rounding errors.
    scale = torch.maximum(change, torch.where(deviation > LEAST_OF_LEVEL * level, least, CONSTANT_FRACTION * level))
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return Normalization(location, scale, torch.maximum(deviation, scale * LEAST_FRACTION), level)


def are_constant(history: Tensor) -> Tensor:
    """Whether the observed values of each window (B, L) are the same but for rounding: (B, 1) bool; True for none."""
    units = normalize(history, 1)
    return (history - units.location).abs().nan_to_num(0.0).amax(1, keepdim=True) <= LEAST_OF_LEVEL * units.level


def _mean(values: Tensor) -> Tensor:
    """Mean over the observed values of each row, (B, 1); NaN if there are none."""
    seen = ~values.isnan()
    return values.nan_to_num(0.0).sum(1, keepdim=True) / seen.sum(1, keepdim=True)
