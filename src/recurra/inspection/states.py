"""Statistics of the states over real data, and units that never move."""

from dataclasses import dataclass

import numpy as np

from recurra.inspection.record import Recording

__all__ = ["StateStatistics", "state_statistics"]

_LEAST_FRACTION = 1e-3  # of the largest range of the layer's units
_LEAST_RANGE = 1e-6


@dataclass(frozen=True)
class StateStatistics:
    """One part of one layer's state, over all true steps of all sequences.

    Attributes:
        name: of the layer.
        part: of the state, "h" say.
        mean: (H,), unit by unit, as the following; the output has R of them where it is projected.
        deviation: (H,), the standard deviation.
        least: (H,).
        greatest: (H,).
    """

    name: str
    part: str
    mean: np.ndarray
    deviation: np.ndarray
    least: np.ndarray
    greatest: np.ndarray

    @property
    def dead(self) -> np.ndarray:
        """Indices of units that never move: whose range is under a thousandth of the layer's largest (or 1e-6)."""
        spans = self.greatest - self.least
        return np.flatnonzero(spans <= max(_LEAST_RANGE, _LEAST_FRACTION * spans.max(initial=0.0)))


def state_statistics(recording: Recording) -> tuple[StateStatistics, ...]:
    """Mean, spread and range of every unit of every state.

    Args:
        recording: of a module's run, best over many sequences.

    Returns:
        By layer in the order they ran, then by part.
    """
    statistics = []
    for segment in recording.segments:
        valid = segment.valid
        if not valid.any():
            continue
        for part, tensor in zip(segment.cell.state, segment.after(), strict=True):
            values = tensor[valid].double().cpu().numpy()
            statistics.append(
                StateStatistics(
                    *(recording.name(segment), part, values.mean(0), values.std(0), values.min(0), values.max(0))
                )
            )
    return tuple(statistics)
