"""Packed sequences in a user's `forward`: in a graph they are padded ones with their lengths."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.nn.utils import rnn

from recurra.errors import ExportError
from recurra.export.onnx.context import Context
from recurra.export.onnx.graph import Graph, Value

__all__ = ["PACKING", "Packed"]


@dataclass(frozen=True)
class Packed:
    """What stands in the place of a `PackedSequence`.

    Attributes:
        value: (T, B, ...).
        lengths: int64 (B,).
    """

    value: Value
    lengths: Value


def _pack(
    context: Context, value: Value, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> Packed:
    if not isinstance(lengths, Value):
        raise ExportError("pack_padded_sequence: lengths: expected the argument `lengths` of the model's `forward`")
    context.packs = True
    return Packed(_by_time(context.graph, value, batch_first), lengths)


def _pad(
    context: Context,
    packed: Packed,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Value, Value]:
    """Padded to T steps: torch's function pads to the longest length, unless that is T."""
    if padding_value or total_length is not None:
        raise ExportError("pad_packed_sequence: expected padding_value=0.0 and total_length=None")
    return _by_time(context.graph, packed.value, batch_first), packed.lengths


def _by_time(graph: Graph, value: Value, batch_first: bool) -> Value:
    return graph.op("Transpose", value, perm=(1, 0, *range(2, len(value.shape)))) if batch_first else value


#: The functions that pack and unpack; they take the context first.
PACKING: dict[Any, Callable[..., Any]] = {rnn.pack_padded_sequence: _pack, rnn.pad_packed_sequence: _pad}
