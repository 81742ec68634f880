"""Trained models as streams: one step at a time, with the state outside the model."""

from recurra.streaming.state import StreamState
from recurra.streaming.stepper import Stepper

__all__ = ["Stepper", "StreamState"]
