"""Gate saturation: how often each unit of each gate is near an end of its range."""

from dataclasses import dataclass

import numpy as np

from recurra.errors import CellError
from recurra.inspection.activations import gate_values
from recurra.inspection.record import Recording

__all__ = ["GateSaturation", "gate_saturation"]

STUCK = 0.99  # the fraction of time at one end from which a unit counts as stuck
_MARGIN = 0.1  # of the distance from the middle of a gate's range, Karpathy et al. 2015


@dataclass(frozen=True)
class GateSaturation:
    """One gate of one layer, over all true steps of all sequences.

    Attributes:
        name: of the layer.
        gate: as the cell names it.
        function: that it passes through: "sigmoid" (0 to 1), "tanh" (-1 to 1) or "relu" (0 and up).
        low: (H,), the fraction of time near the lower end: below 0.1 of a sigmoid, below -0.9 of tanh, 0 of relu.
        high: (H,), the fraction of time near the upper end: above 0.9 of a sigmoid or tanh; of relu none.
        mean: (H,), of the gate's values.
        tenth: (H,), the value that the gate is below in a tenth of the steps.
        ninetieth: (H,), the value that the gate is above in a tenth of the steps.
    """

    name: str
    gate: str
    function: str
    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    tenth: np.ndarray
    ninetieth: np.ndarray

    @property
    def saturated(self) -> float:
        """The fraction of time, over all units, at either end."""
        return float((self.low + self.high).mean())

    @property
    def stuck_low(self) -> np.ndarray:
        """Indices of units at the lower end in at least 99 % of the steps."""
        return np.flatnonzero(self.low >= STUCK)

    @property
    def stuck_high(self) -> np.ndarray:
        """Indices of units at the upper end in at least 99 % of the steps."""
        return np.flatnonzero(self.high >= STUCK)

    @property
    def stuck(self) -> int:
        """How many units are at one end in at least 99 % of the steps."""
        return len(self.stuck_low) + len(self.stuck_high)


def gate_saturation(recording: Recording) -> tuple[tuple[GateSaturation, ...], dict[str, str]]:
    """The fraction of time that each unit of each gate is saturated (Karpathy et al. 2015, section 4.2).

    Which nonlinearity a gate passes through follows from the trace of the cell's equations; a gate that passes through
    none of sigmoid, tanh and relu is left out.

    Args:
        recording: of a module's run.

    Returns:
        The gates of all layers in the order they ran, and the reasons why gates are missing, by the name of the layer.
    """
    saturations: list[GateSaturation] = []
    untraced: dict[str, str] = {}
    for segment in recording.segments:
        name = recording.name(segment)
        try:
            values = gate_values(segment)
        except CellError as error:
            untraced[name] = str(error)
            continue
        for activation, tensor in values.items():
            value = tensor.double().cpu().numpy()
            if not len(value):
                continue
            if activation.function == "relu":
                low, high = value <= 0, np.zeros_like(value)
            else:
                least = 0.0 if activation.function == "sigmoid" else -1.0
                low, high = value < least + _MARGIN, value > 1 - _MARGIN
            tenth, ninetieth = np.quantile(value, [0.1, 0.9], axis=0)
            means = low.mean(0), high.mean(0), value.mean(0)
            saturations.append(GateSaturation(name, activation.gate, activation.function, *means, tenth, ninetieth))
    return tuple(saturations), untraced
