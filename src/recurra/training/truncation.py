"""Truncated backpropagation through time: how far the gradient flows, and how often the weights are updated."""

from dataclasses import dataclass

from recurra.errors import ParameterError
from recurra.shapes import check_positive

__all__ = ["Truncation"]


@dataclass(frozen=True)
class Truncation:
    """Lengths in steps (Williams and Peng 1990, where `truncation_length` is h and `stride` is h').

    A stream is read in segments, one a batch, each from the (detached) state after the one before. With a stride below
    the truncation length the segments before are run again with each new one, and the gradient of the new one's loss
    flows through them; with a stride above it the gradients of several segments make one update.

    Args:
        truncation_length: steps back that the gradient of a loss may flow, at most.
        stride: steps between updates; None: `truncation_length`. One must be a multiple of the other.

    Raises:
        ParameterError: for lengths below 1, or neither a multiple of the other.
    """

    truncation_length: int
    stride: int | None = None

    def __post_init__(self) -> None:
        check_positive("truncation_length", self.truncation_length)
        if self.stride is None:
            return
        check_positive("stride", self.stride)
        if self.truncation_length % self.stride and self.stride % self.truncation_length:
            expected = f"a divisor or a multiple of truncation_length = {self.truncation_length}"
            raise ParameterError("stride", expected, self.stride)

    @property
    def segment_length(self) -> int:
        """Steps of one batch."""
        return min(self.truncation_length, self.stride or self.truncation_length)

    @property
    def window(self) -> int:
        """Segments the gradient of a loss flows through, that of the loss included."""
        return self.truncation_length // self.segment_length

    @property
    def accumulation(self) -> int:
        """Segments whose gradients make one update."""
        return (self.stride or self.truncation_length) // self.segment_length
