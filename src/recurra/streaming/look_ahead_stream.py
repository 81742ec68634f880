"""Streams of items whose results come some items later."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from recurra.errors import StreamError
from recurra.program import compile_stages
from recurra.streaming.chunk_stepper import ChunkStepper
from recurra.streaming.item_stream import ItemStream
from recurra.streaming.state import StreamState
from recurra.streaming.stepper import Stepper

__all__ = ["LookAheadStream", "stream_of"]


@dataclass(frozen=True)
class LookAheadStream(ItemStream):
    """A stream whose results depend on items after their own.

    The result of an item is a list: a dictionary for each earlier item that can be decided now, with its "index" from 0
    in the sequence and what the task says of it. The item None ends the sequence: its result has all that is left, and
    the next item begins another sequence. An item is one step of the model. `decode` gets no inputs, (0, I).

    Attributes:
        stepper: a `recurra.ChunkStepper`.
    """

    @property
    def ends(self) -> bool:
        return True

    def advance(self, inputs: Sequence[NDArray[Any]], states: Sequence[StreamState]) -> list[Any]:
        """See `ItemStream.advance`; inputs without steps, as those of None, end a sequence."""
        results: list[Any] = [None] * len(inputs)
        together: dict[tuple[int, int], list[int]] = {}
        for k, (one, state) in enumerate(zip(inputs, states, strict=True)):
            together.setdefault((len(one), self.stepper.num_pending(state)), []).append(k)
        for (length, _), chosen in together.items():
            joined = StreamState.join([states[k] for k in chosen])
            indices = self.stepper.next_index(joined).tolist()
            if length:
                outputs, _ = self.stepper(np.stack([inputs[k] for k in chosen], axis=1), joined)
            else:
                outputs = self.stepper.finish(joined)
            for row, k in enumerate(chosen):
                decided = [self.decode(inputs[k][:0], outputs[step : step + 1, row]) for step in range(len(outputs))]
                results[k] = [{"index": index} | one for index, one in enumerate(decided, start=indices[row])]
                states[k].values[:] = joined.values[row : row + 1]
        return results


def stream_of(
    network: nn.Module,
    encode: Callable[[Any, StreamState], NDArray[Any]],
    decode: Callable[[NDArray[Any], NDArray[np.float32]], dict[str, Any]],
    item: str,
    example: Any,
    *,
    weights: str = "float32",
    look_ahead: int | None = None,
) -> ItemStream:
    """The stream of a network whose items are one step each; for the other arguments see `ItemStream`.

    Args:
        network: of a task, which may read backward too.
        weights: how they are stored; see `recurra.Stepper`.
        look_ahead: items after its own that a result depends on; None: a result does not wait.

    Raises:
        StreamError: if the network cannot run as a stream, or reads backward and `look_ahead` is None.
        ParameterError: if `look_ahead` is negative.
    """
    if look_ahead is None:
        try:
            return ItemStream(Stepper(network, weights), encode, decode, item, example)
        except StreamError:
            compile_stages(network)  # which says what a look-ahead does not help against
            raise StreamError(
                "bidirectional=True: the network also reads backward, from the end of a sequence, which a stream does "
                "not have. Let it look some items ahead, open_stream(look_ahead=8) or `recurra serve RUN --look-ahead "
                "8`; results then come 8 items later. Or train with bidirectional=False."
            ) from None
    stepper = ChunkStepper(network, weights, look_ahead=look_ahead)

    def read(one: Any, state: StreamState) -> NDArray[Any]:
        return np.empty((0, stepper.input_size), np.float32) if one is None else encode(one, state)

    return LookAheadStream(stepper, read, decode, f"{item}; or null to end the sequence", example)
