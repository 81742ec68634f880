"""A model that also reads backward, run as a stream of chunks that look some steps ahead."""

import hashlib
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.errors import ShapeError, StreamError
from recurra.program import Part, Stage, compile_stages
from recurra.shapes import check_positive
from recurra.streaming.arguments import as_input, check_state, num_rows
from recurra.streaming.state import StreamState
from recurra.streaming.stepper import Stepper

__all__ = ["ChunkStepper"]

_BASE = 2**20  # two whole numbers below this, which float32 holds exactly, count 10^12 steps
_LARGEST_ID = 2**24  # up to which float32 holds every whole number


class _Compiled(NamedTuple):
    """A stage that can run, and where the state of its forward direction is in that of the model."""

    stage: Stage
    forward: Stepper
    backward: Stepper | None
    state: slice


class ChunkStepper:
    """A model with bidirectional layers as a stream: chunks of steps, computed once some steps after them have come.

    The latency-controlled bidirectional network of Zhang et al. (2016, section 4). The forward direction carries its
    state from chunk to chunk, exactly. The backward direction begins anew at the end of each chunk's look-ahead, and
    what belongs to the look-ahead is computed for the chunk's sake alone, then again as a chunk of its own. A step's
    output therefore depends on all steps before it, and on none after the look-ahead of its chunk: it comes
    `look_ahead` to `latency` steps later. Where the sequence ends, the backward direction begins at its end: a sequence
    of at most `latency` steps has the output of the model, within the rounding of float32.

    Called as `y, state = stepper(x, state)` it reads any number of steps, changes `state` in place, and returns it with
    the outputs of the steps that can be computed now, which may be none. `finish` ends the sequences. Outputs do not
    depend on how the steps are cut into calls.

    Each step of a chunk takes (chunk_size + look_ahead) / chunk_size times the work of a step: with `chunk_size` 1 each
    output comes exactly `look_ahead` steps after its step, and larger chunks take less work.

    A stepper does not change after it is made, and can be called from many threads at once, each with a state of its
    own.

    Args:
        model: as `Stepper` takes it; its recurrent layers may be bidirectional. It runs as in evaluation. Later changes
            of its parameters have no effect. A tagger with a CRF gives the probability of each tag given all words so
            far and those of the look-ahead, by the forward-backward algorithm.
        weights: see `Stepper`.
        look_ahead: R, steps after a chunk that its outputs depend on; 0 or more.
        chunk_size: C, steps that are computed together; 1 or more.
        input_size: I, where the model's first module does not say it.
        threads: that share the sequences of a large batch.

    Attributes:
        chunk_size: C.
        look_ahead: R.
        input_size: I; 1 if a step is an id.
        latency: the most steps after its own that an output waits for, C - 1 + R.
        state_size: S, numbers of the state of one sequence, with the C - 1 + R inputs that may be pending.
        weight_bytes: of the packed weights.

    Raises:
        ParameterError: for a parameter out of its range.
        StreamError: if the model cannot run in chunks; the message names the module and the reason.
        BackendError: if the C++ extension or a compiled cell is missing.
    """

    def __init__(
        self,
        model: nn.Module,
        weights: str = "float32",
        *,
        look_ahead: int,
        chunk_size: int = 1,
        input_size: int | None = None,
        threads: int = 1,
    ) -> None:
        check_positive("look_ahead", look_ahead, at_least=0)
        check_positive("chunk_size", chunk_size)
        self.chunk_size, self.look_ahead = chunk_size, look_ahead
        self.latency = chunk_size - 1 + look_ahead
        parts: list[Part] = []
        size = 0
        self._stages: list[_Compiled] = []
        hashed = hashlib.sha256(f"chunks of {chunk_size}, {look_ahead} ahead".encode())
        for stage in compile_stages(model, input_size):
            forward = Stepper(stage.forward, weights, threads=threads)
            backward = None if stage.backward is None else Stepper(stage.backward, weights, threads=threads)
            self._stages.append(_Compiled(stage, forward, backward, slice(size, size + forward.state_size)))
            parts += [part._replace(offset=size + part.offset) for part in stage.forward.parts]
            size += forward.state_size
            hashed.update(stage.forward.digest().encode())
            if stage.backward is not None:
                hashed.update(f"{stage.backward.digest()} {stage.first} {stage.passed_on}".encode())
                hashed.update(b"" if stage.at_end is None else stage.at_end.tobytes())
        self._model = hashed.hexdigest()
        self._reads = self._stages[0].forward.program
        self.input_size = self._reads.input_size
        self._output_size = self._stages[-1].forward.program.output_size
        if self._reads.vocabulary_size > _LARGEST_ID:
            raise StreamError(f"model: expected at most {_LARGEST_ID:,} ids, got {self._reads.vocabulary_size:,}")
        for name, own in (("pending", self.latency * self._reads.input_size), ("num_pending", 1), ("next_index", 2)):
            parts.append(Part(name, size, own))
            size += own
        self._parts, self.state_size = tuple(parts), size
        steppers = [
            one for compiled in self._stages for one in (compiled.forward, compiled.backward) if one is not None
        ]
        self.weight_bytes = sum(one.weight_bytes for one in steppers)

    def new_state(self, batch_size: int = 1) -> StreamState:
        """The state before the first step of `batch_size` sequences."""
        check_positive("batch_size", batch_size)
        return StreamState(self._parts, batch_size, self._model)

    def read_state(self, content: bytes) -> StreamState:
        """The state that `StreamState.to_bytes` wrote, of any number of sequences.

        Raises:
            StreamError: if the bytes are damaged, or of another model, chunk size or look-ahead.
        """
        return StreamState.from_bytes(content, self._parts, self._model)

    def num_pending(self, state: StreamState) -> int:
        """How many steps were read whose outputs are yet to come, 0 to `latency`.

        Raises:
            StreamError: if the state belongs to another model, or its sequences differ in this.
        """
        values = check_state(state, self._model).parts["num_pending"][:, 0].tolist()
        if len(set(values)) > 1:
            raise StreamError("state: its sequences differ in their pending steps; they cannot be stepped together")
        if values[0] not in range(self.latency + 1):
            raise StreamError(f"state: num_pending: expected 0 to {self.latency}, got {values[0]}")
        return int(values[0])

    def next_index(self, state: StreamState) -> NDArray[np.int64]:
        """The indices (B,) of the steps that the next outputs belong to, from 0 at the beginning of a sequence.

        Raises:
            StreamError: if the state belongs to another model.
        """
        values = check_state(state, self._model).parts["next_index"]
        if not ((values >= 0) & (values < _BASE)).all():
            raise StreamError("state: next_index: expected whole numbers that a stepper wrote")
        return values.astype(np.int64) @ np.array([_BASE, 1])

    def __call__(self, x: Any, state: StreamState | None = None) -> tuple[Any, StreamState]:
        """Read steps.

        Args:
            x: a step of one sequence (I,), of B sequences (B, I), or T steps (T, B, I); of a model that begins with an
                embedding, ids: an int, (B,) or (T, B). An array, or a tensor on the CPU.
            state: of the sequences, changed in place; None: they begin.

        Returns:
            The outputs of the N steps that can be computed now, (N, B, O), or (N, O) if x is a step of one sequence;
            and the state. `next_index` before the call is the index of the first.

        Raises:
            ParameterError, ShapeError: if x does not fit.
            StreamError: if the state belongs to another model, or its sequences have read different numbers of steps.
        """
        if isinstance(x, Tensor):
            if x.device.type != "cpu":
                raise ShapeError("x", "a tensor on the CPU, where a stream runs", x.device)
            y, state = self(x.detach().numpy(), state)
            return torch.from_numpy(y), state
        array = as_input(x, self._reads)
        rows = num_rows(array, self._reads)
        state = self.new_state(rows) if state is None else check_state(state, self._model, rows)
        features = () if self._reads.vocabulary_size else (self._reads.input_size,)
        alone = array.ndim == len(features)
        steps = np.concatenate([self._pending(state), array.reshape(-1, rows, *features)])
        outputs = [np.empty((0, rows, self._output_size), np.float32)]
        first, index = 0, self.next_index(state)
        while len(steps) - first > self.latency:
            outputs.append(self._run(steps[first : first + self.latency + 1], state, self.chunk_size))
            first += self.chunk_size
        self._store(steps[first:], state, index + first)
        y = np.concatenate(outputs)
        return (y[:, 0] if alone else y), state

    def finish(self, state: StreamState) -> NDArray[np.float32]:
        """End the sequences: the outputs of their pending steps, (N, B, O). The state begins anew.

        Raises:
            StreamError: if the state belongs to another model, or its sequences have read different numbers of steps.
        """
        steps = self._pending(check_state(state, self._model))
        outputs = np.empty((0, state.rows, self._output_size), np.float32)
        if len(steps):
            outputs = self._run(steps, state, len(steps), ends=True)
        state.reset()
        return outputs

    def _run(self, x: NDArray[Any], state: StreamState, size: int, ends: bool = False) -> NDArray[np.float32]:
        """The outputs of the first `size` steps of a window (T, B, ...), after which the state is left."""
        for stage, forward, backward, part in self._stages:
            own = forward.new_state(state.rows)
            own.values[:] = state.values[:, part]
            y, _ = forward(x[:size], own)
            state.values[:, part] = own.values
            if backward is None:
                return y
            if len(x) > size:
                y = np.concatenate([y, forward(x[size:], own)[0]])
            last = backward.new_state(state.rows)
            if ends and stage.at_end is not None:
                last.values[:] = stage.at_end
            read = y[::-1, :, stage.first : stage.first + backward.program.input_size]
            told, _ = backward(np.ascontiguousarray(read), last)
            x = np.concatenate([y[..., : stage.passed_on], told[::-1]], axis=2)
        raise AssertionError("the last stage has no backward direction")

    def _pending(self, state: StreamState) -> NDArray[Any]:
        """The steps whose outputs are yet to come, (N, B, I), or ids (N, B)."""
        count, rows = self.num_pending(state), state.rows
        values = state.parts["pending"].reshape(rows, self.latency, self._reads.input_size)
        steps = values[:, :count].swapaxes(0, 1)
        if self._reads.vocabulary_size:
            return as_input(steps[..., 0].astype(np.int64), self._reads)
        return np.ascontiguousarray(steps)

    def _store(self, steps: NDArray[Any], state: StreamState, index: NDArray[np.int64]) -> None:
        parts = state.parts
        pending = parts["pending"]
        pending[:] = 0
        count = len(steps) * self._reads.input_size
        pending[:, :count] = steps.swapaxes(0, 1).reshape(state.rows, count)
        parts["num_pending"][:] = len(steps)
        parts["next_index"][:] = np.stack(np.divmod(index, _BASE), axis=1)

    def __reduce__(self) -> Any:
        raise TypeError("a ChunkStepper cannot be pickled: its weights are packed for this machine. Pickle the model.")

    def __repr__(self) -> str:
        reads = self._reads
        features = f"ids below {reads.vocabulary_size}" if reads.vocabulary_size else f"{reads.input_size} features"
        window = f"chunks of {self.chunk_size}, {self.look_ahead} ahead"
        return f"ChunkStepper({features} -> {self._output_size}, {window}, state of {self.state_size})"
