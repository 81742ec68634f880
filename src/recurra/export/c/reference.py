"""What a model computes, step by step: what its C is compared with."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ShapeError
from recurra.export.c.harness import Recorded
from recurra.program import Program
from recurra.streaming import Stepper

__all__ = ["Reference", "make_reference", "relative_errors"]

_TOLERANCE = 1e-5
_RECORDED_VALUES = 8000  # in the source of the harness


@dataclass(frozen=True)
class Reference:
    """Steps of a model.

    Attributes:
        inputs: (T, I) float32, or (T,) int32 ids.
        outputs: (T, O).
        states: (T + 1, S), before each step and after the last, if each step begins with the model's own state; None
            if the C runs alone from the first step.
        tolerance: of an output y, relative to max(1, |y|).
        rounding: with int8, the largest error that 8 bits make in a step; else 0.
        rounded_values: with int8, how many values are rounded in a step.
        recorded: the first steps, few enough for a source, with a tolerance for any machine.
    """

    inputs: NDArray[Any]
    outputs: NDArray[np.float32]
    states: NDArray[np.float32] | None
    tolerance: float
    rounding: float
    rounded_values: int
    recorded: Recorded

    def read_bytes(self) -> bytes:
        """What the C reads: the inputs, and the state before each if there are states."""
        if self.states is None:
            return self.inputs.tobytes()
        steps = len(self.inputs)
        rows = self.states[:-1].view(np.uint8), self.inputs.reshape(steps, -1).view(np.uint8)
        return np.concatenate(rows, axis=1).tobytes()

    def expected(self) -> NDArray[np.float32]:
        """What it is to write: the outputs, and the state after each if there are states."""
        return self.outputs if self.states is None else np.concatenate([self.outputs, self.states[1:]], axis=1)


def make_reference(program: Program, weights: str, inputs: NDArray[Any] | None, steps: int) -> Reference:
    """Run a model.

    Args:
        program: of the model.
        weights: "float32" or "int8".
        inputs: (T, I) or, of ids, (T,); None: random ones.
        steps: how many; the inputs are repeated as needed.

    Raises:
        ShapeError: for inputs of another shape.
        StreamError, BackendError: see `Stepper`.
    """
    x = _inputs(program, inputs, steps)
    stepper = Stepper(program, weights)
    y, states = _run(stepper, x)
    count = max(4, min(100, _RECORDED_VALUES // (program.input_size + program.output_size)))
    written = x.astype(np.int32) if program.vocabulary_size else x
    expected = np.concatenate([y, states[1:]], axis=1)
    # What 8 bits change; or how far a sequence varies by the last bits of the parameters, however it is computed.
    other = Stepper(program if weights == "int8" else _rounded_otherwise(program))
    free, _ = _run(other, x)
    varies = relative_errors(free, y)
    if weights == "float32" and 2 * varies.max() <= _TOLERANCE:
        return Reference(written, y, None, _TOLERANCE, 0.0, 0, Recorded(written[:count], y[:count], _TOLERANCE))
    together = other.new_state(steps)
    together.values[:] = states[:-1]
    outputs, _ = other(x, together)
    step_varies = float(relative_errors(np.concatenate([outputs, together.values], axis=1), expected).max())
    begins_with = states if program.parts else None
    recorded = Recorded(written[:count], y[:count], max(_TOLERANCE, 2 * float(varies[:count].max())))
    if weights == "int8":
        values = sum(one.weight.shape[1] for one in program.operations if one.weight is not None)
        return Reference(written, y, begins_with, _TOLERANCE, step_varies, values, recorded)
    return Reference(written, y, begins_with, max(_TOLERANCE, 2 * step_varies), 0.0, 0, recorded)


def relative_errors(outputs: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[Any]:
    """By step, the largest error of an output y, relative to max(1, |y|); infinite for NaN."""
    scale = np.maximum(1, np.abs(expected.astype(np.float64)))
    with np.errstate(invalid="ignore"):
        errors = np.abs(outputs.astype(np.float64) - expected) / scale
    errors = np.where(outputs == expected, 0, errors)  # infinite ones too
    return np.nan_to_num(errors, nan=np.inf, posinf=np.inf).max(axis=1, initial=0)


def _run(stepper: Stepper, x: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The outputs (T, O), and the states (T + 1, S) before each step and after the last."""
    state = stepper.new_state()
    states = np.empty((len(x) + 1, stepper.state_size), np.float32)
    outputs = np.empty((len(x), stepper.program.output_size), np.float32)
    for t in range(len(x)):
        states[t] = state.values
        stepper(x[t : t + 1], state, outputs[t : t + 1])
    states[-1] = state.values
    return outputs, states


def _rounded_otherwise(program: Program) -> Program:
    """The program with parameters whose last bit is moved up or down."""
    generator = np.random.default_rng(1)

    def moved(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values * (1 + np.float32(2**-23) * generator.choice(np.array([-1, 1], np.float32), values.shape))

    return replace(
        program,
        operations=tuple(
            replace(one, **{name: moved(values) for name, values in one.arrays()}) for one in program.operations
        ),
    )


def _inputs(program: Program, inputs: NDArray[Any] | None, steps: int) -> NDArray[Any]:
    """The inputs, (T, I) float32 or (T,) int64."""
    generator = np.random.default_rng(0)
    if program.vocabulary_size:
        if inputs is None:
            return generator.integers(program.vocabulary_size, size=steps)
        array = np.asarray(inputs)
        if array.ndim != 1 or not array.size or array.dtype.kind not in "iu":
            raise ShapeError("inputs", "ids of shape (T,)", f"{array.dtype} {array.shape}")
        return np.resize(array.astype(np.int64), steps)
    if inputs is None:
        return generator.standard_normal((steps, program.input_size), dtype=np.float32)
    array = np.asarray(inputs, np.float32)
    if array.ndim != 2 or not len(array) or array.shape[1] != program.input_size:
        raise ShapeError("inputs", f"shape (T, I) with I = {program.input_size}", array.shape)
    return np.resize(array, (steps, program.input_size))
