"""A model run one step at a time, in microseconds, with its state outside."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.errors import BackendError, ParameterError, ShapeError, StreamError
from recurra.kernels.native.steps import WEIGHT_FORMATS
from recurra.program import Program, compile_program
from recurra.shapes import check_positive
from recurra.streaming.arguments import as_input, check_state, num_rows
from recurra.streaming.machine import engine_name, fill, step_entries
from recurra.streaming.state import StreamState

try:
    import recurra._native as _native  # pyright: ignore[reportMissingImports]

    _Machine: Any = _native.StepProgram
except ModuleNotFoundError:
    _native = None
    _Machine = object

__all__ = ["Stepper"]


class Stepper(_Machine):
    """One step of a model, ready to run: its weights are packed once, and no operation of torch runs at a step.

    Called as `y, state = stepper(x, state)` it reads the inputs of one step or of a chunk of steps, changes `state` in
    place, and returns it with the output of each step. What a model computes for a sequence, a stepper computes for the
    same steps one by one or in chunks of any size; chunks give the same bits as steps.

    A stepper does not change after it is made, and can be called from many threads at once, each with a state of its
    own. After the first call of a thread no memory is allocated at a step, if `out` is an array.

    Args:
        model: a recurrent layer or cell of Recurra or torch, a `recurra.Stack`, a model of `recurra.models`, or a
            module that combines such layers with linear layers, embeddings and nonlinearities; see
            `recurra.program.compile_program`. It runs as in evaluation. Later changes of its parameters have no effect.
        weights: how the weights of matrix products are stored: "float32"; "bfloat16", half the size; or "int8", a
            fourth, with a scale a row, where a step's values are rounded to 8 bits too.
        input_size: I, where the model's first module does not say it.
        threads: that share the sequences of a large batch.
        reads_elapsed: whether each step's input ends with the times since the last step, I + E values in all, for a
            recurrent layer or cell that reads them; if not, every time is 1.

    Attributes:
        program: the operations of a step.
        state_size: S, numbers of the state of one sequence.
        weight_bytes: of the packed weights.

    Raises:
        ParameterError: for a parameter out of its range.
        StreamError: if the model cannot run one step at a time; the message names the module and the reason.
        BackendError: if the C++ extension or a compiled cell is missing.
    """

    weight_bytes: int

    def __init__(
        self,
        model: nn.Module | Program,
        weights: str = "float32",
        *,
        input_size: int | None = None,
        threads: int = 1,
        reads_elapsed: bool = False,
    ) -> None:
        if weights not in WEIGHT_FORMATS:
            raise ParameterError("weights", f"one of {', '.join(WEIGHT_FORMATS)}", weights)
        check_positive("threads", threads)
        program = model if isinstance(model, Program) else compile_program(model, input_size, reads_elapsed)
        if _native is None:
            raise BackendError("a stream needs the C++ extension; install recurra without RECURRA_NO_EXTENSION")
        for operation in program.operations:
            if operation.cell is not None:
                step_entries(operation.cell)
            for name, array in operation.arrays():
                if not np.isfinite(array).all():
                    raise StreamError(
                        f"model: {name} of an operation {operation.kind!r} has values that are not finite"
                    )
        self.program = program
        self.weights = weights
        self._model = program.digest()
        super().__init__(
            engine_name(),
            self._model,
            program.input_size,
            program.state_size,
            program.output_size,
            program.frame_size,
            program.vocabulary_size,
            threads,
        )
        fill(self, program, _native.step_kinds, weights)

    @property
    def state_size(self) -> int:
        """S, numbers of the state of one sequence."""
        return self.program.state_size

    def new_state(self, batch_size: int = 1) -> StreamState:
        """The state before the first step of `batch_size` sequences."""
        check_positive("batch_size", batch_size)
        return StreamState(self.program.parts, batch_size, self._model)

    def read_state(self, content: bytes) -> StreamState:
        """The state that `StreamState.to_bytes` wrote, of any number of sequences.

        Raises:
            StreamError: if the bytes are damaged, or of another model.
        """
        return StreamState.from_bytes(content, self.program.parts, self._model)

    def _general(self, x: Any, state: Any, out: Any) -> tuple[Any, StreamState]:
        """A call whose arguments are not plain arrays that fit: converted, or refused with the reason."""
        if isinstance(x, Tensor):
            return self._with_tensors(x, state, out)
        array = as_input(x, self.program)
        rows = num_rows(array, self.program)
        state = self.new_state(rows) if state is None else check_state(state, self._model, rows)
        if out is not None:
            self._check_output(out, array)
        return self(array, state, out)

    def _with_tensors(self, x: Tensor, state: Any, out: Any) -> tuple[Any, StreamState]:
        if x.device.type != "cpu":
            raise ShapeError("x", "a tensor on the CPU, where a stream runs", x.device)
        if out is not None and not isinstance(out, Tensor):
            raise ParameterError("out", "a tensor, like x", type(out).__name__)
        y, state = self(x.detach().numpy(), state, None if out is None else out.detach().numpy())
        return (torch.from_numpy(y) if out is None else out), state

    def _check_output(self, out: Any, x: NDArray[Any]) -> None:
        leading = x.shape if self.program.vocabulary_size else x.shape[:-1]
        expected = (*leading, self.program.output_size)
        fits = isinstance(out, np.ndarray) and out.dtype == np.float32 and out.shape == expected
        if not fits or not out.flags.c_contiguous or not out.flags.writeable:
            got = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
            raise ShapeError("out", f"a contiguous, writable float32 array {expected}", got)

    def __reduce__(self) -> Any:
        raise TypeError("a Stepper cannot be pickled: its weights are packed for this machine. Pickle the model.")

    def __repr__(self) -> str:
        p = self.program
        reads = f"ids below {p.vocabulary_size}" if p.vocabulary_size else f"{p.input_size} features"
        size = f"{self.weight_bytes:,} bytes of {self.weights} weights"
        return f"Stepper({reads} -> {p.output_size}, state of {self.state_size}, {size})"
