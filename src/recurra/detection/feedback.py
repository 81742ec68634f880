"""What a person says of stretches of scores, normal or anomaly, and the lowest thresholds that follow from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recurra.detection.similar import EventPattern

__all__ = ["MARGIN", "Feedback", "Stretch"]

# A threshold lies this far above the highest score that was called normal: alike events differ a little.
MARGIN = 1.2

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """Rows that a person has judged.

    Attributes:
        series: the id of their series.
        start: the stamp of the first, as an integer.
        end: that of the last.
        where: the first in words.
        is_normal: whether the verdict is "normal"; else it is "anomaly".
        scores: (K, T), their scores on K scales.
        pattern: of the event.
    """

    series: str
    start: int
    end: int
    where: str
    is_normal: bool
    scores: Array
    pattern: EventPattern

    @property
    def verdict(self) -> str:
        """ "normal" or "anomaly"."""
        return "normal" if self.is_normal else "anomaly"

    def overlaps(self, other: "Stretch") -> bool:
        """Whether the two have a row in common."""
        return self.series == other.series and self.start <= other.end and other.start <= self.end


@dataclass(frozen=True)
class Feedback:
    """All that a person has said, in order.

    The scores of normal stretches are clean ones. A tail that is fitted to them beside those of calibration goes
    astray, as they are a few events whose rows are alike. So each scale's threshold is at least a fifth above the
    highest of them, and the tail stays that of calibration.

    Attributes:
        stretches: no two overlap.
    """

    stretches: tuple[Stretch, ...] = ()

    def with_stretches(self, stretches: Sequence[Stretch]) -> "Feedback":
        """The same with more stretches. A later verdict replaces earlier ones that it overlaps."""
        joined = list(self.stretches)
        for one in stretches:
            joined = [*(other for other in joined if not other.overlaps(one)), one]
        return Feedback(tuple(joined))

    def floors(self, scales: Sequence[int]) -> Array:
        """The lowest thresholds (N,) on N scales, by their indices; 0 without normal stretches."""
        highest = [[one.scores[scale].max() for scale in scales] for one in self.stretches if one.is_normal]
        return MARGIN * np.max([np.zeros(len(scales)), *highest], axis=0)

    def silenced(self, thresholds: Sequence[float], scales: Sequence[int]) -> list[Stretch]:
        """The stretches called anomalies of which no score is above its threshold on any of these scales."""
        return [
            one
            for one in self.stretches
            if not one.is_normal
            and not any(one.scores[scale].max() > limit for scale, limit in zip(scales, thresholds, strict=True))
        ]

    def to_json(self) -> list[dict[str, Any]]:
        """As JSON values."""
        return [
            {
                **{name: getattr(one, name) for name in ("series", "start", "end", "where", "is_normal")},
                "scores": one.scores.tolist(),
                "fractions": one.pattern.fractions.tolist(),
                "shape": one.pattern.shape.tolist(),
                "rows": one.pattern.rows,
            }
            for one in self.stretches
        ]

    @classmethod
    def from_json(cls, values: list[dict[str, Any]]) -> Self:
        """What `to_json` wrote."""
        stretches = []
        for value in values:
            pattern = EventPattern(np.array(value["fractions"]), np.array(value["shape"]), value["rows"])
            stretches.append(
                Stretch(
                    value["series"],
                    value["start"],
                    value["end"],
                    value["where"],
                    value["is_normal"],
                    np.array(value["scores"]),
                    pattern,
                )
            )
        return cls(tuple(stretches))
