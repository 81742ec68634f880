"""Streams of items whose results depend on more than the network's own state."""

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.program import Part
from recurra.streaming.item_stream import ItemStream
from recurra.streaming.state import StreamState

__all__ = ["Memory", "MemoryStream", "Reading", "Talk"]

_PREFIX = "memory."  # of the parts of a state that are not the network's

Memory = dict[str, NDArray[np.float32]]


class Reading(NamedTuple):
    """What the network is to read next.

    Attributes:
        steps: (T, I) float32, or ids (T,); at least one.
        anew: whether it begins with the first state.
    """

    steps: NDArray[Any]
    anew: bool = False


#: Asks the network for readings, is sent the outputs (T, O) of each, and returns a result.
Talk = Generator[Reading, NDArray[np.float32], Any]


@dataclass(frozen=True)
class MemoryStream(ItemStream):
    """A stream of a task that remembers numbers of its own between items.

    They are part of the state, behind those of the network: copied, stored and read again with it. An item may take any
    number of the network's steps, or none. Here `decode` gets the inputs of an item, which need not be those of the
    network, and the `Memory`, whose arrays it changes in place; it is a generator, a `Talk`. The talks of several
    streams run beside each other, and readings of one length are computed together.

    Attributes:
        memory: the name and the size of each array that is remembered; zeros before the first item.
        depends_on: what the meaning of the memory depends on; the state of a stream with another text is refused.
        takes_none: whether the item None ends a sequence.
    """

    memory: tuple[tuple[str, int], ...] = ()
    depends_on: str = ""
    takes_none: bool = False

    @property
    def ends(self) -> bool:
        return self.takes_none

    @cached_property
    def _first(self) -> StreamState:
        """The network's state before the first item."""
        return super().new_state()

    @property
    def network_size(self) -> int:
        return self._first.values.shape[1]

    @cached_property
    def _parts(self) -> tuple[Part, ...]:
        parts, size = [*self._first.layout], self.network_size
        for name, own in self.memory:
            parts.append(Part(_PREFIX + name, size, own))
            size += own
        return tuple(parts)

    @cached_property
    def _model(self) -> str:
        return hashlib.sha256(f"{self._first.model} {self.memory} {self.depends_on}".encode()).hexdigest()

    def new_state(self) -> StreamState:
        state = StreamState(self._parts, 1, self._model)
        state.values[:, : self.network_size] = self._first.values
        return state

    def read_state(self, content: bytes) -> StreamState:
        return StreamState.from_bytes(content, self._parts, self._model)

    def memory_of(self, state: StreamState) -> Memory:
        """A copy of what is remembered in the state of one stream."""
        return self._named(state.values[0, self.network_size :].copy())

    def advance(self, inputs: Sequence[NDArray[Any]], states: Sequence[StreamState]) -> list[Any]:
        """See `ItemStream.advance`. No state changes before all results are known."""
        size, results = self.network_size, [None] * len(inputs)
        values = [state.values[0].copy() for state in states]
        talks: list[Talk] = [self.decode(one, self._named(own[size:])) for one, own in zip(inputs, values, strict=True)]
        asked: dict[int, Reading] = {}

        def proceed(k: int, outputs: Any) -> None:
            try:
                asked[k] = talks[k].send(outputs)
            except StopIteration as end:
                results[k] = end.value

        for k in range(len(talks)):
            proceed(k, None)
        while asked:
            readings, asked = asked, {}
            for length in sorted({len(one.steps) for one in readings.values()}):
                chosen = [k for k, one in readings.items() if len(one.steps) == length]
                joined = self._first.select([0] * len(chosen))
                for row, k in enumerate(chosen):
                    if not readings[k].anew:
                        joined.values[row] = values[k][:size]
                outputs, _ = self.stepper(np.stack([readings[k].steps for k in chosen], axis=1), joined)
                for row, k in enumerate(chosen):
                    values[k][:size] = joined.values[row]
                    proceed(k, outputs[:, row])
        for state, own in zip(states, values, strict=True):
            state.values[0] = own
        return results

    def _named(self, values: NDArray[np.float32]) -> Memory:
        """The parts of a memory as views of its values."""
        return {name: values[begin : begin + size] for name, begin, size in self._layout}

    @cached_property
    def _layout(self) -> list[tuple[str, int, int]]:
        begins = np.cumsum([0, *(size for _, size in self.memory)]).tolist()
        return [(name, begin, size) for (name, size), begin in zip(self.memory, begins, strict=False)]
