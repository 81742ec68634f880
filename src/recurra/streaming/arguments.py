"""The arguments of a stepper's call, converted or refused with the reason."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.errors import ParameterError, ShapeError, StreamError
from recurra.program import Program
from recurra.streaming.state import StreamState

__all__ = ["as_input", "check_state", "num_rows"]


def as_input(x: Any, program: Program) -> NDArray[Any]:
    """The input of steps as a contiguous array: float32 features, or int64 ids.

    Raises:
        ParameterError: if it is something else.
    """
    kind = np.int64 if program.vocabulary_size else np.float32
    array = np.asarray(x)
    if program.vocabulary_size:
        if array.dtype.kind not in "iu":
            raise ParameterError("x", f"ids from 0 to {program.vocabulary_size - 1}", array.dtype)
        if array.size and not 0 <= array.min() <= array.max() < program.vocabulary_size:
            got = array.min() if array.min() < 0 else array.max()
            raise ParameterError("x", f"ids from 0 to {program.vocabulary_size - 1}", int(got))
    elif array.dtype.kind not in "fiu":
        raise ParameterError("x", "an array of numbers", array.dtype)
    return np.ascontiguousarray(array, dtype=kind).reshape(array.shape)


def num_rows(array: NDArray[Any], program: Program) -> int:
    """B, by the shape of the input.

    Raises:
        ShapeError: if the program reads other shapes.
    """
    features = program.input_size
    if program.vocabulary_size:
        if array.ndim > 2:
            raise ShapeError("x", "shape (), (B,) or (T, B)", array.shape)
        return array.shape[-1] if array.ndim else 1
    if array.ndim not in (1, 2, 3) or array.shape[-1] != features:
        raise ShapeError("x", f"shape (I,), (B, I) or (T, B, I) with I = {features}", array.shape)
    return array.shape[-2] if array.ndim > 1 else 1


def check_state(state: Any, model: str, rows: int | None = None) -> StreamState:
    """The state, which must be of a model, by its hash, and of a number of sequences.

    Raises:
        ParameterError: if it is something else.
        StreamError: if it belongs to another model.
        ShapeError: if it has another number of sequences.
    """
    if not isinstance(state, StreamState):
        hint = "It is made by stepper.new_state(), or by a call without a state."
        raise ParameterError("state", "a StreamState", type(state).__name__, hint)
    if state.model != model:
        raise StreamError(
            f"state: it belongs to another model: its hash begins with {state.model[:12]}, this model's with "
            f"{model[:12]}"
        )
    if rows is not None and state.rows != rows:
        raise ShapeError("x", f"{state.rows} sequences, as the state has", rows)
    return state
