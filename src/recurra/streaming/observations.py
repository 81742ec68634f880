"""The latest observations of one series as the state of a stream, for models that read a window of them."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.frequency import Frequency, Stamp
from recurra.errors import DataError
from recurra.program import Builder, Program
from recurra.streaming.state import StreamState

__all__ = ["Observations"]

_CHUNK = 2**20  # a stamp of 60 bits is three whole numbers below this, which float32 holds exactly


class Observations:
    """A window of the latest steps of a series on its regular grid.

    A value is stored as the sum of two float32 numbers and a mark, 1 if it was observed: a large level keeps its small
    changes, and every number of the state is finite.

    Args:
        frequency: the step of the grid.
        history: steps in the window.
        num_values: C, values observed at a step.
    """

    def __init__(self, frequency: Frequency, history: int, num_values: int) -> None:
        self._frequency, self._history, self._num_values = frequency, history, num_values
        builder = Builder(3 * num_values + 4)
        parts = (("window", history * 3 * num_values), ("start", 3), ("count", 1))
        state = {name: builder.state(name, size) for name, size in parts}
        step = builder.input.part(0, 3 * num_values)
        builder.emit("delay", step, state["window"], size=step.size, groups=history)
        builder.emit("copy", builder.input.part(step.size, 3), state["start"])
        builder.emit("copy", builder.input.part(step.size + 3, 1), state["count"])
        #: Its output is the window, then the stamp of the first step, then the steps so far.
        self.program: Program = builder.finish(builder.state_so_far())

    def encode(self, stamp: Stamp, values: NDArray[np.float64], state: StreamState) -> NDArray[np.float32]:
        """The inputs (T, I) of an observation: one step, after as many steps without a value as were left out.

        Args:
            stamp: of the observation.
            values: (C,), NaN if missing.
            state: before it.

        Raises:
            DataError: if the stamp is not on the grid, or not after the last.
        """
        values = np.asarray(values, np.float64)
        count = int(state.parts["count"][0, 0])
        start, missing = _whole(stamp), 0
        if count:
            start = _joined(state.parts["start"][0])
            position = int(self._frequency.positions(self._stamp(start), np.array([stamp]))[0])
            if position < count:
                last, got = self._at(start, count - 1), self._stamp(_whole(stamp))
                raise DataError(f"item: expected a stamp after {last} in steps of {self._frequency}, got {got}")
            missing = position - count
        rows = np.zeros((min(missing, self._history) + 1, 3 * self._num_values + 4), np.float32)
        high = values.astype(np.float32)
        seen = np.isfinite(values)
        own = np.where(seen, [high, (values - high).astype(np.float32), np.ones_like(high)], 0.0)
        rows[-1, : 3 * self._num_values] = own.reshape(-1)
        rows[:, -4:-1] = _split(start)
        rows[:, -1] = count + missing + 1
        return rows

    def read(self, output: NDArray[np.float32]) -> tuple[Stamp, NDArray[np.float64]]:
        """The stamp of the window's first step that came, and its values (T, C), NaN if missing."""
        size = self._history * 3 * self._num_values
        count = int(output[size + 3])
        steps = output[:size].reshape(self._history, 3, self._num_values)[-count:].astype(np.float64)
        values = np.where(steps[:, 2] > 0, steps[:, 0] + steps[:, 1], np.nan)
        return self._at(_joined(output[size : size + 3]), count - len(values)), values

    def _at(self, start: int, position: int) -> Any:
        """The stamp at a position of the grid."""
        step = replace(self._frequency, count=self._frequency.count * max(position, 1))
        return step.stamps(self._stamp(start), 2)[1 if position else 0]

    def _stamp(self, whole: int) -> Any:
        return whole if self._frequency.unit == "step" else np.datetime64(whole, "us")


def _whole(stamp: Stamp) -> int:
    return int(stamp.astype("M8[us]").astype(np.int64)) if isinstance(stamp, np.datetime64) else int(stamp)


def _split(whole: int) -> list[float]:
    # The first may be negative, before 1970.
    return [float(whole // _CHUNK**2), float(whole // _CHUNK % _CHUNK), float(whole % _CHUNK)]


def _joined(chunks: NDArray[np.float32]) -> int:
    first, second, third = map(int, chunks)
    return (first * _CHUNK + second) * _CHUNK + third
