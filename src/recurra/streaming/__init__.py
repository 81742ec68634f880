"""Trained models as streams: one step at a time, with the state outside the model."""

from recurra.streaming.item_stream import ItemStream
from recurra.streaming.observations import Observations
from recurra.streaming.state import StreamState
from recurra.streaming.stepper import Stepper

__all__ = ["ItemStream", "Observations", "Stepper", "StreamState"]
