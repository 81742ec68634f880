"""Trained models as streams: one step at a time, with the state outside the model."""

from recurra.streaming.chunk_stepper import ChunkStepper
from recurra.streaming.item_stream import ItemStream
from recurra.streaming.look_ahead_stream import LookAheadStream, stream_of
from recurra.streaming.memory_stream import Memory, MemoryStream, Reading, Talk
from recurra.streaming.observations import Observations
from recurra.streaming.state import StreamState
from recurra.streaming.stepper import Stepper

__all__ = [
    "ChunkStepper",
    "ItemStream",
    "LookAheadStream",
    "Memory",
    "MemoryStream",
    "Observations",
    "Reading",
    "Stepper",
    "StreamState",
    "Talk",
    "stream_of",
]
