"""A stepper that reads a task's own items, such as words or rows of numbers, and answers with its own results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recurra.streaming.state import StreamState

__all__ = ["ItemStream"]


@dataclass(frozen=True)
class ItemStream:
    """A trained model of a task as a stream of items.

    Items and results are what JSON can hold: text, numbers, lists, dictionaries with text as keys.

    Attributes:
        stepper: a `recurra.Stepper`, which runs the model.
        encode: from an item, and the state before it, to the inputs of its steps, (T, I) or ids (T,); an item may be
            more than one step. It raises DataError for an item that cannot be read, and does not change the state.
        decode: from the inputs of an item's steps, and the output after each (T, O), to its result. Of a
            `MemoryStream` it is a generator.
        item: what an item is, in one line.
        example: an item.
        prefix: inputs (T, I) or ids (T,) that a stream has read before its first item; None: none.
    """

    stepper: Any
    encode: Callable[[Any, StreamState], NDArray[Any]]
    decode: Callable[[NDArray[Any], Any], Any]
    item: str
    example: Any
    prefix: NDArray[Any] | None = None

    @property
    def ends(self) -> bool:
        """Whether the item None ends a sequence; see `LookAheadStream`."""
        return False

    @property
    def network_size(self) -> int:
        """How many values of a state are the network's own: the first ones."""
        return self.new_state().values.shape[1]

    def new_state(self) -> StreamState:
        """The state of one stream before its first item."""
        state = self.stepper.new_state()
        if self.prefix is not None:
            self.stepper(self.prefix[:, None], state)
        return state

    def read_state(self, content: bytes) -> StreamState:
        """The state that `StreamState.to_bytes` wrote. Raises StreamError."""
        return self.stepper.read_state(content)

    def step(self, items: Sequence[Any], states: Sequence[StreamState]) -> list[Any]:
        """Read one item of each of several streams together, and change their states.

        Args:
            items: one for each stream.
            states: of the streams, each of one sequence.

        Returns:
            The result of each item.

        Raises:
            DataError: if an item cannot be read; no state is changed.
        """
        inputs = [self.encode(item, state) for item, state in zip(items, states, strict=True)]
        return self.advance(inputs, states)

    def advance(self, inputs: Sequence[NDArray[Any]], states: Sequence[StreamState]) -> list[Any]:
        """As `step`, of items that are encoded already."""
        results: list[Any] = [None] * len(inputs)
        for length in {len(one) for one in inputs}:
            chosen = [k for k, one in enumerate(inputs) if len(one) == length]
            joined = StreamState.join([states[k] for k in chosen])
            outputs, _ = self.stepper(np.stack([inputs[k] for k in chosen], axis=1), joined)
            for row, k in enumerate(chosen):
                results[k] = self.decode(inputs[k], outputs[:, row])
                states[k].values[:] = joined.values[row : row + 1]
        return results
